"""Random hands in one pose and frame: frames, bones and sizes are what they are said to be."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.geometry.rotations import matrix_from_axis_angle
from prehend_training.assets.hand_shapes import (
    KNUCKLE_SHIFT,
    TIP_OF_CHAIN,
    average_hand,
    bone_directions,
    bone_ends,
    chain_joints,
    in_hand_frame,
    pose_bones,
    rest_directions,
    sample_hands,
    with_knuckles_back,
)
from prehend_training.assets.hand_source import Body

ONES = (np.ones(16), np.ones((16, 2)))


@pytest.fixture(scope="module")
def hand(source):
    return in_hand_frame(source.body({}))


@pytest.fixture(scope="module")
def weights(source):
    return source.weights[:, :16] + source.weights[:, 16:] * np.eye(1, 16)


def lengths_of(hand):
    return np.linalg.norm(bone_ends(hand) - hand.joints, axis=1)


def moved(body, R, t):
    return Body(*(part @ R.T + t for part in (body.vertices, body.joints, body.tips, body.elbow)))


@pytest.mark.parametrize("seed", range(3))
def test_the_frame_of_a_hand_does_not_depend_on_how_the_body_stands(source, hand, seed):
    rng = np.random.default_rng(seed)
    R, t = matrix_from_axis_angle(rng.normal(size=3)), rng.normal(size=3)
    again = in_hand_frame(moved(source.body({}), R, t))
    for name in ("vertices", "joints", "tips", "elbow"):
        np.testing.assert_allclose(getattr(again, name), getattr(hand, name), atol=1e-9)


def test_the_frame_looks_from_the_fingers_to_the_wrist(hand):
    index, middle, little = (hand.joints[chain_joints(chain)[0]] for chain in (0, 1, 2))
    np.testing.assert_allclose(hand.joints[0], 0, atol=1e-12)
    assert middle[0] < -0.05 and abs(middle[1]) < 2e-3 and abs(middle[2]) < 0.02
    assert index[2] > middle[2] > little[2]
    assert hand.elbow[0] > 0.2
    assert hand.tips[0, 2] > index[2]  # the thumb is on the index finger's side


def test_knuckles_go_back_towards_the_wrist_and_nothing_else_moves(hand):
    back = with_knuckles_back(hand)
    firsts = [chain_joints(chain)[0] for chain in range(4)]
    np.testing.assert_allclose(back.joints[firsts], hand.joints[firsts] * (1 - KNUCKLE_SHIFT), atol=1e-12)
    others = np.setdiff1d(np.arange(16), firsts)
    np.testing.assert_array_equal(back.joints[others], hand.joints[others])
    np.testing.assert_array_equal(back.vertices, hand.vertices)


def test_bones_go_from_joint_to_joint_and_end_in_the_tips(hand):
    ends = bone_ends(hand)
    for chain in range(5):
        first, second, third = chain_joints(chain)
        np.testing.assert_array_equal(ends[first], hand.joints[second])
        np.testing.assert_array_equal(ends[third], hand.tips[TIP_OF_CHAIN[chain]])
    np.testing.assert_allclose(np.linalg.norm(bone_directions(hand), axis=1), 1)
    assert sorted(TIP_OF_CHAIN) == [0, 1, 2, 3, 4]


def test_bones_that_stay_as_they_are_leave_the_hand(hand, weights):
    again = pose_bones(hand, weights, bone_directions(hand), *ONES)
    for name in ("vertices", "joints", "tips", "elbow"):
        np.testing.assert_allclose(getattr(again, name), getattr(hand, name), atol=1e-12)


@pytest.mark.parametrize("joint", [1, 5, 12, 15])
def test_a_longer_bone_is_longer_and_the_others_are_not(hand, weights, joint):
    lengths = np.ones(16)
    lengths[joint] = 1.3
    longer = pose_bones(hand, weights, bone_directions(hand), lengths, np.ones((16, 2)))
    np.testing.assert_allclose(lengths_of(longer)[1:], (lengths_of(hand) * lengths)[1:], atol=1e-12)
    np.testing.assert_allclose(bone_directions(longer)[1:], bone_directions(hand)[1:], atol=1e-12)


def test_thicker_fingers_keep_their_bones(hand, weights):
    widths = np.ones((16, 2))
    widths[1:4] = 1.5
    thick = pose_bones(hand, weights, bone_directions(hand), np.ones(16), widths)
    np.testing.assert_allclose(thick.joints, hand.joints, atol=1e-12)
    finger = weights[:, 2] > 0.99
    assert finger.sum() > 5

    def girth(which):
        local = which.vertices[finger] - which.joints[2]
        along = bone_directions(which)[2]
        return np.linalg.norm(local - (local @ along)[:, None] * along, axis=1)

    np.testing.assert_allclose(girth(thick), 1.5 * girth(hand), rtol=1e-9)
    other = weights[:, 4:].sum(1) > 0.99
    np.testing.assert_allclose(thick.vertices[other], hand.vertices[other], atol=1e-12)


def test_bones_take_the_directions_they_are_given(hand, weights):
    wanted = bone_directions(hand)
    rng = np.random.default_rng(0)
    wanted[1:] += rng.normal(0, 0.2, (15, 3))
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    posed = pose_bones(hand, weights, wanted, *ONES)
    np.testing.assert_allclose(bone_directions(posed)[1:], wanted[1:], atol=1e-9)
    np.testing.assert_allclose(lengths_of(posed)[1:], lengths_of(hand)[1:], atol=1e-12)
    wrist = weights[:, 0] > 0.999
    np.testing.assert_allclose(posed.vertices[wrist], hand.vertices[wrist], atol=1e-12)


def test_fingers_of_the_zero_pose_are_straight_and_lie_in_the_plane_of_the_palm(hand):
    bent = replace(hand, joints=hand.joints.copy())
    bent.joints[[2, 3], 1] -= [0.01, 0.03]  # the index finger is held down a little
    directions = rest_directions(bent)
    for chain in range(4):
        first, second, third = chain_joints(chain)
        np.testing.assert_array_equal(directions[first], directions[second])
        np.testing.assert_array_equal(directions[first], directions[third])
        assert directions[first, 1] == 0 and directions[first, 0] < -0.9
    np.testing.assert_allclose(directions[13:], bone_directions(bent)[13:], atol=1e-12)  # the thumb is left as it is
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)


@pytest.fixture(scope="module")
def people(source, weights):
    return list(sample_hands(source, weights, np.random.default_rng(5), 60))


def test_people_have_hands_of_human_sizes(people):
    lengths = np.array([np.linalg.norm(hand.tips[2] - hand.joints[0]) for hand in people])
    assert lengths.min() > 0.11 and lengths.max() < 0.225
    assert np.median(lengths) == pytest.approx(0.18, abs=0.01)
    assert (lengths < 0.155).mean() < 0.3  # a few are children


def test_people_differ_and_are_those_of_their_seed(source, weights, people):
    again = list(sample_hands(source, weights, np.random.default_rng(5), 3))
    for one, other in zip(again, people, strict=False):
        np.testing.assert_array_equal(one.vertices, other.vertices)
    ratios = np.array([lengths_of(hand)[2] / lengths_of(hand)[0] for hand in people])
    assert ratios.std() > 0.01


def test_everybodys_fingers_point_the_same_way(source, people):
    flat = rest_directions(average_hand(source))
    for hand in people[:10]:
        np.testing.assert_allclose(bone_directions(hand)[1:], flat[1:], atol=1e-6)
        np.testing.assert_allclose(hand.joints[0], 0, atol=1e-9)
