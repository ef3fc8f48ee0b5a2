"""Measures of a prior for hands, on priors whose faults are known."""

from functools import lru_cache

import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.hand_model import load_hand_model
from prehend.prior.bones import Bones
from prehend.prior.sampler import Hypotheses
from prehend_training.evaluate.hhmr import (
    HYPOTHESES,
    PriorCheck,
    completion_report,
    draw_report,
    fit_report,
    flat_hands,
    table_of,
)
from prehend_training.prior.poses import Poses, natural_poses

CHECK = PriorCheck(drawn=6, hands=3, steps=1)
ALONG = np.array([1.0, 0, 0])


@lru_cache(maxsize=1)
def regressor():
    """(21, V) that gives the joints of meshes."""
    return Bones(load_hand_model()).regressor.numpy()


class Knowing:
    """A prior that is asked about hands in their order and changes the true mesh as `change(mesh, k)` says."""

    def __init__(self, meshes, change=lambda mesh, k: mesh, error_m=lambda k: 0.0):
        self.model = load_hand_model()
        self._meshes, self._change, self._error_m = iter(meshes), change, error_m
        self.known = []

    def joints(self, vertices_m):
        return regressor() @ vertices_m

    def sample(self, count, known=None, sampling=None):
        self.known.append(known)
        if known is None:
            vertices = np.stack([next(self._meshes) for _ in range(count)])
        else:
            mesh = next(self._meshes)
            vertices = np.stack([self._change(mesh, k) for k in range(count)])
        left = np.array([self._error_m(k) for k in range(count)])
        return Hypotheses("right", vertices, self.joints(vertices), self.model.faces, np.full(count, np.nan), left)


@pytest.fixture(scope="module")
def hands():
    return natural_poses(np.random.default_rng(0), 6)


@pytest.fixture(scope="module")
def meshes(hands):
    return flat_hands(Knowing([]), hands)[0]


def test_a_flat_hand_has_its_wrist_at_the_origin_however_it_was_turned(hands):
    turned = hands.rotations.copy()
    turned[:, 0] = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    for one, other in zip(
        flat_hands(Knowing([]), hands), flat_hands(Knowing([]), Poses(turned, hands.betas)), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)
    np.testing.assert_allclose(flat_hands(Knowing([]), hands)[1][:, 0], 0, atol=1e-7)


def test_who_draws_the_hands_themselves_covers_all_of_them(hands, meshes):
    told = draw_report(Knowing(meshes), hands, CHECK)
    assert told["coverage"] == 1 and told["nearest_mm"] < 1.5  # joints of meshes are regressed
    assert told["beyond_limits"] == told["held_out_beyond_limits"]
    assert told["self_penetration"] == told["held_out_self_penetration"]
    joints = Knowing([]).joints(meshes)
    pairs = [np.linalg.norm(joints[i] - joints[j], axis=1).mean() for i in range(6) for j in range(6) if i != j]
    assert told["diversity_mm"] == pytest.approx(1000 * np.mean(pairs), rel=1e-4)


def test_who_draws_one_hand_alone_has_no_diversity_and_covers_one(hands, meshes):
    told = draw_report(Knowing([meshes[2]] * 6), hands, CHECK)
    assert told["diversity_mm"] == pytest.approx(0, abs=1e-3) and told["coverage"] == pytest.approx(1 / 6)
    assert told["nearest_mm"] > 1.5


def test_the_best_of_more_hypotheses_is_no_worse_and_means_cancel_errors(hands, meshes):
    """Hypotheses are off to the right by 40, 30, ... mm; of the mean only the mean of that is left."""
    off = 10 * np.array([4.0, 3, -5, 2, -4, 6, -3, -3, 1, 9, 9, 9, 9, 9, 9, 9])
    regressed = 1000 * float(np.abs(Knowing([]).joints(meshes) - flat_hands(Knowing([]), hands)[1]).max())
    prior = Knowing(meshes, lambda mesh, k: mesh + off[k] / 1000 * ALONG)
    told = completion_report(prior, hands, CHECK)
    expected = {1: 40.0, 8: 20.0, 16: 10.0}
    for count in HYPOTHESES:
        assert told[f"best_of_{count}_mm"] == pytest.approx(expected[count], abs=regressed)
    assert told["best_of_1_mm"] >= told["best_of_8_mm"] >= told["best_of_16_mm"]
    assert told["mean_of_8_mm"] < regressed and told["mean_of_16_mm"] == pytest.approx(off.mean(), abs=regressed)


