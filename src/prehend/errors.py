"""Errors that name the thing and the way out. Commands and the node catch `PrehendError` and nothing wider."""

from collections.abc import Iterable


class PrehendError(Exception):
    """Root of everything this package raises on purpose; its text is one line for a person."""


class InvalidInput(PrehendError, ValueError):
    """An argument has the wrong shape, type or range."""


class SourceError(PrehendError):
    """An image, folder, video, camera or bag cannot be read."""


class OutputError(PrehendError):
    """A file of results cannot be written."""


class AssetError(PrehendError):
    """A hand model, object description or weights file is missing, corrupt or not allowed."""


class UnknownName(PrehendError, KeyError):
    """A name is not among the known ones."""

    def __init__(self, kind: str, name: str, available: Iterable[str]):
        self.kind, self.name, self.available = kind, name, sorted(available)
        super().__init__(f"unknown {kind} '{name}': choose one of {', '.join(self.available) or '(none)'}")

    def __str__(self) -> str:  # KeyError would print the repr
        return str(self.args[0])


class WeightsMismatch(AssetError):
    """Weights and network do not belong together."""


class EngineMismatch(AssetError):
    """An engine is missing, damaged, or was built for other weights, another program or another device."""


class DeviceError(PrehendError):
    """A GPU or another accelerator is missing, or failed while it ran; its backend is of no use afterwards."""


class MissingDependency(PrehendError, ImportError):
    """An optional dependency is needed for what was asked."""

    def __init__(self, module: str, extra: str, needed_for: str):
        super().__init__(f"{needed_for} needs '{module}': pip install 'prehend[{extra}]'")


class ParameterError(PrehendError, ValueError):
    """Parameters of a command or the node are out of range or contradict each other."""
