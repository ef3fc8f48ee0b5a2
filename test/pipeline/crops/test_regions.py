import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prehend.pipeline.crops.regions import (
    LOOK_AGAIN_RAD,
    LOOK_AGAIN_SCALE,
    LOOK_AGAIN_SHIFT,
    MAX_SCALE,
    MAX_SHIFT,
    fit_to_box,
    is_off,
    near_to,
    region_iou,
    turn_between,
    upright_region,
)
from prehend.types import Box, Region

angles = st.floats(-math.pi, math.pi)


def joints(seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).uniform(-40, 40, (21, 2))
    points[[0, 9]] = [[3, 50], [-2, -20]]
    return points


def turned(points: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, -sin], [sin, cos]]).T


@given(angles, st.integers(0, 5))
def test_the_region_turns_along_with_its_hand(angle: float, seed: int) -> None:
    still, region = upright_region(joints(seed), 0.0), upright_region(turned(joints(seed), angle), 0.0)
    assert math.remainder(region.turn_rad - still.turn_rad - angle, 2 * math.pi) == pytest.approx(0, abs=1e-9)
    assert (region.width, region.height) == pytest.approx((still.width, still.height))
    np.testing.assert_allclose(region.center_px, turned(np.array(still.center_px), angle), atol=1e-9)


def test_a_hand_that_points_at_the_camera_keeps_its_turn() -> None:
    points = joints()
    points[9] = points[0] + [4, 0]
    assert upright_region(points, 0.7).turn_rad == 0.7
    assert upright_region(joints(), 0.7).turn_rad != 0.7


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0.3, 3))
def test_joints_are_fitted_to_a_box_whatever_their_place_and_size(x: float, y: float, scale: float) -> None:
    truth = joints()
    np.testing.assert_allclose(fit_to_box(truth * scale + [x, y], Box.around(truth)), truth, atol=1e-9)


def test_joints_in_one_point_are_fitted_to_the_middle_of_the_box() -> None:
    np.testing.assert_allclose(fit_to_box(np.full((21, 2), 7.0), Box(0, 0, 10, 20)), np.full((21, 2), [5, 10]))


@given(angles, angles)
def test_angles_between_regions_go_the_short_way(a: float, b: float) -> None:
    one, other = Region((0, 0), 1, 1, a), Region((0, 0), 1, 1, b)
    assert 0 <= turn_between(one, other) <= math.pi
    assert turn_between(one, other) == pytest.approx(turn_between(other, one))
    assert math.cos(turn_between(one, other)) == pytest.approx(math.cos(a - b), abs=1e-9)


def test_what_is_worth_another_look() -> None:
    cut = Region((100, 100), 50, 80, 3.1)
    assert not is_off(cut, cut)
    for factor, off in ((0.9, False), (1.1, True)):
        turn = Region((100, 100), 50, 80, 3.1 + factor * LOOK_AGAIN_RAD - 2 * math.pi)
        larger = Region((100, 100), 30, 80 * LOOK_AGAIN_SCALE**factor, 3.1)
        smaller = Region((100, 100), 30, 80 / LOOK_AGAIN_SCALE**factor, 3.1)
        shifted = Region((100, 100 + 80 * factor * LOOK_AGAIN_SHIFT), 50, 80, 3.1)
        assert [is_off(region, cut) for region in (turn, larger, smaller, shifted)] == [off] * 4


@given(st.floats(-900, 900), st.floats(-900, 900), st.floats(0, 900), st.floats(0, 900), angles)
def test_a_second_crop_is_never_far_from_the_first(x: float, y: float, width: float, height: float, a: float) -> None:
    cut = Region((100.0, 100.0), 50, 80, 0.3)
    region = near_to(Region((x, y), width, height, a), cut)
    assert 80 / MAX_SCALE - 1e-6 <= region.longer <= 80 * MAX_SCALE + 1e-6
    assert math.dist(region.center_px, cut.center_px) <= 80 * MAX_SHIFT + 1e-6
    assert min(region.width, region.height) > 0
    assert region.turn_rad == a


def test_a_region_near_by_stays_as_it_is() -> None:
    cut, region = Region((100, 100), 50, 80), Region((110, 95), 60, 90, 2.0)
    assert near_to(region, cut) == region


@given(st.floats(0, 1e-3), angles)
def test_regions_that_are_nearly_the_same_overlap(error: float, angle: float) -> None:
    a = Region((100, 100), 40, 60, angle)
    b = Region((100 + error, 100 - error), 40 + error, 60, angle + error / 60 + math.pi)
    assert region_iou(a, b) > 1 - error - 1e-9


@given(angles)
def test_overlap_of_regions(angle: float) -> None:
    a = Region((100, 100), 40, 40, angle)
    assert region_iou(a, a) == pytest.approx(1, abs=1e-3)
    assert region_iou(a, Region((100, 100), 40, 40, angle + math.pi / 2)) == pytest.approx(1, abs=1e-3)
    assert region_iou(a, Region((200, 100), 40, 40)) == 0
    assert region_iou(a, Region((100, 100), 20, 10, 1 - angle)) == pytest.approx(1 / 8, abs=1e-3), "inside"
    assert region_iou(Region((100, 100), 40, 40), Region((120, 100), 40, 40)) == pytest.approx(1 / 3, abs=1e-3)
    assert region_iou(a, Region((100, 100), 0, 40)) == 0
