"""What a mesh tells of its joints."""

import dataclasses

import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin
from prehend_training.assets.poses import pose_from_angles, sample_pose
from prehend_training.prior.anatomy import beyond_limits_rad, rotations_of_meshes
from prehend_training.prior.batches import FINGER_OF_JOINT
from prehend_training.prior.poses import natural_poses

MODEL = load_hand_model().without_forearm()


def bent(joint, kind, angle):
    """(1, 16, 3, 3) a flat hand with one joint turned by one angle."""
    angles = np.zeros((3, 1, 15))
    angles[kind, 0, joint] = angle
    return pose_from_angles(MODEL, *angles)


def meshes(rotations, betas=None):
    shape = np.zeros((len(rotations), 10)) if betas is None else betas
    return skin(MODEL, rotations, shape).vertices


def test_a_flat_hand_has_no_turns_and_no_fault():
    turns = rotations_of_meshes(MODEL, meshes(np.tile(np.eye(3), (1, 16, 1, 1))))
    np.testing.assert_allclose(turns, np.tile(np.eye(3), (1, 16, 1, 1)), atol=1e-5)
    assert beyond_limits_rad(MODEL, turns)[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("joint", [0, 4, 9, 12])
def test_a_joint_at_its_limit_is_possible_and_one_beyond_is_not(joint, kind):
    limit = MODEL.limits_rad[joint, kind, 1]
    for beyond in (0.0, 0.2, 0.5):
        found = beyond_limits_rad(MODEL, bent(joint, kind, limit + beyond))[0]
        assert found == pytest.approx(beyond, abs=0.03)


def test_the_worst_joint_counts():
    one, both = bent(0, 0, MODEL.limits_rad[0, 0, 1] + 0.2), bent(0, 0, MODEL.limits_rad[0, 0, 1] + 0.2)
    both[:, 2] = bent(1, 0, MODEL.limits_rad[1, 0, 1] + 0.4)[:, 2]
    assert beyond_limits_rad(MODEL, one)[0] < beyond_limits_rad(MODEL, both)[0] == pytest.approx(0.4, abs=0.03)


def test_natural_poses_are_possible():
    poses = natural_poses(np.random.default_rng(0), 50)
    assert beyond_limits_rad(MODEL, poses.rotations).max() < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_turns_of_a_mesh_are_those_that_posed_it(seed):
    """Within what skin does around a joint; the wrist's turn and the place of the mesh do not matter."""
    rng = np.random.default_rng(seed)
    angles = sample_pose(rng, 4, MODEL)
    rotations = np.tile(np.eye(3), (4, 16, 1, 1))
    rotations[:, 1:] = matrix_from_axis_angle(angles)
    rotations[:, 0] = matrix_from_axis_angle(rng.normal(size=(4, 3)))
    found = rotations_of_meshes(MODEL, meshes(rotations) + rng.normal(size=(4, 1, 3)))
    off = np.arccos(np.clip((np.trace(np.swapaxes(found, 2, 3) @ rotations, axis1=2, axis2=3) - 1) / 2, -1, 1))
    assert np.median(off) < 0.08 and off[:, 0].max() < 0.05


def test_a_model_without_axes_is_named():
    plain = dataclasses.replace(MODEL, flexion_axes=None)
    with pytest.raises(InvalidInput, match="no joint axes"):
        beyond_limits_rad(plain, np.tile(np.eye(3), (1, 16, 1, 1)))


def test_each_joint_belongs_to_its_finger():
    assert FINGER_OF_JOINT[0] == 5 and [int((k == FINGER_OF_JOINT).sum()) for k in range(6)] == [4] * 5 + [1]
