"""Doors to the real datasets: readers that give the same typed `Sample` as the renderer.

Nobody may pass these datasets on: each user downloads them from their authors and accepts their licences.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from prehend.errors import UnknownName
from prehend_training.datasets.base import Dataset
from prehend_training.datasets.checks import find_faults
from prehend_training.datasets.dexycb import DexYcb
from prehend_training.datasets.freihand import FreiHand
from prehend_training.datasets.grasp_labels import HANDBOOSTER, UNIHOPE_SCRIPT, GraspRule
from prehend_training.datasets.hanco import HanCo
from prehend_training.datasets.ho3d import Ho3d

DATASETS: dict[str, Callable[..., Dataset]] = {
    "dexycb": DexYcb,
    "ho3d_v2": partial(Ho3d, version="v2"),
    "ho3d_v3": partial(Ho3d, version="v3"),
    "freihand": FreiHand,
    "hanco": HanCo,
}
"""Readers by name."""

FIRST_SPLIT = {
    "dexycb": "s0_train",
    "ho3d_v2": "train",
    "ho3d_v3": "train",
    "freihand": "training",
    "hanco": "train",
}
"""The split that is opened where none is named."""


def open_dataset(
    name: str, root: Path | None = None, split: str | None = None, mano: Path | None = None, **options: Any
) -> Dataset:
    """Open a real dataset.

    Args:
        name: one of `DATASETS`.
        root: its folder; None for what its environment variable (PREHEND_DEXYCB, ...) names.
        split: a name of the reader's `splits`; None for `FIRST_SPLIT`.
        mano: folder of the user's MANO_RIGHT.pkl and MANO_LEFT.pkl; None for none.
        options: further arguments of the reader, such as `rule` (DexYCB, HO-3D) or `pictures` (HanCo).

    Raises:
        UnknownName: no such dataset or split.
        SourceError: files are missing; the message says what to download and how the folder should look.
    """
    if name not in DATASETS:
        raise UnknownName("dataset", name, DATASETS)
    return DATASETS[name](root, split or FIRST_SPLIT[name], mano=mano, **options)


__all__ = [
    "DATASETS",
    "FIRST_SPLIT",
    "HANDBOOSTER",
    "UNIHOPE_SCRIPT",
    "Dataset",
    "DexYcb",
    "FreiHand",
    "GraspRule",
    "HanCo",
    "Ho3d",
    "find_faults",
    "open_dataset",
]
