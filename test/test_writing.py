"""Nobody writes a file under its final name: what a kill cuts off must not look whole."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TRAINING, SRC = ROOT / "training" / "prehend_training", ROOT / "src" / "prehend"

METHODS = {
    "write_text", "write_bytes", "savefig", "imwrite", "VideoWriter", "tofile", "to_csv", "savez", "savez_compressed",
    "savetxt", "copyfile", "copy2", "copytree", "dump", "save_pretrained", "extractall",
}  # fmt: skip
NEVER = {"save_file"}
"""Begin with a file of a random name beside the one they were given: a kill leaves it. What they write goes through
bytes in memory."""

FUNCTIONS = {"VideoWriter"}
OF_LIBRARIES = {"save": ("np", "torch", "onnx", "safetensors"), "copy": ("shutil",), "move": ("shutil",)}
IN_MEMORY = ("io.BytesIO(", "io.StringIO(")
SAFE = {"prehend.io.films.writing.VideoWriter"}
"""Writers that see to it themselves."""

STREAMS = {
    "files.py": "is what the others go through",
    "io/films/opencv.py": "writes the part of `io.films.writing`",
    "io/films/pyav.py": "does, too",
}
"""Modules of the package that write directly, and why they may."""


def direct_writes(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls that write a file, but for those that get a name that `replacing` gave, or a buffer in memory."""
    yield from _in(tree, frozenset(_imported(tree)))


def _imported(tree: ast.AST) -> set[str]:
    froms = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return {
        alias.asname or alias.name for node in froms for alias in node.names if f"{node.module}.{alias.name}" in SAFE
    }


def _in(node: ast.AST, safe: frozenset[str]) -> Iterator[ast.Call]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        safe |= {name for one in ast.walk(node) for name in _buffers(one)}
    if isinstance(node, ast.With):
        for item in node.items:
            yield from _in(item.context_expr, safe)
            if isinstance(item.optional_vars, ast.Name) and _gives_part(item.context_expr, safe):
                safe |= {item.optional_vars.id}
        for child in node.body:
            yield from _in(child, safe)
        return
    if isinstance(node, ast.Call) and (_named(node) in NEVER or (_writes(node) and not _names(node) & safe)):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _in(child, safe)


def _buffers(node: ast.AST) -> list[str]:
    """Names that are given a buffer, alone or as in `name, text = report["table"], io.StringIO()`."""
    if not isinstance(node, ast.Assign):
        return []
    found = []
    for target in node.targets:
        pairs = [(target, node.value)]
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = list(zip(target.elts, node.value.elts, strict=True))
        found += [one.id for one, value in pairs if isinstance(one, ast.Name) and _is_buffer(value)]
    return found


def _is_buffer(value: ast.expr) -> bool:
    return ast.unparse(value).startswith(IN_MEMORY)


def _gives_part(expression: ast.expr, safe: frozenset[str]) -> bool:
    if not isinstance(expression, ast.Call):
        return False
    return ast.unparse(expression.func) in ("replacing", "files.replacing") or bool(_names(expression) & safe)


def _names(call: ast.Call) -> set[str]:
    """The plain names that a call is made on and with."""
    parts = [*call.args, *(keyword.value for keyword in call.keywords), call.func]
    if isinstance(call.func, ast.Attribute):
        parts.append(call.func.value)
    return {part.id for part in parts if isinstance(part, ast.Name)}


def _named(call: ast.Call) -> str:
    """The last part of what is called."""
    return ast.unparse(call.func).rpartition(".")[2]


def _writes(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id in FUNCTIONS or (call.func.id == "open" and _to_write(call))
    if not isinstance(call.func, ast.Attribute):
        return False
    name, owner = call.func.attr, ast.unparse(call.func.value)
    if "os.devnull" in owner:
        return False
    return name in METHODS or owner in OF_LIBRARIES.get(name, ()) or (name == "open" and _to_write(call))


def _to_write(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    texts = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return any(len(text) <= 4 and set(text) & set("wax+") and set(text) <= set("rwaxbt+:gz") for text in texts)


@pytest.mark.parametrize(
    "code",
    [
        "path.write_text(x)",
        "(folder / 'a').write_bytes(x)",
        "with path.open('w') as file:\n    file.write(x)",
        "with open(path, 'ab') as file:\n    file.write(x)",
        "with open(path, mode='x') as file:\n    file.write(x)",
        "save_file(tensors, path)",
        "np.save(path, x)",
        "np.savez(path, a=x)",
        "cv2.imwrite(str(path), x)",
        "figure.savefig(path, dpi=100)",
        "writer = cv2.VideoWriter(str(path), 0, 30.0, (64, 48))",
        "table.to_csv(path)",
        "shutil.copy(a, b)",
        "json.dump(x, file)",
        "torch.save(x, path)",
        "with tarfile.open(path, 'w', format=0) as archive:\n    archive.add(x)",
        "with replacing(path) as part:\n    save_file(x, part)",
        "with replacing(path) as part:\n    safetensors.torch.save_file(x, part)",
        "with replacing(path) as part:\n    np.save(path, x)",
        "with replacing(path) as part:\n    pass\nnp.save(part, x)",
    ],
)
def test_a_direct_write_is_seen(code):
    assert len(list(direct_writes(ast.parse(code)))) >= 1


@pytest.mark.parametrize(
    "code",
    [
        "replace_text(path, x)",
        "with path.open() as file:\n    file.read()",
        "with path.open('rb') as file:\n    file.read()",
        "with tarfile.open(path, 'r:') as archive:\n    archive.next()",
        "with replacing(path) as part:\n    np.save(part, x)",
        "replace_file(path, save(tensors))",
        "with replacing(path) as part, part.open('wb') as file:\n    np.save(file, x)",
        "with replacing(path) as part:\n    with tarfile.open(part, 'w') as archive:\n        archive.add(x)",
        "def f():\n    file = io.BytesIO()\n    np.save(file, x)",
        "def f():\n    a, text = 1, io.StringIO()\n    json.dump(x, text)",
        "sys.stdout.write(x)",
        "ShardFolder.open(path)",
        "text.replace('a', 'b')",
        "from prehend.io.films.writing import VideoWriter\nVideoWriter(path, 30.0)",
    ],
)
def test_what_is_written_beside_or_read_is_none(code):
    assert [ast.unparse(call) for call in direct_writes(ast.parse(code))] == []


@pytest.mark.parametrize("path", sorted(TRAINING.rglob("*.py")), ids=lambda path: str(path.relative_to(TRAINING)))
def test_training_writes_files_whole_or_not_at_all(path):
    found = [f"line {call.lineno}: {ast.unparse(call)[:60]}" for call in direct_writes(ast.parse(path.read_text()))]
    assert found == [], "write through prehend.files (replace_text, replacing, append_line) or storage.tensors"


def test_so_does_the_package_where_it_does_not_stream():
    found = {
        str(path.relative_to(SRC)): [ast.unparse(call)[:60] for call in calls]
        for path in sorted(SRC.rglob("*.py"))
        if (calls := list(direct_writes(ast.parse(path.read_text()))))
    }
    assert found.keys() == STREAMS.keys(), found
