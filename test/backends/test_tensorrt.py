"""The TensorRT backend over a stand-in for TensorRT's Python API; what needs a GPU is in tools/gpu_check.py."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tensorrt_double import Runtime, TensorRTDouble

from prehend.backends import BackendSettings, open_backend
from prehend.backends.base import DeviceImage, cutting
from prehend.backends.engine_files import DIGEST, MANIFEST, digest_of
from prehend.backends.fallback import FallbackBackend
from prehend.backends.tensorrt_ import TensorRTBackend
from prehend.backends.tensorrt_api import TensorRT, import_tensorrt, precisions_of
from prehend.backends.torch_crops import Cutter
from prehend.errors import DeviceError, EngineMismatch, MissingDependency, ParameterError, WeightsMismatch
from prehend.export.engine import export_engine
from prehend.export.parity import stage_inputs
from prehend.pipeline.crops.crop import CropSpec
from prehend.pipeline.crops.uncut import UncutCrop
from prehend.types import Box
from prehend.weights import Bundle


def double(**changes) -> TensorRT:
    """The library over a GPU of 16 GB."""
    gpu = {name: changes.pop(name) for name in ("device_bytes", "name", "capability") if name in changes}
    runtime = Runtime(**gpu)
    return TensorRT(TensorRTDouble(runtime, **changes), runtime)


def calls_of(api: TensorRT) -> list[str]:
    return api.cuda._runtime.calls


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> BackendSettings:
    return BackendSettings(threads=1, engine_dir=tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="module")
def folder(small_bundle: Bundle, settings: BackendSettings) -> Path:
    """A float32 engine of the small network."""
    return export_engine(small_bundle, "tensorrt", settings, api=double()).folder


def edit(folder: Path, honest: bool, **entries) -> None:
    """Change a manifest, and its digest too if `honest`."""
    manifest = json.loads((folder / MANIFEST).read_text()) | entries
    if honest:
        manifest[DIGEST] = digest_of(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("items", [1, 3, 16, 19])
def test_answers_are_those_of_the_weights(small_bundle: Bundle, settings, folder, items: int) -> None:
    plain, engine = open_backend("onnx", small_bundle, threads=1), TensorRTBackend(small_bundle, settings, double())
    known: dict[str, np.ndarray] = {}
    for stage in small_bundle.stages:
        inputs = stage_inputs(small_bundle, stage, known, items, np.random.default_rng(0))
        expected = {name: np.array(array) for name, array in plain.infer(stage, inputs).items()}
        found = engine.infer(stage, inputs)
        assert list(found) == [spec.name for spec in small_bundle.stages[stage].outputs]
        for name, array in expected.items():
            assert_allclose(found[name], array, atol=1e-4 * max(1.0, np.abs(array).max()))
        known.update(expected)


def test_a_graph_is_captured_once_for_a_size_and_launched_after(small_bundle: Bundle, settings, folder) -> None:
    api = double()
    engine = TensorRTBackend(small_bundle, settings, api)
    images = np.random.default_rng(0).random((4, 3, *small_bundle.stages["encode"].inputs[0].shape[2:]), np.float32)
    for items, captures in ((3, 1), (4, 0), (1, 1), (2, 1), (1, 0)):  # 3 is filled up to 4
        before = len(calls_of(api))
        engine.infer("encode", {"image": images[:items]})
        made = calls_of(api)[before:]
        assert made.count("cudaStreamBeginCapture") == captures
        assert made.count("cudaGraphLaunch") == 1
        assert made[-2:] == ["cudaGraphLaunch", "cudaStreamSynchronize"]
        if not captures:
            assert made == ["cudaGraphLaunch", "cudaStreamSynchronize"]


def crops_in_noise(bundle: Bundle, items: int, seed: int = 0) -> list[UncutCrop]:
    """Crops of a frame, which grow."""
    side = int(bundle.stages["encode"].inputs[0].shape[-1])
    frame = DeviceImage(np.random.default_rng(seed).integers(0, 256, (240, 320, 3), np.uint8))
    boxes = [Box(100, 80, 140 + 4 * k, 120 + 3 * k) for k in range(items)]
    return [UncutCrop(CropSpec.from_box(box, "left", (320, 240), size=side), frame) for box in boxes]


@pytest.mark.parametrize("items", [1, 3, 19])
def test_crops_that_are_cut_on_the_gpu_get_the_same_answers(small_bundle: Bundle, settings, folder, items: int) -> None:
    engine = TensorRTBackend(small_bundle, settings, double(), Cutter("cpu"))
    crops = crops_in_noise(small_bundle, items)
    expected = engine.infer("encode", {"image": Cutter("cpu").cut(crops).numpy()})
    found = engine.infer_crops("encode", crops)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert_allclose(found[name], array, atol=1e-6 * max(1.0, np.abs(array).max()))


def test_crops_go_to_where_the_graphs_read_them(small_bundle: Bundle, settings, folder) -> None:
    api = double()
    engine = TensorRTBackend(small_bundle, settings, api, Cutter("cpu"))
    assert cutting(engine) is engine and cutting(TensorRTBackend(small_bundle, settings, double())) is None
    address, memory = engine._stages["encode"]._buffers["image"].device, set(api.cuda._runtime.on_device)
    shown = []
    for items, captures in ((3, 1), (4, 0), (2, 1), (3, 0)):
        before = len(calls_of(api))
        crops = crops_in_noise(small_bundle, items, seed=items)
        shown.append(engine.infer_crops("encode", crops)["hand_map"])
        made = calls_of(api)[before:]
        assert made.count("cudaStreamBeginCapture") == captures
        assert made.count("cudaMemcpyAsync 3") == 1 and "cudaMemcpyAsync 1" not in made, "images are not uploaded"
        if not captures:
            assert made == ["cudaMemcpyAsync 3", "cudaGraphLaunch", "cudaStreamSynchronize"]
    assert engine._stages["encode"]._buffers["image"].device == address
    assert set(api.cuda._runtime.on_device) == memory, "nothing is allocated from frame to frame"
    assert_allclose(shown[0], shown[3], atol=1e-6)
    images = np.zeros((3, 3, *small_bundle.stages["encode"].inputs[0].shape[2:]), np.float32)
    assert not np.allclose(engine.infer("encode", {"image": images})["hand_map"], shown[0]), "images go up as before"


def test_a_crop_that_fails_is_a_failure_of_the_device(small_bundle: Bundle, settings, folder, monkeypatch) -> None:
    engine = TensorRTBackend(small_bundle, settings, double(), Cutter("cpu"))

    def full(*_given, **_named):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 3 MB")

    monkeypatch.setattr(torch.nn.functional, "grid_sample", full)
    with pytest.raises(DeviceError, match=r"cutting crops on 'cpu': CUDA out of memory\. Tried"):
        engine.infer_crops("encode", crops_in_noise(small_bundle, 1))


def test_closing_gives_all_memory_back(small_bundle: Bundle, settings, folder) -> None:
    api = double()
    engine = TensorRTBackend(small_bundle, settings, api)
    engine.infer("encode", stage_inputs(small_bundle, "encode", {}, 2, np.random.default_rng(0)))
    runtime = api.cuda._runtime
    assert runtime.on_device and runtime.host and runtime.graphs and runtime.streams
    engine.close()
    assert not (runtime.on_device or runtime.host or runtime.graphs or runtime.streams)


def test_the_manifest_says_what_the_engine_is(small_bundle: Bundle, folder) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["weights"]["sha256"] == small_bundle.weights_sha256
    assert manifest["built_with"] == {"tensorrt": "11.4.0", "device": "Double GPU", "compute_capability": "9.0"}
    assert set(manifest["stages"]) == set(small_bundle.stages)
    assert all(len(entry["onnx_sha256"]) == 64 for entry in manifest["stages"].values())
    assert {kind for layers in manifest["precision_found"].values() for kind in layers.values()} >= {"float32"}
    assert manifest["parity"]["joints_mm"] < 0.1 and manifest["parity"]["crops"] == 8
    assert manifest["batches"] == [1, 2, 16]
    assert "prehend export" in manifest["command"] and manifest["date"].startswith("20")


@pytest.mark.parametrize("version", ["10.13.0", "11.4.0"])
def test_half_precision_is_found_in_the_layers(small_bundle: Bundle, settings, version: str) -> None:
    half = replace(settings, precision="float16", engine_dir=settings.engine_dir / version)
    manifest = export_engine(small_bundle, "tensorrt", half, api=double(version=version)).manifest
    for layers in manifest["precision_found"].values():
        assert "float16" in layers.values()
    assert 0 < manifest["parity"]["joints_mm"] < 3


def test_a_builder_that_ignores_half_precision_is_found_out(small_bundle: Bundle, settings) -> None:
    half = replace(settings, precision="float16", engine_dir=settings.engine_dir / "ignored")
    with pytest.raises(EngineMismatch, match="asked for in float16, its layers are float32"):
        export_engine(small_bundle, "tensorrt", half, api=double(ignores_types=True))
    assert not list(half.engines.rglob(MANIFEST)) and not list(half.engines.rglob("*.part"))


def test_the_timing_cache_goes_from_build_to_build(small_bundle: Bundle, settings, folder) -> None:
    api = double()
    export_engine(small_bundle, "tensorrt", settings, api=api, force=True)
    given = api._trt.timings_given
    assert given[0] != b"" and given[1] == b"timed" + given[0]  # of the build before, then of the stage before


def test_the_right_engine_is_left_alone(small_bundle: Bundle, settings, folder) -> None:
    api, before = double(), (folder / MANIFEST).read_bytes()
    assert not export_engine(small_bundle, "tensorrt", settings, api=api).made
    assert (folder / MANIFEST).read_bytes() == before and api._trt.calls == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": b"Another GPU"}, "built with device Double GPU, here is Another GPU"),
        ({"capability": (8, 7)}, "built with compute_capability 9.0, here is 8.7"),
        ({"version": "10.13.0"}, "built with tensorrt 11.4.0, here is 10.13.0"),
    ],
)
def test_a_foreign_engine_is_refused_with_what_differs(small_bundle, settings, folder, changes, says: str) -> None:
    with pytest.raises(EngineMismatch, match=rf"{says}; make it with: prehend export .* --engine tensorrt"):
        TensorRTBackend(small_bundle, settings, double(**changes))


def test_an_engine_of_other_weights_is_refused(small_bundle: Bundle, settings, folder) -> None:
    with pytest.raises(EngineMismatch, match=r"its weights are .*, these are 000000000000"):
        TensorRTBackend(replace(small_bundle, weights_sha256="0" * 64), settings, double())


@pytest.fixture
def spoilt(small_bundle: Bundle, tmp_path: Path) -> tuple[BackendSettings, Path]:
    """An engine to damage."""
    settings = BackendSettings(threads=1, engine_dir=tmp_path)
    return settings, export_engine(small_bundle, "tensorrt", settings, api=double()).folder


def test_damage_is_told(small_bundle: Bundle, spoilt) -> None:
    settings, folder = spoilt
    edit(folder, honest=False, precision="float16")
    with pytest.raises(EngineMismatch, match="was changed after it was written"):
        TensorRTBackend(small_bundle, settings, double())
    edit(folder, honest=True, precision="float16")
    with pytest.raises(EngineMismatch, match="its precision is float16, asked for is float32"):
        TensorRTBackend(small_bundle, settings, double())
    edit(folder, honest=True, precision="float32", graphs={})
    with pytest.raises(EngineMismatch, match="its graph 'encode' is None"):
        TensorRTBackend(small_bundle, settings, double())
    (folder / MANIFEST).write_text("{")
    with pytest.raises(EngineMismatch, match="no manifest of an engine"):
        TensorRTBackend(small_bundle, settings, double())
    (folder / MANIFEST).unlink()
    with pytest.raises(EngineMismatch, match="there is no engine"):
        TensorRTBackend(small_bundle, settings, double())


@pytest.mark.parametrize("entries", [{"stages": []}, {"stages": {"encode": 5}}, {"weights": None}, {"built_with": 3}])
def test_a_manifest_of_another_form_is_told(small_bundle: Bundle, spoilt, entries: dict) -> None:
    settings, folder = spoilt
    edit(folder, honest=True, **entries)
    with pytest.raises(EngineMismatch):
        TensorRTBackend(small_bundle, settings, double())


def test_a_plan_that_was_changed_is_told(small_bundle: Bundle, spoilt) -> None:
    settings, folder = spoilt
    plan = next(folder.glob("*.plan"))
    plan.write_bytes(plan.read_bytes()[:-1])
    with pytest.raises(EngineMismatch, match=rf"{plan.name} is not the file of its manifest"):
        TensorRTBackend(small_bundle, settings, double())


def test_a_full_gpu_is_told_and_gives_back_what_it_took(small_bundle: Bundle, settings, folder) -> None:
    api = double(device_bytes=1 << 20)
    with pytest.raises(DeviceError, match="cudaErrorMemoryAllocation"):
        TensorRTBackend(small_bundle, settings, api)
    assert not api.cuda._runtime.on_device and not api.cuda._runtime.host


def test_a_gpu_that_fails_is_gone_round_once(small_bundle: Bundle, settings, folder, caplog) -> None:
    api = double()
    opened: list[str] = []

    def plain():
        opened.append("onnx")
        return open_backend("onnx", small_bundle, threads=1)

    backend = FallbackBackend(TensorRTBackend(small_bundle, settings, api), plain)
    inputs = stage_inputs(small_bundle, "encode", {}, 2, np.random.default_rng(0))
    expected = {name: np.array(array) for name, array in backend.infer("encode", inputs).items()}
    assert backend.notes == () and backend.name == "tensorrt"
    api.cuda._runtime.cudaGraphLaunch = lambda *_: (2,)
    for _ in range(2):
        for name, array in backend.infer("encode", inputs).items():
            assert_allclose(array, expected[name], atol=1e-4)
    assert opened == ["onnx"] and backend.name == "onnx"
    assert "cudaGraphLaunch failed" in backend.notes[0] and "onnx" in backend.notes[0]
    assert [record.message for record in caplog.records] == [f"prehend: {backend.bundle.name}: {backend.notes[0]}"]
    assert not api.cuda._runtime.on_device


def test_it_stops_where_the_policy_says_so(small_bundle: Bundle, settings, folder) -> None:
    api = double()
    engine = TensorRTBackend(small_bundle, settings, api)
    api.cuda._runtime.cudaGraphLaunch = lambda *_: (2,)
    with pytest.raises(DeviceError, match="cudaGraphLaunch"):
        engine.infer("encode", stage_inputs(small_bundle, "encode", {}, 1, np.random.default_rng(0)))


def test_a_graph_that_tensorrt_refuses(small_bundle: Bundle, settings) -> None:
    with pytest.raises(EngineMismatch, match="does not take the graph"):
        double().build(b"no graph", small_bundle.stages["encode"].inputs, (1, 2, 16))


def test_what_it_cannot_do_is_told(small_bundle: Bundle, settings) -> None:
    with pytest.raises(ParameterError, match="runs on cuda"):
        TensorRTBackend(small_bundle, replace(settings, provider="cpu"), double())
    with pytest.raises(ParameterError, match="not in 'int8'"):
        TensorRTBackend(small_bundle, replace(settings, precision="int8"), double())


def test_without_the_library_the_extra_is_named() -> None:
    with pytest.raises(MissingDependency, match=r"pip install '\S*\[tensorrt\]'"):
        import_tensorrt()


def test_layers_of_both_generations_are_read() -> None:
    ten = {
        "Layers": [{"Name": "a", "Outputs": [{"Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}]}]
    }
    eleven = {"Layers": [{"Name": "a", "Outputs": [{"Format": "Row major linear", "DataType": "Half"}]}, "names only"]}
    assert precisions_of(ten) == precisions_of(eleven) == {"a": "float16"}
    assert precisions_of({}) == {}


def test_an_engine_that_answers_otherwise_is_not_written(small_bundle: Bundle, settings, monkeypatch) -> None:
    other = replace(settings, engine_dir=settings.engine_dir / "wrong")
    original = TensorRTBackend.infer

    def skewed(self, stage, inputs):
        return {name: array * np.float32(1.1) for name, array in original(self, stage, inputs).items()}

    monkeypatch.setattr(TensorRTBackend, "infer", skewed)
    with pytest.raises(WeightsMismatch, match="mm from torch's"):
        export_engine(small_bundle, "tensorrt", other, api=double())
    assert not list(other.engines.rglob(MANIFEST))
