"""Which hand it is, left or right: evidence from the crop network and the detector, added up over frames.

The network sees right hands only, so a crop for the wrong side shows it a left hand. Its side logit says which of the
two a crop shows; a hand whose side is not settled is shown to it both ways.
"""

import math
from dataclasses import dataclass

import numpy as np

from prehend.conventions import Side
from prehend.errors import ParameterError

CLEAR_LOGIT = 4.0
"""Logit from which a crop shows a hand of the side it was cut for without doubt: the mirrored one is not looked at.
High, since most crops of training are cut for the right side: undecided networks answer up to 2."""

FRAME_TRUST = 0.5
"""What a frame's evidence counts for: crops that follow each other err together."""

FRAME_S = 1 / 30
"""Time that a frame's evidence is for; frames that are further apart count for more, nearer ones for less [s]."""

MIN_FRAMES, MAX_FRAMES = 0.25, 3.0
"""A frame counts for no less and no more than so many of `FRAME_S`."""


@dataclass(frozen=True)
class HandednessConfig:
    """How sides are believed; all numbers are log-odds.

    Attributes:
        detector: what one look of the detector says. Little: it sees hands small.
        frame: the most that the crops of one frame say, at 30 Hz.
        settled: from here on a side is settled, and only one crop a frame is looked at, as long as it agrees. A hand
            in view whose side was never settled changes it when the other one is believed this much.
        change: a hand in view whose side was settled changes it when the other one is believed this much: with
            `settled` and `frame` as they are, after half a second or more in which both crops speak against it.
        certainty: no side is believed more than this, so that a wrong belief can be mended.

    Raises:
        ParameterError: not 0 < frame <= certainty, or the others are not above 0 and up to `certainty`.
    """

    detector: float = 0.25
    frame: float = 1.0
    settled: float = 3.0
    change: float = 12.0
    certainty: float = 12.0

    def __post_init__(self) -> None:
        for name in ("detector", "frame", "settled", "change"):
            if not 0 < getattr(self, name) <= self.certainty:
                raise ParameterError(
                    f"handedness {name} is {getattr(self, name)}, expected above 0, up to {self.certainty}"
                )


class HandednessBelief:
    """What is believed about one hand's side.

    `side` is the answer. Until `began` it follows the evidence; then it changes only against `HandednessConfig.change`.
    `was_settled` says that it was beyond doubt since the hand came into view.

    Args:
        side: as first claimed, None for a hand of which nothing is claimed.
        config: how far evidence is trusted.
        given: the claim is a user's and not to be doubted.
    """

    def __init__(self, side: Side | None, config: HandednessConfig, given: bool = False):
        self._config = config
        self._began = self.was_settled = False
        self.side: Side = side or "right"
        self._right = 0.0
        if side is not None:
            self.tell(side) if given else self.found(side)

    @property
    def log_odds(self) -> float:
        """Of `side` over the other one; infinite where a user said so."""
        return self._right if self.side == "right" else -self._right

    @property
    def settled(self) -> bool:
        """Whether no second crop is needed."""
        return self.log_odds >= self._config.settled

    def tell(self, side: Side) -> None:
        """A user says which side it is."""
        self.side, self._right = side, math.inf if side == "right" else -math.inf

    def found(self, side: Side | None) -> None:
        """The detector claims a side; None claims nothing."""
        if side is not None:
            self._add(self._config.detector if side == "right" else -self._config.detector)

    def seen(self, logit: float, elapsed_s: float = FRAME_S) -> None:
        """The network's evidence in a frame.

        Args:
            logit: log-odds of `side` over the other one; no number says nothing.
            elapsed_s: time since the last frame with evidence [s].
        """
        if math.isfinite(logit):
            frames = float(np.clip(elapsed_s / FRAME_S, MIN_FRAMES, MAX_FRAMES))
            kept = frames * float(np.clip(FRAME_TRUST * logit, -self._config.frame, self._config.frame))
            self._add(kept if self.side == "right" else -kept)

    def begin(self) -> None:
        """The hand was shown to somebody: from now on its side should stay."""
        self._began = True

    def reopen(self) -> None:
        """The hand was out of sight and may be another one now: what was believed counts as little as a claim."""
        if not math.isinf(self._right):
            self._began = self.was_settled = False
            self._right = float(np.clip(self._right, -self._config.detector, self._config.detector))

    def _add(self, right: float) -> None:
        if math.isinf(self._right):
            return
        self._right = float(np.clip(self._right + right, -self._config.certainty, self._config.certainty))
        self.was_settled = self.was_settled or self.settled
        needed = 0.0 if not self._began else self._config.change if self.was_settled else self._config.settled
        if self.log_odds < 0 and -self.log_odds >= needed:
            self.side = "left" if self.side == "right" else "right"


def is_doubtful(belief: HandednessBelief, logit: float) -> bool:
    """Whether to look at the mirrored crop too: while a side is not settled, and where a crop speaks against it.

    Args:
        belief: about the hand.
        logit: side logit of the crop for `belief.side`. Weights that were never taught sides answer 0 always: the
            mirrored crop would say nothing either.
    """
    if math.isinf(belief.log_odds) or not math.isfinite(logit) or logit == 0:
        return False
    return logit < 0 if belief.settled else logit < CLEAR_LOGIT


def evidence_of(belief: HandednessBelief, logit: float, mirrored: float | None) -> float:
    """What the crops of a frame say: log-odds of `belief.side` over the other one.

    Args:
        belief: about the hand.
        logit: side logit of the crop for `belief.side`.
        mirrored: of its mirror image, None if that was not looked at. The mean of both is free of what the network
            answers to everything. Against a settled side both have to speak: a crop that shows neither hand well is
            one of the other side no more than of this one.
    """
    if mirrored is None:
        return max(logit, 0.0) if belief.settled else logit
    both = (logit - mirrored) / 2
    return max(both, 0.0) if belief.was_settled and not logit < 0 < mirrored else both
