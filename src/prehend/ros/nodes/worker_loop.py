"""What every worker does: takes what is newest, in a thread of its own, and goes on whatever fails."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from prehend.errors import DeviceError, PrehendError
from prehend.pipeline.options import EstimatorOptions
from prehend.ros.middleware.borders import Unexpected

Job = TypeVar("Job")

GIVE_UP_AFTER = 50
"""Images in a row that failed for a reason nobody expects: it is not the images, and the node ends with the reason."""


class Changeable(Protocol):
    """What a worker asks: an estimator of one camera, of several, or of a rig."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how the networks run."""
        ...

    def change(self, options: EstimatorOptions) -> None:
        """Go on with other options."""
        ...

    def reset(self) -> None:
        """Forget all hands."""
        ...


class WorkerLoop(ABC, Generic[Job]):
    """A loop over jobs; all but `run` returns at once and may be called from any thread.

    Args:
        asked: what is changed and reset between jobs.
        tell: takes an error that nobody expects, for the log.
    """

    def __init__(self, asked: Changeable, tell: Callable[[Unexpected], None] | None) -> None:
        self._asked, self._tell = asked, tell
        self._options: EstimatorOptions | None = None
        self._stopped = self._reset = self._busy = self.paused = False
        self._changed = threading.Condition()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how the networks run."""
        return self._asked.notes

    @abstractmethod
    def _take(self) -> Job | None:
        """Wait for the next job; None once stopped."""

    @abstractmethod
    def _work(self, job: Job) -> None:
        """Do it, `_renew` before."""

    @abstractmethod
    def _clear(self) -> None:
        """Forget what waits; called under the lock."""

    @abstractmethod
    def _failed(self, reason: str) -> None:
        """Count a job that failed."""

    def change(self, options: EstimatorOptions) -> None:
        """Let the estimator go on with other options, from the next images on."""
        with self._changed:
            self._options = options

    def pause(self, paused: bool) -> None:
        """Leave images alone, or take them again; begins anew either way."""
        with self._changed:
            self.paused, self._reset = paused, True
            self._clear()

    def reset(self) -> None:
        """Forget all hands before the next image."""
        with self._changed:
            self._reset = True

    def rest(self) -> None:
        """Forget all hands and what waits; returns once the images that it is at are done, and nothing is told of
        earlier ones from then on."""
        with self._changed:
            self._clear()
            self._reset = True
            self._changed.wait_for(lambda: not self._busy)
            self._rested()

    def stop(self) -> None:
        """Let `run` return after the images it is at."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def run(self) -> None:
        """Process images until `stop`.

        Raises:
            Exception: whatever failed `GIVE_UP_AFTER` times in a row without being a `PrehendError`.
            DeviceError: the GPU failed, and `engine_policy` lets nothing else answer.
        """
        try:
            self._run()
        finally:
            self._is_busy(False)

    def _run(self) -> None:
        in_a_row = 0
        while (job := self._next_job()) is not None:
            try:
                self._work(job)
                in_a_row = 0
            except Unexpected as error:
                in_a_row += 1
                self._failed(str(error))
                if self._tell is not None:
                    self._tell(error)
                if in_a_row >= GIVE_UP_AFTER:
                    raise error.__cause__ or error from None
            except DeviceError:  # it fails for every image from here on: the node ends and says why
                raise
            except PrehendError as error:
                self._failed(str(error))

    def _next_job(self) -> Job | None:
        with self._changed:  # between two jobs nobody sees it busy, and with one nobody sees it idle
            self._is_busy(False)
            job = self._take()
            self._is_busy(job is not None)
        return job

    def _is_busy(self, busy: bool) -> None:
        with self._changed:
            self._busy = busy
            self._changed.notify_all()

    def _renew(self) -> None:
        """Do what was asked for since the last images."""
        with self._changed:
            wanted, self._reset = self._reset, False
            options, self._options = self._options, None
        if wanted:
            self._asked.reset()
        if options is not None:
            self._asked.change(options)
        self._renewed(wanted, options)

    def _rested(self) -> None:
        """What else is forgotten once it is idle; called under the lock."""

    def _renewed(self, reset: bool, options: EstimatorOptions | None) -> None:
        """What else begins anew, or goes on with other options."""
