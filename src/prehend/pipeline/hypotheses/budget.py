"""Work in pieces that fits into the time there is: how long a piece takes is learnt from those before."""

import time

_LEARNS, _FORGETS = 0.3, 0.9
"""What a quicker piece counts for, and what is left of the expectation after a frame in which nothing fitted: the
machine may have been busy when it was measured."""


_MOST_FIXED = 4.0
"""What pieces that are done together take besides, in pieces: more than this is a measurement gone wrong."""


class FrameBudget:
    """Time for the pieces of one frame.

    Args:
        limit_ms: of a frame.

    Attributes:
        piece_ms: how long a piece is expected to take; None before the first.
        fixed: what pieces that are done together take besides, in pieces.
        spent_ms: of this frame.
    """

    def __init__(self, limit_ms: float):
        self._limit_ms, self._began, self._done = limit_ms, 0.0, False
        self.piece_ms: float | None = None
        self.fixed = 0.0

    def learn(self, alone_ms: float, count: int, whole_ms: float) -> None:
        """One piece alone and `count` of them together, 2 or more, took so long."""
        slope_ms = (whole_ms - alone_ms) / (count - 1)
        self.piece_ms = min(max(slope_ms, whole_ms / (count + _MOST_FIXED)), whole_ms / count)
        self.fixed = whole_ms / self.piece_ms - count

    @property
    def alone_ms(self) -> float | None:
        """How long one piece on its own is expected to take."""
        return None if self.piece_ms is None else self.piece_ms * (1 + self.fixed)

    def begin(self, limit_ms: float | None = None) -> None:
        """A frame begins; with a limit of its own, where several share it."""
        self._began, self._done = time.perf_counter(), False
        self._now_ms = self._limit_ms if limit_ms is None else limit_ms

    @property
    def spent_ms(self) -> float:
        """Since the frame began."""
        return 1e3 * (time.perf_counter() - self._began)

    def fits(self, most: int) -> int:
        """How many pieces the rest of the frame has time for, `most` at most; one where nobody knows how long it
        takes."""
        if self.piece_ms is None:
            return min(1, most)
        return max(0, min(most, int((self._now_ms - self.spent_ms) / self.piece_ms - self.fixed)))

    def took(self, count: int, elapsed_ms: float) -> None:
        """So many pieces took so long: the next are expected to take as long, or nearly as long as those before."""
        measured, self._done = elapsed_ms / (count + self.fixed), True
        if self.piece_ms is None or measured > self.piece_ms:
            self.piece_ms = measured
        else:
            self.piece_ms += _LEARNS * (measured - self.piece_ms)

    def end(self, wanted: bool) -> None:
        """The frame ends; `wanted` says that there was something to do."""
        if wanted and not self._done and self.piece_ms is not None:
            self.piece_ms *= _FORGETS
