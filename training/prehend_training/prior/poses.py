"""Poses to learn from: those of rendered hands (gestures, grasps, films), and random natural ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, NUM_BETAS
from prehend.errors import AssetError
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend_training.assets.poses import sample_pose
from prehend_training.storage.shards import ShardFolder

Float = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Poses:
    """Right hands.

    Attributes:
        rotations: (N, 16, 3, 3), the first from the hand to a camera. betas: (N, 10).
    """

    rotations: Float
    betas: Float

    def __len__(self) -> int:
        return len(self.rotations)


def poses_of_folders(folders: Sequence[Path], limit: int | None = None) -> Poses:
    """The hands of folders of shards, of whatever images; only their labels are read.

    Args:
        folders: of `prehend-train scenes`.
        limit: most images of a folder, taken evenly.

    Raises:
        AssetError: a folder cannot be read, or none has a hand whose pose is known.
    """
    rotations, betas = [], []
    for path in folders:
        folder = ShardFolder.open(path)
        count = len(folder) if limit is None else min(limit, len(folder))
        for index in np.linspace(0, len(folder) - 1, count).astype(int) if count else ():
            for hand in folder.labels(int(index))["hands"]:
                if hand["rotations"] is None or hand["betas"] is None:
                    continue
                turns = np.array(hand["rotations"], np.float32)
                rotations.append(turns if hand["side"] == "right" else MIRROR @ turns @ MIRROR)
                betas.append(np.array(hand["betas"], np.float32))
    if not rotations:
        raise AssetError("no hand of known pose in these folders: render some with `prehend-train scenes`")
    return Poses(np.stack(rotations).astype(np.float32), np.stack(betas))


def natural_poses(rng: np.random.Generator, count: int) -> Poses:
    """Random natural poses, see `sample_pose`, without orientation."""
    pose = np.concatenate([np.zeros((count, 1, 3)), sample_pose(rng, count)], 1)
    return Poses(
        np.asarray(matrix_from_axis_angle(pose), np.float32), rng.normal(size=(count, NUM_BETAS)).astype(np.float32)
    )
