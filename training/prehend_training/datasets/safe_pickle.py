"""Read a dataset's pickled labels without trusting them: arrays and plain values, nothing else.

A pickle is a program; the plain unpickler runs what a file asks for. HO-3D's labels are pickles.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from prehend.errors import SourceError
from prehend.hand_model.mano import PICKLE_ERRORS, ArrayUnpickler

_ALLOWED = {name: made for name, made in ArrayUnpickler._table.items() if name[0].split(".")[0] in ("numpy", "_codecs")}
_FROM_BUFFER = np.ndarray(0).__reduce_ex__(5)[0]
# how protocol 5 stores arrays: bytes, a type that holds no objects, a shape
_ALLOWED |= {(f"{core}.numeric", "_frombuffer"): _FROM_BUFFER for core in ("numpy.core", "numpy._core")}


class LabelUnpickler(ArrayUnpickler):
    """Unpickles dicts, lists, numbers, text and numpy arrays.

    Raises:
        UnpicklingError: from `load`, at the first global that is none of these; nothing of it has been called then.
    """

    def find_class(self, module: str, name: str) -> Any:  # noqa: D102
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no label needs: refused") from None


def read_pickle(path: Path) -> dict[str, Any]:
    """The labels in a .pkl written by Python 2 or 3.

    Raises:
        SourceError: the file is missing, no pickle of a dict, or asks for more than arrays and plain values.
    """
    try:
        content = LabelUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    except (*PICKLE_ERRORS, KeyError) as error:
        raise SourceError(f"{path} is no file of labels: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"{path} is no file of labels: it holds a {type(content).__name__}, expected a dict")
    return content
