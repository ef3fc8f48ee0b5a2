"""Training of the network that tells what goes with a hand (`grasp-motion`), on the hands of rendered films."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from prehend.models.hand_object.grasp_motion import GRASP_MOTION, GraspMotion, build_grasp_motion
from prehend.pipeline.frames.hand_motion import LAYERS, SIZE, MotionPatch
from prehend_training.moments.steps import take_steps

BATCH = 64
"""Looks a step."""

_AT_ONCE = 256


class WatchedLook(NamedTuple):
    """One look at a hand.

    Attributes:
        patch: what was seen to move.
        holds: the hand truly holds something; None too near to when that changed.
        touches: some part of it touches something; None where unknown.
    """

    patch: MotionPatch
    holds: bool | None
    touches: bool | None


@dataclass(frozen=True)
class MotionTraining:
    """How it is trained.

    Attributes:
        epochs: how often each look is drawn, on average.
        lr, weight_decay: of AdamW; the rate rises and falls in one cycle.
        turn_rad, scale, shift: how patches lie otherwise than keypoints say, shift as a share of half a side.
        plain_p: probability that the image itself is not shown, so that motion is learnt and not things.
        seed: of weights and draws.
    """

    epochs: float = 6.0
    lr: float = 3e-3
    weight_decay: float = 0.05
    turn_rad: float = 0.35
    scale: tuple[float, float] = (0.85, 1.2)
    shift: float = 0.12
    plain_p: float = 0.25
    seed: int = 0


def train_motion(
    looks: Sequence[WatchedLook], training: MotionTraining, stepped: Callable[[], object] = lambda: None
) -> GraspMotion:
    """A network in evaluation mode.

    Args:
        looks: what to learn from; one at least.
        training: how.
        stepped: is called after each step.
    """
    torch.manual_seed(training.seed)
    rng = np.random.default_rng(training.seed)
    network = build_grasp_motion(GRASP_MOTION)
    steps = motion_steps(len(looks), training)
    answers = np.array([[_asked(one.holds), _asked(one.touches)] for one in looks], np.float32)

    def drawn() -> tuple[Tensor, Tensor]:
        rows = rng.integers(0, len(looks), BATCH)
        patches, speeds = _inputs([looks[row].patch for row in rows])
        told = network(moved_about(patches, training, rng), speeds)
        return torch.cat(told, 1), torch.from_numpy(answers[rows])

    take_steps(network, steps, training.lr, training.weight_decay, drawn, stepped)
    return network.eval()


def motion_steps(looks: int, training: MotionTraining) -> int:
    """How many steps `train_motion` takes."""
    return max(int(training.epochs * looks / BATCH), 2)


@torch.no_grad()
def motion_answers(network: GraspMotion, looks: Sequence[WatchedLook]) -> NDArray[np.float32]:
    """(N, 2) logits that something is held and that something is touched."""
    told = [np.zeros((0, 2), np.float32)]
    for start in range(0, len(looks), _AT_ONCE):
        inputs = _inputs([one.patch for one in looks[start : start + _AT_ONCE]])
        told.append(torch.cat(network(*inputs), 1).numpy())
    return np.concatenate(told)


def moved_about(patches: Tensor, training: MotionTraining, rng: np.random.Generator) -> Tensor:
    """(B, L, S, S) patches that lie otherwise, in other light, some without their image."""
    count = len(patches)
    turn, scale = rng.uniform(-1, 1, count) * training.turn_rad, rng.uniform(*training.scale, count)
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    shift = rng.uniform(-training.shift, training.shift, (2, count))
    theta = np.stack([cosine, -sine, shift[0], sine, cosine, shift[1]], 1).reshape(count, 2, 3)
    grid = F.affine_grid(torch.from_numpy(theta.astype(np.float32)), list(patches.shape), align_corners=False)
    patches = F.grid_sample(patches, grid, padding_mode="border", align_corners=False)
    light = rng.choice([-1.0, 1.0], count) * rng.uniform(0.6, 1.4, count) * (rng.random(count) >= training.plain_p)
    strength = torch.ones(count, patches.shape[1], 1, 1)
    strength[:, 0, 0, 0] = torch.from_numpy(light.astype(np.float32))
    return patches * strength


def _inputs(patches: Sequence[MotionPatch]) -> tuple[Tensor, Tensor]:
    layers = np.stack([one.layers for one in patches]).astype(np.float32).reshape(-1, LAYERS, SIZE, SIZE)
    return torch.from_numpy(layers), torch.from_numpy(np.stack([one.speeds for one in patches]))


def _asked(answer: bool | None) -> float:
    return np.nan if answer is None else float(answer)
