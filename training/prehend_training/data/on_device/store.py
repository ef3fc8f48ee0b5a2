"""Crops kept whole in the memory of the device that trains: nothing is read, decoded or copied while it trains."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from prehend.errors import AssetError
from prehend_training.data.crop_targets import SEGMENT_HAND, SEGMENT_OBJECT
from prehend_training.data.datasets import ShardCorpus
from prehend_training.data.pixels import without_front
from prehend_training.data.records import CROP_HANDS, Record
from prehend_training.data.views import mirror_left
from prehend_training.engine import EngineOptions, Job, open_engine

LAYER_HAND, LAYER_OBJECT, LAYER_OTHER, LAYERS, TWIN_FRONT = 1, 2, 3, 3, 4
"""A pixel of `ResidentCrops.layers`: `LAYERS` masks what the picture shows there (0 background, the hand, what it
holds, any other thing in front), `TWIN_FRONT` is set where the twin shows something in front."""

BACKGROUND_EVERY = 8
"""One of so many crops also gives a background, its front filled up from around."""

_PICTURES = ("image", "segmentation", "deoccluded", "deoccluded_front")
_CHUNK = 256
_SPARE = 0.6
"""Share of the free memory that data may take; the rest is for training."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResidentCrops:
    """Crops as tensors on one device, left hands mirrored to right ones.

    Attributes:
        image: (N, H, W, 3) uint8 RGB.
        twin: (N, H, W, 3) uint8 the pictures without objects, the picture itself where there is no other; None where
            the shards hold no twins.
        layers: (N, H, W) uint8, see `LAYERS`.
        backgrounds: (P, H, W, 3) uint8 backgrounds; P is 0 where no crop tells what is in front.
        labels: the other arrays of a record (see `record_of`) by name, (N, ...) each; those of hands have lost the
            axis of hands.
    """

    image: Tensor
    twin: Tensor | None
    layers: Tensor
    backgrounds: Tensor
    labels: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.image)

    @property
    def device(self) -> torch.device:
        """Where everything lies."""
        return self.image.device

    @property
    def size_px(self) -> int:
        """Side of the stored pictures."""
        return self.image.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        pictures = [self.image, self.layers, self.backgrounds, *([] if self.twin is None else [self.twin])]
        return sum(tensor.nbytes for tensor in [*pictures, *self.labels.values()])


def load_resident(
    paths: Sequence[Path],
    device: str,
    limit: int | None = None,
    twins: bool = True,
    workers: int = 0,
    memory: int | None = None,
) -> ResidentCrops:
    """Decode folders of shards into the memory of a device.

    Args:
        paths: folders of crops of one size.
        device: of torch.
        limit: largest number of crops, taken evenly from all.
        twins: keep the pictures without objects, where there are any.
        workers: processes that decode; 0 does it in this one.
        memory: bytes that the crops may take; None for `_SPARE` of what is free. Where they do not fit, fewer are
            taken, evenly, and the log says so.

    Raises:
        AssetError: a folder cannot be read, pictures differ in size, or next to nothing fits.
    """
    corpus = ShardCorpus(paths, "crops", twins)
    if wrong := [str(folder.path) for folder in corpus.folders if folder.kind != "crops"]:
        raise AssetError(f"{', '.join(wrong)}: expected folders of crops with a hand each")
    twins = twins and any(folder.description.get("maps") != "none" for folder in corpus.folders)
    packing = PackingCrops(tuple(paths), twins)
    store = load_tensors(packing, len(corpus), device, limit, workers, memory)
    twin, image, layers, backgrounds = (store.pop(name, None) for name in ("twin", "image", "layers", "backgrounds"))
    assert image is not None and layers is not None and backgrounds is not None
    known = store["has_front"][::BACKGROUND_EVERY]
    return ResidentCrops(image, twin, layers, backgrounds if bool(known.all()) else backgrounds[known], store)


class ResidentPoses:
    """The poses of the first resident crops as records, for the mean pose; reading shards for it takes seconds."""

    def __init__(self, crops: ResidentCrops, count: int):
        names = ("side", "rotations", "has_pose")
        self._labels = {name: crops.labels[name][:count].cpu().numpy() for name in names}

    def first(self, count: int) -> list[int]:
        """See `prehend_training.data.crops.Corpus`."""
        return list(range(min(count, len(self._labels["side"]))))

    def __getitem__(self, index: int) -> Record:
        return {name: value[index][None] for name, value in self._labels.items()}


