"""Training of what watches hands."""

from collections import Counter

import numpy as np
import pytest
import torch

from prehend.pipeline.frames.hand_motion import LAYERS, SIZE, MotionPatch
from prehend_training.moments.motion import (
    BATCH,
    MotionTraining,
    WatchedLook,
    motion_answers,
    motion_steps,
    moved_about,
    train_motion,
)

BRIEF = MotionTraining(epochs=10.0)


def look(holds: bool | None, touches: bool | None, seed: int) -> WatchedLook:
    layers = np.random.default_rng(seed).normal(0, 0.1, (LAYERS, SIZE, SIZE)).astype(np.float32)
    if holds is not None:
        layers[1, 20:44, 40:60] += 0.7 if holds else -0.7
    if touches is not None:
        layers[2, 20:44, 5:25] += 0.7 if touches else -0.7
    return WatchedLook(MotionPatch(layers, np.full(2, 0.5, np.float32)), holds, touches)


def looks(first: int) -> list[WatchedLook]:
    """Of a quarter each it is unknown whether something is held, and touched."""
    said = [None, True, False, True, False, None, False, True]
    return [look(said[k % 8], said[(k // 2 + k) % 8], first + k) for k in range(160)]


def test_both_answers_are_learnt_where_they_are_known() -> None:
    steps = Counter()
    network = train_motion(looks(0), BRIEF, lambda: steps.update(["step"]))
    assert steps["step"] == motion_steps(160, BRIEF) == 10 * 160 // BATCH and not network.training
    others = looks(1000)
    told = motion_answers(network, others) > 0
    for column, name in enumerate(("holds", "touches")):
        right = [
            told[k, column] == getattr(one, name) for k, one in enumerate(others) if getattr(one, name) is not None
        ]
        assert np.mean(right) > 0.95


def test_a_seed_gives_the_same_network() -> None:
    brief = MotionTraining(epochs=1.0)
    one, other, third = (train_motion(looks(0), how) for how in (brief, brief, MotionTraining(epochs=1.0, seed=1)))
    numbers = [network.head[0].weight for network in (one, other, third)]
    assert torch.equal(numbers[0], numbers[1]) and not torch.equal(numbers[0], numbers[2])
    assert motion_answers(one, []).shape == (0, 2)


@pytest.mark.parametrize("plain_p", [0.0, 1.0])
def test_patches_lie_otherwise_and_some_lose_their_image(plain_p: float) -> None:
    patches = torch.randn(16, LAYERS, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    how = MotionTraining(plain_p=plain_p)
    moved = moved_about(patches, how, np.random.default_rng(0))
    assert moved.shape == patches.shape and not torch.allclose(moved[:, 1], patches[:, 1])
    assert bool((moved[:, 0] == 0).all()) == (plain_p == 1.0)
    still = MotionTraining(turn_rad=0.0, scale=(1.0, 1.0), shift=0.0)
    assert torch.allclose(moved_about(patches, still, np.random.default_rng(0))[:, 1:], patches[:, 1:], atol=1e-4)
