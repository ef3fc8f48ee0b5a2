"""Errors that name the thing and the way out. Commands and the node catch `PrehendError` and nothing wider."""

from collections.abc import Iterable
from importlib import metadata

DISTRIBUTION = "prehend-hands"
"""What pip calls this package; "prehend" belongs to somebody else there."""


def how_to_install(extra: str) -> str:
    """The command that installs an extra.

    pip takes the extras of a distribution that is installed, whether it came from a wheel or a checkout; a built ROS
    package or a folder on PYTHONPATH is none.
    """
    try:
        metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return f"pip install '.[{extra}]' in a checkout of prehend"
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def one_line(error: BaseException, most: int = 160) -> str:
    """What a foreign error says, on one line of so many characters at most; its kind where it says nothing."""
    return " ".join(str(error).split())[:most] or type(error).__name__


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

    def __reduce__(self) -> tuple[type["UnknownName"], tuple[str, str, list[str]]]:  # pools hand errors on as pickles
        return type(self), (self.kind, self.name, self.available)


class WeightsMismatch(AssetError):
    """Weights and network do not belong together."""


class FramesMismatch(WeightsMismatch):
    """Weights look at fewer frames than they are asked to: at `most` of them."""

    def __init__(self, text: str, most: int):
        super().__init__(text)
        self.most = most

    def __reduce__(self) -> tuple[type["FramesMismatch"], tuple[str, int]]:
        return type(self), (str(self), self.most)


class NotConnected(PrehendError, ConnectionError):
    """A device is used before it is connected, or connected twice."""


class EngineMismatch(AssetError):
    """An engine is missing, damaged, or was built for other weights, another program or another device."""


class DeviceError(PrehendError):
    """A GPU or another accelerator is missing, or failed while it ran; its backend is of no use afterwards."""


class MissingDependency(PrehendError, ImportError):
    """An optional dependency is needed for what was asked."""

    def __init__(self, module: str, extra: str, needed_for: str):
        self._given = module, extra, needed_for
        super().__init__(f"{needed_for} needs '{module}': {how_to_install(extra)}")

    def __reduce__(self) -> tuple[type["MissingDependency"], tuple[str, str, str]]:
        return type(self), self._given


class ParameterError(PrehendError, ValueError):
    """Parameters of a command or the node are out of range or contradict each other."""
