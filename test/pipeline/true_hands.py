"""Hands of which everything is known, and the image that they are seen in: a ramp whose pixels say where they are."""

from dataclasses import dataclass, field, replace

import numpy as np

from prehend.conventions import MIRROR, Side
from prehend.geometry.camera import project
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.skinning import skin
from prehend.pipeline.crops.crop import direction_of
from prehend.pipeline.networks.decode import DecodedHand
from prehend.types import Camera

WIDTH, HEIGHT = 256, 192
EXTENTS = np.array([0.06, 0.09, 0.16])
MODELS = {side: load_hand_model(side=side) for side in ("left", "right")}


@dataclass(frozen=True)
class TrueHand:
    """A hand in the scene, with what it holds."""

    side: Side
    rotations: np.ndarray
    translation: np.ndarray
    betas: np.ndarray = field(default_factory=lambda: np.zeros(10))
    grasp: bool = False
    T_camera_object: np.ndarray | None = None
    presence: float = 5.0
    found_as: Side | None = None

    @property
    def joints(self) -> np.ndarray:
        return self.skinned.joints

    @property
    def skinned(self):
        return skin(MODELS[self.side], self.rotations, self.betas, self.translation)

    def decoded(self, camera: Camera) -> DecodedHand:
        """What the pipeline makes of it where the network makes no mistake; its place is known to 4 cm."""
        return DecodedHand(
            keypoints_px=project(self.joints, camera),
            joints_m=self.joints,
            vertices_m=self.skinned.vertices.astype(np.float32),
            rotations=self.rotations,
            betas=self.betas,
            visible=np.ones(21, np.bool_),
            fit_error_px=1.0,
            position_std_m=0.04,
        )

    def mirrored(self) -> "TrueHand":
        """The same scene in the mirror x -> -x; the object is its own mirror image at its plane y = 0."""
        T = self.T_camera_object
        if T is not None:
            flip_object = np.diag([1.0, -1, 1, 1])
            T = np.diag([-1.0, 1, 1, 1]) @ T @ flip_object
        return replace(
            self,
            side="left" if self.side == "right" else "right",
            rotations=MIRROR @ self.rotations @ MIRROR,
            translation=self.translation * [-1, 1, 1],
            T_camera_object=T,
        )


def make_hand(side: Side, x: float, seed: int = 0, z: float = 0.62, grasp: bool = False) -> TrueHand:
    """A bent hand at a place [m], with a brick in it if it grasps.

    Far enough that crops enlarge the ramp: at a scale of 1 all its pixels would be rounded the same way.
    """
    rng = np.random.default_rng(seed)
    rotations = matrix_from_axis_angle(rng.normal(0, 0.25, (16, 3)))
    rotations[0] = matrix_from_axis_angle(rng.normal(0, 1.0, 3))
    T = np.eye(4)
    T[:3, :3] = matrix_from_axis_angle(rng.normal(0, 1.0, 3))
    hand = TrueHand(side, rotations, np.zeros(3), rng.normal(0, 0.5, 10), grasp)
    translation = np.array([x, 0.01, z]) - hand.joints.mean(0)
    T[:3, 3] = [x + 0.01, 0.02, z]
    return replace(hand, translation=translation, T_camera_object=T if grasp else None)


def ramp() -> np.ndarray:
    """(192, 256, 3) uint8: red is x, green is y, blue is white."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    return np.stack([x, y, np.full_like(x, 255)], -1).astype(np.uint8)


def pointing(hand: TrueHand, angle: float) -> TrueHand:
    """The hand, turned about the viewing ray through its middle until it points `angle` from the image's up."""
    middle = hand.joints.mean(0)
    now = direction_of(hand.joints[:, :2] / hand.joints[:, 2:])
    turn = matrix_from_axis_angle(np.array([0.0, 0, angle - now]))
    rotations = np.concatenate([(turn @ hand.rotations[0])[None], hand.rotations[1:]])
    other = replace(hand, rotations=rotations, translation=np.zeros(3))
    return replace(other, translation=middle - other.joints.mean(0))


def flat_hand(new_hand, side: Side, angle: float) -> TrueHand:
    """An open hand whose back is seen, in the middle of the image."""
    hand = new_hand("right", x=0.0, seed=1)
    rotations = hand.rotations.copy()
    # the hand's fingers point along its -x, its back along its y
    rotations[0] = np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]])
    middle = hand.joints.mean(0)
    flat = replace(hand, rotations=rotations, translation=np.zeros(3))
    flat = replace(flat, translation=middle - flat.joints.mean(0))
    return pointing(flat if side == "right" else flat.mirrored(), angle)
