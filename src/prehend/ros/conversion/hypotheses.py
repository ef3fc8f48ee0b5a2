"""What hands may be besides, as messages."""

from typing import Any

import numpy as np

from prehend.conventions import NUM_JOINTS
from prehend.ros.messages import HAND_HYPOTHESES, make
from prehend.types import FrameResult, HandEstimate

_UPPER = np.triu_indices(3)


def hypotheses_array(header: Any, result: FrameResult) -> Any:
    """A prehend_ros/HandHypothesesArray: an entry for each hand of the result."""
    hands = [_hypotheses_message(hand) for hand in result.hands]
    spent_ms = float(result.timing_ms.get("hypotheses", 0.0))
    return make(HAND_HYPOTHESES, header=header, hands=hands, spent_ms=spent_ms)


def _hypotheses_message(hand: HandEstimate) -> Any:
    found = hand.hypotheses
    none = np.full((NUM_JOINTS, 3, 3), np.nan)
    covariances = none if found is None else found.joint_covariance_m2
    joints = np.zeros(0) if found is None else found.joints_m
    return make(
        "prehend_ros/msg/HandHypotheses",
        track_id=hand.track_id,
        count=0 if found is None else len(found.joints_m),
        joints_m=np.ascontiguousarray(joints, np.float32).ravel(),
        joint_covariance_m2=np.ascontiguousarray(covariances[:, _UPPER[0], _UPPER[1]], np.float32).ravel(),
        position_std_m=float(hand.position_std_m),
        consistent=-1 if found is None else found.consistent,
        steps=0 if found is None else found.steps,
    )
