"""The process that reads pickles: one after the other from its standard input, with bounds on memory; it may die."""

import io
import json
import pickle
import struct
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from prehend.bounds import bound_memory
from prehend.documents import disguise
from prehend.errors import AssetError, one_line
from prehend.hand_model.unpickling.stand_ins import UNPICKLERS, Array, Chumpy, Scalar, SparseMatrix

MOST_VALUES = 1_000_000
MOST_DEPTH = 24

_FAILURES = (
    pickle.UnpicklingError,
    AssetError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    ImportError,
    RuntimeError,
    SystemError,
    BufferError,
)
"""What the unpickler and numpy raise over a file that is no whole pickle of arrays."""


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until the input ends: wanted keys and a pickle in, JSON and the bytes of its arrays out."""
    bound_memory()
    while len(head := requests.read(16)) == 16:
        keys, size = struct.unpack("<QQ", head)
        (purpose, wanted), data = json.loads(requests.read(keys)), requests.read(size)
        body = bytearray()
        try:
            content = UNPICKLERS[purpose](io.BytesIO(data), encoding="latin1").load()
            header: dict[str, Any] = {"value": _Packer(body).pack(_only(content, wanted))}
            text = json.dumps(header).encode()
        except _FAILURES as error:
            body = bytearray()
            said = one_line(error, 300)
            ours = isinstance(error, AssetError) or said.endswith(": refused")
            text = json.dumps({"error": said if ours else f"it is {disguise(data) or f'corrupt: {said}'}"}).encode()
        answers.write(struct.pack("<QQ", len(text), len(body)) + text)
        answers.write(body)
        answers.flush()


def _only(content: object, wanted: list[str] | None) -> object:
    if wanted is None:
        return content
    if not isinstance(content, dict):
        raise TypeError(f"it holds a {type(content).__name__}, expected a dict")
    return {key: content[key] for key in wanted if key in content}


class _Packer:
    """Values as [kind, content]; bytes of arrays go into one buffer."""

    def __init__(self, body: bytearray):
        self._body, self._count = body, 0

    def pack(self, value: Any, depth: int = 0) -> list[Any]:
        self._count += 1
        if depth > MOST_DEPTH or self._count > MOST_VALUES:
            raise ValueError("nested too deep, or more values than any label has")
        if value is None or isinstance(value, bool | str) or type(value) is int:
            return ["plain", value]
        if type(value) is float:
            return ["float", repr(value)]
        if type(value) is complex:
            return ["complex", [repr(value.real), repr(value.imag)]]
        if isinstance(value, bytes | bytearray):
            return ["bytes", bytes(value).hex()]
        if isinstance(value, list | tuple | set | frozenset):
            return ["tuple" if isinstance(value, tuple) else "list", [self.pack(child, depth + 1) for child in value]]
        if isinstance(value, dict):
            pairs = [[self.pack(key, depth + 1), self.pack(child, depth + 1)] for key, child in value.items()]
            return ["dict", pairs]
        if isinstance(value, Array | SparseMatrix | Chumpy):
            return ["scalar" if isinstance(value, Scalar) else "array", self._array(value.dense())]
        raise TypeError(f"a {type(value).__name__} is not expected")

    def _array(self, array: NDArray[Any]) -> dict[str, Any]:
        if array.dtype.hasobject or array.dtype.kind not in "biufcSU":
            raise TypeError("an array of objects")
        data = np.ascontiguousarray(array).tobytes()
        start = len(self._body)
        self._body += data
        return {"dtype": array.dtype.str, "shape": list(array.shape), "start": start, "size": len(data)}
