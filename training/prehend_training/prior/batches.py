"""Batches for HHMR: posed hands, a time, noise, and conditions that are hidden in whole or in part (section 4.2)."""

from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray

from prehend.conventions import FINGERS
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.meshes.pyramid import NUM_PARTS
from prehend.models.meshes.hhmr import TIMES
from prehend_training.data.base import BatchSource
from prehend_training.data.batch import ArrayDict, Of
from prehend_training.losses.crop import SampledHand
from prehend_training.losses.lifting import any_rotations
from prehend_training.prior.poses import Poses, natural_poses

FINGER_OF_JOINT = np.array([len(FINGERS), *np.repeat(np.arange(len(FINGERS)), 4)])
"""(21,) number of the finger of each joint; the wrist is the palm's."""


class PriorBatch(TypedDict, total=False):
    """Hands in their own frame, as HHMR sees them; what a `_known` hides is void. Beside them the images of crops."""

    image: Annotated[Any, Of("S S 3", "uint8 RGB", "the crop; in training (3, S, S) float, 0 to 1")]
    has_pose: Annotated[Any, Of("", "0/1", "`rotations` and `betas` are known")]
    rotations: Annotated[Any, Of("16 3 3", "", "rotation matrices; the first from the hand to the camera")]
    betas: Annotated[Any, Of("10", "", "shape of the hand")]
    time: Annotated[Any, Of("1", "", "step of the forward process over their number")]
    noise: Annotated[Any, Of("V 3", "", "normal noise of the mesh")]
    places: Annotated[Any, Of("21 2", "", "joints in an image, of any size and place")]
    places_known: Annotated[Any, Of("21", "0/1", "joints whose places are told")]
    joints: Annotated[Any, Of("21 3", "m", "in the hand's frame relative to the wrist, with noise")]
    joints_known: Annotated[Any, Of("21", "0/1", "joints that are told in space")]
    pieces_known: Annotated[Any, Of("6", "0/1", "fingers and palm whose mesh is told")]
    patches_known: Annotated[Any, Of("P", "0/1", "patches of the image that are told, the global one first")]


@dataclass(frozen=True)
class ConditionConfig:
    """How conditions come and go; the paper tells that they do, not how often.

    Attributes:
        nothing_p: probability that nothing is known.
        hidden_p: of each modality (image, places, joints, mesh) to be hidden.
        finger_p: of each finger of a skeleton or mesh to be hidden.
        joint_p: of each joint to be hidden.
        patch_p: of each patch of an image to be hidden.
        joints_sigma_m: least and largest deviation of joints in space, drawn evenly in the logarithm [m].
        places_sigma: the same of joints in the image, in shares of the hand's width.
        turn_sigma_rad: how far the frame that joints in space are told in is off, about any axis [rad].
        distance_m: nearest and farthest wrist, drawn evenly in the logarithm [m].
        upright: leave the hand's direction as the image has it; else any direction comes half of the time.
    """

    nothing_p: float = 0.15
    hidden_p: float = 0.5
    finger_p: float = 0.25
    joint_p: float = 0.05
    patch_p: float = 0.2
    joints_sigma_m: tuple[float, float] = (0.0005, 0.008)
    places_sigma: tuple[float, float] = (0.002, 0.03)
    turn_sigma_rad: float = 0.05
    distance_m: tuple[float, float] = (0.25, 1.6)
    upright: bool = False


