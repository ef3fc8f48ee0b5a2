"""What an unpickler may call: stand-ins that keep their arguments, judge them, and make plain arrays.

No constructor of numpy, scipy or chumpy is called with what a file says. An array is made here, of a numeric dtype,
from as many bytes as its shape needs; so nothing is allocated that the file does not hold.
"""

import pickle
import re
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from prehend.errors import AssetError

MOST_NUMBERS = 50_000_000
"""Numbers of an array; the largest of a hand model have a thousandth of it."""
_DTYPE = re.compile(r"[<>|=]?([?bhilqefd]|[biu][1248]|f[248]|c(?:8|16)|[SU]\d{1,4}|[SUa]|[BHILQ])", re.ASCII)
_MOST_DIMENSIONS = 8

Refused = pickle.UnpicklingError


class Callback:
    """A function of ours under a name of a library; it has no state that a pickle could set."""

    __slots__ = ("_make",)
    _make: Callable[..., object]

    def __init__(self, make: Callable[..., object]):
        object.__setattr__(self, "_make", make)

    def __call__(self, *arguments: Any) -> object:  # noqa: D102
        return self._make(*arguments)

    def __setattr__(self, name: str, value: object) -> None:
        raise Refused("a function has no state")

    def __setstate__(self, state: object) -> None:
        raise Refused("a function has no state")


class _Closed(type):
    """Of classes that a pickle may make instances of, but not change."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise Refused("a class has no state")


class NumpyType(metaclass=_Closed):
    """`numpy.ndarray` as an argument of `_reconstruct`; it makes nothing itself."""

    __slots__ = ()

    def __new__(cls, *_arguments: object) -> "NumpyType":  # noqa: D102
        raise Refused("numpy.ndarray is not called by any file of arrays: refused")


class Dtype(metaclass=_Closed):
    """`numpy.dtype(text, align, copy)`, then a state with the byte order."""

    __slots__ = ("_text",)
    _text: str

    def __new__(cls, text: object = None, *_flags: object) -> "Dtype":  # noqa: D102
        text = text.decode("latin1") if isinstance(text, bytes) else text
        if not isinstance(text, str) or not _DTYPE.fullmatch(text):
            raise Refused(f"dtype {str(text)[:40]!r} is not of plain numbers: refused")
        self = object.__new__(cls)
        object.__setattr__(self, "_text", text)
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise Refused("a dtype has no state but its byte order")

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) not in (8, 9) or state[2:5] != (None, None, None):
            raise Refused("a dtype with fields: refused")
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise Refused("a dtype of no byte order: refused")
        text = self._text.lstrip("<>|=")
        if text in ("S", "U", "a") and isinstance(state[5], int):
            text = f"{text}{state[5] // (4 if text == 'U' else 1)}"
        if not _DTYPE.fullmatch(order + text):
            raise Refused("a dtype that is not numeric: refused")
        object.__setattr__(self, "_text", order + text)

    def plain(self) -> np.dtype[Any]:
        """The dtype, which holds no objects."""
        dtype = np.dtype(self._text)
        if dtype.hasobject or dtype.kind not in "biufcSU?":
            raise Refused("a dtype that is not numeric: refused")
        return dtype


class Array(metaclass=_Closed):
    """What `_reconstruct` makes: empty until its state comes. Numpy's own arrays would take any state from a pickle."""

    __slots__ = ("_value",)
    _value: NDArray[Any]

    def __init__(self, value: NDArray[Any] | None = None) -> None:
        object.__setattr__(self, "_value", np.zeros(0) if value is None else value)

    def __setattr__(self, name: str, value: object) -> None:
        raise Refused("an array has no other state")

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise Refused("an array of no known state: refused")
        shape, dtype, columns_first, data = state[-4:]
        object.__setattr__(self, "_value", make_array(shape, dtype, data, bool(columns_first)))

    def dense(self) -> NDArray[Any]:
        """The array."""
        return self._value


