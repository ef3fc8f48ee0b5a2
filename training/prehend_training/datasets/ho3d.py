"""HO-3D v2 and v3 (Hampali et al., CVPR 2020): right hands and a YCB object, labels in OpenGL's axes.

OpenGL's camera looks along -z with y up; points become ours by (x, -y, -z). The hand's axis-angles are MANO's full
ones, so rotations and shape are there without MANO's files; meshes are not, but in the evaluation split, whose public
labels hold vertices.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import JOINTS_FROM_MANO, NUM_BETAS, NUM_JOINTS
from prehend.errors import SourceError, UnknownName
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import HandModel
from prehend.io.pixels.images import Image
from prehend.types import Camera, FloatArray
from prehend_training.datasets.base import (
    RATE_HZ,
    Dataset,
    camera_of,
    hand_label,
    obj_vertices,
    object_label,
    posed_vertices,
)
from prehend_training.datasets.grasp_labels import HANDBOOSTER, GraspRule, grasps
from prehend_training.datasets.occlusion import depth_of_mesh, in_front
from prehend_training.datasets.safe_pickle import read_pickle
from prehend_training.datasets.sources import HO3D_V2, HO3D_V3
from prehend_training.datasets.tables import read_table
from prehend_training.sample import HAND_CODE, OBJECT_CODE, Film, FrameId, HandLabel, ObjectLabel, Sample
from prehend_training.transforms import rigid

OPTICAL_FROM_GL = np.diag([1.0, -1.0, -1.0])
"""Takes OpenGL's camera axes to those of the optical frame, and back."""

_SHAPES = {
    "camMat": (3, 3), "handPose": (16, 3), "handBeta": (NUM_BETAS,), "handJoints3D": (-1, 3), "objRot": (3,),
    "objTrans": (3,), "objCorners3DRest": (8, 3),
}  # fmt: skip
_MESH_VERTICES = 778
_ROOT_TOLERANCE_M = 0.01
_HALF_BRIGHT = 127


class _Hand(NamedTuple):
    """A hand in the camera frame; what is None is not known."""

    joints_m: FloatArray
    rotations: FloatArray | None
    betas: FloatArray | None
    vertices_m: FloatArray | None


