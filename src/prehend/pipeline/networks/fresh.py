"""Whether what a detector found is a hand where the first look of the hand network says no: its score and two looks,
weighed together."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from prehend.errors import WeightsMismatch
from prehend.types import Region

FRESH = "fresh"
"""Of the manifest's `calibration`; `prehend-train palms sure` fits it on photographs."""

LARGER = 1.6
"""The second look is at a region this many times as large. Where a hand holds something close to the camera the
detector often sees a part of it: the network takes the crop of that for no hand, and the larger one for a hand."""

_LEAST = 1e-5


class FreshRule(NamedTuple):
    """Weights of log-odds, and what is added to their sum: above 0 there is a hand.

    Attributes:
        detector: of the detector's score.
        presence: of the network's, in the crop that the detector asks for.
        larger: of the network's, in a crop `LARGER` times as large.
        offset: added.
    """

    detector: float
    presence: float
    larger: float
    offset: float

    def is_hand(self, score: float, presence: float, larger: float) -> bool:
        """Whether there is one, by three probabilities; False where one is not finite."""
        odds = (log_odds(score), log_odds(presence), log_odds(larger))
        weighed = float(np.dot(self[:3], odds)) + self.offset
        return bool(weighed > 0)


def enlarged(region: Region) -> Region:
    """Where the second look is."""
    return replace(region, width=LARGER * region.width, height=LARGER * region.height)


def log_odds(probability: float) -> float:
    """Of a probability; 0 and 1 count as close to them."""
    p = min(max(probability, _LEAST), 1 - _LEAST) if np.isfinite(probability) else np.nan
    return float(np.log(p / (1 - p)))


def fresh_rule(manifest: Mapping[str, Any]) -> FreshRule | None:
    """What a manifest says; None of weights that were never fitted.

    Raises:
        WeightsMismatch: it is garbled.
    """
    told = manifest.get("calibration", {}).get(FRESH)
    if told is None:
        return None
    try:
        rule = FreshRule(*(float(told[name]) for name in FreshRule._fields))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsMismatch(
            f"the weights' calibration of fresh hands is garbled: expected numbers for {', '.join(FreshRule._fields)}"
        ) from error
    if not np.isfinite(rule).all():
        raise WeightsMismatch("the weights' calibration of fresh hands has numbers that are not finite")
    return rule
