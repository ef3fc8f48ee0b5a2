from dataclasses import replace

import numpy as np
import pytest
import torch

from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.losses.lifting import LiftBatches, LiftConfig, any_rotations, poses_of
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.loop.trainer import Trainer
from prehend_training.train.presets import preset
from prehend_training.train.runs import log_lines

CERTAIN = LiftConfig(scale_sigma=0, center_sigma=0, noise=(1e-9, 1e-9), lost_p=0)


@pytest.fixture(scope="module")
def poses(crops):
    dataset = ShardDataset([crops], "crops")
    return poses_of([dataset[row] for row in range(len(dataset))])


def test_places_fill_the_roi_and_belong_to_the_joints(poses):
    batch = LiftBatches(*poses, CERTAIN, 0, 32).batch(0)
    low, high = batch["places"].min(1), batch["places"].max(1)
    assert np.allclose((high - low).max(1), 1 / CERTAIN.margin, atol=1e-5)
    assert np.allclose((low + high) / 2, 0.5, atol=1e-5)
    for joints, places in zip(batch["joints"], batch["places"], strict=True):
        # seen from far enough, right of another joint is right of it in the image
        order = np.argsort(joints[:, 0])
        assert np.corrcoef(places[order, 0], joints[order, 0])[0, 1] > 0.95
        assert np.corrcoef(places[:, 1], joints[:, 1])[0, 1] > 0.9


def test_batches_are_the_same_for_the_same_numbers_and_come_in_parts(poses):
    source = LiftBatches(*poses, LiftConfig(), 3, 9)
    again = LiftBatches(*poses, LiftConfig(), 3, 9)
    assert all(np.array_equal(value, again.batch(5)[name]) for name, value in source.batch(5).items())
    assert [len(source.batch(5, (part, 2))["betas"]) for part in range(2)] == [4, 5]
    assert not np.array_equal(source.batch(5)["places"], source.batch(6)["places"])


def test_rotations_are_rotations_and_point_everywhere():
    rotations = any_rotations(np.random.default_rng(0), 4000)
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(rotations), 1)
    assert np.abs(rotations.mean(0)).max() < 0.03


def test_the_head_alone_learns_and_soon_knows_more_than_the_mean_pose(crops, tmp_path):
    debug = preset("debug-lift")
    chosen = replace(
        debug,
        config=replace(debug.config, hidden=(128,)),
        optimisation=replace(debug.optimisation, batch_size=64, lr=5e-3),
    )
    trainer = Trainer(chosen.task([crops]), tmp_path, Machine(threads=1))
    before = {name: value.detach().clone() for name, value in trainer.network.named_parameters()}
    trainer.train(Budget(steps=160))
    changed = {name for name, value in trainer.network.named_parameters() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("network.mano_head.") for name in changed)
    lines = list(log_lines(tmp_path))
    assert lines[-1]["global_rotation"] < 0.8 * lines[0]["global_rotation"]
