"""What a run learns from: folders of shards, scenes rendered on the way, real datasets, labelled photographs, or a
mixture of them."""

from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from prehend.errors import AssetError, InvalidInput
from prehend_training.data.base import TrainingDataset
from prehend_training.data.batch import ArrayDict
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig, exact
from prehend_training.data.stores.datasets import Cached, MixedDataset, RealDataset, ShardDataset, Twins
from prehend_training.data.stores.frame_hands import WHOLE, FrameHands
from prehend_training.data.stores.groups import WANTED, DatasetGroups, GroupKind, GroupSource, ShardGroups
from prehend_training.data.stores.memory import Filling, InMemory, Memory
from prehend_training.data.stores.online import OnlineDataset
from prehend_training.data.stores.source import OneSource, Pictures
from prehend_training.datasets import Dataset, open_dataset
from prehend_training.engine.scenes import SceneConfig
from prehend_training.storage.shards import ShardFolder


@dataclass(frozen=True)
class ShardFolders(OneSource):
    """Folders of shards, as `scenes` and others write them."""

    paths: Sequence[Path]

    def records(self, pictures: Pictures, twins: bool, crop_px: int) -> ShardDataset | FrameHands:
        """See `OneSource`."""
        whole = [ShardFolder.open(Path(path)).kind in WHOLE for path in self.paths]
        if pictures == "frames" or not any(whole):
            return ShardDataset(self.paths, pictures, twins)
        if not all(whole):
            named = ", ".join(f"--data {path}=1" for path in self.paths)
            raise AssetError(f"crops and whole images are sources of their own: give each its weight ({named})")
        return FrameHands(self.paths, crop_px)

    def groups(self, kind: GroupKind) -> Iterable[GroupSource]:
        """See `OneSource`."""
        return (ShardGroups(path, kind) for path in self.paths)

    def describe(self) -> list[dict[str, Any]]:
        """See `OneSource`."""
        return [{"path": str(path), "commit": ShardFolder.open(path).description["commit"]} for path in self.paths]


@dataclass(frozen=True)
class RenderedScenes(OneSource):
    """Scenes that are rendered while training."""

    config: SceneConfig
    renders = True

    def records(self, pictures: Pictures, twins: bool, crop_px: int) -> OnlineDataset:
        """See `OneSource`."""
        if self.config.kind != pictures:
            raise AssetError(f"scenes of {self.config.kind}: expected {pictures}")
        return OnlineDataset(self.config)

    def keep(self, filling: Filling, pictures: Pictures, twins: bool, crop_px: int, most: int | None) -> InMemory:
        """See `OneSource`."""
        raise InvalidInput("scenes that are rendered while training do not come twice: leave --in-memory out")

    def describe(self) -> list[dict[str, Any]]:
        """See `OneSource`."""
        return [{"online": self.config.describe()}]


@dataclass(frozen=True)
class DatasetChoice(OneSource):
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

    def records(self, pictures: Pictures, twins: bool, crop_px: int) -> RealDataset:
        """See `OneSource`."""
        if pictures != "crops":
            raise AssetError(f"{self.name}: datasets do not label every hand of an image, which a detector learns from")
        return RealDataset(self.open(), crop_px, self.open_twins() if twins else None)

    def groups(self, kind: GroupKind) -> list[GroupSource]:
        """See `OneSource`."""
        return [DatasetGroups(self.open())]

    def describe(self) -> list[dict[str, Any]]:
        """See `OneSource`: what was opened, not what was asked for."""
        dataset = self.open()
        folders = {"root": dataset.root, "mano": self.mano, "twins": self.twins}
        named = {name: None if path is None else str(path) for name, path in folders.items()}
        return [{"dataset": self.name, "split": dataset.split, "pictures": len(dataset), **named}]

    def open(self) -> Dataset:
        """The reader."""
        return open_dataset(self.name, self.root, self.split, self.mano)

    def open_twins(self) -> Twins | None:
        """Its de-occluded images."""
        from prehend_training.storage.twins import TwinFolder

        return None if self.twins is None else TwinFolder.open(self.twins)


