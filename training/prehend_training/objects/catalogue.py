"""The catalogue of objects: one file each in `config/objects`, read here with shapes and paints."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from prehend.errors import AssetError
from prehend.object_catalogue import (
    ObjectModel,
    catalogue_folders,
    default_folder,
    object_of,
    read_catalogue,
    read_entry,
)
from prehend_training.objects.shapes.parts import Part
from prehend_training.objects.shapes.parts_flat import Rack, RoundedBox
from prehend_training.objects.shapes.parts_plate import Extrusion
from prehend_training.objects.shapes.parts_round import Revolve, Torus, Tube
from prehend_training.objects.shapes.parts_scanned import Scanned
from prehend_training.objects.solid import Form, Paint, Range, Solid

CATALOGUE = default_folder()
_LARGEST = 1000.0
PARTS: dict[str, type[Part]] = {
    kind.kind: kind for kind in (RoundedBox, Rack, Extrusion, Revolve, Tube, Torus, Scanned)
}


def read_solid(path: Path) -> Solid:
    """Read one file of a catalogue.

    Raises:
        AssetError: it is no description of an object, has no parts, or one of them cannot be made; the text names the
            file.
    """
    entry = read_entry(path)
    model = object_of(path, entry)
    if not entry.get("parts"):
        raise AssetError(f"object {path} lacks parts: for scenes, import its mesh with `prehend-train objects import`")
    _check_numbers(path, entry)
    try:
        return _solid(path, entry, model)
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError, cv2.error) as error:
        raise AssetError(f"object {path} cannot be made: {' '.join(repr(error).split())[:200]}") from error


def _check_numbers(path: Path, entry: Any) -> None:
    """Raise `AssetError` for numbers that no object for a hand has: shapes are made as fine as they are large."""
    values = [entry]
    while values:
        value = values.pop()
        if isinstance(value, dict | list):
            values += value.values() if isinstance(value, dict) else value
        elif isinstance(value, int | float) and not abs(value) <= _LARGEST:
            raise AssetError(f"object {path} has the number {str(value)[:20]}, which no object for a hand has")


def _solid(path: Path, entry: Mapping[str, Any], model: ObjectModel) -> Solid:
    mass_kg = float(entry.get("mass_kg", 0.2))
    if not 0 < mass_kg <= _LARGEST:
        raise AssetError(f"object {path}: mass_kg is {str(entry['mass_kg'])[:20]}, which no object for a hand has")
    paints = {
        name: Paint(str(paint["material"]), tuple(tuple(tint) for tint in paint.get("tints", ())))
        for name, paint in entry.get("paints", {"body": {"material": "plastic"}}).items()
    }
    form = Form(tuple(_read_part(path, part) for part in entry["parts"]))
    if not all(np.isfinite(part).all() for part in (form.mesh.vertices, form.mesh.normals, form.mesh.uv)):
        raise AssetError(f"object {path} has parts that are nowhere: one of their numbers is missing or none")
    unknown = {surface.paint for surface in form.surfaces} - set(paints)
    if unknown:
        raise AssetError(f"object {path} has parts with a paint of no description: {', '.join(sorted(unknown))}")
    return Solid(
        model.object_id,
        model.name,
        str(entry.get("category", "other")),
        model.extents_m,
        model.center_m,
        model.symmetry,
        form,
        np.ones(3),
        paints,
        _stretch(path, entry.get("stretch", {})),
        mass_kg,
        tuple(entry.get("grasps", ())),
    )


def _stretch(path: Path, entry: Mapping[str, Any]) -> Range:
    """How far an object may be stretched: two factors for each name."""
    limits = {name: np.asarray(pair, np.float64) for name, pair in entry.items()}
    for name, pair in limits.items():
        if pair.shape != (2,) or not 0 < pair[0] <= pair[1]:
            raise AssetError(f"object {path}: stretch of {name} is {str(entry[name])[:60]}, expected [least, most]")
    return Range(**{name: (float(pair[0]), float(pair[1])) for name, pair in limits.items()})


def _read_part(path: Path, entry: Mapping[str, Any]) -> Part:
    kind = entry.get("kind") if isinstance(entry, dict) else None
    kind = kind if isinstance(kind, str) else ""
    if kind not in PARTS:
        raise AssetError(f"object {path} has a part of unknown kind '{kind}'; there are {', '.join(PARTS)}")
    try:
        return PARTS[kind].read({**entry, "folder": path.parent})
    except AssetError as error:
        raise AssetError(f"object {path}: its {kind} cannot be made: {error}") from error
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, cv2.error) as error:
        raise AssetError(f"object {path}: its {kind} cannot be made: {error!r}") from error


def catalogue(folder: Path | None = None) -> dict[str, Solid]:
    """All solids of a folder by their id.

    Args:
        folder: with the files, None for the shipped catalogue and the folders that PREHEND_OBJECTS names.

    Raises:
        AssetError: a folder has no descriptions, or two have the same id.
    """
    return _catalogue(catalogue_folders(folder))


@lru_cache(maxsize=8)
def _catalogue(folders: tuple[Path, ...]) -> dict[str, Solid]:
    return read_catalogue(folders, read_solid)
