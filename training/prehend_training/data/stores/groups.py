"""Images that belong together: films of one camera, moments of several; of folders of scenes and of real datasets."""

from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from prehend.errors import AssetError
from prehend_training.datasets.base import Dataset
from prehend_training.datasets.own_hand import as_trained
from prehend_training.sample import Film, Sample
from prehend_training.scenes.layout.sequences import RATE_HZ
from prehend_training.storage.shards import ShardFolder

GroupKind = Literal["sequences", "views"]
"""Kinds of folders whose units are films, and moments."""

WANTED = {
    "sequences": "films come from folders of `scenes --kind sequences`, DexYCB or HO-3D",
    "views": "several views of a moment come from folders of `scenes --kind views`, HanCo or DexYCB",
}
"""Where groups of a kind come from."""


class GroupSource(Protocol):
    """Images in groups, read one by one.

    Attributes:
        name: what it is called in errors.
    """

    name: str

    def films(self) -> list[Film]:
        """Images of one camera, with their times; none where there is no film."""
        ...

    def moments(self) -> list[range]:
        """Images of several cameras at one time."""
        ...

    def sample(self, row: int) -> Sample:
        """An image by its number."""
        ...


class ShardGroups:
    """Rendered scenes; a unit of such a folder is a film at `RATE_HZ`, or a moment.

    Args:
        path: the folder.
        kind: what its units have to be.

    Raises:
        AssetError: it cannot be read or holds other images.
    """

    def __init__(self, path: Path, kind: GroupKind):
        self.folder, self.name = ShardFolder.open(Path(path)), str(path)
        if self.folder.kind != kind:
            raise AssetError(f"{path} holds {self.folder.kind}: {WANTED[kind]}")

    def films(self) -> list[Film]:
        """See `GroupSource`."""
        return [Film(tuple(unit), np.arange(len(unit)) / RATE_HZ) for unit in self.folder.units()]

    def moments(self) -> list[range]:
        """See `GroupSource`."""
        return self.folder.units()

    def sample(self, row: int) -> Sample:
        """See `GroupSource`."""
        return self.folder.sample(row, maps="none", meshes=False)


class DatasetGroups:
    """A real dataset, its hands as ours.

    Args:
        dataset: the reader.
    """

    def __init__(self, dataset: Dataset):
        self.dataset, self.name = dataset, dataset.source.title

    def films(self) -> list[Film]:
        """See `GroupSource`."""
        return self.dataset.films()

    def moments(self) -> list[range]:
        """See `GroupSource`."""
        return self.dataset.groups()

    def sample(self, row: int) -> Sample:
        """See `GroupSource`."""
        return as_trained(self.dataset[row], self.dataset)
