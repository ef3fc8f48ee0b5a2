"""Images of a rig's cameras in, fused hands in the rig's frame out."""

import time
from collections.abc import Iterable, Mapping

import numpy as np

from prehend.errors import InvalidInput, ParameterError
from prehend.pipeline.cameras import CameraFrame, CamerasEstimator, load_cameras
from prehend.pipeline.options import EstimatorOptions, changed
from prehend.rig.tracking import RigTracker
from prehend.rig.views.records import RigResult, View
from prehend.types import FloatArray


class RigEstimator:
    """Hands of a rig: each camera's hands are found and followed in its own images, then fused.

    Args:
        cameras: what looks at the images; it should not smooth, for that comes after the fusion.
        options: how fused hands are smoothed and followed.
    """

    def __init__(self, cameras: CamerasEstimator, options: EstimatorOptions):
        self.cameras = cameras
        self._tracker = RigTracker(options, cameras.hand_models)

    def estimate(
        self, frames: Mapping[str, CameraFrame], poses: Mapping[str, FloatArray], stamp: float | None = None
    ) -> RigResult:
        """The fused hands of images that were taken together.

        Args:
            frames: by the names of the cameras; of one that has no image now there is none.
            poses: (4, 4) T_rig_camera of each of them.
            stamp: of the set [s]; it becomes the result's. Each camera's hands are followed by its own images' stamps.

        Returns:
            The result; its pixels are those of the first of the rig's cameras that is among `frames`. Cameras whose
            intrinsics are a guess count only where there are no others.

        Raises:
            InvalidInput: there is no image, or no pose for one.
            UnknownName: there is no camera of a name.
        """
        for name in frames:
            if name not in poses:
                raise InvalidInput(f"camera {name} has no pose in the rig's frame: give its extrinsics")
        results = self.cameras.estimate(frames)
        began = time.perf_counter()
        names = [name for name in self.cameras.cameras if name in results]
        if not names:
            raise InvalidInput("no camera has an image")
        known = [name for name in names if not results[name].camera.estimated] or names
        stamps = {name: frame.stamp for name, frame in frames.items()}
        views = [
            View(
                name,
                results[name].camera,
                np.asarray(poses[name], np.float64),
                results[name].hands,
                _late(stamps[name], stamp),
            )
            for name in known
        ]
        timing = dict(results[names[0]].timing_ms)
        found = any(result.found for result in results.values())
        result = self._tracker.step(views, stamp, timing, found)
        fuse_ms = 1e3 * (time.perf_counter() - began)
        result.result.timing_ms.update(fuse=fuse_ms, total=timing["total"] + fuse_ms)
        return result

    @property
    def notes(self) -> tuple[str, ...]:
        """See `Estimator.notes`."""
        return self.cameras.notes

    def warm_up(self) -> None:
        """Do what the first images would wait for."""
        self.cameras.warm_up()

    def change(self, options: EstimatorOptions) -> None:
        """See `Estimator.change`."""
        self.cameras.change(_of_each(options))
        self._tracker.use(options)

    def reset(self) -> None:
        """Forget all hands."""
        self.cameras.reset()
        self._tracker.reset()

    def close(self) -> None:
        """Let go of the backends."""
        self.cameras.close()


def load_rig(cameras: Iterable[str], options: EstimatorOptions | None = None) -> RigEstimator:
    """Load the weights once for all cameras of a rig; errors as of `pipeline.load.load_estimator`.

    Args:
        cameras: their names; the first whose image is there gives a set its stamp and pixels.
        options: None for the defaults; smoothing and `lost` are about the fused hands.
    """
    options = options or EstimatorOptions()
    if options.hypotheses:
        raise ParameterError("option hypotheses goes with no rig, whose views tell what one hides: leave it at 0")
    if options.grasp_events != "at_once":
        raise ParameterError("option grasp_events goes with no rig, whose hands are in no image: leave it at at_once")
    return RigEstimator(load_cameras(cameras, _of_each(options)), options)


def _of_each(options: EstimatorOptions) -> EstimatorOptions:
    """What each camera is told: smoothing and waiting for hands come after the fusion."""
    return changed(options, smooth_min_cutoff_hz=0.0, lost="drop")


def _late(stamp: float | None, of_set: float | None) -> float:
    return 0.0 if stamp is None or of_set is None else stamp - of_set
