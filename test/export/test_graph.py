"""Graphs with their numbers: in every precision the same network, and the same bytes again."""

import numpy as np
import onnx
import onnxruntime
import pytest

from prehend.errors import InvalidInput
from prehend.export.graph import PRECISIONS, complete_graph, graph_sha256, precisions_of
from prehend.export.parity import NUM_CROPS, compare_apart, copied, fixed_crops, stage_inputs
from prehend.weights import available, load_bundle

pytestmark = pytest.mark.skipif("palm" not in available(), reason="the weights palm are not here")


@pytest.fixture(scope="module")
def shipped():
    return load_bundle("palm")


@pytest.fixture(scope="module")
def graphs(shipped):
    stage = next(iter(shipped.stages))
    return {precision: complete_graph(shipped, stage, precision) for precision in PRECISIONS}


def run(model, side, seed=0):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(seed).random((1, 3, side, side), np.float32)
    return session.run(None, {session.get_inputs()[0].name: image})


def test_a_complete_graph_needs_no_file_beside_it(graphs):
    for model in graphs.values():
        assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in model.graph.initializer)
        kinds = {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
        assert kinds == {onnx.TensorProto.FLOAT}, "float32 goes in and comes out"


def test_half_precision_is_half_as_large_and_nearly_the_same(graphs, shipped):
    sizes = {name: len(model.SerializeToString()) for name, model in graphs.items()}
    assert sizes["float16"] < 0.6 * sizes["float32"]
    side = int(shipped.manifest["input"]["size"])
    for one, other in zip(run(graphs["float32"], side), run(graphs["float16"], side), strict=True):
        assert np.abs(one - other).max() < 0.02 * np.abs(one).max()


def test_what_runs_in_which_precision_is_told_layer_by_layer(graphs):
    assert set(precisions_of(graphs["float32"]).values()) <= {"float32", "int64"}
    assert "float16" in precisions_of(graphs["float16"]).values()
    assert len(precisions_of(graphs["float32"])) > 10


def test_a_checksum_is_of_the_content(graphs, shipped):
    stage = next(iter(shipped.stages))
    sums = {precision: graph_sha256(model) for precision, model in graphs.items()}
    assert sums["float32"] == graph_sha256(complete_graph(shipped, stage)) != sums["float16"]
    changed = onnx.ModelProto()
    changed.CopyFrom(graphs["float32"])
    changed.producer_name += "x"
    assert graph_sha256(changed) != sums["float32"] and len(sums["float32"]) == 64


def test_a_precision_that_is_none_lists_those_there_are(shipped):
    with pytest.raises(InvalidInput, match="precision 'float64': graphs have one of float32, float16, int8"):
        complete_graph(shipped, next(iter(shipped.stages)), "float64")


@pytest.mark.parametrize("side", [32, 128, 192])
def test_the_crops_are_the_same_pictures_at_every_size(side):
    crops = fixed_crops(side)
    assert crops.shape == (NUM_CROPS, 3, side, side) and crops.dtype == np.float32
    assert crops.min() >= 0 and crops.max() <= 1 and crops.std() > 0.05
    means = fixed_crops(64).mean((2, 3))
    np.testing.assert_allclose(crops.mean((2, 3)), means, atol=0.02)
    assert len({crop.tobytes() for crop in crops}) == NUM_CROPS, "eight different hands"


def test_invented_inputs_fit_their_stage_and_known_ones_are_kept(shipped):
    stage, rng = next(iter(shipped.stages)), np.random.default_rng(0)
    known = {}
    first = stage_inputs(shipped, stage, known, 2, rng)
    assert stage_inputs(shipped, stage, known, 2, rng)["image"] is first["image"]
    more = stage_inputs(shipped, stage, known, 3, rng)["image"]
    assert len(more) == 3 and 0 <= more.min() <= more.max() <= 1
    answers = {"a": np.zeros(3)}
    copies = copied(answers)
    answers["a"][:] = 1
    assert not copies["a"].any()


class Echo:
    """A backend that tells what it was given."""

    name = "echo"

    def __init__(self, bundle):
        self.bundle, self.seen = bundle, []

    def infer(self, stage, inputs):
        self.seen.append({name: array.copy() for name, array in inputs.items()})
        return {"echo": inputs["image"].mean((1, 2, 3))}


def test_what_a_user_gets_is_compared_on_the_same_crops(shipped):
    one, other = Echo(shipped), Echo(shipped)
    found = compare_apart(one, other)
    assert set(found.largest.values()) == {0.0} and found.joints_mm == 0
    np.testing.assert_array_equal(one.seen[0]["image"], fixed_crops(one.seen[0]["image"].shape[-1]))
