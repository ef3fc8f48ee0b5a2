"""Files a user gives beside the images: boxes that replace the detector, and cameras."""

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from prehend.conventions import SIDES
from prehend.documents import read_document
from prehend.errors import InvalidInput, SourceError
from prehend.io.cameras.calibration_files import (
    FORMATS,
    GivenCamera,
    given_camera,
    is_calibration,
    only_kalibr,
    read_calibration,
)
from prehend.io.frames import Frame
from prehend.types import Box, FoundHand

__all__ = ["GivenCamera", "SourceTable", "read_boxes", "read_camera", "read_cameras"]

T = TypeVar("T")

_LARGEST_PX = 1e7
_SHOWN = 120
"""Characters of a name in a message."""


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


def read_boxes(path: Path) -> SourceTable[list[FoundHand]]:
    """Read `{source: [{"box_px": [x0, y0, x1, y1], "side": "left" | "right" | null}]}`.

    Raises:
        SourceError: the file or one of its entries is wrong; the text names both.
    """
    content = read_document(path)
    if not isinstance(content, dict):
        raise SourceError(f'{path}: expected {{source: [{{"box_px": [x0, y0, x1, y1], "side": "left"}}]}}')
    return SourceTable(
        path, {source: _hands(path, source, entries) for source, entries in _named(path, content).items()}
    )


def read_cameras(path: Path) -> SourceTable[GivenCamera] | GivenCamera:
    """Read cameras: `{source: K}`, `{source: {"K": K, "distortion": [...], ...}}`, or one for all (see `read_camera`).

    Raises:
        SourceError: the file or one of its entries is wrong; the text names both.
    """
    content = read_calibration(path)
    try:
        content = only_kalibr(content)
    except InvalidInput as error:
        raise SourceError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(
            f"{path}: expected {{source: K}} with K a 3 x 3 matrix, or one camera calibration ({FORMATS})"
        )
    if is_calibration(content) or any(isinstance(value, int | float) for value in content.values()):
        return _camera(path, None, content)
    return SourceTable(path, {source: _camera(path, source, entry) for source, entry in _named(path, content).items()})


def read_camera(path: Path) -> GivenCamera:
    """Read one camera, in any of `calibration_files.FORMATS`.

    Raises:
        SourceError: the file is missing or describes no camera.
    """
    given = read_cameras(path)
    if isinstance(given, SourceTable):
        raise SourceError(f"{path}: expected one camera ({FORMATS}), found a table of {len(given.entries)}")
    return given


def _named(path: Path, content: dict[Any, Any]) -> dict[str, Any]:
    """The entries, whose names have to be text."""
    for name in content:
        if not isinstance(name, str):
            raise SourceError(f"{path}: entry {str(name)[:_SHOWN]}: a source's name is text: put it in quotes")
    return content


def _hands(path: Path, source: str, entries: Any) -> list[FoundHand]:
    if not isinstance(entries, list):
        raise SourceError(f"{path}: entry '{source[:_SHOWN]}': expected a list of boxes")
    return [_hand(f"{path}: entry '{source[:_SHOWN]}', box {index}", entry) for index, entry in enumerate(entries)]


def _hand(place: str, entry: Any) -> FoundHand:
    if not isinstance(entry, dict) or "box_px" not in entry:
        raise SourceError(f'{place}: expected {{"box_px": [x0, y0, x1, y1], "side": "left" or "right"}}')
    if not isinstance(entry.get("side"), str | None) or entry.get("side") not in (*SIDES, None):
        raise SourceError(f"{place}: side is {str(entry['side'])[:40]!r}, expected 'left', 'right' or null")
    try:
        x0, y0, x1, y1 = (float(value) for value in entry["box_px"])
    except (TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"{place}: box_px {str(entry['box_px'])[:80]} is not four numbers") from error
    if not all(math.isfinite(value) and abs(value) < _LARGEST_PX for value in (x0, y0, x1, y1)):
        raise SourceError(f"{place}: box_px holds NaN, infinite or absurdly large values")
    if x1 <= x0 or y1 <= y0:
        raise SourceError(f"{place}: box_px is empty, expected x0 < x1 and y0 < y1")
    if max(x1, y1) <= 2 or max(x1 - x0, y1 - y0) < 2:
        raise SourceError(
            f"{place}: box_px {str(entry['box_px'])[:80]} is no larger than a pixel: a share of the image?"
        )
    return FoundHand(Box(x0, y0, x1, y1), entry.get("side"))


def _camera(path: Path, source: str | None, entry: Any) -> GivenCamera:
    place = f"{path}" if source is None else f"{path}: entry '{source[:_SHOWN]}'"
    try:
        return given_camera(entry)
    except InvalidInput as error:
        raise SourceError(f"{place}: {error}") from error


def _parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")] or [""]


def _common_tail(a: list[str], b: list[str]) -> int:
    count = 0
    for x, y in zip(reversed(a), reversed(b), strict=False):
        if x != y:
            break
        count += 1
    return count
