"""When what a hand holds begins to move with it, and when it lets go: seen in how the hand goes, once that is clear.

A single image shows that a hand closes, half a second before the object moves. So the hand's last two seconds are
looked at: how surely frames say that it grasps, how it goes over the image behind it, how its fingers bend, and, where
there are images, what goes with it (`frames.hand_motion`). Three logistic regressions on that (`prehend-train events
--fit`) say for every moment whether a grasp began, or ended, there, and whether something is held; what these make
together likely is told (`grasp_path`).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.geometry.rotations import geodesic_angle
from prehend.pipeline.frames.hand_motion import FAR_S, Grey, HandWatch, MotionPatch, PastImage
from prehend.pipeline.frames.targets import Image
from prehend.pipeline.networks.grasp_motion import UNSEEN, GraspMotionNetwork
from prehend.pipeline.tracking.camera_motion import STILL, CameraMotion
from prehend.pipeline.tracking.grasp_moments_fit import PATH, SEEN, SEEN_PATH
from prehend.pipeline.tracking.grasp_moments_fit import UNSEEN as BLIND
from prehend.pipeline.tracking.grasp_path import GraspPath, ScoredMoment
from prehend.types import Box, FloatArray, HandEstimate

SAMPLE_S = 0.06
"""Hands are looked at no more often than this [s]."""

SURE_S, WAYS_S = (
    (-1.6, -0.85, -0.5, -0.25, -0.08, 0.08, 0.25, 0.45),
    (-1.6, -0.85, -0.6, -0.4, -0.25, -0.12, 0.0, 0.12, 0.25, 0.4),
)
"""Times about a moment between which answers and bends, and places of the hand, are averaged [s]."""

AHEAD_S = SURE_S[-1]
"""How much later than a moment it can be told about [s]."""

GAP_S = 0.5
"""A hand that is not seen for so long has no past [s]."""

DENIED, AFFIRMED = -1.5, 1.75
"""Where the mean log-odds about a moment are lower than the first, frames deny a grasp, and none begins however the
hand goes; where those after it are higher than the second, none ends."""

SEEN_DENIED, SURELY_DENIED = -1.0, -3.75
"""Where it is seen what goes with the hand, the mean log-odds of that after a moment have to be lower than the first,
too, before no grasp begins there, unless those of frames are lower than the second."""

BARE = -1.0
"""Log-odds of holding where frames are as sure of a bare hand, at most."""

_NOW = 5
"""Among places, the one that ends with the moment."""

_KEPT_S = AHEAD_S - SURE_S[0] + 0.35
_BENT = (1, 2, 4, 5, 7, 8, 10, 11)
"""Of MANO's joints, the first two of each finger but the thumb."""

_PALM = [0, 5, 9, 13, 17]
_MOVED = ("holds", "touches")
_BLIND_CUES = 30
_SHARES = (0.01, 0.99)
_EPS = 1e-6


class GraspMoment(NamedTuple):
    """A grasp that began, or ended.

    Attributes:
        begins: which of the two.
        stamp: of the frame in which it happened [s], None without stamps. at_s: the same on the teller's clock.
        confidence: 0..1, probability that it did.
    """

    begins: bool
    stamp: float | None
    at_s: float
    confidence: float


@dataclass(frozen=True)
class GraspReading:
    """A hand at a time: (2,) way over what stands still so far [px], log-odds that it grasps, metres a pixel, mean bend
    of its fingers [rad]; log-odds that something moves with it and that it touches something, by what moved."""

    at_s: float
    stamp: float | None
    way_px: FloatArray
    log_odds: float
    scale: float
    bend: float
    holds: float = 0.0
    touches: float = 0.0


class ImageLook(NamedTuple):
    """A camera's image when its hands are looked at.

    Attributes:
        M: (2, 3) as of `CameraMotion.step`, since the look before.
        now: (H, W) green of this image, None where there is none.
        past: images of looks before, the oldest first.
    """

    M: FloatArray
    now: Grey | None = None
    past: tuple[PastImage, ...] = ()


class MomentLooks:
    """How a camera's image goes on between looks at its hands, which are `SAMPLE_S` apart."""

    def __init__(self) -> None:
        self._camera, self._looked_s = CameraMotion(), -np.inf
        self._past: tuple[PastImage, ...] = ()

    def step(self, now_s: float, image: Image | None, boxes_px: Sequence[Box]) -> ImageLook | None:
        """The look at an image; None where it is too early for the next.

        Args:
            now_s: time on the teller's clock [s].
            image: (H, W, 3) uint8 RGB; without one the camera is taken to stand still.
            boxes_px: of hands, which go their own way.
        """
        if now_s - self._looked_s < SAMPLE_S - _EPS:
            return None
        self._looked_s = now_s
        M = STILL if image is None else self._camera.step(image, list(boxes_px))
        recent = (one for one in self._past if now_s - one.at_s <= FAR_S + _EPS)
        past = tuple(one._replace(M=_after(one.M, M)) for one in recent)
        now = None if image is None else np.ascontiguousarray(image[..., 1])
        self._past = past if now is None else (*past, PastImage(now_s, now, STILL))
        return ImageLook(M, now, past)


