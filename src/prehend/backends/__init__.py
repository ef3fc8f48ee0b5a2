"""What runs the networks. `open_backend` is the way in; torch and TensorRT are loaded only for the backends of those
names."""

from dataclasses import replace
from importlib import import_module
from typing import Any, cast

from prehend.backends.base import Backend
from prehend.backends.fallback import FallbackBackend
from prehend.backends.settings import FULL, BackendSettings
from prehend.errors import DeviceError, EngineMismatch, MissingDependency, UnknownName
from prehend.weights import Bundle

__all__ = ["BACKENDS", "Backend", "BackendSettings", "open_backend", "open_exactly"]

BACKENDS = {
    "onnx": ("prehend.backends.onnx_", "OnnxBackend", None),
    "torch": ("prehend.backends.torch_", "TorchBackend", "torch"),
    "tensorrt": ("prehend.backends.tensorrt_", "TensorRTBackend", "tensorrt"),
}
"""Module and class of each backend, and the extra that brings what it runs on (None: it is always there). A new
backend is one file and one line here."""


def open_backend(name: str, bundle: Bundle, settings: BackendSettings | None = None, **changes: Any) -> Backend:
    """Get weights ready to run: `open_backend("torch", bundle, provider="cuda")`.

    Args:
        name: one of `BACKENDS`.
        bundle: the weights.
        settings: None for the defaults.
        changes: settings by name, in place of those of `settings`.

    Returns:
        With `engine_policy` "fallback" one that goes over to the default backend on the processor where this one cannot
        run, at once or later.

    Raises:
        UnknownName: there is no such backend.
        ParameterError: the backend cannot do what the settings say.
        MissingDependency: what the backend runs on is not installed.
        EngineMismatch: its engine is missing or belongs to something else.
        DeviceError: the device that it runs on is missing.
        WeightsMismatch: the weights and this version's network do not belong together.
    """
    settings = replace(settings or BackendSettings(), **changes)
    if settings.engine_policy != "fallback":
        return open_exactly(name, bundle, settings)

    def plain() -> Backend:
        return open_exactly("onnx", bundle, replace(settings, provider="", precision=FULL, compiled=False))

    try:
        return FallbackBackend(open_exactly(name, bundle, settings), plain)
    except (MissingDependency, EngineMismatch, DeviceError) as error:
        return FallbackBackend(None, plain, error)


def open_exactly(name: str, bundle: Bundle, settings: BackendSettings) -> Backend:
    """`open_backend` without a way round what is missing."""
    if name not in BACKENDS:
        raise UnknownName("backend", name, BACKENDS)
    module, kind, extra = BACKENDS[name]
    try:
        backend = getattr(import_module(module), kind)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if extra is None or missing == "prehend":
            raise
        raise MissingDependency(missing, extra, f"backend '{name}'") from error
    return cast(Backend, backend(bundle, settings))
