"""Held objects beside their true poses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from prehend.errors import AssetError, one_line
from prehend.eval.answers import Answered
from prehend.eval.judge.matching import in_picture, match
from prehend.eval.metrics import diameter, pose_errors
from prehend.eval.truth.records import TrueFrame, TrueObject
from prehend.geometry.rotations import geodesic_angle
from prehend.mesh_files import load_scene
from prehend.object_catalogue import ObjectModel
from prehend.types import FloatArray, ObjectEstimate

NAN = float("nan")
_MOST_POINTS = 2000


@dataclass(frozen=True)
class ObjectPoints:
    """What errors of an object are measured with.

    Attributes:
        points_m: (P, 3) points in the object frame [m].
        symmetric: ADD-S counts in place of ADD.
        from_mesh: False where the points are the control points of its box.
    """

    points_m: FloatArray
    symmetric: bool
    from_mesh: bool


@dataclass(frozen=True)
class ThingRow:
    """A true object of a frame and what was said of it; NaN where nothing was.

    Attributes:
        frame: place among the run's frames.
        object_id, said_id: true and said, the latter empty where no answer holds anything near it.
        has_pose: a pose was said.
        add, add_s: mean distance of points [m], see `metrics.pose_errors`.
        center: distance of the origins [m].
        turn: angle between the rotations [rad]; NaN for symmetric objects.
        diameter: of the object [m], NaN where its shape is unknown.
        symmetric: ADD-S counts.
    """

    frame: int
    object_id: str
    said_id: str = ""
    has_pose: bool = False
    add: float = NAN
    add_s: float = NAN
    center: float = NAN
    turn: float = NAN
    diameter: float = NAN
    symmetric: bool = False

    @property
    def error(self) -> float:
        """ADD, or ADD-S of a symmetric object [m]."""
        return self.add_s if self.symmetric else self.add


Shapes = Callable[[str], ObjectPoints | None]


def catalogue_shapes(objects: dict[str, ObjectModel], models: Path | None, bop_numbers: dict[str, int]) -> Shapes:
    """Gives the points of objects: of a mesh of the folder, else the control points of the catalogue's box.

    Args:
        objects: of the catalogue.
        models: folder with ID.ply, ID.obj, ID.stl (metres), or BOP's obj_000001.ply (millimetres); None for none.
        bop_numbers: BOP's numbers of the ids.
    """
    known: dict[str, ObjectPoints | None] = {}

    def shape(object_id: str) -> ObjectPoints | None:
        if object_id not in known:
            known[object_id] = _shape(objects.get(object_id), object_id, models, bop_numbers.get(object_id))
        return known[object_id]

    return shape


def thing_rows(frames: Sequence[Answered], truth: Sequence[TrueFrame | None], shapes: Shapes) -> list[ThingRow]:
    """The rows of all true objects of a run."""
    rows = []
    for place, (frame, known) in enumerate(zip(frames, truth, strict=True)):
        if known is None:
            continue
        pairs = [*_of_hands(frame, known), *_of_objects(frame, known)]
        rows += [_row(place, frame, thing, said, shapes(thing.object_id)) for thing, said in pairs]
    return rows


def _of_hands(frame: Answered, known: TrueFrame) -> list[tuple[TrueObject, ObjectEstimate | None]]:
    """What a true hand holds, and what its answer holds."""
    answers = frame.result.hands
    found = match(in_picture(known, frame.result.camera), answers)
    return [
        (hand.held, answers[found[row]].held_object if row in found else None)
        for row, hand in enumerate(known.hands)
        if hand.held is not None
    ]


def _of_objects(frame: Answered, known: TrueFrame) -> list[tuple[TrueObject, ObjectEstimate | None]]:
    """True objects, and the nearest one that is said to be held; an object that is said to be another is none."""
    said = [hand.held_object for hand in frame.result.hands if hand.held_object is not None]
    pairs: list[tuple[TrueObject, ObjectEstimate | None]] = []
    for thing in known.objects:
        fitting = [one for one in said if one.object_id in (thing.object_id, "unknown")]
        pairs.append((thing, min(fitting, key=lambda one: _apart(one, thing), default=None)))
    return pairs


def _apart(said: ObjectEstimate, thing: TrueObject) -> float:
    if said.T_camera_object is None:
        return float("inf")
    return float(np.linalg.norm(said.T_camera_object[:3, 3] - thing.T_camera_object[:3, 3]))


def _row(
    place: int, frame: Answered, thing: TrueObject, said: ObjectEstimate | None, shape: ObjectPoints | None
) -> ThingRow:
    size = NAN if shape is None else float(diameter(shape.points_m))
    symmetric = shape is not None and shape.symmetric
    row = ThingRow(place, thing.object_id, diameter=size, symmetric=symmetric)
    if said is None:
        return row
    T = said.T_camera_object
    if T is None:
        return replace(row, said_id=said.object_id)
    true = np.asarray(thing.T_camera_object, np.float64)
    row = replace(row, said_id=said.object_id, has_pose=True, center=float(np.linalg.norm(T[:3, 3] - true[:3, 3])))
    if shape is None or said.object_id != thing.object_id:
        return row  # a frame of a box of guessed size is not the object's
    errors = pose_errors(T, true, shape.points_m, frame.result.camera.K)
    turn = NAN if symmetric else float(geodesic_angle(np.asarray(T)[:3, :3], true[:3, :3]))
    return replace(row, add=errors.add_m, add_s=errors.adds_m, turn=turn)


def _shape(model: ObjectModel | None, object_id: str, models: Path | None, number: int | None) -> ObjectPoints | None:
    symmetric = model is not None and bool(model.symmetry.half_turns or model.symmetry.continuous)
    points = None if models is None else _mesh_points(models, object_id, number)
    if points is not None:
        return ObjectPoints(points, symmetric, True)
    return None if model is None else ObjectPoints(np.asarray(model.control_points_m, np.float64), symmetric, False)


def _mesh_points(models: Path, object_id: str, number: int | None) -> FloatArray | None:
    """(P, 3) vertices of an object's mesh [m], thinned to at most 2000; None where the folder has none."""
    bop = models / f"obj_{number:06d}.ply" if number is not None else models / f"{object_id}.ply"
    if number is not None and bop.is_file():
        return _vertices(bop) / 1e3
    path = next(
        (p for suffix in (".ply", ".obj", ".stl", ".glb") if (p := models / f"{object_id}{suffix}").is_file()), None
    )
    if path is None:
        return None
    return _vertices(path) / (1e3 if path.name.startswith("obj_") else 1.0)


def _vertices(path: Path) -> FloatArray:
    scene = load_scene(path, "meshes", merged=False)
    try:
        vertices = np.asarray(scene.to_mesh().vertices, np.float64).reshape(-1, 3)
    except (ValueError, OSError, LookupError, AttributeError, TypeError) as error:
        raise AssetError(f"{path} is no mesh that can be read ({one_line(error, 120)})") from error
    if not len(vertices):
        raise AssetError(f"{path} has no vertices")
    return vertices[:: max(1, -(-len(vertices) // _MOST_POINTS))]
