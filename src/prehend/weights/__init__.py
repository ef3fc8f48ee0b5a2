"""Trained weights: folders with a manifest, the numbers as safetensors, and one ONNX graph without numbers per stage.

The shipped ones lie beside this file. Both backends take their numbers from the same safetensors file.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from prehend.errors import AssetError, UnknownName, WeightsMismatch

SCHEMA = "prehend.weights/1"
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
SHIPPED = Path(__file__).parent

WAY_OUT = "install the package again, or export the weights again"


@dataclass(frozen=True)
class TensorSpec:
    """Name and shape of an array; a name in the shape stands for a free size ("B" for the batch)."""

    name: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class StageFile:
    """One stage of a network: its graph, the arrays that go in and come out, in order, and the numbers it needs."""

    path: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    initializers: tuple[str, ...]


@dataclass(frozen=True)
class Bundle:
    """Weights that are in order: every file is there and is the one the manifest speaks of.

    Attributes:
        name: of the weights.
        network: name of the network in the registry.
        folder: where the files are.
        stages: by name, in the order in which they are run.
        weights_sha256: of the safetensors file; says which weights made a result.
        manifest: everything else that is known (config, training, measurements, licence).
    """

    name: str
    network: str
    folder: Path
    stages: Mapping[str, StageFile]
    weights_sha256: str
    manifest: Mapping[str, Any]

    def load_arrays(self) -> dict[str, NDArray[np.float32]]:
        """The numbers by name, as float32 whatever they are stored as.

        Raises:
            AssetError: the file is not safetensors.
            WeightsMismatch: a number is not finite.
        """
        path = self.folder / WEIGHTS
        try:
            stored = load_file(path)
        except (SafetensorError, OSError) as error:
            raise AssetError(f"{path} cannot be read ({error}): {WAY_OUT}") from error
        arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in stored.items()}
        broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
        if broken:
            raise WeightsMismatch(f"{path} holds NaN or infinite values in '{broken[0]}': {WAY_OUT}")
        return arrays


def available() -> list[str]:
    """Names of the shipped weights."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{MANIFEST}"))


def load_bundle(name_or_folder: str | Path) -> Bundle:
    """Weights by name or folder, with the sha256 of every file checked.

    Args:
        name_or_folder: one of `available()`, or a folder as `prehend.export.bundle.save_bundle` writes it.

    Raises:
        UnknownName: neither a name nor a folder.
        AssetError: a file is missing or is not what the manifest says, or the manifest is not one.
    """
    if isinstance(name_or_folder, str) and name_or_folder in available():
        return _read_bundle(SHIPPED / name_or_folder)
    folder = Path(name_or_folder)
    if not folder.is_dir():
        raise UnknownName("weights", str(name_or_folder), [*available(), "a folder with a manifest.json"])
    return _read_bundle(folder)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        AssetError: the file is missing or cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise AssetError(f"{path} cannot be read ({error.strerror}): {WAY_OUT}") from error


def _read_bundle(folder: Path) -> Bundle:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AssetError(f"{path} cannot be read ({error.strerror}): {WAY_OUT}") from error
    except ValueError as error:
        raise AssetError(f"{path} is not JSON ({error}): {WAY_OUT}") from error
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != SCHEMA:
        raise AssetError(f"{path} has schema {schema!r}, expected '{SCHEMA}': {WAY_OUT}")
    try:
        stages = {name: _read_stage(folder, entry) for name, entry in manifest["stages"].items()}
        weights = manifest["weights"]
        _check_file(folder, weights)
        return Bundle(manifest["name"], manifest["network"], folder, stages, weights["sha256"], manifest)
    except (KeyError, TypeError, AttributeError) as error:
        raise AssetError(f"{path} lacks or garbles {error}: {WAY_OUT}") from error


def _read_stage(folder: Path, entry: Mapping[str, Any]) -> StageFile:
    inputs, outputs = (
        tuple(TensorSpec(spec["name"], tuple(spec["shape"])) for spec in entry[side]) for side in ("inputs", "outputs")
    )
    return StageFile(_check_file(folder, entry), inputs, outputs, tuple(entry["initializers"]))


def _check_file(folder: Path, entry: Mapping[str, Any]) -> Path:
    """The path of a manifest's file, once its sha256 is checked."""
    path = folder / Path(entry["file"]).name
    found = file_sha256(path)
    if found != entry["sha256"]:
        raise AssetError(f"{path} is not the file of its manifest (sha256 {found[:12]}...): {WAY_OUT}")
    return path
