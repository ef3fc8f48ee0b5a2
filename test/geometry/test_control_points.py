import numpy as np

from prehend.conventions import NUM_CONTROL_POINTS
from prehend.geometry.control_points import MIRRORED_ORDER, control_points

EXTENTS, CENTER = np.array([0.06, 0.09, 0.2]), np.array([0.01, 0.0, -0.02])


def test_control_points_come_in_the_papers_order() -> None:
    points = control_points([2.0, 4.0, 6.0])
    assert points.shape == (NUM_CONTROL_POINTS, 3)
    np.testing.assert_array_equal(points[:3], [[-1, -2, -3], [1, -2, -3], [-1, 2, -3]])
    np.testing.assert_array_equal(points[7], [1, 2, 3])
    np.testing.assert_array_equal(points[8:12], [[-1, 0, -3], [1, 0, -3], [0, 2, -3], [0, -2, -3]])
    np.testing.assert_array_equal(points[12:16], points[8:12] * [1, 1, -1])
    np.testing.assert_array_equal(points[16:20], [[-1, 2, 0], [-1, -2, 0], [1, 2, 0], [1, -2, 0]])
    np.testing.assert_array_equal(points[20], 0)


def test_control_points_are_distinct_and_move_with_the_centre() -> None:
    points = control_points(EXTENTS, CENTER)
    assert len({tuple(point.round(6)) for point in points}) == NUM_CONTROL_POINTS
    np.testing.assert_allclose(points - CENTER, control_points(EXTENTS))
    np.testing.assert_allclose(np.ptp(points, axis=0), EXTENTS)
    assert control_points(np.ones((4, 2, 3)), np.zeros((4, 2, 3))).shape == (4, 2, 21, 3)


def test_mirrored_order_is_the_reflection_at_y_and_its_own_inverse() -> None:
    order = list(MIRRORED_ORDER)
    points = control_points(EXTENTS)
    np.testing.assert_allclose(points[order], points * [1, -1, 1])
    np.testing.assert_array_equal(points[order][order], points)
