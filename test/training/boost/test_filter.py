"""Which made pictures are kept, and where poses come from that they are made for."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fake import fake_sample, write_fake

from prehend.conventions import MIRROR
from prehend.errors import AssetError, InvalidInput
from prehend_training.boost.distances import HAND_NUMBERS, novelty, pose_vectors, spread_of
from prehend_training.boost.filter import FilterConfig, MeshErrors, errors_of, judge_is_there, limits_of, rates_of
from prehend_training.boost.generator.data import open_crops
from prehend_training.boost.poses import choose_grasps, choose_real, read_real
from prehend_training.grasps.library import load_grasps
from prehend_training.storage.shards import ShardFolder


def passes(errors, limits):
    return [one.worst[0] <= limits[0] and one.worst[1] <= limits[1] for one in errors]


@pytest.mark.parametrize("count", [1, 7, 40])
@pytest.mark.parametrize("share", [0.01, 0.25, 0.6, 1.0])
def test_limits_of_a_share_are_the_lowest_of_one_level_that_keep_it(tmp_path, count, share):
    rng = np.random.default_rng(count)
    errors = [MeshErrors(*row) for row in rng.gamma(2.0, 5.0, (count, 4))]
    limits = limits_of(FilterConfig(tmp_path, quantile=share), errors)
    ordered = np.sort([one.worst for one in errors], 0)
    kept = [sum(passes(errors, tuple(level))) for level in ordered]
    level = next(k for k, number in enumerate(kept) if number >= share * count - 1e-9)
    assert limits == tuple(ordered[level]) and sum(passes(errors, limits)) >= share * count - 1e-9


def test_the_order_of_pictures_and_the_unit_change_no_decision(tmp_path):
    errors = [MeshErrors(*row) for row in np.random.default_rng(1).gamma(2.0, 5.0, (30, 4))]
    config = FilterConfig(tmp_path, quantile=0.4)
    kept = passes(errors, limits_of(config, errors))
    order = np.random.default_rng(2).permutation(30)
    mixed = [errors[k] for k in order]
    assert passes(mixed, limits_of(config, mixed)) == [kept[k] for k in order]
    metres = [MeshErrors(*(value / 1000 for value in one)) for one in errors]
    assert passes(metres, limits_of(config, metres)) == kept


def test_both_kinds_of_errors_have_to_be_small(tmp_path):
    limits = limits_of(FilterConfig(tmp_path, error_mm=20.0, aligned_mm=8.0), [])
    rows = [(20, 20, 8, 8), (20.1, 0, 0, 0), (0, 20.1, 0, 0), (0, 0, 8.1, 0), (0, 0, 0, 8.1)]
    assert passes([MeshErrors(*row) for row in rows], limits) == [True, False, False, False, False]


@pytest.mark.parametrize(
    "numbers",
    [{"error_mm": 0.0}, {"aligned_mm": -1.0}, {"error_mm": float("nan")}, {"quantile": 0.0}, {"quantile": 1.1}],
)
def test_limits_that_keep_nothing_or_are_none_are_refused(tmp_path, numbers):
    with pytest.raises(InvalidInput, match=r"must be positive|expected a share"):
        FilterConfig(tmp_path, **numbers)


class Moved:
    """A judge that sees the truth, scaled about the origin, turned and moved."""

    def __init__(self, scale=1.0, turn=None, move=(0.0, 0.0, 0.0)):
        self.scale, self.turn, self.move = scale, np.eye(3) if turn is None else turn, np.array(move)

    def answers(self, pictures, camera, hand):
        return tuple(
            (self.scale * np.asarray(p, np.float64) @ self.turn.T + self.move)[None]
            for p in (hand.joints_m, hand.vertices_m)
        )


def test_a_hand_elsewhere_is_right_and_a_larger_one_only_when_aligned():
    sample = fake_sample(3, 0)
    assert max(errors_of(Moved(move=(0.5, -0.2, 1.0)), sample)) < 1e-2
    larger = errors_of(Moved(1.1), sample)
    joints = sample.hands[0].joints_m
    assert larger.j_pe == pytest.approx(100 * np.linalg.norm(joints - joints[0], axis=1).mean(), rel=1e-5)
    assert max(larger.pa_j_pe, larger.pa_v_pe) < 1e-2 and larger.worst == (max(larger[:2]), max(larger[2:]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    write_fake(out, "crops", 8, size_px=64)
    return out


def test_rates_are_shares_of_all_of_a_thing_and_of_a_condition(folder):
    errors = [MeshErrors(k, k, k / 2, k / 2) for k in range(8)]
    passed = [k < 3 for k in range(8)]
    told = rates_of(folder, errors, passed, (2.0, 1.0))
    assert told["all"] == {"made": 8, "kept": 3, "rate": 0.375} and told["limits_mm"] == [2.0, 1.0]
    for groups in (told["by_object"], told["by_condition"]):
        assert sum(one["made"] for one in groups.values()) == 8 and sum(one["kept"] for one in groups.values()) == 3
    holding = sum(bool(sample.objects) for sample in ShardFolder.open(folder))
    assert told["by_object"]["box"]["made"] == holding and told["by_object"]["none"]["made"] == 8 - holding
    assert told["errors_mm"]["j_pe"] == {"p10": 0.7, "p50": 3.5, "p90": 6.3}
    assert json.loads(json.dumps(told)) == told


def test_a_folder_of_nothing_is_named(tmp_path):
    with pytest.raises(AssetError, match="boost sample"):
        judge_is_there(FilterConfig(tmp_path))


def test_hands_are_read_as_right_ones_with_what_they_hold(folder):
    real = read_real([folder])
    samples = [sample for sample in open_crops(folder) if sample.hands]
    assert len(real) == len(samples) and {"", "box"} >= set(real.object_ids)
    for row, sample in enumerate(samples):
        hand = sample.hands[0]
        flip = np.eye(3) if hand.side == "right" else MIRROR
        np.testing.assert_allclose(real.rotations[row], flip @ hand.rotations @ flip, atol=1e-6)
        np.testing.assert_allclose(real.centre_m[row], flip @ hand.joints_m.mean(0), atol=1e-6)
        assert real.right[row] == (hand.side == "right") and real.size_px[row] == sample.camera.width
        np.testing.assert_allclose(real.K[row], sample.camera.K, atol=1e-6)
        if not real.object_ids[row]:
            np.testing.assert_array_equal(real.T_hand_object[row], np.eye(4))
            continue
        # the thing's place, told from the wrist, is as far from it as in the camera's frame
        T = sample.objects[hand.object_index].T_camera_object
        away = np.linalg.norm(T[:3, 3] - hand.joints_m[0])
        assert np.linalg.norm(real.T_hand_object[row][:3, 3]) == pytest.approx(away, rel=1e-5)
        assert np.linalg.det(real.T_hand_object[row][:3, :3]) == pytest.approx(1, abs=1e-5)


def test_where_a_thing_is_held_for_real_its_pose_counts_too(folder):
    real = read_real([folder])
    held = int((real.object_ids == "box").sum())
    assert held and real.vectors_beside("box").shape == (held, HAND_NUMBERS + 7)
    assert real.vectors_beside("mug").shape == (len(real), HAND_NUMBERS)


def test_chosen_real_hands_are_bare_and_follow_from_the_seed(folder):
    real = read_real([folder])
    real = replace(real, bare=np.arange(len(real)) % 2 == 0)
    rows = choose_real(real, 3, seed=4)
    assert len(set(rows.tolist())) == len(rows) == 3 and real.bare[rows].all()
    np.testing.assert_array_equal(rows, choose_real(real, 3, seed=4))
    assert set(choose_real(real, 99, 0)) == set(np.flatnonzero(real.bare))
    assert len(choose_real(replace(real, bare=np.zeros(len(real), bool)), 3, 0)) == 0


def test_chosen_grasps_are_of_the_library_and_likeness_to_real_ones_makes_them_rare():
    every = load_grasps("mug")
    free, again = (choose_grasps("mug", 10, None, seed=3) for _ in range(2))
    np.testing.assert_array_equal(free.grasps.hands.betas, again.grasps.hands.betas)
    assert len(free.grasps) == 10 <= len(every) and np.allclose(free.probability, 0.1)


@pytest.mark.parametrize("seed", range(3))
def test_probabilities_do_not_depend_on_the_order_of_what_is_real(seed):
    rng = np.random.default_rng(seed)
    synthetic, real = rng.normal(size=(12, 9)), rng.normal(size=(20, 9))
    probability = novelty(synthetic, real)
    assert probability.sum() == pytest.approx(1) and (probability >= 0).all()
    np.testing.assert_allclose(novelty(synthetic, real[rng.permutation(20)]), probability)
    order = rng.permutation(12)
    np.testing.assert_allclose(novelty(synthetic[order], real), probability[order])
    np.testing.assert_allclose(novelty(3 * synthetic, 0.1 * real), probability)  # of directions alone


def test_a_set_that_repeats_a_pose_is_less_spread():
    vectors = np.random.default_rng(0).normal(size=(10, 6))
    repeated = vectors.copy()
    repeated[5] = repeated[4]
    assert spread_of(repeated) < spread_of(vectors) and spread_of(np.repeat(vectors[:1], 4, 0)) == pytest.approx(
        0, abs=1e-12
    )
    one = np.tile(np.eye(3), (1, 16, 1, 1))
    assert pose_vectors(one).reshape(15, 4)[:, 3].min() == 1  # no turn: w is 1
