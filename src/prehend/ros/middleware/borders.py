"""Where foreign libraries are called: what they raise leaves as one of our errors, with the name of the thing.

rclpy, OpenCV, rosbags and ONNX Runtime raise what they like, some of it straight from `Exception`. A border names
what was done; whatever is no `PrehendError` yet becomes one there.
"""

from contextlib import AbstractContextManager
from types import TracebackType

from prehend.errors import PrehendError

_LONGEST = 300


class Unexpected(PrehendError):
    """Something raised what it should not; `__cause__` is what it was."""


class Border(AbstractContextManager["Border"]):
    """Turns foreign errors into ours.

    Args:
        error: class of the error that leaves.
        what: begins its text.
    """

    def __init__(self, error: type[PrehendError], what: str) -> None:
        self._error, self._what = error, what

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, PrehendError):
            raise self._error(f"{self._what}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """What a foreign error says, in one line: OpenCV's without its file and line, rcl's without its places in C."""
    text = " ".join(str(getattr(error, "err", None) or error).split()).split(", at ./")[0].split(", at /")[0]
    text = text[:_LONGEST]
    if isinstance(error, (LookupError, AttributeError, TypeError, AssertionError, ArithmeticError)) or not text:
        return f"{type(error).__name__} {text}".rstrip()  # 'KeyError 3' says more than '3'
    return text
