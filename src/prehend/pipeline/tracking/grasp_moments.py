"""When what a hand holds begins to move with it, and when it lets go: seen in how the hand goes, once that is clear.

A single image shows that a hand closes, half a second before the object moves. So the hand's last two seconds are
looked at: how surely frames say that it grasps, how it goes over the image behind it, how its fingers bend and open,
and, where there are images, what goes with it (`frames.hand_motion`). A network on that (`networks.grasp_dates`) says
for every moment whether a grasp began, or ended, there, and whether something is held; what these make together likely
is told (`grasp_path`).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from prehend.conventions import TIP_JOINTS
from prehend.geometry.rotations import geodesic_angle
from prehend.pipeline.frames.hand_motion import FAR_S, Grey, HandWatch, MotionPatch, PastImage
from prehend.pipeline.frames.targets import Image
from prehend.pipeline.networks.grasp_dates import AHEAD, BEFORE, HERTZ, TIMES_S, GraspDatesNetwork
from prehend.pipeline.networks.grasp_motion import UNSEEN, GraspMotionNetwork
from prehend.pipeline.tracking.camera_motion import STILL, CameraMotion
from prehend.pipeline.tracking.grasp_path import GraspPath, ScoredMoment
from prehend.types import Box, FloatArray, HandEstimate

SAMPLE_S = 0.06
"""Hands are looked at no more often than this [s]."""

AHEAD_S = AHEAD / HERTZ
"""How much later than a moment it can be told about [s]."""

GAP_S = 0.5
"""A hand that is not seen for so long has no past [s]."""

DENIED, SURELY_DENIED = -1.5, -3.75
"""Where the mean log-odds of frames about a moment are lower, they deny a grasp, and none begins however the hand goes:
the first where no images tell what goes with it, the second where they do."""

BARE = -1.0
"""Log-odds of holding where frames deny a grasp, at most."""

_ABOUT_S = -0.25
"""What frames say of a moment is their mean from then on [s]."""

_KEPT_S = AHEAD_S + BEFORE / HERTZ + 0.35
_BENT = (1, 2, 4, 5, 7, 8, 10, 11)
"""Of MANO's joints, the first two of each finger but the thumb."""

_PALM = [0, 5, 9, 13, 17]
_SHARES = (0.01, 0.99)
_ODDS_ABOUT, _SEEN_ABOUT = 3.0, 4.0
"""How large log-odds are, of frames and of what moves."""

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
    of its fingers [rad], how far it is open between thumb and the two next fingers [lengths of its palm]; log-odds that
    something moves with it and that it touches something, by what moved."""

    at_s: float
    stamp: float | None
    way_px: FloatArray
    log_odds: float
    scale: float
    bend: float
    aperture: float
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
        dates: what tells of these seconds when grasps begin and end; None where that is not asked.
        motion: what tells of the images what goes with the hand; None where there are no images.
    """

    def __init__(self, dates: GraspDatesNetwork | None = None, motion: GraspMotionNetwork | None = None) -> None:
        self.samples: deque[GraspReading] = deque()
        self.patch: MotionPatch | None = None
        self._dates, self._motion, self._seen = dates, motion, HandWatch()
        self._path, self._next_s = GraspPath(), -np.inf
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
        place, numbers = hand.keypoints_px[_PALM].mean(0), (_log_odds(hand), _scale(hand), _bend(hand), _aperture(hand))
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
        if len(self.samples) < 2 or self._dates is None:
            return []
        ready = [s for s in self.samples if self._next_s < s.at_s <= self.samples[-1].at_s - AHEAD_S + _EPS]
        if not ready:
            return []
        self._next_s = ready[-1].at_s
        windows = moment_windows(list(self.samples), np.array([one.at_s for one in ready]))
        odds = overruled(windows, self._dates.tell(windows), DENIED if self._motion is None else SURELY_DENIED)
        return [ScoredMoment(one.at_s, one.stamp, *three) for one, three in zip(ready, odds.tolist(), strict=True)]


def moment_windows(samples: list[GraspReading], at_s: FloatArray) -> FloatArray:
    """What tells of some moments whether a grasp began or ended there.

    Args:
        samples: of one hand, two at least, in time's order. at_s: (N,) moments [s].

    Returns:
        (N, 9, T) at the times `TIMES_S` about each: log-odds that the hand grasps, that something moves with it and
        that it touches something; bend of its fingers and its aperture against those at the moment; log of its speed
        [m/s] and of how far it is from where it is at the moment [m]; its way from there [m]. All scaled to about 1;
        straight between samples, constant beyond them.
    """
    t = np.array([one.at_s for one in samples])
    scale = float(np.median([one.scale for one in samples]))
    when = at_s[:, None] + TIMES_S

    def told(values: FloatArray) -> FloatArray:
        return np.asarray(np.interp(when, t, values))

    names = ("log_odds", "holds", "touches", "bend", "aperture")
    log_odds, holds, touches, bend, aperture = (
        told(np.array([getattr(one, name) for one in samples])) for name in names
    )
    way = np.stack([told(one * scale) for one in np.array([one.way_px for one in samples]).T], 2)
    way = way - way[:, [BEFORE]]
    speed = np.linalg.norm(np.diff(way, axis=1, prepend=way[:, :1]), axis=2) * HERTZ
    far = np.linalg.norm(way, axis=2)
    signals = (
        log_odds / _ODDS_ABOUT,
        holds / _SEEN_ABOUT,
        touches / _SEEN_ABOUT,
        2 * (bend - bend[:, [BEFORE]]),
        5 * (aperture - aperture[:, [BEFORE]]),
        np.log(speed + 0.03) + 2,
        np.log(far + 0.01) + 3,
        5 * way[..., 0],
        5 * way[..., 1],
    )
    return np.stack(signals, 1)


def overruled(windows: FloatArray, odds: FloatArray, denied: float) -> FloatArray:
    """(N, 3) log-odds with what frames rule out by themselves.

    Args:
        windows: (N, 9, T) of `moment_windows`. odds: (N, 3) that a grasp begins, that it ends, that something is held.
        denied: where frames' mean log-odds are lower, no grasp begins and nothing is held.
    """
    no = windows[:, 0, TIMES_S >= _ABOUT_S].mean(1) * _ODDS_ABOUT < denied
    begins, ends, holds = odds.T
    return np.stack([np.where(no, -np.inf, begins), ends, np.where(no, np.minimum(holds, BARE), holds)], 1)


def _log_odds(hand: HandEstimate) -> float:
    share = np.clip(hand.grasp.probability, *_SHARES)
    return float(np.log(share / (1 - share)))


def _scale(hand: HandEstimate) -> float:
    """Metres a pixel at the hand."""
    spread_m = np.linalg.norm(hand.joints_m[:, :2] - hand.joints_m[:, :2].mean(0))
    spread_px = np.linalg.norm(hand.keypoints_px - hand.keypoints_px.mean(0))
    return float(spread_m / max(float(spread_px), _EPS))


def _aperture(hand: HandEstimate) -> float:
    """From the tip of the thumb to between those of the index and the middle finger, against the palm's length: hands
    let go before they leave (Jeannerod, The timing of natural prehension movements, 1984)."""
    palm_m = float(np.linalg.norm(hand.joints_m[9] - hand.joints_m[0]))
    thumb, *fingers = hand.joints_m[list(TIP_JOINTS[:3])]
    return float(np.linalg.norm(thumb - np.mean(fingers, 0))) / max(palm_m, _EPS)


def _bend(hand: HandEstimate) -> float:
    return float(geodesic_angle(hand.rotations[list(_BENT)], np.eye(3)).mean())
