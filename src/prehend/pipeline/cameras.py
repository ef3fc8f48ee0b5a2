"""Several cameras with one set of networks: each camera's hands are followed apart, the network's calls are shared."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from prehend.backends import Backend
from prehend.errors import ParameterError, UnknownName
from prehend.hand_model.model import HandModel
from prehend.object_catalogue import ObjectModel
from prehend.pipeline.base import EstimatorBase
from prehend.pipeline.crops.uncut import CropSource
from prehend.pipeline.detection.detect import Detection, Detector, look_pool
from prehend.pipeline.frames.frame import Clock, camera_for, checked_size
from prehend.pipeline.frames.targets import Image, Target, cut_targets
from prehend.pipeline.hypotheses.budget import FrameBudget
from prehend.pipeline.hypotheses.follow import FollowedHypotheses, open_hypotheses
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.parts import open_parts
from prehend.pipeline.tracker import Tracker
from prehend.pipeline.tracking.events import event_teller
from prehend.pipeline.tracking.identities import Identities
from prehend.types import Camera, FrameResult, HandEstimate, HandEvent


@dataclass(frozen=True)
class CameraFrame:
    """One camera's image.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        camera: for this image size, or one of the same aspect ratio; None has it estimated.
        stamp: when it was taken [s]; None for the next of a video at 30 Hz.
        hypotheses: see `Estimator.estimate`.
    """

    image: Image
    camera: Camera | None = None
    stamp: float | None = None
    hypotheses: bool = True


class _Followed:
    """What is remembered of one camera's images."""

    def __init__(
        self,
        detector: Detector | None,
        options: EstimatorOptions,
        upright: bool,
        pool: ThreadPoolExecutor,
        hypotheses: FollowedHypotheses | None,
    ):
        self.detection, self.tracker = Detection(detector, options, pool), Tracker(options, upright)
        self.identities, self.events = Identities(options), event_teller(options)
        self.hypotheses = hypotheses

    def reset(self) -> None:
        for part in (self.detection, self.tracker, self.identities, self.events, self.hypotheses):
            if part is not None:
                part.reset()

    def use(self, options: EstimatorOptions) -> None:
        for part in (self.detection, self.tracker, self.identities):
            part.use(options)


