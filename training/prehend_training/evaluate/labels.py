"""Labels as the truth of an evaluation: which hands count, what they hold, and the points that ADD is taken over."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import numpy as np

from prehend.conventions import Side
from prehend.errors import AssetError
from prehend.eval.cases import HandAnswer, HandCase, ObjectCase
from prehend.eval.papers.protocols import Protocol as EvaluationProtocol
from prehend.hand_model import HandModel, skin
from prehend.object_catalogue import ObjectModel, own_folders
from prehend.types import Box, FloatArray, FoundHand
from prehend_training.data.frames import MIN_INSIDE, MIN_SIDE_PX, MIN_VISIBLE
from prehend_training.datasets.base import obj_vertices
from prehend_training.objects.catalogue import catalogue
from prehend_training.objects.shapes.mesh import Mesh
from prehend_training.objects.symmetry import symmetry_of
from prehend_training.sample import HandLabel, ObjectLabel, Sample
from prehend_training.storage.shards import ShardFolder

SURFACE_POINTS = 2000
"""Points of a catalogue object that ADD is the mean over; DexYCB's models have about 2,600."""


class Samples(Protocol):
    """Anything that gives samples by number and knows how many there are: a folder of shards, a dataset, a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


def spread_rows(samples: Samples, limit: int | None) -> list[int]:
    """Numbers of all samples, or of `limit` of them from the first to the last: neighbours in a dataset are alike."""
    count = min(len(samples), limit or len(samples))
    return [int(row) for row in np.linspace(0, len(samples) - 1, count).round()]


def surface_points(mesh: Mesh, count: int = SURFACE_POINTS) -> FloatArray:
    """(count, 3) points spread evenly over a surface, always the same for the same mesh."""
    corners = np.asarray(mesh.vertices, np.float64)[mesh.faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    rng = np.random.default_rng(0)
    rows = np.searchsorted(np.cumsum(areas), (np.arange(count) + 0.5) / count * areas.sum())
    first, second = rng.random((2, count, 1))
    over = first + second > 1  # the other half of the parallelogram
    first, second = np.where(over, 1 - first, first), np.where(over, 1 - second, second)
    a, b, c = np.moveaxis(corners[rows.clip(max=len(corners) - 1)], 1, 0)
    return np.asarray(a + first * (b - a) + second * (c - a))


@lru_cache(maxsize=256)
def _catalogue_surface(object_id: str, own: tuple[Path, ...]) -> FloatArray | None:
    """Points of an object of the catalogue in units of its box: 0 its centre, +-0.5 its sides."""
    solid = catalogue().get(object_id)
    return None if solid is None else (surface_points(solid.mesh()) - solid.center_m) / solid.extents_m


@lru_cache(maxsize=256)
def _model_points(models: Path, object_id: str) -> FloatArray | None:
    """Points of a dataset's model: `points.xyz` as the papers take them, else the vertices of its mesh."""
    listed, mesh = models / object_id / "points.xyz", models / object_id / "textured_simple.obj"
    if listed.exists():
        return np.loadtxt(listed, np.float64).reshape(-1, 3)
    return obj_vertices(mesh) if mesh.exists() else None