class Ho3d(Dataset):
    """HO-3D, image by image in the order of train.txt or evaluation.txt.

    Args:
        root: the dataset's folder, or None for what the environment variable names.
        split: "train" or "evaluation".
        version: "v2" or "v3".
        mano: folder of MANO's files, for meshes.
        models: folder of the YCB models (`<name>/textured_simple.obj`): with it and MANO, images that have no `seg`
            image get a segmentation from the meshes.
        rule: of the grasp label.

    Raises:
        SourceError: files are missing.
        UnknownName: no such split or version.
    """

    splits = ("train", "evaluation")

    def __init__(
        self,
        root: Path | None,
        split: str,
        version: str = "v3",
        mano: Path | None = None,
        models: Path | None = None,
        rule: GraspRule = HANDBOOSTER,
    ):
        sources = {"v2": HO3D_V2, "v3": HO3D_V3}
        if version not in sources:
            raise UnknownName("version of HO-3D", version, sources)
        self.source = sources[version]
        super().__init__(root, split, mano)
        self.models, self.rule = models, rule
        self._suffix = {"v2": "png", "v3": "jpg"}[version]
        self._frames = self._listed()
        self._first: dict[str, FloatArray | None] = {}
        self._surfaces: dict[str, tuple[FloatArray, NDArray[np.int64]]] = {}
        if split == "evaluation":
            self._evaluation("evaluation_xyz.json", 21, 0)

    def __len__(self) -> int:
        return len(self._frames)

    def films(self) -> list[Film]:
        """See `Dataset.films`; numbers that are not listed are gaps in time."""
        rows: dict[str, list[tuple[int, int]]] = {}
        for row, (sequence, frame) in enumerate(self._frames):
            rows.setdefault(sequence, []).append((int(frame), row))
        ordered = [sorted(pairs) for pairs in rows.values()]
        return [
            Film(tuple(row for _, row in pairs), np.array([frame for frame, _ in pairs]) / RATE_HZ) for pairs in ordered
        ]

    def _listed(self) -> list[tuple[str, str]]:
        path = self.source.require(self.root / f"{self.split}.txt")
        lines = [line.strip().split("/") for line in path.read_text().splitlines() if line.strip()]
        if any(len(line) != 2 or not line[1].isdecimal() for line in lines):
            raise SourceError(f"{path} should have a line like ABF10/0000 for each image; download it again")
        return [(sequence, frame) for sequence, frame in lines]

    def _read(self, index: int) -> Sample:
        sequence, frame = self._frames[index]
        folder = self.root / self.split / sequence
        image = self.picture(folder / "rgb" / f"{frame}.{self._suffix}")
        meta = self._meta(sequence, frame)
        if meta.get("camMat") is None:
            raise SourceError(f"{folder / 'meta' / frame}.pkl lacks camMat; download it again")
        camera = camera_of(meta["camMat"], image)
        hand = self._hand(index, meta)
        thing = _object(meta, camera)
        seg = folder / "seg" / f"{frame}.png"
        if seg.exists():
            segmentation: NDArray[np.uint8] | None = _codes(self.picture(seg), image)
        else:
            segmentation = self._drawn(hand, thing, camera)
        told: tuple[bool | None, bool | None] = (None, None)
        first = self._first_pose(sequence)
        if hand is not None and thing is not None and first is not None:
            told = grasps(hand.joints_m, thing, first, self.rule)
        labels: tuple[HandLabel, ...] = ()
        if hand is not None:
            near = None if thing is None else 0
            labels = (
                hand_label(
                    "right", hand.joints_m, camera, segmentation, hand.rotations, hand.betas, hand.vertices_m,
                    self._faces_of(hand), told[0], told[1], near,
                ),
            )  # fmt: skip
        return Sample(
            image=image,
            segmentation=segmentation,
            camera=camera,
            T_camera_world=np.eye(4),
            hands=labels,
            objects=() if thing is None else (thing,),
            maps=None,
            frame_id=FrameId(self.source.name, 0, index, sequence, int(frame)),
        )

    def _meta(self, sequence: str, frame: str) -> dict[str, Any]:
        """The labels of an image, those that are there with their shapes."""
        path = self.source.require(self.root / self.split / sequence / "meta" / f"{frame}.pkl")
        meta = read_pickle(path)
        for name, shape in _SHAPES.items():
            if meta.get(name) is not None:
                try:
                    meta[name] = np.asarray(meta[name], np.float64).reshape(shape)
                except (TypeError, ValueError, OverflowError) as error:
                    raise SourceError(f"{path}: {name} is none of HO-3D ({error}); download it again") from error
        posed = self.split == "evaluation" or all(meta.get(name) is not None for name in ("handPose", "handBeta"))
        if meta.get("handJoints3D") is not None and not posed:
            raise SourceError(f"{path} has joints but lacks handPose or handBeta; download it again")
        return meta

    def _hand(self, index: int, meta: dict[str, Any]) -> _Hand | None:
        """The hand, None in frames without annotation."""
        if meta.get("handJoints3D") is None:
            return None
        stored = meta["handJoints3D"]
        if self.split == "evaluation":
            return self._evaluated(index, stored[0])
        if len(stored) != NUM_JOINTS:
            raise SourceError(
                f"{self.root}: {'/'.join(self._frames[index])} has {len(stored)} joints; download it again"
            )
        joints = _ours(stored)
        rotations = matrix_from_axis_angle(meta["handPose"])
        rotations[0] = OPTICAL_FROM_GL @ rotations[0]
        betas = meta["handBeta"]
        model = self.hand_model("right")
        vertices = None if model is None else posed_vertices(model, rotations, betas, 0, joints[0])
        return _Hand(joints, rotations, betas, vertices)

    def _evaluated(self, index: int, root_gl: FloatArray) -> _Hand:
        """The hand of the public evaluation labels, which must lie where the image's own root does."""
        joints = _ours(self._evaluation("evaluation_xyz.json", 21, index))
        gap = float(np.linalg.norm(joints[0] - OPTICAL_FROM_GL @ root_gl))
        if gap > _ROOT_TOLERANCE_M:
            raise SourceError(
                f"{self.root / 'evaluation_xyz.json'} is not of these images: entry {index} has its wrist "
                f"{gap * 1000:.0f} mm from that of {'/'.join(self._frames[index])}; take the file of this version"
            )
        vertices = None
        if (self.root / "evaluation_verts.json").exists():
            vertices = self._evaluation("evaluation_verts.json", _MESH_VERTICES, index) @ OPTICAL_FROM_GL
        return _Hand(joints, None, None, vertices)

    def _evaluation(self, name: str, points: int, index: int) -> FloatArray:
        path = self.source.require(self.root / name)
        table = read_table(path, (points, 3))
        if len(table) != len(self._frames):
            raise SourceError(
                f"{path} has {len(table)} entries, evaluation.txt {len(self._frames)} lines: they are of different "
                "versions; take the file of this version of HO-3D"
            )
        return np.asarray(table[index], np.float64)

    def _faces_of(self, hand: _Hand) -> HandModel | None:
        """The model whose faces fit the hand's mesh."""
        return None if hand.vertices_m is None else self.hand_model("right")

    def _first_pose(self, sequence: str) -> FloatArray | None:
        """(4, 4) pose of the object in the sequence's first listed frame that has one."""
        if sequence not in self._first:
            frames = sorted(frame for name, frame in self._frames if name == sequence)
            poses = (_pose(self._meta(sequence, frame)) for frame in frames)
            self._first[sequence] = next((pose for pose in poses if pose is not None), None)
        return self._first[sequence]

    def _drawn(self, hand: _Hand | None, thing: ObjectLabel | None, camera: Camera) -> NDArray[np.uint8] | None:
        """A segmentation from the meshes of hand and object, None where one of them is not there."""
        model = self.hand_model("right")
        if self.models is None or model is None or hand is None or hand.vertices_m is None or thing is None:
            return None
        vertices, faces = self._surface(thing.object_id)
        T = thing.T_camera_object
        object_depth = depth_of_mesh(vertices @ T[:3, :3].T + T[:3, 3], faces, camera)
        hand_depth = depth_of_mesh(hand.vertices_m, model.faces, camera)
        segmentation = np.where(np.isfinite(object_depth), OBJECT_CODE, 0).astype(np.uint8)
        segmentation[in_front(hand_depth, object_depth)] = HAND_CODE
        return segmentation

    def _surface(self, name: str) -> tuple[FloatArray, NDArray[np.int64]]:
        assert self.models is not None
        if name not in self._surfaces:
            path = Path(self.models) / name / "textured_simple.obj"
            if not path.exists():
                raise SourceError(
                    f"{path} is missing: it is part of the YCB-Video 3D models, which the PoseCNN page of the RSE lab, "
                    "University of Washington, offers; name the folder that holds the models' folders by `models`"
                )
            self._surfaces[name] = obj_vertices(path), _obj_faces(path)
        return self._surfaces[name]


