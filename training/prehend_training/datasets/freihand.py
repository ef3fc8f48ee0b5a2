"""FreiHAND (Zimmermann et al., ICCV 2019): single images of right hands, each before four backgrounds.

The four versions of an image share their frame number and differ in their view's name. Masks exist for the training
images; whether they leave out a held object is not said, so no visible ratio is made of them.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prehend.errors import SourceError
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import HandModel
from prehend.io.pixels.images import Image
from prehend.types import FloatArray
from prehend_training.datasets.base import Dataset, camera_of, hand_label
from prehend_training.datasets.sources import FREIHAND
from prehend_training.datasets.tables import read_table
from prehend_training.sample import HAND_CODE, FrameId, Sample

VERSIONS = ("gs", "hom", "sample", "auto")
"""Backgrounds of training images: the green screen, and three ways to replace it."""

_MESH_VERTICES = 778
_HALF_BRIGHT = 127


class FreiHand(Dataset):
    """FreiHAND; image `id + N * v` of the training split is image `id` of N before background `VERSIONS[v]`.

    Args:
        root: the dataset's folder, or None for what the environment variable names.
        split: "training" or "evaluation".
        mano: folder of MANO's files, for rotations: the stored pose is relative to MANO's mean. Vertices are stored.

    Raises:
        SourceError: files are missing or have different lengths.
        UnknownName: no such split.
    """

    source = FREIHAND
    splits = ("training", "evaluation")
    masks_are_hands = False

    def __init__(self, root: Path | None, split: str, mano: Path | None = None):
        super().__init__(root, split, mano)
        self._count = len(self._table("K", (3, 3)))
        for name, row in (("xyz", (21, 3)), ("mano", (1, 61)), ("scale", ())):
            if len(self._table(name, row)) != self._count:
                raise SourceError(
                    f"{self._path(name)} has {len(self._table(name, row))} entries, {self._path('K').name} has "
                    f"{self._count}: they are of different releases; download both again"
                )

    def __len__(self) -> int:
        return self._count * (len(VERSIONS) if self.split == "training" else 1)

    def _path(self, name: str) -> Path:
        return self.root / f"{self.split}_{name}.json"

    def _table(self, name: str, row: tuple[int, ...]) -> FloatArray:
        return read_table(self.source.require(self._path(name)), row)

    def _read(self, index: int) -> Sample:
        version, row = divmod(index, self._count)
        folder = self.root / self.split
        image = self.picture(folder / "rgb" / f"{index:08d}.jpg")
        camera = camera_of(self._table("K", (3, 3))[row], image)
        joints = np.array(self._table("xyz", (21, 3))[row], np.float64)
        fitted = np.array(self._table("mano", (1, 61))[row], np.float64).ravel()
        model = self.hand_model("right")
        rotations = None if model is None else mean_relative_rotations(model, fitted[:48])
        vertices = None
        if self._path("verts").exists():
            vertices = np.array(self._table("verts", (_MESH_VERTICES, 3))[row], np.float64)
        segmentation = self._mask(folder / "mask" / f"{row:08d}.jpg") if self.split == "training" else None
        # without a model: no visible ratio, see above
        hand = hand_label("right", joints, camera, segmentation, rotations, fitted[48:58], vertices)
        return Sample(
            image=image,
            segmentation=segmentation,
            camera=camera,
            T_camera_world=np.eye(4),
            hands=(hand,),
            objects=(),
            maps=None,
            frame_id=FrameId("freihand", 0, row, view=VERSIONS[version] if self.split == "training" else "evaluation"),
        )

    def _mask(self, path: Path) -> NDArray[np.uint8] | None:
        return hand_mask(self.picture(path)) if path.exists() else None


def hand_mask(picture: Image) -> NDArray[np.uint8]:
    """(H, W) `HAND_CODE` where an image of a mask is bright."""
    return np.where(picture[..., 0] > _HALF_BRIGHT, HAND_CODE, 0).astype(np.uint8)


def mean_relative_rotations(model: HandModel, pose: FloatArray) -> FloatArray:
    """(16, 3, 3) rotations of (48,) axis-angles, those of the fingers being relative to MANO's mean pose."""
    full = np.concatenate([pose[:3], pose[3:] + model.hands_mean])
    return matrix_from_axis_angle(full.reshape(16, 3))
