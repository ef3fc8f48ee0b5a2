import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from prehend.errors import InvalidInput
from prehend.eval.calibration import reliability
from prehend.pipeline.crops.letterbox import probability
from prehend.pipeline.networks.pose_refine import pose_covariance
from prehend_training.data.crops import CropBatches
from prehend_training.data.stores.open import open_training_data
from prehend_training.evaluate.calibrate import (
    BATCH,
    LEAST_TURN_RAD,
    SEED,
    calibrate_run,
    errors_of_turns,
    fit,
    fit_turns,
    gather,
)
from prehend_training.train.loop.checkpoint import load_result
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, train_run


def test_logits_that_are_too_sure_and_biased_become_log_odds():
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, 20_000)
    truth = (rng.random(len(odds)) < probability(odds)).astype(float)
    told = fit(3 * odds + 4, truth)
    assert told["scale"] == pytest.approx(1 / 3, rel=0.05) and told["offset"] == pytest.approx(-4 / 3, abs=0.1)
    assert told["ece"] < 0.02 < 0.2 < told["ece_before"]
    after = probability(told["scale"] * (3 * odds + 4) + told["offset"])
    assert reliability(after, truth)["ece"] == pytest.approx(told["ece"], abs=1e-3)
    assert 0.8 < told["ordered"] < 1


def test_the_share_of_a_class_is_not_learnt():
    rng = np.random.default_rng(1)
    true, false = rng.normal(1, 1, 900), rng.normal(-1, 1, 100)
    told = fit(np.concatenate([true, false]), np.concatenate([np.ones(900), np.zeros(100)]))
    assert abs(told["offset"]) < 0.3


def test_logits_that_say_the_opposite_are_refused():
    rng = np.random.default_rng(2)
    truth = np.repeat([1.0, 0.0], 200)
    with pytest.raises(InvalidInput, match="nothing"):
        fit(-5 * truth + rng.normal(0, 0.1, 400), truth)


def test_errors_of_rotations_are_about_the_joints_own_axes():
    rng = np.random.default_rng(3)
    said = Rotation.random(160, rng).as_matrix().reshape(10, 16, 3, 3)
    turns = rng.normal(0, 0.3, (10, 16, 3))
    true = said @ Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(10, 16, 3, 3)
    assert np.allclose(errors_of_turns(said, true), turns.reshape(10, 48), atol=1e-6)
    assert np.allclose(errors_of_turns(said[:, :1], said[:, :1]), 0, atol=1e-7)


def test_the_covariance_of_errors_is_found_again_though_some_poses_are_others():
    rng = np.random.default_rng(4)
    mixed = rng.normal(0, 1, (48, 48)) * 0.02 + np.diag(rng.uniform(0.05, 0.2, 48))
    covariance = mixed @ mixed.T
    turns = rng.multivariate_normal(np.zeros(48), covariance, 4000)
    turns[:200] = rng.normal(0, 1.5, (200, 48))
    found = pose_covariance({"calibration": {"rotations": fit_turns(turns)}})
    assert np.allclose(np.sqrt(np.diag(found)), np.sqrt(np.diag(covariance)), rtol=0.12)
    std = np.sqrt(np.diag(covariance))
    assert np.abs(found / np.outer(std, std) - covariance / np.outer(std, std)).max() < 0.25


