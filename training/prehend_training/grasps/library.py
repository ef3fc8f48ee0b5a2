"""The grasps that ship: one file for each object of the catalogue."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_finite, check_shape
from prehend.conventions import NUM_BETAS
from prehend.documents import read_arrays
from prehend.errors import AssetError, InvalidInput, one_line
from prehend.files import replace_arrays
from prehend.geometry.rotations import matrix_from_axis_angle, matrix_from_quaternion, quaternion_from_matrix
from prehend.object_catalogue import own_folders
from prehend_training.assets.poses import pose_from_angles
from prehend_training.grasps.closing import Hands
from prehend_training.grasps.hand import hand_model
from prehend_training.grasps.kinds import KINDS
from prehend_training.objects import Solid, catalogue
from prehend_training.objects.asset_split import things_in_split
from prehend_training.transforms import inverse, rigid

Array = NDArray[np.floating]
Rng = np.random.Generator

SHIPPED = Path(__file__).parent / "library"
SCHEMA = "prehend.grasps/1"
RATES = "rates.json"
WAY_OUT = "make them with `prehend-train grasps`"
HAND_ARRAYS = ("betas", "angles", "turn", "place", "scale")
ANGLE_STEP_RAD = 2e-4
PLACE_STEP_M = 2e-5
_TURN_STEP = 1 / 32767


@dataclass(frozen=True)
class HeldGrasp:
    """A right hand around an object, in the hand's frame (joint 0 at the origin, not turned).

    Attributes:
        betas: (10,) shape of the hand.
        angles: (15, 3) flexion, abduction, twist [rad].
        rotations: (16, 3, 3), the wrist's is the identity.
        solid: what is held, at its size.
        T_hand_object: (4, 4) [m].
        kind: see `kinds.KINDS`.
        contact: (6,) which of thumb, index, middle, ring, little, palm touch (nearer than 3 mm).
    """

    betas: Array
    angles: Array
    rotations: Array
    solid: Solid
    T_hand_object: Array
    kind: str
    contact: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class GraspSet:
    """N grasps of one object.

    Attributes:
        object_id: of it.
        kinds: (N,) names.
        hands: with the stretch of the object each is for.
        contact: (N, 6) which of thumb, index, middle, ring, little, palm touch.
        clearance_m: (N,) height of the hand's lowest point over the object's, its z axis upright; below zero such a
            grasp is no way to take it from a table.
    """

    object_id: str
    kinds: NDArray[np.str_]
    hands: Hands
    contact: NDArray[np.bool_]
    clearance_m: Array

    def __len__(self) -> int:
        return len(self.kinds)

    def rows(self, chosen: NDArray[np.integer] | NDArray[np.bool_]) -> "GraspSet":
        """Some of them."""
        parts = (self.kinds[chosen], self.hands.rows(chosen), self.contact[chosen], self.clearance_m[chosen])
        return GraspSet(self.object_id, *parts)

    def held(self, number: int, solid: Solid) -> HeldGrasp:
        """One grasp of the object.

        Args:
            number: of the grasp.
            solid: the object at its nominal size.
        """
        hands = self.hands.rows(np.array([number]))
        return held(hands, solid.stretched(hands.scale[0]), str(self.kinds[number]), self.contact[number])


def held(hands: Hands, solid: Solid, kind: str, contact: NDArray[np.bool_]) -> HeldGrasp:
    """A single hand, and the solid at the size it has, as a grasp."""
    angles = hands.angles[0]
    rotations = pose_from_angles(hand_model(), angles[:, 0], angles[:, 1], angles[:, 2])
    return HeldGrasp(hands.betas[0], angles, rotations, solid, inverse(hands.T_object_hand[0]), kind, contact)


def quantised(hands: Hands) -> dict[str, NDArray[np.generic]]:
    """Hands as the arrays of a file; `restored` gives them back, changed by less than 0.02 mm and 0.02 degrees."""
    quaternion = quaternion_from_matrix(hands.T_object_hand[:, :3, :3])
    return {
        "betas": hands.betas.astype(np.float16),
        "angles": np.round(hands.angles / ANGLE_STEP_RAD).astype(np.int16),
        "turn": np.round(quaternion / _TURN_STEP).astype(np.int16),
        "place": np.round(hands.T_object_hand[:, :3, 3] / PLACE_STEP_M).astype(np.int16),
        "scale": hands.scale.astype(np.float16),
    }


def restored(arrays: dict[str, NDArray[np.generic]]) -> Hands:
    """Hands of the arrays that `quantised` made."""
    T = np.tile(np.eye(4), (len(arrays["betas"]), 1, 1))
    quaternion = arrays["turn"].astype(np.float64)
    quaternion /= np.linalg.norm(quaternion, axis=1, keepdims=True)
    T[:, :3, :3] = matrix_from_quaternion(quaternion)
    T[:, :3, 3] = arrays["place"].astype(np.float64) * PLACE_STEP_M
    angles = arrays["angles"].astype(np.float64) * ANGLE_STEP_RAD
    return Hands(arrays["betas"].astype(np.float64), angles, T, arrays["scale"].astype(np.float64))


def check_hands(arrays: dict[str, NDArray[Any]]) -> None:
    """Raise `InvalidInput` or `KeyError` unless `restored` makes hands of these arrays."""
    count = len(arrays["betas"])
    check_shape("betas", arrays["betas"], [count, NUM_BETAS])
    for name, shape in (("angles", [count, 15, 3]), ("turn", [count, 4]), ("place", [count, 3]), ("scale", [count, 3])):
        check_shape(name, arrays[name], shape)
    for name in HAND_ARRAYS:
        check_finite(name, arrays[name])
    if not arrays["turn"].any(1).all() or not (arrays["scale"] > 0).all():
        raise InvalidInput("a hand that is turned nowhere, or an object of no size")


def save_grasps(path: Path, grasps: GraspSet) -> None:
    """Write a file of the library, see `load_grasps`; whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    names = np.array(sorted(KINDS))
    arrays: dict[str, Any] = {
        "schema": np.array(SCHEMA),
        "hand": np.array(hand_model().sha256),
        "kind_names": names,
        "kind": np.searchsorted(names, grasps.kinds).astype(np.uint8),
        "contact": np.packbits(grasps.contact, axis=1),
        "clearance": grasps.clearance_m.astype(np.float16),
        **quantised(grasps.hands),
    }
    replace_arrays(path, arrays)


