"""Samples on disk: webdataset tars (a sample is the run of files that share a key), checksummed, with random access.

DIR/config.json           what the folder holds; a folder holds one thing
DIR/shard-00000.tar       files KEY.NAME as in `prehend_training.storage.codec`; KEY = unit "-" number in the unit
DIR/shard-00000.json      units, samples, bytes, sha256, commit of the shard; written last
DIR/index.json            schema, config, and the notes of all shards; written when the folder is complete

A *unit* is what is made at once: a crop, a frame, an instant seen by several cameras, or a whole sequence. A shard
holds whole units. The bytes of a shard depend on the folder's configuration and on the numbers of its units alone.
"""

import hashlib
import io
import json
import mmap
import os
import subprocess
import tarfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.documents import read_json
from prehend.errors import AssetError, InvalidInput
from prehend.files import replace_text, replacing
from prehend_training.sample import Sample
from prehend_training.storage.codec import MapsKept, Packing, pack, unpack, unpack_labels, unpack_pixels

SCHEMA = "prehend.shards/2"

_BLOCK = 1 << 20


@dataclass(frozen=True)
class ShardNote:
    """What is known about a finished shard: numbers of units and samples, bytes, sha256 and the code's commit."""

    units: int
    samples: int
    bytes: int
    sha256: str
    commit: str


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"shard-{number:05d}.tar"


def write_shard(path: Path, units: Iterable[tuple[int, Iterable[Sample]]], packing: Packing, commit: str) -> ShardNote:
    """Write one shard, a sample at a time; `path` and its note appear only when it is complete.

    Args:
        path: of the tar.
        units: number and samples of each unit.
        packing: how samples are written.
        commit: of the code, for the note.
    """
    unit_count = sample_count = 0
    with replacing(path, path.with_suffix(".partial")) as partial:  # a large one that a kill left is written over
        with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as archive:
            for unit, samples in units:
                unit_count += 1
                for part, sample in enumerate(samples):
                    sample_count += 1
                    for name, data in sorted(pack(sample, packing).items()):
                        archive.addfile(_member(f"{unit:08d}-{part:04d}.{name}", len(data)), io.BytesIO(data))
        note = ShardNote(unit_count, sample_count, partial.stat().st_size, _sha256(partial), commit)
    replace_text(path.with_suffix(".json"), json.dumps(asdict(note)) + "\n")
    return note


def _member(name: str, size: int) -> tarfile.TarInfo:
    """A header without a time or an owner, so that the same samples make the same bytes."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def read_note(path: Path) -> ShardNote | None:
    """The note of a shard if shard and note are there and the shard's bytes are those of the note."""
    note = path.with_suffix(".json")
    if not (path.exists() and note.exists()):
        return None
    try:
        found = ShardNote(**json.loads(note.read_text()))
    except (ValueError, TypeError):  # cut off while it was written
        return None
    return found if path.stat().st_size == found.bytes and _sha256(path) == found.sha256 else None


def claim(out: Path, config: dict[str, Any]) -> None:
    """Note in a folder what it holds.

    Raises:
        InvalidInput: it holds something else; the message names what differs.
    """
    out.mkdir(parents=True, exist_ok=True)
    note = out / "config.json"
    wanted = {"schema": SCHEMA, **config}
    if note.exists():
        begun = read_object(note)
        differ = [
            f"{key} is {begun.get(key)!r} and not {wanted.get(key)!r}"
            for key in sorted(begun.keys() | wanted.keys())
            if begun.get(key) != wanted.get(key)
        ]
        if differ:
            raise InvalidInput(f"{out} holds other scenes ({'; '.join(differ)}): choose another folder")
    elif any(out.glob("shard-*")):
        raise InvalidInput(f"{out} holds shards of an earlier version: choose another folder")
    else:
        replace_text(note, json.dumps(wanted, indent=1) + "\n")


def write_index(out: Path, notes: dict[str, ShardNote]) -> Path:
    """Write index.json of a folder whose shards are all there; returns its path."""
    config = read_object(out / "config.json")
    index = {
        **config,
        "commit": ", ".join(sorted({note.commit for note in notes.values()})),
        "shards": {name: asdict(note) for name, note in sorted(notes.items())},
    }
    path = out / "index.json"
    replace_text(path, json.dumps(index, indent=1) + "\n")
    return path


def read_object(path: Path, way_out: str = "take it from a copy, or render into another folder") -> dict[str, Any]:
    """The object in a JSON file of a folder of shards or twins.

    Raises:
        AssetError: it is none, or cut off; `way_out` says what to do.
    """
    content = read_json(path, lambda text: AssetError(f"{text}: {way_out}"))
    if not isinstance(content, dict):
        raise AssetError(f"{path} holds no object: {way_out}")
    return content


