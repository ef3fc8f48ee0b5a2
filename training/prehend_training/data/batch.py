"""The arrays of a batch: every name once, with its shape, unit and meaning; data make them, losses read them.

Sources make numpy arrays, or tensors on the device; training sees tensors. A first axis of B samples comes before every
shape. S is the side of the network's input, G the cells along a side of a stage or of the detector, K the samples of
skeletons, A the anchors.
"""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypedDict, TypeVar, cast, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

ArrayDict = dict[str, NDArray[Any]]
"""A sample or batch by names, as it is made."""
Batch = Mapping[str, Tensor]
"""A batch by names, as it is trained on."""
MadeBatch = Mapping[str, NDArray[Any] | Tensor]
"""A batch as a source makes it: arrays, or tensors where the images are in the memory of the device that trains."""


Kind = TypeVar("Kind")


def rows_of(batch: Kind, rows: Tensor) -> Kind:
    """Some rows of a batch."""
    return cast(Kind, {name: value[rows] for name, value in cast(Batch, batch).items()})


class Of(NamedTuple):
    """What an array holds.

    Attributes:
        shape: of a sample, words of sizes and numbers, such as "21 2" or "G G"; "" for a number.
        unit: of its values; "0/1" for marks, which are float32.
        what: its meaning.
    """

    shape: str
    unit: str
    what: str


class CropBatch(TypedDict, total=False):
    """Crops of a hand, with what the crop network should answer. What no mark calls known is void and takes no loss.

    Boxes and pixels are of the crop, the camera frame is the crop's (turned so that the crop's middle is ahead); left
    hands are mirrored to right ones before.
    """

    image: Annotated[Any, Of("S S 3", "uint8 RGB", "the crop; in training (3, S, S) float, 0 to 1")]
    image_deoccluded: Annotated[Any, Of("S S 3", "uint8 RGB", "its twin without objects, changed alike")]
    has_twin: Annotated[Any, Of("", "0/1", "the twin is known; where it is not, it is the crop itself")]
    hand_box: Annotated[Any, Of("4", "px", "an input: x0, y0, x1, y1 of the hand, as a detector gives it")]
    object_box: Annotated[Any, Of("4", "px", "an input: of what is held, or of the whole crop")]
    grasp_gate: Annotated[Any, Of("", "0/1", "the teacher-forced gate: what the hand stage is told of `grasp`")]
    presence: Annotated[Any, Of("", "0/1", "there is a hand")]
    grasp: Annotated[Any, Of("", "0/1", "it holds something")]
    right: Annotated[Any, Of("", "0/1", "a right one as the network sees it; of others side, segments, grasp count")]
    has_pose: Annotated[Any, Of("", "0/1", "`rotations` and `betas` are known")]
    has_joints: Annotated[Any, Of("", "0/1", "`joints` are known")]
    has_keypoints: Annotated[Any, Of("", "0/1", "`keypoints` are known")]
    has_side: Annotated[Any, Of("", "0/1", "`right` is known")]
    has_grasp: Annotated[Any, Of("", "0/1", "`grasp` is known")]
    has_visible: Annotated[Any, Of("", "0/1", "`visible` is known")]
    has_segments: Annotated[Any, Of("", "0/1", "`segments` are known")]
    visible_ratio: Annotated[Any, Of("", "0 to 1", "share of the hand's own pixels that nothing else hides")]
    keypoints: Annotated[Any, Of("21 2", "hand boxes", "places of the joints, (0, 0) to (1, 1) of the hand box")]
    joints: Annotated[Any, Of("21 3", "m", "relative to the wrist, crop frame")]
    rotations: Annotated[Any, Of("16 3 3", "", "rotation matrices; the first from the hand to the crop frame")]
    betas: Annotated[Any, Of("10", "", "shape of the hand")]
    visible: Annotated[Any, Of("21", "0/1", "joints that are seen")]
    part_shown: Annotated[Any, Of("6", "0 to 1", "share of each of `HAND_PARTS` that the stored image shows")]
    part_seen: Annotated[Any, Of("6", "0/1", "parts that count as seen, erased patches told")]
    has_parts: Annotated[Any, Of("", "0/1", "`part_shown` and `part_seen` are known")]
    root: Annotated[Any, Of("3", "m", "the wrist in the crop frame: to draw and measure")]
    projection: Annotated[Any, Of("3 3", "px", "from the crop frame to the crop: to draw and measure")]
    segments: Annotated[Any, Of("S/4 S/4", "uint8", "1 the first hand with its arm, 2 what it holds, 0 the rest")]
    has_points: Annotated[Any, Of("", "0/1", "the object is known and grasped")]
    object_points: Annotated[Any, Of("4 21 2", "object boxes", "control points: answers that are equally right")]
    object_mask: Annotated[Any, Of("G*G", "0/1", "cells of the object box whose middle shows the object")]
    object_kind: Annotated[Any, Of("10", "", "what the object stage is told of it, see `object_catalogue.object_kind`")]
    kind_match: Annotated[Any, Of("", "0/1", "what it is told fits")]
    object_extents: Annotated[Any, Of("3", "m", "the object's true size")]
    object_scale: Annotated[Any, Of("", "", "log of the share of the crop's side that 0.1 m cover at its centre")]
    object_moments: Annotated[Any, Of("6", "", "xx, yy, zz, xy, xz, yz of R diag(extents^2) R^T over its trace")]


