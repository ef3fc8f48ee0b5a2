"""Poses of an object that look the same: the network may answer with any of them."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from prehend.geometry.control_points import control_points
from prehend.object_catalogue import Axis, ObjectModel, Symmetry, load_objects, own_folders
from prehend.types import FloatArray
from prehend_training.sample import ObjectLabel

MAX_EQUIVALENT = 4
_NEXT: dict[Axis, tuple[int, int]] = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}


@lru_cache(maxsize=2)
def _catalogue(own: tuple[Path, ...]) -> dict[str, ObjectModel]:
    """The catalogue, with the folders of one's own."""
    return load_objects()


def catalogue() -> dict[str, ObjectModel]:
    """The objects by id; read once."""
    return _catalogue(own_folders())


def symmetry_of(object_id: str) -> Symmetry:
    """Symmetry of an object; objects that the catalogue does not know have none."""
    known = catalogue()
    return known[object_id].symmetry if object_id in known else Symmetry()


def equivalent_points(label: ObjectLabel) -> FloatArray:
    """Control points of the poses that the object's symmetry makes equal.

    Half turns give up to four poses. Of the poses about an axis of any turn (z in the catalogue) only the one is
    kept whose next axis (x for z) leans towards the camera, which the image shows and which changes steadily with the
    view.

    Returns:
        (4, 21, 3) in the camera frame [m]; the last pose fills up where there are fewer. Objects that the
        catalogue does not know have no symmetry.
    """
    symmetry = symmetry_of(label.object_id)
    # the turns are about the centre of the box
    points = control_points(label.extents_m)
    R, center = label.T_camera_object[:3, :3], label.T_camera_object[:3, :3] @ label.center_m
    center = center + label.T_camera_object[:3, 3]
    poses = [R @ turn for turn in symmetry.turns()]
    if symmetry.continuous is not None:
        poses = [pose @ _facing(pose, center, symmetry.continuous) for pose in poses]
    poses += [poses[-1]] * (MAX_EQUIVALENT - len(poses))
    return np.stack([points @ pose.T + center for pose in poses])


def _facing(R: FloatArray, center_m: FloatArray, axis: Axis) -> FloatArray:
    """(3, 3) turn about an axis of the object frame after which the next axis leans towards the camera."""
    first, second = _NEXT[axis]
    toward = R.T @ -np.asarray(center_m)
    x, y = toward[first], toward[second]
    length = np.hypot(x, y)
    cos, sin = (x / length, y / length) if length > 0 else (1.0, 0.0)
    turn = np.eye(3)
    turn[[first, second], first], turn[[first, second], second] = (cos, sin), (-sin, cos)
    return turn
