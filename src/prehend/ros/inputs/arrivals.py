"""When images came, and how long each stage took from then on."""

import time
from typing import NamedTuple


class Arrived(NamedTuple):
    """A serialised image, and when it came: by the node's clock [s] and by `time.perf_counter`."""

    data: bytes
    clock_s: float
    at: float


class Laps:
    """Wall times of stages that follow each other [ms], by their names; the first begins at `at`."""

    def __init__(self, at: float) -> None:
        self._last, self.ms = at, dict[str, float]()

    def lap(self, name: str) -> None:
        """The stage of this name ends now."""
        now = time.perf_counter()
        self.ms[name], self._last = 1e3 * (now - self._last), now
