"""A hand in front of cameras in a ring, and what each of them would say of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from prehend.conventions import SIDES, Side
from prehend.geometry.camera import project
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.skinning import skin
from prehend.rig.views.records import View
from prehend.types import Box, Camera, GraspEstimate, HandEstimate

MODELS = {side: load_hand_model(side=side).without_forearm() for side in SIDES}
CAMERA = Camera(np.array([[600.0, 0, 319.5], [0, 600.0, 239.5], [0, 0, 1]]), 640, 480)


@dataclass(frozen=True)
class TrueHand:
    """A hand in the rig's frame."""

    side: Side
    rotations: np.ndarray
    betas: np.ndarray
    joints: np.ndarray
    vertices: np.ndarray


def make_hand(side: Side = "right", seed: int = 0, center=(0.0, 0.0, 0.0)) -> TrueHand:
    """A hand of some pose and shape with its middle at a place [m]."""
    rng = np.random.default_rng(seed)
    turns = np.concatenate([rng.normal(size=(1, 3)), rng.normal(scale=0.25, size=(15, 3))])
    rotations, betas = matrix_from_axis_angle(turns), rng.normal(scale=0.7, size=10)
    posed = skin(MODELS[side], rotations, betas)
    shift = np.asarray(center) - posed.joints.mean(0)
    return TrueHand(side, rotations, betas, posed.joints + shift, posed.vertices + shift)


def ring(count: int, radius_m: float = 0.5, seed: int = 0) -> list[np.ndarray]:
    """(4, 4) T_rig_camera of cameras around the origin that look at it."""
    rng = np.random.default_rng(seed)
    poses = []
    for k in range(count):
        angle = 2 * np.pi * k / max(count, 3) + 0.3
        place = radius_m * np.array([np.sin(angle), rng.uniform(-0.4, -0.1), -np.cos(angle)])
        z = -place / np.linalg.norm(place)
        x = np.cross([0.0, 1.0, 0.0], z)
        x /= np.linalg.norm(x)
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = np.stack([x, np.cross(z, x), z], axis=1), place
        poses.append(T)
    return poses


@dataclass
class Errors:
    """What a view gets wrong: pixels, distance (a factor), turns [rad], shape."""

    px: float = 0.0
    depth: float = 0.0
    turn: float = 0.0
    betas: float = 0.0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))


def seen(truth: TrueHand, T: np.ndarray, errors: Errors, track_id: int = 1, camera: Camera = CAMERA) -> HandEstimate:
    """What a camera says of a hand."""
    rng = errors.rng
    joints = (truth.joints - T[:3, 3]) @ T[:3, :3]
    keypoints = (
        project(joints, camera) + rng.normal(scale=errors.px, size=(21, 2)) if errors.px else project(joints, camera)
    )
    factor = 1 + errors.depth * rng.normal()
    turns = matrix_from_axis_angle(errors.turn * rng.normal(size=(16, 3)))
    rotations = turns @ np.concatenate([(T[:3, :3].T @ truth.rotations[0])[None], truth.rotations[1:]])
    betas = truth.betas + errors.betas * rng.normal(size=10)
    posed = skin(MODELS[truth.side], rotations, betas) if errors.turn or errors.betas else None
    own = joints if posed is None else posed.joints - posed.joints.mean(0) + joints.mean(0)
    own = own + (factor - 1) * joints.mean(0)
    return HandEstimate(
        track_id=track_id,
        side=truth.side,
        score=0.95,
        box_px=Box.around(keypoints),
        keypoints_px=keypoints,
        joints_m=own,
        vertices_m=np.zeros((0, 3), np.float32),
        rotations=rotations,
        betas=betas,
        visible=np.ones(21, np.bool_),
        grasp=GraspEstimate("not_grasping", 0.1),
        fit_error_px=1.0,
        position_std_m=0.04,
        keypoint_std_px=np.full(21, max(errors.px, 0.5)),
        side_score=0.97,
    )


@dataclass
class Rig:
    """Cameras that see hands."""

    poses: list[np.ndarray]
    names: list[str]

    def views(self, hands: list[TrueHand], errors: Errors | None = None, **changes) -> list[View]:
        """What each camera says; `changes` maps a camera's name to what its hands have else."""
        errors = errors or Errors()
        views = []
        for name, T in zip(self.names, self.poses, strict=True):
            found = [replace(seen(hand, T, errors, k), **changes.get(name, {})) for k, hand in enumerate(hands, 1)]
            views.append(View(name, CAMERA, T, tuple(found)))
        return views


@pytest.fixture
def new_rig() -> Callable[[int], Rig]:
    return lambda count: Rig(ring(count), [f"cam{k}" for k in range(count)])


@pytest.fixture
def new_hand() -> Callable[..., TrueHand]:
    return make_hand


@pytest.fixture
def errors() -> type[Errors]:
    return Errors
