"""When each image of a film is due, from the times its source gives."""

_LONGEST_PAUSE_S = 60.0
"""A pause is shown as long as it was up to this."""
_BACK_S = 5.0
"""Times that go back by more begin anew; by less, they came out of order."""
_LEAST_S = 1e-3


class FilmTime:
    """The clock of a film, which begins at 0 and never goes back.

    Args:
        fps: images a second where no times are given, and after a jump.
    """

    def __init__(self, fps: float) -> None:
        self.step_s = 1 / fps
        self._start: float | None = None
        self._last: float | None = None

    def due(self, stamp: float | None) -> float | None:
        """The time of an image in the film [s]; None for one that comes too late to be shown.

        A pause of over a minute is shortened to one image, and a jump back goes on with the next image.

        Args:
            stamp: its own time [s]; None follows the image before.
        """
        last = -self.step_s if self._last is None else self._last
        due = last + self.step_s
        if stamp is not None:
            due = 0.0 if self._start is None else stamp - self._start
            if self._start is None or not -_BACK_S <= due - last <= _LONGEST_PAUSE_S:
                due = last + self.step_s
                self._start = stamp - due
            elif due < last - self.step_s:
                return None
        self._last = due if self._last is None else max(due, self._last + _LEAST_S)
        return self._last