def load_grasps(object_id: str, folder: Path | None = None) -> GraspSet:
    """The grasps of an object of the catalogue.

    Args:
        object_id: of the object.
        folder: of the library, None for the shipped one and the folders `grasps` of one's own catalogues.

    Raises:
        AssetError: there is no file, or it is none of ours; the text names the command that makes one.
    """
    folders = _folders(folder)
    for place in folders:
        if (place / f"{object_id}.npz").is_file():
            return _read(place / f"{object_id}.npz")
    places = ", ".join(map(str, folders))
    raise AssetError(f"no grasps of '{object_id}' in {places}: {WAY_OUT}")


def _folders(folder: Path | None) -> tuple[Path, ...]:
    return (SHIPPED, *(own / "grasps" for own in own_folders())) if folder is None else (folder,)


@lru_cache(maxsize=256)
def _read(path: Path) -> GraspSet:
    arrays = read_arrays(path, lambda text: AssetError(f"grasps {text}: {WAY_OUT}"))
    if str(arrays.get("schema")) != SCHEMA:
        raise AssetError(f"{path} is no file of grasps ({SCHEMA}): {WAY_OUT}")
    try:
        kinds = arrays["kind_names"][arrays["kind"]]
        contact = np.unpackbits(arrays["contact"], axis=1)[:, :6].astype(bool)
        check_hands(arrays)
        check_shape("contact", contact, [len(arrays["betas"]), 6])
        check_shape("clearance", arrays["clearance"], [len(kinds)])
        check_shape("kind", kinds, [len(contact)])
        check_finite("clearance", arrays["clearance"])
        if unknown := set(kinds.tolist()) - KINDS.keys():
            raise InvalidInput(f"there is no kind {', '.join(map(repr, sorted(unknown)))}")
        return GraspSet(path.stem, kinds, restored(arrays), contact, arrays["clearance"].astype(np.float64))
    except (LookupError, ValueError, TypeError) as error:
        raise AssetError(f"grasps {path} are damaged ({one_line(error)}): {WAY_OUT}") from error


