"""The pipeline on clips, following hands as on a robot; and on two clips of calibrated cameras."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from prehend.errors import InvalidInput, SourceError
from prehend.eval.clips import (
    ClipHand,
    Frames,
    TrueHands,
    clip_measures,
    false_hands,
    hand_length_px,
    stereo_distances,
    stereo_unit_m,
)
from prehend.io.cameras.side_files import GivenCamera
from prehend.io.pixels.images import Image
from prehend.io.sources import open_source
from prehend.pipeline.estimator import Estimator
from prehend.types import Box, FloatArray, FrameResult
from prehend_training.evaluate.photographs.measure import Cameras, camera_of
from prehend_training.evaluate.photographs.sheets import hands_tile

_FPS = 30.0
"""Where a clip does not tell."""


@dataclass(frozen=True)
class ClipRun:
    """A clip and what was said about it.

    Attributes:
        name: of the file.
        frames: hands of each frame.
        fps: frames a second.
        times_ms: wall time of each frame.
        tiles: every so manieth frame with what was found, and its number.
    """

    name: str
    frames: Frames
    fps: float
    times_ms: Sequence[float]
    tiles: Sequence[Image]

    def report(self, truth: Mapping[str, Sequence[TrueHands]]) -> dict[str, Any]:
        """Its measures; with `false_hands` where the true hands of some frames are known."""
        median, high = np.percentile(self.times_ms, [50, 95])
        report = {
            **clip_measures(self.frames, self.fps),
            "time_ms": {"median": round(float(median), 2), "p95": round(float(high), 2)},
        }
        if self.name in truth:
            report["false_hands"] = false_hands(self.frames, truth[self.name])
        return report


def run_clip(estimator: Estimator, path: Path, cameras: Cameras = None, sheet_every: int = 0) -> ClipRun:
    """Follow the hands of a clip from its first frame.

    Args:
        estimator: with tracking; it forgets what it saw before.
        path: of a video, or a folder of frames in their order.
        cameras: intrinsics, None to have them assumed.
        sheet_every: which frames become tiles; 0 for none.

    Raises:
        SourceError: the clip cannot be read.
    """
    estimator.reset()
    frames: list[list[ClipHand]] = []
    times, tiles = [], []
    with open_source(str(path)) as source, tqdm(source, path.name, source.length, unit="frame") as seen:
        fps = source.fps or _FPS
        for frame in seen:
            stamp = frame.index / fps if frame.stamp is None else frame.stamp
            result = estimator.estimate(frame.image_rgb, camera_of(cameras, frame), stamp)
            frames.append(_hands(result))
            times.append(result.timing_ms["total"])
            if sheet_every and frame.index % sheet_every == 0:
                tiles.append(hands_tile(estimator.hand_models, frame.image_rgb, result, str(frame.index)))
    return ClipRun(path.name, frames, fps, times, tiles)


class StereoCamera(NamedTuple):
    """One of two calibrated cameras: its intrinsics, and the world in its frame (4, 4), in the calibration's unit."""

    camera: GivenCamera
    T_camera_world: FloatArray


def read_stereo(prefix: Path) -> tuple[StereoCamera, StereoCamera]:
    """Two cameras of a calibration as `PREFIX_c0.dat`, `PREFIX_rot_trans_c0.dat` and the same of `c1`.

    The first holds a line `intrinsic:` and K, a line `distortion:` and OpenCV's coefficients; the second a line `R:`
    and a rotation, a line `T:` and a translation from the world to the camera.

    Args:
        prefix: path up to the underscore.

    Raises:
        SourceError: a file is missing or holds something else.
    """
    first, second = (_stereo_camera(prefix, number) for number in (0, 1))
    return first, second


