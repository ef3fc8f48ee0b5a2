"""What runs the networks. `open_backend` is the way in; torch is loaded only for the backend of that name."""

from importlib import import_module
from typing import cast

from prehend.backends.base import Backend
from prehend.errors import MissingDependency, UnknownName
from prehend.weights import Bundle

__all__ = ["BACKENDS", "Backend", "open_backend"]

BACKENDS = {
    "onnx": ("prehend.backends.onnx_", "OnnxBackend", None),
    "torch": ("prehend.backends.torch_", "TorchBackend", "torch"),
}
"""Module and class of each backend, and the extra that brings what it runs on (None: it is always there). A new
backend is one file and one line here."""


def open_backend(name: str, bundle: Bundle, *, threads: int = 0) -> Backend:
    """Get weights ready to run.

    Args:
        name: one of `BACKENDS`.
        bundle: the weights.
        threads: of the processor, 0 for all.

    Raises:
        UnknownName: there is no such backend.
        MissingDependency: what the backend runs on is not installed.
        WeightsMismatch: the weights and this version's network do not belong together.
    """
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
    return cast(Backend, backend(bundle, threads=threads))
