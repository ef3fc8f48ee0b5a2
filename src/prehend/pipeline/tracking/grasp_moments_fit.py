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

SEEN_PATH = PathFit(-1.0, -1.0, 0.0, 1.0, 1.5, 0.5)
_SEEN_BEGINS = LogisticFit(
    (
        -0.14, -0.302, 0.036, 0.055, 0.045, 0.08, 0.095, 1.21, 0.911, -0.638, -0.311, -0.002, 0.128, 0.339, 0.134,
        0.541, -0.719, -0.966, -0.369, -0.247, -0.261, 0.418, 0.388, -0.262, 2.971, 0.451, -0.026, 2.102, 0.66,
        -0.273, -0.208, -0.293, -0.288, -0.085, 0.549, 0.323, 0.287, -0.067, -0.402, 0.098, -0.337, -0.039, -0.005,
        -0.036,
    ),
    -9.219,
)  # fmt: skip
_SEEN_ENDS = LogisticFit(
    (
        0.277, -0.02, -0.124, 0.009, 0.249, 0.105, -0.319, 0.215, 1.094, 0.536, -0.302, -0.088, -0.051, -0.403,
        1.104, -0.108, 0.236, -0.436, -0.619, -0.141, -0.222, -0.588, -0.121, 2.851, 0.134, 0.398, -6.035, -0.374,
        0.173, -0.07, 0.292, 0.039, 0.392, -0.323, -0.234, -0.18, 0.179, -0.075, 0.013, 0.347, -0.322, -0.02, 0.094,
        -0.242,
    ),
    -9.197,
)  # fmt: skip
_SEEN_HOLDS = LogisticFit(
    (
        -0.023, 0.25, 0.126, -0.029, 0.053, 0.124, 0.021, 2.276, 0.027, 0.26, 0.024, 0.803, 0.463, -0.16, 0.224,
        -0.924, -0.138, 0.818, 0.677, -1.403, -0.993, 0.192, 0.008, 1.157, 0.558, 1.314, -1.467, 1.914, 0.783,
        -0.837, -0.253, 0.126, 0.598, 0.794, 0.536, 0.102, 0.217, -0.341, 0.175, -0.137, -0.584, -0.342, 0.035,
        -0.122,
    ),
    2.331,
)  # fmt: skip
SEEN = (_SEEN_BEGINS, _SEEN_ENDS, _SEEN_HOLDS)
"""Of hands of which it was seen what moves with them."""
