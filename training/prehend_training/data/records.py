"""A sample as the plain arrays that batches are made of; shards, online scenes and real datasets all pass here."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import NUM_JOINTS, OBJECT_KIND_SIZE, SIDES
from prehend.object_catalogue import object_kind
from prehend.types import Camera
from prehend_training.objects.symmetry import equivalent_points, symmetry_of
from prehend_training.sample import HAND_CODE, OBJECT_CODE, OTHER_CODE, HandLabel, ObjectLabel, Sample
from prehend_training.scenes.camera.lens import pixels

Record = dict[str, NDArray[Any]]

CROP_HANDS, FRAME_HANDS = 1, 4
"""Hands of an image that keep their labels; of a crop only the first one, which it was cut out for."""

_HAND_FIELDS: dict[str, tuple[tuple[int, ...], type]] = {
    "side": ((), np.uint8),
    "rotations": ((16, 3, 3), np.float32),
    "betas": ((10,), np.float32),
    "joints_m": ((21, 3), np.float32),
    "keypoints_px": ((21, 2), np.float32),
    "visible": ((21,), np.bool_),
    "visible_ratio": ((), np.float32),
    "part_shown": ((6,), np.float32),
    "grasp": ((), np.bool_),
    "has_pose": ((), np.bool_),
    "has_joints": ((), np.bool_),
    "has_keypoints": ((), np.bool_),
    "has_side": ((), np.bool_),
    "has_grasp": ((), np.bool_),
    "has_visible": ((), np.bool_),
    "has_parts": ((), np.bool_),
    "has_object": ((), np.bool_),
    "object_points_m": ((4, 21, 3), np.float32),
    "object_keypoints_px": ((4, 21, 2), np.float32),
    "object_kind": ((OBJECT_KIND_SIZE,), np.float32),
}
"""Shape and type of each label of a hand: see `HandLabel`, and `equivalent_points` for those of the object.

`has_...` tells which of them are known; those that are not hold zeros. `visible_ratio` is always a number, see
`known_ratio`; `part_shown` is the share of each part's vertices that the image shows. Where the joints' places in the
image are unknown, `keypoints_px` has the corners of the hand's box over and over, so that what is around them is
around the hand."""


def record_of(sample: Sample, max_hands: int, whole_front: bool = True) -> Record:
    """A sample as arrays.

    Args:
        sample: what it lacks is marked as not known.
        max_hands: hands that keep their labels.
        whole_front: the segmentation shows all that stands before the background: arms, clothes, other objects.

    Returns:
        `image` (H, W, 3), `K` (3, 3), `hand_count` () and the labels of `max_hands` hands, zero for hands that are not
        there; `segmentation` (H, W) with `HAND_CODE + i` for hand i, `OBJECT_CODE + i` for what it grasps and
        `OTHER_CODE` for all else in front, and `has_segments` () whether it is known (it is zero otherwise) and
        `has_front` () whether it shows all that is in front, so that the background may be replaced; `has_beside` ()
        whether all hands of the image are known, so that what is beside them is no hand. Where the sample
        has a twin that differs from the image also `deoccluded` (H, W, 3) and `deoccluded_front` (H, W) uint8, 1
        where the twin shows something in front of the background. `has_twin` () is True too where the twin is the
        image itself.
    """
    known = sample.segmentation is not None
    record: Record = {
        "image": sample.image,
        "segmentation": np.zeros(sample.image.shape[:2], np.uint8),
        "has_segments": np.array(known),
        "has_front": np.array(known and whole_front),
        "K": np.asarray(sample.camera.K, np.float32),
        "hand_count": np.uint8(min(len(sample.hands), max_hands))[...],
        "has_twin": np.array(sample.maps is not None),
        "has_beside": np.array(True),
    }
    if sample.segmentation is not None:
        record["segmentation"] = np.asarray(cv2.LUT(sample.segmentation, _by_hand(sample)), np.uint8)
        if sample.maps is not None and not _same_pixels(sample.maps.deoccluded, sample.image):
            record["deoccluded"] = sample.maps.deoccluded
            record["deoccluded_front"] = _front_without_objects(sample.segmentation, sample.maps.hand_amodal)
    for name, (shape, dtype) in _HAND_FIELDS.items():
        record[name] = np.zeros((max_hands, *shape), dtype)
    for row, hand in enumerate(sample.hands[:max_hands]):
        for name, value in _hand_values(sample, hand).items():
            record[name][row] = value
    return record


def of_hand(record: Record, row: int) -> Record:
    """A record of several hands as one of hand `row` alone, whose segments take the first hand's numbers."""
    numbers = np.arange(256, dtype=np.uint8)
    for first in (HAND_CODE, OBJECT_CODE):
        numbers[[first, first + row]] = numbers[[first + row, first]]
    one = {name: value[row : row + 1] if name in _HAND_FIELDS else value for name, value in record.items()}
    return one | {
        "segmentation": np.asarray(cv2.LUT(record["segmentation"], numbers), np.uint8),
        "hand_count": np.uint8(1)[...],
    }


