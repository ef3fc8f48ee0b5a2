"""The import arrows of the package, read from the imports themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "prehend"

BASE = {"conventions", "errors", "types", "check", "files", "documents", "resources", "bounds", "__init__"}
MAY_IMPORT = {
    "conventions": set(),
    "errors": set(),
    "check": {"errors"},
    "types": {"conventions", "errors", "check"},
    "files": {"errors"},
    "documents": {"errors"},
    "resources": {"errors"},
    "bounds": set(),
    "mesh_files": BASE,
    "geometry": BASE,
    "object_catalogue": BASE | {"geometry"},
    "object_meshes": BASE | {"object_catalogue", "mesh_files"},
    "hand_model": BASE | {"geometry"},
    "weights": BASE,
    "backends": BASE | {"weights", "models"},
    "pipeline": BASE | {"geometry", "hand_model", "object_catalogue", "weights", "backends", "export"},
    "models": BASE | {"geometry", "hand_model"},
    "prior": BASE | {"geometry", "hand_model", "models", "weights"},
    "export": BASE | {"models", "backends", "weights", "hand_model"},
    "io": BASE | {"geometry"},
    "draw": BASE | {"geometry", "io"},
    "adapters": BASE | {"geometry", "hand_model"},
    "eval": BASE | {"geometry", "hand_model", "object_catalogue", "mesh_files", "pipeline", "io", "draw"},
    "rig": BASE | {"geometry", "hand_model", "pipeline", "io", "draw"},
    "ros": BASE | {"rig", "geometry", "object_catalogue", "pipeline", "io", "draw", "adapters", "backends"},
    "view": BASE | {"geometry", "object_catalogue", "pipeline", "io", "draw"},
    "cli": BASE
    | {
        "rig",
        "view",
        "geometry",
        "hand_model",
        "object_catalogue",
        "object_meshes",
        "weights",
        "pipeline",
        "io",
        "draw",
        "eval",
        "ros",
        "export",
        "backends",
        "prior",
    },
}
ORDER = {
    "hand_model": ("unpickling", ".", "meshes"),
    "pipeline": (
        "crops",
        "frames",
        "networks",
        "smoothing",
        "options",
        "detection",
        "depth",
        "observing",
        "tracking",
        "hypotheses",
        ".",
    ),
    "models": ("stage", "layers", "trunks", "heads", "detectors", "hand_object", "meshes", "sima", "."),
    "io": ("quiet", "plain_names", "rates", "pixels", "frames", "cameras", "bags", "films", "results", "."),
    "eval": (".", "papers", "photographs", "truth", "judge", "judge.report"),
    "rig": ("views", "."),
    "ros": (
        "middleware",
        "messages",
        "start",
        "topics",
        "conversion",
        "params",
        "nodes",
        "frames",
        "depth",
        "inputs",
        "outputs",
        "cameras",
        "playback",
        ".",
    ),
    "cli": ("arguments", "running", "evaluation", "assets", "."),
}
"""Rooms of each package, and single modules where they must come earlier; `.` is all that lies in the package itself.
Each imports from itself and from those before it alone."""
TRAINING = Path(__file__).parents[1] / "training" / "prehend_training"
ROOMS = (
    "__init__",
    "sample",
    "transforms",
    "assets",
    "objects.shapes",
    "objects",
    "grasps",
    "grasps.search",
    "storage",
    "datasets",
    "pretrained",
    "photos",
    "scenes",
    "scenes.geometry",
    "scenes.appearance",
    "scenes.camera",
    "scenes.people",
    "scenes.layout",
    "scenes.render",
    "engine",
    "data.pixels",
    "data",
    "data.stores",
    "losses",
    "fusion",
    "moments",
    "palms",
    "prior",
    "sima",
    "train.loop",
    "train.tasks",
    "train",
    "inspect",
    "evaluate.films",
    "evaluate",
    "evaluate.photographs",
    "imports",
    "experiments",
    "deocclude",
    "boost.generator",
    "boost",
    "cli.parsing",
    "cli.images",
    "cli.networks",
    "cli",
)
"""Rooms of the training workspace; each imports from itself and from those above it alone."""
MOST_FILES = 12
"""In a room: more do not let a reader in."""
MOST_LINES = 400
"""Of a file of tests."""
ONLY_IN = {
    "torch": ("models/", "prior/", "export/", "backends/torch_", "hand_model/torch_.py"),
    "tensorrt": ("backends/tensorrt_api.py",),
    "cuda": ("backends/tensorrt_api.py",),
    "onnx": ("export/",),
    "openvino": (),
    "rclpy": ("ros/",),
    "moderngl": (),
    "scipy": ("geometry/rotations.py",),
    "av": ("io/films/pyav.py",),
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


def named(path: Path, root: Path = SRC) -> str:
    """A file as a module, without the package's name."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports_between(root: Path) -> dict[str, set[str]]:
    """The modules of a package, each with those of it that it imports; names without the package's."""
    paths = {named(path, root): path for path in root.rglob("*.py")}
    found = {}
    for module, path in paths.items():
        own = [name.removeprefix(f"{root.name}.") for name in imports_of(path) if name.startswith(f"{root.name}.")]
        ends = [next((end for end in (name, name.rpartition(".")[0]) if end in paths), None) for name in own]
        found[module] = {end for end in ends if end is not None} - {module}
    return found


