"""Labels of what was drawn."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import JOINTS_FROM_MANO, TIP_JOINTS
from prehend.geometry.control_points import control_points
from prehend.types import Box
from prehend_training.sample import PART_OF_JOINT, HandLabel, ObjectLabel
from prehend_training.scenes.camera.lens import pixels
from prehend_training.scenes.layout.scene import Hand, SceneCamera, Thing, mirror_rotation, true_points
from prehend_training.scenes.people.body import PARTS, drawn_hand
from prehend_training.scenes.render.raster import Picture

Array = NDArray[np.floating]

_SKIN_PARTS = 16
_OTHER_DIGIT_M = 0.007
"""A joint lies at least this deep under its own digit's skin; another digit's skin above it is a finger in front."""


def in_camera(view: SceneCamera, points_m: Array) -> Array:
    """Points (..., 3) of the world in the camera frame."""
    return points_m @ view.T_camera_world[:3, :3].T + view.T_camera_world[:3, 3]


def hand_points(hand: Hand, view: SceneCamera) -> Array:
    """(V, 3) vertices of the hand without its forearm, in the camera frame."""
    return in_camera(view, true_points(hand, hand.model_m))


def hand_label(
    hand: Hand, entity: int, picture: Picture, view: SceneCamera, outline: NDArray[np.bool_], alone_px: float
) -> HandLabel:
    """Label of a hand.

    Args:
        hand: as it is in the scene.
        entity: its number in the image's codes.
        picture: what was drawn.
        view: the camera.
        outline: (H, W) where its skin would be seen alone.
        alone_px: area [px] that its skin would cover alone, in and outside of the image.
    """
    joints = in_camera(view, true_points(hand, hand.joints_m))
    keypoints = pixels(joints, view.camera)
    rotations = mirror_rotation(hand.rotations) if hand.side == "left" else hand.rotations.copy()
    rotations[0] = view.T_camera_world[:3, :3] @ rotations[0]
    first = entity * PARTS
    seen = ((picture.codes >= first) & (picture.codes < first + _SKIN_PARTS) & outline).sum()
    return HandLabel(
        side=hand.side,
        rotations=rotations,
        betas=hand.betas,
        joints_m=joints,
        vertices_m=hand_points(hand, view),
        keypoints_px=keypoints,
        box_px=Box.around(keypoints).as_array(),
        visible=visible_joints(joints, keypoints, picture, entity),
        visible_ratio=float(np.clip(seen / max(alone_px, 1.0), 0, 1)),
        part_vertices=_part_vertices().copy(),
        part_visible=part_visible(hand, entity, picture, view),
        grasp=hand.grasp,
        displaced=hand.displaced,
        contact=hand.contact,
        object_index=hand.object_index,
    )


def object_label(thing: Thing, view: SceneCamera) -> ObjectLabel:
    """Label of an object as a camera sees it."""
    solid, pose = thing.solid, view.T_camera_world @ thing.pose
    points = control_points(solid.extents_m, solid.center_m) @ pose[:3, :3].T + pose[:3, 3]
    keypoints = pixels(points, view.camera)
    box = Box.around(keypoints).as_array()
    return ObjectLabel(solid.object_id, pose, solid.extents_m, solid.center_m, points, keypoints, box)


@lru_cache(maxsize=1)
def vertex_parts() -> NDArray[np.int64]:
    """(V,) which of `HAND_PARTS` each vertex of the hand without forearm belongs to, by its largest weight."""
    model = drawn_hand()
    assert model.hand_mask is not None
    return np.array(PART_OF_JOINT)[model.weights[model.hand_mask].argmax(1)]


@lru_cache(maxsize=1)
def _part_vertices() -> NDArray[np.int64]:
    return np.bincount(vertex_parts(), minlength=6)


def part_visible(hand: Hand, entity: int, picture: Picture, view: SceneCamera) -> NDArray[np.int64]:
    """(6,) how many vertices of each of `HAND_PARTS` the image shows.

    H2ONet, section 3.2: a vertex counts as seen where the image shows its own part of the hand, here at one of the
    four pixels around it. So a vertex at the back of a finger is hidden by another finger, not by its own.
    """
    points = in_camera(view, true_points(hand, hand.vertices_m[drawn_hand().hand_mask]))
    height, width = picture.codes.shape
    part = picture.codes.astype(np.int64) - entity * PARTS
    # a border of two pixels, so that all four around a vertex outside the image are empty
    shown = np.pad(
        np.where((part >= 0) & (part < _SKIN_PARTS), np.array(PART_OF_JOINT)[part % _SKIN_PARTS], -1),
        2,
        constant_values=-1,
    )
    x, y = np.floor(np.clip(pixels(points, view.camera), -2, [width, height])).astype(np.int64).T + 2
    own = vertex_parts()
    seen = [shown[y + dy, x + dx] == own for dy in (0, 1) for dx in (0, 1)]
    return np.bincount(own[np.any(seen, 0)], minlength=6)


@lru_cache(maxsize=1)
def _depth_limits() -> Array:
    """(21,) how deep under its own skin a joint may lie [m]: twice the distance to the nearest skin and a margin.

    With it the knuckles of a flat hand are seen from the palm too, where the flesh over them is 20 mm thick.
    """
    model = drawn_hand()
    joints = np.concatenate([model.joints_template, model.v_template[model.tips]])[list(JOINTS_FROM_MANO)]
    nearest = np.linalg.norm(model.v_template[:, None] - joints, axis=2).min(0)
    return np.clip(2 * nearest + 0.012, 0.013, 0.035)


def _digit(part: NDArray[np.int64]) -> NDArray[np.int64]:
    """Digit of a MANO joint: 0..4, -1 for the wrist."""
    return np.where(part == 0, -1, (part - 1) // 3)


_JOINT_DIGITS = np.array([-1, *(4,) * 4, *(0,) * 4, *(1,) * 4, *(3,) * 4, *(2,) * 4])
"""Digit of each of the 21 joints, in MANO's order of digits."""


def visible_joints(joints_m: Array, keypoints_px: Array, picture: Picture, entity: int) -> NDArray[np.bool_]:
    """(21,) bool: in the image, with the hand's own skin right above it.

    Fingertips lie on the skin, so on outlines: for them the pixels around count too.
    """
    place = np.floor(keypoints_px + 0.5).astype(np.int64)
    visible = _seen_at(place, joints_m, picture, entity)
    tips = list(TIP_JOINTS)
    for step in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        visible[tips] |= _seen_at(place + step, joints_m, picture, entity)[tips]
    height, width = picture.codes.shape
    return visible & (place >= 0).all(1) & (place[:, 0] < width) & (place[:, 1] < height)


def _seen_at(place: NDArray[np.int64], joints_m: Array, picture: Picture, entity: int) -> NDArray[np.bool_]:
    """(21,) whether the skin at each joint's `place` (21, 2) is that above the joint."""
    height, width = picture.codes.shape
    x, y = np.clip(place, 0, [width - 1, height - 1]).T
    code, depth = picture.codes[y, x], picture.depth_m[y, x]
    own = (code >= entity * PARTS) & (code < (entity + 1) * PARTS)
    part = np.where(own, code % PARTS, 0).astype(np.int64)
    gap = joints_m[:, 2] - depth
    above = np.where(part < _SKIN_PARTS, _digit(part), -1)
    stranger = (above >= 0) & (above != _JOINT_DIGITS) & (_JOINT_DIGITS >= 0)
    limit = np.where(stranger, _OTHER_DIGIT_M, _depth_limits())
    return own & (gap < limit)
