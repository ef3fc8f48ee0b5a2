"""What `prehend rig` does with its recordings."""

import statistics
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tqdm import tqdm

from prehend.errors import InvalidInput, ParameterError, PrehendError, SourceError, UnknownName
from prehend.io.frames import Frame, Source
from prehend.io.results.event_lines import EventLines
from prehend.io.results.overlay_files import OverlayFolder
from prehend.io.results.predictions import STREAM, ModelRecord, PredictionsStream, PredictionsWriter
from prehend.io.sources import open_source
from prehend.pipeline.cameras import CameraFrame
from prehend.rig.calibration import RigCalibration
from prehend.rig.estimator import RigEstimator
from prehend.rig.recording import Sets, rig_record
from prehend.rig.show import draw_rig
from prehend.rig.views.records import RigResult


class CameraSource(NamedTuple):
    """Where a camera's images are: what `open_source` opens, and of a bag the topic, None for the only one."""

    name: str
    topic: str | None

    @classmethod
    def of(cls, text: str, topic: str | None) -> "CameraSource":
        """`SOURCE`, or `BAG:/TOPIC`; `topic` where none is named."""
        head, colon, rest = text.partition(":/")
        if colon and Path(head).exists() and not Path(text).exists():
            return cls(head, f"/{rest}")
        return cls(text, topic)


def sources_of(names: Mapping[str, str], topic: str | None) -> dict[str, CameraSource]:
    """What each camera's images are read from.

    Args:
        names: as `assigned` has them.
        topic: image topic of bags for which none is named.

    Raises:
        ParameterError: two cameras would see the same images.
    """
    found = {camera: CameraSource.of(text, topic) for camera, text in names.items()}
    seen: dict[tuple[Path, str | None], str] = {}
    for camera, source in found.items():
        before = seen.setdefault((Path(source.name).resolve(), source.topic), camera)
        if before != camera:
            raise ParameterError(
                f"cameras {before} and {camera} would both see {source.name}: give each its own source; of a bag that "
                f"holds both, its topic: {camera}={source.name}:/{camera}/image_raw"
            )
    return found


def assigned(sources: Sequence[str], rig: RigCalibration, file: Path) -> dict[str, str]:
    """The source of each camera, in the order given: by name, as left=left.mp4, or in the order of the rig.

    Raises:
        UnknownName: the rig has no camera of a name.
        ParameterError: too few or too many sources, or two for one camera.
    """
    if len(sources) > len(rig.cameras):
        raise ParameterError(f"{len(sources)} sources, but {file} has {len(rig.cameras)} cameras")
    found: dict[str, str] = {}
    for source, name in zip(sources, rig.cameras, strict=False):
        head, equals, rest = source.partition("=")
        if equals and head.isidentifier() and not Path(source).exists():
            if head not in rig.cameras:
                raise UnknownName(f"camera of {file}", head, rig.cameras)
            name, source = head, rest
        if name in found:
            raise ParameterError(f"camera {name} has two sources: {found[name]} and {source}")
        found[name] = source
    if len(found) < 2:
        raise ParameterError("one source is no rig: give one of each camera, or take prehend run for a single one")
    return found


