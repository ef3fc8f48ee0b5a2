"""From a device that fails to the processor, once, and never silently."""

import logging
from collections.abc import Callable, Mapping

from prehend.backends.base import Array, Backend, calls_at_once
from prehend.errors import DeviceError, PrehendError
from prehend.weights import Bundle

_LOG = logging.getLogger(__name__)


class FallbackBackend:
    """A backend until its device fails, another one from then on.

    A GPU whose memory is full is often full because of others: going back and forth would lose images each time, so
    there is one change and no way back.

    Args:
        first: what was asked for; None where it could not be opened.
        second: opens what takes its place.
        why: what opening the first one said.
    """

    def __init__(self, first: Backend | None, second: Callable[[], Backend], why: PrehendError | None = None):
        self._open_second: Callable[[], Backend] | None = second
        self._notes: tuple[str, ...] = ()
        self._now = self._change(why) if first is None else first

    @property
    def name(self) -> str:
        """Of the one that runs now."""
        return self._now.name

    @property
    def bundle(self) -> Bundle:
        """The weights."""
        return self._now.bundle

    @property
    def at_once(self) -> int:
        """See `calls_at_once`, of the one that runs now."""
        return calls_at_once(self._now)

    @property
    def notes(self) -> tuple[str, ...]:
        """Why another one runs than was asked for."""
        return (*self._notes, *self._now.notes)

    def infer(self, stage: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Backend.infer`; an answer that the device fails at comes from the processor."""
        try:
            return self._now.infer(stage, inputs)
        except DeviceError as error:
            if self._open_second is None:
                raise
            failed = self._now
            self._now = self._change(error)
            failed.close()
            return self._now.infer(stage, inputs)

    def close(self) -> None:
        """See `Backend.close`."""
        self._now.close()

    def _change(self, why: PrehendError | None) -> Backend:
        assert self._open_second is not None
        other, self._open_second = self._open_second(), None
        note = f"{why}; backend '{other.name}' on the processor answers instead"
        self._notes = (note,)
        _LOG.warning("prehend: %s", note)
        return other
