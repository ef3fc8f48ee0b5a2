"""What several frames add to a pose: by fusion (`unihope-s-time`), by filters, by waiting for later ones."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.backends import Backend
from prehend.errors import AssetError
from prehend.eval.metrics import aligned, point_errors
from prehend.geometry.rotations import geodesic_angle, nearest_rotation
from prehend.hand_model import load_hand_model, skin
from prehend.pipeline.networks.decode import DecodedHand
from prehend.pipeline.networks.through_time import FUSE
from prehend.pipeline.smoothing.smooth import Filtered, HandStates, SmoothConfig, followed, hindsight, one_euro
from prehend.types import FloatArray
from prehend_training.data.batch import ArrayDict
from prehend_training.data.crop_targets import PART_JOINTS
from prehend_training.evaluate.films.through_time import HIDDEN_BINS
from prehend_training.fusion.answers import EXACT, HandAnswers, answers_of, together
from prehend_training.fusion.windows import FusionDataConfig, FusionWindows

BATCH = 256
STILL_M_S = 1e-3
"""Joints that are slower than this about the wrist hold still (root mean square)."""

STILL = SmoothConfig(min_cutoff_hz=1.5, smoother="one-euro")
"""The One-Euro filter as the node runs it, if it is asked to; the Kalman filter has the same cutoff."""

LAGS_S = (0.0, 0.1, 0.2)
"""How long the Kalman filter waits for later frames [s]."""

Pose = tuple[FloatArray, FloatArray]
"""Rotations (N, 16, 3, 3) and betas (N, 10)."""


def evaluate_fused(backend: Backend, answering: Backend, data: Sequence[Path]) -> dict[str, Any]:
    """Measure a network on all hands of rendered sequences whose boxes are known.

    Args:
        backend: of a network with stage `fuse_frames`.
        answering: of the weights that tell what single frames say: the same, or those that it learnt on.
        data: folders of sequences.

    Returns:
        hands, and for each of `single`, `fused` and both after a One-Euro filter (`..._smoothed`): joint_error_mm,
        aligned_joint_error_mm, rotation_error_deg, finger_joint_error_by_hidden, acceleration_error_mm_s2, mean
        distance of second differences of the joints about the wrist, in the camera's directions, to the true ones, and
        delay_ms, see `evaluate_steady`.

    Raises:
        AssetError: a folder cannot be read or holds no sequences.
    """
    answers = together([answers_of(answering, Path(folder), EXACT) for folder in data])
    if not len(answers):
        raise AssetError(f"{', '.join(map(str, data))}: no hand to measure on")
    arrays = answers.arrays
    single: Pose = (arrays["rotations"], arrays["betas"])
    poses = {"single": single, "fused": fused_poses(backend, answers)}
    poses = {
        name: pose
        for kind, plain in poses.items()
        for name, pose in ((kind, plain), (f"{kind}_smoothed", _smoothed(answers, plain)))
    }
    return {"hands": len(answers), **_summaries(answers, poses)}


def evaluate_steady(answering: Backend, data: Sequence[Path]) -> dict[str, Any]:
    """Measure the filters on all hands of rendered sequences whose boxes are known; pose alone, relative to the wrist.

    Args:
        answering: of a network with the stages `encode`, `object` and `hand`; where it has `fuse_frames`, three frames
            are measured beside one.
        data: folders of sequences.

    Returns:
        hands, and for `measured`, `one_euro` and `kalman_LAG_s`, of three frames with `fused_` before it, the numbers
        of `evaluate_fused`. Its delay_ms is by how much the answer comes after the measured one of one frame, along the
        true way (mean over joints, by least squares); None where all hold still.

    Raises:
        AssetError: a folder cannot be read or holds no sequences.
    """
    answers = together([answers_of(answering, Path(folder), EXACT) for folder in data])
    if not len(answers):
        raise AssetError(f"{', '.join(map(str, data))}: no hand to measure on")
    measured: Pose = (answers.arrays["rotations"], answers.arrays["betas"])
    poses = _filtered(answers, measured)
    if FUSE in answering.bundle.stages:
        fused = _filtered(answers, fused_poses(answering, answers))
        poses |= {f"fused_{name}": pose for name, pose in fused.items()}
    return {"hands": len(answers), **_summaries(answers, poses)}


def _filtered(answers: HandAnswers, measured: Pose) -> dict[str, Pose]:
    smooth = _smoothed(answers, measured)
    late = {f"kalman_{lag:g}_s": (_kalman(answers, measured[0], lag), smooth[1]) for lag in LAGS_S}
    return {"measured": measured, "one_euro": smooth, **late}


def _summaries(answers: HandAnswers, poses: Mapping[str, Pose]) -> dict[str, Any]:
    """Of each; delays are against the first."""
    first = joints_of(next(iter(poses.values())))
    return {
        name: {**_summary(answers, pose), "delay_ms": _delay_ms(answers, joints_of(pose) - first)}
        for name, pose in poses.items()
    }


def fused_poses(backend: Backend, answers: HandAnswers) -> Pose:
    """The pose of every row from the frames before it."""
    frames = int({spec.name: spec.shape for spec in backend.bundle.stages[FUSE].inputs}["window_known"][1])
    windows = FusionWindows(answers, FusionDataConfig(frames=frames), 0, BATCH)
    offsets = [windows.config.stride_s * k for k in range(1, frames)]
    rotations, betas = [], []
    for rows in np.array_split(np.arange(len(answers)), -(-len(answers) // BATCH)):
        inputs = windows.window([windows.before(int(row), offsets) for row in rows])
        told = backend.infer(FUSE, {spec.name: inputs[spec.name] for spec in backend.bundle.stages[FUSE].inputs})
        rotations.append(told["rotations"].copy())
        betas.append(told["betas"].copy())
    return np.concatenate(rotations), np.concatenate(betas)


def joints_of(pose: Pose) -> FloatArray:
    """(N, 21, 3) joints about the wrist [m]."""
    model = load_hand_model().without_forearm()
    parts = [skin(model, *(array[rows] for array in pose)).joints for rows in _parts(len(pose[0]))]
    joints = np.concatenate(parts)
    return joints - joints[:, :1]


def _parts(count: int) -> Iterator[slice]:
    yield from (slice(start, start + BATCH) for start in range(0, count, BATCH))


def _smoothed(answers: HandAnswers, pose: Pose) -> Pose:
    """A One-Euro filter on each hand, as `pipeline.smoothing.smooth` does it; in the camera's directions."""
    arrays, (rotations, betas) = answers.arrays, (pose[0].astype(np.float64), pose[1].astype(np.float64))
    shape = SmoothConfig(0.2, 0.0)
    for rows in answers.hands():
        turn: Filtered | None = None
        flesh: Filtered | None = None
        times = arrays["time_s"][rows]
        for k, row in enumerate(rows):
            elapsed = 0.0 if k == 0 else float(times[k] - times[k - 1])
            to_camera = arrays["R_camera_crop"][row].astype(np.float64)
            whole = rotations[row].copy()
            whole[0] = to_camera @ whole[0]
            turn = one_euro(turn, whole.reshape(16, 9), elapsed, STILL, float(np.sqrt(2)))
            flesh = one_euro(flesh, betas[row], elapsed, shape, 1.0)
            steady = np.array(nearest_rotation(turn.value.reshape(16, 3, 3)), np.float64)
            steady[0] = to_camera.T @ steady[0]
            rotations[row], betas[row] = steady, flesh.value
    return rotations, betas


