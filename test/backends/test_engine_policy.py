"""Engines on disk and what happens without them: two processes, folders that cannot be written, policies, caches."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.testing import assert_allclose

from prehend.backends import BackendSettings, open_backend
from prehend.backends.engine_files import MANIFEST
from prehend.backends.onnx_ import OnnxBackend
from prehend.backends.providers import KNOWN, provider_list, unloadable
from prehend.backends.torch_ import TorchBackend
from prehend.errors import DeviceError, EngineMismatch, MissingDependency, OutputError, ParameterError, UnknownName
from prehend.export.engine import export_engine
from prehend.export.parity import stage_inputs
from prehend.files import cache_folder
from prehend.weights import Bundle

BUILD = """
import sys, json, time
from pathlib import Path
from prehend.backends import BackendSettings
from prehend.export.engine import export_engine
from prehend.weights import load_bundle
Path(sys.argv[3]).touch()
while not Path(sys.argv[4]).exists():  # both begin at the same moment
    time.sleep(0.01)
made = export_engine(load_bundle(sys.argv[1]), "onnx", BackendSettings(threads=1, engine_dir=Path(sys.argv[2])))
print(json.dumps([made.made, made.manifest["date"], made.manifest["stages"]]))
"""


def image_of(bundle: Bundle, items: int = 1) -> dict[str, np.ndarray]:
    return stage_inputs(bundle, "encode", {}, items, np.random.default_rng(0))


def test_two_processes_make_one_engine(small_bundle: Bundle, tmp_path: Path) -> None:
    begin = tmp_path / "begin"
    ready = [tmp_path / f"ready{k}" for k in range(2)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD, str(small_bundle.folder), str(tmp_path / "engines"), str(path), str(begin)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for path in ready
    ]
    while not all(path.exists() for path in ready):
        assert all(process.poll() is None for process in started)
        time.sleep(0.1)
    begin.touch()
    told = [json.loads(process.communicate()[0]) for process in started]
    assert sorted(made for made, *_ in told) == [False, True]
    assert told[0][1:] == told[1][1:]
    assert not list((tmp_path / "engines").rglob("*.part"))


def test_a_build_that_is_killed_leaves_what_was_there(small_bundle: Bundle, tmp_path: Path) -> None:
    settings = BackendSettings(threads=1, engine_dir=tmp_path, precision="float16")
    folder = export_engine(small_bundle, "onnx", settings).folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code = (
        "import os, sys; import prehend.export.engine as e; from pathlib import Path\n"
        "from prehend.backends import BackendSettings; from prehend.weights import load_bundle\n"
        "e._measured = lambda *given: os._exit(9)\n"
        "told = BackendSettings(engine_dir=Path(sys.argv[2]), precision='float16')\n"
        "e.export_engine(load_bundle(sys.argv[1]), 'onnx', told, force=True)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(small_bundle.folder), str(tmp_path)], check=False)
    assert done.returncode == 9
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    OnnxBackend(small_bundle, settings).close()
    assert export_engine(small_bundle, "onnx", settings, force=True).made  # the lock went with its process
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_a_precision_of_onnx_wants_its_engine(small_bundle: Bundle, tmp_path: Path, precision: str) -> None:
    settings = BackendSettings(threads=1, engine_dir=tmp_path, precision=precision)
    with pytest.raises(
        EngineMismatch, match=f"there is no engine .*--engine onnx --provider cpu --precision {precision}"
    ):
        open_backend("onnx", small_bundle, settings)
    manifest = export_engine(small_bundle, "onnx", settings).manifest
    kinds = {kind for layers in manifest["precision_found"].values() for kind in layers.values()}
    assert precision in kinds
    assert manifest["built_with"] == {"onnxruntime": ort.__version__, "provider": "cpu"}
    plain, reduced = open_backend("onnx", small_bundle, threads=1), open_backend("onnx", small_bundle, settings)
    for name, array in reduced.infer("encode", image_of(small_bundle, 2)).items():
        whole = plain.infer("encode", image_of(small_bundle, 2))[name]
        assert_allclose(array, whole, atol=0.05 * np.abs(whole).max())


def test_bfloat16_of_torch_wants_its_measurement(small_bundle: Bundle, tmp_path: Path) -> None:
    settings = BackendSettings(threads=1, engine_dir=tmp_path, precision="bfloat16")
    with pytest.raises(EngineMismatch, match="--engine torch --provider cpu --precision bfloat16"):
        open_backend("torch", small_bundle, settings)
    made = export_engine(small_bundle, "torch", settings)
    assert "bfloat16" in made.manifest["precision_found"]["all"].values()
    assert [path.name for path in made.folder.iterdir()] == [MANIFEST]
    answers = open_backend("torch", small_bundle, settings).infer("encode", image_of(small_bundle))
    assert all(array.dtype == np.float32 for array in answers.values())


def test_an_engine_of_another_version_is_refused(small_bundle: Bundle, tmp_path: Path, monkeypatch) -> None:
    settings = BackendSettings(threads=1, engine_dir=tmp_path, precision="bfloat16")
    export_engine(small_bundle, "torch", settings)
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    with pytest.raises(EngineMismatch, match=r"built with torch 2\.13.*, here is 2\.99\.0"):
        open_backend("torch", small_bundle, settings)


def test_fallback_answers_and_says_so(small_bundle: Bundle, tmp_path: Path, caplog) -> None:
    for name, changes, why in (
        ("tensorrt", {}, "pip install"),
        ("onnx", {"provider": "cuda"}, "onnxruntime-gpu"),
        ("onnx", {"precision": "float16", "engine_dir": tmp_path}, "there is no engine"),
        ("torch", {"provider": "cuda"}, "backend 'torch' on provider 'cuda': this torch"),
    ):
        backend = open_backend(name, small_bundle, engine_policy="fallback", threads=1, **changes)
        assert backend.name == "onnx" and why in backend.notes[0]
        assert caplog.records[-1].getMessage() == f"prehend: {small_bundle.name}: {backend.notes[0]}"
        assert backend.infer("encode", image_of(small_bundle)).keys()


def test_what_was_asked_for_runs_without_a_note(small_bundle: Bundle) -> None:
    assert open_backend("onnx", small_bundle, engine_policy="fallback", threads=1).notes == ()


@pytest.mark.parametrize("provider", ["cuda", "tensorrt", "openvino"])
def test_a_missing_provider_names_its_distribution(small_bundle: Bundle, provider: str) -> None:
    if KNOWN[provider].name in ort.get_available_providers():
        pytest.skip(f"this ONNX Runtime has {provider}")
    with pytest.raises(MissingDependency, match=f"pip install {KNOWN[provider].distribution}"):
        open_backend("onnx", small_bundle, provider=provider)


def test_a_provider_that_does_not_load_is_one_line(small_bundle: Bundle, monkeypatch) -> None:
    """ONNX Runtime lists a provider whose library is not there, too, and goes over to the processor."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    assert "\n" not in unloadable("cuda") and "does not load here" in unloadable("cuda")
    with pytest.raises(DeviceError, match=r"provider 'cuda' .* does not load here: it needs a GPU"):
        open_backend("onnx", small_bundle, provider="cuda")


