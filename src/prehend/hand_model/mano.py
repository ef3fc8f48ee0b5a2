"""Read a user's MANO .pkl without trusting it (see `pickles`).

MANO (Romero et al., SIGGRAPH Asia 2017) is licensed by its authors to each user; nothing of it is in this package.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MANO_PARENTS, NUM_BETAS, NUM_MANO_JOINTS, Side
from prehend.errors import AssetError
from prehend.hand_model.model import HandModel
from prehend.hand_model.unpickling.pickles import read_plain
from prehend.hand_model.unpickling.stand_ins import ArrayUnpickler

__all__ = ["TIPS_778", "ArrayUnpickler", "read_mano"]

TIPS_778 = (745, 317, 444, 556, 673)
"""Vertices of MANO's own mesh that are commonly taken as fingertips, thumb first."""

_DIGIT_ENDS = (15, 3, 6, 12, 9)  # last joint of each digit, thumb first
_KEYS = ("v_template", "f", "weights", "shapedirs", "posedirs", "J_regressor", "hands_mean", "hands_components")


def read_mano(path: Path, data: bytes) -> HandModel:
    """The model in the bytes of a MANO .pkl.

    Args:
        path: where the bytes come from, for messages.
        data: the file's content (written by Python 2 or 3).

    Raises:
        AssetError: it is not a pickle of arrays, asks for anything else, or lacks a part of the model.
    """
    try:
        content = read_plain(data, "hand model", (*_KEYS, "kintree_table"))
        arrays = {key: _numbers(key, content[key]) for key in _KEYS}
        _check_tree(_numbers("kintree_table", content["kintree_table"]) if "kintree_table" in content else None)
        return _model(path, arrays, hashlib.sha256(data).hexdigest())
    except AssetError as error:
        raise AssetError(f"hand model {path}: {error}") from error
    except KeyError as error:
        raise AssetError(f"hand model {path} is not a MANO file: it has no {error}") from error
    except (ValueError, TypeError, LookupError, OverflowError, MemoryError) as error:
        raise AssetError(f"hand model {path} is corrupt: {error}") from error


def _model(path: Path, arrays: dict[str, NDArray[Any]], digest: str) -> HandModel:
    template = arrays["v_template"].astype(np.float32)
    regressor = arrays["J_regressor"].astype(np.float32)
    weights = arrays["weights"].astype(np.float32)
    joints = regressor @ template
    return HandModel(
        name=f"MANO ({path.name})",
        side=_side_of(joints),
        v_template=template,
        faces=arrays["f"].astype(np.int32),
        weights=weights,
        shapedirs=np.ascontiguousarray(arrays["shapedirs"][..., :NUM_BETAS], np.float32),
        posedirs=np.ascontiguousarray(arrays["posedirs"], np.float32),
        J_regressor=regressor,
        tips=_tips(template, joints, weights),
        hands_mean=arrays["hands_mean"].astype(np.float32).ravel(),
        hands_components=arrays["hands_components"].astype(np.float32),
        sha256=digest,
    )


def _side_of(joints: NDArray[np.float32]) -> Side:
    """MANO's right hand points along -x and its left hand along +x."""
    return "right" if joints[4, 0] < joints[0, 0] else "left"


def _tips(
    template: NDArray[np.float32], joints: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.int64]:
    """The usual vertices on MANO's own mesh; on another one those farthest along the last bones."""
    if len(template) == 778:
        return np.array(TIPS_778)
    tips = []
    for last in _DIGIT_ENDS:
        rows = np.flatnonzero(weights.argmax(1) == last)
        tips.append(rows[((template[rows] - joints[last]) @ (joints[last] - joints[last - 1])).argmax()])
    return np.array(tips)


def _check_tree(table: NDArray[Any] | None) -> None:
    if table is None:
        return
    if table.ndim != 2 or tuple(int(p) for p in table[0, 1:]) != MANO_PARENTS[1:]:
        raise AssetError(f"its joints do not hang together like MANO's {NUM_MANO_JOINTS}")


def _numbers(key: str, value: object) -> NDArray[Any]:
    array = np.asarray(value) if isinstance(value, np.ndarray | list | tuple) else np.zeros(0, "S1")
    if array.dtype.kind not in "biuf":
        raise AssetError(f"its {key} is no array of numbers")
    return array