FILES = sorted(SRC.rglob("*.py"))
IMPORTS = imports_between(SRC)
OF_MODULES = {
    name: {one for one in imports if not (SRC / one.replace(".", "/")).is_dir()} for name, imports in IMPORTS.items()
}
"""Without what is imported from a package itself: its `__init__` may export what a module of it has."""


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


def place_of(module: str) -> tuple[str, int]:
    """The package that a module (without `prehend.`) is in, and which of its places in ORDER."""
    package, _, rest = module.partition(".")
    order = ORDER[package]
    places = [place for place in order if f"{rest}.".startswith(f"{place}.")]
    return package, order.index(max(places, key=len, default="."))


@pytest.mark.parametrize("path", [p for p in FILES if p.relative_to(SRC).parts[0] in ORDER], ids=lambda p: named(p))
def test_arrows_between_rooms(path: Path) -> None:
    package, own = place_of(named(path))
    for name in IMPORTS[named(path)]:
        if name.partition(".")[0] == package and name != package:
            assert place_of(name)[1] <= own, f"{named(path)} imports {name}, which comes later in {package}"


def test_there_are_the_rooms_that_are_ordered() -> None:
    for package, order in ORDER.items():
        rooms = {named(path.parent / "__init__.py") for path in (SRC / package).rglob("*.py")} - {package}
        assert {f"{package}.{place}" for place in order if place != "."} >= rooms
        assert {f"{package}.{place}" for place in order if place != "."} <= IMPORTS.keys()


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


def room_of(module: str) -> str:
    """The room of ROOMS that a module (without `prehend_training.`) is in."""
    return next(room for room in sorted(ROOMS, key=len, reverse=True) if f"{module}.".startswith(f"{room}."))


TRAINING_IMPORTS = imports_between(TRAINING)


@pytest.mark.parametrize("module", sorted(TRAINING_IMPORTS))
def test_arrows_of_training(module: str) -> None:
    own = ROOMS.index(room_of(module))
    for name in TRAINING_IMPORTS[module]:
        assert ROOMS.index(room_of(name)) <= own, f"{module} imports {name}, which is below it"


@pytest.mark.parametrize("imports", [OF_MODULES, TRAINING_IMPORTS], ids=["prehend", "prehend_training"])
def test_there_are_no_circles(imports: dict[str, set[str]]) -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"a circle: {' -> '.join((*path[path.index(module) :], module))}"
        if module not in done:
            for name in sorted(imports[module]):
                visit(name, (*path, module))
            done.add(module)

    for module in imports:
        visit(module, ())


def test_tools_have_no_circles() -> None:
    tools = Path(__file__).parents[1] / "tools"
    left = {path.stem: {name.partition(".")[0] for name in imports_of(path)} for path in tools.glob("*.py")}
    while ready := [name for name, wanted in left.items() if not wanted & left.keys()]:
        for name in ready:
            del left[name]
    assert not left, f"a circle among {sorted(left)}"


@pytest.mark.parametrize("root", [SRC, TRAINING], ids=lambda root: root.name)
def test_rooms_let_a_reader_in(root: Path) -> None:
    for folder in {path.parent for path in root.rglob("*.py")}:
        files = [path.name for path in folder.glob("*.py") if not path.name.startswith("__")]
        assert len(files) <= MOST_FILES, f"{folder.relative_to(root)} holds {len(files)} modules: {sorted(files)}"


def test_rooms_of_training_are_known() -> None:
    assert {path.stem for path in TRAINING.glob("*.py")} <= set(ROOMS)


def test_tests_of_training_mirror_it() -> None:
    tests = Path(__file__).parent / "training"
    for path in tests.rglob("test_*.py"):
        assert path.parent != tests, f"{path.name} belongs into the folder of a room"
        assert (TRAINING / path.parent.relative_to(tests)).is_dir(), f"{path} tests no room of training"


def test_tests_lie_in_folders_of_the_package() -> None:
    tests = Path(__file__).parent
    others = {tests, tests / "examples"}
    for folder in {path.parent for path in tests.rglob("test_*.py")} - others:
        if not {"training", "workspace"} & set(folder.relative_to(tests).parts):
            assert (SRC / folder.relative_to(tests)).is_dir(), f"{folder} tests no room"


def test_tests_of_a_topic_are_read_in_one_sitting() -> None:
    tests = Path(__file__).parent
    lines = {str(path.relative_to(tests)): len(path.read_text().splitlines()) for path in tests.rglob("*.py")}
    assert not {name: count for name, count in lines.items() if count > MOST_LINES}, "split them by topic"


def test_a_frames_way_is_read_in_one_short_file() -> None:
    assert len((SRC / "pipeline" / "estimator.py").read_text().splitlines()) <= 150


def test_presets_answer_for_themselves() -> None:
    """Through `train.loop.preset.Preset`: nobody asks of which kind one is."""
    for path in TRAINING.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                assert not ast.unparse(node.args[1]).endswith("Preset"), f"{path}:{node.lineno}"


def test_a_name_means_one_class() -> None:
    homes: dict[str, set[Path]] = {}
    for path in (*FILES, *TRAINING.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, set()).add(path)
    assert not {name: sorted(paths) for name, paths in homes.items() if len(paths) > 1}