def test_providers_keep_what_they_compile(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [entry.name for entry in KNOWN.values()])
    assert provider_list("cpu", 2, tmp_path) == [("CPUExecutionProvider", {})]
    (_, options), (last, _) = provider_list("tensorrt", 0, tmp_path / "new")
    assert options["trt_engine_cache_path"] == str(tmp_path / "new") and last == "CPUExecutionProvider"
    assert provider_list("openvino", 2, tmp_path)[0][1]["num_of_threads"] == 2
    (tmp_path / "file").touch()
    assert provider_list("tensorrt", 0, tmp_path / "file" / "x")[0][1] == {}


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("onnx", {"provider": "tpu"}, "cpu, cuda, tensorrt, openvino"),
        ("onnx", {"precision": "float8"}, "float32, float16, bfloat16, int8"),
        ("onnx", {"precision": "bfloat16"}, "not in 'bfloat16'"),
        ("onnx", {"compiled": True}, "for backend 'torch'"),
        ("torch", {"provider": "openvino"}, "runs on cpu, cuda"),
        ("onnx", {"engine_policy": "maybe"}, "require, build, fallback"),
        ("onnx", {"threads": -1}, "0 or more"),
    ],
)
def test_what_contradicts_itself_is_told(small_bundle: Bundle, name: str, changes: dict, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        open_backend(name, small_bundle, **changes)


def test_unknown_engines_name_the_known_ones(small_bundle: Bundle) -> None:
    with pytest.raises(UnknownName, match="onnx, tensorrt, torch"):
        export_engine(small_bundle, "tflite")


def test_an_engine_folder_that_cannot_be_written(small_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        export_engine(small_bundle, "onnx", BackendSettings(engine_dir=tmp_path / "file"))


def graphs() -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (cache_folder() / "graphs").glob("*.onnx")}


def test_optimised_graphs_are_kept(small_bundle: Bundle, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PREHEND_CACHE", str(tmp_path / "cache"))
    first = OnnxBackend(small_bundle, BackendSettings(threads=1))
    expected = {name: np.array(array) for name, array in first.infer("encode", image_of(small_bundle)).items()}
    made = set(graphs())
    assert len(made) == len(small_bundle.stages)
    unread = replace(small_bundle, folder=tmp_path)  # the numbers are not even looked for
    again = OnnxBackend(unread, BackendSettings(threads=1))
    for name, array in again.infer("encode", image_of(small_bundle)).items():
        np.testing.assert_array_equal(array, expected[name])
    assert set(graphs()) == made


def test_a_damaged_graph_is_made_anew(small_bundle: Bundle, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PREHEND_CACHE", str(tmp_path / "cache"))
    OnnxBackend(small_bundle, BackendSettings(threads=1)).close()
    made = set(graphs())
    path = cache_folder() / "graphs" / min(made)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    OnnxBackend(small_bundle, BackendSettings(threads=1)).close()
    assert not path.exists() or path.read_bytes() != data, "the same graph may have the same name"
    keys = [{name.partition(".")[0] for name in names} for names in (made, graphs())]
    assert keys[0] == keys[1] and len(graphs()) == len(made)


@pytest.mark.parametrize("where", ["/proc/prehend", "/dev/null/prehend"])
def test_a_cache_that_cannot_be_written_is_no_error(small_bundle: Bundle, monkeypatch, where: str) -> None:
    monkeypatch.setenv("PREHEND_CACHE", where)
    assert OnnxBackend(small_bundle, BackendSettings(threads=1)).infer("encode", image_of(small_bundle))


def test_the_cache_folder_is_that_of_the_user(monkeypatch) -> None:
    monkeypatch.delenv("PREHEND_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/prehend")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/u")
    assert cache_folder() == Path("/home/u/.cache/prehend")


def test_batches_are_filled_up_for_compiled_networks(small_bundle: Bundle, monkeypatch) -> None:
    """The sizes that reach the compiler, and answers of the sizes that were asked for."""
    sizes: list[int] = []

    def instead(method, **told):
        assert told == {"dynamic": False, "mode": "default"}

        def run(*tensors):
            sizes.append(len(tensors[0]))
            return method(*tensors)

        return run

    monkeypatch.setattr(torch, "compile", instead)
    compiled = TorchBackend(small_bundle, BackendSettings(threads=1, compiled=True))
    plain = open_backend("torch", small_bundle, threads=1)
    for items in (1, 3):
        found = compiled.infer("encode", image_of(small_bundle, items))
        for name, array in plain.infer("encode", image_of(small_bundle, items)).items():
            assert_allclose(found[name], array, atol=1e-4)
    assert sizes == [1, 4]


def test_a_full_gpu_of_torch_is_a_device_error(small_bundle: Bundle, monkeypatch) -> None:
    backend = open_backend("torch", small_bundle, threads=1)

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setitem(backend._run, "encode", full)
    with pytest.raises(DeviceError, match="out of memory"):
        backend.infer("encode", image_of(small_bundle))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_engine_folder_is_read(small_bundle: Bundle, tmp_path: Path) -> None:
    settings = BackendSettings(threads=1, engine_dir=tmp_path, precision="float16")
    export_engine(small_bundle, "onnx", settings)
    for path in [*tmp_path.rglob("*"), tmp_path]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    OnnxBackend(small_bundle, settings).close()
