"""Content-aware conditions (HandBooster, section 3.2): maps of texture and normals, and the hand's orientation.

Drawn by the scene engine from a sample's labels alone, the same for rendered scenes, photographs with a fitted hand
and conditions that nobody has an image of. All show a right hand: left ones are mirrored, as for the crop networks.
The hand's texture is a colour for each of its 16 parts (no map says how a photographed skin looks), an object's the
mean colour that each of its surfaces has in the sample's image.
"""

import colorsys
import threading
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, SIDES, Side
from prehend.errors import AssetError
from prehend.geometry.camera import rotation_camera_crop, scale_camera
from prehend.geometry.rotations import quaternion_from_matrix
from prehend.hand_model.asset import load_hand_model
from prehend.types import Camera
from prehend_training.grasps.hand import vertex_normals
from prehend_training.objects import Solid, catalogue
from prehend_training.sample import HAND_CODE, OBJECT_CODE, OTHER_CODE, HandLabel, ObjectLabel, Sample
from prehend_training.scenes.appearance.lighting import Lighting
from prehend_training.scenes.geometry import VERTEX, Geometry, join
from prehend_training.scenes.layout.scene import plain_thing
from prehend_training.scenes.people.body import PARTS
from prehend_training.scenes.render.build import thing_geometry
from prehend_training.scenes.render.raster import Picture, Rasterizer, Span, StagedScene

_UNSEEN_COLOUR = (150, 150, 150)
"""Of surfaces of which the image shows nothing."""
_LEAST_PX = 4
_DARK = Lighting(np.zeros((9, 3)), np.array([0, 0, -1.0]), np.zeros(3), 0.01, np.zeros((0, 3)), np.zeros((0, 3)), 0, 0)


class Condition(NamedTuple):
    """What an image is made for.

    Attributes:
        texture: (S, S, 3) uint8, black beside hand and object.
        normals: (S, S, 3) int8, 127 times the unit normal in the (mirrored) camera frame, 0 beside them.
        front: (S, S) bool, hand or object.
        orientation: (4,) float32 unit quaternion x, y, z, w >= 0, from the hand to the crop's virtual camera.
        mirrored: it is of a left hand.
        segmentation: (S, S) uint8 as in `Sample`, not mirrored; what is neither hand nor object is `OTHER_CODE`, for
            nobody knows what is made there, and no background may be put behind it.
    """

    texture: NDArray[np.uint8]
    normals: NDArray[np.int8]
    front: NDArray[np.bool_]
    orientation: NDArray[np.float32]
    mirrored: bool
    segmentation: NDArray[np.uint8]


def why_unusable(sample: Sample) -> str | None:
    """Why a sample teaches nothing: no maps can be drawn of it, or they lack what it shows; None if neither."""
    if sample.hands and sample.hands[0].grasp and sample.hands[0].object_index is None:
        return "holds something unknown"
    return why_unmapped(sample)


def why_unmapped(sample: Sample) -> str | None:
    """Why no condition can be drawn of a sample, None where one can."""
    if not sample.hands:
        return "no hand"
    hand = sample.hands[0]
    if hand.rotations is None or not len(hand.vertices_m) or not hand.has_joints:
        return "no hand in metres"
    if any(thing.object_id not in catalogue() for thing in sample.objects):
        return "an object that is not in the catalogue"
    return None


def check_hand_model(sample: Sample, where: str) -> None:
    """Raise `AssetError` unless the first hand of a sample has the mesh of the shipped hand model."""
    vertices, expected = len(sample.hands[0].vertices_m), len(_surface(SIDES[1])[1])
    if vertices not in (0, expected):
        raise AssetError(
            f"{where}: conditions of another hand model ({vertices} vertices, expected {expected}): make them with "
            "`prehend-train boost create` or `boost fit` of this version"
        )


def draw_condition(sample: Sample, size_px: int) -> Condition:
    """The condition of a sample's first hand and the sample's objects.

    Args:
        sample: one that `why_unmapped` has nothing against.
        size_px: side of the maps.

    Raises:
        AssetError: it is of another hand model, or of an object that is not in the catalogue.
    """
    check_hand_model(sample, repr(sample.frame_id))
    hand = sample.hands[0]
    camera = scale_camera(sample.camera, size_px, size_px)
    picture = _draw(_staged(hand, sample.objects), camera)
    entity, part = np.divmod(picture.codes.astype(np.int64), PARTS)
    drawn = picture.codes >= 0
    image = np.asarray(cv2.resize(sample.image, (size_px, size_px), interpolation=cv2.INTER_AREA), np.uint8)
    texture = np.zeros((size_px, size_px, 3), np.uint8)
    of_hand = drawn & (entity == HAND_CODE)
    texture[of_hand] = palette()[part[of_hand]]
    for surface in np.unique(picture.codes[drawn & ~of_hand]):
        where = picture.codes == surface
        texture[where] = image[where].mean(0) if where.sum() >= _LEAST_PX else _UNSEEN_COLOUR
    R = rotation_camera_crop(np.full(2, (size_px - 1) / 2), camera).T @ np.asarray(hand.rotations, np.float64)[0]
    normals = np.rint(127 * picture.normals * drawn[..., None]).astype(np.int8)
    mirrored = hand.side == "left"
    if mirrored:
        R, texture, normals = MIRROR @ R @ MIRROR, texture[:, ::-1], normals[:, ::-1] * np.array([-1, 1, 1], np.int8)
    return Condition(
        texture=np.ascontiguousarray(texture),
        normals=np.ascontiguousarray(normals),
        front=np.ascontiguousarray(drawn[:, ::-1] if mirrored else drawn),
        orientation=quaternion_from_matrix(R).astype(np.float32),
        mirrored=mirrored,
        segmentation=np.where(drawn, entity, OTHER_CODE).astype(np.uint8),
    )


