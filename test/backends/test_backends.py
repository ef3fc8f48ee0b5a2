import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from prehend.backends import Backend, open_backend
from prehend.backends.base import calls_at_once
from prehend.errors import InvalidInput, MissingDependency, UnknownName
from prehend.weights import Bundle, load_bundle


def inputs_of(bundle: Bundle, stage: str, items: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {spec.name: (items, *map(int, spec.shape[1:])) for spec in bundle.stages[stage].inputs}
    given = {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
    for name in given.keys() & {"hand_box", "object_box"}:
        given[name] = np.tile(np.array([20, 30, 90, 110], np.float32), (items, 1))
    return given


@pytest.mark.parametrize("stage", ["encode", "object", "hand"])
@pytest.mark.parametrize("items", [1, 3])
def test_outputs_are_those_of_the_manifest(backend: Backend, stage: str, items: int) -> None:
    answers = backend.infer(stage, inputs_of(backend.bundle, stage, items))
    specs = backend.bundle.stages[stage].outputs
    assert list(answers) == [spec.name for spec in specs]
    for spec in specs:
        assert answers[spec.name].dtype == np.float32
        assert answers[spec.name].shape == (items, *spec.shape[1:])


def test_items_of_a_batch_do_not_mix(backend: Backend) -> None:
    image = inputs_of(backend.bundle, "encode", 3)["image"]
    together = backend.infer("encode", {"image": image})["hand_map"].copy()
    alone = backend.infer("encode", {"image": image[1:2]})["hand_map"]
    np.testing.assert_allclose(together[1:2], alone, atol=1e-5)


def test_same_input_same_output(backend: Backend) -> None:
    given = inputs_of(backend.bundle, "hand", 2)
    first = {name: array.copy() for name, array in backend.infer("hand", given).items()}
    backend.infer("hand", inputs_of(backend.bundle, "hand", 1, seed=1))
    for name, array in backend.infer("hand", given).items():
        np.testing.assert_array_equal(array, first[name])


def test_inputs_stay_as_they_are(backend: Backend) -> None:
    given = inputs_of(backend.bundle, "encode", 1)
    kept = given["image"].copy()
    backend.infer("encode", given)
    np.testing.assert_array_equal(given["image"], kept)


def test_other_layouts_and_types_are_taken(backend: Backend) -> None:
    """A view with strides, in float64, is the same image."""
    image = inputs_of(backend.bundle, "encode", 1)["image"]
    view = image.transpose(0, 2, 3, 1).astype(np.float64).transpose(0, 3, 1, 2)
    expected = backend.infer("encode", {"image": image})["grasp_logit"].copy()
    np.testing.assert_allclose(backend.infer("encode", {"image": view})["grasp_logit"], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "takes image; given: nothing"),
        ({"picture": np.zeros((1, 3, 224, 224), np.float32)}, "given: picture"),
        (
            {"image": np.zeros((3, 224, 224), np.float32)},
            r"image has shape \(3, 224, 224\), expected \(B, 3, 224, 224\)",
        ),
        ({"image": np.zeros((1, 3, 256, 256), np.float32)}, "expected"),
        ({"image": np.zeros((0, 3, 224, 224), np.float32)}, "not 0"),
    ],
)
def test_wrong_inputs_are_named(backend: Backend, given: dict[str, np.ndarray], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        backend.infer("encode", given)


def test_uneven_batches_are_named(backend: Backend) -> None:
    given = inputs_of(backend.bundle, "hand", 2)
    given["grasp"] = given["grasp"][:1]
    with pytest.raises(InvalidInput, match=r"\[1, 2\]"):
        backend.infer("hand", given)


def test_unknown_stage_names_the_known_ones(backend: Backend) -> None:
    with pytest.raises(UnknownName, match="encode"):
        backend.infer("find", {})


def test_unknown_backend_names_the_known_ones(hand_bundle: Bundle) -> None:
    with pytest.raises(UnknownName, match="onnx"):
        open_backend("tflite", hand_bundle)


def test_missing_torch_names_the_extra(hand_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "torch" or name.startswith(("torch.", "prehend.models"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "prehend.backends.torch_", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_NoTorch(), *sys.meta_path])
    with pytest.raises(MissingDependency, match=r"pip install '\S*\[torch\]'"):
        open_backend("torch", hand_bundle)


class _NoTorch:
    """An import system without torch."""

    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")


def test_onnx_needs_no_torch(hand_bundle: Bundle) -> None:
    code = (
        "import sys; from prehend.backends import open_backend; from prehend.weights import load_bundle;"
        f"open_backend('onnx', load_bundle({str(hand_bundle.folder)!r})); print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_two_threads_of_onnx_are_for_two_calls_at_once(hand_bundle: Bundle) -> None:
    given = [inputs_of(hand_bundle, "encode", 1, seed) for seed in range(4)]
    with ThreadPoolExecutor(2) as pool:
        pair, one = (open_backend("onnx", hand_bundle, threads=threads) for threads in (2, 1))
        assert (calls_at_once(pair), calls_at_once(one)) == (2, 1)
        for found, inputs in zip(pool.map(lambda inputs: pair.infer("encode", inputs), given), given, strict=True):
            for name, array in one.infer("encode", inputs).items():
                np.testing.assert_array_equal(found[name], array)


def test_paddings_of_the_shipped_weights_go_into_the_convolutions_after_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREHEND_CACHE", str(tmp_path))
    for name in ("unihope-s", "palm"):
        open_backend("onnx", load_bundle(name), threads=1).close()
    graphs = [onnx.load(path).graph for path in (tmp_path / "graphs").glob("*.onnx")]
    assert len(graphs) == 5
    for graph in graphs:
        padded = {output for node in graph.node if node.op_type == "Pad" for output in node.output}
        assert not [node.name for node in graph.node if node.op_type == "Conv" and padded & set(node.input)]


def test_torch_threads_stay_as_they_were(hand_bundle: Bundle) -> None:
    backend = open_backend("torch", hand_bundle, threads=1)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        backend.infer("encode", inputs_of(hand_bundle, "encode", 1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
