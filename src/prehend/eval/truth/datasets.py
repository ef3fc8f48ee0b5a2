"""Images and truth of the real datasets, through the readers of the training package where it is installed."""

import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from prehend.errors import ParameterError, SourceError
from prehend.eval.answers import Answered
from prehend.eval.truth.records import TrueFrame, TrueHand, TrueObject, unknown_points
from prehend.io.frames import ErrorHandler, Frame, Kind, Source

DATASETS = ("freihand", "ho3d_v2", "ho3d_v3", "dexycb", "hanco")
_READERS = "prehend_training.datasets"
"""Looked for by its name: this package never needs it."""


def is_dataset(text: str) -> bool:
    """Whether a user's word names a dataset: `freihand` or `freihand:SPLIT`."""
    return text.partition(":")[0] in DATASETS


def open_samples(text: str, root: Path) -> Any:
    """The samples of `NAME[:SPLIT]`.

    Args:
        text: name and split.
        root: folder of the dataset.

    Raises:
        ParameterError: the training package is not installed.
        PrehendError: no such split, or files of the dataset are missing.
    """
    if importlib.util.find_spec(_READERS.partition(".")[0]) is None:
        raise ParameterError(
            f"--truth {text}: datasets are read by the package prehend_training, which is not installed: install it "
            "from the folder training/ of the repository, or give a labels file"
        )
    name, _, split = text.partition(":")
    return importlib.import_module(_READERS).open_dataset(name, root, split or None)


class DatasetImages(Source):
    """The images of a dataset, one after the other, with their cameras; they count as unrelated."""

    kind: Kind = "folder"
    is_sequence = False

    def __init__(self, name: str, samples: Any, title: str, on_error: ErrorHandler | None = None):
        super().__init__(name, on_error)
        self._samples, self._title = samples, title
        self.length = len(samples)

    def __iter__(self) -> Iterator[Frame]:
        for index in range(len(self._samples)):
            try:
                sample = self._samples[index]
            except SourceError as error:
                self._report(error)
                continue
            yield Frame(sample.image, f"{self._title}/{index:06d}", index, camera=sample.camera)

    def close(self) -> None:
        """Nothing to do."""


class DatasetTruth:
    """The labels of a dataset."""

    def __init__(self, samples: Any, title: str):
        self._samples, self.title = samples, title
        self.extent = f"{len(samples)} samples"

    def of(self, frame: Answered) -> TrueFrame | None:
        """See `Truth.of`."""
        if not 0 <= frame.index < len(self._samples):
            return None
        sample = self._samples[frame.index]
        return TrueFrame(tuple(_hand(sample, hand) for hand in sample.hands))


def _hand(sample: Any, hand: Any) -> TrueHand:
    held = None
    if hand.object_index is not None and hand.grasp is not False:
        thing = sample.objects[hand.object_index]
        held = TrueObject(thing.object_id, np.asarray(thing.T_camera_object, np.float64))
    return TrueHand(
        hand.side if hand.side_known else None,
        np.asarray(hand.joints_m, np.float64) if hand.has_joints else unknown_points(3),
        np.asarray(hand.keypoints_px, np.float64) if hand.has_keypoints else unknown_points(2),
        grasp=hand.grasp,
        held=held,
    )
