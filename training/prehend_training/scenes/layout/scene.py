"""What a scene is made of, before anything is drawn: numbers only."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, Side
from prehend.types import Camera
from prehend_training.objects import Solid
from prehend_training.sample import HAND_PARTS
from prehend_training.scenes.appearance.lighting import Lighting
from prehend_training.scenes.camera.effects import CameraEffects
from prehend_training.scenes.people.body import Arm
from prehend_training.scenes.people.clothing import Outfit

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Thing:
    """A solid somewhere.

    Attributes:
        solid: its shape.
        pose: (4, 4) from the object frame to the world (or the hand, where a function says so).
        colours: (P, 3) linear albedo of each of the solid's surfaces.
        layers: (P,) int, texture of each, -1 for none.
        tiling: (P, 2) repeats of the textures.
        gloss: (P, 2) specular strength and gloss.
    """

    solid: Solid
    pose: Array
    colours: Array
    layers: NDArray[np.integer]
    tiling: Array
    gloss: Array


def plain_thing(solid: Solid, pose: Array, colour: Array, layer: int = -1, tiling: float = 1.0) -> Thing:
    """A dull object of one linear colour (3,), with texture `layer` all over."""
    count = len(solid.surfaces)
    materials = np.full(count, layer), np.full((count, 2), tiling), np.tile([0.3, 8.0], (count, 1))
    return Thing(solid, pose, np.tile(np.asarray(colour, np.float64), (count, 1)), *materials)


@dataclass(frozen=True)
class Hand:
    """A hand. All but `side` and what follows `outfit` describe a right hand; for a left one its world is mirrored.

    Attributes:
        side: which hand it becomes.
        rotations: (16, 3, 3), the first from the hand to the (mirrored, x -> -x) world.
        betas: (10,).
        wrist_m: (3,) where joint 0 is, (mirrored) world.
        joints_m: (21, 3), (mirrored) world.
        model_m: (V, 3) as the hand model has them, without the forearm, (mirrored) world.
        vertices_m: (W, 3) as they are drawn: with the forearm, the wrist bent, (mirrored) world.
        arm: bend of wrist and elbow.
        outfit: its skin and what it wears.
        object_index: number in `Scene.objects` of the object it holds or touches, None for nothing.
        grasp: that object moves with the hand.
        displaced: that object has left its first pose (the papers' grasp rule).
        contact: (6,) bool, which of `sample.HAND_PARTS` touch it.
    """

    side: Side
    rotations: Array
    betas: Array
    wrist_m: Array
    joints_m: Array
    model_m: Array
    vertices_m: Array
    arm: Arm
    outfit: Outfit
    object_index: int | None = None
    grasp: bool = False
    displaced: bool = False
    contact: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(len(HAND_PARTS), np.bool_))


@dataclass(frozen=True)
class Table:
    """A plane to put things on: (4, 4) pose with z out of its top, half side [m], texture, tiling, colour."""

    pose: Array
    half_m: float
    layer: int
    tiling: float
    colour: Array


@dataclass(frozen=True)
class SceneCamera:
    """A camera somewhere in the world.

    Attributes:
        camera: intrinsics, distortion and size of its image.
        T_camera_world: (4, 4).
        effects: what it makes of the light.
        name: "cam0", "ego", ...
    """

    camera: Camera
    T_camera_world: Array
    effects: CameraEffects
    name: str = "cam0"


@dataclass(frozen=True)
class Scene:
    """A whole scene at one instant, in one world frame.

    Single images have the optical frame of their camera as the world; with several cameras or a sequence the world's
    z points up and the table top is at z = 0.

    Attributes:
        hands: those with labels.
        objects: objects with labels, held, touched or not.
        strangers: hands without labels near the labelled one; they count as clutter.
        clutter: objects without labels in front or beside.
        scenery: objects far enough behind to count as background, and the people the hands belong to.
        table: or None.
        lighting: in the world.
        background_seed: of the image behind everything.
    """

    hands: tuple[Hand, ...]
    objects: tuple[Thing, ...]
    strangers: tuple[Hand, ...]
    clutter: tuple[Thing, ...]
    scenery: tuple[Thing, ...]
    table: Table | None
    lighting: Lighting
    background_seed: int


def mirror_rotation(R: Array) -> Array:
    """Rotations (..., 3, 3) as the mirror x -> -x shows them."""
    return MIRROR @ R @ MIRROR


def mirror_thing_pose(pose: Array) -> Array:
    """Pose (4, 4) of an object in the mirror; the solids look the same when their own y is reflected, so it is
    rigid."""
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    own = np.diag([1.0, -1.0, 1.0, 1.0])
    return flip @ pose @ own


def true_points(hand: Hand, points: Array) -> Array:
    """Points (..., 3) of a hand's own (mirrored, for a left one) world in the true one."""
    return points * MIRROR.diagonal() if hand.side == "left" else points


def moved(hand: Hand, shift_m: Array) -> Hand:
    """The hand shifted by (3,) in the true world; what it holds stays."""
    own = true_points(hand, shift_m)
    return replace(
        hand, **{name: getattr(hand, name) + own for name in ("wrist_m", "joints_m", "model_m", "vertices_m")}
    )


def moved_thing(thing: Thing, shift_m: Array) -> Thing:
    """The object shifted by (3,)."""
    pose = thing.pose.copy()
    pose[:3, 3] += shift_m
    return replace(thing, pose=pose)
