"""Docstrings name what is there: whoever moves a module or a name is told who speaks of it."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = (ROOT / "src", ROOT / "training")
FILES = [path for source in SOURCES for path in sorted(source.glob("prehend*/**/*.py"))]
LAUNCH = sorted((ROOT / "launch").glob("*.py"))
IN_BACKTICKS = re.compile(r"`([A-Za-z_]\w*(?:\.\w+)+)(?:\(\))?`")
FILE_SUFFIXES = {"json", "jsonl", "mp4", "npz", "obj", "png", "safetensors", "yaml", "jpg", "md", "onnx", "csv", "html"}


def parts_of(path: Path) -> tuple[str, ...]:
    """A file as the parts of its module's full name."""
    source = next(source for source in SOURCES if path.is_relative_to(source))
    parts = path.relative_to(source).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


MODULES = {parts_of(path): path for path in FILES}


@cache
def words_of(path: Path) -> frozenset[str]:
    """The names that a module has or takes in, those in its classes too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).rpartition(".")[2])
    return frozenset(found)


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Texts that stand alone, with their lines."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


@cache
def arguments_of(path: Path) -> frozenset[str]:
    """Names of the arguments of a module's functions, and of the fields of its classes."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    fields = {node.target.id for node in nodes if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
    return frozenset({node.arg for node in nodes if isinstance(node, ast.arg)} | fields)


def is_file(name: str) -> bool:
    """Whether a dotted name is that of a file: of ours if it is a module."""
    stem, _, suffix = name.rpartition(".")
    return any(path.stem == stem for path in (*FILES, *LAUNCH)) if suffix == "py" else suffix in FILE_SUFFIXES


def is_there(name: tuple[str, ...]) -> bool:
    """Whether some module, by the end of its full name, has the rest of a dotted one; also where it begins with no
    module of ours."""
    ours = False
    for length in range(len(name), 0, -1):
        for module, path in MODULES.items():
            if module[-length:] == name[:length]:
                ours = True
                if set(name[length:]) <= words_of(path):
                    return True
    return not ours and name[0] not in ("prehend", "prehend_training")


@pytest.mark.parametrize("package", ["prehend", "prehend_training"])
def test_what_docstrings_name_is_there(package: str) -> None:
    gone = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in FILES
        if parts_of(path)[0] == package
        for line, text in docstrings(path)
        for name in IN_BACKTICKS.findall(text)
        if name.split(".")[0] not in arguments_of(path)
        if not is_file(name) and not is_there(tuple(name.split(".")))
    ]
    assert not gone, "\n".join(gone)


def test_a_name_that_is_gone_is_found() -> None:
    assert is_there(("prehend", "types", "Box")) and is_there(("types", "Box", "width")) and is_there(("numpy", "eye"))
    assert not is_there(("prehend", "sorts", "Box")) and not is_there(("types", "Bax"))