def _kalman(answers: HandAnswers, rotations: FloatArray, lag_s: float) -> FloatArray:
    """(N, 16, 3, 3) after each hand's Kalman filter and a wait for later frames; a hand is as long as its box."""
    arrays, steady = answers.arrays, rotations.astype(np.float64)
    std = np.exp(arrays["keypoint_log_std"].astype(np.float64))
    places = np.zeros((21, 2))
    places[0] = 1000.0
    for rows in answers.hands():
        times, turns = arrays["time_s"][rows], arrays["R_camera_crop"][rows].astype(np.float64)
        states: list[HandStates] = []
        for k, row in enumerate(rows):
            whole = steady[row].copy()
            whole[0] = turns[k] @ whole[0]
            hand = DecodedHand(
                places, np.zeros((21, 3)), np.zeros((0, 3)), whole, np.zeros(10), np.ones(21, np.bool_), 0.0, 0.0,
                1000 * std[row],
            )  # fmt: skip
            elapsed = 0.0 if k == 0 else float(times[k] - times[k - 1])
            states.append(followed(states[-1] if states else None, hand, elapsed, STILL.min_cutoff_hz))
        for k, row in enumerate(rows):
            last = int(np.searchsorted(times, times[k] + lag_s - 1e-6))
            said = hindsight(states[k : min(last, len(rows) - 1) + 1])
            steady[row] = nearest_rotation(said.rotations.reshape(16, 3, 3))
            steady[row, 0] = turns[k].T @ steady[row, 0]
    return steady


