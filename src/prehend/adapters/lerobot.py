"""A LeRobot teleoperator (huggingface/lerobot, class `Teleoperator`) that a hand in front of a camera moves.

Source: LeRobot's base class and its guide "Bring your own hardware": `action_features` and `get_action` are flat dicts
with the same keys; `feedback_features` may be empty; `get_action` before `connect` is an error. Keys are
`<side>_wrist.x|y|z` [m] and `.qx|qy|qz|qw` of the operator frame (see `dex_retargeting`) in the base frame,
`<angle>.pos` [rad] for the 22 names of `joint_state`, and `<side>_hand.tracked` (1.0 or 0.0). LeRobot has no word for
a hand that is lost: the last action is held, and `tracked` says so; a robot has to stop on it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from prehend.adapters.dex_retargeting import T_camera_operator
from prehend.adapters.frames import T_BODY_CAMERA, checked_side
from prehend.adapters.joint_state import ANGLE_NAMES, joint_angles
from prehend.conventions import Side
from prehend.errors import MissingDependency, NotConnected
from prehend.geometry.rotations import quaternion_from_matrix
from prehend.types import FloatArray, FrameResult, HandEstimate

Action = dict[str, float]

_WRIST = ("x", "y", "z", "qx", "qy", "qz", "qw")


def action_names(side: Side) -> tuple[str, ...]:
    """The keys of an action, in order."""
    wrist = tuple(f"{checked_side(side)}_wrist.{part}" for part in _WRIST)
    return (*wrist, *(f"{side}_{name}.pos" for name in ANGLE_NAMES), f"{side}_hand.tracked")


def hand_action(hand: HandEstimate, T_base_camera: FloatArray = T_BODY_CAMERA) -> Action:
    """One hand as an action.

    Args:
        hand: of either side.
        T_base_camera: (4, 4) from the optical frame to the base frame of the robot; by default the body frame of the
            camera itself (x forward, y left, z up).
    """
    T = np.asarray(T_base_camera, np.float64) @ T_camera_operator(hand.joints_m, hand.side)
    angles = joint_angles(hand.rotations, hand.side).positions_rad
    values = [*T[:3, 3], *quaternion_from_matrix(T[:3, :3]), *angles, 1.0]
    return dict(zip(action_names(hand.side), map(float, values), strict=True))


class HandTeleoperator:
    """LeRobot's interface over any source of frames; it needs no LeRobot, see `lerobot_teleoperator` for its subclass.

    Args:
        read: gives the newest frame; called once an action. Usually `lambda: estimator.estimate(camera.read())`.
        side: the hand that teleoperates; of several the one with the highest score.
        T_base_camera: (4, 4) from the optical frame to the base frame.
    """

    name = "prehend_hand"

    def __init__(
        self, read: Callable[[], FrameResult], side: Side = "right", T_base_camera: FloatArray = T_BODY_CAMERA
    ) -> None:
        self.side = checked_side(side)
        self._read = read
        self._T_base_camera = np.asarray(T_base_camera, np.float64)
        self._connected = False
        self._last = self._at_rest()

    @property
    def action_features(self) -> dict[str, type]:
        """Keys and types of an action."""
        return dict.fromkeys(action_names(self.side), float)

    @property
    def feedback_features(self) -> dict[str, type]:
        """Nothing can be felt."""
        return {}

    @property
    def is_connected(self) -> bool:
        """Between `connect` and `disconnect`."""
        return self._connected

    @property
    def is_calibrated(self) -> bool:
        """Always: there is nothing to calibrate but the camera."""
        return True

    def connect(self, calibrate: bool = True) -> None:
        """Read a first frame, so that a camera that is not there is told at once.

        Raises:
            NotConnected: it is connected already.
        """
        if self._connected:
            raise NotConnected(f"{self.name} is connected already: disconnect it first")
        self._read()
        self._last, self._connected = self._at_rest(), True

    def calibrate(self) -> None:
        """Nothing to do."""

    def configure(self) -> None:
        """Nothing to do."""

    def get_action(self) -> Action:
        """What the hand does now; what it did last, with `tracked` 0, while it is not seen.

        Raises:
            NotConnected: `connect` was not called.
        """
        if not self._connected:
            raise NotConnected(f"{self.name} is not connected: call connect() first")
        hands = [hand for hand in self._read().hands if hand.side == self.side]
        if hands:
            self._last = hand_action(max(hands, key=lambda hand: hand.score), self._T_base_camera)
        else:
            self._last = {**self._last, f"{self.side}_hand.tracked": 0.0}
        return dict(self._last)

    def send_feedback(self, feedback: dict[str, Any]) -> None:
        """Nothing can be felt; what comes is not looked at."""

    def disconnect(self) -> None:
        """Let go; the source stays the caller's."""
        self._connected = False

    def _at_rest(self) -> Action:
        """Before the first sight of the hand: identity and open, not tracked."""
        return {name: 1.0 if name.endswith(".qw") else 0.0 for name in action_names(self.side)}


def lerobot_teleoperator() -> tuple[type, type]:
    """LeRobot's own classes: a config registered as "prehend_hand", and the teleoperator that takes it.

    The config has LeRobot's fields and `side`. The teleoperator is made as `Teleoperator(config, read)`; it is a
    `HandTeleoperator` and a subclass of LeRobot's.

    Raises:
        MissingDependency: lerobot is not installed.
    """
    try:
        from lerobot.teleoperators.config import TeleoperatorConfig
        from lerobot.teleoperators.teleoperator import Teleoperator
    except ImportError as error:
        raise MissingDependency(str(error.name), "lerobot", "a LeRobot teleoperator") from error
    known = TeleoperatorConfig.get_known_choices()
    if HandTeleoperator.name not in known:
        TeleoperatorConfig.register_subclass(HandTeleoperator.name)(_config_class(TeleoperatorConfig))
    config_class = TeleoperatorConfig.get_choice_class(HandTeleoperator.name)

    def start(
        self: Any, config: Any, read: Callable[[], FrameResult], T_base_camera: FloatArray = T_BODY_CAMERA
    ) -> None:
        HandTeleoperator.__init__(self, read, config.side, T_base_camera)
        Teleoperator.__init__(self, config)

    body = {"config_class": config_class, "name": HandTeleoperator.name, "__init__": start}
    return config_class, type("PrehendHand", (HandTeleoperator, Teleoperator), body)


def _config_class(base: type) -> type:
    from dataclasses import make_dataclass

    return make_dataclass("PrehendHandConfig", [("side", str, "right")], bases=(base,), kw_only=True)
