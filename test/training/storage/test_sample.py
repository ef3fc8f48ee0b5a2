"""What a sample knows: which parts are hidden by which paper, what is held, what is unknown; rigid transforms."""

from dataclasses import replace

import numpy as np
import pytest
from fake import fake_sample
from scipy.spatial.transform import Rotation

from prehend.errors import InvalidInput
from prehend_training.sample import HAND_CODE, HAND_PARTS, OBJECT_CODE, OTHER_CODE, PART_OF_JOINT
from prehend_training.transforms import inverse, rigid


@pytest.fixture(scope="module")
def hand():
    return next(fake_sample(3, index).hands[0] for index in range(9) if fake_sample(3, index).hands)


def with_seen(hand, seen, total=120):
    return replace(hand, part_vertices=np.full(6, total), part_visible=np.asarray(seen))


def test_the_papers_hide_a_part_from_51_of_120_vertices_and_their_script_below_30(hand):
    label = with_seen(hand, [120, 70, 69, 30, 29, 0])
    assert label.occluded_parts("paper").tolist() == [False, False, True, True, True, True]
    assert label.occluded_parts("script").tolist() == [False, False, False, False, True, True]


@pytest.mark.parametrize("factor", [0.5, 2, 3])
def test_thresholds_grow_with_the_number_of_vertices(hand, factor):
    seen = np.array([120, 80, 60, 40, 20, 0])
    for rule in ("paper", "script"):
        own = with_seen(hand, (factor * seen).astype(int), int(factor * 120)).occluded_parts(rule)
        assert np.array_equal(own, with_seen(hand, seen).occluded_parts(rule))


def test_a_hand_is_hidden_below_half_and_for_the_script_below_two_fifths(hand):
    found = [
        [replace(hand, visible_ratio=r).is_occluded(rule) for r in (0.39, 0.4, 0.49, 0.5)]
        for rule in ("paper", "script")
    ]
    assert found == [[True, True, True, False], [True, False, False, False]]


def test_what_nobody_knows_is_told_in_one_line(hand):
    for ask in (
        lambda: replace(hand, part_vertices=np.zeros(6, int)).occluded_parts("paper"),
        lambda: replace(hand, visible_ratio=float("nan")).is_occluded("script"),
    ):
        with pytest.raises(InvalidInput, match=r"unknown.*no mesh or no segmentation") as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_one_missing_joint_makes_them_unknown(hand):
    assert hand.has_joints and hand.has_keypoints
    for name, known in (("joints_m", "has_joints"), ("keypoints_px", "has_keypoints")):
        values = getattr(hand, name).copy()
        values[7, 1] = np.nan
        assert not getattr(replace(hand, **{name: values}), known)


def test_only_what_is_grasped_is_held():
    for index in range(20):
        sample = fake_sample(5, index, "frames")
        for hand in sample.hands:
            if hand.object_index is None:
                assert sample.held(hand) is None
                continue
            assert sample.held(hand) is sample.objects[hand.object_index]
            assert sample.held(replace(hand, grasp=False)) is sample.held(replace(hand, grasp=None)) is None
            assert sample.held(replace(hand, object_index=None)) is None


def test_every_joint_moves_one_part_and_codes_do_not_meet():
    assert len(PART_OF_JOINT) == 16 and set(PART_OF_JOINT) == set(range(len(HAND_PARTS)))
    assert PART_OF_JOINT[0] == HAND_PARTS.index("palm")
    assert all(len({PART_OF_JOINT[1 + 3 * digit + bone] for bone in range(3)}) == 1 for digit in range(5))
    assert 0 < HAND_CODE < OBJECT_CODE < OTHER_CODE == 255


def test_rigid_transforms_are_undone_and_chain_as_matrices():
    rng = np.random.default_rng(1)
    for R in Rotation.random(20, random_state=2).as_matrix():
        T, other = rigid(R, rng.normal(size=3)), rigid(R.T, rng.normal(size=(3, 1)))
        assert np.allclose(inverse(T), np.linalg.inv(T)) and np.allclose(inverse(inverse(T)), T)
        assert np.allclose(inverse(T @ other), inverse(other) @ inverse(T))
        assert T[3].tolist() == [0, 0, 0, 1] and other.shape == (4, 4)