class Pack(Protocol):
    """Decodes some rows of folders."""

    def __call__(self, task: tuple[int, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        """(number of the first one in the store, rows) -> stacked arrays by name, a row for each; but `backgrounds`,
        one for every `BACKGROUND_EVERY` of the store."""
        ...


def load_tensors(
    pack: Pack, there: int, device: str, limit: int | None = None, workers: int = 0, memory: int | None = None
) -> dict[str, Tensor]:
    """The arrays that `pack` (picklable) gives of `there` rows as tensors on a device; see `load_resident`."""
    example = pack((0, np.zeros(1, np.int64)))
    each = sum(-(-array.nbytes // _every(name)) for name, array in example.items())
    count = _count_that_fits(there, limit, each, free_memory(device) if memory is None else memory)
    rows = np.linspace(0, there, count, endpoint=False).astype(np.int64)
    store = {}
    for name, array in example.items():
        shape = (-(-count // _every(name)), *array.shape[1:])
        store[name] = torch.empty(shape, dtype=torch.from_numpy(array).dtype, device=device)
    chunks = [(start, rows[start : start + _CHUNK]) for start in range(0, count, _CHUNK)]
    jobs = [Job(f"rows {part[0]} to {part[-1]}", (start, part)) for start, part in chunks]
    engine = open_engine(EngineOptions(workers=workers), partial(_itself, pack))
    with tqdm(total=count, unit="picture", desc="to the device") as bar:
        for job, arrays in engine.map(jobs):
            _copy(store, arrays, job.task[0])
            bar.update(len(job.task[1]))
    return store


def _itself(pack: Pack) -> Pack:
    return pack


def _every(name: str) -> int:
    return BACKGROUND_EVERY if name == "backgrounds" else 1


def free_memory(device: str) -> int:
    """Bytes that data may take on a device: `_SPARE` of what is free now."""
    if torch.device(device).type == "cuda":
        return int(_SPARE * torch.cuda.mem_get_info(device)[0])
    return int(_SPARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES"))


def _count_that_fits(there: int, limit: int | None, each: int, memory: int) -> int:
    wanted, room = min(there, limit or there), memory // each
    if room < min(wanted, _CHUNK):
        raise AssetError(f"{room} pictures of {each / 1e3:.0f} kB fit into the memory: too few to train on")
    if room < wanted:
        logger.warning("%d of %d pictures fit into the memory and are taken", room, wanted)
    return min(wanted, room)


def _copy(store: dict[str, Tensor], arrays: dict[str, NDArray[Any]], start: int) -> None:
    for name, array in arrays.items():
        first = -(-start // _every(name))
        place = store[name][first : first + len(array)]
        if place.shape != array.shape:
            raise AssetError(f"pictures differ in the shape of '{name}': {array.shape[1:]} and {store[name].shape[1:]}")
        place.copy_(torch.from_numpy(array))


@dataclass(frozen=True)
class PackingCrops:
    """What a worker does: decode some crops into stacked arrays, see `Pack`."""

    paths: tuple[Path, ...]
    twins: bool

    def __call__(self, task: tuple[int, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        """See `Pack`."""
        start, rows = task
        corpus = opened(self.paths, "crops", self.twins)
        backgrounds = [(start + place) % BACKGROUND_EVERY == 0 for place in range(len(rows))]
        return _packed([mirror_left(corpus[int(row)]) for row in rows], self.twins, backgrounds)


@lru_cache(maxsize=1)
def opened(paths: tuple[Path, ...], pictures: str, twins: bool) -> ShardCorpus:
    """The corpus of this process."""
    return ShardCorpus(paths, pictures, twins)


def _packed(records: Sequence[Record], twins: bool, backgrounds: Sequence[bool]) -> dict[str, NDArray[Any]]:
    """Stacked arrays of records of right hands; `backgrounds` tells which of them give a background."""
    arrays = {
        "image": np.stack([record["image"] for record in records]),
        "layers": np.stack([_layers(record) for record in records]),
        "backgrounds": np.stack([
            without_front(np.asarray(record["image"]), np.asarray(record["segmentation"]) > 0)
            for record, wanted in zip(records, backgrounds, strict=True) if wanted
        ]),
    }  # fmt: skip
    if twins:
        arrays["twin"] = np.stack([record.get("deoccluded", record["image"]) for record in records])
    for name in sorted(set(records[0]) - set(_PICTURES)):
        stacked = np.stack([record[name] for record in records])
        # labels of hands have an axis of hands, those of the picture do not
        of_hands = stacked.ndim > 1 and stacked.shape[1] == CROP_HANDS
        arrays[name] = stacked[:, 0] if of_hands else stacked
    return arrays


def _layers(record: Record) -> NDArray[np.uint8]:
    """(H, W) see `LAYERS`; a record whose twin is the picture has the same front in both."""
    codes = np.asarray(record["segmentation"])
    layers = np.full(codes.shape, LAYER_OTHER, np.uint8)
    layers[codes == 0] = 0
    layers[codes == SEGMENT_HAND] = LAYER_HAND
    layers[codes == SEGMENT_OBJECT] = LAYER_OBJECT
    front = np.asarray(record["deoccluded_front"]) if "deoccluded_front" in record else codes > 0
    return layers | (front > 0) * np.uint8(TWIN_FRONT)
