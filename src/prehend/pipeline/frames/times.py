"""How much time passes from image to image, by their stamps."""

import inspect
import warnings

FRAME_S = 1 / 30
"""Time between frames without stamps [s]."""

SWAPPED_FRAMES, SWAPPED_S = 2.0, 0.5
"""Images whose stamps go back by no more than so many intervals, and so many seconds, came in the wrong order."""

_PACKAGE = __name__.split(".")[0]

STILL = 5
"""Images in a row with the same stamp after which it is told that no time passes."""


def is_swapped(elapsed_s: float, interval_s: float) -> bool:
    """Whether a stamp that lies so long after the one before it [s], usually `interval_s`, came in the wrong order."""
    return -min(SWAPPED_FRAMES * interval_s, SWAPPED_S) <= elapsed_s < 0


class ImageClock:
    """The stamps of one camera's images, as they come.

    Attributes:
        newest: stamp of the newest image [s]; None before the first, and without stamps.
        swapped: the last one was taken before the newest.
    """

    def __init__(self) -> None:
        self._told = False
        self.reset()

    def reset(self) -> None:
        """Begin anew with the next image."""
        self.newest: float | None = None
        self.swapped = False
        self._interval_s, self._same = FRAME_S, 0

    def step(self, stamp: float | None) -> float:
        """Time from the newest image to this one [s]: 0 for one that came in the wrong order, below 0 where stamps go
        back for good.

        Args:
            stamp: of the image [s]; without one frames follow each other at 30 Hz.
        """
        elapsed = FRAME_S if stamp is None or self.newest is None else stamp - self.newest
        self._same = self._same + 1 if elapsed == 0 else 1
        self.swapped = is_swapped(elapsed, self._interval_s)
        if self.swapped:
            return 0.0  # the next image counts from the newest
        if elapsed > 0:
            self._interval_s = elapsed
        self.newest = stamp
        return elapsed

    def warn_if_still(self) -> None:
        """Tell once, as a UserWarning, that images in a row have all the same stamp."""
        if self._same < STILL or self._told:
            return
        self._told = True
        warnings.warn(
            f"{self._same} images in a row have the stamp {self.newest}: for the tracks no time passes, so smoothed "
            "hands stand still and no event is told. Give each image the time at which it was taken, or no stamp for a "
            "film at 30 Hz",
            UserWarning,
            stacklevel=_levels_to_the_caller(),
        )


def _levels_to_the_caller() -> int:
    """How many frames of the stack, from the one that asks, belong to this package, and one more."""
    frame, levels = inspect.currentframe(), 0
    while frame is not None and str(frame.f_globals.get("__name__")).split(".")[0] == _PACKAGE:
        frame, levels = frame.f_back, levels + 1
    return levels
