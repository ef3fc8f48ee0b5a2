"""Reading hand models: our shipped asset, or a user's MANO file (see `mano`)."""

import hashlib
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_finite, check_shape
from prehend.conventions import NUM_BETAS, NUM_MANO_JOINTS, SIDES, Side
from prehend.documents import read_arrays
from prehend.errors import AssetError, InvalidInput, UnknownName, one_line
from prehend.hand_model.mano import read_mano
from prehend.hand_model.model import HandModel
from prehend.hand_model.unpickling.pickles import read_file

SCHEMA = "prehend.hand/1"
SHIPPED = Path(__file__).parent / "data" / "hand.npz"


def load_hand_model(path: Path | None = None, side: Side = "right", forearm: bool = False) -> HandModel:
    """Load a hand model.

    Args:
        path: None for the shipped one, an .npz of the same schema, or a MANO .pkl. Either hand's file will do: the
            other hand is its mirror image. MANO_LEFT.pkl as it was released has the signs of the right hand's
            shape space, so prefer MANO_RIGHT.pkl for both.
        side: which hand is wanted.
        forearm: keep the forearm, where the model has one.

    Raises:
        AssetError: the file is missing, corrupt, of another kind, or a pickle that asks for more than arrays.
        UnknownName: `side` is neither "left" nor "right".
    """
    if side not in SIDES:
        raise UnknownName("side", str(side), SIDES)
    model = _load(Path(path) if path is not None else SHIPPED)
    if model.side != side:
        model = model.mirrored()
    return model if forearm else model.without_forearm()


@lru_cache(maxsize=4)
def _load(path: Path) -> HandModel:
    try:
        data = read_file(path)
    except AssetError as error:
        raise AssetError(
            f"hand model {path} cannot be read: {str(error).removeprefix(str(path)).strip(': ')}"
        ) from error
    if path.suffix == ".npz":
        model = _read_npz(path, hashlib.sha256(data).hexdigest())
    elif path.suffix == ".pkl":
        model = read_mano(path, data)
    else:
        raise AssetError(f"hand model {path} is neither an .npz of ours nor a .pkl of MANO")
    validate(model, path)
    for field in fields(model):  # the model is shared by all who load it
        if isinstance(array := getattr(model, field.name), np.ndarray):
            array.setflags(write=False)
    return model


def _read_npz(path: Path, digest: str) -> HandModel:
    arrays = read_arrays(path, lambda text: AssetError(f"hand model {text}"))
    try:
        if str(arrays["schema"]) != SCHEMA:
            raise AssetError(f"hand model {path} has schema '{arrays['schema']}', expected '{SCHEMA}'")
        return from_arrays(arrays, digest)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise AssetError(f"hand model {path} is corrupt: {one_line(error)}") from error
    except KeyError as error:
        raise AssetError(f"hand model {path} lacks the array {error}") from error


def from_arrays(arrays: dict[str, NDArray[Any]], digest: str) -> HandModel:
    """The right hand in the arrays of a file of ours (see `SCHEMA`), whose sparse ones are unpacked.

    Args:
        arrays: by the names of the file.
        digest: sha256 of the file.

    Raises:
        KeyError: an array is not there.
    """
    count = len(arrays["v_template"])
    weights = np.zeros((count, NUM_MANO_JOINTS), np.float32)
    np.put_along_axis(weights, arrays["weights_joint"].astype(np.int64), arrays["weights_value"], axis=1)
    regressor = np.zeros((NUM_MANO_JOINTS, count), np.float32)
    regressor[arrays["J_regressor_joint"], arrays["J_regressor_vertex"]] = arrays["J_regressor_value"]
    posedirs = np.zeros((count, 15, 3, 9), np.float32)
    posedirs[arrays["posedirs_vertex"], arrays["posedirs_joint"]] = arrays["posedirs_value"]
    plain = ["v_template", "shapedirs", "hands_mean", "hands_components", "flexion_axes", "abduction_axes"]
    plain += ["twist_axes", "limits_rad", "uv", "forearm_weights", "nail_weights"]
    return HandModel(
        name=str(arrays["name"]),
        side="right",
        faces=arrays["faces"].astype(np.int32),
        weights=weights,
        posedirs=posedirs.transpose(0, 2, 1, 3).reshape(count, 3, 135),
        J_regressor=regressor,
        tips=arrays["tips"].astype(np.int64),
        sha256=digest,
        uv_faces=arrays["uv_faces"].astype(np.int32),
        hand_mask=arrays["hand_mask"].astype(bool),
        nail_map=arrays["nail_map"].astype(np.uint8),
        **{name: arrays[name].astype(np.float32) for name in plain},
    )


def validate(model: HandModel, path: Path) -> None:
    """Raise `AssetError` unless shapes fit together, numbers are finite and indices lie in range."""
    try:
        check_shape("v_template", model.v_template, ["V", 3])
        count = model.num_vertices
        check_shape("faces", model.faces, ["F", 3])
        check_shape("weights", model.weights, [count, NUM_MANO_JOINTS])
        check_shape("shapedirs", model.shapedirs, [count, 3, NUM_BETAS])
        check_shape("posedirs", model.posedirs, [count, 3, 135])
        check_shape("J_regressor", model.J_regressor, [NUM_MANO_JOINTS, count])
        check_shape("tips", model.tips, [5])
        check_shape("hands_mean", model.hands_mean, [45])
        check_shape("hands_components", model.hands_components, [45, 45])
        for name in ("v_template", "weights", "shapedirs", "posedirs", "J_regressor", "hands_mean", "hands_components"):
            check_finite(name, getattr(model, name))
    except InvalidInput as error:
        raise AssetError(f"hand model {path}: {error}") from error
    for name, indices in (("faces", model.faces), ("tips", model.tips)):
        if indices.size and not (indices.min() >= 0 and indices.max() < count):
            raise AssetError(f"hand model {path}: {name} point outside the {count} vertices")
    if np.abs(model.weights.sum(1) - 1).max() > 1e-3:
        raise AssetError(f"hand model {path}: weights of a vertex do not sum to one")
