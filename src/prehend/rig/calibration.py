"""Where the cameras of a rig are: one frame, and a pose of each camera in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from prehend.check import numbers
from prehend.errors import InvalidInput, UnknownName
from prehend.io.cameras.calibration_files import GivenCamera
from prehend.types import FloatArray

LARGEST_M = 100.0
"""Cameras further from the rig's origin than this are given in other units, or not of one rig [m]."""
APART_M = 20.0
"""No two cameras further apart than this see one hand: a stereo camera's 65 mm given as metres, say [m]."""

_TOLERANCE = 5e-3


@dataclass(frozen=True)
class RigCamera:
    """One camera of a rig.

    Attributes:
        T_rig_camera: (4, 4) float64 takes points of the camera's optical frame (REP 103: x right, y down, z forward) to
            the rig's frame [m].
        camera: its intrinsics; None where they come from elsewhere.

    Raises:
        InvalidInput: the matrix is no pose.
    """

    T_rig_camera: FloatArray
    camera: GivenCamera | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "T_rig_camera", checked_pose(self.T_rig_camera))


@dataclass(frozen=True)
class RigCalibration:
    """The cameras of a rig by their names.

    Attributes:
        frame: name of the rig's frame.
        cameras: each camera's pose and intrinsics.

    Raises:
        InvalidInput: fewer than two cameras, two at the same place, or two that cannot see the same hand: there is
            nothing to fuse.
    """

    frame: str
    cameras: Mapping[str, RigCamera]

    def __post_init__(self) -> None:
        names = list(self.cameras)
        if len(names) < 2:
            raise InvalidInput(f"a rig has two cameras or more, this one has {len(names)} ({', '.join(names)})")
        for number, name in enumerate(names):
            for other in names[:number]:
                apart = self.cameras[name].T_rig_camera[:3, 3] - self.cameras[other].T_rig_camera[:3, 3]
                if np.linalg.norm(apart) < 1e-3:
                    raise InvalidInput(
                        f"cameras {other} and {name} are at the same place: two views from there tell no distance; "
                        "are their translations in metres?"
                    )
                if (far := float(np.linalg.norm(apart))) > APART_M:
                    raise InvalidInput(
                        f"cameras {other} and {name} are {far:.3g} m apart: give metres, not millimetres"
                    )
        object.__setattr__(self, "cameras", MappingProxyType(dict(self.cameras)))

    def of(self, name: str) -> RigCamera:
        """The camera of a name.

        Raises:
            UnknownName: there is none.
        """
        if name not in self.cameras:
            raise UnknownName("camera of the rig", name, self.cameras)
        return self.cameras[name]


def checked_pose(T: ArrayLike) -> FloatArray:
    """(4, 4) float64, exactly rigid, of a matrix that is so up to what calibration files round away.

    Raises:
        InvalidInput: it is no pose of a camera; the text says why.
    """
    pose = numbers("a pose", T).copy()
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise InvalidInput(f"a pose is a 4 x 4 matrix of finite numbers, this one has shape {pose.shape}")
    if np.abs(pose[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise InvalidInput("the last row of a pose is 0 0 0 1: is it transposed?")
    U, singular, Vt = np.linalg.svd(pose[:3, :3])
    if np.abs(singular - 1).max() > _TOLERANCE or np.linalg.det(pose[:3, :3]) < 0:
        raise InvalidInput("the upper left of a pose is no rotation: its rows are not of length 1 and at right angles")
    if np.linalg.norm(pose[:3, 3]) > LARGEST_M:
        raise InvalidInput(
            f"the camera is {np.linalg.norm(pose[:3, 3]):.0f} m from the rig's origin: give metres, not millimetres"
        )
    pose[:3, :3] = U @ Vt
    return pose
