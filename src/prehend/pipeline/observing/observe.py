"""From what the network says of a target to a measured hand and what it holds, in metres."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from prehend.hand_model.model import HandModel
from prehend.object_catalogue import ObjectModel
from prehend.pipeline.crops.border import BorderDepth
from prehend.pipeline.depth.objects import refine_object
from prehend.pipeline.depth.refine import refine_depth
from prehend.pipeline.depth.register import Depth
from prehend.pipeline.frames.memory import Remembered
from prehend.pipeline.frames.targets import NoHand, Target, inside_share
from prehend.pipeline.networks.decode import DecodedHand, decode_hand
from prehend.pipeline.networks.hands import HandModels
from prehend.pipeline.observing.infer import Reading
from prehend.pipeline.observing.object_pose import choose, decode_object
from prehend.pipeline.options import EstimatorOptions
from prehend.types import Box, Camera, ObjectEstimate

MIN_INSIDE = 0.2
"""A hand of whose box less than this share is in the image has left it."""


@dataclass(frozen=True)
class Observation:
    """One hand as this frame alone shows it.

    Attributes:
        target: where it was looked for, with its depth and belief after this frame.
        hand: as measured.
        hand_model: of its side.
        score, side_score, grasp: probabilities, see `infer.Reading`.
        held: what it holds, as measured; None where nobody looked or the answer is none.
        object_model: what that is; None where nobody said.
        matches: log-odds of each candidate by this frame; empty where there is nothing to choose.
        remembered: what later frames need of this one; None of networks that look at single frames.
    """

    target: Target
    hand: DecodedHand
    hand_model: HandModel | None
    score: float
    side_score: float
    grasp: float
    held: ObjectEstimate | None = None
    object_model: ObjectModel | None = None
    matches: tuple[float, ...] = ()
    remembered: Remembered | None = None


class Observer:
    """Decodes readings; keeps nothing from frame to frame.

    Args:
        hands: the hand models.
        objects: what the hands hold, or all that they may hold; none where it is not known.
        options: what an answer has to fulfil.
    """

    def __init__(self, hands: HandModels, objects: Sequence[ObjectModel], options: EstimatorOptions):
        self._hands, self._objects, self._options = hands, tuple(objects), options

    def use(self, options: EstimatorOptions, objects: Sequence[ObjectModel]) -> None:
        """Go on with other options and objects."""
        self._objects, self._options = tuple(objects), options

    def observe(self, reading: Reading | NoHand, camera: Camera, depth: Depth | None = None) -> Observation | NoHand:
        """The measured hand, or why there is none; it lies as the depth image says where that tells."""
        if isinstance(reading, NoHand):
            return reading
        target, model = reading.target, self._hands.by_side[reading.target.side]
        answer = self._hands.adapted(reading.answer)
        # smoothing poses the hand anew, with its mesh
        mesh = depth is not None or not self._options.smooth.min_cutoff_hz
        decoded = decode_hand(answer, reading.spec, camera, model, mesh)
        if isinstance(decoded, NoHand):
            return decoded._replace(target=target, answered=True)
        if fault := self._fault(decoded, camera):
            return NoHand(fault, target, answered=True)
        if target.changed_side:  # it has no past
            fresh = BorderDepth() if target.refound else target.depth
            target = target._replace(evidence=None, depth=fresh)
        size = (camera.width, camera.height)
        factor = target.depth.factor(decoded.joints_m, decoded.keypoints_px, decoded.misfit_px, size, target.unseen_s)
        hand = refine_depth(decoded.moved_away(factor), model, depth, camera)
        seen = Observation(
            target,
            hand,
            model,
            reading.score,
            reading.side_score,
            reading.grasp,
            remembered=answer.remembered,
        )
        return self._with_object(seen, reading, camera, depth)

    def _with_object(self, seen: Observation, reading: Reading, camera: Camera, depth: Depth | None) -> Observation:
        things = reading.answer.things
        if not things:
            return seen
        count = len(self._objects)
        number, matches = 0, tuple[float, ...]()
        if 1 < count <= len(things):  # weights that cannot be told answer once
            evidence = seen.target.evidence
            number = choose(things, np.zeros(len(things)) if evidence is None else evidence)
            matches = tuple(thing.match for thing in things)
        model = self._objects[number] if count else None
        held = decode_object(things[number], reading.spec, camera, seen.hand, model)
        held = refine_object(held, model, depth, camera)
        return replace(seen, held=held, object_model=model, matches=matches)

    def _fault(self, decoded: DecodedHand, camera: Camera) -> str:
        """Why a decoded hand is not to be believed, empty if it is."""
        box = Box.around(decoded.keypoints_px)
        if inside_share(box, (camera.width, camera.height)) < MIN_INSIDE:
            return "left_image"
        if decoded.misfit_px > self._options.max_fit_error * max(box.width, box.height):
            return "bad_fit"
        return ""
