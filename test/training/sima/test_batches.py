from dataclasses import replace

import numpy as np
import pytest
import torch

from prehend.conventions import MIRROR
from prehend.models.sima.rays import meeting_points
from prehend_training.data.augment_presets import UPRIGHT_VIEW
from prehend_training.data.batch import MomentBatch, arrays_of, faults
from prehend_training.data.crops import CropBatches
from prehend_training.sima.batches import CropMoments, MomentBatches, MomentDataConfig, exact_moments, mirrored
from prehend_training.sima.instants import FirstViews, HandInView, open_instants
from prehend_training.train.loop.machine import to_tensors
from prehend_training.train.presets import UPRIGHT_CROPS

CONFIG = MomentDataConfig(size_px=64, views=(2, 4), view=UPRIGHT_VIEW)


@pytest.fixture(scope="module")
def dataset(moments):
    return open_instants([moments], 64)


@pytest.fixture(scope="module")
def batch(dataset):
    return to_tensors(MomentBatches(dataset, replace(CONFIG, views=(4,)), 0, 24).batch(0), "cpu")


def by_moment(value):
    return value.unflatten(0, (-1, 4))


def test_arrays_are_as_described(batch):
    assert faults(batch, MomentBatch, {"S": 64}) == []
    assert (
        batch.keys() > {"known", "leads", "turn", "center", "ray", "rotations"}
        and batch.keys() < arrays_of(MomentBatch).keys()
    )
    assert batch["leads"].tolist() == [1.0, 0, 0, 0] * 6


def test_the_hand_is_the_same_in_the_world_of_all_views_whatever_was_changed(batch):
    """Sides, turns and boxes: labels and cameras move together."""
    world = by_moment(batch["turn"] @ batch["rotations"][:, 0])
    torch.testing.assert_close(world, world[:, :1].expand_as(world), atol=1e-5, rtol=0)
    joints = (batch["joints"] + batch["root"][:, None]) @ batch["turn"].transpose(1, 2) + batch["center"][:, None]
    joints = by_moment(joints)
    torch.testing.assert_close(joints, joints[:, :1].expand_as(joints), atol=1e-5, rtol=0)


def test_rays_meet_in_the_joints(batch):
    box = batch["hand_box"]
    px = box[:, None, :2] + batch["keypoints"] * (box[:, 2:] - box[:, :2])[:, None]
    places = by_moment((px + 0.5) / 64)
    rig = [by_moment(batch[name]) for name in ("turn", "center", "ray")]
    found = meeting_points(places, torch.ones(places.shape[:3]), *rig)
    joints = (batch["joints"] + batch["root"][:, None]) @ batch["turn"].transpose(1, 2) + batch["center"][:, None]
    assert (found - by_moment(joints)[:, 0]).norm(dim=-1).max() < 2e-3


def test_a_step_is_drawn_by_its_number_alone_and_shows_one_number_of_views(dataset):
    source = MomentBatches(dataset, CONFIG, 5, 8)
    counts = set()
    for step in range(6):
        one, other = source.batch(step), source.batch(step)
        assert all(np.array_equal(one[name], other[name]) for name in one)
        counts.add(len(one["leads"]) // int(one["leads"].sum()))
        assert len(one["leads"]) == 8
    assert counts == {2, 4}


def test_parts_of_a_batch_are_the_batch(dataset):
    source = MomentBatches(dataset, CONFIG, 5, 8)
    whole, parts = source.batch(3), [source.batch(3, (k, 2)) for k in range(2)]
    for name, value in whole.items():
        np.testing.assert_array_equal(value, np.concatenate([part[name] for part in parts]))


def test_more_views_than_cameras_are_marked(dataset):
    sample = MomentBatches(dataset, exact_moments(CONFIG, 8), 0, 8).sample(0, 8, np.random.default_rng(0))
    assert sample["known"].tolist() == [1.0] * 5 + [0.0] * 3
    for name in ("image", "turn", "keypoints"):
        np.testing.assert_array_equal(sample[name][5:], np.stack([sample[name][0]] * 3))


def test_a_left_hand_is_a_right_one_in_a_mirrored_world(dataset):
    left = next(hand for k in range(6) for hand in dataset.seen(k) if hand.record["side"][0] == 0)
    record, T = mirrored(left)
    assert record["side"][0] == 1 and np.linalg.det(T[:3, :3]) == pytest.approx(1)
    world = T[:3, :3].T @ (record["joints_m"][0, 0] - T[:3, 3])
    before = left.T_camera_world[:3, :3].T @ (left.record["joints_m"][0, 0] - left.T_camera_world[:3, 3])
    np.testing.assert_allclose(world, MIRROR @ before, atol=1e-6)


def test_beside_a_hand_may_be_another_one(dataset):
    """Where the image shows some, no crop beside the hand is taken for one without a hand."""
    record = dataset.seen(0)[0].record
    crops = CropBatches(FirstViews(dataset), replace(UPRIGHT_CROPS, absent_p=1.0, photometric=None), 0, 1, twins=False)
    source = CropMoments(dataset, exact_moments(CONFIG, 2), 0, 2, crops, teaches=False)

    def shows_hand(numbers):
        hand = HandInView(record | {"segmentation": numbers}, np.eye(4), 0)
        return source.views_of([hand], 1, np.random.default_rng(0))["presence"][0]

    alone = np.minimum(record["segmentation"], 1)
    both = alone.copy()
    both[:4, :4] = 2
    assert (shows_hand(alone), shows_hand(both)) == (0, 1)
