"""Values that come with times."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Timeline(Generic[T]):
    """Values in order of their times [s]; of equal times the last one counts."""

    def __init__(self, values: Iterable[tuple[float, T]]):
        ordered = sorted(values, key=lambda one: one[0])
        self.times = [time for time, _ in ordered]
        self._values = [value for _, value in ordered]

    def __len__(self) -> int:
        return len(self.times)

    @property
    def extent(self) -> str:
        """From when to when, for people."""
        return f"{self.times[0]:.3f} s to {self.times[-1]:.3f} s" if self.times else "nothing"

    def nearest(self, time: float, within_s: float) -> T | None:
        """The value nearest to a time, None where it is farther away."""
        after = bisect_left(self.times, time)
        near = [row for row in (after - 1, after) if 0 <= row < len(self.times)]
        best = min(near, key=lambda row: abs(self.times[row] - time), default=None)
        return None if best is None or abs(self.times[best] - time) > within_s else self._values[best]

    def before(self, time: float) -> T | None:
        """The last value that is not later than a time, None before the first."""
        row = bisect_right(self.times, time) - 1
        return self._values[row] if row >= 0 else None

    @property
    def first(self) -> T | None:
        """The earliest value."""
        return self._values[0] if self._values else None
