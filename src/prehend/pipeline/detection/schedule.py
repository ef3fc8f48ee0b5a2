"""When the detector looks: in seconds, so that a camera of 5 Hz and one of 60 Hz lose hands for equally long."""

LOST_S = 0.1
"""Time between two looks of the detector while a hand is lost [s]."""

WIDE_S = 0.5
"""Time between two wide looks while nothing is followed [s]."""

_EPS = 1e-6


class Schedule:
    """The detector's next look.

    A look that is due between two frames is taken at the nearer one. A wide look sees small hands and costs several
    normal ones (see `detect.Detector.look`); it is for images in which nothing is followed and a normal look found
    nothing that the hand network takes for a hand: at once for an image on its own, and at most every `WIDE_S` in a
    video.

    Args:
        interval_s: time between two looks while all is well [s].
    """

    def __init__(self, interval_s: float):
        self._interval_s = interval_s
        self.reset()

    def reset(self) -> None:
        """Begin anew: both looks are due."""
        self._since_s = self._since_wide_s = float("inf")
        self._elapsed_s = 0.0
        self._asked = False

    def use(self, interval_s: float) -> None:
        """Go on with another interval [s]."""
        self._interval_s = interval_s

    def step(self, elapsed_s: float) -> None:
        """The next frame, this much later [s]."""
        self._elapsed_s = elapsed_s
        self._since_s += elapsed_s
        self._since_wide_s += elapsed_s

    def ask(self) -> None:
        """Something happened: the next look is due at once."""
        self._asked = True

    def looked(self) -> None:
        """The detector looked at this frame, or a user told what there is."""
        self._since_s, self._asked = 0.0, False

    def looked_wide(self) -> None:
        """It looked at it wide."""
        self._since_wide_s = 0.0

    def is_due(self, in_view: int, lost: int) -> bool:
        """Whether to look at this frame, with so many hands in view and so many out of sight."""
        if self._asked or not in_view:
            return True
        return self._is_over(self._since_s, min(LOST_S, self._interval_s) if lost else self._interval_s)

    @property
    def wide_is_due(self) -> bool:
        """Whether a wide look may follow a normal one that found nothing."""
        return self._is_over(self._since_wide_s, WIDE_S)

    def _is_over(self, since_s: float, interval_s: float) -> bool:
        return since_s + self._elapsed_s / 2 >= interval_s - _EPS