class CamerasEstimator(EstimatorBase):
    """An `Estimator` for the images of several cameras: what each gets is what an estimator of its own would give it.

    The crops of all images that are handed in together go through each stage of the hand network at once, which costs
    less than one after the other; the detector looks at each image on its own, when its camera's tracks ask for it.

    Args:
        cameras: their names.
        backend, detector, config, hand_model, object_model, prior: as of `Estimator`; with option `detector_beside`
            all cameras' looks are taken in one thread, one after the other.

    Raises:
        ParameterError: no name, or one twice.
        WeightsMismatch: as of `Estimator`.
    """

    def __init__(
        self,
        cameras: Iterable[str],
        backend: Backend,
        detector: Backend,
        config: EstimatorOptions | None = None,
        hand_model: HandModel | None = None,
        object_model: Sequence[ObjectModel] = (),
        prior: Backend | None = None,
    ):
        super().__init__(backend, detector, config, hand_model, object_model, prior)
        names = list(cameras)
        if not names or len(set(names)) < len(names):
            raise ParameterError(f"cameras are {', '.join(names) or 'none'}: each needs a name of its own")
        self._pool, budget = look_pool(), FrameBudget(self.options.hypothesis_budget_ms)
        self._followed = {
            name: _Followed(
                self._detector,
                self.options,
                self._network.upright,
                self._pool,
                open_hypotheses(prior, self.options, budget),
            )
            for name in names
        }
        self._live, self._hypotheses = tuple(self._followed.values()), self._followed[names[0]].hypotheses

    def estimate(self, frames: Mapping[str, CameraFrame]) -> dict[str, FrameResult]:
        """Everything about one image of each of some cameras.

        Args:
            frames: by the names of the cameras; of one that has no image now there is none.

        Returns:
            For each of `frames`; `timing_ms` is that of all of them together.

        Raises:
            UnknownName: there is no camera of that name.
            InvalidInput: see `Estimator.estimate`; then no camera has moved on.
        """
        for name in frames:
            if name not in self._followed:
                raise UnknownName("camera", name, self._followed)
        clock = Clock()
        sizes = {name: checked_size(frame.image, frame.stamp, None) for name, frame in frames.items()}
        views = {name: camera_for(frame.camera, sizes[name], self.options.fov_deg) for name, frame in frames.items()}
        pictures = {name: self._network.picture(frame.image) for name, frame in frames.items()}
        targets = {
            name: self._followed[name].tracker.begin(
                sizes[name], frame.stamp, None, partial(self._followed[name].detection.run, frame.image)
            )
            for name, frame in frames.items()
        }
        seen = self._look(frames, pictures, targets, views, clock)
        again = {
            name: more
            for name, frame in frames.items()
            if (
                more := self._followed[name].tracker.look_again(
                    partial(self._followed[name].detection.run, frame.image)
                )
            )
        }
        seen |= self._look(frames, pictures, again, views, clock) if again else {}
        found = {}
        for name, frame in frames.items():
            followed = self._followed[name]
            hands = followed.identities.step(seen[name], followed.tracker.tracks, frame.stamp)
            events: tuple[HandEvent, ...] = ()
            if self.options.tracking:
                events = followed.events.step(hands, sizes[name], frame.stamp, frame.image)
            found[name] = (hands, followed.tracker.detected, events, followed.identities.lost)
        clock.lap("decode")
        hands_of = {name: hands for name, (hands, *_) in found.items()}
        if self.options.hypotheses:
            hands_of |= self._opened(frames, hands_of, clock)
        times = clock.done()
        return {
            name: FrameResult(views[name], hands_of[name], frames[name].stamp, dict(times), detected, events, lost)
            for name, (_, detected, events, lost) in found.items()
        }

    def _look(
        self,
        frames: Mapping[str, CameraFrame],
        pictures: Mapping[str, CropSource],
        targets: Mapping[str, Sequence[Target]],
        views: Mapping[str, Camera],
        clock: Clock,
    ) -> dict[str, list[HandEstimate]]:
        """The hands in view of the cameras that have targets, all crops together."""
        clock.lap("find")
        size, looked = self._network.crop_size, {name: frames[name] for name in targets}
        crops = [(pictures[k], cut_targets(pictures[k], targets[k], size), views[k]) for k in looked]
        clock.lap("crop")
        readings = dict(zip(looked, self._inference.run_many(crops), strict=True))
        for name in looked:
            self._followed[name].detection.begin_beside()
        clock.lap("infer")
        seen = {name: [self._observer.observe(one, views[name]) for one in readings[name]] for name in looked}
        hands = {name: self._followed[name].tracker.finish(seen[name], f.stamp) for name, f in looked.items()}
        clock.lap("decode")
        return hands

    def _opened(
        self, frames: Mapping[str, CameraFrame], hands: Mapping[str, tuple[HandEstimate, ...]], clock: Clock
    ) -> dict[str, tuple[HandEstimate, ...]]:
        """The hands of the cameras that want to know what they may be besides, each in its share of the time."""
        found, wanted = {}, sum(frame.hypotheses for frame in frames.values())
        for name, frame in frames.items():
            hypotheses = self._followed[name].hypotheses
            if hypotheses is not None and frame.hypotheses:
                found[name] = hypotheses.step(hands[name], frame.stamp, 1 / wanted)
            elif hypotheses is not None:
                hypotheses.reset()
        if wanted:
            clock.lap("hypotheses")
        return found

    @property
    def cameras(self) -> tuple[str, ...]:
        """Their names, in the order given."""
        return tuple(self._followed)

    @property
    def drops(self) -> dict[str, int]:
        """See `Estimator.drops`; of all cameras."""
        found: dict[str, int] = {}
        for followed in self._followed.values():
            for reason, count in followed.tracker.drops.items():
                found[reason] = found.get(reason, 0) + count
        return found

    def reset(self, camera: str | None = None) -> None:
        """Forget all hands, of one camera alone where it is named."""
        for name, followed in self._followed.items():
            if camera in (None, name):
                followed.reset()

    def close(self) -> None:
        """Let go of the backends."""
        self._pool.shutdown()
        super().close()


def load_cameras(cameras: Iterable[str], options: EstimatorOptions) -> CamerasEstimator:
    """Load weights once for several cameras; errors as of `load.load_estimator` and `CamerasEstimator`."""
    return CamerasEstimator(cameras, **open_parts(options))