def _after(first: FloatArray, then: FloatArray) -> FloatArray:
    """(2, 3) of one movement after another."""
    return np.column_stack([then[:, :2] @ first[:, :2], then[:, :2] @ first[:, 2] + then[:, 2]])


class GraspMoments:
    """The last seconds of one hand.

    Args:
        motion: what tells of the images what goes with the hand; None where there are no images.
    """

    def __init__(self, motion: GraspMotionNetwork | None = None) -> None:
        self.samples: deque[GraspReading] = deque()
        self.patch: MotionPatch | None = None
        self._motion, self._seen = motion, HandWatch()
        self._path, self._next_s = GraspPath(PATH if motion is None else SEEN_PATH), -np.inf
        self._way_px, self._place_px = np.zeros(2), np.zeros(2)

    def look(
        self, look: ImageLook, hand: HandEstimate | None, now_s: float, stamp: float | None
    ) -> GraspReading | None:
        """`moved`, then `add` where the hand is seen; `patch` is what was seen to move."""
        self.moved(look.M)
        if hand is None:
            return None
        self.patch = self._seen.step(hand, now_s, look.now, look.past)
        return self.add(hand, now_s, stamp)

    def moved(self, M: FloatArray) -> None:
        """The image went on: (2, 3) as of `camera_motion.CameraMotion.step`."""
        self._place_px = M[:, :2] @ self._place_px + M[:, 2]

    def add(self, hand: HandEstimate, now_s: float, stamp: float | None) -> GraspReading | None:
        """Take in a frame, after `moved`.

        Args:
            hand: as it is seen; one of weights that do not tell of grasps tells nothing.
            now_s: time on the teller's clock, which does not go back [s].
            stamp: of the image [s].

        Returns:
            What was read; None of a hand that tells nothing.
        """
        place, numbers = hand.keypoints_px[_PALM].mean(0), (_log_odds(hand), _scale(hand), _bend(hand))
        if not np.isfinite([*place, *numbers]).all():
            return None
        if self.samples and now_s - self.samples[-1].at_s > GAP_S:
            self.samples.clear()
            self._path.begin_anew(self._path.grasps)
        if self.samples:
            self._way_px = self._way_px + place - self._place_px
        self._place_px = place
        motion = UNSEEN if self._motion is None or self.patch is None else self._motion.tell(self.patch)
        self.samples.append(GraspReading(now_s, stamp, self._way_px, *numbers, *motion))
        while self.samples and self.samples[0].at_s < now_s - _KEPT_S:
            self.samples.popleft()
        return self.samples[-1]

    def told(self, grasps: bool) -> tuple[GraspMoment, ...]:
        """What has become clear with the last frame: one after the other, a beginning and an end in turn.

        Args:
            grasps: it is known to grasp, so that an end comes next.
        """
        if grasps != self._path.grasps:
            self._path.begin_anew(grasps)
        told: list[GraspMoment] = []
        for moment in self._scored():
            self._path.add(moment)
            for begins, one, log_odds in self._path.told():
                told.append(GraspMoment(begins, one.stamp, one.at_s, float(1 / (1 + np.exp(-log_odds)))))
        return tuple(told)

    def seen_to_hold(self) -> float:
        """Mean log-odds that something moves with the hand, over the last two seconds; 0 where nothing was seen."""
        return float(np.mean([one.holds for one in self.samples])) if self.samples else 0.0

    def _scored(self) -> list[ScoredMoment]:
        """Moments that enough is known of by now, and that were not scored yet."""
        if len(self.samples) < 2:
            return []
        ready = [s for s in self.samples if self._next_s < s.at_s <= self.samples[-1].at_s - AHEAD_S + _EPS]
        if not ready:
            return []
        self._next_s = ready[-1].at_s
        cues = moment_cues(list(self.samples), np.array([one.at_s for one in ready]), self._motion is not None)
        odds = np.stack(moment_odds(cues), 1).tolist()
        return [ScoredMoment(one.at_s, one.stamp, *three) for one, three in zip(ready, odds, strict=True)]


