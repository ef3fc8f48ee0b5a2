"""Files a user gives beside the images: boxes that replace the finder, and cameras."""

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import yaml

from prehend.conventions import SIDES
from prehend.errors import InvalidInput, SourceError
from prehend.geometry.camera import check_distortion, scale_camera
from prehend.io.sources import Frame
from prehend.types import Box, Camera, FoundHand

T = TypeVar("T")


class SourceTable(Generic[T]):
    """Entries by source, found by whole trailing path components.

    A key fits a frame when it is the frame's source, or one of the two ends with the other ("ge/1.jpg" fits
    "images/ge/1.jpg"). Where several fit, the one that shares most of the frame's real path wins.
    """

    def __init__(self, file: Path, entries: Mapping[str, T]):
        self.file, self.entries = file, dict(entries)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for key in self.entries:
            self._by_name[_parts(key)[-1]].append(key)

    def find(self, frame: Frame) -> T | None:
        """The entry of a frame, None where there is none.

        Raises:
            SourceError: several entries fit equally well.
        """
        source = _parts(frame.source)
        real = _parts(str(frame.path.resolve())) if frame.path is not None else source
        shared: dict[str, int] = {}
        for key in self._by_name.get(source[-1], ()):
            if frame.source == key:
                return self.entries[key]
            parts = _parts(key)
            common = _common_tail(parts, source)
            if common == min(len(parts), len(source)):
                shared[key] = max(common, _common_tail(parts, real))
        if not shared:
            return None
        best = max(shared.values())
        winners = [key for key, count in shared.items() if count == best]
        if len(winners) > 1:
            raise SourceError(f"{self.file}: both '{winners[0]}' and '{winners[1]}' fit the image {frame.source}")
        return self.entries[winners[0]]


@dataclass(frozen=True)
class GivenCamera:
    """A camera as a file gives it; without a size it is for whatever image it is used with."""

    K: Any
    distortion: Any = ()
    distortion_model: str = "plumb_bob"
    width: int | None = None
    height: int | None = None

    def for_image(self, width: int, height: int) -> Camera:
        """The camera for an image [px]; one of another size and the same shape is scaled.

        Raises:
            InvalidInput: no camera, or the shapes of image and camera differ.
        """
        K = np.asarray(self.K, np.float64)
        own_size = (self.width or width, self.height or height)
        camera = Camera(K, *own_size, np.asarray(self.distortion, np.float64), self.distortion_model)  # type: ignore[arg-type]
        check_distortion(camera)
        return camera if own_size == (width, height) else scale_camera(camera, width, height)


def read_boxes(path: Path) -> SourceTable[list[FoundHand]]:
    """Read `{source: [{"box_px": [x0, y0, x1, y1], "side": "left" | "right" | null}]}`.

    Raises:
        SourceError: the file or one of its entries is wrong; the text names both.
    """
    content = _read(path)
    if not isinstance(content, dict):
        raise SourceError(f'{path}: expected {{source: [{{"box_px": [x0, y0, x1, y1], "side": "left"}}]}}')
    return SourceTable(path, {source: _hands(path, source, entries) for source, entries in content.items()})


def read_cameras(path: Path) -> SourceTable[GivenCamera] | GivenCamera:
    """Read cameras: `{source: K}`, `{source: {"K": K, "distortion": [...], ...}}`, or one for all (see `read_camera`).

    Raises:
        SourceError: the file or one of its entries is wrong; the text names both.
    """
    content = _read(path)
    if not isinstance(content, dict):
        raise SourceError(f"{path}: expected {{source: K}} with K a 3 x 3 matrix, or one camera calibration")
    if "K" in content or "camera_matrix" in content:
        return _camera(path, None, content)
    return SourceTable(path, {source: _camera(path, source, entry) for source, entry in content.items()})


def read_camera(path: Path) -> GivenCamera:
    """Read one camera: a calibration file of ROS's camera_info_manager (YAML), or JSON with K.

    Raises:
        SourceError: the file is missing or describes no camera.
    """
    given = read_cameras(path)
    if isinstance(given, SourceTable):
        raise SourceError(f"{path}: expected one camera with K or camera_matrix, found a table of {len(given.entries)}")
    return given


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        return yaml.safe_load(text) if path.suffix.lower() in (".yaml", ".yml") else json.loads(text)
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise SourceError(f"{path}: neither JSON nor YAML ({' '.join(str(error).split())})") from error


def _hands(path: Path, source: str, entries: Any) -> list[FoundHand]:
    if not isinstance(entries, list):
        raise SourceError(f"{path}: entry '{source}': expected a list of boxes")
    return [_hand(f"{path}: entry '{source}', box {index}", entry) for index, entry in enumerate(entries)]


def _hand(place: str, entry: Any) -> FoundHand:
    if not isinstance(entry, dict) or "box_px" not in entry:
        raise SourceError(f'{place}: expected {{"box_px": [x0, y0, x1, y1], "side": "left" or "right"}}')
    if entry.get("side") not in (*SIDES, None):
        raise SourceError(f"{place}: side is {entry['side']!r}, expected 'left', 'right' or null")
    try:
        x0, y0, x1, y1 = (float(value) for value in entry["box_px"])
    except (TypeError, ValueError) as error:
        raise SourceError(f"{place}: box_px {entry['box_px']!r} is not four numbers") from error
    if not all(map(math.isfinite, (x0, y0, x1, y1))):
        raise SourceError(f"{place}: box_px holds NaN or infinite values")
    if x1 <= x0 or y1 <= y0:
        raise SourceError(f"{place}: box_px is empty, expected x0 < x1 and y0 < y1")
    return FoundHand(Box(x0, y0, x1, y1), entry.get("side"))


def _camera(path: Path, source: str | None, entry: Any) -> GivenCamera:
    place = f"{path}" if source is None else f"{path}: entry '{source}'"
    try:
        given = _given_camera(entry)
        given.for_image(given.width or 1, given.height or 1)
    except (TypeError, ValueError, KeyError) as error:  # InvalidInput is a ValueError
        reason = str(error) if isinstance(error, InvalidInput) else f"no camera: expected a 3 x 3 K ({error})"
        raise SourceError(f"{place}: {reason}") from error
    return given


def _given_camera(entry: Any) -> GivenCamera:
    if not isinstance(entry, dict):
        return GivenCamera(np.asarray(entry, np.float64))
    width, height = entry.get("image_width", entry.get("width")), entry.get("image_height", entry.get("height"))
    size = {"width": None if width is None else int(width), "height": None if height is None else int(height)}
    model = str(entry.get("distortion_model", "plumb_bob"))
    if "camera_matrix" in entry:
        distortion = entry.get("distortion_coefficients", {"data": ()})["data"]
        K = np.asarray(entry["camera_matrix"]["data"], np.float64).reshape(3, 3)
        return GivenCamera(K, np.asarray(distortion, np.float64), model, **size)
    distortion = np.asarray(entry.get("distortion", ()), np.float64)
    return GivenCamera(np.asarray(entry["K"], np.float64), distortion, model, **size)


def _parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")] or [""]


def _common_tail(a: list[str], b: list[str]) -> int:
    count = 0
    for x, y in zip(reversed(a), reversed(b), strict=False):
        if x != y:
            break
        count += 1
    return count