def library_ids(folder: Path | None = None) -> tuple[str, ...]:
    """Ids of the catalogue that have grasps; folders as for `load_grasps`."""
    return _ids(_folders(folder))


@lru_cache(maxsize=4)
def _ids(folders: tuple[Path, ...]) -> tuple[str, ...]:
    found = {path.stem for folder in folders for path in folder.glob("*.npz")}
    return tuple(sorted(found & catalogue().keys()))


def sample_grasp(
    rng: Rng,
    object_id: str | None = None,
    kind: str | None = None,
    *,
    from_table: bool = False,
    betas: Array | None = None,
    folder: Path | None = None,
) -> HeldGrasp:
    """A random grasp of the library; objects that are round about an axis are turned about it.

    Args:
        rng: source of randomness.
        object_id: what is held, None for anything.
        kind: how, None for any way.
        from_table: only grasps that leave the hand above the table under the upright object.
        betas: (10,) prefer a hand of nearly this shape (the grasp's own hand is what is returned).
        folder: see `load_grasps`.

    Raises:
        AssetError: there is no such grasp.
    """
    names = (object_id,) if object_id is not None else rng.permutation(things_in_split(library_ids(folder)))
    for name in map(str, names):
        rows = _suitable(load_grasps(name, folder), kind, from_table)
        if len(rows):
            return turned(rng, _choose(rng, load_grasps(name, folder), rows, betas).held(0, catalogue()[name]))
    asked = f"of '{object_id}' " if object_id else ""
    raise AssetError(f"no grasp {asked}of kind {kind}{' from a table' if from_table else ''}")


def _suitable(grasps: GraspSet, kind: str | None, from_table: bool) -> NDArray[np.int64]:
    wanted = np.ones(len(grasps), bool) if kind is None else grasps.kinds == kind
    return np.flatnonzero(wanted & (grasps.clearance_m > 0) if from_table else wanted)


def _choose(rng: Rng, grasps: GraspSet, rows: NDArray[np.int64], betas: Array | None) -> GraspSet:
    """One of the rows, as a set of its own."""
    if betas is not None:
        away = np.linalg.norm(grasps.hands.betas[rows] - betas, axis=1)
        rows = rows[away.argsort()[: max(len(rows) // 8, 1)]]
    else:  # rare kinds are not drowned by frequent ones
        picked = rng.choice(np.unique(grasps.kinds[rows]))
        rows = rows[grasps.kinds[rows] == picked] if rng.random() < 0.5 else rows
    return grasps.rows(rng.choice(rows, 1))


def turned(rng: Rng, grasp: HeldGrasp) -> HeldGrasp:
    """The same grasp with the object turned as its symmetry allows; where it is stretched unevenly it stays."""
    symmetry, scale = grasp.solid.symmetry, grasp.solid.scale
    axis = symmetry.continuous
    if axis is None or np.ptp(np.delete(scale, "xyz".index(str(axis)))) > 1e-9:
        return grasp
    R = matrix_from_axis_angle(np.eye(3)["xyz".index(str(axis))] * rng.uniform(-np.pi, np.pi))
    centre, nothing = grasp.solid.center_m, np.zeros(3)
    there, back = rigid(np.eye(3), centre), rigid(np.eye(3), -centre)
    return replace(grasp, T_hand_object=grasp.T_hand_object @ there @ rigid(R, nothing) @ back)
