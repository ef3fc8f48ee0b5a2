"""What a run learns from: folders of shards, scenes rendered on the way, real datasets, labelled photographs, or a
mixture of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from prehend.errors import AssetError, InvalidInput
from prehend_training.data.batch import ArrayDict
from prehend_training.data.crops import CropBatches, CropDataConfig, TrainingDataset, exact
from prehend_training.data.stores.datasets import Cached, MixedDataset, RealDataset, ShardDataset, Twins
from prehend_training.data.stores.memory import Filling, InMemory, KnownCount, Memory
from prehend_training.data.stores.online import OnlineDataset
from prehend_training.data.stores.photographs import PhotoChoice, PhotoDataset
from prehend_training.datasets import Dataset, open_dataset
from prehend_training.engine.scenes import SceneConfig
from prehend_training.photos.labels import read_labels
from prehend_training.storage.shards import ShardFolder


@dataclass(frozen=True)
class DatasetChoice:
    """A split of a real dataset.

    Attributes:
        name, root, split, mano: see `open_dataset`.
        twins: folder of its de-occluded images, None for none.
    """

    name: str
    root: Path | None = None
    split: str | None = None
    mano: Path | None = None
    twins: Path | None = None

    def describe(self) -> dict[str, Any]:
        """For run.json: with what was opened, not what was asked for."""
        dataset = self.open()
        folders = {"root": dataset.root, "mano": self.mano, "twins": self.twins}
        named = {name: None if path is None else str(path) for name, path in folders.items()}
        return {"dataset": self.name, "split": dataset.split, "pictures": len(dataset), **named}

    def open(self) -> Dataset:
        """The reader."""
        return open_dataset(self.name, self.root, self.split, self.mano)

    def open_twins(self) -> Twins | None:
        """Its de-occluded images."""
        from prehend_training.storage.twins import TwinFolder

        return None if self.twins is None else TwinFolder.open(self.twins)


SingleSource = Sequence[Path] | SceneConfig | DatasetChoice | PhotoChoice


@dataclass(frozen=True)
class Mixture:
    """Several sources.

    Attributes:
        parts: sources with their weights; see `MixedDataset`.
        cache_gb: memory for decoded images in each process that makes batches [GB]; it changes the speed alone.
    """

    parts: tuple[tuple[SingleSource, float], ...]
    cache_gb: float = 0.0

    def __post_init__(self) -> None:
        if not self.parts or not self.cache_gb >= 0:
            raise InvalidInput("a mixture has at least one source, and its memory is not negative")


DataSource = SingleSource | Mixture
"""Folders of shards, scenes that are rendered while training, a dataset, photographs, or several of these."""


def open_training_data(
    data: DataSource, pictures: Literal["crops", "frames"], twins: bool = True, crop_px: int = 128
) -> TrainingDataset:
    """The records of a source.

    Args:
        data: the source.
        pictures: what it shall have.
        twins: read de-occluded twins, where there are any.
        crop_px: side of the network's input, for datasets: see `RealDataset`.

    Raises:
        AssetError: the source has other images, or is not there.
        InvalidInput: weights are not usable.
    """
    if isinstance(data, Mixture):
        total = sum(weight for _, weight in data.parts)
        opened = []
        for source, weight in data.parts:
            dataset = open_training_data(source, pictures, twins, crop_px)
            if data.cache_gb and not isinstance(source, SceneConfig):  # scenes do not come twice
                dataset = Cached(dataset, data.cache_gb * 1e9 * weight / total)
            opened.append((dataset, weight))
        return opened[0][0] if len(opened) == 1 else MixedDataset(opened)
    if isinstance(data, DatasetChoice):
        if pictures != "crops":
            raise AssetError(
                f"{data.name}: datasets do not label every hand of a picture, which a detector learns from"
            )
        return RealDataset(data.open(), crop_px, data.open_twins() if twins else None)
    if isinstance(data, PhotoChoice):
        if pictures != "crops":
            raise AssetError(
                f"{data.labels}: photographs teach crop networks alone; not every hand of them is labelled"
            )
        return PhotoDataset(read_labels(data.labels), data.split)
    if not isinstance(data, SceneConfig):
        return ShardDataset(data, pictures, twins)
    if data.kind != pictures:
        raise AssetError(f"scenes of {data.kind}: expected {pictures}")
    return OnlineDataset(data)


def some_crops(data: DataSource, config: CropDataConfig, seed: int, count: int, augment: bool) -> ArrayDict:
    """A batch of crops for people to look at; without `augment` of whole hands, unchanged and with true boxes."""
    shown = config if augment else exact(config)
    return CropBatches(open_training_data(data, "crops", crop_px=shown.size_px), shown, seed, count).batch(0)


IN_MEMORY_VARIANTS = 4
"""Squares of a photograph that are kept as places without a hand."""


def load_memory(
    data: DataSource,
    pictures: Literal["crops", "frames"],
    twins: bool,
    crop_px: int,
    filling: Filling,
    limit: int | None,
) -> Memory:
    """The records of a source with their pixels in the memory of a device; arguments as of `open_training_data`.

    Args:
        data, pictures, twins, crop_px: see there.
        filling: an empty memory.
        limit: largest number of images, each source its share; photographs are kept all.

    Raises:
        AssetError: the source has other images or is not there, or does not fit.
        InvalidInput: scenes that are rendered while training cannot be kept.
    """

    def kept(source: SingleSource, share: float) -> InMemory:
        if isinstance(source, SceneConfig):
            raise InvalidInput("scenes that are rendered while training do not come twice: leave --in-memory out")
        most = None if limit is None else max(1, round(limit * share))
        if isinstance(source, PhotoChoice) and pictures == "crops":
            return filling.add(PhotoDataset(read_labels(source.labels), source.split, IN_MEMORY_VARIANTS), whole=True)
        opened = open_training_data(source, pictures, twins, crop_px)
        return filling.add(cast(KnownCount, opened), most)

    if not isinstance(data, Mixture):
        return filling.memory(kept(data, 1.0))
    total = sum(weight for _, weight in data.parts)
    parts = [(kept(source, weight / total), weight) for source, weight in data.parts]
    return filling.memory(parts[0][0] if len(parts) == 1 else MixedDataset(parts))


def renders(data: DataSource) -> bool:
    """Whether scenes are rendered while training."""
    if isinstance(data, Mixture):
        return any(renders(source) for source, _ in data.parts)
    return isinstance(data, SceneConfig)


def describe_data(data: DataSource) -> list[dict[str, Any]]:
    """A source as JSON, for run.json.

    Raises:
        AssetError: a folder of shards cannot be read.
        SourceError: files of a dataset are missing.
    """
    if isinstance(data, Mixture):
        if len(data.parts) == 1:
            return describe_data(data.parts[0][0])
        return [entry | {"weight": weight} for source, weight in data.parts for entry in describe_data(source)]
    if isinstance(data, SceneConfig):
        return [{"online": data.describe()}]
    if isinstance(data, DatasetChoice | PhotoChoice):
        return [data.describe()]
    return [{"path": str(path), "commit": ShardFolder.open(path).description["commit"]} for path in data]
