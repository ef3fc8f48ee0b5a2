from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prehend.errors import InvalidInput
from prehend.types import Box, Camera

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