class WindowBatch(CropBatch, total=False):
    """Windows of films as crops: the frames of a window one after the other, the current one first."""

    known: Annotated[Any, Of("", "0/1", "the frame is there; in others all is that of the current one")]
    turn: Annotated[Any, Of("3 3", "", "rotation from the frame's crop frame to the current one's, the camera still")]


class MomentBatch(CropBatch, total=False):
    """Views of moments as crops: the cameras of a moment one after the other, in any order."""

    known: Annotated[Any, Of("", "0/1", "the view is there; in others all is that of the moment's first")]
    leads: Annotated[Any, Of("", "0/1", "the first view of its moment")]
    turn: Annotated[Any, Of("3 3", "", "rotation from the view's crop frame to the world that all views share")]
    center: Annotated[Any, Of("3", "m", "the camera's centre in that world")]
    ray: Annotated[Any, Of("3 3", "", "from (x, y, 1), shares of the crop, to a direction in the crop frame")]


class TaughtBatch(CropBatch, total=False):
    """Views of moments as crops of a crop network, in the order of `MomentBatch`; `teacher_...` is what its teacher of
    several views is shown, crops of its own of the same hands, with a side of T."""

    known: Annotated[Any, Of("", "0/1", "the view is there; in others all is that of the moment's first")]
    leads: Annotated[Any, Of("", "0/1", "the first view of its moment")]
    teacher_image: Annotated[Any, Of("T T 3", "uint8 RGB", "as `image`, unchanged")]
    teacher_turn: Annotated[Any, Of("3 3", "", "`MomentBatch.turn` of that crop")]
    teacher_center: Annotated[Any, Of("3", "m", "`MomentBatch.center`")]
    teacher_ray: Annotated[Any, Of("3 3", "", "`MomentBatch.ray` of that crop")]


class SkeletonBatch(TypedDict, total=False):
    """Posed hands without images, as points in a RoI. Beside crops the names begin with `skeleton_`."""

    places: Annotated[Any, Of("21 2", "RoIs", "places of the joints, (0, 0) to (1, 1) of the RoI")]
    log_std: Annotated[Any, Of("21", "", "log of their standard deviation over the longer side of the joints' box")]
    rotations: Annotated[Any, Of("16 3 3", "", "rotation matrices; the first from the hand to the camera")]
    betas: Annotated[Any, Of("10", "", "shape of the hand")]
    joints: Annotated[Any, Of("21 3", "m", "relative to the wrist")]