def _check_index(index: Path, description: dict[str, Any]) -> None:
    """Raise `AssetError` unless an index names shards of its own folder, with their numbers."""
    shards = description.get("shards")
    if not isinstance(shards, dict) or not isinstance(description.get("kind"), str):
        raise AssetError(f"{index} lacks its shards or its kind: render it again")
    for name, note in shards.items():
        numbers = [note.get(key) for key in ("samples", "bytes", "units")] if isinstance(note, dict) else [None]
        if Path(name).name != name or not all(type(number) is int and number >= 0 for number in numbers):
            raise AssetError(f"{index}: the shard '{name[:80]}' is none: render it again")


def commit() -> str:
    """The commit of the working tree, "unknown" outside of git; with "+" where files have changed."""
    try:
        here = Path(__file__).parent
        quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # asking changes nothing: git would refresh its index
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True, env=quiet
        )
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "."], cwd=here, check=False, env=quiet)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.returncode else "")


@dataclass(frozen=True)
class ShardFolder:
    """The samples of one folder of shards, read through memory maps; it may be sent to other processes.

    Attributes:
        path: the folder.
        description: its index.json.
    """

    path: Path
    description: dict[str, Any]
    _ends: list[int] = field(init=False, repr=False)
    _open: dict[str, "_Shard"] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        ends = accumulate(note["samples"] for note in self.description["shards"].values())
        object.__setattr__(self, "_ends", list(ends))

    def __reduce__(self) -> tuple[Any, ...]:
        return ShardFolder, (self.path, self.description)

    @classmethod
    def open(cls, path: Path, verify: bool = False) -> "ShardFolder":
        """Open a complete folder.

        Args:
            path: the folder.
            verify: compare every shard's sha256 with the index.

        Raises:
            AssetError: there is no complete index, it has another schema, or a shard differs from it.
        """
        index = path / "index.json"
        if not index.exists():
            raise AssetError(f"{path} holds no index.json: render it with `prehend-train scenes`")
        description = read_object(index)
        if description.get("schema") != SCHEMA:
            raise AssetError(f"{index} has schema {description.get('schema')}, expected {SCHEMA}: render it again")
        _check_index(index, description)
        for name, note in description["shards"].items():
            shard = path / name
            if not shard.exists() or shard.stat().st_size != note["bytes"]:
                raise AssetError(f"{shard} is missing or cut off: render it again")
            if verify and _sha256(shard) != note.get("sha256"):
                raise AssetError(f"{shard} is not the file that was rendered: render it again")
        return cls(path, description)

    @property
    def kind(self) -> str:
        """What the images are: "crops", "frames", "views" or "sequences"."""
        return str(self.description["kind"])

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Sample:
        """Sample `index` with all its maps."""
        return self.sample(index)

    def __iter__(self) -> Iterator[Sample]:
        return (self.sample(index) for index in range(len(self)))

    def sample(self, index: int, maps: MapsKept = "all", meshes: bool = True) -> Sample:
        """Sample `index`; only the maps that are asked for are decoded, and the hands' vertices with `meshes`."""
        shard, row = self._place(index)
        return unpack(shard.files(row), maps, meshes)

    def pixels(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """(H, W, 3) image and (H, W) segmentation of sample `index`, without its labels."""
        shard, row = self._place(index)
        return unpack_pixels(shard.files(row))

    def labels(self, index: int) -> dict[str, Any]:
        """labels.json of sample `index`, see `prehend_training.storage.codec`; much faster than the sample."""
        shard, row = self._place(index)
        return unpack_labels(shard.files(row))

    def units(self) -> list[range]:
        """The samples of each unit: the images of one instant, the frames of one sequence, or one image."""
        starts, last = [], None
        for index in range(len(self)):
            shard, row = self._place(index)
            unit = shard.keys[row].split("-")[0]
            if unit != last:
                starts.append(index)
                last = unit
        return [range(a, b) for a, b in zip(starts, [*starts[1:], len(self)], strict=True)]

    def _place(self, index: int) -> "tuple[_Shard, int]":
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect_right(self._ends, index)
        name = list(self.description["shards"])[number]
        if name not in self._open:
            self._open[name] = _Shard(self.path / name, self.description["shards"][name]["samples"])
        return self._open[name], index - (self._ends[number - 1] if number else 0)


class _Shard:
    """A tar in memory, as far as it is read, and where its files lie."""

    def __init__(self, path: Path, samples: int):
        self.places: dict[str, dict[str, tuple[int, int]]] = {}
        try:
            with path.open("rb") as file:
                self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            with tarfile.open(path, "r:") as archive:
                for member in archive:
                    key, dot, name = member.name.partition(".")
                    if not dot or not member.isreg() or member.offset_data + member.size > len(self.map):
                        raise ValueError(f"the member '{member.name[:60]}' is no file of a sample")
                    self.places.setdefault(key, {})[name] = (member.offset_data, member.size)
        except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError) as error:
            raise AssetError(f"{path} is damaged ({error}): render it again") from error
        self.keys = list(self.places)
        if len(self.keys) != samples:
            raise AssetError(f"{path} holds {len(self.keys)} samples, its index says {samples}: render it again")

    def files(self, row: int) -> dict[str, memoryview]:
        view = memoryview(self.map)
        return {name: view[start : start + size] for name, (start, size) in self.places[self.keys[row]].items()}
