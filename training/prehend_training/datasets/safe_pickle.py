"""Read a dataset's pickled labels without trusting them: arrays and plain values, nothing else.

A pickle is a program; the plain unpickler runs what a file asks for. HO-3D's labels are pickles. They are read in a
process that may die (see `prehend.hand_model.unpickling.pickles`), one for all files.
"""

from pathlib import Path
from typing import Any

from prehend.errors import AssetError, SourceError
from prehend.hand_model.unpickling.pickles import read_file, read_plain


def read_pickle(path: Path) -> dict[str, Any]:
    """The labels in a .pkl written by Python 2 or 3.

    Raises:
        SourceError: the file is missing, no pickle of a dict, or asks for more than arrays and plain values.
    """
    try:
        data = read_file(path)
    except AssetError as error:
        raise SourceError(str(error)) from error
    try:
        content = read_plain(data, "label")
    except AssetError as error:
        raise SourceError(f"{path} is no file of labels: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"{path} is no file of labels: it holds a {type(content).__name__}, expected a dict")
    return content
