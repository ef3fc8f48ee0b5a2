import json
from pathlib import Path

import onnx
import pytest
import torch

from prehend.backends.torch_ import load_network
from prehend.conventions import JOINT_NAMES
from prehend.errors import InvalidInput, UnknownName, WeightsMismatch
from prehend.export.bundle import save_bundle
from prehend.models import registry
from prehend.models.detectors.centers import CENTER_DETECTOR, build_center_detector
from prehend.weights import SHIPPED, WEIGHTS, Bundle, available, load_bundle

GRAPH_LIMIT_BYTES = 200_000
ALL_LIMIT_BYTES = 25_000_000
"""What all that ships may take together."""


def test_folder_holds_one_set_of_numbers(bundle: Bundle) -> None:
    files = {path.name for path in bundle.folder.iterdir()}
    assert files == {"manifest.json", WEIGHTS, *(f"{name}.onnx" for name in bundle.stages)}
    assert all(file.path.stat().st_size < GRAPH_LIMIT_BYTES for file in bundle.stages.values())


def test_graphs_name_their_numbers_as_the_safetensors_do(bundle: Bundle) -> None:
    arrays = bundle.load_arrays()
    used = set()
    for file in bundle.stages.values():
        graph = onnx.load(file.path, load_external_data=False).graph
        assert tuple(tensor.name for tensor in graph.initializer) == file.initializers
        for tensor in graph.initializer:
            assert list(arrays[tensor.name].shape) == list(tensor.dims)
            assert {entry.key: entry.value for entry in tensor.external_data} == {"location": WEIGHTS}
        used |= set(file.initializers)
    assert used == set(arrays)


def test_no_input_is_named_and_not_given(bundle: Bundle) -> None:
    """ONNX Runtime would fuse no padding whose value is."""
    for file in bundle.stages.values():
        graph = onnx.load(file.path, load_external_data=False).graph
        assert all(node.input[-1] for node in graph.node if node.input)


def test_a_graph_holds_nothing_twice_and_no_paths_of_modules(bundle: Bundle) -> None:
    for file in bundle.stages.values():
        graph = onnx.load(file.path, load_external_data=False).graph
        values = [node.attribute[0].SerializeToString() for node in graph.node if node.op_type == "Constant"]
        assert values and len(values) == len(set(values))
        names = [node.name for node in graph.node]
        assert len(set(names)) == len(names) and max(map(len, names)) < 8  # not empty: converters need them


def test_what_ships_is_small() -> None:
    shipped = [load_bundle(name).folder for name in available()]
    assert len(shipped) >= 3 and all(folder.parent == SHIPPED for folder in shipped)
    assert sum(path.stat().st_size for folder in shipped for path in folder.iterdir()) <= ALL_LIMIT_BYTES


def test_shapes_in_graph_and_manifest_agree(bundle: Bundle) -> None:
    for file in bundle.stages.values():
        graph = onnx.load(file.path, load_external_data=False).graph
        for values, specs in ((graph.input, file.inputs), (graph.output, file.outputs)):
            stated = [(v.name, [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]) for v in values]
            assert stated == [(spec.name, list(spec.shape)) for spec in specs]


def test_manifest_says_what_it_is(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert (bundle.name, bundle.network) == (bundle.folder.name, bundle.folder.name)
    assert manifest["joint_order"] == list(JOINT_NAMES)
    assert manifest["hand_side"] == "right"
    assert manifest["licence"] == "none"
    assert manifest["input"]["size"] == bundle.stages[next(iter(bundle.stages))].inputs[0].shape[-1]
    looks = any(spec.name == "image" for file in bundle.stages.values() for spec in file.inputs)
    assert manifest["input"].get("colour") == ("RGB" if looks else None)
    described = registry.describe(bundle.network)
    assert manifest["parameters"] == described.parameters
    assert manifest["gmac"] == described.gmac


def test_numbers_come_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = registry.create("detector")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()
    exact = load_network(save_bundle(network, tmp_path / "exact", "detector", {}, dtype="float32")).state_dict()
    half = load_network(save_bundle(network, tmp_path / "half", "detector", {})).state_dict()
    assert network.training
    for name, tensor in before.items():
        assert torch.equal(network.state_dict()[name], tensor)
        assert torch.equal(exact[name], tensor)
        torch.testing.assert_close(half[name], tensor, rtol=1e-3, atol=1e-6)
    small, large = ((tmp_path / kind / WEIGHTS).stat().st_size for kind in ("half", "exact"))
    assert small < 0.55 * large


def test_same_weights_give_the_same_files(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_center_detector(CENTER_DETECTOR)
    one, two = (save_bundle(network, tmp_path / side / "same", "detector", {}) for side in "ab")
    assert json.dumps(one.manifest) == json.dumps(two.manifest)


def test_numbers_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    network = build_center_detector(CENTER_DETECTOR)
    network.answers.weight.data[0, 0] = 1e6
    with pytest.raises(WeightsMismatch, match="answers"):
        save_bundle(network, tmp_path / "w", "detector", {})


def test_wrong_names_are_refused(tmp_path: Path) -> None:
    network = build_center_detector(CENTER_DETECTOR)
    with pytest.raises(UnknownName, match="unihope"):
        save_bundle(network, tmp_path / "w", "unihope", {})
    with pytest.raises(WeightsMismatch, match="unihope-s"):
        save_bundle(network, tmp_path / "w", "unihope-s", {})
    with pytest.raises(InvalidInput, match="config"):
        save_bundle(network, tmp_path / "w", "detector", {"config": {}})
