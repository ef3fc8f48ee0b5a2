"""What a scene is made of, before anything is drawn: numbers only."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, Side
from prehend_training.scenes.body import Arm, Cloth
from prehend_training.scenes.camera_look import CameraLook
from prehend_training.scenes.objects import Solid
from prehend_training.scenes.raster import Lighting

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Thing:
    """A solid somewhere.

    Attributes:
        solid: its shape.
        pose: (4, 4) from the object frame to the camera (or the hand, where a function says so).
        colours: (P, 3) linear albedo of its parts, used in turn.
        layer: texture of its first part, -1 for none.
        tiling: (2,) repeats of the texture.
        gloss: (2,) specular strength, gloss.
    """

    solid: Solid
    pose: Array
    colours: Array
    layer: int
    tiling: Array
    gloss: Array


@dataclass(frozen=True)
class Hand:
    """A hand. All but `side` and `held` describe a right hand; for a left one its camera frame is mirrored (x -> -x).

    Attributes:
        side: which hand it becomes.
        rotations: (16, 3, 3), the first from the hand to the (mirrored) camera frame.
        betas: (10,).
        wrist_m: (3,) where joint 0 is, (mirrored) camera frame.
        joints_m: (21, 3), (mirrored) camera frame.
        model_m: (V, 3) as the hand model has them, without the forearm, (mirrored) camera frame.
        vertices_m: (W, 3) as they are drawn: with the forearm, the wrist bent, (mirrored) camera frame.
        arm: bend of wrist and elbow.
        cloths: sleeves and bands.
        skin_seed: of its colours.
        gloss: (3,) specular strength, gloss, translucency.
        held: what it holds, in the true camera frame, None for nothing.
    """

    side: Side
    rotations: Array
    betas: Array
    wrist_m: Array
    joints_m: Array
    model_m: Array
    vertices_m: Array
    arm: Arm
    cloths: tuple[Cloth, ...]
    skin_seed: int
    gloss: Array
    held: Thing | None = None


@dataclass(frozen=True)
class Table:
    """A plane to put things on: (4, 4) pose with z out of its top, half side [m], texture, tiling, colour."""

    pose: Array
    half_m: float
    layer: int
    tiling: float
    colour: Array


@dataclass(frozen=True)
class View:
    """A pinhole camera: (3, 3) intrinsics [px] and the size of its image."""

    K: Array
    width: int
    height: int


@dataclass(frozen=True)
class Scene:
    """A whole scene.

    Attributes:
        hands: at most two.
        strangers: hands without labels near the labelled one; they count as things.
        things: what no hand holds: beside, behind or in front.
        scenery: things far enough behind to count as background, and the people the hands belong to.
        table: or None.
        lighting: in the camera frame.
        look: what the camera makes of it.
        background_seed: of the picture behind everything.
    """

    hands: tuple[Hand, ...]
    strangers: tuple[Hand, ...]
    things: tuple[Thing, ...]
    scenery: tuple[Thing, ...]
    table: Table | None
    lighting: Lighting
    look: CameraLook
    background_seed: int


def mirror_rotation(R: Array) -> Array:
    """Rotations (..., 3, 3) as the mirror x -> -x shows them."""
    return MIRROR @ R @ MIRROR


def mirror_thing_pose(pose: Array) -> Array:
    """Pose (4, 4) of a thing in the mirror; the solids look the same when their own y is reflected, so it is rigid."""
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    own = np.diag([1.0, -1.0, 1.0, 1.0])
    return flip @ pose @ own


def true_points(hand: Hand, points: Array) -> Array:
    """Points (..., 3) of a hand's own camera frame in the true one."""
    return points * MIRROR.diagonal() if hand.side == "left" else points


def moved(hand: Hand, shift_m: Array) -> Hand:
    """The hand and what it holds, shifted by (3,) in the true camera frame."""
    own = true_points(hand, shift_m)
    held = hand.held
    if held is not None:
        pose = held.pose.copy()
        pose[:3, 3] += shift_m
        held = replace(held, pose=pose)
    places = {name: getattr(hand, name) + own for name in ("wrist_m", "joints_m", "model_m", "vertices_m")}
    return replace(hand, held=held, **places)
