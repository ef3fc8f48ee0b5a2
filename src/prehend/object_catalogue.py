"""The catalogue of objects whose pose can be told: one file each, with the size the pose needs."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import KIND_UNIT_M
from prehend.documents import read_yaml
from prehend.errors import AssetError, UnknownName
from prehend.geometry.control_points import control_points
from prehend.geometry.rotations import HALF_TURNS
from prehend.types import FloatArray

Axis = Literal["x", "y", "z"]

_SMALLEST_M, _LARGEST_M = 1e-4, 10.0

OWN_OBJECTS = "PREHEND_OBJECTS"
"""Environment variable: folders of descriptions of one's own, separated as in PATH; they join the shipped ones."""

_INSTALLED = Path(__file__).resolve().parent / "objects"
_CHECKOUT = Path(__file__).resolve().parents[2] / "config" / "objects"


class _Named(Protocol):
    @property
    def object_id(self) -> str: ...


T = TypeVar("T", bound=_Named)


@dataclass(frozen=True)
class Symmetry:
    """Turns after which an object looks the same; a pose is told up to these.

    Attributes:
        half_turns: axes of the object frame about which half a turn changes nothing.
        continuous: axis about which no turn changes anything, None for none.
    """

    half_turns: tuple[Axis, ...] = ()
    continuous: Axis | None = None

    def turns(self) -> list[FloatArray]:
        """(3, 3) rotations each: none, and the half turns."""
        return [np.eye(3), *(HALF_TURNS[axis] for axis in self.half_turns)]


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """A known object.

    Attributes:
        object_id: its name in messages and files.
        name: for people.
        extents_m: (3,) side lengths of its axis-aligned box [m].
        center_m: (3,) centre of that box in the object frame [m]. Objects with one mirror plane have it at y = 0
            (see `control_points.MIRRORED_ORDER`).
        symmetry: turns that cannot be told apart.
    """

    object_id: str
    name: str
    extents_m: FloatArray
    center_m: FloatArray
    symmetry: Symmetry = Symmetry()

    @cached_property
    def control_points_m(self) -> FloatArray:
        """(21, 3) in the object frame [m], in the order of `control_points.control_points`."""
        return control_points(self.extents_m, self.center_m)

    @cached_property
    def kind(self) -> NDArray[np.float32]:
        """(10,) what the object stage is told of it, see `object_kind`."""
        return object_kind(self.extents_m, self.symmetry)


def object_kind(extents_m: FloatArray, symmetry: Symmetry) -> NDArray[np.float32]:
    """What the object stage is told of an object: its numbers in the order of `conventions.OBJECT_KIND_SIZE`; zeros say
    that nothing is known.

    Args:
        extents_m: (3,) side lengths of its axis-aligned box [m].
        symmetry: turns that cannot be told apart.
    """
    half = [float(axis in symmetry.half_turns) for axis in "xyz"]
    any_turn = [float(symmetry.continuous == axis) for axis in "xyz"]
    return np.array([1.0, *np.log(np.asarray(extents_m) / KIND_UNIT_M), *half, *any_turn], np.float32)


def default_folder() -> Path:
    """Where the shipped catalogue lies: beside the installed package, or in `config/objects` of a checkout."""
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def own_folders() -> tuple[Path, ...]:
    """Folders that the environment variable `OWN_OBJECTS` names."""
    names = [name for name in os.environ.get(OWN_OBJECTS, "").split(os.pathsep) if name]
    try:
        return tuple(Path(name).expanduser() for name in names)
    except RuntimeError as error:  # ~nobody
        raise AssetError(f"{OWN_OBJECTS} names the home of a user who is none: {os.pathsep.join(names)}") from error


def load_objects(folder: Path | None = None) -> dict[str, ObjectModel]:
    """Read every *.yaml of a folder.

    Args:
        folder: of the catalogue, None for the shipped one and `own_folders`.

    Returns:
        The objects by their id, in the order of the ids.

    Raises:
        AssetError: the folder has no catalogue, or a file is not a description of an object; the text names the file.
    """
    return dict(sorted(read_catalogue(catalogue_folders(folder), read_object).items()))


def catalogue_folders(folder: Path | None = None) -> tuple[Path, ...]:
    """The folder, or for None that of the shipped catalogue and `own_folders`."""
    return (default_folder(), *own_folders()) if folder is None else (Path(folder),)


