"""Empty hands beside an object: each state is where it says, inside the limits, and that of its seed."""

import numpy as np
import pytest

from prehend.hand_model import skin
from prehend_training.grasps.checks import TOUCH_M
from prehend_training.grasps.hand import hand_model
from prehend_training.grasps.library import sample_grasp
from prehend_training.grasps.near import STATES, near_miss

FORWARD = np.array([0.0, 1.0, 0.0])
THINGS = ("mug", "can", "box")


@pytest.fixture(scope="module")
def held():
    return {name: sample_grasp(np.random.default_rng(7), name) for name in THINGS}


def in_object(grasp):
    posed = skin(hand_model(), grasp.rotations, grasp.betas)
    return (posed.vertices - posed.joints[0] - grasp.T_hand_object[:3, 3]) @ grasp.T_hand_object[:3, :3]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", THINGS)
def test_an_empty_hand_has_the_hand_and_the_object_of_the_grasp(held, name, state):
    grasp = held[name]
    missed = near_miss(np.random.default_rng(1), grasp, state, FORWARD)
    assert missed.solid is grasp.solid and missed.kind == state
    np.testing.assert_array_equal(missed.betas, grasp.betas)
    R = missed.T_hand_object[:3, :3]
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(R) == pytest.approx(1)
    limits = hand_model().limits_rad
    assert (missed.angles >= limits[..., 0]).all() and (missed.angles <= limits[..., 1]).all()


@pytest.mark.parametrize("state", STATES)
def test_the_gap_is_that_of_the_state_and_the_table_is_below(held, state):
    for seed, name in enumerate(THINGS):
        missed = near_miss(np.random.default_rng(seed), held[name], state, FORWARD)
        points, solid = in_object(missed), missed.solid
        gap = solid.distance(points, filled=state != "touching").min()
        assert gap >= (0 if state == "touching" else 0.005)
        assert gap <= TOUCH_M or state != "touching"
        bottom = solid.center_m[2] - solid.extents_m[2] / 2
        assert points[:, 2].min() >= bottom + 0.003 - 1e-6


def test_in_front_and_behind_are_told_by_who_looks(held):
    for seed in range(3):
        for toward in (FORWARD, np.array([0.6, -0.8, 0.0])):
            ways = {}
            for state in ("in_front", "behind"):
                missed = near_miss(np.random.default_rng(seed), held["can"], state, toward)
                ways[state] = (in_object(missed).mean(0) - missed.solid.center_m) @ toward
            assert ways["in_front"] > 0.03 and ways["behind"] < -0.03


def test_beside_is_neither_before_nor_behind(held):
    for seed in range(4):
        missed = near_miss(np.random.default_rng(seed), held["box"], "beside", FORWARD)
        away = in_object(missed).mean(0) - missed.solid.center_m
        assert abs(away[0]) > abs(away[1])


def test_an_open_hand_is_flatter_than_the_grasp(held):
    grasp = held["can"]
    missed = near_miss(np.random.default_rng(2), grasp, "open", FORWARD)
    assert missed.angles[:12, 0].mean() < grasp.angles[:12, 0].mean() - 0.1
    back = missed.T_hand_object[:3, :3].T @ [0, 1, 0]
    assert back[2] > 0.9  # palm down over the table


def test_a_seed_is_a_state_and_seeds_differ(held):
    one, again, other = (near_miss(np.random.default_rng(seed), held["mug"]) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.T_hand_object, again.T_hand_object)
    np.testing.assert_array_equal(one.angles, again.angles)
    assert one.kind == again.kind and not np.array_equal(one.T_hand_object, other.T_hand_object)
    names = {near_miss(np.random.default_rng(seed), held["mug"]).kind for seed in range(12)}
    assert len(names) > 3 and names <= set(STATES)