SingleSource = Sequence[Path] | SceneConfig | OneSource


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

    def sources(self) -> list[tuple[OneSource, float]]:
        """The parts as what answers, with their weights."""
        return [(_one(source), weight) for source, weight in self.parts]

    def shares(self) -> list[tuple[OneSource, float, float]]:
        """The same, and each one's share of all weights; whether weights can be used `MixedDataset` says."""
        total = sum(weight for _, weight in self.parts) or 1.0
        return [(source, weight, weight / total) for source, weight in self.sources()]


DataSource = SingleSource | Mixture
"""Folders of shards, scenes that are rendered while training, a dataset, photographs, or several of these."""


def _one(data: SingleSource) -> OneSource:
    """Plain folders and configurations as sources."""
    if isinstance(data, OneSource):
        return data
    return RenderedScenes(data) if isinstance(data, SceneConfig) else ShardFolders(data)


def _mixture(data: DataSource) -> Mixture:
    return data if isinstance(data, Mixture) else Mixture(((data, 1.0),))


def _mixed(parts: Sequence[tuple[Any, float]]) -> Any:
    """Datasets with their weights as one."""
    return parts[0][0] if len(parts) == 1 else MixedDataset(parts)


def open_training_data(data: DataSource, pictures: Pictures, twins: bool = True, crop_px: int = 128) -> TrainingDataset:
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
    mixture, opened = _mixture(data), []
    for source, weight, share in mixture.shares():
        dataset = source.records(pictures, twins, crop_px)
        if mixture.cache_gb and not source.renders:
            dataset = Cached(dataset, mixture.cache_gb * 1e9 * share)
        opened.append((dataset, weight))
    return _mixed(opened)


def some_crops(data: DataSource, config: CropDataConfig, seed: int, count: int, augment: bool) -> ArrayDict:
    """A batch of crops for people to look at; without `augment` of whole hands, unchanged and with true boxes."""
    shown = config if augment else exact(config)
    return CropBatches(open_training_data(data, "crops", crop_px=shown.size_px), shown, seed, count).batch(0)


def load_memory(
    data: DataSource, pictures: Pictures, twins: bool, crop_px: int, filling: Filling, limit: int | None
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
    kept = []
    for source, weight, share in _mixture(data).shares():
        most = None if limit is None else max(1, round(limit * share))
        kept.append((source.keep(filling, pictures, twins, crop_px, most), weight))
    return filling.memory(_mixed(kept))


Opened = TypeVar("Opened", bound=Sized)


def open_groups(
    data: DataSource, kind: GroupKind, build: Callable[[GroupSource, float], Opened], limit_bytes: float = 0.0
) -> Opened | MixedDataset:
    """What is made of the groups of a source.

    Args:
        data: folders of scenes of the kind, a dataset, or a mixture of such.
        kind: which groups are wanted.
        build: of the groups of one folder or dataset, with the share of `limit_bytes` that it may keep.
        limit_bytes: memory for what was read; a mixture has its own.

    Raises:
        AssetError: the source is not there or has other images.
        InvalidInput: weights are not usable, or there is no folder.
    """
    limit = data.cache_gb * 1e9 if isinstance(data, Mixture) else limit_bytes
    opened = []
    for source, weight, share in _mixture(data).shares():
        groups = list(source.groups(kind))
        if not groups:
            raise InvalidInput(f"no folder given: {WANTED[kind]}")
        built = [build(one, limit * share / len(groups)) for one in groups]
        opened.append((_mixed([(one, float(len(one))) for one in built]) if len(built) > 1 else built[0], weight))
    return _mixed(opened)


def renders(data: DataSource) -> bool:
    """Whether scenes are rendered while training."""
    return any(source.renders for source, _ in _mixture(data).sources())


def describe_data(data: DataSource) -> list[dict[str, Any]]:
    """A source as JSON, for run.json.

    Raises:
        AssetError: a folder of shards cannot be read.
        SourceError: files of a dataset are missing.
    """
    sources = _mixture(data).sources()
    if len(sources) == 1:
        return sources[0][0].describe()
    return [entry | {"weight": weight} for source, weight in sources for entry in source.describe()]
