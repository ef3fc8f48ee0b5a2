"""The import arrows of the package, read from the imports themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "prehend"

BASE = {"conventions", "errors", "types", "check", "files", "documents", "__init__"}
MAY_IMPORT = {
    "conventions": set(),
    "errors": set(),
    "check": {"errors"},
    "types": {"conventions", "errors", "check"},
    "files": {"errors"},
    "documents": {"errors"},
    "geometry": BASE,
    "object_catalogue": BASE | {"geometry"},
    "hand_model": BASE | {"geometry"},
    "weights": BASE,
    "backends": BASE | {"weights", "models"},
    "pipeline": BASE | {"geometry", "hand_model", "object_catalogue", "weights", "backends"},
    "models": BASE | {"hand_model"},
    "export": BASE | {"models", "backends", "weights", "hand_model"},
    "io": BASE | {"geometry"},
    "draw": BASE | {"geometry", "io"},
    "view": BASE | {"geometry", "object_catalogue", "pipeline", "io", "draw"},
    "eval": BASE | {"geometry", "hand_model", "pipeline"},
    "ros": BASE | {"geometry", "object_catalogue", "pipeline", "io", "draw"},
    "cli": BASE
    | {
        "geometry",
        "hand_model",
        "object_catalogue",
        "weights",
        "pipeline",
        "io",
        "draw",
        "view",
        "eval",
        "ros",
        "export",
    },
}
ONLY_IN = {
    "torch": ("models/", "export/", "backends/torch_.py", "hand_model/torch_.py"),
    "rclpy": ("ros/",),
    "moderngl": (),
    "scipy": (),
    "av": ("io/film_av.py",),
    "rerun": ("view/rerun_.py",),
    "prehend_training": (),
}


def imports_of(path: Path) -> set[str]:
    """Full dotted names that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


FILES = sorted(SRC.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_arrows(path: Path) -> None:
    relative = path.relative_to(SRC)
    layer = relative.parts[0].removesuffix(".py")
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == "prehend" and len(parts) > 1 and layer != "__init__":
            target = parts[1]
            if target == "__version__":
                continue
            assert target == layer or target in MAY_IMPORT[layer], f"{relative} imports {name}"
        if parts[0] in ONLY_IN:
            assert str(relative).startswith(ONLY_IN[parts[0]]) if ONLY_IN[parts[0]] else False, (
                f"{relative} imports {parts[0]}"
            )


def test_every_folder_has_a_rule() -> None:
    folders = {p.name for p in SRC.iterdir() if p.is_dir() and any(p.rglob("*.py"))}
    assert folders <= set(MAY_IMPORT)


@pytest.mark.parametrize(
    "modules", ["prehend", "prehend.pipeline.estimator, prehend.backends.onnx_, prehend.draw.overlay, prehend.cli.main"]
)
def test_core_needs_no_heavy_imports(modules: str) -> None:
    code = f"import sys, {modules}; print([m for m in ('torch', 'rclpy', 'tensorrt') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
