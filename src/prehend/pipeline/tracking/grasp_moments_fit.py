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


PATH = PathFit(-1.0, -1.0, 0.0, 1.0, 1.5, 0.0)
BEGINS = LogisticFit(
    (
        -0.407, -0.481, 0.145, 0.091, 0.089, 0.149, 0.302, 1.238, 1.569, -0.975, -0.175, 0.392, 0.584, 0.327,
        0.116, 0.865, -1.255, -1.394, -0.765, -0.419, -0.935, 1.052, 0.811, -3.822, 3.827, 4.67, -0.047, 2.7,
        0.633, -0.147,
    ),
    -10.763,
)  # fmt: skip
ENDS = LogisticFit(
    (
        0.308, 0.146, -0.289, 0.036, 0.359, 0.282, -0.638, 0.175, 1.187, 1.439, -0.378, -0.095, -0.076, -0.746,
        1.627, -0.337, 0.194, -0.85, -0.677, -0.452, -0.299, -0.724, -0.329, 4.114, -0.359, 2.575, -7.81,
        -0.158, -0.431, -0.135,
    ),
    -12.607,
)  # fmt: skip
HOLDS = LogisticFit(
    (
        -0.215, 0.368, 0.154, 0.007, 0.094, 0.186, 0.051, 2.127, 0.267, 0.627, 0.186, 3.812, 2.895, -0.16,
        0.318, -1.2, -0.111, 0.765, 0.867, -4.922, -3.885, 0.451, -0.021, 2.188, 1.611, 1.789, -2.179, 4.009,
        1.384, -0.988,
    ),
    -12.663,
)  # fmt: skip
