"""Engines on disk: a manifest beside the files of each, which says what it was made from, for what, and what it costs.

An engine is one network for one backend, provider and precision. Its folder is found by those names; whether it is
the right one says its manifest, which is written last, by one rename: a reader never meets half of an engine.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prehend.backends.settings import BackendSettings
from prehend.documents import read_json
from prehend.errors import EngineMismatch, OutputError, one_line
from prehend.files import reason, replace_text
from prehend.weights import Bundle, file_sha256

SCHEMA = "prehend.engine/1"
MANIFEST = "engine.json"
LOCK = ".lock"
DIGEST = "manifest_sha256"

_LARGEST_MANIFEST = 64 << 20


@dataclass(frozen=True)
class WholeEngine:
    """An engine that is whole and belongs to its weights.

    Attributes:
        folder: of its files.
        manifest: what is known of it.
        files: path of each stage's file; empty for backends that need none.
    """

    folder: Path
    manifest: Mapping[str, Any]
    files: Mapping[str, Path]


def engine_folder(bundle: Bundle, backend: str, provider: str, settings: BackendSettings) -> Path:
    """Where the engine of some weights for a backend, provider and precision lies."""
    return settings.engines / bundle.name / f"{backend}-{provider}-{settings.precision}"


def export_command(bundle: Bundle, backend: str, provider: str, settings: BackendSettings) -> str:
    """The command that makes an engine."""
    shipped = bundle.folder.parent.name == "weights" and bundle.folder.name == bundle.name
    parts = ["prehend export", bundle.name if shipped else str(bundle.folder), f"--engine {backend}"]
    parts += [f"--provider {provider}"] if backend != "tensorrt" else []
    parts += [f"--precision {settings.precision}"]
    parts += ["--compile"] if settings.compiled else []
    parts += [f"--engine-dir {settings.engine_dir}"] if settings.engine_dir is not None else []
    return " ".join(parts)


def load_engine(
    bundle: Bundle, backend: str, provider: str, settings: BackendSettings, running_on: Mapping[str, str]
) -> WholeEngine:
    """The engine that weights and settings ask for, every file checked.

    Args:
        bundle: the weights.
        backend, provider: for which it is.
        settings: precision and folder.
        running_on: what it must have been built with and for, as this process finds it: versions and device.

    Raises:
        EngineMismatch: it is missing, damaged, edited by hand, or another's; says what differs and how to make one.
    """
    with locked(engine_folder(bundle, backend, provider, settings), shared=True):
        return checked_engine(bundle, backend, provider, settings, running_on)


def checked_engine(
    bundle: Bundle, backend: str, provider: str, settings: BackendSettings, running_on: Mapping[str, str]
) -> WholeEngine:
    """`load_engine` for who holds the lock."""
    folder = engine_folder(bundle, backend, provider, settings)
    way_out = f"make it with: {export_command(bundle, backend, provider, settings)}"
    if not (folder / MANIFEST).is_file():
        raise EngineMismatch(f"there is no engine {folder}: {way_out}")
    manifest = read_manifest(folder)
    asked = {
        "backend": backend,
        "provider": provider,
        "precision": settings.precision,
        "compiled": settings.compiled,
    }
    try:
        found = differences(manifest, bundle, asked, running_on)
        named = {
            str(stage): (folder / Path(told["file"]).name, told["sha256"]) for stage, told in manifest["stages"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise EngineMismatch(f"{folder / MANIFEST} lacks or garbles {one_line(error, 80)}; {way_out}") from error
    if found:
        raise EngineMismatch(f"engine {folder} is not for this: {'; '.join(found)}; {way_out}")
    for path, sha256 in named.values():
        if not path.is_file() or file_sha256(path) != sha256:
            raise EngineMismatch(f"{path} is not the file of its manifest; {way_out}")
    files = {stage: path for stage, (path, _) in named.items()}
    if backend != "torch" and files.keys() != bundle.stages.keys():
        raise EngineMismatch(f"engine {folder} has the stages {', '.join(files) or 'none'}; {way_out}")
    return WholeEngine(folder, manifest, files)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an engine.

    Raises:
        EngineMismatch: there is none, or it is not as it was written.
    """
    path = folder / MANIFEST
    manifest = read_json(path, EngineMismatch, _LARGEST_MANIFEST, "no manifest of an engine")
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != SCHEMA:
        raise EngineMismatch(f"{path} has schema {str(schema)[:40]!r}, expected '{SCHEMA}': export the engine again")
    if manifest.get(DIGEST) != digest_of(manifest):
        raise EngineMismatch(f"{path} was changed after it was written: export the engine again")
    return dict(manifest)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write a manifest with its digest, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    text = json.dumps({**manifest, DIGEST: digest_of(manifest)}, indent=1)
    replace_text(folder / MANIFEST, text + "\n")


def digest_of(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's content. It tells of edits by hand, not of forgery: an engine is a program like any
    other that is installed."""
    content = {key: value for key, value in manifest.items() if key != DIGEST}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def differences(
    manifest: Mapping[str, Any], bundle: Bundle, asked: Mapping[str, Any], running_on: Mapping[str, str]
) -> list[str]:
    """What keeps an engine from being the one that is asked for, one short text each; empty if it is the one."""
    found = []
    if manifest["weights"]["sha256"] != bundle.weights_sha256:
        found.append(f"its weights are {manifest['weights']['sha256'][:12]}, these are {bundle.weights_sha256[:12]}")
    for name, value in asked.items():
        if manifest[name] != value:
            found.append(f"its {name} is {manifest[name]}, asked for is {value}")
    for stage, file in bundle.stages.items():
        made_from = manifest["graphs"].get(stage)
        if made_from != file_sha256(file.path):
            found.append(f"its graph '{stage}' is {str(made_from)[:12]}, that of the weights is another")
    for name in running_on.keys() | manifest["built_with"].keys():
        theirs, ours = manifest["built_with"].get(name), running_on.get(name)
        if theirs != ours:
            found.append(f"built with {name} {theirs}, here is {ours}")
    return found


@contextmanager
def locked(folder: Path, shared: bool = False) -> Iterator[None]:
    """Keep others from writing an engine (or, shared, from writing while this process reads); waits for them.

    The lock is the system's own (flock): it goes with its process, however that ends.

    Raises:
        OutputError: the folder cannot be made. Who only reads goes on without a lock where none can be had.
    """
    path = folder.with_name(f"{LOCK}-{folder.name}")
    try:
        if not shared:
            folder.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | (0 if shared else os.O_CREAT), 0o666)
    except OSError as error:
        if shared:
            yield
            return
        raise OutputError(f"{folder.parent} cannot be written: {reason(error)}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
