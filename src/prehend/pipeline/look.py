"""Where the hands of a picture are said to be: by the caller, or by the detector when it is time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from prehend.errors import InvalidInput
from prehend.pipeline.config import EstimatorConfig
from prehend.pipeline.detect import Detector
from prehend.pipeline.tracker import Tracker
from prehend.types import FoundHand

FIND_THRESHOLD = 0.2
"""Lowest score of a new hand where neither the caller nor the detector's weights say one."""

KEEP_SHARE = 0.5
"""A hand that is followed may be found again with this share of that score."""


class Looker:
    """Runs the detector as the tracker's schedule says.

    Args:
        detector: None where every call brings boxes.
        config: thresholds and most hands.
    """

    def __init__(self, detector: Detector | None, config: EstimatorConfig):
        self._detector, self._config = detector, config
        self._sees_wide = detector is not None and detector.stage(True) != detector.stage(False)

    def look(self, image: NDArray[np.uint8], tracker: Tracker, boxes: Sequence[FoundHand] | None) -> bool:
        """Give the tracker the caller's boxes, or what the detector finds if it is time.

        Returns:
            Whether the detector looked.

        Raises:
            InvalidInput: there is neither a detector nor a box nor a hand that is followed.
        """
        if boxes is not None:
            tracker.take(boxes, exact=True)
            return False
        if not tracker.wants_finder:
            return False
        if self._detector is None:
            if tracker.tracks:
                return False
            raise InvalidInput("there is no detector: give the boxes of the hands")
        new, found = self._found(self._detector, image, tracker, wide=False)
        empty = not tracker.in_view and not any(hand.score >= new for hand in found)
        if empty and self._sees_wide and tracker.schedule.wide_is_due:
            new, found = self._found(self._detector, image, tracker, wide=True)
            tracker.schedule.looked_wide()
        tracker.take(found, new_score=new)
        return True

    def _found(
        self, detector: Detector, image: NDArray[np.uint8], tracker: Tracker, wide: bool
    ) -> tuple[float, list[FoundHand]]:
        """The score from which a hand may be new, and what was found."""
        new, keep = self.thresholds(detector, wide)
        lowest = keep if tracker.tracks else new
        return new, detector.look(image, wide=wide, threshold=lowest, max_hands=tracker.candidates)

    def thresholds(self, detector: Detector, wide: bool) -> tuple[float, float]:
        """Lowest scores of a new hand, and of one that is followed."""
        config = self._config
        new = config.find_threshold
        if new is None:
            new = float(detector.thresholds.get(detector.stage(wide), FIND_THRESHOLD))
        keep = config.keep_find_threshold
        return new, KEEP_SHARE * new if keep is None else min(keep, new)
