"""What all readers have in common: random access, groups of views, labels made of a dataset's arrays."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import Side
from prehend.documents import read_yaml
from prehend.errors import AssetError, InvalidInput, SourceError, UnknownName
from prehend.geometry.camera import project
from prehend.geometry.control_points import control_points
from prehend.hand_model import HandModel, load_hand_model, skin
from prehend.io.pixels.images import Image, read_image
from prehend.types import Box, Camera, FloatArray
from prehend_training.datasets.occlusion import UNKNOWN, visibility
from prehend_training.datasets.sources import DatasetSource
from prehend_training.sample import HAND_CODE, Film, HandLabel, ObjectLabel, Sample

RATE_HZ = 30.0
"""Of the cameras of DexYCB and HO-3D."""

MANO_FILES: dict[Side, str] = {"right": "MANO_RIGHT.pkl", "left": "MANO_LEFT.pkl"}


class Dataset(ABC):
    """Samples of one split of a real dataset, read when they are asked for.

    Attributes:
        source: where the dataset comes from.
        root: its folder.
        split: name of the split.
        mano: folder of the user's MANO files, or None: then there are no meshes, and of the pose only what the
            dataset stores as rotations.
        masks_are_hands: the segmentation shows the hand alone where it says hand, not what it holds.
    """

    source: DatasetSource
    splits: tuple[str, ...]
    masks_are_hands = True

    def __init__(self, root: Path | None, split: str, mano: Path | None = None):
        if split not in self.splits:
            raise UnknownName(f"split of {self.source.title}", split, self.splits)
        self.root = self.source.folder(root)
        self.split = split
        self.mano = mano

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _read(self, index: int) -> Sample: ...

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`.

        Raises:
            SourceError: a file of it is missing or broken; the message says what to download.
            AssetError: MANO's files are asked for and cannot be read.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._read(index)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def groups(self) -> list[range]:
        """The samples of each instant: all cameras of a multi-view dataset, one image of another."""
        return [range(index, index + 1) for index in range(len(self))]

    def films(self) -> list[Film]:
        """The films of each camera; none for a dataset of single images."""
        return []

    def hand_model(self, side: Side) -> HandModel | None:
        """The user's MANO hand, None where no folder was given.

        Left hands need MANO_LEFT.pkl itself: the labels were made with it.

        Raises:
            AssetError: the folder lacks the file, or it is not MANO.
        """
        if self.mano is None:
            return None
        path = Path(self.mano) / MANO_FILES[side]
        if not path.is_file():
            raise AssetError(
                f"{path} is missing: {self.source.title}'s {side} hands are MANO's. Register at mano.is.tue.mpg.de, "
                f"accept its licence, and name the folder that holds {' and '.join(MANO_FILES.values())} by `mano` "
                "(`--mano`); without it samples have joints but no meshes"
            )
        return load_hand_model(path, side)

    def picture(self, path: Path) -> Image:
        """An image file of the dataset, (H, W, 3) RGB."""
        return read_image(self.source.require(path))

    def yaml(self, path: Path) -> dict[str, Any]:
        """A YAML file of the dataset that holds a mapping."""
        content = read_yaml(self.source.require(path), lambda text: SourceError(f"{text}; download it again"))
        if not isinstance(content, dict):
            raise SourceError(f"{path} holds no mapping; download it again")
        return content


def camera_of(K: FloatArray, image: Image) -> Camera:
    """The camera of an image without distortion.

    Raises:
        SourceError: K is none.
    """
    try:
        return Camera(np.asarray(K, np.float64), image.shape[1], image.shape[0])
    except InvalidInput as error:
        raise SourceError(f"a dataset's calibration is broken: {error}") from error


def moved(T: FloatArray, points_m: FloatArray) -> FloatArray:
    """(..., 3) points by a (4, 4) transform."""
    return np.asarray(points_m) @ T[:3, :3].T + T[:3, 3]


def posed_vertices(
    model: HandModel, rotations: FloatArray, betas: FloatArray, joint: int, place_m: FloatArray
) -> FloatArray:
    """(V, 3) mesh of a pose whose joint number `joint` of the 21 lies at `place_m` (3,)."""
    posed = skin(model, rotations, betas)
    return posed.vertices + (np.asarray(place_m) - posed.joints[joint])


def hand_label(
    side: Side,
    joints_m: FloatArray,
    camera: Camera,
    segmentation: NDArray[np.uint8] | None = None,
    rotations: FloatArray | None = None,
    betas: FloatArray | None = None,
    vertices_m: FloatArray | None = None,
    model: HandModel | None = None,
    grasp: bool | None = None,
    displaced: bool | None = None,
    object_index: int | None = None,
) -> HandLabel:
    """The label of an image's only hand; what is None or not known is as `HandLabel` says.

    Joints count as visible where the segmentation shows the hand; without one, where they lie in the image.
    """
    keypoints = project(joints_m, camera)
    shown = None if segmentation is None else segmentation == HAND_CODE
    known = UNKNOWN
    if vertices_m is not None and model is not None and shown is not None:
        known = visibility(vertices_m, model, camera, shown)
    return HandLabel(
        side=side,
        rotations=rotations,
        betas=betas,
        joints_m=np.asarray(joints_m),
        vertices_m=np.zeros((0, 3)) if vertices_m is None else np.asarray(vertices_m),
        keypoints_px=keypoints,
        box_px=Box.around(keypoints).as_array(),
        visible=_visible(keypoints, camera, shown),
        visible_ratio=known.visible_ratio,
        part_vertices=known.part_vertices,
        part_visible=known.part_visible,
        grasp=grasp,
        displaced=displaced,
        contact=None,
        object_index=object_index,
    )


def _visible(keypoints_px: FloatArray, camera: Camera, shown: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """(21,) in the image and, where it is known, on the hand or right beside it (fingertips lie on outlines)."""
    x, y = np.nan_to_num(np.rint(keypoints_px), nan=-1).astype(np.int64).T
    inside = (x >= 0) & (y >= 0) & (x < camera.width) & (y < camera.height)
    if shown is None:
        return inside
    padded = np.pad(shown, 1)
    x, y = np.clip(x, 0, camera.width - 1) + 1, np.clip(y, 0, camera.height - 1) + 1
    near = [padded[y + dy, x + dx] for dy, dx in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))]
    return np.asarray(inside & np.any(near, axis=0))


def object_label(
    object_id: str, T_camera_object: FloatArray, low_m: FloatArray, high_m: FloatArray, camera: Camera
) -> ObjectLabel:
    """The label of an object whose model's box has these corners (3,) in the object frame."""
    low, high = np.asarray(low_m, np.float64), np.asarray(high_m, np.float64)
    extents, center = high - low, (low + high) / 2
    points = moved(T_camera_object, control_points(extents, center))
    keypoints = project(points, camera)
    return ObjectLabel(object_id, T_camera_object, extents, center, points, keypoints, Box.around(keypoints).as_array())


def obj_vertices(path: Path) -> FloatArray:
    """(V, 3) vertices of a Wavefront .obj.

    Raises:
        SourceError: it has none.
    """
    try:
        lines = [line.split()[1:4] for line in path.read_text().splitlines() if line.startswith("v ")]
        vertices = np.array(lines, np.float64).reshape(-1, 3)
    except ValueError as error:
        raise SourceError(f"{path} is no mesh: {error}; download it again") from error
    if not vertices.size:
        raise SourceError(f"{path} is no mesh: it has no vertices; download it again")
    return vertices
