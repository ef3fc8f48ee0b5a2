"""JSON, YAML and arrays of other people: read with bounds on size, depth and repetition, and every failure in one line.

A parser that trusts its input recurses as deep as the text says, and an alias of an alias of an alias unfolds to
gigabytes. Both are counted before anything is built.
"""

import json
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml
from numpy.typing import NDArray

from prehend.errors import PrehendError, SourceError, one_line

MAX_BYTES = 64 << 20
MAX_ARRAYS_BYTES = 512 << 20
"""Of all arrays of an archive, unpacked; our hand model has a hundredth of it."""
MAX_YAML_BYTES = 8 << 20
MAX_DEPTH = 64
MAX_NODES = 2_000_000
"""Values of a document after its aliases are unfolded."""

_DISGUISES = (
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself (git lfs pull)"),
    (b"<!doctype html", "a web page, perhaps that of a login: download the file again"),
    (b"<html", "a web page, perhaps that of a login: download the file again"),
    (b"PK\x03\x04", "a zip archive, as torch writes its checkpoints, too"),
    (b"\x1f\x8b", "packed with gzip: unpack it"), (b"%pdf", "a PDF"),
    (b"\x89hdf\r\n", "an HDF5 file"), (b"matlab 5.0", "a file of MATLAB"),
)  # fmt: skip

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""How what PowerShell's `>` writes begins; no text in UTF-8 does."""

_CLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where PyYAML was built with libyaml
_FAILURES = (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError, yaml.YAMLError)
"""What the parsers were seen to raise over text that is none; `UnicodeDecodeError` is a `ValueError`."""

_ARCHIVE_FAILURES = (
    OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, EOFError, RuntimeError, MemoryError,
    SyntaxError, struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError,
)  # fmt: skip
"""What NumPy and the zip below it were seen to raise, or may, over archives that are damaged."""