class Scalar(Array):
    """A number of numpy's."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        raise Refused("a number has no state")


class _Stateful(metaclass=_Closed):
    """Keeps a dict as its state."""

    _state: dict[str, Any]

    def __setstate__(self, state: object) -> None:
        state = state[0] if isinstance(state, tuple) and len(state) == 2 else state
        if not isinstance(state, dict):
            raise Refused("an instance whose state is no dict: refused")
        self.__dict__["_state"] = state

    def _get(self, key: str) -> Any:
        return self.__dict__.get("_state", {})[key]

    def _has(self, key: str) -> bool:
        return key in self.__dict__.get("_state", {})


class SparseMatrix(_Stateful):
    """Stands for scipy's csc, csr and coo matrices, so that reading one needs no scipy."""

    layout = ""

    def dense(self) -> NDArray[Any]:
        """The matrix as an array; its size is bounded before it is made."""
        rows, columns = (int(length) for length in self._get("_shape"))
        if not 0 <= rows * columns <= MOST_NUMBERS or min(rows, columns) < 0:
            raise Refused(f"a sparse matrix of {rows} x {columns}: refused")
        data = plain_array(self._get("data"))
        if self.layout == "coo":
            places = self._get("coords") if self._has("coords") else (self._get("row"), self._get("col"))
            y, x = (plain_array(place).astype(np.int64) for place in places)
        else:
            indices, starts = (plain_array(self._get(key)).astype(np.int64) for key in ("indices", "indptr"))
            counts = np.diff(starts)
            if (counts < 0).any() or counts.sum() != indices.size:
                raise Refused("a sparse matrix whose lines do not fit its data: refused")
            lines = np.repeat(np.arange(len(counts)), counts)
            y, x = (indices, lines) if self.layout == "csc" else (lines, indices)
        if not (y.shape == x.shape == data.shape) or (data.size and _outside(y, rows) | _outside(x, columns)):
            raise Refused("a sparse matrix whose places lie outside: refused")
        matrix = np.zeros((rows, columns))
        np.add.at(matrix, (y, x), data)
        return matrix


class Columns(SparseMatrix):
    """csc."""

    layout = "csc"


class CompressedRows(SparseMatrix):
    """csr."""

    layout = "csr"


class Triplets(SparseMatrix):
    """coo."""

    layout = "coo"


class Chumpy(_Stateful):
    """Stands for chumpy's array (`x`) and its selection of another one (`a`, `idxs`, `preferred_shape`)."""

    def dense(self, depth: int = 0) -> NDArray[Any]:
        """The value as an array."""
        if depth > 8:
            raise Refused("a selection of a selection without end: refused")
        if self._has("x"):
            return _dense(self._get("x"), depth)
        values = _dense(self._get("a"), depth).ravel()
        places = plain_array(self._get("idxs")).astype(np.int64)
        if places.size and (_outside(places, len(values)) or places.size > MOST_NUMBERS):
            raise Refused("a selection outside of its array: refused")
        shape = self._get("preferred_shape") if self._has("preferred_shape") else places.shape
        return values[places].reshape(_shape(shape))


def make_array(shape: object, dtype: object, data: object, columns_first: bool = False) -> NDArray[Any]:
    """An array of a plain dtype from exactly the bytes that it needs.

    Raises:
        UnpicklingError: anything else.
    """
    if not isinstance(dtype, Dtype):
        raise Refused("an array without a dtype: refused")
    plain, lengths = dtype.plain(), _shape(shape)
    if isinstance(data, str):  # Python 2 wrote bytes as text
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray):
        raise Refused("an array of objects: refused")
    count = int(np.prod([int(length) for length in lengths], dtype=object)) if lengths else 1
    if count > MOST_NUMBERS or count * plain.itemsize != len(data):
        raise Refused(f"an array of {len(data)} bytes whose shape needs {count * plain.itemsize}: refused")
    if not count or not plain.itemsize:
        return np.zeros(lengths, plain)
    array: NDArray[Any] = np.frombuffer(bytes(data), plain).reshape(lengths, order="F" if columns_first else "C")
    return array


def plain_array(value: object) -> NDArray[Any]:
    """The numbers of an array, or of a list or tuple of numbers that is no deeper than an array may be.

    Raises:
        UnpicklingError: it is none.
    """
    array = _dense(value)
    if array.dtype.kind not in "biufc":
        raise Refused("numbers were expected: refused")
    return array


def _dense(value: object, depth: int = 0) -> NDArray[Any]:
    if isinstance(value, Chumpy):
        return value.dense(depth + 1)
    if isinstance(value, Array | SparseMatrix):
        return value.dense()
    if isinstance(value, int | float):
        return np.asarray(value)
    if isinstance(value, list | tuple) and all(isinstance(number, int | float) for number in value):
        return np.asarray(value, np.float64 if any(isinstance(number, float) for number in value) else np.int64)
    raise Refused(f"an array was expected, found {type(value).__name__}: refused")


