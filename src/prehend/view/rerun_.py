"""Frames for Rerun (https://rerun.io): its own viewer, or a recording in a file."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import BONES, Side
from prehend.draw.labels import SIDE_COLOUR
from prehend.draw.overlay import OBJECT_COLOUR
from prehend.errors import MissingDependency, OutputError
from prehend.files import beside, final_target, reason, sync_folder
from prehend.types import FloatArray, HandEstimate, ObjectEstimate
from prehend.view.packets import jpeg_of
from prehend.view.seen import BOX_EDGES, HeldBoxes, Seen

APPLICATION = "prehend"
CAMERA, HANDS = "camera", "camera/hands"
"""The camera frame is the space of everything in 3D: x right, y down, z forward."""
_EPOCH_S = 1e9
"""Stamps beyond this are of a clock that counts from 1970."""


class RerunScreen:
    """Logs frames to a stream of Rerun: image, meshes, joints, held objects, grasps and times of the stages.

    Timelines: `frame`, `time` (of the source, from 0) and, where stamps count from 1970, `stamp`. What is not seen any
    more is cleared.

    Args:
        sdk: the module rerun.
        stream: a `rerun.RecordingStream`.
        faces: (F, 3) of the hand model, for each side.
        boxes: of held objects.
    """

    def __init__(
        self, sdk: ModuleType, stream: Any, faces: Mapping[Side, NDArray[np.integer]], boxes: HeldBoxes
    ) -> None:
        self._sdk, self._stream, self._faces, self._boxes = sdk, stream, faces, boxes
        self._shown: set[str] = set()
        self._states: dict[str, str] = {}
        self._part = self._target = Path()
        stream.log(CAMERA, sdk.ViewCoordinates.RDF, static=True)

    @classmethod
    def opened(
        cls, name: str, faces: Mapping[Side, NDArray[np.integer]], boxes: HeldBoxes, path: Path | None
    ) -> "RerunScreen":
        """A recording in a file, under its name once it is closed; without a path Rerun's viewer.

        Raises:
            MissingDependency: the SDK is not installed.
            OutputError: the file cannot be written.
        """
        try:
            import rerun
        except ImportError as error:
            raise MissingDependency("rerun", "rerun", "prehend view --rerun") from error
        stream = rerun.RecordingStream(APPLICATION)
        screen = cls(rerun, stream, faces, boxes)
        if path is None:
            stream.spawn()
        else:
            screen._save(path)
        stream.send_recording_name(name)
        return screen

    def show(self, seen: Seen) -> None:
        """Log a frame."""
        self._set_times(seen)
        self._log_camera(seen)
        paths = {f"{hand.side}_{hand.track_id}": hand for hand in seen.result.hands}
        for name, hand in paths.items():
            self._log_hand(name, hand)
        for name in self._shown - set(paths):
            for gone in (f"{HANDS}/{name}", f"{CAMERA}/image/{name}"):
                self._stream.log(gone, self._sdk.Clear(recursive=True))
        self._shown = set(paths)

    def __enter__(self) -> "RerunScreen":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.disconnect()  # waits until all is written
        if self._target.name:
            try:
                self._part.replace(self._target)
                sync_folder(self._target.parent)
            except OSError as failed:
                raise OutputError(f"{self._target} cannot be written: {reason(failed)}") from failed

    def _save(self, path: Path) -> None:
        self._target = final_target(path)
        self._part = beside(self._target, ".", f".{os.getpid()}.part")
        try:
            self._part.touch()  # the SDK would say it in its own words
            self._stream.save(self._part)
        except (OSError, RuntimeError) as error:
            text = reason(error) if isinstance(error, OSError) else str(error)
            raise OutputError(f"{path} cannot be written: {text}") from error

    def _set_times(self, seen: Seen) -> None:
        self._stream.set_time("frame", sequence=seen.number)
        self._stream.set_time("time", duration=seen.time_s)
        if seen.result.stamp is not None and seen.result.stamp > _EPOCH_S:
            self._stream.set_time("stamp", timestamp=seen.result.stamp)

    def _log_camera(self, seen: Seen) -> None:
        image, camera, sdk = seen.frame.image_rgb, seen.result.camera, self._sdk
        height, width = image.shape[:2]
        picture = f"{CAMERA}/image"
        pinhole = sdk.Pinhole(
            image_from_camera=camera.K, resolution=[width, height], camera_xyz=sdk.ViewCoordinates.RDF
        )
        self._stream.log(picture, pinhole)
        jpeg = jpeg_of(image, max(width, height))
        self._stream.log(picture, sdk.EncodedImage(contents=jpeg, media_type="image/jpeg"))
        for stage, ms in seen.result.timing_ms.items():
            self._stream.log(f"latency_ms/{stage}", sdk.Scalars(ms))

    def _log_hand(self, name: str, hand: HandEstimate) -> None:
        sdk, path, colour = self._sdk, f"{HANDS}/{name}", SIDE_COLOUR[hand.side]
        self._stream.log(f"{CAMERA}/image/{name}", sdk.Points2D(hand.keypoints_px, colors=[colour], radii=[2.0]))
        self._stream.log(f"grasp/{name}", sdk.Scalars(hand.grasp.probability))
        if self._states.get(name) != hand.grasp.state:
            self._states[name] = hand.grasp.state
            self._stream.log("events", sdk.TextLog(f"{name}: {hand.grasp.state}", color=colour))
        if not np.isfinite(hand.vertices_m).all():
            self._stream.log(path, sdk.Clear(recursive=True))
            return
        faces = self._faces[hand.side]
        mesh = sdk.Mesh3D(
            vertex_positions=hand.vertices_m,
            triangle_indices=faces,
            vertex_normals=vertex_normals(hand.vertices_m, faces),
            albedo_factor=colour,
        )
        self._stream.log(f"{path}/mesh", mesh)
        bones = sdk.LineStrips3D(hand.joints_m[np.array(BONES)], radii=[0.002], colors=[(255, 255, 255)])
        self._stream.log(f"{path}/bones", bones)
        self._log_held(f"{path}/held", hand.held_object)

    def _log_held(self, path: str, held: ObjectEstimate | None) -> None:
        corners = None if held is None else self._boxes.corners_m(held)
        if held is None or held.T_camera_object is None:
            self._stream.log(path, self._sdk.Clear(recursive=True))
            return
        pose = held.T_camera_object
        self._stream.log(f"{path}/pose", self._sdk.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
        axes = self._sdk.Arrows3D(vectors=0.05 * np.eye(3), colors=(255 * np.eye(3)).astype(np.uint8))
        self._stream.log(f"{path}/pose", axes)
        if corners is not None:
            edges = corners[np.array(BOX_EDGES)]
            labels = [held.object_id] + [""] * (len(edges) - 1)
            box = self._sdk.LineStrips3D(edges, radii=[0.0015], colors=[OBJECT_COLOUR], labels=labels)
            self._stream.log(f"{path}/box", box)


def vertex_normals(vertices_m: FloatArray, faces: NDArray[np.integer]) -> FloatArray:
    """(V, 3) unit normals of a mesh: the mean of its (F, 3) faces', weighted by their areas."""
    a, b, c = (vertices_m[faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices_m)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