@dataclass(frozen=True)
class Labels:
    """How samples become truth.

    Attributes:
        protocol: of the evaluation.
        models: folder of a dataset's object models (`NAME/points.xyz` or `NAME/textured_simple.obj`); None for the
            object catalogue.
        hand_model: gives the dataset's hand model of a side, None where nobody has it.
    """

    protocol: EvaluationProtocol
    models: Path | None = None
    hand_model: Callable[[Side], HandModel | None] = field(default=lambda side: None)

    def grasps(self, hand: HandLabel) -> bool | None:
        """The label that divides the scenes, None where it is unknown."""
        return hand.displaced if self.protocol.grasp_label == "displaced" else hand.grasp

    def held(self, sample: Sample, hand: HandLabel) -> ObjectLabel | None:
        """What a hand grasps by this protocol, None for an empty hand."""
        return sample.objects[hand.object_index] if self.grasps(hand) and hand.object_index is not None else None

    def points(self, thing: ObjectLabel) -> FloatArray | None:
        """(P, 3) points of an object's surface in its frame [m], None where nobody knows its shape.

        A rendered object may be stretched, or a kin of the catalogue's: it gets the catalogue's surface in its own box.
        """
        if self.models is not None:
            return _model_points(self.models, thing.object_id)
        unit = _catalogue_surface(thing.object_id, own_folders())
        return None if unit is None else unit * np.asarray(thing.extents_m) + np.asarray(thing.center_m)

    def is_symmetric(self, object_id: str) -> bool:
        """Whether ADD-S counts for an object."""
        if self.protocol.symmetric is not None:
            return object_id in self.protocol.symmetric
        solid = catalogue().get(object_id)
        return solid is not None and bool(solid.symmetry.half_turns or solid.symmetry.continuous)

    def case(
        self, sample: Sample, hand: HandLabel, answer: HandAnswer | None, T_camera_object: FloatArray | None
    ) -> HandCase:
        """A hand and its answer, ready to be scored.

        Args:
            sample, hand: the label.
            answer: what was said, None for nothing.
            T_camera_object: (4, 4) pose said of what it truly holds, None for none.
        """
        joints, vertices = self._true_pose(hand)
        thing = self.held(sample, hand)
        points = None if thing is None else self.points(thing)
        case = None
        if thing is not None and points is not None:
            symmetric = self.is_symmetric(thing.object_id)
            case = ObjectCase(
                thing.object_id, points, symmetric, thing.T_camera_object, T_camera_object, sample.camera.K
            )
        hidden = 1 - float(hand.visible_ratio)
        return HandCase(joints, vertices, hand.side, self.grasps(hand), hidden, answer, case)

    def _true_pose(self, hand: HandLabel) -> tuple[FloatArray, FloatArray]:
        """Joints and vertices; those of the posed hand model where the protocol says so."""
        model = self.hand_model(hand.side) if self.protocol.joints_from_mesh else None
        if model is None or hand.rotations is None or hand.betas is None:
            return hand.joints_m, hand.vertices_m
        posed = skin(model, hand.rotations, hand.betas)
        shift = hand.joints_m[0] - posed.joints[0]
        return posed.joints + shift, posed.vertices + shift


def object_model(thing: ObjectLabel) -> ObjectModel:
    """What the decoder is told of an object: what it is, and so how large. The papers give it too."""
    return ObjectModel(
        thing.object_id,
        thing.object_id,
        np.asarray(thing.extents_m, np.float64),
        np.asarray(thing.center_m, np.float64),
        symmetry_of(thing.object_id),
    )


def labelled_box(hand: HandLabel, thing: ObjectLabel | None) -> FoundHand:
    """The hand as a perfect detector would give it."""
    boxes = [Box(*map(float, label.box_px)) for label in (hand, thing) if label is not None]
    return FoundHand(boxes[0], hand.side, 1.0, boxes[1] if len(boxes) > 1 else None)


def is_in_picture(sample: Sample, hand: HandLabel) -> bool:
    """Whether any joint lies in the image; the papers leave out the others."""
    return bool(_inside(sample, hand).any())


def must_be_found(sample: Sample, hand: HandLabel) -> bool:
    """Whether not finding a hand counts as a miss: enough of it is in the image and unhidden, as for the detector's
    training."""
    longer = max(hand.box_px[2] - hand.box_px[0], hand.box_px[3] - hand.box_px[1])
    hidden = hand.visible_ratio < MIN_VISIBLE  # unknown counts as seen
    return bool(_inside(sample, hand).mean() >= MIN_INSIDE and not hidden and longer >= MIN_SIDE_PX)


def _inside(sample: Sample, hand: HandLabel) -> FloatArray:
    size = np.array([sample.camera.width, sample.camera.height])
    inside = (hand.keypoints_px >= 0) & (hand.keypoints_px <= size - 1)
    return np.asarray(inside.all(-1), np.float64)


class Shards:
    """Folders of shards one after the other, without their maps.

    Args:
        paths: the folders.

    Raises:
        AssetError: a folder cannot be read, or none is given.
    """

    def __init__(self, paths: Sequence[Path]):
        self.folders = [ShardFolder.open(Path(path)) for path in paths]
        if not self.folders:
            raise AssetError("no folder of shards given")
        self._ends = list(accumulate(len(folder) for folder in self.folders))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        which = bisect_right(self._ends, index)
        return self.folders[which].sample(index - (self._ends[which - 1] if which else 0), maps="none")
