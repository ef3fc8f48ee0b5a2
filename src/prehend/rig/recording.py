"""Recordings of several cameras as sets of frames, and sets as records of a predictions file."""

import heapq
from collections.abc import Iterator, Mapping
from typing import Any

from prehend.io.frames import Frame, Source
from prehend.io.results.prediction_records import FrameRecord, frame_record
from prehend.pipeline.frames.times import FRAME_S
from prehend.rig.matching import StampMatcher
from prehend.rig.views.records import FusedHand, RigResult, ViewError


class Sets:
    """Frames of one time from the sources of a rig's cameras.

    Sources without stamps, folders, go by their numbers at 30 Hz.

    Args:
        sources: by the cameras' names; the first leads.
        window_s: largest difference of stamps within a set; 0 for equal ones only [s].

    Attributes:
        matcher: for its counts.
    """

    def __init__(self, sources: Mapping[str, Source], window_s: float):
        self._sources = sources
        self.matcher: StampMatcher[Frame] = StampMatcher(sources, window_s)

    def __iter__(self) -> Iterator[tuple[str, float, dict[str, Frame]]]:
        """Each set: the leading camera, its stamp [s], and the frames."""
        streams = [_stream(name, source) for name, source in self._sources.items()]
        now_s = 0.0
        for now_s, name, frame in heapq.merge(*streams, key=lambda one: one[0]):
            for one in self.matcher.add(name, round(now_s * 1e9), frame, now_s):
                yield one.lead, one.stamp_ns * 1e-9, {camera: item for camera, (_, item) in one.items.items()}
        for one in self.matcher.flush(now_s):
            yield one.lead, one.stamp_ns * 1e-9, {camera: item for camera, (_, item) in one.items.items()}


def rig_record(frame: Frame, result: RigResult, frame_id: str, mesh: bool = False) -> FrameRecord:
    """A set as it stands in a predictions file of schema 2: hands in the rig's frame, with what each view says.

    Args:
        frame: of the leading camera.
        result: of the set.
        frame_id: name of the rig's frame.
        mesh: write each hand's vertices too.
    """
    record: dict[str, Any] = dict(frame_record(frame, result.result, 2, mesh))
    record["rig"] = {"frame": frame_id, "lead": result.lead, "cameras": sorted(result.views)}
    fused = {one.hand.track_id: one for one in result.fused}
    for hand in record["hands"]:
        if (one := fused.get(hand["track_id"])) is not None:
            hand["views"] = [_view_record(view) for view in one.views]
            hand["joint_std_m"] = [round(float(value), 5) for value in _stds(one)]
    return record  # type: ignore[return-value]


def _view_record(view: ViewError) -> dict[str, Any]:
    return {
        "camera": view.camera,
        "track_id": view.track_id,
        "used": view.used.tolist(),
        "rms_px": round(view.rms_px, 2),
        "rms_m": round(view.rms_m, 5),
        "apart_m": round(view.apart_m, 5),
    }


def _stds(one: FusedHand) -> list[float]:
    """(21,) root of the trace of each joint's covariance [m]."""
    return [float(sum(covariance.diagonal()) ** 0.5) for covariance in one.joint_covariance_m2]


def _stream(name: str, source: Source) -> Iterator[tuple[float, str, Frame]]:
    for frame in source:
        yield _stamp(frame), name, frame


def _stamp(frame: Frame) -> float:
    return frame.index * FRAME_S if frame.stamp is None else frame.stamp
