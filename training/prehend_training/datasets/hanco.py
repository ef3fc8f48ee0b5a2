"""HanCo (Zimmermann et al., GCPR 2021): short films of right hands from eight synchronised, calibrated cameras."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import NUM_BETAS
from prehend.errors import SourceError
from prehend.types import FloatArray
from prehend_training.datasets.base import Dataset, camera_of, hand_label, moved, posed_vertices
from prehend_training.datasets.freihand import hand_mask, mean_relative_rotations
from prehend_training.datasets.sources import HANCO
from prehend_training.sample import FrameId, Sample

CAMERAS = 8
_FITTED = {"poses": 48, "shapes": NUM_BETAS, "global_t": 3}
_ANCHOR_JOINT = 9
"""The fitted hand is placed by its middle knuckle."""


class HanCo(Dataset):
    """HanCo, the eight cameras of an instant one after the other; only instants whose labels are valid.

    The world is that of the calibration.

    Args:
        root: the dataset's folder, or None for what the environment variable names.
        split: "train", "test" (`is_train` of meta.json) or "all".
        mano: folder of MANO's files, for rotations and meshes where a hand was fitted.
        pictures: folder of the images: "rgb" with the green screen, or a variant with another background.

    Raises:
        SourceError: files are missing or broken.
        UnknownName: no such split.
    """

    source = HANCO
    splits = ("all", "train", "test")

    def __init__(self, root: Path | None, split: str, mano: Path | None = None, pictures: str = "rgb"):
        super().__init__(root, split, mano)
        self.pictures = pictures
        self.source.require(self.root / pictures)
        self._meta = self._json(self.root / "meta.json")
        self._instants = self._listed()

    def __len__(self) -> int:
        return len(self._instants) * CAMERAS

    def groups(self) -> list[range]:
        """See `Dataset.groups`."""
        return [range(start, start + CAMERAS) for start in range(0, len(self), CAMERAS)]

    def _listed(self) -> list[tuple[int, int]]:
        """Sequence and frame of the valid instants of the split."""
        try:
            return [
                (sequence, frame)
                for sequence, flags in enumerate(self._meta["is_valid"])
                for frame, valid in enumerate(flags)
                if valid and self._in_split(self._flag("is_train", sequence, frame))
            ]
        except (KeyError, IndexError, TypeError) as error:
            raise SourceError(f"{self.root / 'meta.json'} lacks {error}; download it again") from error

    def _flag(self, name: str, sequence: int, frame: int) -> bool:
        """A flag of meta.json, which may be told once for a whole sequence."""
        flags = self._meta[name][sequence]
        return bool(flags[frame] if isinstance(flags, list) else flags)

    def _in_split(self, is_train: bool) -> bool:
        return self.split == "all" or is_train == (self.split == "train")

    def _json(self, path: Path) -> Any:
        try:
            return json.loads(self.source.require(path).read_text())
        except ValueError as error:
            raise SourceError(f"{path} is no JSON: {error}; download it again") from error

    def _labels(self, kind: str, sequence: int, frame: int) -> Any:
        return self._json(self.root / kind / f"{sequence:04d}" / f"{frame:08d}.json")

    def _read(self, index: int) -> Sample:
        instant, view = divmod(index, CAMERAS)
        sequence, frame = self._instants[instant]
        place = f"{sequence:04d}/cam{view}/{frame:08d}.jpg"
        image = self.picture(self.root / self.pictures / place)
        calibration = self._labels("calib", sequence, frame)
        try:
            K = np.array(calibration["K"][view], np.float64).reshape(3, 3)
            T = np.array(calibration["M"][view], np.float64).reshape(4, 4)
            joints = np.array(self._labels("xyz", sequence, frame), np.float64).reshape(21, 3)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise SourceError(f"labels of HanCo {place} are broken ({error}); download them again") from error
        camera = camera_of(K, image)
        segmentation = self._mask(self.root / "mask_hand" / place)
        rotations, betas, vertices = self._fitted(sequence, frame, T)
        model = self.hand_model("right")
        hand = hand_label("right", moved(T, joints), camera, segmentation, rotations, betas, vertices, model)
        return Sample(
            image=image,
            segmentation=segmentation,
            camera=camera,
            T_camera_world=T,
            hands=(hand,),
            objects=(),
            maps=None,
            frame_id=FrameId("hanco", 0, instant, f"{sequence:04d}", frame, f"cam{view}"),
        )

    def _mask(self, path: Path) -> NDArray[np.uint8] | None:
        return hand_mask(self.picture(path)) if path.exists() else None

    def _fitted(
        self, sequence: int, frame: int, T_camera_world: FloatArray
    ) -> tuple[FloatArray | None, FloatArray | None, FloatArray | None]:
        """Rotations, shape and vertices in the camera frame of the hand that was fitted; None where none was, or for
        want of MANO (the pose is relative to MANO's mean)."""
        try:
            fitted = self._flag("has_fit" if "has_fit" in self._meta else "is_valid", sequence, frame)
        except (KeyError, IndexError, TypeError) as error:
            raise SourceError(f"{self.root / 'meta.json'} lacks {error}; download it again") from error
        if not fitted:
            return None, None, None
        shape = self._labels("shape", sequence, frame)
        try:
            pose, betas, place = (np.array(shape[name], np.float64).reshape(count) for name, count in _FITTED.items())
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SourceError(f"shape of HanCo {sequence:04d}/{frame:08d} lacks {error}; download it again") from error
        model = self.hand_model("right")
        if model is None:
            return None, betas, None
        rotations = mean_relative_rotations(model, pose)
        rotations[0] = T_camera_world[:3, :3] @ rotations[0]
        vertices = posed_vertices(model, rotations, betas, _ANCHOR_JOINT, moved(T_camera_world, place))
        return rotations, betas, vertices
