"""Matplotlib's figures, without what it does on the side."""

import atexit
import io
import os
import shutil
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from prehend.errors import MissingDependency
from prehend.files import cache_folder, replace_file

_FOLDER = "MPLCONFIGDIR"


def figure_class(needed_for: str) -> Any:
    """`matplotlib.figure.Figure`, which draws without a window and without pyplot's global state.

    Matplotlib keeps a list of the machine's fonts. It would do so below ~/.cache and make ~/.config/matplotlib, and
    complain where it cannot; here it has a folder in our cache, or one that is gone at the end. A user's MPLCONFIGDIR
    counts.

    Args:
        needed_for: what errors say.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    _give_folder()
    try:
        return import_module("matplotlib.figure").Figure
    except ImportError as error:
        raise MissingDependency("matplotlib", "plots", needed_for) from error


def save_figure(figure: Any, path: Path, dpi: int = 100) -> Path:
    """Write a figure, whole or not at all, in the format that its name ends with; returns the path.

    Raises:
        OutputError: it cannot be written.
    """
    image = io.BytesIO()
    figure.savefig(image, format=path.suffix.removeprefix("."), dpi=dpi)
    replace_file(path, image.getvalue())
    return path


def _give_folder() -> None:
    if _FOLDER in os.environ:
        return
    folder = cache_folder() / "matplotlib"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            os.environ[_FOLDER] = str(folder)
    except OSError:
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix="prehend-matplotlib-")
        atexit.register(shutil.rmtree, os.environ[_FOLDER], ignore_errors=True)