def _delay_ms(answers: HandAnswers, moved: FloatArray) -> float | None:
    """How much later the answer is for which joints (N, 21, 3) are `moved` from the measured ones [ms]; None where the
    hands hold still, which tells no time."""
    turn = np.swapaxes(answers.arrays["R_camera_crop"].astype(np.float64), -1, -2)
    truth, moved = answers.arrays["true_joints"].astype(np.float64) @ turn, moved @ turn
    along, whole, count = 0.0, 0.0, 0
    for rows in answers.hands():
        times = answers.arrays["time_s"][rows]
        if len(rows) > 1:
            speed = np.gradient(truth[rows], times, axis=0)
            along, whole = along - float((speed * moved[rows]).sum()), whole + float(np.square(speed).sum())
            count += speed[..., 0].size
    return round(1e3 * along / whole, 1) if whole > count * STILL_M_S**2 else None


def _summary(answers: HandAnswers, pose: Pose) -> dict[str, Any]:
    arrays, joints = answers.arrays, joints_of(pose)
    truth = arrays["true_joints"].astype(np.float64)
    errors = point_errors(joints, truth) * 1e3
    turned = np.rad2deg(geodesic_angle(pose[0][:, 0], arrays["true_rotations"][:, 0]))
    return {
        "joint_error_mm": _mean(errors),
        "aligned_joint_error_mm": _mean(point_errors(aligned(joints, truth), truth) * 1e3),
        "rotation_error_deg": _mean(turned),
        "finger_joint_error_by_hidden": _by_hidden(arrays, errors),
        "acceleration_error_mm_s2": _acceleration(answers, joints, truth),
    }


def _by_hidden(arrays: ArrayDict, errors: NDArray[Any]) -> dict[str, Any]:
    known = arrays["true_has_parts"] > 0
    fingers = np.stack([errors[:, list(joints)].mean(1) for joints in PART_JOINTS[:5]], 1)[known]
    hidden = 1 - arrays["true_part_shown"][known][:, :5]
    told: dict[str, Any] = {}
    for low, high in pairwise(HIDDEN_BINS):
        some = fingers[(hidden >= low) & ((hidden < high) | (high == HIDDEN_BINS[-1]))]
        told[f"{low:.0%}-{high:.0%}"] = {"fingers": int(some.size), "joint_error_mm": _mean(some)}
    return told


def _acceleration(answers: HandAnswers, joints: FloatArray, truth: FloatArray) -> float | None:
    arrays, off = answers.arrays, []
    turn = np.swapaxes(arrays["R_camera_crop"].astype(np.float64), -1, -2)
    here, there = joints @ turn, truth @ turn
    for rows in answers.hands():
        times = arrays["time_s"][rows]
        steps = np.diff(times)
        even = np.flatnonzero(np.abs(np.diff(steps)) < 1e-6)
        if not len(even):
            continue
        error = np.diff((here - there)[rows], 2, axis=0)[even]
        off.append((np.linalg.norm(error, axis=-1) / steps[even, None] ** 2).ravel() * 1e3)
    return _mean(np.concatenate(off)) if off else None


def _mean(values: NDArray[Any]) -> float | None:
    return round(float(values.mean()), 4) if values.size else None


def compared(report: Mapping[str, Any]) -> dict[str, float]:
    """Fused over single, minus 1, of every number that both have; below 0 is better."""
    one, other = report["single"], report["fused"]
    told = {name: other[name] / one[name] - 1 for name in one if isinstance(one[name], float) and one[name]}
    for name, bin_ in one["finger_joint_error_by_hidden"].items():
        before, after = bin_["joint_error_mm"], other["finger_joint_error_by_hidden"][name]["joint_error_mm"]
        if before and after:
            told[f"hidden {name}"] = after / before - 1
    return {name: round(value, 4) for name, value in told.items()}
