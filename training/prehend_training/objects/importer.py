"""Meshes of one's own as objects: read, checked, closed, coloured, centred, and written beside the catalogue's."""

import logging
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from prehend.errors import AssetError, InvalidInput, MissingDependency, one_line
from prehend.files import replace_text
from prehend.mesh_files import load_scene
from prehend.object_catalogue import Axis, Symmetry
from prehend.object_meshes import UNITS_M, unit_of
from prehend_training.objects.repair import Shape, bodies_of
from prehend_training.objects.shapes.parts_scanned import Scanned
from prehend_training.objects.solid import Form, Paint, Range, Solid

Array = NDArray[np.floating]

logger = logging.getLogger(__name__)

MOST_FACES = 20_000
MOST_PIECES, MOST_READ_FACES, MOST_TEXELS = 500, 5_000_000, 32 << 20
_MOST_TONES = 16
_DENSITY = 400.0  # kg/m3 of objects that are partly hollow
_TURNS: dict[Axis, Array] = {
    "x": np.diag([1.0, -1, -1]),
    "y": np.diag([-1.0, 1, -1]),
    "z": np.diag([-1.0, -1, 1]),
}


def import_mesh(
    path: Path | str,
    *,
    object_id: str,
    units: str | None = None,
    name: str | None = None,
    symmetry: Symmetry | None = None,
    mass_kg: float | None = None,
    grasps: tuple[str, ...] = ("power", "precision", "pinch"),
    stretch: Range | None = None,
) -> Solid:
    """A mesh file as a solid, in metres, its box centred on the origin, its axes kept.

    What had to be mended (holes, inverted faces, too many triangles), and what scenes cannot do well with it, is told
    as warnings of this module's logger.

    Args:
        path: obj, ply, stl or glb; all pieces of a scene together make the object.
        object_id: lower case letters, digits and underscores.
        units: m, cm, mm or in; None takes the one that makes an object of 1 to 50 cm, if only one does (glb files are
            in metres by their standard).
        name: for people, None for the id.
        symmetry: turns that change nothing, None for none; see `guess_symmetry`.
        mass_kg: None for what its volume suggests.
        grasps: kinds of grasp that suit it.
        stretch: sizes it may have in scenes, None for its own alone.

    Raises:
        AssetError: the file is missing or no mesh, has no inside, or its size is not that of an object for a hand.
        InvalidInput: the id or the unit is none.
        MissingDependency: trimesh is not installed.
    """
    path = Path(path)
    if not re.fullmatch(r"[a-z0-9_]+", object_id):
        raise InvalidInput(f"object id '{object_id}': use lower case letters, digits and underscores")
    shape = _read(path)
    shape = shape.scaled(UNITS_M[unit_of(path, float(np.ptp(shape.vertices, axis=0).max()), units)])
    shape = shape.moved(-(shape.vertices.max(0) + shape.vertices.min(0)) / 2)
    bodies = bodies_of(path, _lighter(path, shape))
    paints, tones = _toned(shape, [body.vertices_m[body.faces].mean(1) for body in bodies])
    part = Scanned(np.eye(3), np.zeros(3), np.ones(3), "tone0", None, tuple(bodies), tuple(tones))
    vertices = np.concatenate([body.vertices_m for body in bodies])
    extents, center = np.ptp(vertices, axis=0), (vertices.max(0) + vertices.min(0)) / 2
    mass = float(np.clip(_DENSITY * sum(_volume(body.vertices_m[body.faces]) for body in bodies), 0.005, 3.0))
    solid = Solid(
        object_id, name or object_id.replace("_", " "), "imported", extents, center, symmetry or Symmetry(),
        Form((part,)), np.ones(3), paints, stretch or Range(), mass if mass_kg is None else mass_kg, grasps,
    )  # fmt: skip
    _check_mirror(path, solid)
    return solid


def write_object(solid: Solid, folder: Path | str) -> Path:
    """Write an imported solid as `ID.yaml` and `ID.npz`, so that `catalogue(folder)` and the runtime read it.

    Returns:
        The path of the description.

    Raises:
        InvalidInput: the solid is not an imported one, or is stretched.
    """
    part = solid.parts[0]
    if not isinstance(part, Scanned) or not np.allclose(solid.scale, 1):
        raise InvalidInput(f"object '{solid.object_id}' was not imported from a mesh: only those are written")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    part.write(folder / f"{solid.object_id}.npz")
    stretch = {name: list(getattr(solid.stretch, name)) for name in ("size", "wide", "tall", "free")}
    entry = {
        "id": solid.object_id,
        "name": solid.name,
        "category": solid.category,
        "extents_m": _rounded(solid.extents_m),
        "center_m": _rounded(solid.center_m),
        "symmetry": {"half_turns": list(solid.symmetry.half_turns), "continuous": solid.symmetry.continuous},
        "stretch": {name: limits for name, limits in stretch.items() if limits != [1.0, 1.0]},
        "mass_kg": round(solid.mass_kg, 4),
        "grasps": list(solid.grasps),
        "paints": {name: _paint_entry(paint) for name, paint in solid.paints.items()},
        "parts": [{"kind": Scanned.kind, "mesh": f"{solid.object_id}.npz"}],
    }
    path = folder / f"{solid.object_id}.yaml"
    replace_text(path, yaml.safe_dump(entry, sort_keys=False, default_flow_style=None, width=110))
    return path


