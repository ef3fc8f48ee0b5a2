"""The files that come with the package beside its code: node parameters, layouts, the launch file, examples."""

from difflib import get_close_matches
from pathlib import Path

from prehend.errors import AssetError, UnknownName

FOLDERS = ("config", "launch", "examples")
"""Of the repository. Installed they lie in `share/` of the package, the object catalogue of `config/` apart."""

_INSTALLED = Path(__file__).resolve().parent / "share"
_CHECKOUT = Path(__file__).resolve().parents[2]


def resources() -> dict[str, Path]:
    """Every such file by its name, in the order of folders and names.

    Raises:
        AssetError: the installation lacks them.
    """
    root = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
    found = [
        path
        for folder in FOLDERS
        for path in sorted((root / folder).glob("*"))
        if path.is_file() and path.name != "__init__.py"
    ]
    if not found:
        raise AssetError(f"no {', '.join(FOLDERS)} in {root}: install the package again")
    return {path.name: path for path in found}


def resource(name: str) -> Path:
    """Where the file of this name lies, such as `hands.mp4`, `node.yaml` or `prehend.launch.py`.

    Raises:
        UnknownName: there is none.
        AssetError: the installation lacks them all.
    """
    found = resources()
    if name not in found:
        raise UnknownName("file", name, get_close_matches(name, found) or found)
    return found[name]
