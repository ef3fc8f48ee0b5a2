"""DexYCB (Chao et al., CVPR 2021): ten people pick up YCB objects before eight cameras; right and left hands.

The world is the camera frame of the calibration's master camera. Joints, poses and masks are the dataset's own; the
grasp is told by the papers' rule on the pose of the object that the sequence is about.
"""

import re
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.conventions import NUM_BETAS, SIDES, Side
from prehend.documents import read_arrays
from prehend.errors import InvalidInput, SourceError
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
from prehend_training.datasets.sources import DEXYCB
from prehend_training.sample import HAND_CODE, OBJECT_CODE, OTHER_CODE, Film, FrameId, HandLabel, ObjectLabel, Sample
from prehend_training.transforms import rigid

YCB_NAMES = (
    "002_master_chef_can", "003_cracker_box", "004_sugar_box", "005_tomato_soup_can", "006_mustard_bottle",
    "007_tuna_fish_can", "008_pudding_box", "009_gelatin_box", "010_potted_meat_can", "011_banana",
    "019_pitcher_base", "021_bleach_cleanser", "024_bowl", "025_mug", "035_power_drill", "036_wood_block",
    "037_scissors", "040_large_marker", "051_large_clamp", "052_extra_large_clamp", "061_foam_brick",
)  # fmt: skip
"""Models of the labels 1 to 21."""

SEQUENCES_OF_A_SUBJECT = 100
_HAND = 255
_SUBJECT = re.compile(r"\d{8}-subject-(\d{2})")
_NUMBERED = ("s0", "s3")
_META_KEYS = ("serials", "num_frames", "extrinsics", "mano_calib", "mano_sides", "ycb_ids", "ycb_grasp_ind")
_PARTS = ("train", "val", "test")
_LABELS: dict[str, tuple[int | str, ...]] = {
    "seg": ("H", "W"), "pose_y": ("N", 3, 4), "pose_m": ("...", 51), "joint_3d": ("...", 21, 3),
}  # fmt: skip


def in_split(split: str, subject: int, sequence: int, camera: int) -> bool:
    """The published rule of the splits (Chao et al., section 4).

    Args:
        split: "s0_train" ... "s3_test": S0 unseen sequences, S1 people, S2 cameras, S3 grasped objects; or "all".
        subject: 1 to 10.
        sequence: 0 to 99 among the subject's, by name.
        camera: 0 to 7 by serial number.
    """
    if split == "all":
        return True
    setup, part = split.split("_")
    if setup == "s0":
        held_out = "val" if subject <= 2 else "test"
        return part == (held_out if sequence % 5 == 4 else "train")
    if setup == "s1":
        return part == {7: "val", 8: "test", 9: "test"}.get(subject, "train")
    if setup == "s2":
        return part == {6: "val", 7: "test"}.get(camera, "train")
    group = sequence // 5
    return part == ("val" if group in (3, 19) else "test" if group in (7, 11, 15) else "train")


class _Sequence(NamedTuple):
    name: str
    frames: int
    serials: tuple[str, ...]
    meta: dict[str, Any]


