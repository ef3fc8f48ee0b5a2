"""What `prehend-train events --fit` found for `grasp_moments`, on rendered films (docs/TIME.md)."""

from typing import NamedTuple


class LogisticFit(NamedTuple):
    """A logistic regression.

    Attributes:
        weights: of what `grasp_moments.moment_cues` says, in its order. offset: added to their sum.
        least: log-odds above which a moment counts.
    """

    weights: tuple[float, ...]
    offset: float
    least: float


BEGINS = LogisticFit(
    (
        -0.304, -0.426, 0.045, 0.085, 0.145, 0.164, 0.209, 1.208, 0.961, -1.004, -0.306, 0.051, 0.203, 0.467,
        0.134, 0.573, -0.603, -1.121, -0.528, -0.304, -0.349, 0.695, 0.668, -2.756, 2.595, 3.571, 0.303, 2.477,
        0.537, -0.269,
    ),
    -8.714,
    -1.0,
)  # fmt: skip
ENDS = LogisticFit(
    (
        0.273, 0.061, -0.001, 0.15, 0.068, -0.064, -0.418, 0.421, 1.083, 0.251, -0.191, -0.186, -0.086, 0.239,
        0.969, 0.297, -0.321, -0.743, -0.536, -0.311, -0.165, -0.226, -0.031, 3.955, 1.091, -2.377, -1.609,
        -0.011, 0.232, 0.144,
    ),
    -7.736,
    -1.0,
)  # fmt: skip
