"""Whether scores mean what they say: reliability, expected calibration error, and how well they order."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from prehend.errors import InvalidInput

BINS = 10
"""Equally wide bins of a score."""


def reliability(said: ArrayLike, true: ArrayLike, bins: int = BINS, weights: ArrayLike | None = None) -> dict[str, Any]:
    """How often an answer is right, by the probability it was given with.

    The expected calibration error (Naeini et al., AAAI 2015; Guo et al., ICML 2017) is the mean over answers of the
    distance between the mean probability of their bin and the share of it that is right.

    Args:
        said: (N,) probabilities; those that are not finite are left out.
        true: (N,) what came true, 0 or 1.
        bins: how many; a probability at a border belongs to the upper bin, 1 to the last.
        weights: (N,) what an answer counts, for another share of true ones than these have; those of none are left
            out. All alike by default.

    Returns:
        `count`, `ece` (None without answers) and `bins`: `low`, `high`, `count`, `said`, `true` of those that hold any.

    Raises:
        InvalidInput: the lengths differ, or a probability is outside 0..1.
    """
    weight = np.ones(np.size(said)) if weights is None else np.asarray(weights, np.float64).ravel()
    probability, outcome = np.asarray(said, np.float64).ravel(), np.asarray(true, np.float64).ravel()
    if not len(probability) == len(outcome) == len(weight):
        raise InvalidInput(f"{len(probability)} probabilities do not belong to {len(outcome)} outcomes")
    known = np.isfinite(probability) & np.isfinite(outcome) & (weight > 0)
    probability, outcome, weight = probability[known], outcome[known], weight[known]
    if ((probability < 0) | (probability > 1)).any():
        raise InvalidInput("probabilities must lie between 0 and 1")
    # a product would round some borders into the bin below
    rows = np.minimum(np.searchsorted(np.arange(bins) / bins, probability, "right") - 1, bins - 1)
    filled: list[dict[str, Any]] = []
    for row in np.unique(rows):
        inside = rows == row
        filled.append(
            {
                "low": round(row / bins, 4),
                "high": round((row + 1) / bins, 4),
                "count": int(inside.sum()),
                "said": round(float(np.average(probability[inside], weights=weight[inside])), 4),
                "true": round(float(np.average(outcome[inside], weights=weight[inside])), 4),
            }
        )
    over = weight * (probability - outcome)
    gaps = [abs(over[rows == row].sum()) for row in np.unique(rows)]
    ece = round(float(sum(gaps) / weight.sum()), 4) if len(probability) else None
    return {"count": len(probability), "ece": ece, "bins": filled}


def ordered_pairs(true_scores: ArrayLike, false_scores: ArrayLike) -> float | None:
    """Share of pairs of a true and a false answer in which the true one scores higher; a tie counts half.

    It is the area under the ROC curve (Hanley and McNeil, Radiology 1982); None without any pair.
    """
    true, false = (np.asarray(scores, np.float64).ravel() for scores in (true_scores, false_scores))
    true, false = true[np.isfinite(true)], np.sort(false[np.isfinite(false)])
    if not len(true) or not len(false):
        return None
    below, not_above = np.searchsorted(false, true, "left"), np.searchsorted(false, true, "right")
    return float((below + not_above).mean() / (2 * len(false)))
