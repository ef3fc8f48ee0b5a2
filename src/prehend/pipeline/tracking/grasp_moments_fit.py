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
_BEGINS = LogisticFit(
    (
        -0.407, -0.481, 0.145, 0.091, 0.089, 0.149, 0.302, 1.238, 1.569, -0.975, -0.175, 0.392, 0.584, 0.327,
        0.116, 0.865, -1.255, -1.394, -0.765, -0.419, -0.935, 1.052, 0.811, -3.822, 3.827, 4.67, -0.047, 2.7,
        0.633, -0.147,
    ),
    -10.763,
)  # fmt: skip
_ENDS = LogisticFit(
    (
        0.308, 0.146, -0.289, 0.036, 0.359, 0.282, -0.638, 0.175, 1.187, 1.439, -0.378, -0.095, -0.076, -0.746,
        1.627, -0.337, 0.194, -0.85, -0.677, -0.452, -0.299, -0.724, -0.329, 4.114, -0.359, 2.575, -7.81,
        -0.158, -0.431, -0.135,
    ),
    -12.607,
)  # fmt: skip
_HOLDS = LogisticFit(
    (
        -0.215, 0.368, 0.154, 0.007, 0.094, 0.186, 0.051, 2.127, 0.267, 0.627, 0.186, 3.812, 2.895, -0.16,
        0.318, -1.2, -0.111, 0.765, 0.867, -4.922, -3.885, 0.451, -0.021, 2.188, 1.611, 1.789, -2.179, 4.009,
        1.384, -0.988,
    ),
    -12.663,
)  # fmt: skip
UNSEEN = (_BEGINS, _ENDS, _HOLDS)
"""Of hands whose images are not looked at."""

SEEN_PATH = PathFit(-2.0, -2.0, 1.0, 1.0, 1.0, 0.5)
_SEEN_BEGINS = LogisticFit(
    (
        -0.116, -0.273, 0.032, 0.051, 0.072, 0.102, 0.093, 1.303, 0.825, -0.759, -0.42, -0.146, 0.135, 0.408, 0.169,
        0.581, -0.623, -0.927, -0.428, -0.361, -0.125, 0.443, 0.301, -0.022, 1.664, 1.282, 0.166, 2.134, 0.708,
        -0.212, -0.209, -0.087, -0.07, -0.213, 0.287, 0.392, 0.201, -0.324, -0.517, 0.087, -0.27, -0.094, 0.142,
        -0.066,
    ),
    -9.821,
)  # fmt: skip
_SEEN_ENDS = LogisticFit(
    (
        0.184, -0.006, -0.159, -0.012, 0.261, 0.156, -0.306, 0.145, 1.089, 0.732, -0.24, -0.146, -0.088, -0.348,
        0.975, -0.1, 0.277, -0.3, -0.61, -0.199, -0.248, -0.501, -0.039, 2.474, -0.395, 1.439, -6.053, -0.26, 0.151,
        -0.013, 0.281, 0.033, 0.25, 0.085, -0.118, -0.239, 0.072, -0.064, 0.099, 0.307, -0.168, -0.196, -0.088,
        -0.278,
    ),
    -8.196,
)  # fmt: skip
_SEEN_HOLDS = LogisticFit(
    (
        -0.113, 0.235, 0.112, 0.006, 0.075, 0.174, 0.074, 1.881, 0.049, 0.355, 0.238, 0.662, 0.398, -0.005, 0.275,
        -0.805, -0.349, 0.521, 0.489, -0.922, -0.645, -0.056, -0.142, 0.982, 0.462, 1.501, -1.358, 1.916, 0.567,
        -0.745, 0.194, -0.091, 0.26, 0.493, 0.657, 0.24, 0.184, -0.743, 0.452, 0.188, -0.225, -0.297, -0.097, -0.217,
    ),
    2.302,
)  # fmt: skip
SEEN = (_SEEN_BEGINS, _SEEN_ENDS, _SEEN_HOLDS)
"""Of hands of which it was seen what moves with them."""
