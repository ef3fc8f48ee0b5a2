from dataclasses import replace

import numpy as np
import pytest

from prehend.hand_model import load_hand_model, skin
from prehend_training.assets.contact import penetration
from prehend_training.data.batch import faults
from prehend_training.prior.anatomy import beyond_limits_rad, rotations_of_meshes
from prehend_training.prior.batches import FINGER_OF_JOINT, PriorBatch
from prehend_training.prior.poses import natural_poses, poses_of_folders
from prehend_training.train.presets import preset


@pytest.fixture(scope="module")
def source(crops):
    return preset("debug-hhmr").task([crops]).source


def with_conditions(source, **changes):
    return replace(source, config=replace(source.config, **changes), batch_size=32)


def test_batches_are_as_described_and_come_again(source, crops):
    batch = source.batch(3)
    assert faults(batch, PriorBatch, {"V": source.vertices, "P": 0}) == []
    again = source.batch(3)
    assert all(np.array_equal(batch[name], again[name]) for name in batch)
    assert not np.array_equal(batch["noise"], source.batch(4)["noise"])
    looking = preset("debug-hhmr-image").task([crops]).source.batch(0)
    assert faults(looking, PriorBatch, {"V": source.vertices, "P": 5, "S": 64}) == []


def test_poses_of_shards_are_right_hands_in_their_own_pose(crops):
    poses = poses_of_folders([crops])
    assert len(poses) > 10
    determinants = np.linalg.det(poses.rotations)
    np.testing.assert_allclose(determinants, 1, atol=1e-4)


def test_nothing_is_known_when_everything_is_hidden(source):
    for changes in ({"nothing_p": 1.0}, {"hidden_p": 1.0}):
        batch = with_conditions(source, **changes).batch(0)
        assert all(not batch[f"{name}_known"].any() for name in ("places", "joints", "pieces"))


def test_whole_fingers_are_hidden_and_never_the_palm(source):
    batch = with_conditions(source, nothing_p=0.0, hidden_p=0.0, joint_p=0.0, finger_p=0.5).batch(0)
    for name in ("joints_known", "places_known"):
        shown = batch[name]
        for finger in range(5):
            joints = shown[:, finger == FINGER_OF_JOINT]
            assert (joints == joints[:, :1]).all()
        assert shown[:, 0].all() and 0.2 < shown.mean() < 0.8


def test_told_joints_are_the_hands_without_noise(source):
    quiet = with_conditions(source, joints_sigma_m=(1e-9, 2e-9), turn_sigma_rad=0.0)
    batch = quiet.batch(0)
    turns = batch["rotations"].copy()
    turns[:, 0] = np.eye(3)
    joints = skin(load_hand_model(), turns, batch["betas"]).joints
    np.testing.assert_allclose(batch["joints"], joints - joints[:, :1], atol=1e-5)


def test_a_mesh_tells_its_turns():
    model = load_hand_model()
    poses = natural_poses(np.random.default_rng(0), 12)
    mesh = skin(model, poses.rotations, np.zeros((12, 10))).vertices
    found = rotations_of_meshes(model, mesh)
    angle = np.arccos(np.clip((np.einsum("njkl,njkl->nj", found, poses.rotations) - 1) / 2, -1, 1))
    assert np.rad2deg(angle).mean() < 4
    assert beyond_limits_rad(model, poses.rotations).max() < 0.25
    assert penetration(model, found).max() < 0.006
    bent = poses.rotations.copy()
    bent[:, 2] = np.diag([-1.0, -1, 1])  # a finger folded back on itself
    assert beyond_limits_rad(model, bent).min() > 0.5
