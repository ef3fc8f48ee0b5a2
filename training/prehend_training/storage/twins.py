"""Twins on disk: generated images without the held object, by the frame they belong to.

DIR/config.json                what made them: source, weights, judge, numbers; a folder holds one thing
DIR/twins-K-of-N.jsonl         a line for each twin of the K-th of N parts, see `Twin`; written after its images
DIR/pictures/000012/NAME.png   the twin, as large as the frame; NAME.mask.png the bare hand's silhouette (one bit)
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.errors import AssetError, InvalidInput, SourceError
from prehend.files import append_line, replace_file, replace_text
from prehend.io.pixels.images import read_image
from prehend_training.sample import FrameId, Maps, Sample
from prehend_training.storage.codec import Packing, encode_image
from prehend_training.storage.shards import read_object

SCHEMA = "prehend.twins/1"

_AGAIN = "make the twins again in another folder"
_EACH = 1000
"""Frames whose images share a folder."""

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Twin:
    """What is known about a twin.

    Attributes:
        frame_id: of its frame.
        index: number of the frame in its source.
        hidden: share of the hand that the object hid.
        strength: chosen control strength.
        strengths: the candidates.
        j_pe_m: J-PE of each candidate [m], see `prehend_training.deocclude.judge`; the chosen one has the lowest.
        image: format of the image's file.
    """

    frame_id: FrameId
    index: int
    hidden: float
    strength: float
    strengths: tuple[float, ...]
    j_pe_m: tuple[float, ...]
    image: str = "png"


@dataclass(frozen=True)
class TwinFolder:
    """The twins of one folder.

    Attributes:
        path: the folder.
        description: its config.json.
        twins: by frame.
    """

    path: Path
    description: Mapping[str, Any]
    twins: dict[FrameId, Twin] = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> "TwinFolder":
        """Open a folder, complete or not.

        Raises:
            AssetError: there is none, it cannot be read, or it has another schema.
        """
        path = Path(path)
        note = path / "config.json"
        if not note.exists():
            raise AssetError(f"{path} holds no config.json: make twins with `prehend-train deocclude`")
        description = read_object(note, _AGAIN)
        if description.get("schema") != SCHEMA:
            raise AssetError(f"{note} has schema {description.get('schema')}, expected {SCHEMA}: make the twins again")
        twins = [twin for file in sorted(path.glob("twins-*.jsonl")) for twin in _read_lines(file)]
        return cls(path, description, {twin.frame_id: twin for twin in twins})

    @classmethod
    def claim(cls, path: Path, description: Mapping[str, Any]) -> "TwinFolder":
        """Open a folder to write to; it is made if absent.

        Args:
            path: the folder.
            description: what makes its twins, JSON.

        Raises:
            InvalidInput: it holds other twins; the message names what differs.
        """
        path = Path(path)
        wanted = json.loads(json.dumps({"schema": SCHEMA, **description}))
        note = path / "config.json"
        if note.exists():
            begun = read_object(note, _AGAIN)
            keys = sorted(begun.keys() | wanted.keys())
            differ = [
                f"{k} is {begun.get(k)!r} and not {wanted.get(k)!r}" for k in keys if begun.get(k) != wanted.get(k)
            ]
            if differ:
                raise InvalidInput(f"{path} holds other twins ({'; '.join(differ)}): choose another folder")
        else:
            path.mkdir(parents=True, exist_ok=True)
            replace_text(note, json.dumps(wanted, indent=1) + "\n")
        return cls.open(path)

    def __len__(self) -> int:
        return len(self.twins)

    def __contains__(self, frame_id: FrameId) -> bool:
        return frame_id in self.twins

    def read(self, frame_id: FrameId) -> Image | None:
        """(H, W, 3) uint8 RGB the twin of a frame, None where it has none.

        Raises:
            AssetError: its file is missing or broken.
        """
        twin = self.twins.get(frame_id)
        return None if twin is None else self._picture(twin, f"{twin.image}")

    def read_silhouette(self, frame_id: FrameId) -> NDArray[np.bool_] | None:
        """(H, W) where the twin shows the bare hand, None where a frame has no twin.

        Raises:
            AssetError: its file is missing or broken.
        """
        twin = self.twins.get(frame_id)
        return None if twin is None else self._picture(twin, "mask.png")[..., 0] > 0

    def attach(self, sample: Sample) -> Sample:
        """A dataset's sample with its twin in `Sample.maps`; as it is where it has none.

        The amodal masks of other hands than the first stay empty: a twin shows what the image shows of them.

        Raises:
            AssetError: a file is missing or broken, or the twin is of another size than the image.
        """
        picture, silhouette = self.read(sample.frame_id), self.read_silhouette(sample.frame_id)
        if picture is None or silhouette is None:
            return sample
        if picture.shape != sample.image.shape:
            raise AssetError(f"{self.path}: the twin of {sample.frame_id} has another size than its image")
        amodal = np.zeros((len(sample.hands), *silhouette.shape), bool)
        amodal[0] = silhouette
        return replace(sample, maps=Maps(deoccluded=picture, hand_amodal=amodal))

    def write(self, twin: Twin, picture: Image, silhouette: NDArray[np.bool_], part: tuple[int, int] = (0, 1)) -> None:
        """Add a twin; its line appears only when its files are complete.

        Args:
            twin: what is known about it.
            picture: (H, W, 3) uint8 RGB.
            silhouette: (H, W) of the bare hand.
            part: (k, n) which part of the source makes it; each part has one writer.
        """
        packing = Packing(image=twin.image)  # type: ignore[arg-type]
        mask = cv2.imencode(".png", silhouette.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])[1].tobytes()
        for suffix, data in ((twin.image, encode_image(picture, packing)), ("mask.png", mask)):
            path = self._path(twin, suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, data)
        append_line(self.lines(part), json.dumps(asdict(twin)))
        self.twins[twin.frame_id] = twin

    def lines(self, part: tuple[int, int]) -> Path:
        """The file with the lines of a part (k, n)."""
        return self.path / f"twins-{part[0]}-of-{part[1]}.jsonl"

    def resume(self, part: tuple[int, int]) -> int:
        """Number of the frame after the last one of a part (k, n) that has a twin, 0 for a fresh part; a line that was
        cut off is removed."""
        path = self.lines(part)
        if not path.exists():
            return 0
        whole = path.read_bytes()
        kept = whole[: whole.rfind(b"\n") + 1]
        if len(kept) < len(whole):
            replace_file(path, kept)
        return max((twin.index + 1 for twin in _read_lines(path)), default=0)

    def _picture(self, twin: Twin, suffix: str) -> Image:
        try:
            return read_image(self._path(twin, suffix))
        except SourceError as error:
            raise AssetError(f"a twin cannot be read ({error}): make the twins again") from error

    def _path(self, twin: Twin, suffix: str) -> Path:
        frame = twin.frame_id
        name = quote(f"{frame.sequence}-{frame.frame}-{frame.view}-{frame.seed}-{frame.index}", safe="")
        return self.path / "pictures" / f"{twin.index // _EACH:06d}" / f"{name}.{suffix}"


def _read_lines(path: Path) -> list[Twin]:
    """The twins of a file, without a last line that was cut off.

    Raises:
        AssetError: another line is broken.
    """
    data = path.read_bytes()
    try:
        return [_twin(json.loads(line)) for line in data[: data.rfind(b"\n") + 1].splitlines()]
    except (ValueError, TypeError, KeyError) as error:
        raise AssetError(f"{path} has a broken line ({error}): make the twins again") from error


def _twin(entry: dict[str, Any]) -> Twin:
    lists = {name: tuple(entry[name]) for name in ("strengths", "j_pe_m")}
    return Twin(**{**entry, **lists, "frame_id": FrameId(**entry["frame_id"])})