def at_size(sample: Sample, size_px: int) -> Sample:
    """A square sample scaled to another side, with all labels; its maps are left out."""
    factor = size_px / sample.camera.width
    shift = (factor - 1) / 2
    image = np.asarray(cv2.resize(sample.image, (size_px, size_px), interpolation=cv2.INTER_AREA), np.uint8)
    segmentation = None if sample.segmentation is None else np.asarray(
        cv2.resize(sample.segmentation, (size_px, size_px), interpolation=cv2.INTER_NEAREST), np.uint8
    )  # fmt: skip
    moved: dict[str, Any] = {
        name: tuple(
            replace(label, keypoints_px=label.keypoints_px * factor + shift, box_px=label.box_px * factor + shift)
            for label in getattr(sample, name)
        )
        for name in ("hands", "objects")
    }
    camera = scale_camera(sample.camera, size_px, size_px)
    return replace(sample, image=image, segmentation=segmentation, camera=camera, maps=None, **moved)


@lru_cache(maxsize=1)
def palette() -> NDArray[np.uint8]:
    """(16, 3) colour of each part of the hand: a hue for each finger, brighter towards its tip; the palm is grey."""
    colours = [(0.75, 0.75, 0.75)]
    for joint in range(15):
        finger, bone = divmod(joint, 3)
        colours.append(colorsys.hsv_to_rgb(finger / 5, 0.65, 0.5 + 0.25 * bone))
    return np.rint(255 * np.array(colours)).astype(np.uint8)


_OF_THREAD = threading.local()


def _draw(staged: StagedScene, camera: Camera) -> Picture:
    """What a camera whose frame is the world sees, without textures and light; one rasteriser for each thread, for an
    OpenGL context belongs to the thread that made it."""
    if not hasattr(_OF_THREAD, "rasterizer"):
        _OF_THREAD.rasterizer = Rasterizer(np.full((1, 4, 4, 3), 255, np.uint8))
    rasterizer: Rasterizer = _OF_THREAD.rasterizer
    rasterizer.load(staged, _DARK, False)
    return rasterizer.draw(camera, np.eye(4), np.zeros((camera.height, camera.width, 3), np.uint8))


def solid_of(label: ObjectLabel) -> Solid:
    """The solid of a label, at its size.

    Raises:
        AssetError: the catalogue has none.
    """
    if label.object_id not in catalogue():
        raise AssetError(
            f"'{label.object_id}' is not in the catalogue: name its folder in PREHEND_OBJECTS, or leave it out"
        )
    solid = catalogue()[label.object_id]
    return solid.stretched(np.asarray(label.extents_m, np.float64) / solid.extents_m)


def _staged(hand: HandLabel, objects: tuple[ObjectLabel, ...]) -> StagedScene:
    parts = [_hand_geometry(hand), *(_object_geometry(thing, OBJECT_CODE + k) for k, thing in enumerate(objects))]
    whole = join(parts)
    count = len(parts[0].faces)
    nothing = Span(0, 0)
    things = Span(count, len(whole.faces) - count)
    return StagedScene(whole, nothing, Span(0, count), nothing, nothing, things, (), hand.vertices_m)


@lru_cache(maxsize=2)
def _surface(side: Side) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """(F, 3) faces of a hand, and (V,) which of MANO's 16 joints moves each vertex most."""
    model = load_hand_model(side=side)
    return model.faces.astype(np.int32), np.asarray(model.weights.argmax(1), np.int64)


def _hand_geometry(hand: HandLabel) -> Geometry:
    faces, parts = _surface(hand.side)
    points = np.asarray(hand.vertices_m, np.float64)
    vertices = np.zeros(len(points), VERTEX)
    vertices["position"], vertices["normal"] = points, vertex_normals(points, faces)
    vertices["uvw"][:, 2] = -1
    vertices["code"] = HAND_CODE * PARTS + parts
    return Geometry(vertices, faces)


def _object_geometry(label: ObjectLabel, entity: int) -> Geometry:
    solid = solid_of(label)
    thing = plain_thing(solid, np.asarray(label.T_camera_object, np.float64), np.ones(3))
    geometry = thing_geometry(thing, entity)
    geometry.vertices["code"] += np.minimum(solid.mesh().part, PARTS - 1)
    return geometry