def test_what_is_to_be_completed_is_not_told(hands, meshes):
    prior = Knowing(meshes)
    completion_report(prior, hands, CHECK)
    assert len(prior.known) == len(hands)
    for known, mesh in zip(prior.known, meshes, strict=True):
        hidden = np.isnan(known.vertices_m).any(1)
        np.testing.assert_array_equal(known.vertices_m[~hidden], mesh[~hidden])
        tips = load_hand_model().tips
        assert hidden[tips[1]] and hidden[tips[2]] and not hidden[tips[[0, 3, 4]]].any()


def in_space(hands, meshes):
    """Each hand twice: from joints in space and from those in an image."""
    for mesh, turn in zip(meshes, hands.rotations[:, 0], strict=True):
        yield from [mesh @ turn.T + np.array([0, 0, 0.5])] * 2


def test_a_fitted_hand_that_is_only_elsewhere_is_right(hands, meshes):
    prior = Knowing(in_space(hands, meshes), lambda mesh, k: mesh + 0.2 * (k + 1) * ALONG)
    told = fit_report(prior, hands, CHECK)
    assert set(told) == {
        f"{best}{where}_{kind}_mm"
        for best in ("", "best_")
        for where in ("space", "picture")
        for kind in ("vertices", "joints")
    }
    assert max(told.values()) < 2  # again of the regressed joints


def test_the_best_hypothesis_is_the_one_that_leaves_least_of_what_is_known(hands, meshes):
    def grown(mesh, k):
        wrist = Knowing([]).joints(mesh[None])[0, :1]
        return mesh if k == 3 else wrist + 1.5 * (mesh - wrist)

    prior = Knowing(in_space(hands, meshes), grown, lambda k: 0.0 if k == 3 else 1.0)
    told = fit_report(prior, hands, CHECK)
    joints = flat_hands(Knowing([]), hands)[1]
    half = 500 * np.linalg.norm(joints, axis=2).mean()
    assert told["space_joints_mm"] == pytest.approx(half, rel=0.05) and told["best_space_joints_mm"] < 2
    assert told["picture_vertices_mm"] > 20 > 2 > told["best_picture_vertices_mm"]


def test_the_noise_in_images_follows_from_the_seed(hands, meshes):
    def pixels(seed):
        prior = Knowing(in_space(hands, meshes))
        fit_report(prior, hands, PriorCheck(6, 3, 1, seed))
        return np.stack([known.keypoints_px for known in prior.known if known.keypoints_px is not None])

    assert np.array_equal(pixels(1), pixels(1)) and not np.array_equal(pixels(1), pixels(2))
    assert np.std(pixels(1) - pixels(2)) == pytest.approx(2 * np.sqrt(2), rel=0.15)


def test_one_hand_tells_nothing():
    for given in ({"drawn": 1}, {"hands": 1}):
        with pytest.raises(InvalidInput, match="two hands"):
            PriorCheck(**given)


def test_a_table_has_a_column_a_prior_and_a_row_a_number():
    report = {"drawn": {"coverage": 0.25}, "completed": {"best_of_1_mm": 3.0}, "fitted": {}, "seconds": {"10": 1.5}}
    rows = table_of({"one": report, "two": report | {"drawn": {"coverage": 0.5}}}).strip().splitlines()
    assert rows[0] == "| | one | two |" and rows[1].count("---") == 3
    assert rows[2] == "| drawn coverage | 0.25 | 0.5 |"
    assert rows[-1] == "| seconds of 8 hands, 10 steps | 1.5 | 1.5 |" and len(rows) == 5
