"""Where the cameras of a rig are: from a file, or from /tf at the images' stamps."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.node import Node

from prehend.errors import ParameterError
from prehend.io.cameras.calibration_files import GivenCamera
from prehend.rig.calibration import RigCalibration
from prehend.rig.files import read_rig
from prehend.ros.conversion.convert import seconds
from prehend.ros.frames.buffer import TransformBuffer, TransformError
from prehend.ros.frames.listener import listening_buffer
from prehend.ros.nodes.diagnostics import OK, WARN, Status
from prehend.ros.params import NodeParams
from prehend.types import FloatArray

_WAIT_S = 0.02
"""How long a transform is waited for that is on its way [s]."""

_SHOWN_S = 3.0


@dataclass
class _Fault:
    """Why a camera had no pose, and when."""

    text: str
    at_s: float


class RigPoses:
    """T_rig_camera of each camera; `of` is called from the worker's thread.

    Args:
        node: to listen to /tf with.
        params: with `rig_file`, `rig_frame` and the cameras' names.

    Attributes:
        frame: of the fused hands; empty until the first camera's images name theirs.

    Raises:
        ParameterError: the file lacks a camera, or ROS refuses /tf.
        SourceError: the file is no rig.
    """

    def __init__(self, node: Node, params: NodeParams) -> None:
        self._names = params.camera_names()
        self._rig: RigCalibration | None = None
        self._faults: dict[str, _Fault] = {}
        self._buffer = TransformBuffer()
        self.frame = params.rig_frame.lstrip("/")
        if params.rig_file:
            self._rig = read_rig(Path(params.rig_file))
            missing = [name for name in self._names if name not in self._rig.cameras]
            if missing:
                raise ParameterError(
                    f"parameter cameras names {', '.join(missing)}, which {params.rig_file} lacks: it has "
                    f"{', '.join(self._rig.cameras)}"
                )
            self.frame = self.frame or self._rig.frame
        else:
            self._buffer = listening_buffer(node, self._told)

    def of(self, headers: Mapping[str, Any]) -> dict[str, FloatArray]:
        """(4, 4) T_rig_camera of the cameras that have one.

        Args:
            headers: of their images.
        """
        if self._rig is not None:
            return {name: self._rig.of(name).T_rig_camera for name in headers}
        if not self.frame:
            first = headers.get(self._names[0])
            self.frame = "" if first is None else first.frame_id.lstrip("/")
        poses: dict[str, FloatArray] = {}
        for name, header in headers.items():
            try:
                poses[name] = self._looked_up(header)
            except TransformError as error:
                self._faults[name] = _Fault(str(error), time.monotonic())
        return poses

    def given(self, name: str) -> GivenCamera | None:
        """A camera's intrinsics, where the file has them."""
        return None if self._rig is None else self._rig.of(name).camera

    def status(self) -> Status:
        """Whether every camera has a pose."""
        now_s = time.monotonic()
        faults = [
            f"{name} is left out: {fault.text}"
            for name, fault in sorted(self._faults.items())
            if now_s - fault.at_s < _SHOWN_S
        ]
        values: dict[str, object] = {"frame": self.frame, "poses from": "/tf" if self._rig is None else "rig_file"}
        if faults:
            return Status("rig poses", WARN, "; ".join(faults), values)
        return Status("rig poses", OK, f"hands are in '{self.frame}'" if self.frame else "no image yet", values)

    def _looked_up(self, header: Any) -> FloatArray:
        if not header.frame_id:
            raise TransformError("its images have no frame_id")
        if not self.frame:
            raise TransformError(
                f"the rig's frame is that of {self._names[0]}, whose images did not come: set rig_frame"
            )
        if header.frame_id.lstrip("/") == self.frame:
            return np.eye(4)
        return self._buffer.transform(self.frame, header.frame_id, seconds(header.stamp), _WAIT_S)

    def _told(self, fault: str) -> None:
        self._faults["/tf"] = _Fault(fault, time.monotonic())
