"""What a hand may be besides, as it stands in a predictions file."""

from typing import Any

import numpy as np

from prehend.conventions import NUM_JOINTS, NUM_MANO_JOINTS
from prehend.types import HandHypotheses

_M, _ROTATION, _M2 = 5, 5, 10
"""Decimals."""

_ROWS, _COLUMNS = np.triu_indices(3)


def hypotheses_record(found: HandHypotheses) -> dict[str, Any]:
    """As JSON: covariances as xx xy xz yy yz zz."""
    upper = found.joint_covariance_m2[:, _ROWS, _COLUMNS]
    return {
        "joints_m": np.round(np.asarray(found.joints_m, np.float64), _M).tolist(),
        "rotations": np.round(np.asarray(found.rotations, np.float64), _ROTATION).tolist(),
        "joint_covariance_m2": np.round(np.asarray(upper, np.float64), _M2).tolist(),
        "consistent": found.consistent,
        "steps": found.steps,
    }


def hypotheses_of(record: dict[str, Any]) -> HandHypotheses:
    """What `hypotheses_record` wrote; `ValueError`, `KeyError` or `TypeError` where it did not."""
    upper = np.array(record["joint_covariance_m2"], np.float64).reshape(NUM_JOINTS, 6)
    whole = np.zeros((NUM_JOINTS, 3, 3))
    whole[:, _ROWS, _COLUMNS] = whole[:, _COLUMNS, _ROWS] = upper
    return HandHypotheses(
        np.array(record["joints_m"], np.float64).reshape(-1, NUM_JOINTS, 3),
        np.array(record["rotations"], np.float64).reshape(-1, NUM_MANO_JOINTS, 3, 3),
        whole,
        int(record["consistent"]),
        int(record["steps"]),
    )
