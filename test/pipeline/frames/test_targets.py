"""What a target needs of its box, and the numbers of following that mean nothing."""

import pytest

from prehend.errors import ParameterError
from prehend.pipeline.frames.targets import inside_share
from prehend.pipeline.options import EstimatorOptions
from prehend.types import Box

SIZE = (640, 480)


def test_inside_share() -> None:
    assert inside_share(Box(10, 10, 20, 20), SIZE) == 1
    assert inside_share(Box(-100, 10, 99, 20), SIZE) == pytest.approx(0.5)
    assert inside_share(Box(-20, 10, -5, 20), SIZE) == 0
    assert inside_share(Box(50, 10, 50, 20), SIZE) == 1, "a line"


@pytest.mark.parametrize("name", ["max_hands", "find_interval_s", "keep_lost_s", "max_gap_s"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_values_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ParameterError, match=name):
        EstimatorOptions(**{name: value})