def _ours(joints_gl: FloatArray) -> FloatArray:
    """(21, 3) MANO's 16 joints and five tips in OpenGL's axes -> our order and axes."""
    return joints_gl[list(JOINTS_FROM_MANO)] @ OPTICAL_FROM_GL


def _pose(meta: dict[str, Any]) -> FloatArray | None:
    """(4, 4) T_camera_object, None where the frame has none."""
    if meta.get("objRot") is None or meta.get("objTrans") is None:
        return None
    rotation = matrix_from_axis_angle(meta["objRot"])
    return rigid(OPTICAL_FROM_GL @ rotation, OPTICAL_FROM_GL @ meta["objTrans"])


def _object(meta: dict[str, Any], camera: Camera) -> ObjectLabel | None:
    pose, corners = _pose(meta), meta.get("objCorners3DRest")
    if pose is None or corners is None:
        return None
    return object_label(str(meta.get("objName")), pose, corners.min(0), corners.max(0), camera)


def _codes(seg: Image, image: Image) -> NDArray[np.uint8]:
    """A `seg` image (hand blue, object green, of any size) as the numbers of a `Sample`."""
    large = cv2.resize(seg, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST)
    codes = np.where(large[..., 1] > _HALF_BRIGHT, OBJECT_CODE, 0).astype(np.uint8)
    codes[(large[..., 2] > _HALF_BRIGHT) & (large[..., 2] >= large[..., 1])] = HAND_CODE
    return codes


def _obj_faces(path: Path) -> NDArray[np.int64]:
    """(F, 3) triangles of a Wavefront .obj; larger faces as fans."""
    faces = []
    for line in path.read_text().splitlines():
        if line.startswith("f "):
            try:
                corners = [int(word.split("/")[0]) - 1 for word in line.split()[1:]]
            except ValueError as error:
                raise SourceError(f"{path} is no mesh: {error}; download it again") from error
            faces += [(corners[0], b, c) for b, c in pairwise(corners[1:])]
    return np.array(faces, np.int64).reshape(-1, 3)