def guess_symmetry(solid: Solid, tolerance: float = 0.015) -> Symmetry:
    """The turns about the box's centre that map a solid onto itself, as far as its shape tells.

    Prints and colours are not looked at. It is an offer: what a pose may be told up to is for people to decide.

    Args:
        solid: any.
        tolerance: how far the turned surface may be off, as a share of the longest side.
    """
    limit = tolerance * float(solid.extents_m.max())
    half_turns: tuple[Axis, ...] = tuple(axis for axis, turn in _TURNS.items() if _gap(solid, turn) < limit)
    angles = (0.7, 1.3, 2.3)
    if all(_gap(solid, _about_z(angle)) < limit for angle in angles):
        return Symmetry(("x",) if "x" in half_turns else (), "z")
    return Symmetry(half_turns)


def _about_z(angle: float) -> Array:
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


def _gap(solid: Solid, matrix: Array) -> float:
    """How far the surface is off itself after a turn or a mirror about the box's centre [m], for 99 points of 100."""
    mesh = solid.mesh()
    points = np.concatenate([mesh.vertices, mesh.vertices[mesh.faces].mean(1)])
    points = points[:: max(1, len(points) // 1500)]
    turned = (points - solid.center_m) @ matrix.T + solid.center_m
    base = np.abs(solid.distance(points))
    return float(np.percentile(np.abs(solid.distance(turned))[base < 5e-4], 99))


def _check_mirror(path: Path, solid: Solid) -> None:
    """Scenes mirror things at y = 0 for left hands (see `control_points.MIRRORED_ORDER`)."""
    gaps = {axis: _gap(solid, np.diag([-1.0 if name == axis else 1.0 for name in "xyz"])) for axis in "xyz"}
    limit = 0.015 * float(solid.extents_m.max())
    if gaps["y"] >= limit:
        others = [axis for axis in "xz" if gaps[axis] < limit]
        hint = f": turn it so that the plane it does mirror at, across {others[0]}, lies across y" if others else ""
        logger.warning(
            "%s is not its own mirror image at y = 0 (off by %.0f mm); in scenes with left hands it appears mirrored%s",
            path.name, 1000 * gaps["y"], hint,
        )  # fmt: skip


def _read(path: Path) -> Shape:
    """All triangles of a file in the frame of its scene, in its own units."""
    try:
        import networkx  # noqa: F401  (trimesh needs it to mend, and says so too late)
        import trimesh  # noqa: F401
    except ImportError as error:
        raise MissingDependency(str(error.name), "meshes", "importing meshes") from error
    scene = load_scene(path, "meshes")
    try:
        pieces = _pieces(path, scene)
        shape = Shape.joined(pieces) if pieces else None
    except AssetError:
        raise
    except Exception as error:  # trimesh's readers raise anything
        said = one_line(error, 200)
        raise AssetError(f"mesh {path} cannot be read: {said}") from error
    if shape is None:
        raise AssetError(f"mesh {path} holds no triangles")
    if shape.faces.min() < 0 or shape.faces.max() >= len(shape.vertices) or not np.isfinite(shape.vertices).all():
        raise AssetError(f"mesh {path} has triangles without corners, or corners that are nowhere")
    return shape


def _pieces(path: Path, scene: Any) -> list[Shape]:
    """Every piece of a scene in its frame; how many there are is counted before they are made."""
    nodes = [(node, *scene.graph[node]) for node in scene.graph.nodes_geometry]
    sizes = [len(getattr(scene.geometry[name], "faces", ())) for _, _, name in nodes]
    if len(nodes) > MOST_PIECES or sum(sizes) > MOST_READ_FACES:
        raise AssetError(f"mesh {path} has {len(nodes)} pieces of {sum(sizes)} triangles: reduce it first")
    pieces = []
    for (_, transform, name), count in zip(nodes, sizes, strict=True):
        geometry = scene.geometry[name]
        if count and hasattr(geometry, "vertices"):
            vertices = geometry.vertices @ transform[:3, :3].T + transform[:3, 3]
            faces = geometry.faces[:, ::-1] if np.linalg.det(transform[:3, :3]) < 0 else geometry.faces
            pieces.append(Shape(np.asarray(vertices), np.asarray(faces, np.int64), _colours(path, geometry)))
    return pieces


def _colours(path: Path, geometry: Any) -> NDArray[np.uint8] | None:
    """`_face_colours`, or None with a warning where the file's own colours cannot be read."""
    try:
        return _face_colours(geometry)
    except Exception as error:  # noqa: BLE001 - Pillow and trimesh raise anything; an object without its colours is one still
        logger.warning("%s: its colours cannot be read (%s): it is one of plastic", path.name, _first_line(error))
        return None


def _first_line(error: BaseException) -> str:
    return one_line(error)


def _check_texture(material: Any) -> None:
    """Raise `ValueError` for a texture that is missing or too large to be unfolded; its header alone is read here."""
    for name in ("image", "baseColorTexture"):
        size = getattr(getattr(material, name, None), "size", None)
        if size is not None and size[0] * size[1] > MOST_TEXELS:
            raise ValueError(f"a texture of {size[0]} x {size[1]}")


def _face_colours(geometry: Any) -> NDArray[np.uint8] | None:
    """(F, 3) colours of the faces of a trimesh, None where the file has none; those of textures at the corners."""
    visual = geometry.visual
    if visual.kind is None or not visual.defined:
        return None
    if visual.kind == "texture":
        if visual.uv is None:
            return np.tile(np.asarray(visual.material.main_color, np.uint8)[:3], (len(geometry.faces), 1))
        _check_texture(visual.material)
        visual = visual.to_color()
    if visual.kind == "face":
        return np.asarray(visual.face_colors, np.uint8)[:, :3]
    return np.asarray(visual.vertex_colors)[geometry.faces][..., :3].mean(1).astype(np.uint8)


def _lighter(path: Path, shape: Shape) -> Shape:
    """The shape with at most `MOST_FACES` triangles; a lighter one has lost its colours."""
    if len(shape.faces) <= MOST_FACES:
        return shape
    try:
        import fast_simplification
    except ImportError as error:
        raise MissingDependency("fast_simplification", "meshes", f"a mesh of over {MOST_FACES} triangles") from error
    merged = shape.merged()
    try:
        vertices, faces = fast_simplification.simplify(
            merged.vertices.astype(np.float32), merged.faces.astype(np.int32), 1 - MOST_FACES / len(merged.faces)
        )
    except (ValueError, RuntimeError) as error:
        raise AssetError(f"mesh {path} cannot be simplified ({_first_line(error)}): mend it first") from error
    logger.warning("%s: simplified from %d to %d triangles", path.name, len(shape.faces), len(faces))
    return Shape(vertices.astype(np.float64), faces.astype(np.int64), None)


def _toned(shape: Shape, places: list[Array]) -> tuple[dict[str, Paint], list[NDArray[np.int64]]]:
    """A few colours for all faces, and the number of the colour at places (F, 3) of each body."""
    if shape.colours is None:
        return {"tone0": Paint("plastic")}, [np.zeros(len(each), np.int64) for each in places]
    pixels = shape.colours.astype(np.float32)
    count = min(_MOST_TONES, len(np.unique(shape.colours, axis=0)))
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.5)
    cv2.setRNGSeed(0)
    start = np.zeros((len(pixels), 1), np.int32)
    _, number, centres = cv2.kmeans(pixels, count, start, stop, 3, cv2.KMEANS_PP_CENTERS)
    linear = np.clip((centres.astype(np.float64) / 255) ** 2.2, 0.004, 0.95)
    nearest = [number[shape.nearest(each), 0].astype(np.int64) for each in places]
    used = np.unique(np.concatenate(nearest))
    paints = {
        f"tone{new}": Paint("scanned", ((linear[old, 0].item(), linear[old, 1].item(), linear[old, 2].item()),))
        for new, old in enumerate(used)
    }
    return paints, [np.searchsorted(used, each) for each in nearest]


def _volume(corners: Array) -> float:
    return abs(float((corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum() / 6))


def _rounded(vector: Array) -> list[float]:
    return [round(float(value), 6) + 0.0 for value in vector]


def _paint_entry(paint: Paint) -> dict[str, Any]:
    tints = [[round(value, 4) for value in tint] for tint in paint.tints]
    return {"material": paint.material, "tints": tints} if tints else {"material": paint.material}