def read_catalogue(folders: tuple[Path, ...], read: Callable[[Path], T]) -> dict[str, T]:
    """Every *.yaml of some folders, by its object's id, in the order of the files.

    Args:
        folders: with descriptions.
        read: makes an object with an `object_id` of one file.

    Raises:
        AssetError: a folder has no description, or two have the same id.
    """
    objects: dict[str, T] = {}
    for folder in folders:
        paths = sorted(folder.glob("*.yaml"))
        if not paths:
            raise AssetError(f"object catalogue {folder} holds no .yaml file")
        for path in paths:
            thing = read(path)
            if thing.object_id in objects:
                raise AssetError(f"object {path}: id '{thing.object_id}' is taken by another file")
            objects[thing.object_id] = thing
    return objects


def object_ids(text: str | None) -> list[str]:
    """The ids of ID[,ID...], none of an empty text."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def find_object(objects: Mapping[str, ObjectModel], object_id: str) -> ObjectModel:
    """The object of this id.

    Raises:
        UnknownName: there is none.
    """
    if object_id not in objects:
        raise UnknownName("object", object_id, objects)
    return objects[object_id]


def read_entry(path: Path) -> dict[str, Any]:
    """The keys and values of one file of a catalogue, not checked.

    Raises:
        AssetError: it cannot be read or is no mapping.
    """
    entry = read_yaml(path, lambda text: AssetError(f"object {text}"))
    if not isinstance(entry, dict):
        raise AssetError(f"object {path} is not a mapping of keys to values")
    return entry


def read_object(path: Path) -> ObjectModel:
    """Read one file of the catalogue; keys beyond those of `ObjectModel` (its shape, say) are left to others.

    Raises:
        AssetError: it cannot be read or a value is missing or out of range.
    """
    return object_of(path, read_entry(path))


def object_of(path: Path, entry: Mapping[str, Any]) -> ObjectModel:
    """The object that a file's keys and values describe; `path` is for messages.

    Raises:
        AssetError: a value is missing or out of range.
    """
    missing = {"id", "name", "extents_m", "center_m", "symmetry"} - entry.keys()
    if missing:
        raise AssetError(f"object {path} lacks {', '.join(sorted(missing))}")
    extents, center = (_vector(path, key, entry[key]) for key in ("extents_m", "center_m"))
    if extents.min() <= 0:
        raise AssetError(f"object {path}: extents_m {extents.tolist()} are not all positive")
    if max(extents.max(), np.abs(center).max()) > _LARGEST_M or extents.min() < _SMALLEST_M:
        raise AssetError(
            f"object {path}: {extents.tolist()} m about {center.tolist()} is no object that a hand can hold"
        )
    return ObjectModel(_id(path, entry["id"]), str(entry["name"]), extents, center, _symmetry(path, entry["symmetry"]))


def _id(path: Path, value: Any) -> str:
    """A name that `object_ids` gives back, so that it can be asked for."""
    name = str(value)
    if type(value) not in (str, int) or object_ids(name) != [name] or len(name.split()) != 1:
        raise AssetError(f"object {path}: id is {name[:60]!r}, expected a name without blanks and commas")
    return name


def _vector(path: Path, key: str, value: Any) -> FloatArray:
    try:
        vector = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise AssetError(f"object {path}: {key} is {str(value)[:80]}, expected three numbers") from error
    if vector.shape != (3,) or not np.isfinite(vector).all() or any(isinstance(one, bool) for one in value):
        raise AssetError(f"object {path}: {key} is {str(value)[:80]}, expected three numbers")
    return vector


def _symmetry(path: Path, value: Any) -> Symmetry:
    axes = ("x", "y", "z")
    half_turns = value.get("half_turns") if isinstance(value, dict) else None
    continuous = value.get("continuous") if isinstance(value, dict) else None
    known = isinstance(half_turns, list) and all(turn in axes for turn in half_turns)
    if not isinstance(half_turns, list) or not known or not (continuous is None or continuous in axes):
        raise AssetError(
            f"object {path}: symmetry is {str(value)[:80]}, expected half_turns: [axes], continuous: axis or null"
        )
    return Symmetry(tuple(half_turns), continuous)
