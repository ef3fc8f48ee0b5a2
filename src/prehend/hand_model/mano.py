"""Read a user's MANO .pkl without trusting it: the unpickler knows arrays and refuses everything else by name.

MANO (Romero et al., SIGGRAPH Asia 2017) is licensed by its authors to each user; nothing of it is in this package.
"""

import hashlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MANO_PARENTS, NUM_BETAS, NUM_MANO_JOINTS, Side
from prehend.errors import AssetError
from prehend.hand_model.asset import HandModel

TIPS_778 = (745, 317, 444, 556, 673)
"""Vertices of MANO's own mesh that are commonly taken as fingertips, thumb first."""

_DIGIT_ENDS = (15, 3, 6, 12, 9)  # last joint of each digit, thumb first
_KEYS = ("v_template", "f", "weights", "shapedirs", "posedirs", "J_regressor", "hands_mean", "hands_components")


class _SparseMatrix:
    """Stands for scipy's csc, csr and coo matrices, so that reading one needs no scipy."""

    layout = ""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def dense(self) -> NDArray[Any]:
        """The matrix as an array."""
        rows, columns = self.__dict__["_shape"]
        matrix = np.zeros((int(rows), int(columns)))
        data = np.asarray(self.__dict__["data"])
        if self.layout == "coo":
            places = self.__dict__.get("coords") or (self.__dict__["row"], self.__dict__["col"])
            np.add.at(matrix, tuple(places), data)
            return matrix
        indices, starts = np.asarray(self.__dict__["indices"]), np.asarray(self.__dict__["indptr"])
        lines = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        np.add.at(matrix, (indices, lines) if self.layout == "csc" else (lines, indices), data)
        return matrix


class _Columns(_SparseMatrix):
    layout = "csc"


class _Rows(_SparseMatrix):
    layout = "csr"


class _Triplets(_SparseMatrix):
    layout = "coo"


class _Chumpy:
    """Stands for chumpy's array (`x`) and its selection of another one (`a`, `idxs`, `preferred_shape`)."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def dense(self) -> NDArray[Any]:
        """The value as an array."""
        if "x" in self.__dict__:
            return _dense(self.__dict__["x"])
        values = _dense(self.__dict__["a"]).ravel()[np.asarray(self.__dict__["idxs"])]
        return values.reshape(self.__dict__.get("preferred_shape", values.shape))


def _new_instance(kind: type, base: type, state: object) -> object:
    """What `copyreg._reconstructor` does, for our stand-ins only."""
    if base is not object or state is not None or kind not in (_Columns, _Rows, _Triplets, _Chumpy):
        raise pickle.UnpicklingError(f"an instance of {kind!r} is not expected")
    return object.__new__(kind)


def _encode(text: str, encoding: str) -> bytes:
    """What `_codecs.encode` does: how Python 3 writes bytes into old pickles."""
    return text.encode(encoding)


def _allowed() -> dict[tuple[str, str], Callable[..., object]]:
    reconstruct, scalar = (np.ndarray(0).__reduce__()[0], np.float64(0).__reduce__()[0])
    table: dict[tuple[str, str], Callable[..., object]] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode,
    }
    for core in ("numpy.core", "numpy._core"):
        table[f"{core}.multiarray", "_reconstruct"] = reconstruct  # type: ignore[assignment]
        table[f"{core}.multiarray", "scalar"] = scalar  # type: ignore[assignment]
    for layout, kind in (("csc", _Columns), ("csr", _Rows), ("coo", _Triplets)):
        for module in ("scipy.sparse", f"scipy.sparse.{layout}", f"scipy.sparse._{layout}"):
            table[module, f"{layout}_matrix"] = table[module, f"{layout}_array"] = kind
    for module in ("copy_reg", "copyreg"):
        table[module, "_reconstructor"] = _new_instance
    for module in ("__builtin__", "builtins"):
        table[module, "object"] = object
    for name in (("chumpy.ch", "Ch"), ("chumpy", "Ch"), ("chumpy.reordering", "Select")):
        table[name] = _Chumpy
    return table


PICKLE_ERRORS = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    MemoryError,
    RecursionError,
    ImportError,
)
"""What the unpickler raises over a file that is no whole pickle of arrays; `KeyError` beside them."""


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles dicts, numbers, text, numpy arrays, and stand-ins for scipy.sparse and chumpy; nothing else.

    Raises:
        AssetError: from `load`, at the first global that is not on the list; nothing of it has been called then.
    """

    _table = _allowed()

    def find_class(self, module: str, name: str) -> Any:  # noqa: D102
        try:
            return self._table[module, name]
        except KeyError:
            raise AssetError(f"the pickle asks for {module}.{name}, which no hand model needs: refused") from None


def read_mano(path: Path, data: bytes) -> HandModel:
    """The model in the bytes of a MANO .pkl.

    Args:
        path: where the bytes come from, for messages.
        data: the file's content (written by Python 2 or 3).

    Raises:
        AssetError: it is not a pickle of arrays, asks for anything else, or lacks a part of the model.
    """
    try:
        content = ArrayUnpickler(io.BytesIO(data), encoding="latin1").load()
        arrays = {key: _dense(content[key]) for key in _KEYS}
        _check_tree(path, _dense(content["kintree_table"]) if "kintree_table" in content else None)
        return _model(path, arrays, hashlib.sha256(data).hexdigest())
    except AssetError as error:
        raise AssetError(f"hand model {path}: {error}") from error
    except KeyError as error:
        raise AssetError(f"hand model {path} is not a MANO file: it has no {error}") from error
    except PICKLE_ERRORS as error:
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


def _check_tree(path: Path, table: NDArray[Any] | None) -> None:
    if table is not None and tuple(int(p) for p in table[0, 1:]) != MANO_PARENTS[1:]:
        raise AssetError(f"its joints do not hang together like MANO's {NUM_MANO_JOINTS}")


def _dense(value: object) -> NDArray[Any]:
    return value.dense() if isinstance(value, _SparseMatrix | _Chumpy) else np.asarray(value)
