"""Random poses, gestures and the forearm of the hand that scenes are made of."""

import numpy as np
import pytest

from prehend.conventions import MIRROR
from prehend.errors import InvalidInput
from prehend.hand_model import HandModel, load_hand_model, skin
from prehend_training.assets.contact import fit_balls, penetration
from prehend_training.assets.forearm import bend_forearm
from prehend_training.assets.poses import (
    MAX_PENETRATION_M,
    axis_angle_matrix,
    matrix_axis_angle,
    pose_from_angles,
    sample_angles,
    sample_pose,
)

IDENTITY = np.tile(np.eye(3), (16, 1, 1))


@pytest.fixture(scope="module")
def hand() -> HandModel:
    return load_hand_model()


@pytest.fixture(scope="module")
def whole() -> HandModel:
    return load_hand_model(forearm=True)


def test_axis_angle_and_matrix_undo_each_other():
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 1, (200, 3))
    vectors *= rng.uniform(0, 2.9, (200, 1)) / np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[0] = 0
    matrices = axis_angle_matrix(vectors)
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), np.tile(np.eye(3), (200, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrices), 1)
    np.testing.assert_allclose(matrix_axis_angle(matrices), vectors, atol=1e-9)


def test_angles_stay_inside_the_limits_and_fill_them(hand):
    angles = sample_angles(np.random.default_rng(1), 3000, hand.limits_rad)
    low, high = hand.limits_rad[..., 0], hand.limits_rad[..., 1]
    assert (angles >= low - 1e-6).all()
    assert (angles <= high + 1e-6).all()
    span = np.ptp(angles[..., 0], axis=0) / (high - low)[:, 0]
    assert (span > 0.7).all()


def test_fingers_close_together(hand):
    angles = sample_angles(np.random.default_rng(2), 3000, hand.limits_rad)[:, [0, 3, 9, 6], 0]
    between = np.corrcoef(angles.T)[np.triu_indices(4, 1)]
    assert (between > 0.3).all()
    assert (between < 0.95).all()


def test_poses_are_drawn_from_the_seed_alone(hand):
    a, b = (sample_pose(np.random.default_rng(3), 20, hand) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert a.shape == (20, 15, 3)


def test_sampled_digits_do_not_go_into_each_other(hand):
    vectors = sample_pose(np.random.default_rng(4), 300, hand)
    rotations = np.tile(IDENTITY, (300, 1, 1, 1))
    rotations[:, 1:] = axis_angle_matrix(vectors)
    assert (penetration(hand, rotations) < MAX_PENETRATION_M + 1e-5).mean() > 0.995


def test_penetration_sees_crossing_fingers_and_not_the_rest_pose(hand):
    abduct = np.zeros(15)
    abduct[[0, 3]] = -0.3, 0.3
    crossing = pose_from_angles(hand, np.zeros(15), abduct)
    depths = penetration(hand, np.stack([IDENTITY, crossing]))
    assert depths[0] == 0
    assert depths[1] > 0.005
    assert (fit_balls(hand).radii > 5e-4).all()


def test_penetration_does_not_change_with_the_wrist_or_in_the_mirror(hand):
    pose = pose_from_angles(hand, np.tile([1.4, 1.9, 1.3], 5))
    turned = pose.copy()
    turned[0] = axis_angle_matrix(np.array([1.0, 2.0, -1.0]))
    depth = penetration(hand, np.stack([pose, turned]))
    assert depth[0] > 0.003
    np.testing.assert_allclose(depth[0], depth[1], atol=1e-6)
    np.testing.assert_allclose(penetration(hand.mirrored(), (MIRROR @ pose @ MIRROR)[None]), depth[:1], atol=1e-6)


def test_angles_of_a_left_hand_are_those_of_the_mirror(hand):
    rng = np.random.default_rng(5)
    angles = rng.normal(0, 0.3, (3, 15))
    right, left = pose_from_angles(hand, *angles), pose_from_angles(hand.mirrored(), *angles)
    np.testing.assert_allclose(MIRROR @ right @ MIRROR, left, atol=1e-6)


def test_flexion_alone_turns_about_the_flexion_axis(hand):
    rotations = pose_from_angles(hand, np.full(15, 0.4))
    np.testing.assert_allclose(matrix_axis_angle(rotations[1:]), 0.4 * hand.flexion_axes, atol=1e-5)
    np.testing.assert_array_equal(rotations[0], np.eye(3))


def test_a_model_without_axes_is_named(hand):
    from dataclasses import replace

    bare = replace(hand, flexion_axes=None, name="MANO")
    with pytest.raises(InvalidInput, match="MANO"):
        sample_pose(np.random.default_rng(0), 1, bare)


def test_a_bent_forearm_leaves_the_hand(whole):
    posed = skin(whole, IDENTITY, np.zeros(10))
    moved = bend_forearm(whole, posed.vertices, posed.joints[0], np.eye(3), 0.5, 0.2, 0.4)
    change = np.linalg.norm(moved - posed.vertices, axis=1)
    assert change[whole.forearm_weights == 0].max() < 1e-6
    assert change[~whole.hand_mask].max() > 0.05
    assert np.abs(bend_forearm(whole, posed.vertices, posed.joints[0], np.eye(3), 0.0) - posed.vertices).max() < 1e-6


def test_flexion_brings_the_forearm_to_the_palm(whole):
    posed = skin(whole, IDENTITY, np.zeros(10))
    elbow = posed.vertices[:, 0].argmax()
    bent = bend_forearm(whole, posed.vertices, posed.joints[0], np.eye(3), 0.5)
    assert bent[elbow, 1] < posed.vertices[elbow, 1] - 0.05
    leaning = bend_forearm(whole, posed.vertices, posed.joints[0], np.eye(3), 0.0, 0.3)
    assert leaning[elbow, 2] > posed.vertices[elbow, 2] + 0.03


def test_the_forearm_bends_the_same_in_the_mirror_and_anywhere(whole):
    bend = (0.4, -0.2, 0.6)
    betas = np.random.default_rng(6).normal(0, 1, 10)
    rotations = IDENTITY.copy()
    rest = skin(whole, rotations, betas)
    right = bend_forearm(whole, rest.vertices, rest.joints[0], np.eye(3), *bend)
    left = skin(whole.mirrored(), rotations, betas)
    mirrored = bend_forearm(whole.mirrored(), left.vertices, left.joints[0], np.eye(3), *bend)
    np.testing.assert_allclose(right @ MIRROR, mirrored, atol=2e-6)
    turn = axis_angle_matrix(np.array([0.5, -1.0, 2.0]))
    rotations[0] = turn
    turned = skin(whole, rotations, betas, [0.1, 0.2, 0.8])
    anywhere = bend_forearm(whole, turned.vertices, turned.joints[0], turn, *bend)
    np.testing.assert_allclose((right - rest.joints[0]) @ turn.T + turned.joints[0], anywhere, atol=2e-6)


def test_a_hand_without_forearm_is_named(hand):
    with pytest.raises(InvalidInput, match="forearm=True"):
        bend_forearm(hand, hand.v_template, hand.joints_template[0], np.eye(3), 0.1)
