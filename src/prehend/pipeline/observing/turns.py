"""Hands whose direction nobody knows are looked at with their crop turned, too; depth tells which look is right.

The network expects hands that point up in their crop. The palm detector says where a hand points, and a hand that is
followed has shown it; a box says nothing of it. A hand whose fingers point down is then often read as one that points
up, and the crop that its joints call for is no better. The network knows: its keypoints are unsure. So it looks at the
other quarter turns, too, and that look stands whose keypoints are surest and whose skin lies most where depth has it.
"""

import math
from collections.abc import Callable, Sequence
from copy import copy

import numpy as np

from prehend.pipeline.depth.refine import agreement
from prehend.pipeline.depth.register import Depth
from prehend.pipeline.frames.targets import NoHand, Target
from prehend.pipeline.networks.decode import DecodedHand
from prehend.pipeline.observing.observe import Observation
from prehend.types import Camera, Region

TURNS_RAD = math.pi, math.pi / 2, -math.pi / 2
"""Directions of the further looks."""

UNSURE = 0.1
"""Standard deviation of the keypoints, in units of the box, above which a hand is looked at once more: hands that are
read rightly have .05, the others .18 (medians of rendered hands of seeds 201, 202 and 777010)."""

AGREEMENT = 2.0
"""What the share of the skin that lies where depth has it counts for, against the logarithm of that deviation."""

LEAST_PX = 1e-3
"""No keypoint is surer than this [px]."""

Look = Callable[[Sequence[Target]], Sequence[Observation | NoHand]]
"""Looks at some targets."""


def undirected(targets: Sequence[Target]) -> list[Target]:
    """Copies of the targets whose direction nobody knows, as they are before anybody looks."""
    return [
        target._replace(belief=copy(target.belief), depth=copy(target.depth)) for target in targets if target.undirected
    ]


def look_turned(
    seen: Sequence[Observation | NoHand], targets: Sequence[Target], look: Look, camera: Camera, depth: Depth
) -> list[Observation | NoHand]:
    """What was seen, with better looks in place of those that were unsure.

    Args:
        seen: at the first look.
        targets: `undirected` of those that were looked at.
        look: looks at turned targets.
        camera: of the image.
        depth: see `depth.refine.refine_depth`.
    """
    by_track = {target.track_id: target for target in targets}
    return [
        one
        if isinstance(one, NoHand) or one.target.track_id not in by_track
        else _best(one, by_track[one.target.track_id], look, camera, depth)
        for one in seen
    ]


def _best(first: Observation, target: Target, look: Look, camera: Camera, depth: Depth) -> Observation:
    longer = target.region.longer
    if not _deviation(first.hand, longer) > UNSURE:  # weights that tell none are not unsure
        return first
    turned = [
        target._replace(
            region=Region.of_box(target.region.box, turn), belief=copy(target.belief), depth=copy(target.depth)
        )
        for turn in TURNS_RAD
    ]
    looks = [first, *(one for one in look(turned) if not isinstance(one, NoHand))]
    return max(looks, key=lambda one: _merit(one, longer, camera, depth))


def _deviation(hand: DecodedHand, longer_px: float) -> float:
    """Standard deviation of a hand's keypoints, their geometric mean, in units of a length; NaN where nobody tells."""
    if hand.keypoint_std_px is None:
        return math.nan
    return float(np.exp(np.log(np.maximum(hand.keypoint_std_px, LEAST_PX)).mean())) / longer_px


def _merit(seen: Observation, longer_px: float, camera: Camera, depth: Depth) -> float:
    assert seen.hand_model is not None  # there is one of either side wherever depth is asked
    return AGREEMENT * agreement(seen.hand, seen.hand_model, depth, camera) - math.log(_deviation(seen.hand, longer_px))
