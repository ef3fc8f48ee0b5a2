"""Teaches the pose head without images: from the 2D places of the joints to the pose.

A hand's skeleton, seen as 21 points, nearly tells its pose: fingers bend one way only, and the order of the knuckles
says which side of the hand is seen. That much of the head's work needs no pixels, and thousands of hands a second can
be posed and projected on one core.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from prehend.conventions import NUM_JOINTS
from prehend.geometry.rotations import matrix_from_axis_angle, matrix_from_quaternion
from prehend.hand_model.asset import load_hand_model
from prehend.models.hand_object.outputs import HandOutput
from prehend.models.heads.pose import PlacesPoseHead
from prehend_training.data.batch import ArrayDict, CropBatch, SkeletonBatch
from prehend_training.data.records import Record
from prehend_training.data.views import mirror_left
from prehend_training.losses.crop import SampledHand, Terms, hand_terms

FINGERS, JOINTS_A_FINGER = 5, 3
TAUGHT = ("joints", "vertices", "global_rotation", "finger_rotation", "betas")
"""Terms of `hand_terms` that the head answers for."""


@dataclass(frozen=True)
class LiftConfig:
    """How hands are posed, seen and mistaken.

    Attributes:
        turned_p: probability of a view from anywhere; otherwise the view is the record's, turned in the image.
        borrowed_p: probability of each finger to be another record's.
        distance_m: nearest and farthest wrist, drawn evenly in the logarithm.
        margin: side of the RoI over the longer side of the joints' box.
        scale_sigma, center_sigma: how far the RoI is off, in shares of its side.
        noise: least and largest standard deviation of the places, in shares of the RoI, drawn evenly in the logarithm.
        lost_p, lost_sigma: probability that a joint is not seen at all, and its error then.
        certainty_sigma: standard deviation of the log of what is said of the noise.
    """

    turned_p: float = 0.5
    borrowed_p: float = 0.15
    distance_m: tuple[float, float] = (0.25, 1.6)
    margin: float = 1.4
    scale_sigma: float = 0.1
    center_sigma: float = 0.05
    noise: tuple[float, float] = (0.003, 0.03)
    lost_p: float = 0.05
    lost_sigma: float = 0.1
    certainty_sigma: float = 0.3


@dataclass(frozen=True)
class LiftBatches:
    """Batches of places and poses.

    Attributes:
        rotations: (N, 16, 3, 3) of right hands, the first from the hand to a camera.
        betas: (N, 10).
        config: what is done to them.
        seed: with the step's number, decides everything.
        batch_size: samples a step.
    """

    rotations: NDArray[np.float32]
    betas: NDArray[np.float32]
    config: LiftConfig
    seed: int
    batch_size: int
    hand: SampledHand = field(default_factory=lambda: SampledHand(load_hand_model(), count=0), repr=False)

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> ArrayDict:
        """`places` (B, 21, 2) in [0, 1] of the RoI, `log_std` (B, 21) log of their standard deviation in units of the
        joints' box, and rotations, betas and joints as in `hand_targets`."""
        size, (k, n) = self.batch_size, part
        rng = np.random.default_rng([self.seed, step, 0])
        rotations = self._poses(rng, size)
        betas = self.betas[rng.integers(len(self.betas), size=size)]
        with torch.no_grad():
            posed = self.hand(torch.from_numpy(rotations), torch.from_numpy(betas)).joints.numpy()
        joints = posed - posed[:, :1]
        places, log_std = self._seen(rng, joints)
        whole = {
            "places": places,
            "log_std": log_std,
            "rotations": rotations,
            "betas": betas,
            "joints": joints.astype(np.float32),
        }
        # all is drawn for the whole batch, so that several processes see what one does
        return {name: values[k * size // n : (k + 1) * size // n] for name, values in whole.items()}

    def _poses(self, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
        config, total = self.config, len(self.rotations)
        rotations = self.rotations[rng.integers(total, size=count)].copy()
        for finger in range(FINGERS):
            borrow = rng.random(count) < config.borrowed_p
            joints = slice(1 + JOINTS_A_FINGER * finger, 1 + JOINTS_A_FINGER * (finger + 1))
            rotations[borrow, joints] = self.rotations[rng.integers(total, size=int(borrow.sum())), joints]
        in_plane = rng.uniform(-np.pi, np.pi, count)[:, None] * np.array([0.0, 0.0, 1.0])
        turn = matrix_from_axis_angle(in_plane)
        anywhere = rng.random(count) < config.turned_p
        turn[anywhere] = any_rotations(rng, int(anywhere.sum()))
        rotations[:, 0] = turn @ rotations[:, 0]
        return rotations

    def _seen(
        self, rng: np.random.Generator, joints: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(B, 21, 3) -> (B, 21, 2) places in a RoI as the network might find them, and (B, 21) how sure they are."""
        config, count = self.config, len(joints)
        distance = _log_uniform(rng, config.distance_m, count)
        centered = joints - (joints.min(1, keepdims=True) + joints.max(1, keepdims=True)) / 2
        points = centered[..., :2] / (centered[..., 2] + np.maximum(distance, 0.2))[..., None]
        low, high = points.min(1), points.max(1)
        side = (high - low).max(1, keepdims=True) * config.margin
        off = rng.normal(0, config.center_sigma, (count, 2)) * side
        side = side * np.exp(rng.normal(0, config.scale_sigma, (count, 1)))
        places = (points - ((low + high) / 2 + off)[:, None]) / side[:, None] + 0.5
        sigma = _log_uniform(rng, config.noise, count)
        sigma = np.where(rng.random((count, NUM_JOINTS)) < config.lost_p, config.lost_sigma, sigma)
        noisy = (places + rng.normal(size=places.shape) * sigma[..., None]).astype(np.float32)
        # a network's certainty is a guess itself
        log_std = np.log(sigma * config.margin) + rng.normal(0, config.certainty_sigma, sigma.shape)
        return noisy, log_std.astype(np.float32)


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float], count: int) -> NDArray[np.float64]:
    """(count, 1) numbers evenly spread in the logarithm."""
    low, high = np.log(limits)
    return np.exp(rng.uniform(low, high, (count, 1)))


def any_rotations(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """(count, 3, 3) rotations, all alike probable (from normal quaternions)."""
    return np.asarray(matrix_from_quaternion(rng.normal(size=(count, 4))), np.float64)


def poses_of(records: Iterable[Record]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N, 16, 3, 3) rotations and (N, 10) betas of the records whose pose is known, as right hands; the records
    themselves, with their images, are let go one by one."""
    right = (mirror_left(record) for record in records if record["has_pose"][0])
    rotations, betas = zip(*((record["rotations"][0], record["betas"][0]) for record in right), strict=True)
    return np.stack(rotations).astype(np.float32), np.stack(betas).astype(np.float32)


def skeleton_terms(head: nn.Module, config: Any, batch: SkeletonBatch, hand: SampledHand) -> Terms:
    """The terms `TAUGHT`, of what a pose head says of places alone.

    Args:
        head: a `ManoHead` that sees places, or a `PlacesPoseHead`.
        config: of its network: `code` and `size`.
        batch: of `LiftBatches`.
        hand: skinning.
    """
    places, count = batch["places"], len(batch["places"])
    code = places.new_zeros(count, config.code)
    if isinstance(head, PlacesPoseHead):
        said = head(places * config.size, batch["log_std"], code)
    else:
        said = head(code, places)
    ones = places.new_ones(count)
    target: CropBatch = {
        "rotations": batch["rotations"],
        "betas": batch["betas"],
        "joints": batch["joints"],
        "keypoints": places,
        "visible": places.new_ones(count, NUM_JOINTS),
        "presence": ones,
        "right": ones,
        "has_pose": ones,
        "has_joints": ones,
        "has_visible": ones,
        "has_keypoints": ones,
        "hand_box": places.new_tensor([0.0, 0.0, 1.0, 1.0]).expand(count, 4),
    }
    answer = HandOutput(places, said.rotations, said.betas, said.visibility_logit, code)
    terms = hand_terms(answer, target, hand)
    return {name: terms[name] for name in TAUGHT}
