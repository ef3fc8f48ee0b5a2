"""Two runs over the same frames: differences hand by hand, with an interval from resampled stretches of time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from prehend.eval.answers import Answered
from prehend.eval.judge.motion import frame_jitter
from prehend.eval.judge.summary import Judged, known_errors
from prehend.eval.truth.names import parts_of

RESAMPLES = 2000
STRETCH_S = 1.0
"""Frames of a second are alike: they are drawn together."""
_SEED = 0
_FEWEST_CLUSTERS = 3

Key = tuple[str, int, int]
"""Source, place in it, and number of the hand or object."""

MEASURES: dict[str, tuple[str, float]] = {
    "found": ("share", 1.0),
    "keypoints_box": ("box sides", 1.0),
    "wrist_aligned_mm": ("mm", 1e3),
    "aligned_mm": ("mm", 1e3),
    "absolute_mm": ("mm", 1e3),
    "grasp_right": ("share", 1.0),
    "add_mm": ("mm", 1e3),
    "hands_per_frame": ("hands", 1.0),
    "wrist_jitter_mm": ("mm", 1e3),
}
"""Unit of each measure, and what a metre or share is in it."""


def differences(first: Judged, other: Judged) -> list[dict[str, Any]]:
    """`other` minus `first` for every measure that both have.

    Returns:
        For each: `measure`, `unit`, `pairs`, `first` and `other` (means over the pairs), `difference`, `low` and `high`
        (95 % interval; None where there are fewer than three stretches of time). A measure of errors is over what both
        have found.
    """
    one, two = values_of(first), values_of(other)
    clusters = _clusters(first)
    found = []
    for measure, (unit, factor) in MEASURES.items():
        keys = sorted(one[measure].keys() & two[measure].keys())
        if not keys:
            continue
        a, b = (factor * np.array([values[measure][key] for key in keys]) for values in (one, two))
        low, high = interval(b - a, [clusters[key[0], key[1]] for key in keys])
        found.append(
            {
                "measure": measure,
                "unit": unit,
                "pairs": len(keys),
                "first": round(float(a.mean()), 4),
                "other": round(float(b.mean()), 4),
                "difference": round(float((b - a).mean()), 4),
                "low": low,
                "high": high,
            }
        )
    return found


def interval(values: Sequence[float] | Any, clusters: Sequence[Any]) -> tuple[float | None, float | None]:
    """95 % interval of a mean by the bootstrap over clusters (Davison and Hinkley, 1997, section 3.8).

    Args:
        values: (N,).
        clusters: (N,) what each belongs to; whole clusters are drawn.
    """
    names = {cluster: row for row, cluster in enumerate(dict.fromkeys(clusters))}
    if len(names) < _FEWEST_CLUSTERS:
        return None, None
    rows = np.array([names[cluster] for cluster in clusters])
    sums = np.bincount(rows, np.asarray(values, np.float64), len(names))
    counts = np.bincount(rows, minlength=len(names))
    drawn = np.random.default_rng(_SEED).integers(0, len(names), (RESAMPLES, len(names)))
    low, high = np.percentile(sums[drawn].sum(1) / counts[drawn].sum(1), [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def values_of(run: Judged) -> dict[str, dict[Key, float]]:
    """Each of `MEASURES`, by what it is of."""
    keys = _frame_keys(run.frames)
    values: dict[str, dict[Key, float]] = {measure: {} for measure in MEASURES}
    errors: Mapping[str, Callable[[Any], Any]] = {
        "keypoints_box": lambda row: known_errors(row.px) / row.box_px,
        "wrist_aligned_mm": lambda row: known_errors(row.wrist),
        "aligned_mm": lambda row: known_errors(row.pa),
        "absolute_mm": lambda row: known_errors(row.absolute),
    }
    for row in (row for row in run.rows if row.is_labelled):
        key = _key(keys[row.frame], row.hand)
        values["found"][key] = float(row.kind == "found")
        if row.grasp is not None:
            values["grasp_right"][key] = float(row.grasp == row.said_grasp)
        for measure, error in errors.items():
            if row.kind == "found" and len(known := error(row)):
                values[measure][key] = float(known.mean())
    numbers: dict[int, int] = {}
    for thing in run.things:
        number = numbers[thing.frame] = numbers.get(thing.frame, -1) + 1
        if np.isfinite(thing.error):
            values["add_mm"][_key(keys[thing.frame], number)] = thing.error
    for place, frame in enumerate(run.frames):
        values["hands_per_frame"][_key(keys[place])] = float(len(frame.result.hands))
    for place, jitter in frame_jitter(run.frames).items():
        values["wrist_jitter_mm"][_key(keys[place])] = jitter
    return values


def _key(frame: tuple[str, int], number: int = 0) -> Key:
    return frame[0], frame[1], number


def _frame_keys(frames: Sequence[Answered]) -> list[tuple[str, int]]:
    """Source without the folders that all share, and place in it."""
    parts = [parts_of(frame.source) for frame in frames]
    shared = 0
    while parts and all(len(one) > shared + 1 and one[shared] == parts[0][shared] for one in parts):
        shared += 1
    return [("/".join(one[shared:]), frame.index) for one, frame in zip(parts, frames, strict=True)]


def _clusters(run: Judged) -> dict[tuple[str, int], Any]:
    """What each frame is drawn with: those of a second, or itself alone where it has no stamp."""
    keys = _frame_keys(run.frames)
    return {
        key: key if frame.stamp is None else (key[0], int(frame.stamp / STRETCH_S))
        for key, frame in zip(keys, run.frames, strict=True)
    }
