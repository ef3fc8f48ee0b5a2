"""`prehend export`, and engines that are built on the way to an estimator."""

import json
from pathlib import Path

import pytest
import torch

from prehend.backends import BackendSettings
from prehend.cli.main import main
from prehend.errors import EngineMismatch, ParameterError
from prehend.export.bundle import save_bundle
from prehend.models import registry
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.parts import _opened
from prehend.weights import Bundle


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Random weights of the smallest hand network."""
    torch.manual_seed(0)
    return save_bundle(registry.create("unihope-xs"), tmp_path_factory.mktemp("weights") / "small", "unihope-xs", {})


def test_an_engine_is_made_once(weights: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", str(weights.folder), "--engine", "onnx", "--precision", "int8", "--engine-dir", str(tmp_path)]
    assert main(command) == 0
    first = capsys.readouterr().out
    assert main(command) == 0
    second = capsys.readouterr().out
    assert "made" in first and "was there" in second and "layers int8" in first and "mm from torch's" in first
    manifest = json.loads((tmp_path / "small" / "onnx-cpu-int8" / "engine.json").read_text())
    assert manifest["command"] == (
        f"prehend export {weights.folder} --engine onnx --provider cpu --precision int8 --engine-dir {tmp_path}"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--engine", "tflite"], 2, "onnx, tensorrt, torch"),
        (["--engine", "onnx", "--precision", "float8"], 2, "float32, float16, bfloat16, int8"),
        (["--engine", "tensorrt"], 1, "[tensorrt]'"),
        (["--engine", "torch", "--provider", "cuda"], 1, "on provider 'cuda': this torch"),
        (["--engine", "onnx", "--provider", "cuda"], 1, "onnxruntime-gpu"),
    ],
)
def test_what_cannot_be_made_is_one_line(weights: Bundle, capsys, arguments: list[str], code: int, says: str) -> None:
    assert main(["export", str(weights.folder), *arguments]) == code
    told = capsys.readouterr().err
    assert says in told and told.count("\n") == 1


def test_policy_build_builds_and_says_so(weights: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = {"precision": "float16", "engine_dir": tmp_path, "threads": 1}
    with pytest.raises(EngineMismatch, match="there is no engine"):
        _opened("onnx", weights, BackendSettings(**told))
    assert not list(tmp_path.rglob("engine.json"))
    _opened("onnx", weights, BackendSettings(**told, engine_policy="build")).close()
    assert "building it now" in caplog.text
    caplog.clear()
    _opened("onnx", weights, BackendSettings(**told)).close()
    assert caplog.text == ""


def test_options_refuse_what_no_backend_has() -> None:
    with pytest.raises(ParameterError, match="require, build, fallback"):
        EstimatorOptions(engine_policy="perhaps")