class DetectorBatch(TypedDict, total=False):
    """Frames, with the maps that the detector should answer with."""

    image: Annotated[Any, Of("S S 3", "uint8 RGB", "the frame; in training (3, S, S) float, 0 to 1")]
    segments: Annotated[Any, Of("G G", "uint8", "middles of cells: 1 a hand or arm, 2 what it holds, 0 the rest")]
    heat: Annotated[Any, Of("G G", "0 to 1", "1 in the cell of a hand's centre, falling off around it")]
    heat_weight: Annotated[Any, Of("G G", "0/1", "0 where finding and not finding a hand are both right")]
    side: Annotated[Any, Of("G G", "0/1", "1 for a right hand")]
    hand_box: Annotated[Any, Of("4 G G", "px", "distances to left, top, right, bottom")]
    held: Annotated[Any, Of("G G", "0/1", "the hand holds something")]
    object_box: Annotated[Any, Of("4 G G", "px", "corners of what it holds, from the cell's centre")]
    box_weight: Annotated[Any, Of("G G", "0 to 1", "how much a cell says of a hand's side, box and grasp")]
    object_weight: Annotated[Any, Of("G G", "0 to 1", "how much it says of its object's box")]


class PalmBatch(TypedDict, total=False):
    """Frames and photographs, with what the anchors of the palm detector should answer."""

    image: Annotated[Any, Of("S S 3", "uint8 RGB", "the image; in training (3, S, S) float, 0 to 1")]
    score: Annotated[Any, Of("A", "0 to 1", "how much an anchor is asked for a palm")]
    score_weight: Annotated[Any, Of("A", "0/1", "0 where both answers are right")]
    numbers: Annotated[
        Any, Of("A 28", "px", "as `prehend.pipeline.detection.palms.NUMBERS` has them, places from the anchor")
    ]
    palm_weight: Annotated[Any, Of("A", "0 to 1", "how much the seven points count")]
    region_weight: Annotated[Any, Of("A", "0 to 1", "how much the region of all joints counts")]
    side_weight: Annotated[Any, Of("A", "0 to 1", "how much the side counts")]
    held_weight: Annotated[Any, Of("A", "0 to 1", "how much it counts whether something is held")]
    object_weight: Annotated[Any, Of("A", "0 to 1", "how much the object's box counts")]
    palm_side: Annotated[Any, Of("A", "px", "the palm's size, by which errors of places are measured")]


def arrays_of(kind: type) -> dict[str, Of]:
    """The arrays of a kind of batch by name."""
    return {name: get_args(hint)[1] for name, hint in get_type_hints(kind, include_extras=True).items()}


def faults(batch: Mapping[str, Any], kind: type, sizes: Mapping[str, int]) -> list[str]:
    """What contradicts the description of a kind of batch, a line each; none where all is as it says.

    Args:
        batch: arrays or tensors with a first axis of samples; images as they are made or as they are trained on.
        kind: one of the classes above.
        sizes: numbers of the words in the shapes, such as {"S": 128, "G": 16}.
    """
    named = arrays_of(kind)
    found = [f"'{name}' is not described" for name in batch.keys() - named.keys()]
    counts = {len(value) for value in batch.values()}
    if len(counts) > 1:
        found.append(f"arrays of {sorted(counts)} samples stand side by side")
    for name in named.keys() & batch.keys():
        value, of = batch[name], named[name]
        shape = tuple(_size(word, sizes) for word in of.shape.split())
        if isinstance(value, Tensor) and of.unit == "uint8 RGB":
            shape = (shape[2], *shape[:2])
        if tuple(value.shape[1:]) != shape:
            found.append(f"'{name}' is {tuple(value.shape[1:])}, described as {shape}")
        numbers = value.cpu().numpy() if isinstance(value, Tensor) else value
        if of.unit == "0/1" and not np.isin(numbers, (0, 1)).all():
            found.append(f"'{name}' holds other numbers than 0 and 1")
        if of.unit == "0 to 1" and not ((numbers >= 0) & (numbers <= 1)).all():
            found.append(f"'{name}' leaves 0 to 1")
    return found


def _size(word: str, sizes: Mapping[str, int]) -> int:
    """The number that "21", "S", "S/4" or "G*G" means."""
    name, sign, other = word.partition("/") if "/" in word else word.partition("*")
    number = sizes[name] if name.isalpha() else int(name)
    if not sign:
        return number
    return number // int(other) if sign == "/" else number * sizes[other]
