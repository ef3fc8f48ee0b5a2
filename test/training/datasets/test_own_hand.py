"""Another hand's pose as ours: bones point where the joints say."""

import dataset_writers as writers
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from prehend.conventions import JOINT_PARENTS, MIRROR
from prehend.geometry.rotations import geodesic_angle
from prehend.hand_model import load_hand_model, skin
from prehend_training.datasets import open_dataset
from prehend_training.datasets.own_hand import as_trained, own_pose

pytest_plugins = ("dataset_fixtures",)

FINGER_BONES = [(joint, parent) for joint, parent in enumerate(JOINT_PARENTS) if parent > 0]


def directions(joints):
    bones = np.array([joints[joint] - joints[parent] for joint, parent in FINGER_BONES])
    return bones / np.linalg.norm(bones, axis=1, keepdims=True)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("seed", range(3))
def test_bones_of_our_hand_point_where_those_of_the_other_do(side, seed):
    hand = writers.draw_pose(np.random.default_rng(seed), side)
    rotations, betas = own_pose(hand.rotations, hand.betas, hand.posed.joints, writers.fake_mano(side))
    ours = skin(load_hand_model(side=side), rotations, betas)
    np.testing.assert_allclose(directions(ours.joints), directions(hand.posed.joints), atol=2e-3)
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (16, 1, 1)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-6)


@pytest.mark.parametrize("side", ["right", "left"])
def test_our_own_hand_is_what_it_was(side):
    rng = np.random.default_rng(4)
    model = load_hand_model(side=side)
    rotations = Rotation.from_rotvec(rng.normal(0, 0.3, (16, 3))).as_matrix()
    betas = np.zeros(10)
    same, shape = own_pose(rotations, betas, skin(model, rotations, betas).joints, model)
    assert np.degrees(geodesic_angle(same, rotations)).max() < 1 and np.abs(shape).max() < 0.2


def test_a_turned_hand_has_a_turned_wrist_and_nothing_else():
    hand = writers.draw_pose(np.random.default_rng(5))
    turn = Rotation.from_rotvec([0.4, -1.0, 2.0]).as_matrix()
    other = hand.rotations.copy()
    other[0] = turn @ other[0]
    model, joints = writers.fake_mano(), hand.posed.joints
    one, shape = own_pose(hand.rotations, hand.betas, joints, model)
    two, same_shape = own_pose(other, hand.betas, joints @ turn.T + [0.1, 0.2, 0.3], model)
    np.testing.assert_allclose(two[0], turn @ one[0], atol=1e-6)
    np.testing.assert_allclose(two[1:], one[1:], atol=1e-6)
    np.testing.assert_array_equal(shape, same_shape)


def test_a_left_hand_is_the_mirror_image_of_a_right_one():
    right = writers.draw_pose(np.random.default_rng(6))
    rotations, joints = MIRROR @ right.rotations @ MIRROR, right.posed.joints @ MIRROR
    one, shape = own_pose(right.rotations, right.betas, right.posed.joints, writers.fake_mano("right"))
    other, its_shape = own_pose(rotations, right.betas, joints, writers.fake_mano("left"))
    np.testing.assert_allclose(other, MIRROR @ one @ MIRROR, atol=1e-5)
    np.testing.assert_allclose(its_shape, shape, atol=1e-4)


def test_labels_of_another_hand_are_never_taken_as_ours(freihand, mano):
    for folder in (None, mano):
        data = open_dataset("freihand", freihand[0], "training", mano=folder)
        sample = data[0]
        trained = as_trained(sample, data)
        (hand,), (stored,) = trained.hands, sample.hands
        assert (hand.rotations is None) == (hand.betas is None) == (folder is None)
        np.testing.assert_array_equal(hand.joints_m, stored.joints_m)
        assert sample.segmentation is not None and trained.segmentation is None  # it may show what is held
    assert not np.allclose(hand.betas, stored.betas)