def _shape(value: object) -> tuple[int, ...]:
    lengths = value if isinstance(value, tuple | list) else (value,)
    plain = tuple(length for length in lengths if isinstance(length, int) and 0 <= length < 1 << 40)
    if len(plain) != len(lengths) or len(plain) > _MOST_DIMENSIONS:
        raise Refused("a shape that is none: refused")
    return plain


def _outside(places: NDArray[np.int64], length: int) -> bool:
    return bool(places.min() < 0 or places.max() >= length)


def _reconstruct(kind: object, *_rest: object) -> Array:
    if kind is not NumpyType:
        raise Refused("an array of another class is not expected: refused")
    return Array()


def _scalar(dtype: object, data: object = b"") -> Scalar:
    return Scalar(make_array((), dtype, data))


def _from_buffer(data: object, dtype: object, shape: object, order: object = "C", *_rest: object) -> Array:
    return Array(make_array(shape, dtype, data, order == "F"))


def _new_instance(kind: object, base: object, state: object) -> object:
    """What `copyreg._reconstructor` does, for our stand-ins only."""
    if base is not Plain or state is not None or kind not in (Columns, CompressedRows, Triplets, Chumpy):
        raise Refused(f"an instance of {kind!r} is not expected")
    return object.__new__(kind)  # type: ignore[type-var]


def _encode(text: object, encoding: object = "latin1") -> bytes:
    """What `_codecs.encode` does: how Python 3 writes bytes into old pickles."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "iso-8859-1"):
        raise Refused("bytes in an unknown code: refused")
    return text.encode("latin1")


def _no_bytes(*arguments: object) -> bytes:
    if arguments:
        raise Refused("bytes of anything are not expected: refused")
    return b""


class Plain(metaclass=_Closed):
    """`object` as an argument of `_reconstructor`."""

    __slots__ = ()

    def __new__(cls, *_arguments: object) -> "Plain":  # noqa: D102
        raise Refused("a bare object is not expected: refused")


def arrays() -> dict[tuple[str, str], object]:
    """What stands for numpy's names."""
    table: dict[tuple[str, str], object] = {
        ("numpy", "ndarray"): NumpyType,
        ("numpy", "dtype"): Dtype,
        ("_codecs", "encode"): Callback(_encode),
    }
    for builtins in ("builtins", "__builtin__"):  # how Python 3 writes no bytes into old pickles
        table[builtins, "bytes"] = Callback(_no_bytes)
    for core in ("numpy.core", "numpy._core"):
        table[f"{core}.multiarray", "_reconstruct"] = Callback(_reconstruct)
        table[f"{core}.multiarray", "scalar"] = Callback(_scalar)
        table[f"{core}.numeric", "_frombuffer"] = Callback(_from_buffer)
    return table


def instances() -> dict[tuple[str, str], object]:
    """What stands for scipy's and chumpy's names, and for those that make their instances."""
    table: dict[tuple[str, str], object] = {}
    for layout, kind in (("csc", Columns), ("csr", CompressedRows), ("coo", Triplets)):
        for module in ("scipy.sparse", f"scipy.sparse.{layout}", f"scipy.sparse._{layout}"):
            table[module, f"{layout}_matrix"] = table[module, f"{layout}_array"] = kind
    for module in ("copy_reg", "copyreg"):
        table[module, "_reconstructor"] = Callback(_new_instance)
    for module in ("__builtin__", "builtins"):
        table[module, "object"] = Plain
    for name in (("chumpy.ch", "Ch"), ("chumpy", "Ch"), ("chumpy.reordering", "Select")):
        table[name] = Chumpy
    return table


class LabelUnpickler(pickle.Unpickler):
    """Unpickles dicts, lists, tuples, text, numbers and numpy's arrays (as stand-ins); nothing else.

    Raises:
        AssetError: from `load`, at the first global that is not on the list; nothing of it has been called then.
    """

    table: ClassVar[dict[tuple[str, str], object]] = arrays()
    needed_by = "label"

    def find_class(self, module: str, name: str) -> Any:  # noqa: D102
        try:
            return self.table[module, name]
        except (KeyError, TypeError):
            said = f"{str(module)[:80]}.{str(name)[:80]}"
            raise AssetError(f"it asks for {said}, which no {self.needed_by} needs: refused") from None


class ArrayUnpickler(LabelUnpickler):
    """`LabelUnpickler` that also knows scipy.sparse and chumpy, as hand models use them."""

    table: ClassVar[dict[tuple[str, str], object]] = {**arrays(), **instances()}
    needed_by = "hand model"


UNPICKLERS: dict[str, type[LabelUnpickler]] = {"label": LabelUnpickler, "hand model": ArrayUnpickler}
"""By what they are for."""