class RigJob:
    """Recordings of a rig through an estimator into files; what fails is told and counted.

    As a context manager it finishes its files, also when it is interrupted.
    """

    def __init__(
        self,
        load: Callable[[], RigEstimator],
        rig: RigCalibration,
        json_path: Path | None,
        overlay: OverlayFolder | None,
        events: EventLines | None,
        mesh: bool,
    ):
        self._load, self._rig, self._json_path = load, rig, json_path
        self._overlay, self._events, self._mesh = overlay, events, mesh
        self._estimator: RigEstimator | None = None
        self._writer: PredictionsWriter | PredictionsStream | None = None
        self._stack = ExitStack()
        self._sets: Sets | None = None
        self._views, self._total_ms = Counter[int](), list[float]()
        self._misses_m, self._both = list[float](), 0
        self._failures = 0

    def take(self, sources: Mapping[str, CameraSource], window_s: float) -> None:
        """Run recordings to their end.

        Args:
            sources: of each camera; the first camera leads.
            window_s: largest difference of stamps in a set [s].

        Raises:
            PrehendError: a source cannot be read, the estimator cannot be loaded, or a file cannot be written.
        """
        with ExitStack() as stack:
            opened: dict[str, Source] = {
                camera: stack.enter_context(
                    open_source(
                        source.name,
                        on_error=self.fail,
                        topic=source.topic,
                        own_camera=self._rig.of(camera).camera is not None,
                    )
                )
                for camera, source in sources.items()
            }
            self._sets = Sets(opened, window_s)
            lengths = [source.length for source in opened.values() if source.length is not None]
            for lead, stamp, frames in tqdm(
                self._sets, total=max(lengths, default=None), unit="set", desc="rig", disable=None, leave=False
            ):
                self._take_set(opened[lead], lead, stamp, frames)
            for source in opened.values():
                for note in source.notes:
                    self._tell(note)

    def _take_set(self, source: Source, lead: str, stamp: float, frames: Mapping[str, Frame]) -> None:
        estimator = self._estimator_now()
        try:
            images = {name: self._camera_frame(name, frame) for name, frame in frames.items()}
            poses = {name: self._rig.of(name).T_rig_camera for name in frames}
            result = estimator.estimate(images, poses, stamp)
        except InvalidInput as error:
            self.fail(SourceError(f"{frames[lead].source}: frame {frames[lead].index}: {error}"))
            return
        self._count(result)
        if self._json_path is not None:
            record = rig_record(frames[lead], result, self._rig.frame, self._mesh)
            self._writer_now(self._json_path, estimator).write_record(record)
        if self._events is not None:
            self._events.write(frames[lead], result.result)
        if self._overlay is not None:
            faces = {side: model.faces for side, model in estimator.cameras.hand_models.items()}
            ordered = {name: frames[name].image_rgb for name in estimator.cameras.cameras if name in frames}
            if len(ordered) == len(estimator.cameras.cameras):  # a video's images are of one size
                self._overlay.write(source, frames[lead], draw_rig(ordered, result, faces))

    def _camera_frame(self, name: str, frame: Frame) -> CameraFrame:
        given, (height, width) = self._rig.of(name).camera, frame.image_rgb.shape[:2]
        try:
            camera = frame.camera if given is None else given.for_image(width, height, frame.stored_size)
        except InvalidInput as error:
            raise InvalidInput(f"camera {name}: {error}") from error
        if camera is None:
            raise InvalidInput(f"camera {name} has no intrinsics: give K or a file as 'camera' in the rig's file")
        return CameraFrame(frame.image_rgb, camera, frame.stamp)

    def _count(self, result: RigResult) -> None:
        self._total_ms.append(result.result.timing_ms["total"])
        self._views.update(len(one.cameras) for one in result.fused)
        self._misses_m += [view.rms_m for one in result.fused for view in one.views if len(one.cameras) > 1]
        self._both += sum(bool(view.hands) for view in result.views.values()) > 1

    def summary(self) -> list[str]:
        """Lines for a person."""
        if not self._total_ms:
            return []
        views = ", ".join(
            f"{count} of {number} view{'s' if number > 1 else ''}" for number, count in sorted(self._views.items())
        )
        lines = [
            f"{len(self._total_ms)} sets, {self._views.total()} hands ({views or 'none'}); "
            f"{statistics.median(self._total_ms):.1f} ms per set (median)"
        ]
        if self._misses_m:
            lines.append(f"views miss their hands by {1e3 * statistics.median(self._misses_m):.1f} mm (median)")
        elif self._both:
            lines.append(
                "no two views agree on a hand though several see some: are the poses in metres, the right way round "
                "(T_rig_camera takes points of the camera to the rig), and the recordings of one time?"
            )
        if self._sets is not None:
            lines += _sync_lines(self._sets)
        for name, path in (("predictions", self._json_path), ("events", self._events and self._events.path)):
            if path is not None and path != STREAM:
                lines.append(f"{name}: {path}")
        if self._overlay is not None:
            lines += [f"overlay: {path}" for path in self._overlay.written]
        return lines

    def exit_code(self) -> int:
        """0, or 1 when anything failed."""
        return 1 if self._failures else 0

    def fail(self, error: PrehendError) -> None:
        """Count and tell something that failed; of what fails in every set, once."""
        self._failures += 1
        if self._failures <= 5:
            self._tell(str(error))

    def __enter__(self) -> "RigJob":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._estimator is not None:
            self._estimator.close()
        if self._writer is not None:
            self._writer.__exit__(kind, error, trace)

    def _estimator_now(self) -> RigEstimator:
        if self._estimator is None:
            self._estimator = self._load()
            self._estimator.warm_up()
        return self._estimator

    def _writer_now(self, path: Path, estimator: RigEstimator) -> PredictionsWriter | PredictionsStream:
        if self._writer is None:
            bundle = estimator.cameras.bundle
            record: ModelRecord = {"name": bundle.name, "weights_sha256": bundle.weights_sha256}
            models = estimator.cameras.hand_models
            faces = {side: model.faces for side, model in models.items()} if self._mesh else None
            self._writer = (
                PredictionsStream(record, 2, faces) if path == STREAM else PredictionsWriter(path, record, 2, faces)
            )
        return self._writer

    def _tell(self, line: str) -> None:
        tqdm.write(f"prehend rig: {line}", file=sys.stderr)


def _sync_lines(sets: Sets) -> list[str]:
    """What did not match."""
    lines = []
    for name, counts in sets.matcher.counts.items():
        left = counts.unsynced + counts.late
        if left or counts.alone:
            lines.append(f"{name}: {counts.matched} frames matched, {counts.alone} alone, {left} left out")
    if not any(counts.matched for counts in sets.matcher.counts.values()):
        lines.append("no frames match: their stamps lie further apart than the window; raise --window")
    return lines