class DexYcb(Dataset):
    """DexYCB, frame by frame, the cameras of an instant one after the other.

    Args:
        root: the dataset's folder, or None for what the environment variable names.
        split: see `in_split`.
        mano: folder of MANO's files, for rotations (the pose is stored as PCA coefficients) and meshes.
        rule: of the grasp label.

    Raises:
        SourceError: files are missing; splits S0 and S3, which number a subject's sequences, need all of them.
        UnknownName: no such split.
    """

    source = DEXYCB
    splits = ("all", *(f"s{setup}_{part}" for setup in range(4) for part in _PARTS))

    def __init__(self, root: Path | None, split: str, mano: Path | None = None, rule: GraspRule = HANDBOOSTER):
        super().__init__(root, split, mano)
        self.rule = rule
        self._sequences = [sequence for sequence in self._listed() if sequence.serials]
        self._ends = list(accumulate(entry.frames * len(entry.serials) for entry in self._sequences))
        self._instants = list(accumulate((entry.frames for entry in self._sequences), initial=0))
        self._files: dict[Path, Any] = {}
        self._first: dict[tuple[str, str], FloatArray] = {}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def groups(self) -> list[range]:
        """See `Dataset.groups`."""
        result: list[range] = []
        for end, sequence in zip(self._ends, self._sequences, strict=True):
            step = len(sequence.serials)
            result += [range(i, i + step) for i in range(end - sequence.frames * step, end, step)]
        return result

    def films(self) -> list[Film]:
        """See `Dataset.films`."""
        result: list[Film] = []
        for end, sequence in zip(self._ends, self._sequences, strict=True):
            step, times = len(sequence.serials), np.arange(sequence.frames) / RATE_HZ
            start = end - sequence.frames * step
            films = (Film(tuple(range(start + camera, end, step)), times) for camera in range(step))
            result += films if sequence.frames else ()
        return result

    def depth_m(self, index: int) -> NDArray[np.float32]:
        """(H, W) what the depth camera measured, aligned to the image; 0 for nothing.

        Raises:
            SourceError: the file is missing or broken.
        """
        _, sequence, serial, frame = self._place(index)
        path = self.source.require(self._frame(sequence, serial, f"aligned_depth_to_color_{frame:06d}.png"))
        depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if depth is None or depth.dtype != np.uint16:
            raise SourceError(f"{path} is no depth image of 16 bits; download it again")
        return (depth / 1000).astype(np.float32)

    def _listed(self) -> list[_Sequence]:
        subjects = [folder for folder in sorted(self.root.iterdir()) if _SUBJECT.fullmatch(folder.name)]
        if not subjects:
            raise self.source.missing(self.root / "20200709-subject-01")
        return [sequence for folder in subjects for sequence in self._of_subject(folder)]

    def _of_subject(self, folder: Path) -> list[_Sequence]:
        match = _SUBJECT.fullmatch(folder.name)
        assert match is not None
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
        if self.split.startswith(_NUMBERED) and len(names) != SEQUENCES_OF_A_SUBJECT:
            raise SourceError(
                f"{folder} has {len(names)} of {SEQUENCES_OF_A_SUBJECT} sequences, and split {self.split} goes by "
                "their numbers: download the rest, or read the split 'all'"
            )
        listed = []
        for number, name in enumerate(names):
            if not any(in_split(self.split, int(match[1]), number, camera) for camera in range(8)):
                continue
            meta = self.yaml(folder / name / "meta.yml")
            lacking = [key for key in _META_KEYS if key not in meta]
            if lacking:
                raise SourceError(f"{folder / name / 'meta.yml'} lacks {', '.join(lacking)}; download it again")
            if not _is_sound(meta):
                raise SourceError(f"{folder / name / 'meta.yml'} describes no sequence; download it again")
            serials, frames = sorted(map(str, meta["serials"])), int(meta["num_frames"])
            chosen = (s for camera, s in enumerate(serials) if in_split(self.split, int(match[1]), number, camera))
            listed.append(_Sequence(f"{folder.name}/{name}", frames, tuple(chosen), meta))
        return listed

    def _place(self, index: int) -> tuple[int, _Sequence, str, int]:
        """Number of the instant, sequence, serial and frame of a sample."""
        number = bisect_right(self._ends, index)
        sequence = self._sequences[number]
        inside = index - (self._ends[number - 1] if number else 0)
        frame, camera = divmod(inside, len(sequence.serials))
        return self._instants[number] + frame, sequence, sequence.serials[camera], frame

    def _frame(self, sequence: _Sequence, serial: str, name: str) -> Path:
        return self.root / sequence.name / serial / name

    def _read(self, index: int) -> Sample:
        instant, sequence, serial, frame = self._place(index)
        image = self.picture(self._frame(sequence, serial, f"color_{frame:06d}.jpg"))
        labels = self._labels(sequence, serial, frame)
        camera = self._camera(serial, image)
        things, numbers = self._objects(sequence, labels["pose_y"], camera)
        segmentation = _codes(labels["seg"], [int(sequence.meta["ycb_ids"][row]) for row in numbers])
        hands = self._hands(sequence, serial, labels, things, numbers, camera, segmentation)
        return Sample(
            image=image,
            segmentation=segmentation,
            camera=camera,
            T_camera_world=np.linalg.inv(self._T_world_camera(sequence, serial)),
            hands=hands,
            objects=tuple(things),
            maps=None,
            frame_id=FrameId("dexycb", 0, instant, sequence.name, frame, serial),
        )

    def _labels(self, sequence: _Sequence, serial: str, frame: int) -> dict[str, NDArray[Any]]:
        path = self.source.require(self._frame(sequence, serial, f"labels_{frame:06d}.npz"))
        arrays = read_arrays(path, lambda text: SourceError(f"{text}; download it again"))
        if missing := [name for name in _LABELS if name not in arrays]:
            raise SourceError(f"{path} is no file of labels: it lacks {', '.join(missing)}; download it again")
        try:
            for name, shape in _LABELS.items():
                check_shape(name, arrays[name], shape)
        except InvalidInput as error:
            raise SourceError(f"{path} is no file of labels: {error}; download it again") from error
        return {name: arrays[name] for name in _LABELS}

    def _cached(self, path: Path) -> Any:
        """A small file of the calibration or a model's box, read once."""
        if path not in self._files:
            if path.suffix == ".obj":
                vertices = obj_vertices(self.source.require(path))
                self._files[path] = vertices.min(0), vertices.max(0)
            else:
                self._files[path] = self.yaml(path)
        return self._files[path]

    def _camera(self, serial: str, image: Image) -> Camera:
        path = self.root / "calibration" / "intrinsics" / f"{serial}_640x480.yml"
        try:
            fx, fy, x, y = (float(self._cached(path)["color"][name]) for name in ("fx", "fy", "ppx", "ppy"))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SourceError(f"{path} lacks {error}; download it again") from error
        return camera_of(np.array([[fx, 0, x], [0, fy, y], [0, 0, 1]]), image)

    def _T_world_camera(self, sequence: _Sequence, serial: str) -> FloatArray:
        path = self.root / "calibration" / f"extrinsics_{_rig(sequence)}" / "extrinsics.yml"
        try:
            by_serial = {str(key): rows for key, rows in self._cached(path)["extrinsics"].items()}
            rows = np.array(by_serial[serial], np.float64).reshape(3, 4)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SourceError(f"{path} lacks {error}; download it again") from error
        return rigid(rows[:, :3], rows[:, 3])

    def _objects(self, sequence: _Sequence, poses: FloatArray, camera: Camera) -> tuple[list[ObjectLabel], list[int]]:
        """Labels of the objects that have a pose in this frame, and their numbers in the sequence."""
        things, numbers = [], []
        if len(poses) != len(sequence.meta["ycb_ids"]):
            raise SourceError(f"DexYCB's {sequence.name} has poses of another number of objects than meta.yml names")
        for row, (ycb, pose) in enumerate(zip(sequence.meta["ycb_ids"], poses, strict=True)):
            if not pose[:, :3].any():
                continue
            name = YCB_NAMES[int(ycb) - 1]
            low, high = self._cached(self.root / "models" / name / "textured_simple.obj")
            things.append(object_label(name, rigid(pose[:, :3], pose[:, 3]), low, high, camera))
            numbers.append(row)
        return things, numbers

    def _hands(
        self,
        sequence: _Sequence,
        serial: str,
        labels: dict[str, NDArray[Any]],
        things: list[ObjectLabel],
        numbers: list[int],
        camera: Camera,
        segmentation: NDArray[np.uint8],
    ) -> tuple[HandLabel, ...]:
        """The hand, or none in frames before it comes (the pose is then zero and the joints are -1)."""
        pose, joints = np.asarray(labels["pose_m"], np.float64).ravel(), labels["joint_3d"].reshape(21, 3)
        if not pose.any() or (joints == -1).all():
            return ()
        side = _side(sequence)
        betas = self._betas(sequence)
        model = self.hand_model(side)
        rotations = vertices = None
        if model is not None:
            rotations = pca_rotations(model, pose[:48])
            vertices = posed_vertices(model, rotations, betas, 0, joints[0])
        grasped = int(sequence.meta["ycb_grasp_ind"])
        index = numbers.index(grasped) if grasped in numbers else None
        first = self._first_pose(sequence, serial)
        told: tuple[bool | None, bool | None] = (None, None)
        if index is not None and first is not None:
            told = grasps(joints, things[index], first, self.rule)
        return (
            hand_label(
                side, joints, camera, segmentation, rotations, betas, vertices, model, told[0], told[1], index
            ),
        )  # fmt: skip

    def _betas(self, sequence: _Sequence) -> FloatArray:
        path = self.root / "calibration" / f"mano_{sequence.meta['mano_calib'][0]}" / "mano.yml"
        try:
            return np.array(self._cached(path)["betas"], np.float64).reshape(NUM_BETAS)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SourceError(f"{path} lacks {error}; download it again") from error

    def _first_pose(self, sequence: _Sequence, serial: str) -> FloatArray | None:
        """(4, 4) pose of the grasped object in the first frame of this camera, None where it has none."""
        key = sequence.name, serial
        if key not in self._first:
            pose = self._labels(sequence, serial, 0)["pose_y"][int(sequence.meta["ycb_grasp_ind"])]
            self._first[key] = rigid(pose[:, :3], pose[:, 3])
        first = self._first[key]
        return first if first[:3, :3].any() else None


