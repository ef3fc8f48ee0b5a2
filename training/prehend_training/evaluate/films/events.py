"""Grasps that events tell of on rendered films, against when objects truly begin to move with hands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.conventions import Side
from prehend.errors import AssetError
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.tracking.grasp_moments import GraspMoments, GraspReading, MomentLooks
from prehend.types import Box, FloatArray, FoundHand, FrameResult
from prehend_training.data.stores.groups import ShardGroups
from prehend_training.evaluate.films.grasp_truth import HeldTruth
from prehend_training.moments.motion import WatchedLook
from prehend_training.sample import Film, HandLabel, Sample

NEAR_S = 0.15
"""An event is found if it is dated no farther off than this [s]."""

UNSURE_S = 0.1
"""Whether something is held is not asked nearer to an event than this [s]."""

_SEEN_JOINTS = 11
_EPS = 1e-6

What = Literal["grasped", "released"]
WHATS: tuple[What, What] = ("grasped", "released")

Labels = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""(N,) which moments are ones, and which count."""


@dataclass
class Watched:
    """One hand of one film.

    Attributes:
        film: number. duration_s: of the film.
        true, told: stamps by what happened. samples: what `grasp_moments` draws on. looks: what was seen to move, by
            number of the sample.
    """

    film: int
    duration_s: float
    true: dict[What, list[float]] = field(default_factory=lambda: {name: [] for name in WHATS})
    told: dict[What, list[float]] = field(default_factory=lambda: {name: [] for name in WHATS})
    samples: list[GraspReading] = field(default_factory=list)
    looks: dict[int, WatchedLook] = field(default_factory=dict)


def events_on(estimator: Estimator, folders: Sequence[Path], boxes: bool = True) -> list[Watched]:
    """Watch the films of some folders.

    Args:
        estimator: with its options.
        folders: of rendered sequences.
        boxes: the labels say where hands are, else the detector does.

    Raises:
        AssetError: a folder holds no sequences.
    """
    watched: list[Watched] = []
    for folder in folders:
        groups = ShardGroups(Path(folder), "sequences")
        for film in tqdm(groups.films(), unit="film"):
            hands = _watch(estimator, groups, film, len({one.film for one in watched}), boxes)
            watched += hands.values()
    if not watched:
        raise AssetError("no hand was in any film: render further sequences")
    return watched


def judged(watched: Sequence[Watched]) -> dict[str, Any]:
    """Minutes; of grasps and releases how many there were, were found within `NEAR_S`, by how much these are late
    [s], and how many were told beside."""
    minutes = sum({one.film: one.duration_s for one in watched}.values()) / 60
    result: dict[str, Any] = {"minutes": round(minutes, 2)}
    for what in WHATS:
        pairs = [_paired(one.true[what], one.told[what]) for one in watched]
        late = sorted(round(value, 2) for found, _ in pairs for value in found)
        result[what] = {
            "true": sum(len(one.true[what]) for one in watched),
            "found": len(late),
            "late_s": late,
            "false": sum(left for _, left in pairs),
        }
    result["false_a_minute"] = round(sum(result[what]["false"] for what in WHATS) / max(minutes, _EPS), 2)
    return result


def _watch(estimator: Estimator, groups: ShardGroups, film: Film, number: int, boxes: bool) -> dict[Side, Watched]:
    estimator.reset()
    duration_s = float(film.times_s[-1] - film.times_s[0])
    hands: dict[Side, Watched] = {}
    past: dict[Side, GraspMoments] = {}
    truths: dict[Side, HeldTruth] = {}
    holds: dict[Side, bool] = {}
    looks = MomentLooks()
    for row, time_s in zip(film.rows, film.times_s, strict=True):
        picture, now_s = groups.sample(row), float(time_s)
        for label in picture.hands:
            hand = hands.setdefault(label.side, Watched(number, duration_s))
            held = truths.setdefault(label.side, HeldTruth()).step(picture, label)
            if held != holds.setdefault(label.side, held):
                holds[label.side] = held
                hand.true["grasped" if held else "released"].append(now_s)
        given = [FoundHand(Box.around(one.keypoints_px), one.side) for one in _shown(picture)] if boxes else None
        result = estimator.estimate(picture.image, picture.camera, stamp=now_s, boxes=given)
        for what, side, stamp in _told(result):
            if side in hands:
                hands[side].told[what].append(stamp)
        look = looks.step(now_s, picture.image, [one.box_px for one in result.hands])
        if look is None:
            continue
        for side, hand in hands.items():
            seen = next((one for one in result.hands if one.side == side), None)
            moments = past.setdefault(side, GraspMoments())
            reading = moments.look(look, seen, now_s, now_s)
            if reading is None:
                continue
            if moments.patch is not None:
                touches = next((_touches(one) for one in picture.hands if one.side == side), None)
                patch = moments.patch._replace(layers=moments.patch.layers.astype(np.float16))
                hand.looks[len(hand.samples)] = WatchedLook(patch, holds.get(side), touches)
            hand.samples.append(reading)
    for hand in hands.values():
        _leave_unsure(hand)
    return hands


def _touches(label: HandLabel) -> bool | None:
    return None if label.contact is None else bool(label.contact.any())


def _leave_unsure(hand: Watched) -> None:
    """Whether something is held is not asked of looks near to where that changes."""
    times = np.array([hand.samples[k].at_s for k in hand.looks])
    for k, sure in zip(hand.looks, held_at(times, hand)[1], strict=True):
        hand.looks[k] = hand.looks[k] if sure else hand.looks[k]._replace(holds=None)


def _shown(picture: Sample) -> Iterator[HandLabel]:
    """Hands that are in the image with more than half of their joints."""
    for hand in picture.hands:
        inside = (hand.keypoints_px >= 0) & (hand.keypoints_px < [picture.camera.width, picture.camera.height])
        if hand.has_keypoints and inside.all(1).sum() >= _SEEN_JOINTS:
            yield hand


def _told(result: FrameResult) -> Iterator[tuple[What, Side, float]]:
    for event in result.events:
        for what in WHATS:
            if event.kind == what and event.stamp is not None:
                yield what, event.side, event.stamp


def _paired(true: Sequence[float], told: Sequence[float]) -> tuple[list[float], int]:
    """By how much those that were found are late [s], and how many are left."""
    left, late = list(told), list[float]()
    for stamp in true:
        nearest = min(left, key=lambda one: abs(one - stamp), default=np.inf)
        if abs(nearest - stamp) <= NEAR_S + _EPS:
            late.append(nearest - stamp)
            left.remove(nearest)
    return late, len(left)


def held_at(at_s: FloatArray, hand: Watched) -> Labels:
    """Moments at which something is held.

    Args:
        at_s: (N,) moments [s]. hand: of a film.
    """
    changes = np.array([*hand.true["grasped"], *hand.true["released"], np.inf])
    begun, ended = ((at_s[:, None] >= np.array(hand.true[what])).sum(1) for what in WHATS)
    return begun > ended, np.abs(at_s[:, None] - changes).min(1) > UNSURE_S
