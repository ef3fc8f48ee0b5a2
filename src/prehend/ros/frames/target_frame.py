"""Hands in the frame that parameter `target_frame` names, instead of the camera's."""

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
from rclpy.node import Node

from prehend.ros.conversion.convert import header_message, seconds, without_metres
from prehend.ros.frames.buffer import TransformError
from prehend.ros.frames.listener import listening_buffer
from prehend.ros.nodes.diagnostics import OK, WARN, Status
from prehend.types import FloatArray, FrameResult, HandEstimate

_WAIT_S = 0.05
"""How long an image's transform is waited for that is on its way [s]."""

_SHOWN_S = 3.0


class TargetFrame:
    """Listens to /tf and /tf_static and moves results; `moved` is called from the worker's thread.

    Args:
        node: to subscribe with.
        frame: the frame that hands are wanted in.

    Attributes:
        frame: as given, without a leading slash.
        buffer: of the transforms.
    """

    def __init__(self, node: Node, frame: str) -> None:
        self.frame = frame.lstrip("/")
        self._fault, self._fault_s, self._moved, self._failed = "", -math.inf, 0, 0
        self._lacks = False
        self.buffer = listening_buffer(node, self._told)

    def moved(self, header: Any, result: FrameResult) -> tuple[Any, FrameResult]:
        """Header and result in the target frame, with the image's stamp.

        Where no transform is known the header stays and everything in metres is taken out: nobody shall take places in
        the camera's frame for places in the target's.
        """
        if header.frame_id.lstrip("/") == self.frame:
            self._moved, self._lacks = self._moved + 1, False
            return header, result
        try:
            if not header.frame_id:
                raise TransformError("the images have no frame_id: name one with parameter frame_id")
            T = self.buffer.transform(self.frame, header.frame_id, seconds(header.stamp), _WAIT_S)
        except TransformError as error:
            self._failed, self._lacks = self._failed + 1, True
            self._told(str(error))
            return header, without_metres(result)
        self._moved, self._lacks = self._moved + 1, False
        there = header_message(0.0, self.frame)
        there.stamp = header.stamp
        return there, replace(result, hands=tuple(_moved_hand(hand, T) for hand in result.hands))

    def status(self) -> Status:
        """Whether hands can be told in the target frame."""
        values: dict[str, object] = {"frame": self.frame, "moved": self._moved, "without transform": self._failed}
        if self._lacks or time.monotonic() - self._fault_s < _SHOWN_S:
            return Status("target_frame", WARN, f"{self._fault}; hands have no metres meanwhile", values)
        how = f"hands are in '{self.frame}'" if self._moved else "no image yet"
        return Status("target_frame", OK, how, values)

    def _told(self, fault: str) -> None:
        self._fault, self._fault_s = fault, time.monotonic()


def _moved_hand(hand: HandEstimate, T: FloatArray) -> HandEstimate:
    """The hand after T (4, 4); pixels stay."""
    R, shift, held = T[:3, :3], T[:3, 3], hand.held_object
    if held is not None and held.T_camera_object is not None:
        held = replace(held, T_camera_object=T @ held.T_camera_object)
    return replace(
        hand,
        joints_m=hand.joints_m @ R.T + shift,
        vertices_m=(hand.vertices_m @ R.T + shift).astype(np.float32),
        rotations=np.concatenate([(R @ hand.rotations[0])[None], hand.rotations[1:]]),
        held_object=held,
        hypotheses=None if hand.hypotheses is None else hand.hypotheses.moved(T),
    )
