"""Fits how far joints are off by what networks say of keypoints: the numbers of `pipeline.networks.uncertainty`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from tqdm import tqdm

from prehend.errors import AssetError
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.networks.uncertainty import JOINT_CLASS, SAID_M, metres_per_pixel
from prehend.types import FloatArray, HandEstimate
from prehend_training.data.stores.groups import ShardGroups
from prehend_training.sample import HandLabel

WITHIN = 0.68
NEAR = 0.5
"""A hand is a labelled one if its keypoints are off by less than this share of the longer side of its box."""

PARTS = 4
"""Films are held out in so many parts."""

DELAYS_S = (0.1, 0.2, 0.3, 0.5)
_FLOOR_M = 1e-4


@dataclass(frozen=True)
class JointErrors:
    """Joints but the wrist, a row each: film; class; whether it is said to be seen; what the network says and how far
    it is off [m]; and by delay, of each class, the errors of places that were carried on for so long [m]."""

    film: NDArray[np.int64]
    kind: NDArray[np.int64]
    seen: NDArray[np.bool_]
    said: FloatArray
    off: FloatArray
    carried: dict[float, list[FloatArray]]


def spread_on(estimator: Estimator, folders: Sequence[Path]) -> dict[str, Any]:
    """Fit on rendered sequences, with the estimator's own detector.

    Args:
        estimator: of weights that say how sure they are.
        folders: of sequences.

    Returns:
        hands; spread and drift_m_s as in `pipeline.networks.uncertainty`; within: share of errors within one of
        seen and of hidden joints, and the same of films that the fit has not seen (nothing of one film alone).

    Raises:
        AssetError: no labelled hand was found.
    """
    return fitted(_errors(estimator, folders))


def fitted(errors: JointErrors) -> dict[str, Any]:
    """What `spread_on` returns, of these errors."""
    found = _fit(errors, np.ones(len(errors.off), np.bool_))
    apart = np.zeros(len(errors.off), np.bool_)
    films = np.unique(errors.film)
    for part in range(PARTS):
        held_out = np.isin(errors.film, films[part::PARTS])
        if held_out.any() and not held_out.all():
            apart[held_out] = (errors.off <= _said(errors, _fit(errors, ~held_out)))[held_out]
    inside = errors.off <= _said(errors, found)
    return {
        "hands": len(errors.off) // 20,
        "spread": {
            name: [[round(float(np.exp(a)), 4), round(float(b), 3)] for a, b in found[row]]
            for name, row in (("seen", 1), ("hidden", 0))
        },
        "drift_m_s": _drift(errors),
        "within": _shares(inside, errors.seen),
        "within_of_other_films": _shares(apart, errors.seen) if len(films) > 1 else {},
    }


def _shares(inside: NDArray[np.bool_], seen: NDArray[np.bool_]) -> dict[str, float]:
    return {
        name: round(float(inside[rows].mean()), 3) for name, rows in (("seen", seen), ("hidden", ~seen)) if rows.any()
    }


def _fit(errors: JointErrors, rows: NDArray[np.bool_]) -> FloatArray:
    """(2, 3, 2) quantile regression of the logarithms, of hidden and of seen joints of each class."""
    found = np.zeros((2, 3, 2))
    for seen in (0, 1):
        for kind in range(3):
            some = rows & (errors.seen == bool(seen)) & (errors.kind == kind)
            x, y = np.log(errors.said[some] / SAID_M), np.log(np.maximum(errors.off[some], _FLOOR_M))
            if not len(x):
                found[seen, kind] = np.nan
                continue
            tries = [minimize(_pinball, start, args=(x, y), method="Nelder-Mead") for start in ((-4, 0.3), (-3.5, 1))]
            found[seen, kind] = min(tries, key=lambda one: one.fun).x
    return found


def _pinball(line: FloatArray, x: FloatArray, y: FloatArray) -> float:
    """Loss whose best line has `WITHIN` of the points below it (Koenker and Bassett, 1978)."""
    off = y - (line[0] + line[1] * x)
    return float(np.maximum(WITHIN * off, (WITHIN - 1) * off).mean())


def _said(errors: JointErrors, found: FloatArray) -> FloatArray:
    start, power = found[errors.seen.astype(int), errors.kind].T
    return np.asarray(np.exp(start + power * np.log(errors.said / SAID_M)))


def _drift(errors: JointErrors) -> list[float]:
    """(3,) speed whose way, added to the error of now in squares, comes nearest to the errors of carried places."""
    speeds = []
    for kind in range(3):
        now = np.quantile(errors.off[errors.kind == kind], WITHIN)
        ways = [
            (delay, np.sqrt(max(np.quantile(parts[kind], WITHIN) ** 2 - now**2, 0.0)))
            for delay, parts in errors.carried.items()
            if len(parts[kind])
        ]
        delays, moved = np.array(ways).T if ways else (np.ones(1), np.full(1, np.nan))
        speeds.append(round(float(delays @ moved / (delays @ delays)), 3))
    return speeds


def _errors(estimator: Estimator, folders: Sequence[Path]) -> JointErrors:
    looks: dict[tuple[int, str], list[tuple[float, FloatArray, FloatArray, HandEstimate]]] = {}
    number = 0
    for folder in folders:
        films = ShardGroups(Path(folder), "sequences")
        for film in tqdm(films.films(), unit="film"):
            estimator.reset()
            for row, time_s in zip(film.rows, film.times_s, strict=True):
                sample = films.sample(row)
                for hand in estimator.estimate(sample.image, sample.camera, float(time_s)).hands:
                    if (label := _label_of(hand, sample.hands)) is not None and hand.keypoint_std_px is not None:
                        look = float(time_s), _about(hand.joints_m), _about(label.joints_m), hand
                        looks.setdefault((number, hand.side), []).append(look)
            number += 1
    if not looks:
        raise AssetError(
            f"{', '.join(map(str, folders))}: no hand was found, or the weights do not say how sure they are"
        )
    return _joined(looks)


def _joined(looks: dict[tuple[int, str], list[tuple[float, FloatArray, FloatArray, HandEstimate]]]) -> JointErrors:
    parts: list[tuple[NDArray[Any], ...]] = []
    carried: dict[float, list[list[FloatArray]]] = {delay: [[], [], []] for delay in DELAYS_S}
    for (film, _), seen in looks.items():
        times = np.array([time for time, *_ in seen])
        for time_s, said, true, hand in seen:
            assert hand.keypoint_std_px is not None
            std = hand.keypoint_std_px * metres_per_pixel(hand.joints_m, hand.keypoints_px)
            off = np.linalg.norm(said - true, axis=-1)
            parts.append((np.full(21, film), JOINT_CLASS, hand.visible, std, off))
            for delay, kinds in carried.items():
                later = int(np.abs(times - time_s - delay).argmin())
                if abs(times[later] - time_s - delay) < 0.01:
                    gone = np.linalg.norm(said - seen[later][2], axis=-1)
                    for kind in range(3):
                        kinds[kind].append(gone[1:][JOINT_CLASS[1:] == kind])
    columns = [np.concatenate([part[1:] for part in column]) for column in zip(*parts, strict=True)]
    joined = {delay: [np.concatenate(one) if one else np.zeros(0) for one in kinds] for delay, kinds in carried.items()}
    films, kinds_of, shown, stds, offs = columns
    return JointErrors(films, kinds_of, shown, stds, offs, joined)


def _about(joints_m: FloatArray) -> FloatArray:
    return np.asarray(joints_m, np.float64) - joints_m[0]


def _label_of(hand: HandEstimate, labels: Sequence[HandLabel]) -> HandLabel | None:
    """The labelled hand that this one is."""
    for label in labels:
        size = float(np.ptp(label.keypoints_px, axis=0).max())
        off = np.linalg.norm(hand.keypoints_px - label.keypoints_px, axis=-1).mean()
        if label.side == hand.side and off < NEAR * size:
            return label
    return None
