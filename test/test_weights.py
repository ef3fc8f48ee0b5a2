"""Weights as files: what is read is what is there, and checksums are those that other programs give."""

import hashlib
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from prehend.conventions import JOINT_NAMES
from prehend.errors import AssetError, UnknownName, WeightsMismatch
from prehend.weights import SHIPPED, available, check_facts, file_sha256, load_bundle, manifest_text

NAMES = available()
pytestmark = pytest.mark.skipif(not NAMES, reason="no weights are here")


@pytest.mark.parametrize("content", [b"", b"x", bytes(3 << 20)], ids=len)
def test_a_checksum_is_that_of_the_bytes(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    assert file_sha256(tmp_path / "x") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: None, lambda path: path.symlink_to(path.name)])
def test_what_is_no_file_is_not_waited_for(tmp_path, make):
    make(tmp_path / "x")
    with pytest.raises(AssetError, match="install the package again"):
        file_sha256(tmp_path / "x")
    with pytest.raises(AssetError, match="install the package again"):
        file_sha256(tmp_path / "no\0name")


@pytest.mark.parametrize("name", NAMES)
def test_shipped_weights_are_the_same_by_name_and_by_folder(name):
    one, other = load_bundle(name), load_bundle(SHIPPED / name)
    assert one.name == other.name == name and one.weights_sha256 == other.weights_sha256
    assert list(one.stages) == list(other.stages) and one.network
    for stage in one.stages.values():
        assert stage.path.is_file() and stage.inputs[0].shape[0] == "B"
        assert all(spec.shape[0] == "B" for spec in (*stage.inputs, *stage.outputs))


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_of_shipped_weights_are_finite_and_all_of_use(name):
    bundle = load_bundle(name)
    arrays = bundle.load_arrays()
    taken = {number for stage in bundle.stages.values() for number in stage.initializers}
    assert set(arrays) == taken
    assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays.values())
    counted = sum(array.size for array in arrays.values())
    assert bundle.manifest.get("parameters", counted) <= counted, "statistics come on top"


def test_shipped_weights_fit_in_25_mb_and_name_no_place_of_a_machine():
    files = [
        path for path in SHIPPED.rglob("*") if path.is_file() and path.suffix in (".onnx", ".json", ".safetensors")
    ]
    assert sum(path.stat().st_size for path in files) <= 25_000_000
    for path in files:
        if path.name == "manifest.json":
            assert not re.search(r'"(/|~|[A-Za-z]:)', path.read_text()), path


@pytest.mark.parametrize("name", ["nonesuch", "/no/such/folder", "palm/", ""])
def test_what_is_neither_name_nor_folder_lists_the_names(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name == "":
        with pytest.raises(AssetError, match=r"manifest\.json"):
            load_bundle(name)
        return
    with pytest.raises(UnknownName, match="choose one of"):
        load_bundle(name)


def facts(**changes):
    whole = {
        "network": "unihope-s", "hand_side": "right", "joint_order": list(JOINT_NAMES), "config": {"size": 128},
        "input": {"size": 128, "colour": "RGB", "range": [0, 1]},
        "stages": {"encode": {"inputs": [{"name": "image", "shape": ["B", 3, 128, 128]}]}},
    }  # fmt: skip
    return {**whole, **changes}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hand_side": "left"}, "hand_side is left"),
        ({"joint_order": list(JOINT_NAMES)[::-1]}, "joint_order"),
        ({"input": {"size": 128, "colour": "BGR"}}, "RGB from 0 to 1"),
        ({"input": {"size": 128, "range": [-1, 1]}}, "RGB from 0 to 1"),
        ({"config": {"size": 96}}, "another size"),
        ({"config": None}, "no config"),
        ({"network": "detector"}, "stages encode are not those of 'detector'"),
        ({"stages": {"encode": {"inputs": [{"name": "image", "shape": ["B", 3, 64, 64]}]}}}, "another size of image"),
        ({"stages": {"find": {"inputs": [{"name": "image", "shape": ["B", 3, 128, 128]}]}}}, "not those of"),
    ],
)
def test_weights_for_another_network_are_refused_and_not_run(changes, says):
    check_facts(Path("manifest.json"), facts())
    with pytest.raises(WeightsMismatch, match=says) as told:
        check_facts(Path("manifest.json"), facts(**changes))
    assert "manifest.json" in str(told.value) and "\n" not in str(told.value)


def test_a_manifest_is_read_back_as_it_was_and_plain_lists_take_a_line() -> None:
    content = {"a": [1, -2.5, "x, y"], "b": {"c": [], "d": [[1, 2], [3]], "e": ["[ 1, 2 ]", "}", "u \n v"]}, "f": None}
    text = manifest_text(content)
    assert json.loads(text) == content and text.endswith("}\n")
    assert ' "a": [1, -2.5, "x, y"],\n' in text and "   [1, 2],\n" in text
