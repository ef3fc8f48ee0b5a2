"""Which answers of a teacher are kept: those that come back alike from turned, mirrored and farther copies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prehend.conventions import NUM_JOINTS, SIDES, Side
from prehend.types import Box, FloatArray


@dataclass(frozen=True)
class Answer:
    """A hand that a teacher saw in one look, in pixels of the image.

    Attributes:
        keypoints_px: (21, 2).
        side: as it is, not as a mirrored look shows it.
        score: how sure the teacher is.
    """

    keypoints_px: FloatArray
    side: Side
    score: float

    @property
    def box(self) -> Box:
        """Around the joints."""
        return Box.around(self.keypoints_px)

    @property
    def length_px(self) -> float:
        """Longer side of the box."""
        return max(self.box.width, self.box.height, 1e-6)


@dataclass(frozen=True)
class AgreementRule:
    """When an answer is sure and stable.

    Attributes:
        found: share of the looks that see the hand.
        score: lowest mean of the answers' scores.
        apart: largest mean distance of the joints from their median, over the longer side of the hand's box.
        joint_apart: largest such distance of one joint (root mean square over the looks).
        side: share of the looks that say the same side; below it the side is unknown.
        small_px, strict_apart: hands below this size, and hands that hold something, have to be seen in every look, and
            this near their median: objects of that size are taken for hands more often, and of fingers behind an object
            the looks may share one guess.
        inside: least share of the joints in the image.
        floor: least noise that is told of a joint, over the longer side: looks share the teacher's own errors.
    """

    found: float = 0.8
    score: float = 0.7
    apart: float = 0.03
    joint_apart: float = 0.12
    side: float = 0.8
    small_px: float = 40.0
    strict_apart: float = 0.02
    inside: float = 0.6
    floor: float = 0.015


@dataclass(frozen=True)
class Decision:
    """What the looks at one place say together.

    Attributes:
        reason: why it is not kept; None where it is.
        keypoints_px, std_px: (21, 2) medians and (21,) noise [px]; None where nothing was seen.
        side: None where the looks do not agree.
        score: mean of the answers' scores, 0 without any.
        apart: mean distance of the joints from their median over the longer side of the box, infinite without any.
    """

    reason: str | None
    keypoints_px: FloatArray | None = None
    std_px: FloatArray | None = None
    side: Side | None = None
    score: float = 0.0
    apart: float = np.inf


def decide(looks: Sequence[Answer | None], rule: AgreementRule, strict: bool = False) -> Decision:
    """Whether the answers of the looks at one place (None: nothing there) are one sure hand; `strict` as if it were
    small."""
    seen = [answer for answer in looks if answer is not None]
    if not seen:
        return Decision("nothing")
    points = np.stack([answer.keypoints_px for answer in seen])
    middle = np.median(points, 0)
    box = Box.around(middle)
    length = max(box.width, box.height, 1e-6)
    std = np.sqrt(((points - middle) ** 2).sum(-1).mean(0))
    apart = float(np.linalg.norm(points - middle, axis=-1).mean() / length)
    score = float(np.mean([answer.score for answer in seen]))
    enough = [name for name in SIDES if sum(answer.side == name for answer in seen) >= rule.side * len(seen)]
    side: Side | None = enough[0] if len(enough) == 1 else None
    strict = strict or length < rule.small_px
    reason = None
    if len(seen) < (1.0 if strict else rule.found) * len(looks):
        reason = "seldom seen"
    elif score < rule.score:
        reason = "low score"
    elif apart > (rule.strict_apart if strict else rule.apart) or std.max() > rule.joint_apart * length:
        reason = "places differ"
    return Decision(reason, middle, np.maximum(std, rule.floor * length), side, score, apart)


SAME_HAND = 0.3
"""Two answers with a mean distance of their joints below this share of the longer side are the same hand."""


def distance(a: Answer, b: Answer) -> float:
    """Mean distance of the joints over the longer side of the smaller hand."""
    return float(np.linalg.norm(a.keypoints_px - b.keypoints_px, axis=-1).mean() / min(a.length_px, b.length_px))


def different(answers: Sequence[Answer]) -> list[Answer]:
    """One answer of each hand, the surest first."""
    kept: list[Answer] = []
    for answer in sorted(answers, key=lambda one: -one.score):
        if all(distance(answer, other) > SAME_HAND for other in kept):
            kept.append(answer)
    return kept


def answer_at(box: Box, answers: Sequence[Answer]) -> Answer | None:
    """The answer that best fills a box, if any does."""
    best = max(answers, key=lambda answer: overlap(box, answer.box), default=None)
    return best if best is not None and overlap(box, best.box) > _AT_PLACE else None


_AT_PLACE = 0.3


def overlap(place: Box, hand: Box) -> float:
    """Intersection over the smaller area: a box of skin with the forearm, or of the joints alone, holds the hand."""
    width = min(place.x1, hand.x1) - max(place.x0, hand.x0)
    height = min(place.y1, hand.y1) - max(place.y0, hand.y0)
    return max(width, 0.0) * max(height, 0.0) / max(min(place.area, hand.area), 1e-6)


def answer_of(points_px: FloatArray, side: Side, score: float) -> Answer | None:
    """An answer, None where the numbers are none."""
    points = np.asarray(points_px, np.float64)
    sound = points.shape == (NUM_JOINTS, 2) and np.isfinite(points).all() and np.isfinite(score)
    return Answer(points, side, float(score)) if sound else None
