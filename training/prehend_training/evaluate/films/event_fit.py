"""The fit behind grasps that are dated by movement: two networks, the one that watches hands, and the one that dates
grasps by what that says of films that it has not seen.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.errors import AssetError
from prehend.export.bundle import save_bundle
from prehend.models.hand_object.grasp_dates import GraspDates
from prehend.models.hand_object.grasp_motion import GraspMotion
from prehend.pipeline.networks.grasp_motion import LIMIT
from prehend.pipeline.tracking.grasp_moments import (
    AHEAD_S,
    DENIED,
    SURELY_DENIED,
    GraspReading,
    moment_windows,
    overruled,
)
from prehend.pipeline.tracking.grasp_path import GraspPath, PathFit, ScoredMoment
from prehend.types import FloatArray
from prehend.weights import Bundle
from prehend_training.data.stores.open import describe_data
from prehend_training.evaluate.films.events import WHATS, Labels, Watched, What, held_at, judged
from prehend_training.moments.dates import DatedMoments, DateTraining, date_answers, train_dates, without_images
from prehend_training.moments.motion import (
    BATCH,
    MotionTraining,
    WatchedLook,
    motion_answers,
    motion_steps,
    train_motion,
)
from prehend_training.storage.shards import commit

HIT_S, MISSED_S = 0.07, 0.2
"""For the fit, moments nearer to an event than the first are ones, those farther off than the second are none [s]."""

PARTS = 5
"""Groups of films, of which each is held out of a fit once."""

_EPS = 1e-6

PATHS = tuple(
    PathFit(begin, end, again, 1.0, begin_lead, end_lead)
    for begin, end, again, begin_lead, end_lead in product(
        (0.0, 1.0, 2.0, 3.0), (0.0, 1.0, 2.0), (0.0, 1.0), (0.5, 1.0, 1.5), (0.0, 0.5, 1.0)
    )
)
"""Those that a fit chooses from."""

Odds = FloatArray
"""(N, 3) that a grasp begins at moments, that it ends, that something is held."""


@dataclass(frozen=True)
class EventFit:
    """What a fit found.

    Attributes:
        numbers: `path`, what `grasp_path` weighs changes by, and what is found of films that a fit has not seen, with
            images that tell what moves (`of_other_films`) and without (`without_images`).
        motion: the network that watches hands, trained on all films. dates: the one that dates grasps, trained on all
            by what others than `motion` say, which have not seen their films.
        looks, moments: what they saw, all epochs together. seconds: that each training took. seed: of the first.
    """

    numbers: dict[str, Any]
    motion: GraspMotion
    dates: GraspDates
    looks: int
    moments: int
    seconds: tuple[float, float]
    seed: int


def fitted(
    watched: Sequence[Watched], training: MotionTraining | None = None, dating: DateTraining | None = None
) -> EventFit:
    """What dates grasps.

    Args:
        watched: hands of films.
        training, dating: of the network that watches hands, and of the one that dates grasps; None for their defaults.

    Raises:
        AssetError: nothing is grasped in these films.
    """
    hands, how = [one for one in watched if len(one.samples) > 1], training or MotionTraining()
    if not any(one.true["grasped"] for one in hands):
        raise AssetError("nothing is grasped in these films: render further sequences")
    part = np.unique([one.film for one in hands], return_inverse=True)[1] % PARTS
    began = time.monotonic()
    seen, motion = _seen_apart(hands, part, how)
    watched_s, dating = time.monotonic() - began, dating or DateTraining()
    numbers, dates = _dated(seen, part, dating)
    seconds = watched_s / (PARTS + 1), (time.monotonic() - began - watched_s) / (PARTS + 1)
    looks = BATCH * motion_steps(sum(len(one.looks) for one in hands), how)
    return EventFit(numbers, motion, dates, looks, dating.steps * dating.batch_size, seconds, how.seed)


def save_fit(fit: EventFit, out: Path, data: Sequence[Path], answering: str) -> tuple[Bundle, Bundle]:
    """Write the networks of a fit as weights, `grasp-motion` and `grasp-dates`.

    Args:
        fit: of films.
        out: folder of their folders. data: folders of the films. answering: weights that said where keypoints are.

    Raises:
        OutputError: it cannot be written.
    """
    shared = {
        "trained_on": [
            {name: Path(value).name if name == "path" else value for name, value in entry.items()}
            for entry in describe_data(list(data))
        ],
        "keypoints_by": answering,
        "seed": fit.seed,
        "commit": commit(),
        "started_from": [],
        "measured": _without_dates(fit.numbers),
        "licence": "Apache-2.0",
    }
    told = ((fit.motion, "grasp-motion", fit.looks), (fit.dates, "grasp-dates", fit.moments))
    motion, dates = (
        save_bundle(
            network,
            Path(out) / name,
            name,
            {"preset": name, **shared, "samples_seen": count, "training_s": round(seconds)},
        )
        for (network, name, count), seconds in zip(told, fit.seconds, strict=True)
    )
    return motion, dates


def _without_dates(numbers: dict[str, Any]) -> dict[str, Any]:
    """Counts alone, without how late each event is."""
    return {
        name: _without_dates(one) if isinstance(one, dict) else one for name, one in numbers.items() if name != "late_s"
    }


def _seen_apart(
    hands: Sequence[Watched], part: NDArray[np.int64], training: MotionTraining
) -> tuple[list[Watched], GraspMotion]:
    """The hands with what a network says of each that learnt from other films; and one that learnt from all."""

    def looks_of(some: Sequence[Watched]) -> list[WatchedLook]:
        return [look for hand in some for look in hand.looks.values()]

    everything = looks_of(hands)
    if len(everything) < 2:
        raise AssetError("no hand moves in these films: render further sequences")
    others = [
        looks_of([hand for hand, its in zip(hands, part, strict=True) if its != number]) or everything
        for number in range(PARTS)
    ]
    steps = sum(motion_steps(len(looks), training) for looks in (*others, everything))
    with tqdm(total=steps, unit="step", desc="what moves") as bar:
        seen = [replace(hand) for hand in hands]
        for number, looks in enumerate(others):
            network = train_motion(looks, training, bar.update)
            for row in np.flatnonzero(part == number).tolist():
                seen[row].samples = _with_motion(hands[row], network)
        return seen, train_motion(everything, training, bar.update)


def _with_motion(hand: Watched, network: GraspMotion) -> list[GraspReading]:
    answers = motion_answers(network, list(hand.looks.values())).clip(-LIMIT, LIMIT).tolist()
    told = dict(zip(hand.looks, answers, strict=True))
    return [
        replace(one, holds=told[k][0], touches=told[k][1]) if k in told else replace(one, holds=0.0, touches=0.0)
        for k, one in enumerate(hand.samples)
    ]


def _dated(
    hands: Sequence[Watched], part: NDArray[np.int64], training: DateTraining
) -> tuple[dict[str, Any], GraspDates]:
    """A network of all films; the best `path` for films that a network has not seen, and what is found of these
    then."""
    moments = [_moments(hand) for hand in hands]
    unseen = [without_images(one.windows) for one in moments]
    apart: list[list[Odds]] = [[np.zeros((0, 3))] * len(hands) for _ in range(2)]
    with tqdm(total=(PARTS + 1) * training.steps, unit="step", desc="dates") as bar:
        for number in range(PARTS):
            others = [one for one, its in zip(moments, part, strict=True) if its != number]
            network = train_dates(others or moments, training, bar.update)
            for row in np.flatnonzero(part == number).tolist():
                for odds, windows, denied in zip(
                    apart, (moments[row].windows, unseen[row]), (SURELY_DENIED, DENIED), strict=True
                ):
                    odds[row] = overruled(windows, date_answers(network, windows), denied)
        network = train_dates(moments, training, bar.update)
    path, best = _best_path(hands, apart[0])
    return {
        "path": path._asdict(),
        "of_other_films": best,
        "without_images": _found(hands, apart[1], path),
    }, network


def _moments(hand: Watched) -> DatedMoments:
    at_s = np.array([sample.at_s for sample in hand.samples])
    labels = [*(_labels(at_s, hand.true[what]) for what in WHATS), held_at(at_s, hand)]
    asked = np.stack([np.where(counts, ones, np.nan) for ones, counts in labels], 1).astype(np.float32)
    return DatedMoments(moment_windows(hand.samples, at_s).astype(np.float32), asked)


def _labels(at_s: FloatArray, true: Sequence[float]) -> Labels:
    """Moments at which something happened."""
    off = np.abs(at_s[:, None] - np.array([*true, np.inf])).min(1)
    return off <= HIT_S, (off <= HIT_S) | (off > MISSED_S)


def _best_path(hands: Sequence[Watched], odds: Sequence[Odds]) -> tuple[PathFit, dict[str, Any]]:
    """Of `PATHS` the one that finds most less what it tells falsely, of equal ones that which finds most; and what it
    finds."""

    def merit(one: tuple[PathFit, dict[str, Any]]) -> tuple[int, int]:
        hits, false = (sum(int(one[1][what][name]) for what in WHATS) for name in ("found", "false"))
        return hits - false, hits

    return max(((fit, _found(hands, odds, fit)) for fit in PATHS), key=merit)


def _found(hands: Sequence[Watched], odds: Sequence[Odds], fit: PathFit) -> dict[str, Any]:
    told = [
        replayed(np.array([sample.at_s for sample in hand.samples]), one, fit)
        for hand, one in zip(hands, odds, strict=True)
    ]
    return judged([Watched(a.film, a.duration_s, a.true, b) for a, b in zip(hands, told, strict=True)])


def replayed(at_s: FloatArray, odds: Odds, fit: PathFit) -> dict[What, list[float]]:
    """What `GraspMoments` tells of a hand, seen last at the last of these moments, by some log-odds."""
    told: dict[What, list[float]] = {name: [] for name in WHATS}
    path = GraspPath(fit)
    known = int((at_s <= at_s[-1] - AHEAD_S + _EPS).sum())
    for now_s, three in zip(at_s[:known].tolist(), odds[:known].tolist(), strict=True):
        path.add(ScoredMoment(now_s, None, *three))
        for change in path.told():
            told[WHATS[not change.begins]].append(change.moment.at_s)
    return told
