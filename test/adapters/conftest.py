"""Hands of our model in known poses, on both sides, and a frame's estimate of one."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from prehend.conventions import MIRROR, Side
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin
from prehend.types import Box, GraspEstimate, HandEstimate

MODELS = {side: load_hand_model(side=side) for side in ("left", "right")}


@dataclass(frozen=True)
class Posed:
    """What an estimate tells of a hand."""

    side: Side
    rotations: np.ndarray
    joints_m: np.ndarray
    vertices_m: np.ndarray
    betas: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, Side]:
        return self.joints_m, self.rotations, self.side

    def estimate(self, **changes: object) -> HandEstimate:
        given = {
            "track_id": 3, "side": self.side, "score": 0.9, "box_px": Box(0, 0, 10, 10),
            "keypoints_px": self.joints_m[:, :2] / self.joints_m[:, 2:] * 600 + 320, "joints_m": self.joints_m,
            "vertices_m": self.vertices_m, "rotations": self.rotations, "betas": self.betas,
            "visible": np.ones(21, bool), "grasp": GraspEstimate("unknown", 0.5),
        }  # fmt: skip
        return HandEstimate(**(given | changes))


def pose_hand(side: Side, rotations: np.ndarray, betas: np.ndarray, translation: np.ndarray) -> Posed:
    skinned = skin(MODELS[side], rotations, betas, translation)
    return Posed(side, rotations, skinned.joints.astype(np.float64), skinned.vertices, betas)


@pytest.fixture(scope="session")
def flat() -> Callable[[Side], Posed]:
    """The zero pose: fingers along -x (right) or +x (left) of the camera, back of the hand +y, thumb +z."""
    return lambda side: pose_hand(side, np.tile(np.eye(3), (16, 1, 1)), np.zeros(10), np.array([0.02, -0.1, 0.5]))


@pytest.fixture(scope="session")
def bent() -> Callable[..., Posed]:
    """A hand in some pose anywhere, as the anatomy allows; the left one is the mirror image of the right one."""

    def make(side: Side, seed: int = 0) -> Posed:
        rng = np.random.default_rng(seed)
        model = MODELS["right"]
        low, high = np.moveaxis(model.limits_rad, -1, 0)
        angles = rng.uniform(0.8 * low, 0.8 * high)
        axes = np.stack([model.flexion_axes, model.abduction_axes, model.twist_axes], 1)
        steps = matrix_from_axis_angle(angles[..., None] * axes)
        rotations = np.concatenate(
            [matrix_from_axis_angle(rng.normal(0, 1.2, (1, 3))), steps[:, 0] @ steps[:, 1] @ steps[:, 2]]
        )
        betas, translation = rng.normal(0, 1, 10), np.array([0.1, -0.05, 0.6])
        if side == "left":
            rotations, translation = MIRROR @ rotations @ MIRROR, translation * [-1, 1, 1]
        return pose_hand(side, rotations, betas, translation)

    return make


SEEDS = (0, 1, 2)
SIDES = ("left", "right")
