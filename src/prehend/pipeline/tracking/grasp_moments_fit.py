"""What `prehend-train events --fit` found for `grasp_moments`, on rendered films (docs/TIME.md)."""

from typing import NamedTuple


class LogisticFit(NamedTuple):
    """A logistic regression.

    Attributes:
        weights: of what `grasp_moments.moment_cues` says, in its order. offset: added to their sum.
    """

    weights: tuple[float, ...]
    offset: float


class PathFit(NamedTuple):
    """What `grasp_path` weighs changes by, all in log-odds.

    Attributes:
        begin, end: what it costs that a grasp begins, and that it ends. again: what more a second change costs
            before the first was told.
        second: what a second of holding counts, for each of its log-odds.
        begin_lead, end_lead: by how much the better story has to lead before a beginning, and an end, is told.
    """

    begin: float
    end: float
    again: float
    second: float
    begin_lead: float
    end_lead: float


PATH = PathFit(-1.0, -1.0, 1.0, 1.0, 1.0, 0.0)
BEGINS = LogisticFit(
    (
        -0.37, -0.551, 0.053, 0.076, 0.185, 0.221, 0.236, 1.321, 1.566, -1.329, -0.095, 0.459, 0.419, 0.386,
        -0.045, 0.73, -1.123, -1.597, -0.65, -0.426, -1.141, 1.157, 1.08, -3.467, 3.926, 4.68, 0.505, 3.252,
        0.429, -0.101,
    ),
    -12.124,
)  # fmt: skip
ENDS = LogisticFit(
    (
        0.272, 0.077, -0.105, 0.063, 0.304, 0.271, -0.622, 0.189, 1.307, 1.109, -0.091, -0.201, -0.043, -0.694,
        1.431, -0.37, 0.233, -0.624, -0.811, -0.409, -0.246, -1.068, -0.27, 4.41, -0.251, 0.509, -8.3, 0.09,
        -0.453, -0.569,
    ),
    -13.799,
)  # fmt: skip
HOLDS = LogisticFit(
    (
        -0.18, 0.387, 0.173, 0.049, 0.085, 0.216, 0.1, 2.095, 0.369, 0.513, 0.028, 3.696, 2.925, -0.345, 0.357,
        -1.261, -0.08, 0.857, 1.082, -4.878, -4.006, 0.657, -0.026, 2.095, 1.6, 2.033, -2.457, 4.153, 1.592,
        -1.107,
    ),
    -12.618,
)  # fmt: skip
