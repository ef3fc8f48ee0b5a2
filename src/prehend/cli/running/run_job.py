"""What `prehend run` does with its sources."""

import statistics
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from tqdm import tqdm

from prehend.cli.arguments.options import no_effect
from prehend.draw.overlay import draw
from prehend.errors import InvalidInput, MissingDependency, PrehendError, SourceError, one_line
from prehend.geometry.calibration import doubt
from prehend.geometry.camera import mirror_camera
from prehend.io.cameras.side_files import GivenCamera, SourceTable
from prehend.io.frames import Frame, Source
from prehend.io.pixels.images import MAX_PIXELS
from prehend.io.results.event_lines import EventLines
from prehend.io.results.overlay_files import OverlayFolder
from prehend.io.results.predictions import STREAM, ModelRecord, PredictionsStream, PredictionsWriter, Version
from prehend.io.sources import open_source
from prehend.pipeline.lag import FixedLag
from prehend.pipeline.load import HandEstimator
from prehend.pipeline.options import EstimatorOptions
from prehend.types import Camera, FoundHand, FrameResult

STAGES = ("find", "crop", "infer", "decode")

_FOREIGN = (cv2.error, np.linalg.LinAlgError, ArithmeticError, MemoryError)
"""What libraries raise over an image they cannot do; it costs that image and no more."""