def moment_cues(samples: list[GraspReading], at_s: FloatArray, seen: bool = False) -> FloatArray:
    """What tells of some moments whether a grasp began or ended there.

    Args:
        samples: of one hand, two at least, in time's order. at_s: (N,) moments [s].
        seen: what moved with the hand was seen.

    Returns:
        (N, 30): means of the log-odds; log of speeds between mean places, of distances from the last place before the
        moment [m/s], [m]; bends about the moment, against that at it; whether ways before and after have one direction.
        Where that was seen (N, 44): means of both log-odds of what moved behind them.
    """
    t = np.array([one.at_s for one in samples])
    scale = float(np.median([one.scale for one in samples]))
    places = np.stack([_means(t, x * scale, at_s, WAYS_S) for x in np.array([one.way_px for one in samples]).T], 2)
    odds = _means(t, np.array([one.log_odds for one in samples]), at_s, SURE_S)
    bends = _means(t, np.array([one.bend for one in samples]), at_s, SURE_S)
    middles = (np.array(WAYS_S[1:]) + WAYS_S[:-1]) / 2
    speeds = np.linalg.norm(np.diff(places, axis=1), axis=2) / np.diff(middles)
    far = np.delete(np.linalg.norm(places - places[:, [_NOW]], axis=2), _NOW, 1)
    bends = np.column_stack([bends[:, [2, 3, 5, 6]] - bends[:, [4]], bends[:, 4]])
    moved = [_means(t, np.array([getattr(one, name) for one in samples]), at_s, SURE_S) for name in _MOVED if seen]
    return np.concatenate([odds, np.log(speeds + 0.02), np.log(far + 0.005), bends, _turns(places), *moved], 1)


def moment_odds(cues: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Three times (N,) log-odds, that a grasp begins, that it ends, and that something is held, at moments of which
    `moment_cues` tells."""
    fits = next(fits for fits in (BLIND, SEEN) if len(fits[0].weights) == cues.shape[1])
    begins, ends, holds = (cues @ np.array(fit.weights) + fit.offset for fit in fits)
    return overruled(cues, begins, ends, holds)


def overruled(
    cues: FloatArray, begins: FloatArray, ends: FloatArray, holds: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The three log-odds with what frames rule out by themselves."""
    no_begin, no_end = ruled_out(cues)
    bare = (_mean_odds(cues, -0.25) < SURELY_DENIED) & (cues.shape[1] > _BLIND_CUES)
    return (
        np.where(no_begin, -np.inf, begins),
        np.where(no_end, -np.inf, ends),
        np.where(bare, np.minimum(holds, BARE), holds),
    )


def ruled_out(cues: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Twice (N,), moments of which frames say that no grasp begins there, and that none ends."""
    say = _mean_odds(cues, -0.25)
    denied = say < DENIED
    if cues.shape[1] > _BLIND_CUES:
        denied &= (_mean_odds(cues[:, _BLIND_CUES:], 0.08) < SEEN_DENIED) | (say < SURELY_DENIED)
    return denied, _mean_odds(cues, 0.08) > AFFIRMED


def _mean_odds(cues: FloatArray, since_s: float) -> FloatArray:
    """(N,) means of the log-odds from a time about a moment on."""
    first = SURE_S.index(since_s)
    spans = np.diff(SURE_S)[first:]
    return np.asarray(cues[:, first : len(SURE_S) - 1] @ (spans / spans.sum()))


def _turns(places: FloatArray) -> FloatArray:
    """(N, 2) cosines between ways that lead to the moment, a shorter and a longer one, and the way from it; smaller
    where they are short."""
    after = places[:, -1] - places[:, _NOW + 1]
    return np.stack([_cosine(places[:, _NOW] - places[:, first], after) for first in (2, 1)], 1)


def _cosine(a: FloatArray, b: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(1) / (lengths + 4e-4))


def _means(t: FloatArray, values: FloatArray, at_s: FloatArray, edges_s: tuple[float, ...]) -> FloatArray:
    """(N, K) means of a signal between times about moments; straight between samples, constant beyond them."""
    ends = at_s[:, None] + np.array(edges_s)
    return np.asarray(np.diff(_integral(t, values, ends), axis=1) / np.diff(edges_s))


def _integral(t: FloatArray, values: FloatArray, until: FloatArray) -> FloatArray:
    areas = np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2 * np.diff(t))])
    inside = np.clip(until, t[0], t[-1])
    k = np.clip(np.searchsorted(t, inside, side="right") - 1, 0, len(t) - 2)
    rest, slope = inside - t[k], (values[k + 1] - values[k]) / (t[k + 1] - t[k])
    beyond = np.minimum(until - t[0], 0) * values[0] + np.maximum(until - t[-1], 0) * values[-1]
    return np.asarray(areas[k] + values[k] * rest + slope * rest**2 / 2 + beyond)


def _log_odds(hand: HandEstimate) -> float:
    share = np.clip(hand.grasp.probability, *_SHARES)
    return float(np.log(share / (1 - share)))


def _scale(hand: HandEstimate) -> float:
    """Metres a pixel at the hand."""
    spread_m = np.linalg.norm(hand.joints_m[:, :2] - hand.joints_m[:, :2].mean(0))
    spread_px = np.linalg.norm(hand.keypoints_px - hand.keypoints_px.mean(0))
    return float(spread_m / max(float(spread_px), _EPS))


def _bend(hand: HandEstimate) -> float:
    return float(geodesic_angle(hand.rotations[list(_BENT)], np.eye(3)).mean())
