"""From a device that fails to the processor, once, and never silently."""

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from prehend.backends.base import IMAGE, Array, Backend, Uncut, calls_at_once, cutting
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
    def cuts(self) -> bool:
        """See `base.CuttingBackend`, of the one that runs now."""
        return cutting(self._now) is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """Why another one runs than was asked for."""
        return (*self._notes, *self._now.notes)

    def infer(self, stage: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Backend.infer`; an answer that the device fails at comes from the processor."""
        try:
            return self._now.infer(stage, inputs)
        except DeviceError as error:
            self._go_over(error)
            return self._now.infer(stage, inputs)

    def infer_crops(self, stage: str, crops: Sequence[Uncut]) -> dict[str, Array]:
        """See `base.CuttingBackend`; crops of a device that fails are cut on the processor."""
        try:
            if (device := cutting(self._now)) is not None:
                return device.infer_crops(stage, crops)
        except DeviceError as error:
            self._go_over(error)
        return self.infer(stage, {IMAGE: np.stack([crop.image for crop in crops])})

    def close(self) -> None:
        """See `Backend.close`."""
        self._now.close()

    def _go_over(self, error: DeviceError) -> None:
        if self._open_second is None:
            raise error
        failed = self._now
        self._now = self._change(error)
        failed.close()

    def _change(self, why: PrehendError | None) -> Backend:
        assert self._open_second is not None
        other, self._open_second = self._open_second(), None
        note = f"{why}; backend '{other.name}' on the processor answers instead"
        self._notes = (note,)
        _LOG.warning("prehend: %s: %s", other.bundle.name, note)
        return other
