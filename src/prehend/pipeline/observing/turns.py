"""Hands whose direction nobody knows are looked at with their crop turned, too; depth tells which look is right.

The network expects hands that point up in their crop. The palm detector says where a hand points, and a hand that is
followed has shown it; a box says nothing of it. A hand whose fingers point down is then often read as one that points
up, and the crop that its joints call for is no better. The network knows: its keypoints are unsure. So it looks at the
other quarter turns, too, and that look stands whose keypoints are surest and whose skin lies most where depth has it.
"""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from typing import NamedTuple

import numpy as np

from prehend.pipeline.crops.uncut import CropSource
from prehend.pipeline.depth.refine import agreement
from prehend.pipeline.depth.register import Depth
from prehend.pipeline.frames.targets import NoHand, Target, cut_targets
from prehend.pipeline.networks.decode import DecodedHand
from prehend.pipeline.observing.infer import Inference
from prehend.pipeline.observing.observe import Observation, Observer
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


class FrameInputs(NamedTuple):
    """What a frame's hands are read from.

    Attributes:
        picture: the image.
        camera: of the image.
        depth: see `depth.refine.refine_depth`; None for none.
        given: somebody says where the hands are.
    """

    picture: CropSource
    camera: Camera
    depth: Depth | None
    given: bool


class TurnedLooks:
    """Looks once more at hands whose direction nobody knows; keeps nothing from frame to frame.

    Args:
        crop_size: of the network's crops [px].
        inference: runs it.
        observer: decodes what it says.
    """

    def __init__(self, crop_size: int, inference: Inference, observer: Observer):
        self._crop_size, self._inference, self._observer = crop_size, inference, observer

    def candidates(self, targets: Sequence[Target], frame: FrameInputs) -> dict[int, Target]:
        """Copies of the targets that may be looked at once more, by track, as they are before anybody looks."""
        return {} if frame.depth is None else {one.track_id: _copied(one) for one in targets if one.undirected}

    def better(
        self, seen: Sequence[Observation | NoHand], candidates: Mapping[int, Target], frame: FrameInputs
    ) -> list[Observation | NoHand]:
        """What was seen, with better looks in place of those that were unsure."""
        best: list[Observation | NoHand] = []
        for one in seen:
            target = None if isinstance(one, NoHand) else candidates.get(one.target.track_id)
            best.append(one if target is None or isinstance(one, NoHand) else self._best(one, target, frame))
        return best

    def _best(self, first: Observation, target: Target, frame: FrameInputs) -> Observation:
        assert frame.depth is not None
        region, camera, depth = target.region, frame.camera, frame.depth
        if not _deviation(first.hand, region.longer) > UNSURE:  # NaN, of weights that tell none, is not
            return first
        turned = [_copied(target)._replace(region=Region.of_box(region.box, turn)) for turn in TURNS_RAD]
        crops = cut_targets(frame.picture, turned, self._crop_size)
        readings = self._inference.run(frame.picture, crops, frame.given, camera)
        looks = [self._observer.observe(reading, camera, depth) for reading in readings]
        hands = [first, *(look for look in looks if not isinstance(look, NoHand))]
        return max(hands, key=lambda hand: _merit(hand, region.longer, camera, depth))


def _copied(target: Target) -> Target:
    """What looks change of a target is its own."""
    return target._replace(belief=copy(target.belief), depth=copy(target.depth))


def _deviation(hand: DecodedHand, longer_px: float) -> float:
    """Standard deviation of a hand's keypoints, their geometric mean, in units of a length; NaN where nobody tells."""
    if hand.keypoint_std_px is None:
        return math.nan
    return float(np.exp(np.log(np.maximum(hand.keypoint_std_px, LEAST_PX)).mean())) / longer_px


def _merit(seen: Observation, longer_px: float, camera: Camera, depth: Depth) -> float:
    assert seen.hand_model is not None  # there is one of either side wherever depth is asked
    return AGREEMENT * agreement(seen.hand, seen.hand_model, depth, camera) - math.log(_deviation(seen.hand, longer_px))
