"""Mesh files are read by a process that may be ended before this one reads them: bounds on size do not bound time.

What a few kilobytes make a reader do (long chains of nodes, pieces that are used a million times, numbers that claim
gigabytes) nobody can tell from outside. What the trial survives within its time and memory, this process does.
"""

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

from prehend.bounds import MEMORY_BYTES, bound_memory
from prehend.errors import AssetError, MissingDependency, one_line

SUFFIXES = (".obj", ".ply", ".stl", ".glb")
MOST_BYTES = 256 << 20
TIMEOUT_S = 60.0

READERS_RAISE = (
    ValueError, TypeError, LookupError, AttributeError, OSError, EOFError, RuntimeError, ArithmeticError, MemoryError,
    AssertionError, ImportError, NameError, RecursionError, struct.error, zlib.error,
)  # fmt: skip
"""What trimesh was seen to raise over files that are no meshes."""

_CHILD = "import sys; sys.path[:] = {path!r}\nfrom prehend.mesh_files import serve\nsys.exit(serve(sys.argv[1]))\n"


def load_scene(path: Path, extra: str, merged: bool = True) -> Any:
    """A mesh file as trimesh's scene; it reads nothing but the file and what lies beside it.

    A process that may be ended reads it first, so that time and memory have their bounds.

    Args:
        path: of the file.
        extra: of this package that brings trimesh, for the error.
        merged: join corners that lie in one place.

    Raises:
        AssetError: the file is missing, too large, takes too long, or is no mesh.
        MissingDependency: trimesh is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise AssetError(f"mesh {path} is of no known kind; give one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise AssetError(f"mesh {path} does not exist")
    try:
        import trimesh  # noqa: F401
    except ImportError as error:
        raise MissingDependency(str(error.name), extra, "importing meshes") from error
    if path.stat().st_size > MOST_BYTES:
        raise AssetError(f"mesh {path} is larger than {MOST_BYTES >> 20} MiB: reduce it first")
    _try_mesh(path)
    return read_scene(path, merged)


def read_scene(path: Path, merged: bool = True) -> Any:
    """`load_scene` without its checks, within this process.

    Raises:
        AssetError: it is no mesh.
    """
    import trimesh

    try:
        # said outright, merging also joins what only colour or texture sets apart
        options: dict[str, Any] = {} if merged else {"process": False}
        return trimesh.load_scene(path, resolver=beside(path), **options)
    except READERS_RAISE as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: BaseException) -> AssetError:
    """Our error for what a reader of meshes raised."""
    said = one_line(error, 200)
    return AssetError(f"mesh {path} cannot be read: {said}")


def beside(path: Path) -> Any:
    """What finds the files that a mesh names: those in its own folder and below, never the network.

    Args:
        path: of the mesh.
    """
    from trimesh.resolvers import Resolver

    root = path.resolve().parent

    class Beside(Resolver):
        def __init__(self, folder: Path):
            self.folder = folder

        def keys(self) -> list[str]:
            return []

        def get(self, name: str) -> bytes:
            file = (self.folder / name.strip()).resolve()
            if "://" in name or not file.is_relative_to(root) or not file.is_file():
                raise FileNotFoundError(f"{name} does not lie beside the mesh")
            if file.stat().st_size > MOST_BYTES:
                raise ValueError(f"{name} is larger than {MOST_BYTES >> 20} MiB")
            return file.read_bytes()

        def write(self, name: str, data: bytes) -> None:
            raise OSError("nothing is written beside a mesh")

        def namespaced(self, namespace: str) -> "Beside":
            return Beside(self.folder / namespace)

    return Beside(root)


def _try_mesh(path: Path) -> None:
    """Read a mesh in a process of its own.

    Args:
        path: of the file.

    Raises:
        AssetError: it cannot be read, takes over `TIMEOUT_S` or over `MEMORY_BYTES`, or ends its reader.
    """
    command = [sys.executable, "-c", _CHILD.format(path=sys.path), str(path)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise AssetError(f"mesh {path} takes over {TIMEOUT_S:.0f} s to read: reduce it first") from None
    if done.returncode != 0:
        limit = f"{MEMORY_BYTES >> 30} GiB"
        raise AssetError(f"mesh {path} ended its reader, or takes over {limit} to read: damaged, or reduce it first")
    said = _answer(done.stdout)
    if said is not None:
        raise AssetError(said)


def serve(name: str) -> int:
    """Read a mesh with bounds on memory; prints the error of ours as JSON, null for none. Returns the exit code."""
    bound_memory()
    try:
        scene = read_scene(Path(name))
        for node in scene.graph.nodes_geometry:
            len(getattr(scene.geometry[scene.graph[node][1]], "faces", ()))
        said = None
    except AssetError as error:
        if isinstance(error.__cause__, MemoryError):
            return 1
        said = str(error)
    except MemoryError:
        return 1
    sys.stdout.write("\n" + json.dumps(said))
    return 0


def _answer(output: bytes) -> str | None:
    lines = output.decode("utf-8", "replace").splitlines()
    said = json.loads(lines[-1]) if lines else None
    return None if said is None else str(said)
