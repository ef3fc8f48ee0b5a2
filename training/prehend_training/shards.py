"""Rendered samples on disk: folders of memory-mappable .npy files, resumable, the same for the same seed.

DIR/index.json                   what it is, where it comes from, sha256 of every file
DIR/shard-00000/<field>.npy      first axis: sample
DIR/shard-00000/shard.json       number of samples, sha256 of its files; written last
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.conventions import SIDES
from prehend.errors import AssetError, InvalidInput
from prehend_training.scenes.sample import HandLabel, Sample
from prehend_training.symmetry import equivalent_points

SCHEMA = "prehend.shards/1"
SHARD_SIZE = 256

Kind = Literal["crops", "frames"]
MAX_HANDS: dict[str, int] = {"crops": 1, "frames": 4}
"""Hands stored a picture; of a crop only the first one, which it was cut out for."""

Record = dict[str, NDArray[Any]]
MakeSample = Callable[[int], Sample]

_HAND_FIELDS: dict[str, tuple[tuple[int, ...], type]] = {
    "side": ((), np.uint8),
    "rotations": ((16, 3, 3), np.float32),
    "betas": ((10,), np.float32),
    "joints_m": ((21, 3), np.float32),
    "keypoints_px": ((21, 2), np.float32),
    "visible": ((21,), np.bool_),
    "visible_ratio": ((), np.float32),
    "grasp": ((), np.bool_),
    "has_object": ((), np.bool_),
    "object_points_m": ((4, 21, 3), np.float32),
    "object_keypoints_px": ((4, 21, 2), np.float32),
}
"""Shape and type of each label of a hand: see `HandLabel`, and `equivalent_points` for those of the object."""


def encode(sample: Sample, max_hands: int) -> Record:
    """A sample as plain arrays: `image`, `segmentation`, `K`, `hand_count` and the labels of `max_hands` hands.

    Labels of hands that are not there are zero. A scene's hands beyond `max_hands` lose their labels.
    """
    record: Record = {
        "image": sample.image,
        "segmentation": np.asarray(sample.segmentation, np.uint8),
        "K": np.asarray(sample.camera.K, np.float32),
        "hand_count": np.uint8(min(len(sample.hands), max_hands))[...],
    }
    for name, (shape, dtype) in _HAND_FIELDS.items():
        record[name] = np.zeros((max_hands, *shape), dtype)
    for row, hand in enumerate(sample.hands[:max_hands]):
        for name, value in _hand_values(sample, hand).items():
            record[name][row] = value
    return record


def _hand_values(sample: Sample, hand: HandLabel) -> dict[str, Any]:
    values: dict[str, Any] = {
        "side": SIDES.index(hand.side),
        "rotations": hand.rotations,
        "betas": hand.betas,
        "joints_m": hand.joints_m,
        "keypoints_px": hand.keypoints_px,
        "visible": hand.visible,
        "visible_ratio": hand.visible_ratio,
        "grasp": hand.grasp,
        "has_object": (held := sample.held(hand)) is not None,
    }
    if held is not None:
        points = equivalent_points(held)
        pixels = points @ sample.camera.K.T
        values["object_points_m"], values["object_keypoints_px"] = points, pixels[..., :2] / pixels[..., 2:]
    return values


def write_shard(folder: Path, samples: Iterable[Sample], max_hands: int) -> None:
    """Write one shard; `folder` appears only when it is complete."""
    records = [encode(sample, max_hands) for sample in samples]
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    hashes = {}
    for name in records[0]:
        path = partial / f"{name}.npy"
        np.save(path, np.stack([record[name] for record in records]))
        hashes[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (partial / "shard.json").write_text(json.dumps({"count": len(records), "sha256": hashes}, indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def write_shards(
    out: Path,
    kind: Kind,
    count: int,
    seed: int,
    size_px: int,
    open_renderer: Callable[[Kind, int, int], MakeSample],
    workers: int = 1,
    shard_size: int = SHARD_SIZE,
) -> Path:
    """Render `count` samples into `out`, leaving shards alone that are already there.

    Args:
        out: folder of the shards.
        kind, seed, size_px: what to render; a folder holds one combination of them.
        count: number of samples; may be raised later to add to a folder.
        open_renderer: called once a process with (kind, seed, size_px); returns the function from a sample's
            number to the sample. It must be importable from its module.
        workers: processes; the result does not depend on it.
        shard_size: samples a shard.

    Returns:
        The path of index.json.

    Raises:
        InvalidInput: `count` or `shard_size` is not positive, or `out` holds something else.
    """
    if count <= 0 or shard_size <= 0:
        raise InvalidInput(f"count {count} and shard size {shard_size} must be positive")
    description = {"schema": SCHEMA, "kind": kind, "seed": seed, "size_px": size_px, "shard_size": shard_size}
    _claim(out, description)
    shards = [(out / f"shard-{start // shard_size:05d}", start, min(start + shard_size, count))
              for start in range(0, count, shard_size)]  # fmt: skip
    jobs = [(folder, start, stop) for folder, start, stop in shards if not _is_complete(folder, stop - start)]
    with tqdm(total=count, initial=count - sum(stop - start for _, start, stop in jobs), unit="picture") as bar:
        for done in _run(jobs, (kind, seed, size_px), open_renderer, workers):
            bar.update(done)
    description["commit"] = commit()
    description["shards"] = {folder.name: json.loads((folder / "shard.json").read_text()) for folder, _, _ in shards}
    index = out / "index.json"
    index.write_text(json.dumps(description, indent=1) + "\n")
    return index


def _claim(out: Path, description: dict[str, Any]) -> None:
    """Note in `out` what it holds, or raise if that is something else."""
    out.mkdir(parents=True, exist_ok=True)
    claim = out / "scenes.json"
    if claim.exists() and json.loads(claim.read_text()) != description:
        raise InvalidInput(f"{out} holds other scenes ({claim.read_text().strip()}): choose another folder")
    claim.write_text(json.dumps(description) + "\n")


def _is_complete(folder: Path, count: int) -> bool:
    note = folder / "shard.json"
    return note.exists() and json.loads(note.read_text())["count"] == count


def _run(
    jobs: list[tuple[Path, int, int]],
    scene: tuple[Kind, int, int],
    open_renderer: Callable[[Kind, int, int], MakeSample],
    workers: int,
) -> Iterator[int]:
    """Do the jobs, in this process or in several; yields the number of samples as they get done."""
    if workers <= 1 or len(jobs) <= 1:
        make = open_renderer(*scene) if jobs else None
        for job in jobs:
            assert make is not None
            yield _write(make, job, MAX_HANDS[scene[0]])
        return
    # a fresh interpreter a worker: an OpenGL context does not survive a fork
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_open_worker, initargs=(open_renderer, scene)
    ) as pool:
        for future in as_completed([pool.submit(_worker_write, job, MAX_HANDS[scene[0]]) for job in jobs]):
            yield future.result()


_worker: dict[str, MakeSample] = {}


def _open_worker(open_renderer: Callable[[Kind, int, int], MakeSample], scene: tuple[Kind, int, int]) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _worker["make"] = open_renderer(*scene)


def _worker_write(job: tuple[Path, int, int], max_hands: int) -> int:
    return _write(_worker["make"], job, max_hands)


def _write(make: MakeSample, job: tuple[Path, int, int], max_hands: int) -> int:
    folder, start, stop = job
    write_shard(folder, (make(index) for index in range(start, stop)), max_hands)
    return stop - start


def commit() -> str:
    """The commit of the working tree, "unknown" outside of git; with "+" where files have changed."""
    try:
        here = Path(__file__).parent
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "."], cwd=here, check=False)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.returncode else "")


@dataclass(frozen=True)
class ShardFolder:
    """The samples of one folder of shards, memory-mapped.

    Attributes:
        path: the folder.
        description: its index.json.
    """

    path: Path
    description: dict[str, Any]

    @classmethod
    def open(cls, path: Path, verify: bool = False) -> "ShardFolder":
        """Open a folder that `write_shards` wrote.

        Args:
            path: the folder.
            verify: compare every file's sha256 with the index.

        Raises:
            AssetError: there is no complete index, or a file differs from it.
        """
        index = path / "index.json"
        if not index.exists():
            raise AssetError(f"{path} holds no index.json: render it with `prehend-train scenes`")
        description = json.loads(index.read_text())
        if description.get("schema") != SCHEMA:
            raise AssetError(f"{index} has schema {description.get('schema')}, expected {SCHEMA}: render it again")
        if verify:
            for shard, note in description["shards"].items():
                for name, sha256 in note["sha256"].items():
                    if hashlib.sha256((path / shard / name).read_bytes()).hexdigest() != sha256:
                        raise AssetError(f"{path / shard / name} is not the file that was rendered: render it again")
        return cls(path, description)

    @cached_property
    def _maps(self) -> list[Record]:
        return [
            {name[:-4]: np.load(self.path / shard / name, mmap_mode="r") for name in note["sha256"]}
            for shard, note in self.description["shards"].items()
        ]

    @property
    def kind(self) -> str:
        """What the pictures are: "crops" or "frames"."""
        return str(self.description["kind"])

    def __len__(self) -> int:
        return sum(note["count"] for note in self.description["shards"].values())

    def __getitem__(self, index: int) -> Record:
        """Sample `index` as arrays (views of the mapped files: copy before changing them)."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard, row = divmod(index, self.description["shard_size"])
        return {name: values[row] for name, values in self._maps[shard].items()}
