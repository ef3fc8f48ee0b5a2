import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from prehend.backends import open_backend
from prehend.errors import AssetError, UnknownName, WeightsMismatch
from prehend.weights import MANIFEST, WEIGHTS, Bundle, available, file_sha256, load_bundle


@pytest.fixture
def folder(hand_bundle: Bundle, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(hand_bundle.folder, tmp_path / "copy"))


def edit_manifest(folder: Path, **entries) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def edit_arrays(folder: Path, change) -> None:
    """Change the numbers and let the manifest say so."""
    arrays = load_file(folder / WEIGHTS)
    change(arrays)
    save_file(arrays, folder / WEIGHTS)
    entry = {"file": WEIGHTS, "sha256": file_sha256(folder / WEIGHTS), "dtype": "float16"}
    edit_manifest(folder, weights=entry)


def test_a_folder_is_read_by_path_and_by_string(folder: Path) -> None:
    assert load_bundle(folder).weights_sha256 == load_bundle(str(folder)).weights_sha256


def test_shipped_weights_are_in_order() -> None:
    assert all(load_bundle(name).name == name for name in available())


def test_unknown_weights() -> None:
    with pytest.raises(UnknownName, match=r"manifest\.json"):
        load_bundle("unihope-xxl")


@pytest.mark.parametrize("name", [WEIGHTS, "hand.onnx", MANIFEST])
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(AssetError, match=rf"{name}.*again"):
        load_bundle(folder)


@pytest.mark.parametrize("name", [WEIGHTS, "hand.onnx"])
def test_changed_file_is_named(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(AssetError, match=f"{name} is not the file of its manifest"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "schema None"),
        ('{"schema": "prehend.weights/9"}', "prehend.weights/9"),
        ('{"schema": "prehend.weights/1"}', "stages"),
        ('{"schema": "prehend.weights/1", "stages": []}', "garbles"),
    ],
)
def test_bad_manifest(folder: Path, text: str, says: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(AssetError, match=says):
        load_bundle(folder)


def test_a_manifest_does_not_reach_outside_of_its_folder(folder: Path) -> None:
    outside = folder.parent / "outside.onnx"
    outside.write_bytes((folder / "hand.onnx").read_bytes())
    (folder / "hand.onnx").unlink()
    stages = json.loads((folder / MANIFEST).read_text())["stages"]
    stages["hand"]["file"] = "../outside.onnx"
    edit_manifest(folder, stages=stages)
    with pytest.raises(AssetError, match=r"outside\.onnx"):
        load_bundle(folder)


def test_not_safetensors(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"weights")
    entry = {"file": WEIGHTS, "sha256": file_sha256(folder / WEIGHTS), "dtype": "float16"}
    edit_manifest(folder, weights=entry)
    with pytest.raises(AssetError, match="cannot be read"):
        load_bundle(folder).load_arrays()


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_lacking_number_is_named(folder: Path, backend: str) -> None:
    edit_arrays(folder, lambda arrays: arrays.pop("mano_head.pose.bias"))
    with pytest.raises(WeightsMismatch, match=r"mano_head\.pose\.bias"):
        open_backend(backend, load_bundle(folder))


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_number_of_another_shape_is_named(folder: Path, backend: str) -> None:
    edit_arrays(folder, lambda arrays: arrays.update({"mano_head.pose.bias": np.zeros(3, np.float32)}))
    with pytest.raises(WeightsMismatch, match=r"mano_head\.pose\.bias|hand\.onnx .* dimensions do not match"):
        open_backend(backend, load_bundle(folder))


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_broken_numbers_are_named(folder: Path, backend: str) -> None:
    edit_arrays(folder, lambda arrays: arrays["mano_head.pose.bias"].fill(np.nan))
    with pytest.raises(WeightsMismatch, match=r"mano_head\.pose\.bias"):
        open_backend(backend, load_bundle(folder))


def test_a_graph_of_another_stage_is_refused(folder: Path) -> None:
    stages = json.loads((folder / MANIFEST).read_text())["stages"]
    for key in ("file", "sha256", "initializers"):
        stages["hand"][key] = stages["object"][key]
    edit_manifest(folder, stages=stages)
    with pytest.raises(WeightsMismatch, match="manifest"):
        open_backend("onnx", load_bundle(folder))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hand_side": "left"}, "hand_side"),
        ({"joint_order": ["wrist"]}, "joint_order"),
        ({"input": {"size": 128, "colour": "BGR", "range": [0, 1]}}, "RGB"),
        ({"input": {"size": 128, "colour": "RGB", "range": [0, 255]}}, "RGB"),
        ({"input": {"size": 96, "colour": "RGB", "range": [0, 1]}}, "size"),
        ({"config": {}}, "config"),
        ({"network": "finder"}, "stages"),
        ({"hand_model": {"name": "x"}}, "garbles"),
        ({"gmac": {"find": "x"}}, "garbles"),
        ({"name": 5}, "garbles"),
        ({"network": None}, "garbles"),
    ],
)
def test_what_a_manifest_says_of_its_network_is_not_passed_over(folder: Path, changes: dict, says: str) -> None:
    edit_manifest(folder, **changes)
    with pytest.raises(AssetError, match=says):
        load_bundle(folder)


@pytest.mark.parametrize("left", [0, 1])
def test_numbers_that_belong_to_no_stage_are_told(folder: Path, left: int) -> None:
    stages = json.loads((folder / MANIFEST).read_text())["stages"]
    stages["hand"]["initializers"] = stages["hand"]["initializers"][:left]
    edit_manifest(folder, stages=stages)
    with pytest.raises(WeightsMismatch, match="manifest of weights"):
        open_backend("onnx", load_bundle(folder))


@pytest.mark.parametrize(
    "shape", [["B", 3, 128], ["B", 3, 0, 128], ["B", 3, 1.5, 128], "B", None, ["B", 3, 10**9, 128], [["B"]]]
)
def test_shapes_that_are_none_are_told(folder: Path, shape: object) -> None:
    stages = json.loads((folder / MANIFEST).read_text())["stages"]
    stages["encode"]["inputs"][0]["shape"] = shape
    edit_manifest(folder, stages=stages)
    with pytest.raises(AssetError):
        open_backend("onnx", load_bundle(folder))


def test_files_that_are_no_files_are_not_waited_for(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()
    os.mkfifo(folder / "weights.safetensors")
    with pytest.raises(AssetError, match="no regular file"):
        load_bundle(folder)
