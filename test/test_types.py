from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.types import Box, Camera, HandHypotheses, Region

K = np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]])
boxes = st.tuples(st.floats(-100, 100), st.floats(-100, 100), st.floats(1, 100), st.floats(1, 100)).map(
    lambda v: Box(v[0], v[1], v[0] + v[2], v[1] + v[3])
)


def test_a_camera_takes_lists_and_keeps_float64() -> None:
    camera = Camera(K.astype(np.float32).tolist(), 640, 480, [[0.1, 0.2, 0, 0]])
    assert camera.K.dtype == np.float64
    assert camera.distortion.shape == (4,)
    assert not camera.estimated
    assert Camera(K, 640, 480).distortion.size == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"K": np.zeros((3, 3))}, "not calibrated"),
        ({"K": K * [[-1], [1], [1]]}, "not calibrated"),
        ({"K": K[:2]}, "shape"),
        ({"K": np.full((3, 3), np.nan)}, "NaN"),
        ({"width": 0}, "not positive"),
        ({"height": -5}, "not positive"),
        ({"distortion": [np.inf]}, "distortion"),
    ],
)
def test_cameras_that_are_none_are_refused(change, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Camera(**{"K": K, "width": 640, "height": 480, **change})


@given(boxes, boxes)
def test_overlap_is_symmetric_and_between_0_and_1(a: Box, b: Box) -> None:
    assert a.iou(b) == pytest.approx(b.iou(a))
    assert 0 <= a.iou(b) <= 1 + 1e-9
    assert a.iou(a) == pytest.approx(1)


@given(boxes, st.floats(0.1, 10), st.floats(-50, 50))
def test_overlap_does_not_change_with_scale_and_place(a: Box, scale: float, shift: float) -> None:
    b = Box(a.x0 + 0.3 * a.width, a.y0, a.x1 + 0.3 * a.width, a.y1)

    def moved(box: Box) -> Box:
        return Box(*(scale * value + shift for value in (box.x0, box.y0, box.x1, box.y1)))

    assert a.iou(b) == pytest.approx(0.7 / 1.3)
    assert moved(a).iou(moved(b)) == pytest.approx(a.iou(b), rel=1e-6)


def test_boxes_that_only_touch_or_have_no_area_do_not_overlap() -> None:
    a = Box(0, 0, 10, 10)
    assert a.iou(Box(10, 0, 20, 10)) == 0
    assert a.iou(Box(5, 5, 5, 8)) == 0
    assert Box(5, 5, 2, 9).area == 0


def test_a_box_around_points_is_tight() -> None:
    points = np.array([[[3.0, 7], [-1, 2]], [[0, 9], [2, 2]]])
    box = Box.around(points)
    assert (box.x0, box.y0, box.x1, box.y1) == (-1, 2, 3, 9)
    assert (box.width, box.height, box.area, box.center) == (4, 7, 28, (1, 5.5))
    np.testing.assert_array_equal(box.as_array(), np.float32([-1, 2, 3, 9]))


def test_records_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Box(0, 0, 1, 1).x0 = 3  # type: ignore[misc]


turns = st.floats(-3.1, 3.1)
points = st.integers(0, 10_000).map(lambda seed: np.random.default_rng(seed).uniform(0, 200, (21, 2)))


@given(points, turns)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_region_around_points_holds_them_and_is_tight(pixels: np.ndarray, turn: float) -> None:
    region = Region.around(pixels, turn)
    across = (pixels - region.center_px) @ region.axes.T
    np.testing.assert_allclose(np.abs(across).max(0), [region.width / 2, region.height / 2], atol=1e-9)
    np.testing.assert_allclose(across.max(0), -across.min(0), atol=1e-9)


@given(points, turns, turns)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_region_turns_with_its_image(pixels: np.ndarray, turn: float, more: float) -> None:
    cos, sin = np.cos(more), np.sin(more)
    clockwise = np.array([[cos, -sin], [sin, cos]])  # as seen with y down
    before, after = Region.around(pixels, turn), Region.around(pixels @ clockwise.T, turn + more)
    np.testing.assert_allclose([after.width, after.height], [before.width, before.height], atol=1e-9)
    np.testing.assert_allclose(after.center_px, clockwise @ before.center_px, atol=1e-9)


@given(points, turns)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_region_in_the_mirror_turns_the_other_way(pixels: np.ndarray, turn: float) -> None:
    mirrored = Region.around(pixels * [-1, 1], -turn)
    region = Region.around(pixels, turn)
    np.testing.assert_allclose(mirrored.center_px, np.array(region.center_px) * [-1, 1], atol=1e-9)
    np.testing.assert_allclose([mirrored.width, mirrored.height], [region.width, region.height], atol=1e-9)


@given(boxes)
def test_an_upright_region_is_its_box(box: Box) -> None:
    region = Region.of_box(box)
    np.testing.assert_allclose(region.box.as_array(), box.as_array(), rtol=1e-6, atol=1e-5)
    assert region.longer == pytest.approx(max(box.width, box.height))
    turned = Region.of_box(box, 0.7)
    assert turned.width == turned.height == region.longer and turned.center_px == box.center


def test_up_in_a_region_is_the_direction_of_the_hand() -> None:
    for turn in (0.0, 0.6, -2.0):
        along = np.array([np.sin(turn), -np.cos(turn)])  # clockwise from the image's up
        np.testing.assert_allclose(Region((0, 0), 1, 1, turn).axes @ along, [0, -1], atol=1e-12)


def hypotheses(seed: int) -> HandHypotheses:
    rng = np.random.default_rng(seed)
    joints, turns = rng.normal(0, 0.1, (3, 21, 3)), rng.normal(0, 1, (3, 16, 3))
    roots = rng.normal(0, 0.01, (21, 3, 3))
    return HandHypotheses(joints, matrix_from_axis_angle(turns), roots @ roots.transpose(0, 2, 1), 2, 5)


@pytest.mark.parametrize("seed", range(3))
def test_hypotheses_that_move_there_and_back_are_the_same(seed: int) -> None:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = matrix_from_axis_angle(np.array([0.3, -2.0, 1.1])), [0.4, -1.0, 2.0]
    here = hypotheses(seed)
    there = here.moved(T)
    back = there.moved(np.linalg.inv(T))
    for name in ("joints_m", "rotations", "joint_covariance_m2"):
        np.testing.assert_allclose(getattr(back, name), getattr(here, name), atol=1e-9)
    np.testing.assert_allclose(there.joints_m[1, 7], (T @ [*here.joints_m[1, 7], 1])[:3])
    np.testing.assert_array_equal(there.rotations[:, 1:], here.rotations[:, 1:])
    np.testing.assert_allclose(
        np.linalg.eigvalsh(there.joint_covariance_m2), np.linalg.eigvalsh(here.joint_covariance_m2), atol=1e-12
    )
    assert (there.consistent, there.steps) == (2, 5)


@pytest.mark.parametrize(
    ("K_changed", "message"),
    [
        ([[1e-9, 0, 0], [0, 1e-9, 0], [0, 0, 1]], "next to none"),
        ([[600, 0, 320], [0, 600, 240], [0, 0.1, 1]], "last row"),
        ([[600, 0, 320], [0, 600, 240], [0, 0, 2]], "last row"),
        ([[600, 600, 320], [600, 600, 240], [0, 0, 1]], "cannot be inverted"),
        ([[1e12, 0, 320], [0, 600, 240], [0, 0, 1]], "cannot be inverted"),
        ([[600, 0, 320], [0, 600, 240], [0, 0, 0]], "not calibrated"),
    ],
)
def test_matrices_that_no_camera_has_are_refused(K_changed, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Camera(K_changed, 640, 480)


@pytest.mark.parametrize("given", ["K", [["a"] * 3] * 3, [[1, 2], [3]], None, {}])
def test_what_is_no_matrix_of_numbers_is_ours_to_refuse(given) -> None:
    with pytest.raises(InvalidInput):
        Camera(given, 640, 480)