def stereo_report(
    first: ClipRun, second: ClipRun, cameras: Sequence[StereoCamera], unit_mm: float | None
) -> dict[str, Any]:
    """How far two cameras disagree, see `stereo_distances`.

    Args:
        first, second: their clips.
        cameras: their calibration.
        unit_mm: length of its unit; None takes the one that fits best (see `stereo_unit_m`).

    Raises:
        InvalidInput: the clips differ in length.
    """
    if len(first.frames) != len(second.frames):
        lengths = f"{len(first.frames)} and {len(second.frames)} frames"
        raise InvalidInput(f"{first.name} and {second.name} have {lengths}: two cameras need the same frames")
    placed = [camera.T_camera_world for camera in cameras]
    unit_m = stereo_unit_m(first.frames, second.frames, *placed) if unit_mm is None else unit_mm / 1e3
    report: dict[str, Any] = {"clips": [first.name, second.name], "unit_fitted": unit_mm is None, "unit_mm": None}
    if unit_m is not None:
        report["unit_mm"] = round(1e3 * unit_m, 2)
        placed = [_in_metres(T, unit_m) for T in placed]
    return {**report, **stereo_distances(first.frames, second.frames, *placed)}


def read_true_hands(path: Path) -> dict[str, list[TrueHands]]:
    """Where true hands are: `{clip: [{"frames": [first, last], "boxes": [[x0, y0, x1, y1], ...]}, ...]}`.

    Raises:
        SourceError: the file or one of its entries is wrong; the text names both.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: no JSON ({error})") from error
    if not isinstance(content, dict):
        raise SourceError(f'{path}: expected {{clip: [{{"frames": [first, last], "boxes": [[x0, y0, x1, y1]]}}]}}')
    if wrong := [clip for clip, entries in content.items() if not isinstance(entries, list)]:
        raise SourceError(f"{path}: {wrong[0]}: expected a list of frames with boxes")
    return {clip: [_true_hands(f"{path}: {clip}", entry) for entry in entries] for clip, entries in content.items()}


def _hands(result: FrameResult) -> list[ClipHand]:
    focal = float(result.camera.K[0, 0])
    return [
        ClipHand(
            hand.track_id, hand.side, hand.score, hand.keypoints_px, hand.joints_m, hand_length_px(hand.joints_m, focal)
        )
        for hand in result.hands
    ]


def _true_hands(place: str, entry: Any) -> TrueHands:
    try:
        first, last = (int(value) for value in entry["frames"])
        boxes = tuple(Box(*map(float, box)) for box in entry["boxes"])
    except (TypeError, ValueError, KeyError) as error:
        raise SourceError(
            f'{place}: expected {{"frames": [first, last], "boxes": [[x0, y0, x1, y1], ...]}}, found {entry!r}'
        ) from error
    return TrueHands(first, last, boxes)


def _stereo_camera(prefix: Path, number: int) -> StereoCamera:
    own = _read_blocks(prefix.with_name(f"{prefix.name}_c{number}.dat"))
    placed = _read_blocks(prefix.with_name(f"{prefix.name}_rot_trans_c{number}.dat"))
    K, distortion = _block(own, "intrinsic", 9), _block(own, "distortion", None)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = _block(placed, "R", 9).reshape(3, 3), _block(placed, "T", 3)
    if not np.allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-3) or np.linalg.det(T[:3, :3]) < 0:
        raise SourceError(f"{prefix}_rot_trans_c{number}.dat: R is no rotation")
    return StereoCamera(GivenCamera(K.reshape(3, 3), distortion), T)


class _Blocks(NamedTuple):
    path: Path
    by_name: dict[str, list[float]]


def _read_blocks(path: Path) -> _Blocks:
    """Lines of numbers below lines that end with a colon; of several blocks of a name the first."""
    blocks: list[tuple[str, list[float]]] = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            text = line.split("#")[0].strip()
            if text.endswith(":"):
                blocks.append((text[:-1], []))
            elif text and blocks:
                blocks[-1][1].extend(map(float, text.split()))
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    except ValueError as error:
        place = f"no numbers below '{blocks[-1][0]}:'" if blocks else "no text"
        raise SourceError(f"{path}: {place} ({error})") from error
    return _Blocks(path, dict(reversed(blocks)))


def _block(blocks: _Blocks, name: str, count: int | None) -> FloatArray:
    values = blocks.by_name.get(name)
    if values is None or (count is not None and len(values) != count):
        wanted = "numbers" if count is None else f"{count} numbers"
        raise SourceError(f"{blocks.path}: expected {wanted} below a line '{name}:'")
    return np.array(values)


def _in_metres(T: FloatArray, unit_m: float) -> FloatArray:
    scaled = T.copy()
    scaled[:3, 3] *= unit_m
    return scaled
