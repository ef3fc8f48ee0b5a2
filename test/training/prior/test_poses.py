"""Poses to learn from: right hands of whatever shards, evenly taken, and natural ones that come again."""

import dataclasses

import numpy as np
import pytest
from fake import fake_sample, open_fake, write_fake

from prehend.conventions import MIRROR
from prehend.errors import AssetError
from prehend.hand_model import load_hand_model, skin
from prehend_training.prior.poses import natural_poses, poses_of_folders


def hands_of(indices):
    return [fake_sample(3, index).hands[0] for index in indices]


def test_a_left_hand_becomes_the_right_one_of_its_mirror_image(crops):
    poses = poses_of_folders([crops])
    hands = hands_of(range(24))
    assert len(poses) == 24 and {"left", "right"} == {hand.side for hand in hands}
    for row, hand in enumerate(hands):
        posed = skin(load_hand_model(side="right"), poses.rotations[row], poses.betas[row]).joints
        own = np.asarray(hand.joints_m) if hand.side == "right" else np.asarray(hand.joints_m) @ MIRROR
        assert np.allclose(posed - posed[0], own - own[0], atol=1e-5)


@pytest.mark.parametrize("limit", [1, 5, 24, 99])
def test_a_limit_takes_evenly_from_the_first_to_the_last(limit, crops):
    poses = poses_of_folders([crops], limit)
    assert len(poses) == min(limit, 24)
    betas = np.array([hand.betas for hand in hands_of(range(24))])
    rows = [int(np.abs(betas - one).max(1).argmin()) for one in poses.betas]
    assert rows == sorted(set(rows)) and rows[0] == 0 and (limit == 1 or rows[-1] == 23)
    assert np.ptp(np.diff(rows)) <= 1 if len(rows) > 2 else True


def test_folders_are_taken_one_after_the_other_whatever_they_hold(crops, frames):
    both, alone = poses_of_folders([crops, frames]), poses_of_folders([frames])
    assert len(both) == 24 + len(alone) and np.array_equal(both.rotations[24:], alone.rotations)


def test_hands_of_unknown_pose_are_left_out_and_none_is_an_error(tmp_path):
    def half(config):
        make = open_fake(config)

        def unit(index):
            (sample,) = make(index)
            hand = dataclasses.replace(sample.hands[0], rotations=None, betas=None)
            return [sample if index % 3 == 0 else dataclasses.replace(sample, hands=(hand,))]

        return unit

    write_fake(tmp_path, "crops", 6, size_px=32, make=half)
    assert len(poses_of_folders([tmp_path])) == 2
    with pytest.raises(AssetError, match="prehend-train scenes"):
        poses_of_folders([tmp_path], 0)
    with pytest.raises(AssetError, match=r"index\.json"):
        poses_of_folders([tmp_path / "none"])


def test_natural_poses_come_again_with_their_seed_and_have_no_direction():
    one, again, other = (natural_poses(np.random.default_rng(seed), 6) for seed in (0, 0, 1))
    assert np.array_equal(one.rotations, again.rotations) and np.array_equal(one.betas, again.betas)
    assert not np.array_equal(one.rotations, other.rotations)
    assert np.allclose(one.rotations[:, 0], np.eye(3)) and one.rotations.shape == (6, 16, 3, 3)
    assert np.allclose(np.linalg.det(one.rotations), 1, atol=1e-5) and len({tuple(b) for b in one.betas}) == 6
