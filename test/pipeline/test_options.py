"""What the options of an estimator may be, and what is said of those that they may not be."""

from dataclasses import fields, replace

import numpy as np
import pytest

from prehend.errors import ParameterError
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.load import load_estimator
from prehend.pipeline.options import EstimatorOptions, option_default
from prehend.ros.params import specs

NUMBERS = [one.name for one in fields(EstimatorOptions) if one.type in (int, float, float | None)]
WHOLE = [one.name for one in fields(EstimatorOptions) if one.type is int]
TRUTHS = [one.name for one in fields(EstimatorOptions) if one.type is bool]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("wrong", ["5", True, np.True_, float("nan"), np.array([2, 3]), 1j])
def test_what_is_no_number_is_refused_with_the_name_of_the_option(name: str, wrong: object) -> None:
    with pytest.raises(ParameterError, match=rf"^{name} is .*, expected a (whole )?number( or None)?$"):
        EstimatorOptions(**{name: wrong})


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("wrong", [2.5, 2.0, None])
def test_counts_are_whole_numbers(name: str, wrong: object) -> None:
    with pytest.raises(ParameterError, match=f"^{name} is {wrong}, expected a whole number$"):
        load_estimator(**{name: wrong})


@pytest.mark.parametrize("name", TRUTHS)
@pytest.mark.parametrize("wrong", [1, 0.0, "yes", None])
def test_truth_values_are_no_numbers(name: str, wrong: object) -> None:
    with pytest.raises(ParameterError, match=f"^{name} is {wrong!r}, expected True or False$"):
        EstimatorOptions(**{name: wrong})


def test_the_numbers_of_numpy_and_whole_ones_are_welcome() -> None:
    assert {"temporal_frames", "hypotheses", "max_hands", "threads"} <= set(WHOLE)
    given = {name: np.int64(option_default(name)) for name in WHOLE}
    given |= {"fov_deg": 60, "smooth_beta": np.float32(2.5), "keep_score": np.float64(0.25), "tracking": np.False_}
    options = EstimatorOptions(**given)
    assert options == EstimatorOptions(smooth_beta=2.5, keep_score=0.25, tracking=False)
    assert all(type(getattr(options, name)) is int for name in WHOLE) and options.tracking is False
    assert type(options.smooth_beta) is float


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"smooth_beta": -1.0}, r"^smooth_beta is -1\.0, expected 0 or more"),
        ({"smooth_min_cutoff_hz": -1.0}, r"^smooth_min_cutoff_hz is -1\.0, expected 0 to 30$"),
        ({"smooth_min_cutoff_hz": 31}, "^smooth_min_cutoff_hz is 31, expected 0 to 30$"),
    ],
)
def test_smoothing_is_named_as_the_option_is(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        EstimatorOptions(**wrong)


def test_the_node_and_python_smooth_by_the_same_cutoffs() -> None:
    low, high = specs()["smooth_min_cutoff_hz"].span
    for value in (low, high):
        assert EstimatorOptions(smooth_min_cutoff_hz=value).smooth.min_cutoff_hz == value


@pytest.mark.parametrize(("pause", "stays"), [("without the hand", True), ("without images", False)])
def test_a_lost_hand_keeps_its_number_unless_no_image_comes(pause, stays, oracle, finder, camera, image, new_hand):
    """Out of sight for 1.5 s with `keep_lost_s` 3; without images that is more than `max_gap_s`."""
    options = replace(EstimatorOptions(), keep_lost_s=3.0)
    estimator, hand = Estimator(oracle, finder, config=options), new_hand("right", x=0.0)

    def show(seen: bool, first: int, count: int) -> list[int]:
        oracle.scene = [hand] if seen else []
        results = [estimator.estimate(image, camera, stamp=k / 10) for k in range(first, first + count)]
        return [one.track_id for one in results[-1].hands]

    before = show(True, 0, 8)
    if pause == "without the hand":
        assert show(False, 8, 15) == []
    after = show(True, 23, 8)
    assert len(before) == len(after) == 1 and (before == after) is stays
