"""What every kind of source of a run answers; `data.stores.open` opens and mixes them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, cast

from prehend.errors import AssetError
from prehend_training.data.base import TrainingDataset
from prehend_training.data.stores.groups import WANTED, GroupKind, GroupSource
from prehend_training.data.stores.memory import Filling, InMemory, KnownCount

Pictures = Literal["crops", "frames"]


class OneSource(ABC):
    """A source that is no mixture. A new kind is a class with these methods."""

    renders: ClassVar[bool] = False
    """Whether its images are rendered while training: they do not come twice."""

    @abstractmethod
    def records(self, pictures: Pictures, twins: bool, crop_px: int) -> TrainingDataset:
        """Its records; arguments and errors as of `open_training_data`."""

    @abstractmethod
    def describe(self) -> list[dict[str, Any]]:
        """As JSON, for run.json."""

    def keep(self, filling: Filling, pictures: Pictures, twins: bool, crop_px: int, most: int | None) -> InMemory:
        """Its records with their pixels, put into a memory; `most` images, None for as many as fit.

        Raises:
            AssetError: it has other images, or does not fit.
            InvalidInput: it cannot be kept.
        """
        return filling.add(cast(KnownCount, self.records(pictures, twins, crop_px)), most)

    def groups(self, kind: GroupKind) -> Iterable[GroupSource]:
        """Its images in groups.

        Raises:
            AssetError: it has none of the kind.
        """
        raise AssetError(WANTED[kind])