@dataclass(frozen=True)
class PriorBatches:
    """Batches of a prior.

    Attributes:
        poses: to draw from; None where `crops` brings its own.
        crops: batches of crops with images, or None.
        config: of the conditions.
        vertices: that have noise. patches: tokens of an image.
        seed: with the step's number, decides everything.
        batch_size: samples a step.
        natural_p: share of random natural poses beside those of `poses`.
    """

    poses: Poses | None
    crops: BatchSource | None
    config: ConditionConfig
    vertices: int
    patches: int
    seed: int
    batch_size: int
    natural_p: float = 0.25
    hand: SampledHand = field(default_factory=lambda: SampledHand(load_hand_model(), count=0), repr=False)

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> ArrayDict:
        """The arrays of `PriorBatch`."""
        size, (k, n) = self.batch_size, part
        rows = slice(k * size // n, (k + 1) * size // n)
        # all is drawn for the whole batch, so that several processes see what one does
        rng = np.random.default_rng([self.seed, step, 0, 18])
        if self.crops is None:
            made = {name: values[rows] for name, values in self._hands(rng, size).items()}
        else:
            made = self._of_crops(step, part)
        joints = _of_whole(self._joints(made["rotations"], made["betas"]), rows, size)
        time = rng.integers(TIMES, size=(size, 1)).astype(np.float32) / np.float32(TIMES)
        noise = rng.standard_normal((size, self.vertices, 3), np.float32)
        drawn = self._conditions(rng, joints, _of_whole(made["rotations"][:, 0], rows, size))
        return {**made, **{name: values[rows] for name, values in {"time": time, "noise": noise, **drawn}.items()}}

    def _hands(self, rng: np.random.Generator, count: int) -> ArrayDict:
        assert self.poses is not None
        rows = rng.integers(len(self.poses), size=count)
        rotations, betas = self.poses.rotations[rows], self.poses.betas[rows]
        natural = rng.random(count) < self.natural_p
        if natural.any():
            others = natural_poses(rng, int(natural.sum()))
            rotations[natural, 1:] = others.rotations[:, 1:]
        anywhere = rng.random(count) < (0 if self.config.upright else 0.5)
        rotations[anywhere, 0] = any_rotations(rng, int(anywhere.sum()))
        return {"rotations": rotations, "betas": betas, "has_pose": np.ones(count, np.float32)}

    def _of_crops(self, step: int, part: tuple[int, int]) -> ArrayDict:
        assert self.crops is not None
        made = self.crops.batch(step, part)
        given = {name: np.asarray(made[name]) for name in ("image", "has_pose", "rotations", "betas")}
        # what nobody knows of a photograph has no numbers: a loss that counts nothing of them would have none either
        unknown = given["has_pose"] == 0
        given["rotations"] = np.where(unknown[:, None, None, None], np.eye(3, dtype=np.float32), given["rotations"])
        given["betas"] = np.where(unknown[:, None], np.float32(0), given["betas"])
        return given

    def _joints(self, rotations: NDArray[np.float32], betas: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, 21, 3) in the hand's frame, relative to the wrist [m]."""
        turns = rotations.copy()
        turns[:, 0] = np.eye(3)
        with torch.no_grad():
            joints = self.hand(torch.from_numpy(turns), torch.from_numpy(betas)).joints.numpy()
        return joints - joints[:, :1]

    def _conditions(
        self, rng: np.random.Generator, joints: NDArray[np.float32], turns: NDArray[np.float32]
    ) -> ArrayDict:
        config, count = self.config, len(joints)
        told = rng.random((4, count)) >= config.hidden_p
        told[:, rng.random(count) < config.nothing_p] = False
        joints_known, places_known = (self._shown(rng, told[k], FINGER_OF_JOINT) for k in (0, 1))
        for known in (joints_known, places_known):
            known *= rng.random(known.shape) >= config.joint_p
        patches = np.broadcast_to(told[3][:, None], (count, self.patches))
        return {
            "joints": self._in_space(rng, joints),
            "joints_known": joints_known,
            "places": self._in_picture(rng, joints, turns),
            "places_known": places_known,
            "pieces_known": self._shown(rng, told[2], np.arange(NUM_PARTS)),
            "patches_known": (patches & (rng.random(patches.shape) >= config.patch_p)).astype(np.float32),
        }

    def _shown(
        self, rng: np.random.Generator, told: NDArray[np.bool_], fingers: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """(B, N) what is told where fingers are hidden at random; the palm is always there."""
        shown = rng.random((len(told), len(FINGERS) + 1)) >= self.config.finger_p
        shown[:, -1] = True
        return (told[:, None] & shown[:, fingers]).astype(np.float32)

    def _in_space(self, rng: np.random.Generator, joints: NDArray[np.float32]) -> NDArray[np.float32]:
        config, count = self.config, len(joints)
        turn = matrix_from_axis_angle(rng.normal(0, config.turn_sigma_rad, (count, 3)))
        sigma = _log_uniform(rng, config.joints_sigma_m, count)
        noisy = joints @ np.swapaxes(turn, 1, 2) + rng.normal(size=joints.shape) * sigma
        return (noisy - noisy[:, :1]).astype(np.float32)

    def _in_picture(
        self, rng: np.random.Generator, joints: NDArray[np.float32], turns: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        config, count = self.config, len(joints)
        turned = joints @ np.swapaxes(turns, 1, 2)
        distance = np.maximum(_log_uniform(rng, config.distance_m, count), 0.2)
        places = turned[..., :2] / (turned[..., 2:] - turned[..., 2:].mean(1, keepdims=True) + distance)
        width = np.ptp(places, axis=1).max(1)[:, None, None]
        noise = rng.normal(size=places.shape) * _log_uniform(rng, config.places_sigma, count)
        return (places / width + noise).astype(np.float32)


def _of_whole(values: NDArray[np.float32], rows: slice, size: int) -> NDArray[np.float32]:
    """The values (K, ...) of some rows of a batch, for all (size, ...) of it: the others have the first one's."""
    whole = np.repeat(values[:1], size, 0)
    whole[rows] = values
    return whole


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float], count: int) -> NDArray[np.float64]:
    """(count, 1, 1) numbers evenly spread in the logarithm."""
    low, high = np.log(limits)
    return np.exp(rng.uniform(low, high, (count, 1, 1)))