def pca_rotations(model: HandModel, pose: FloatArray) -> FloatArray:
    """(16, 3, 3) rotations of (48,) axis-angle of the wrist and 45 coefficients of MANO's principal poses."""
    fingers = pose[3:] @ model.hands_components + model.hands_mean
    return matrix_from_axis_angle(np.concatenate([pose[:3], fingers]).reshape(16, 3))


def _is_sound(meta: dict[str, Any]) -> bool:
    """Whether the numbers of a meta.yml can be meant."""
    try:
        ids = [int(ycb) for ycb in meta["ycb_ids"]]
        named = all(1 <= ycb <= len(YCB_NAMES) for ycb in ids) and 0 <= int(meta["ycb_grasp_ind"]) < len(ids)
        lists = (meta["serials"], meta["mano_calib"], meta["mano_sides"])
        return named and int(meta["num_frames"]) >= 0 and all(isinstance(one, list) and one for one in lists)
    except (TypeError, ValueError, OverflowError):
        return False


def _rig(sequence: _Sequence) -> str:
    """Name of the calibration; YAML takes 20200702_151821 for a number unless it is quoted."""
    name = str(sequence.meta["extrinsics"])
    return name if "_" in name else f"{name[:8]}_{name[8:]}"


def _side(sequence: _Sequence) -> Side:
    side = sequence.meta["mano_sides"][0]
    if side not in SIDES:
        raise SourceError(f"DexYCB's {sequence.name}/meta.yml has mano_sides '{side}', expected left or right")
    return "left" if side == "left" else "right"


def _codes(seg: NDArray[np.uint8], ycb_ids: list[int]) -> NDArray[np.uint8]:
    """The dataset's numbers (YCB's 1 to 21, 255 the hand) as those of a `Sample`."""
    table = np.full(256, OTHER_CODE, np.uint8)
    table[0], table[_HAND] = 0, HAND_CODE
    table[ycb_ids] = OBJECT_CODE + np.arange(len(ycb_ids), dtype=np.uint8)
    return table[seg]