def wavering(count=600, seed=5):
    """Logits and truths of a network that is right more often than not."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(count) < 0.4).astype(float)
    return 2 * truth - 1 + rng.normal(0, 1.5, count), truth


def test_asking_the_opposite_turns_the_sign_of_the_offset_alone():
    logits, truth = wavering()
    one, other = fit(logits + 0.7, truth), fit(-(logits + 0.7), 1 - truth)
    assert other["scale"] == pytest.approx(one["scale"], abs=2e-3)
    assert other["offset"] == pytest.approx(-one["offset"], abs=2e-3)
    assert other["ece"] == pytest.approx(one["ece"], abs=2e-3) and other["ordered"] == pytest.approx(one["ordered"])


def test_order_and_repetition_change_nothing_and_the_unit_is_taken_back():
    logits, truth = wavering()
    one = fit(logits, truth)
    order = np.random.default_rng(0).permutation(len(logits))
    for other in (fit(logits[order], truth[order]), fit(np.tile(logits, 3), np.tile(truth, 3))):
        assert (other["scale"], other["offset"]) == pytest.approx((one["scale"], one["offset"]), abs=1e-3)
    bent = fit(10 * logits + 3, truth)
    assert bent["scale"] * 10 == pytest.approx(one["scale"], abs=5e-3)
    assert bent["offset"] + 3 * bent["scale"] == pytest.approx(one["offset"], abs=5e-3)


def test_classes_count_alike_however_many_there_are():
    """The same logits of true ones, once and ten times as many."""
    logits, truth = wavering()
    many = truth.astype(bool)
    more = fit(np.concatenate([logits, np.tile(logits[many], 9)]), np.concatenate([truth, np.ones(9 * many.sum())]))
    once = fit(logits, truth)
    assert more["scale"] == pytest.approx(once["scale"], abs=2e-3) and more["ece"] == pytest.approx(
        once["ece"], abs=2e-3
    )
    assert more["count"] == len(logits) + 9 * many.sum()


def test_logits_that_are_right_already_stay():
    rng = np.random.default_rng(8)
    odds = rng.normal(0, 2, 8000)
    odds = np.concatenate([odds, -odds])
    told = fit(odds, (rng.random(len(odds)) < probability(odds)).astype(float))
    assert told["scale"] == pytest.approx(1, abs=0.05) and told["ece_before"] < 0.015 and told["ece"] < 0.015


def test_a_joint_that_never_errs_has_the_least_deviation_and_goes_with_no_other():
    turns = np.random.default_rng(6).normal(0, 0.1, (500, 48))
    turns[:, 7] = 0
    told = fit_turns(turns)
    assert np.ravel(told["std_rad"])[7] == LEAST_TURN_RAD
    rows, columns = np.triu_indices(48, 1)
    beside = np.array(told["correlation_percent"])[(rows == 7) | (columns == 7)]
    assert (beside == 0).all() and np.abs(told["correlation_percent"]).max() <= 100


@pytest.fixture(scope="module")
def run(crops, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    train_run(Training(preset("debug-unihope"), [crops], out, Budget(steps=1)), Machine(threads=1))
    return out


def test_answers_are_gathered_where_a_label_tells_the_truth(run, crops):
    chosen = preset("debug-unihope")
    network = chosen.build().eval()
    load_result(run / "checkpoint" / "averaged.safetensors", network)
    pairs, turns = gather(network, chosen.calibrated_on, [crops], 2 * BATCH)
    source = CropBatches(open_training_data([crops], "crops", False), chosen.calibrated_on, SEED, BATCH, twins=False)
    batches = [source.batch(step) for step in range(2)]

    def labels(name):
        return np.concatenate([batch[name].ravel() for batch in batches])

    shown = labels("presence") > 0
    np.testing.assert_array_equal(pairs["presence"][1], shown)
    np.testing.assert_array_equal(pairs["grasp"][1], labels("grasp")[shown & (labels("has_grasp") > 0)])
    np.testing.assert_array_equal(pairs["side"][1], labels("right")[shown & (labels("has_side") > 0)])
    assert turns.shape == (int((shown & (labels("has_pose") > 0)).sum()), 48) and np.isfinite(turns).all()
    assert all(len(logits) == len(truth) > 0 and np.isfinite(logits).all() for logits, truth in pairs.values())
    again, _ = gather(network, chosen.calibrated_on, [crops], 2 * BATCH)
    np.testing.assert_array_equal(again["presence"][0], pairs["presence"][0])


def test_a_run_that_is_no_crop_network_is_not_calibrated(tmp_path, crops):
    (tmp_path / "run.json").write_text('{"preset": "debug-detector"}')
    with pytest.raises(InvalidInput, match="trains no crop network"):
        calibrate_run(tmp_path, [crops], 32)
    assert not (tmp_path / "calibration.json").exists()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("steep", "shift"), [(1, 0), (10, 3), (0.3, -0.5)])
def test_a_fit_is_at_its_best(seed, steep, shift):
    """There the errors of the classes, which count alike, cancel, and so do those that are weighed by the logits."""
    logits, truth = wavering(seed=seed)
    logits = steep * logits + shift
    told = fit(logits, truth)
    off = probability(told["scale"] * logits + told["offset"]) - truth
    weight = np.where(truth > 0, 0.5 / truth.sum(), 0.5 / (1 - truth).sum())
    assert (weight * off).sum() == pytest.approx(0, abs=1e-3)
    assert (weight * off * logits).sum() / steep == pytest.approx(0, abs=1e-3)
