import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from prehend.errors import InvalidInput
from prehend.eval.calibration import reliability
from prehend.pipeline.crops.letterbox import probability
from prehend.pipeline.networks.pose_refine import pose_covariance
from prehend_training.evaluate.calibrate import errors_of_turns, fit, fit_turns


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
