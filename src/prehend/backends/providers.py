"""ONNX Runtime's execution providers: by which name they are asked for, and what brings one that is missing."""

import ctypes
import os
from pathlib import Path
from typing import Any, NamedTuple

import onnxruntime as ort

from prehend.errors import DeviceError, MissingDependency, one_line


class Provider(NamedTuple):
    """A provider and the distribution that brings it; only one distribution of ONNX Runtime can be installed."""

    name: str
    distribution: str
    needs: str


KNOWN = {
    "cpu": Provider("CPUExecutionProvider", "onnxruntime", "nothing else"),
    "cuda": Provider("CUDAExecutionProvider", "onnxruntime-gpu", "a GPU of NVIDIA, CUDA and cuDNN"),
    "tensorrt": Provider("TensorrtExecutionProvider", "onnxruntime-gpu", "a GPU of NVIDIA, CUDA, cuDNN and TensorRT"),
    "openvino": Provider(
        "OpenVINOExecutionProvider", "onnxruntime-openvino openvino", "the package openvino of its version"
    ),
}


class MissingProvider(MissingDependency):
    """The installed ONNX Runtime was built without a provider."""

    def __init__(self, provider: str, has: list[str]):
        wanted = KNOWN[provider]
        text = (
            f"provider '{provider}' is not in this ONNX Runtime {ort.__version__} ({', '.join(has)}): "
            f"pip uninstall onnxruntime && pip install {wanted.distribution}"
        )
        ImportError.__init__(self, text)


def provider_list(provider: str, threads: int, cache: Path) -> list[tuple[str, dict[str, Any]]]:
    """What a session is told: the provider with its options, and the processor for what it leaves.

    Args:
        provider: one of `KNOWN`.
        threads: of the processor, 0 for all.
        cache: folder where providers may keep what they compile.

    Raises:
        MissingProvider: ONNX Runtime has it not.
    """
    wanted, has = KNOWN[provider], ort.get_available_providers()
    if wanted.name not in has:
        raise MissingProvider(provider, has)
    options: dict[str, Any] = {}
    if provider == "cuda":
        options = {"cudnn_conv_use_max_workspace": "1", "do_copy_in_default_stream": "1"}
    elif provider == "tensorrt" and _writable(cache):
        options = {
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": True,
            "trt_timing_cache_path": str(cache),
        }
    elif provider == "openvino":
        options = {"device_type": "CPU", **({"num_of_threads": threads} if threads else {})}
    listed = [(wanted.name, options)]
    if provider != "cpu":  # a library that does not load is told by our error, not by lines of C++ as well
        ort.set_default_logger_severity(4)
    return listed if provider == "cpu" else [*listed, (KNOWN["cpu"].name, {})]


def check_runs_on(session: ort.InferenceSession, provider: str) -> None:
    """Raise `DeviceError` unless a session runs on the provider that it was told: ONNX Runtime takes the processor
    where a provider's libraries do not load, and goes on."""
    if KNOWN[provider].name not in session.get_providers():
        raise DeviceError(unloadable(provider))


def unloadable(provider: str) -> str:
    """Why a provider does not load, in one line."""
    library = Path(ort.__file__).parent / "capi" / f"libonnxruntime_providers_{provider}.so"
    why = ""
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        why = f" ({one_line(error, 150)})"
    return (
        f"provider '{provider}' of ONNX Runtime {ort.__version__} does not load here: it needs {KNOWN[provider].needs}"
        f"{why}"
    )


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
