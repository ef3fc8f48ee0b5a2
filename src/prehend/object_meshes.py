"""Meshes of one's own as known objects: a file gives the box whose pose is told.

A pose needs the size of an object's box and no more; scenes for training need the shape too
(`prehend-train objects import`).
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from prehend.errors import AssetError, InvalidInput, OutputError
from prehend.files import reason, replace_text
from prehend.mesh_files import READERS_RAISE, load_scene, unreadable
from prehend.object_catalogue import ObjectModel, Symmetry, catalogue_folders, default_folder, read_entry
from prehend.types import FloatArray

UNITS_M = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254}
SMALLEST_M, LARGEST_M = 0.01, 0.5
MOST_FACES = 5_000_000


@dataclass(frozen=True)
class MeshObject:
    """What a mesh file says about an object.

    Attributes:
        model: of the object, its box centred on the origin of its frame; the mesh's axes are kept.
        unit: of the file.
        guessed: True where nobody said the unit.
        origin_m: (3,) where the object's frame lies in the mesh [m].
        triangles: how many the mesh has.
    """

    model: ObjectModel
    unit: str
    guessed: bool
    origin_m: FloatArray
    triangles: int


def object_of_mesh(
    path: Path | str,
    object_id: str | None = None,
    unit: str | None = None,
    name: str | None = None,
    symmetry: Symmetry | None = None,
) -> MeshObject:
    """Read the box of a mesh.

    Args:
        path: obj, ply, stl or glb; all pieces of a scene together make the object.
        object_id: lower case letters, digits and underscores; None makes one of the file's name.
        unit: m, cm, mm or in; None takes the one that makes an object of 1 to 50 cm, if only one of m, cm, mm does (glb
            files are in metres by their standard).
        name: for people, None for the id.
        symmetry: turns that change nothing, None for none.

    Raises:
        AssetError: the file is missing or no mesh, its unit is not clear, or its size is not that of an object for a
        hand. InvalidInput: the id or the unit is none. MissingDependency: trimesh is not installed.
    """
    path = Path(path)
    object_id = id_of_name(path.stem) if object_id is None else object_id
    if not re.fullmatch(r"[a-z0-9_]+", object_id):
        raise InvalidInput(f"object id '{object_id}': use lower case letters, digits and underscores")
    vertices, triangles = _read(path)
    found = unit_of(path, float(np.ptp(vertices, axis=0).max()), unit)
    vertices = vertices * UNITS_M[found]
    low, high = vertices.min(0), vertices.max(0)
    if (high - low).min() < 1e-4:
        raise AssetError(f"mesh {path} is flat: a pose needs a box with three sides")
    model = ObjectModel(object_id, name or object_id.replace("_", " "), high - low, np.zeros(3), symmetry or Symmetry())
    guessed = unit is None and path.suffix.lower() != ".glb"
    return MeshObject(model, found, guessed, (low + high) / 2, triangles)


def id_of_name(name: str) -> str:
    """An object id of a file's name."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "object"


def unit_of(path: Path, size: float, unit: str | None) -> str:
    """The unit of a mesh that is `size` long in it.

    Raises:
        AssetError: the size is not that of an object for a hand, or the unit is not clear; the text offers what fits.
        InvalidInput: there is no such unit.
    """
    if unit is not None and unit not in UNITS_M:
        raise InvalidInput(f"unit '{unit}': choose one of {', '.join(UNITS_M)}")
    fitting = [each for each, metres in UNITS_M.items() if SMALLEST_M <= size * metres <= LARGEST_M and each != "in"]
    if unit is None and path.suffix.lower() == ".glb":
        unit = "m"
    if unit is None:
        if len(fitting) == 1:
            return fitting[0]
        choices = " or ".join(f"{each} ({100 * size * UNITS_M[each]:.3g} cm)" for each in fitting)
        raise AssetError(f"mesh {path} is {size:.4g} long: give its units{f', {choices}' if choices else ''}")
    metres = size * UNITS_M[unit]
    if not SMALLEST_M <= metres <= LARGEST_M:
        offer = "; ".join(f"as {each} it would be {100 * size * UNITS_M[each]:.3g} cm" for each in fitting)
        raise AssetError(
            f"mesh {path} would be {1000 * metres:.4g} mm long in {unit}, and objects for a hand are 1 to 50 cm: "
            + (offer or "no unit makes it so, scale it")
        )
    return unit


def write_description(model: ObjectModel, folder: Path | str, replace: bool = False) -> Path:
    """Write an object as `ID.yaml`, so that `load_objects` finds it.

    Args:
        model: of the object.
        folder: made where it is missing; name it in PREHEND_OBJECTS.
        replace: write over a description of this id that lies there.

    Raises:
        AssetError: the id is taken, by the shipped catalogue or by another file.
        OutputError: the file cannot be written.
    """
    folder = Path(folder)
    path = folder / f"{model.object_id}.yaml"
    holder = _holder(model.object_id, folder)
    if holder is not None and not (replace and holder == path):
        way = ", or --replace it" if holder == path else ""
        raise AssetError(f"object id '{model.object_id}' is taken by {holder}: give another one (--id){way}")
    if path.exists() and not replace:
        raise AssetError(f"{path} is there already: give another id (--id), or --replace it")
    entry = {
        "id": model.object_id,
        "name": model.name,
        "extents_m": [round(float(value), 6) for value in model.extents_m],
        "center_m": [round(float(value), 6) + 0.0 for value in model.center_m],
        "symmetry": {"half_turns": list(model.symmetry.half_turns), "continuous": model.symmetry.continuous},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {reason(error)}") from error
    replace_text(path, yaml.safe_dump(entry, sort_keys=False, default_flow_style=None, width=110))
    return path


def _holder(object_id: str, folder: Path) -> Path | None:
    """The file that has an id, in the catalogues in use and in the folder."""
    folders = dict.fromkeys([default_folder(), *catalogue_folders(), folder])
    for path in (path for each in folders for path in sorted(each.glob("*.yaml"))):
        if str(read_entry(path).get("id")) == object_id:
            return path
    return None


def _read(path: Path) -> tuple[FloatArray, int]:
    """The corners of all triangles of a file in the frame of its scene and its own units, and their number."""
    scene = load_scene(path, "objects")
    try:
        corners, triangles = [], 0
        for node in scene.graph.nodes_geometry:
            transform, name = scene.graph[node]
            geometry = scene.geometry[name]
            faces = np.asarray(getattr(geometry, "faces", ()))
            triangles += len(faces)
            if triangles > MOST_FACES:
                raise AssetError(f"mesh {path} has over {MOST_FACES} triangles: reduce it first")
            if len(faces):
                used = np.asarray(geometry.vertices, np.float64)[np.unique(faces)]
                corners.append(used @ transform[:3, :3].T + transform[:3, 3])
        vertices = np.concatenate(corners) if corners else np.zeros((0, 3))
    except AssetError:
        raise
    except READERS_RAISE as error:
        raise unreadable(path, error) from error
    if not len(vertices):
        raise AssetError(f"mesh {path} holds no triangles")
    if not np.isfinite(vertices).all():
        raise AssetError(f"mesh {path} has triangles without corners, or corners that are nowhere")
    return vertices, triangles
