"""A frame's way through the runtime, from top to bottom: an image in, the hands in it out."""

from collections.abc import Sequence
from functools import partial

from prehend.backends import Backend
from prehend.hand_model.model import HandModel
from prehend.object_catalogue import ObjectModel
from prehend.pipeline.base import EstimatorBase
from prehend.pipeline.depth.refine import checked_depth
from prehend.pipeline.depth.register import Depth
from prehend.pipeline.detection.detect import Detection
from prehend.pipeline.frames.cuts import Cuts
from prehend.pipeline.frames.frame import Clock, camera_for, checked_size
from prehend.pipeline.frames.targets import Image, Target, cut_targets
from prehend.pipeline.hypotheses.follow import open_hypotheses
from prehend.pipeline.observing.turns import FrameInputs, TurnedLooks
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.parts import FromPretrained
from prehend.pipeline.tracker import Tracker
from prehend.pipeline.tracking.events import event_teller
from prehend.pipeline.tracking.identities import Identities
from prehend.types import Camera, FoundHand, FrameResult, HandEstimate


class Estimator(EstimatorBase, FromPretrained):
    """From images to hands; remembers the hands of the last image. `load.load_estimator` makes one.

    Images of one camera go in one after the other; one estimator serves one camera and one thread.

    Args:
        backend: runs the hand network.
        detector: runs the detector, of either kind; None where every call brings boxes.
        config: None for the defaults; what it says of weights and files is not looked at here.
        hand_model: of either side; None for the shipped one.
        object_model: what the hands hold, or may hold; None where it is not known: then it is a box of estimated size.
        prior: runs the prior for hands, which option `hypotheses` needs.

    Raises:
        WeightsMismatch: the network was trained with another hand model or looks at fewer frames than it is asked to,
            `detector` runs no detector, or `prior` no prior of the shipped hand.
        ParameterError: option `hypotheses` has no prior.
    """

    def __init__(
        self,
        backend: Backend,
        detector: Backend | None = None,
        *,
        config: EstimatorOptions | None = None,
        hand_model: HandModel | None = None,
        object_model: ObjectModel | Sequence[ObjectModel] | None = None,
        prior: Backend | None = None,
    ):
        super().__init__(backend, detector, config, hand_model, object_model, prior)
        self._detection = Detection(self._detector, self._options)
        self._tracker = Tracker(self._options, self._network.upright)
        self._turned = TurnedLooks(self._network.crop_size, self._inference, self._observer)
        self._identities, self._events = Identities(self._options), event_teller(self._options)
        self._live, self._cuts = (self._detection, self._tracker, self._identities), Cuts()
        self._hypotheses = open_hypotheses(prior, self._options)

    def estimate(
        self,
        image: Image,
        camera: Camera | None = None,
        stamp: float | None = None,
        boxes: Sequence[FoundHand] | None = None,
        depth: Depth | None = None,
        hypotheses: bool = True,
    ) -> FrameResult:
        """Everything about one image.

        Args:
            image: (H, W, 3) uint8 RGB.
            camera: for this image size, or one of the same aspect ratio; None has it estimated.
            stamp: when the image was taken [s]; a jump starts from nothing. None for an image on its own, or for the
                next of a video at 30 Hz: the first one says at once whether something is grasped, and one that looks
                quite unlike the one before is taken for the first (see `cuts`).
            boxes: the hands of this image, instead of the detector's and the tracks'; each gets a sound answer or none.
            depth: (H, W) along the optical axis [m], aligned to the image, 0 or NaN for nothing (see `depth.refine`);
                or that of another camera.
            hypotheses: False where nobody looks at those that option `hypotheses` asks for: none are made, and they
                begin anew with the next image that wants them. Nothing else depends on them.

        The detector looks when `schedule.Schedule` says so. With option `temporal_lag_s` hands come at once all the
        same and are not smoothed: `lag.FixedLag` holds results back and smooths them.

        Raises:
            InvalidInput: the image is not (H, W, 3) uint8, camera or depth do not belong to it, a box does not touch
                it, or there is neither a detector nor boxes.
        """
        size = checked_size(image, stamp, boxes)
        view = camera_for(camera, size, self._options.fov_deg)
        depth, clock = checked_depth(depth, size), Clock()
        if stamp is None and self._options.tracking and self._cuts.step(image):
            self.reset()
        # detect and associate: where to look
        look = partial(self._detection.run, image)
        frame = FrameInputs(self._network.picture(image), view, depth, boxes is not None)
        found = self._see(frame, self._tracker.begin(size, stamp, boxes, look), stamp, clock)
        if targets := self._tracker.look_again(look):
            found = self._see(frame, targets, stamp, clock)
        hands = self._identities.step(found, self._tracker.tracks, stamp)
        events = self._events.step(hands, size, stamp, image) if self._options.tracking else ()  # what happened to them
        clock.lap("decode")
        if self._hypotheses is not None and hypotheses:
            hands = self._hypotheses.step(hands, stamp)  # what else they may be
            clock.lap("hypotheses")
        elif self._hypotheses is not None:
            self._hypotheses.reset()
        return FrameResult(view, hands, stamp, clock.done(), self._tracker.detected, events, self._identities.lost)

    def _see(
        self, frame: FrameInputs, targets: Sequence[Target], stamp: float | None, clock: Clock
    ) -> list[HandEstimate]:
        """The hands in view, once it is known where to look."""
        clock.lap("find")
        undirected = self._turned.candidates(targets, frame)
        crops = cut_targets(frame.picture, targets, self._network.crop_size)
        clock.lap("crop")
        # infer: which of them are hands, of which side, and what the network says of each
        readings = self._inference.run(frame.picture, crops, frame.given, frame.camera)
        self._detection.begin_beside()
        clock.lap("infer")
        # decode: hands in metres and what they hold, by this frame alone
        observations = [self._observer.observe(reading, frame.camera, frame.depth) for reading in readings]
        observations = self._turned.better(observations, undirected, frame)
        # track, smooth and estimate: whose hands they are, and how they are shown
        hands = self._tracker.finish(observations, stamp)
        clock.lap("decode")
        return hands

    @property
    def drops(self) -> dict[str, int]:
        """How many hands were given up since the start, by reason: see `Tracker.drops`."""
        return self._tracker.drops

    def reset(self) -> None:
        """Forget all hands; the numbers of their tracks are not used again."""
        for part in (self._detection, self._tracker, self._identities, self._events, self._hypotheses):
            if part is not None:
                part.reset()

    def close(self) -> None:
        """Let go of the backends."""
        self._detection.close()
        super().close()