def _same_pixels(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    return a is b or np.array_equal(a, b)


def _by_hand(sample: Sample) -> NDArray[np.uint8]:
    """(256,) number in the record for each number in the sample's segmentation."""
    numbers = np.arange(256, dtype=np.uint8)
    numbers[OBJECT_CODE:OTHER_CODE] = OTHER_CODE
    for row, hand in reversed(list(enumerate(sample.hands))):
        if sample.held(hand) is not None and hand.object_index is not None:
            numbers[OBJECT_CODE + hand.object_index] = OBJECT_CODE + row
    return numbers


def _front_without_objects(segmentation: NDArray[np.uint8], hand_amodal: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(H, W) 1 where something stands before the background once the objects are gone; of what they hid only the hands
    are known."""
    thing = (segmentation >= OBJECT_CODE) & (segmentation < OTHER_CODE)
    front = (segmentation >= HAND_CODE) & ~thing | hand_amodal.any(0) & thing
    return front.astype(np.uint8)


def _hand_values(sample: Sample, hand: HandLabel) -> dict[str, Any]:
    values: dict[str, Any] = {
        "side": SIDES.index(hand.side),
        "joints_m": hand.joints_m if hand.has_joints else 0,
        "keypoints_px": hand.keypoints_px if hand.has_keypoints else corners_of(hand),
        "visible": hand.visible,
        "visible_ratio": known_ratio(hand),
        "grasp": bool(hand.grasp),
        "has_joints": hand.has_joints,
        "has_keypoints": hand.has_keypoints,
        "has_side": hand.side_known,
        "has_grasp": hand.grasp is not None,
        "has_visible": sample.segmentation is not None,
        "has_parts": bool(hand.part_vertices.any()),
        "part_shown": hand.part_visible / np.maximum(hand.part_vertices, 1),
        "has_object": (held := sample.held(hand)) is not None,
    }
    if hand.rotations is not None and hand.betas is not None:
        values |= {"rotations": hand.rotations, "betas": hand.betas, "has_pose": True}
    if held is not None:
        points = equivalent_points(_as_stored(held))
        values["object_points_m"], values["object_keypoints_px"] = points, _seen(points, sample.camera)
        values["object_kind"] = object_kind(_as_stored(held).extents_m, symmetry_of(held.object_id))
    return values


def _seen(points_m: NDArray[np.floating], camera: Camera) -> NDArray[np.floating]:
    """(..., 2) pixels of points (..., 3), through the lens as all labels are."""
    if np.any(camera.distortion):
        return pixels(points_m, camera)
    places = points_m @ camera.K.T
    return np.asarray(places[..., :2] / places[..., 2:])


def corners_of(hand: HandLabel) -> NDArray[np.float64]:
    """(21, 2) corners of the hand's box, over and over."""
    x0, y0, x1, y1 = np.asarray(hand.box_px, np.float64)
    return np.resize([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], (NUM_JOINTS, 2))


def known_ratio(hand: HandLabel) -> float:
    """The hand's visible ratio; where it is unknown the share of its joints that are visible, 1 without an object."""
    if not np.isnan(hand.visible_ratio):
        return hand.visible_ratio
    return 1.0 if hand.object_index is None else float(hand.visible.mean())


def _as_stored(label: ObjectLabel) -> ObjectLabel:
    """With the precision that shards keep, so that fresh and stored samples give the same to the last bit."""
    single: dict[str, Any] = {
        name: np.asarray(getattr(label, name), np.float32) for name in ("T_camera_object", "extents_m", "center_m")
    }
    return replace(label, **single)
