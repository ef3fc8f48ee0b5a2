"""Plays a source through an estimator, at its own pace, for everything that shows frames."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from prehend.errors import InvalidInput, PrehendError, SourceError, one_line
from prehend.geometry.camera import mirror_camera
from prehend.io.cameras.side_files import GivenCamera, SourceTable
from prehend.io.frames import Frame, Source
from prehend.pipeline.load import HandEstimator
from prehend.types import Camera, FrameResult
from prehend.view.controls import Controls
from prehend.view.seen import Screen, Seen

_FOREIGN = (cv2.error, np.linalg.LinAlgError, ArithmeticError, MemoryError)
"""What libraries raise over an image they cannot do; it costs that image and no more."""
_PICTURE_S = 1.0
"""An image that no other follows in time is shown this long."""
_DEFAULT_STEP_S = 1 / 30
_LONGEST_STEP_S = 60.0


class Player:
    """Frames of a source to the screens.

    Args:
        open_source: opens the source, from its start.
        estimator: looks at its frames.
        screens: show them.
        controls: of a person.
        tell: takes a note of the source, each once.
        fail: takes what keeps a frame from being shown.
        cameras: replaces the frames' own cameras.
        mirrored: turn the images back.
        rate_hz: frames a second; None as they were taken, 0 as fast as they are done.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        estimator: HandEstimator,
        screens: Sequence[Screen],
        controls: Controls,
        tell: Callable[[str], None],
        fail: Callable[[PrehendError], None],
        cameras: SourceTable[GivenCamera] | GivenCamera | None = None,
        mirrored: bool = False,
        rate_hz: float | None = None,
    ) -> None:
        self._open, self._estimator, self._screens = open_source, estimator, screens
        self._controls, self._tell, self._fail = controls, tell, fail
        self._cameras, self._mirrored, self._rate_hz = cameras, mirrored, rate_hz
        self._told: set[str] = set()
        self._number, self._time_s = 0, 0.0

    def run(self, again: bool = True) -> None:
        """Play until the source ends, and again as the controls say.

        Args:
            again: wait at the end for a person; False returns.

        Raises:
            SourceError: there is nothing to read, or no more of a camera.
        """
        while True:
            with self._open() as source:
                ended = self._play(source)
            if ended and not again:
                return
            if ended:
                self._controls.wait_at_end()

    def _play(self, source: Source) -> bool:
        """Play a source; False when it is to begin anew before its end."""
        self._estimator.reset()
        live, due_s, last = source.kind == "camera", time.monotonic(), None
        for frame in source:
            self._pass_on(source)
            step_s = self._step_s(source, last, frame)
            last = frame
            due_s = max(due_s + step_s, time.monotonic()) if self._number else time.monotonic()
            if not live and not self._controls.wait_until(0.0 if self._rate_hz == 0 else due_s):
                return False
            self._time_s += step_s if self._number else 0.0
            self._show(frame)
        self._pass_on(source)
        return True

    def _step_s(self, source: Source, last: Frame | None, frame: Frame) -> float:
        """Time between two frames: as asked for, by their stamps, or by the rate [s]."""
        if self._rate_hz:
            return 1 / self._rate_hz
        if not source.is_sequence:
            return _PICTURE_S
        if last is not None and last.stamp is not None and frame.stamp is not None:
            step_s = frame.stamp - last.stamp
            if 0 < step_s < _LONGEST_STEP_S:
                return step_s
        return 1 / source.fps if source.fps else _DEFAULT_STEP_S

    def _show(self, frame: Frame) -> None:
        if self._mirrored:
            frame = replace(frame, image_rgb=np.ascontiguousarray(frame.image_rgb[:, ::-1]))
        try:
            result = self._estimate(frame)
        except (InvalidInput, SourceError) as error:
            self._fail(error)
            return
        except _FOREIGN as error:
            why = one_line(error)
            self._fail(SourceError(f"{frame.source}: frame {frame.index} cannot be done ({why})"))
            return
        self._number += 1
        seen = Seen(self._number, self._time_s, frame, result)
        for screen in self._screens:
            screen.show(seen)

    def _estimate(self, frame: Frame) -> FrameResult:
        return self._estimator.estimate(frame.image_rgb, self._camera(frame), frame.stamp)

    def _camera(self, frame: Frame) -> Camera | None:
        given = self._cameras.find(frame) if isinstance(self._cameras, SourceTable) else self._cameras
        height, width = frame.image_rgb.shape[:2]
        camera = frame.camera if given is None else given.for_image(width, height, frame.stored_size)
        return mirror_camera(camera) if self._mirrored and camera is not None else camera

    def _pass_on(self, source: Source) -> None:
        for note in source.notes:
            if note not in self._told:
                self._told.add(note)
                self._tell(note)