_HEADERS: dict[tuple[int, int], Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

Fail = Callable[[str], PrehendError]


class _Unfit(ValueError):
    """An archive that is refused before it is read; the text says why."""


def disguise(head: bytes) -> str | None:
    """What a file often is that is not what its name says, from its first bytes; None where that is not known."""
    start = head[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((name for sign, name in _DISGUISES if start.startswith(sign.lower())), None)


def disguise_of(path: Path) -> str | None:
    """`disguise` of a file; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return disguise(file.read(64))
    except OSError:
        return None


class _Loader(_CLoader):  # type: ignore[misc, valid-type]
    """YAML with OpenCV's matrices, and no key twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key != "<<" and key in seen:
                raise ValueError(f"the key '{key}' stands there twice")
            seen.add(key)
        return dict(super().construct_mapping(node, deep))


def _matrix(loader: Any, node: Any) -> Any:
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:opencv-matrix", _matrix)
_Loader.add_constructor("!opencv-matrix", _matrix)


def read_text(path: Path, fail: Fail = SourceError, limit: int = MAX_BYTES) -> str:
    """The text of a regular file in UTF-8, or in UTF-16 with its mark (a byte order mark is dropped).

    Args:
        path: of the file.
        fail: makes the error of a text.
        limit: largest file [bytes].

    Raises:
        PrehendError: as `fail` makes it; the file is missing, no regular file, too large or not UTF-8.
    """
    try:
        if path.exists() and not path.is_file():
            raise fail(f"{path}: {'a folder' if path.is_dir() else 'no regular file'}, expected a file")
        if path.stat().st_size > limit:
            raise fail(f"{path}: larger than {limit >> 20} MiB: not what is expected here")
        data = path.read_bytes()
        return data.decode("utf-16" if data[:2] in _UTF16 else "utf-8-sig")
    except (OSError, ValueError) as error:
        text = (error.strerror or "cannot be read").lower() if isinstance(error, OSError) else "not text in UTF-8"
        raise fail(f"{path}: {text}") from error


def read_json(
    path: Path, fail: Fail = SourceError, limit: int = MAX_BYTES, what: str = "no JSON that can be read"
) -> Any:
    """The content of a JSON file; no key stands twice in an object.

    Raises:
        PrehendError: as `fail` makes it.
    """
    return parse_json(read_text(path, fail, limit), str(path), fail, what)


def read_yaml(path: Path, fail: Fail = SourceError) -> Any:
    """The content of the first document of a YAML file that holds one.

    Raises:
        PrehendError: as `fail` makes it.
    """
    return parse_yaml(read_text(path, fail, MAX_YAML_BYTES), str(path), fail)


def read_document(path: Path, fail: Fail = SourceError) -> Any:
    """The content of a file of either kind: .json, .yaml and .yml say which, else its first letter does.

    Raises:
        PrehendError: as `fail` makes it.
    """
    text = read_text(path, fail)
    suffix = path.suffix.lower()
    is_json = suffix == ".json" or (suffix not in (".yaml", ".yml") and text.lstrip()[:1] in ("{", "["))
    return (parse_json if is_json else parse_yaml)(text, str(path), fail, "neither JSON nor YAML")


def read_arrays(path: Path, fail: Fail = SourceError, limit: int = MAX_ARRAYS_BYTES) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by their names; nothing in it is unpickled.

    Args:
        path: of the file.
        fail: makes the error of a text.
        limit: what all arrays together may take once they are unpacked [bytes].

    Raises:
        PrehendError: as `fail` makes it; the file is missing, no regular file, too large, or damaged anywhere.
    """
    try:
        _check_arrays(path, limit)
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except _ARCHIVE_FAILURES as error:
        said = str(error) if isinstance(error, _Unfit) else getattr(error, "strerror", None)
        raise fail(
            f"{path} cannot be read: {said.lower() if said else 'corrupt, or no .npz of plain arrays'}"
        ) from error


def _check_arrays(path: Path, limit: int) -> None:
    """Raise `_Unfit` for arrays that unpack to more than `limit` bytes or claim more than is there.

    NumPy makes room for what a header says before it reads what follows.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise _Unfit("no regular file")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > limit:
            raise _Unfit(f"its arrays unpack to more than {limit >> 20} MiB")
        for entry in entries:
            with archive.open(entry) as file:
                shape, _, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
            if dtype.hasobject or int(np.prod(shape, dtype=object)) * dtype.itemsize > entry.file_size:
                raise ValueError(f"an array of {shape} in {entry.file_size} bytes")


def parse_json(text: str, name: str, fail: Fail = SourceError, what: str = "no JSON that can be read") -> Any:
    """The content of a JSON text; `name` is what errors call it, `what` that it is where it is none.

    Raises:
        PrehendError: as `fail` makes it; no JSON, a key twice in an object, or nested deeper than `MAX_DEPTH`.
    """
    try:
        content = json.loads(text, object_pairs_hook=_no_key_twice)
    except _FAILURES as error:
        raise fail(f"{name}: {what} ({_said(error)})") from error
    if too_deep(content):
        raise fail(f"{name}: nested deeper than {MAX_DEPTH}")
    return content


def parse_yaml(text: str, name: str, fail: Fail = SourceError, what: str = "no YAML that can be read") -> Any:
    """The content of the first document of a YAML text that is not empty; `name` and `what` as in `parse_json`.

    Raises:
        PrehendError: as `fail` makes it; no YAML, nested deeper than `MAX_DEPTH`, or aliases that unfold to more
            than `MAX_NODES` values.
    """
    if len(text) > MAX_YAML_BYTES:
        raise fail(f"{name}: larger than {MAX_YAML_BYTES >> 20} MiB: not what is expected here")
    if text.startswith("%YAML:"):  # OpenCV's own head
        text = text.partition("\n")[2]
    try:
        _measure(text)
        for content in yaml.load_all(text, _Loader):
            if content is not None:
                return content
    except _FAILURES as error:
        raise fail(f"{name}: {what} ({_said(error)})") from error
    return None


def too_deep(content: Any, limit: int = MAX_DEPTH) -> bool:
    """Whether lists and dicts are nested deeper than a limit; never recurses."""
    level: list[Any] = [content]
    for _ in range(limit):
        level = [child for value in level for child in _children(value)]
        if not level:
            return False
    return True


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [child for child in value.values() if isinstance(child, (dict, list))]
    return [child for child in value if isinstance(child, (dict, list))] if isinstance(value, list) else []


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key '{key[:60]}' stands there twice")
        found[key] = value
    return found


def _measure(text: str) -> None:
    """Raise `ValueError` for YAML that is too deep or unfolds to too much; its parser does not recurse."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []  # anchor and size so far
    for event in yaml.parse(text, _CLoader):
        size, anchor = 0, getattr(event, "anchor", None)
        if isinstance(event, yaml.AliasEvent):
            size = sizes.get(str(event.anchor), MAX_NODES + 1)  # one that is not closed yet contains itself
        elif isinstance(event, yaml.ScalarEvent):
            size = 1
            if anchor:
                sizes[anchor] = 1
        elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            open_nodes.append((anchor, 1))
            if len(open_nodes) > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH}")
            continue
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            closed, size = open_nodes.pop()
            if closed:
                sizes[closed] = size
        if open_nodes:
            open_nodes[-1] = (open_nodes[-1][0], open_nodes[-1][1] + size)
        if size > MAX_NODES or (open_nodes and open_nodes[-1][1] > MAX_NODES):
            raise ValueError(f"it unfolds to more than {MAX_NODES} values")


def _said(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return f"nested deeper than {MAX_DEPTH}"
    return one_line(error, 200)
