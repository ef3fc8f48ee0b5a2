"""Trained weights: folders with a manifest, the numbers as safetensors, and one ONNX graph without numbers per stage.

The shipped ones lie beside this file. Both backends take their numbers from the same safetensors file.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from prehend.conventions import JOINT_NAMES
from prehend.documents import read_json
from prehend.errors import AssetError, UnknownName, WeightsMismatch, one_line

SCHEMA = "prehend.weights/1"
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
SHIPPED = Path(__file__).parent
ON_DEMAND = ("fuse_frames",)
"""Stages that only an option asks for: the default backend opens them when they are run for the first time."""

_LARGEST_MANIFEST = 16 << 20
_PLAIN_LIST = re.compile(r"\[\n[^\[\]{}]*\]")
WAY_OUT = "install the package again, or export the weights again"


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """A manifest as the text of its file, for people to read: lists of plain values take one line each."""
    text = json.dumps(manifest, indent=1) + "\n"
    return _PLAIN_LIST.sub(lambda found: re.sub(r"\n *", " ", found[0]).replace("[ ", "[").replace(" ]", "]"), text)


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
        except (SafetensorError, OSError, ValueError, TypeError, MemoryError) as error:
            raise AssetError(f"{path} cannot be read ({error}): {WAY_OUT}") from error
        _check_numbers(self, stored)
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
    digest = hashlib.sha256()
    try:
        if path.exists() and not path.is_file():
            raise AssetError(f"{path} is no regular file: {WAY_OUT}")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "no file can have that name"
        raise AssetError(f"{path} cannot be read ({said}): {WAY_OUT}") from error
    return digest.hexdigest()


def _read_bundle(folder: Path) -> Bundle:
    path = folder / MANIFEST
    manifest = read_json(path, lambda text: AssetError(f"{text}: {WAY_OUT}"), _LARGEST_MANIFEST, "not JSON")
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != SCHEMA:
        raise AssetError(f"{path} has schema {schema!r}, expected '{SCHEMA}': {WAY_OUT}")
    try:
        stages = {name: _read_stage(folder, entry) for name, entry in manifest["stages"].items()}
        weights = manifest["weights"]
        if _check_file(folder, weights).name != WEIGHTS:
            raise AssetError(f"{path}: its weights are {str(weights['file'])[:60]}, expected {WEIGHTS}: {WAY_OUT}")
        check_facts(path, manifest)
        name, network = (_text(manifest, key) for key in ("name", "network"))
        return Bundle(name, network, folder, stages, str(weights["sha256"]), manifest)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise AssetError(f"{path} lacks or garbles {one_line(error, 120)}: {WAY_OUT}") from error


def check_facts(path: Path, manifest: Mapping[str, Any]) -> None:
    """Raise `WeightsMismatch` unless a manifest says of its network what this version of the package takes for granted.

    Nothing in a graph tells that its hands are left ones or its joints in another order: results would be wrong.
    """
    wanted: dict[str, Any] = {"hand_side": "right", "joint_order": list(JOINT_NAMES)}
    for key, value in wanted.items():
        if manifest.get(key, value) != value:
            raise WeightsMismatch(f"{path}: its {key} is {str(manifest[key])[:60]}, this version takes {value}")
    picture = manifest["input"]
    if picture.get("colour", "RGB") != "RGB" or list(picture.get("range", [0, 1])) != [0, 1]:
        raise WeightsMismatch(f"{path}: its images are {str(picture)[:80]}, this version gives RGB from 0 to 1")
    hand, cost = manifest.get("hand_model", {"name": "", "sha256": ""}), manifest.get("gmac", {})
    if not all(isinstance(hand[key], str) for key in ("name", "sha256")):
        raise TypeError("'hand_model'")
    if not all(isinstance(value, int | float) for value in (manifest.get("parameters", 0), *dict(cost).values())):
        raise TypeError("'parameters' or 'gmac'")
    config, stages = manifest.get("config"), manifest["stages"]
    if not isinstance(config, dict) or config.get("size") != picture["size"]:
        raise WeightsMismatch(f"{path}: it has no config of its network, or another size of image: {WAY_OUT}")
    sizes = {
        tuple(spec["shape"][-2:]) for stage in stages.values() for spec in stage["inputs"] if spec["name"] == "image"
    }
    # a detector looks at larger images too
    allowed = {(side, side) for side in (picture["size"], config.get("wide_size", picture["size"]))}
    if not sizes <= allowed:
        raise WeightsMismatch(f"{path}: its stages take another size of image than it says: {WAY_OUT}")
    if (manifest["network"] in ("detector", "finder")) != ("find" in stages):  # the second is its former name
        raise WeightsMismatch(
            f"{path}: the stages {', '.join(stages)} are not those of '{manifest['network']}': {WAY_OUT}"
        )


def _check_numbers(bundle: "Bundle", names: Iterable[str]) -> None:
    """Every number of the weights belongs to a stage, and every stage has some: a graph without them gives noise."""
    taken = {name for stage in bundle.stages.values() for name in stage.initializers}
    empty = [stage for stage, file in bundle.stages.items() if not file.initializers]
    left = sorted(set(names) - taken)
    if empty or left:
        said = f"stage '{empty[0]}' has no numbers" if empty else f"'{left[0]}' belongs to no stage"
        raise WeightsMismatch(f"the manifest of weights '{bundle.name}' was changed: {said}: {WAY_OUT}")


def _text(entry: Mapping[str, Any], key: str) -> str:
    if not isinstance(entry[key], str) or not entry[key]:
        raise TypeError(f"'{key}'")
    return str(entry[key])


def _read_stage(folder: Path, entry: Mapping[str, Any]) -> StageFile:
    inputs, outputs = (
        tuple(TensorSpec(_text(spec, "name"), _shape(spec["shape"])) for spec in entry[side])
        for side in ("inputs", "outputs")
    )
    names = entry["initializers"]
    if not inputs or not outputs or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError("'inputs', 'outputs' or 'initializers' of a stage")
    return StageFile(_check_file(folder, entry), inputs, outputs, tuple(names))


def _shape(lengths: Any) -> tuple[int | str, ...]:
    fits = isinstance(lengths, list) and all(
        isinstance(n, str) or (type(n) is int and 0 < n < 1 << 20) for n in lengths
    )
    if not fits:
        raise TypeError(f"the shape {str(lengths)[:60]}")
    return tuple(lengths)


def _check_file(folder: Path, entry: Mapping[str, Any]) -> Path:
    """The path of a manifest's file, once its sha256 is checked."""
    path = folder / Path(entry["file"]).name
    found = file_sha256(path)
    if found != entry["sha256"]:
        raise AssetError(f"{path} is not the file of its manifest (sha256 {found[:12]}...): {WAY_OUT}")
    return path