class Run:
    """Sources through an estimator into files; what fails is told at once and counted.

    As a context manager it finishes its files; also when it is interrupted from the keyboard, which is how a
    camera ends. Where images are taken each on its own, nothing is held back (`lag`), and once a line tells which of
    the arguments that were given have no effect there (`in_vain`).
    """

    def __init__(
        self,
        load: Callable[[bool], HandEstimator],
        boxes: SourceTable[list[FoundHand]] | None,
        cameras: SourceTable[GivenCamera] | GivenCamera | None,
        json_path: Path | None,
        overlay: OverlayFolder | None,
        max_pixels: int = MAX_PIXELS,
        mirrored: bool = False,
        mesh: bool = False,
        version: Version = 2,
        timing: bool = True,
        verb: str = "run",
        events: EventLines | None = None,
        lag: EstimatorOptions | None = None,
        in_vain: Sequence[str] = (),
    ):
        self._verb, self._lag_options = verb, lag
        self._lag: FixedLag[Frame] | None = None
        self._in_vain = in_vain
        self._mesh, self._version, self._timing = mesh, version, timing
        self._max_pixels, self._mirrored, self._left_out = max_pixels, mirrored, 0
        self._load, self._boxes, self._cameras = load, boxes, cameras
        self._json_path, self._overlay, self._events = json_path, overlay, events
        self._estimators: dict[bool, HandEstimator] = {}
        self._writer: PredictionsWriter | PredictionsStream | None = None
        self._results: list[tuple[dict[str, float], int, int, bool]] = []
        self._poses: Counter[str] = Counter()
        self._failures = 0
        self._without_boxes = 0
        self._fitted: set[str] = set()
        self._told: dict[int, int] = {}

    def take(self, name: str, *, topic: str | None, track: bool | None, prefixed: bool) -> None:
        """Run one source to its end.

        Args:
            name: of the source.
            topic: image topic of a bag.
            track: True takes a folder as a sequence, False every frame on its own, None as the source is.
            prefixed: name a folder's images with the folder in front.

        Raises:
            PrehendError: the estimator cannot be loaded, or a file cannot be written.
        """
        try:
            with open_source(
                name,
                on_error=self.fail,
                topic=topic,
                prefixed=prefixed,
                max_pixels=self._max_pixels,
                own_camera=isinstance(self._cameras, GivenCamera),
            ) as source:
                self.take_opened(source, track=track)
        except (SourceError, MissingDependency) as error:
            self.fail(error)

    def take_opened(self, source: Source, *, track: bool | None) -> None:
        """Run an opened source to its end.

        Args:
            source: not iterated yet.
            track: see `take`.

        Raises:
            PrehendError: see `take`; also where the source breaks off.
        """
        tracking = source.is_sequence if track is None else track
        self._left_out += source.left_out
        if self._in_vain and not tracking:
            self._tell(
                f"{source.name}: {no_effect(self._in_vain)} on images that are taken each on its own; --track "
                "follows hands through those of a folder"
            )
            self._in_vain = ()
        try:
            self._frames(source, tracking)
        finally:
            self._pass_on(source, len(source.notes))

    def summary(self) -> list[str]:
        """Lines for a person."""
        if not self._results:
            return []
        timings, hands, grasping, assumed = zip(*self._results, strict=True)
        median = {s: statistics.median(t.get(s, 0.0) for t in timings) for s in (*STAGES, "total")}
        stages = ", ".join(f"{stage} {median[stage]:.1f}" for stage in STAGES)
        lines = [
            f"{_plural(len(timings), 'frame')}, {_plural(sum(hands), 'hand')}, {sum(grasping)} grasping; "
            f"{median['total']:.1f} ms per frame (median: {stages})"
        ]
        if self._json_path is not None and self._json_path != STREAM:
            lines.append(f"predictions: {self._json_path}")
        if self._events is not None and self._events.path != STREAM:
            lines.append(f"events: {_plural(self._events.count, 'line')} in {self._events.path}")
        if self._overlay is not None:
            note = f"; {self._overlay.note}" if self._overlay.note else ""
            lines.append(f"overlays: {_plural(len(self._overlay.written), 'file')} in {self._overlay.root}{note}")
        if any(assumed):
            lines.append(f"no camera known for {_plural(sum(assumed), 'frame')}: distances are rough; give --cameras")
        if self._poses.total():
            given = self._poses[""]
            why = ", ".join(f"{n} {reason}" for reason, n in self._poses.most_common() if reason)
            held = _plural(self._poses.total(), "held object")
            lines.append(f"{given} of {held} with a pose" + (why and f"; the others: {why}"))
        drops = sum((Counter(estimator.drops) for estimator in self._estimators.values()), Counter())
        if drops:
            lines.append("given up: " + ", ".join(f"{count} {reason}" for reason, count in drops.most_common()))
        if self._left_out:
            lines.append(f"left out: {_plural(self._left_out, 'file')} of kinds that are not read")
        if self._without_boxes:
            lines.append(f"no boxes for {_plural(self._without_boxes, 'frame')}: not looked at")
        return lines

    def exit_code(self) -> int:
        """0, or 1 when anything failed; tells how much where something was done all the same."""
        if self._failures and self._results:
            self._tell(f"{_plural(self._failures, 'failure')}, {_plural(len(self._results), 'frame')} done")
        return 1 if self._failures else 0

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for estimator in self._estimators.values():
            estimator.close()
        if self._writer is not None:
            self._writer.__exit__(kind, error, trace)
        if kind is None:
            self._check_tables()

    def _frames(self, source: Source, tracking: bool) -> None:
        self._lag = None
        try:
            self._each_frame(source, tracking)
        finally:
            if self._lag is not None:
                for frame, result in self._lag.flush():
                    self._keep(source, frame, result, self._estimator(tracking))

    def _each_frame(self, source: Source, tracking: bool) -> None:
        estimator, size = None, None
        self._pass_on(source, len(source.notes))
        for frame in tqdm(source, total=source.length, unit="frame", desc=source.name, disable=None, leave=False):
            self._pass_on(source, len(source.notes))
            if self._mirrored:
                frame = replace(frame, image_rgb=np.ascontiguousarray(frame.image_rgb[:, ::-1]))
            if estimator is None:  # what cannot be read is told before anything is loaded
                estimator, size = self._estimator(tracking), frame.image_rgb.shape
                estimator.reset()
                if self._lag_options is not None and tracking:
                    self._lag = FixedLag(self._lag_options, estimator.hand_models)
            if tracking and frame.image_rgb.shape != size:
                raise SourceError(
                    f"{frame.source}: its size differs from the images before it: no sequence of one camera; "
                    "--no-track takes each image on its own"
                )
            try:
                result = self._estimate(frame, estimator)
            except (InvalidInput, SourceError) as error:
                self.fail(error if str(error).startswith(frame.source) else SourceError(f"{frame.source}: {error}"))
                continue
            except _FOREIGN as error:
                self.fail(SourceError(f"{frame.source}: frame {frame.index} cannot be done ({one_line(error)})"))
                continue
            for told, its in [(frame, result)] if self._lag is None else self._lag.add(frame, result):
                self._keep(source, told, its, estimator)

    def _keep(self, source: Source, frame: Frame, result: FrameResult, estimator: HandEstimator) -> None:
        grasping = sum(hand.grasp.state == "grasping" for hand in result.hands)
        self._results.append((result.timing_ms, len(result.hands), grasping, result.camera.estimated))
        self._poses.update(hand.held_object.no_pose for hand in result.hands if hand.held_object is not None)
        if self._json_path is not None:
            if self._writer is None:
                self._writer = self._open(self._json_path, estimator)
            self._writer.write(frame, result if self._timing else replace(result, timing_ms={}))
        if self._events is not None:
            self._events.write(frame, result)
        if self._overlay is not None:
            faces = {side: model.faces for side, model in estimator.hand_models.items()}
            try:
                picture = draw(frame.image_rgb, result, faces)
            except _FOREIGN as error:
                self.fail(SourceError(f"{frame.source}: frame {frame.index} cannot be drawn ({one_line(error)})"))
                return
            self._overlay.write(source, frame, picture)

    def _open(self, path: Path, estimator: HandEstimator) -> PredictionsWriter | PredictionsStream:
        bundle = estimator.bundle
        record: ModelRecord = {"name": bundle.name, "weights_sha256": bundle.weights_sha256}
        faces = {side: model.faces for side, model in estimator.hand_models.items()} if self._mesh else None
        if path == STREAM:
            return PredictionsStream(record, self._version, faces)
        return PredictionsWriter(path, record, self._version, faces)

    def _estimator(self, tracking: bool) -> HandEstimator:
        if tracking not in self._estimators:
            self._estimators[tracking] = self._load(tracking)
            self._estimators[tracking].warm_up()
        return self._estimators[tracking]

    def _camera(self, frame: Frame) -> Camera | None:
        given = self._cameras.find(frame) if isinstance(self._cameras, SourceTable) else self._cameras
        if given is None:
            return self._turned_back(frame.camera)
        self._fitted.add("cameras")
        height, width = frame.image_rgb.shape[:2]
        camera = given.for_image(width, height, frame.stored_size)
        if "doubt" not in self._fitted and (odd := doubt(camera)):
            self._fitted.add("doubt")
            self._tell(f"{frame.source}: {odd}")
        return self._turned_back(camera)

    def _turned_back(self, camera: Camera | None) -> Camera | None:
        """Calibrations are of the images as they come."""
        return mirror_camera(camera) if self._mirrored and camera is not None else camera

    def _estimate(self, frame: Frame, estimator: HandEstimator) -> FrameResult:
        return estimator.estimate(frame.image_rgb, self._camera(frame), frame.stamp, self._hands(frame))

    def _hands(self, frame: Frame) -> list[FoundHand] | None:
        if self._boxes is None:
            return None
        hands = self._boxes.find(frame)
        if hands is None:
            self._without_boxes += 1
            return []
        self._fitted.add("boxes")
        return hands

    def _check_tables(self) -> None:
        """A table of which no entry fitted is a mistake in its paths."""
        for name, table in (("boxes", self._boxes), ("cameras", self._cameras)):
            if isinstance(table, SourceTable) and self._results and name not in self._fitted:
                first = next(iter(table.entries), "(none)")
                self.fail(SourceError(f"{table.file}: no entry fits a source; the first entry is '{first}'"))

    def _pass_on(self, source: Source, count: int) -> None:
        """Tell a person what the source has noted since the last time."""
        for note in source.notes[self._told.get(id(source), 0) : count]:
            self._tell(note)
        self._told[id(source)] = count

    def fail(self, error: PrehendError) -> None:
        """Count and tell something that failed; the run goes on."""
        self._failures += 1
        self._tell(str(error))

    def _tell(self, line: str) -> None:
        tqdm.write(f"prehend {self._verb}: {line}", file=sys.stderr)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
