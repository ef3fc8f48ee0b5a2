import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput
from prehend.geometry.calibration import checked_camera, doubt
from prehend.geometry.camera import plane_from_pixels
from prehend.types import Camera

K = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])
BROWN = [0.1, -0.05, 0.001, -0.002, 0.01]
FISHEYE = [-0.009, 0.046, -0.043, 0.008]


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        (K.T, "transposed"),
        (K * 2, "last row"),
        (np.diag([500.0, 510, 2]) + K * [[0, 0, 1], [0, 0, 1], [0, 0, 0]], "last row"),
        ([[1, 1, 80], [1, 1, 60], [0, 0, 1]], "expected fx 0 0 fy"),
        (np.zeros((3, 3)), "not calibrated"),
        (np.diag([-500.0, 510, 1]), "not calibrated"),
        ([[1e-320, 0, 320], [0, 1e-320, 240], [0, 0, 1]], "no camera"),
        ([[1e300, 0, 320], [0, 1e300, 240], [0, 0, 1]], "no camera"),
        ([[0.78, 0, 0.5], [0, 1.06, 0.5], [0, 0, 1]], "not in pixels"),
        ([[500, 0, 640], [0, 510, 240], [0, 0, 1]], "outside the image"),
        ([[500, 0, 320], [0, 510, -1], [0, 0, 1]], "outside the image"),
        ([[500, 0, 1e300], [0, 510, 240], [0, 0, 1]], "no camera"),
        ([[500, 0, 320], [0, 50, 240], [0, 0, 1]], "oblong"),
        (np.full((3, 3), np.nan), "NaN"),
        (np.eye(2), "shape"),
    ],
)
def test_what_no_camera_has_is_refused_with_the_reason(matrix, says):
    with pytest.raises(InvalidInput, match=says):
        checked_camera(matrix, 640, 480)


def test_nine_numbers_are_a_matrix():
    assert np.array_equal(checked_camera(K.ravel(), 640, 480).K, K)


@pytest.mark.parametrize(
    ("given", "model", "name", "count"),
    [
        ([*BROWN, 0, 0, 0], "plumb_bob", "plumb_bob", 5),
        ([*FISHEYE, 0], "equidistant", "equidistant", 4),
        (FISHEYE, "fisheye", "equidistant", 4),
        (FISHEYE, "Kannala-Brandt4", "equidistant", 4),
        (BROWN[:4], "radtan", "plumb_bob", 4),
        (BROWN, "", "plumb_bob", 5),
        ([*BROWN, 0.01, 0.02, 0.03], "plumb_bob", "rational_polynomial", 8),
        ([0.0] * 5, "inverse_brown_conrady", "plumb_bob", 0),
        ([], "magic", "plumb_bob", 0),
    ],
)
def test_distortion_is_taken_as_drivers_name_and_size_it(given, model, name, count):
    camera = checked_camera(K, 640, 480, given, model)
    assert (camera.distortion_model, camera.distortion.tolist()) == (name, [float(v) for v in given[:count]])


@pytest.mark.parametrize(
    ("given", "model", "says"),
    [
        (BROWN, "inverse_brown_conrady", "not known"),
        ([*FISHEYE, 0.1], "equidistant", "has 5 coefficients"),
        ([0.1], "plumb_bob", "has 1 coefficients"),
        ([0.1, 0, 0, 0, 0, 0.2], "rational_polynomial", "has 6 coefficients"),
        ([np.nan, 0, 0, 0], "plumb_bob", "NaN"),
        ([1e300, 0, 0, 0], "plumb_bob", "without rays"),
        ([0, 0, 900, 900], "plumb_bob", "without rays"),
    ],
)
def test_distortion_that_is_none_is_refused(given, model, says):
    with pytest.raises(InvalidInput, match=says):
        checked_camera(K, 640, 480, given, model)


numbers = st.one_of(st.floats(), st.sampled_from([0.0, 1.0, 500.0, 320.0, -1.0, 1e-320, 1e300]))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    changes=st.lists(st.tuples(st.integers(0, 8), numbers), max_size=3),
    d=st.lists(numbers, max_size=14),
    model=st.sampled_from(["plumb_bob", "rational_polynomial", "equidistant", "fisheye", "", "x"]),
    size=st.tuples(st.integers(-2, 5000), st.integers(-2, 5000)),
)
def test_what_is_accepted_sees_the_middle_of_its_picture(changes, d, model, size):
    matrix = K.ravel().copy()
    for place, value in changes:
        matrix[place] = value
    try:
        camera = checked_camera(matrix, *size, d, model)
    except InvalidInput:
        return
    middle = np.array([camera.width / 2, camera.height / 2])
    assert np.isfinite(plane_from_pixels(middle, camera)).all()


@pytest.mark.parametrize(
    ("size", "center", "says"),
    [
        ((640, 480), (319.5, 239.5), ""),
        ((640, 480), (350, 210), ""),  # a cheap lens
        ((1920, 1080), (319.5, 239.5), "for another image"),
        ((480, 640), (319.5, 239.5), "is turned"),
        ((1080, 1920), (959.5, 539.5), "is turned"),
    ],
)
def test_a_principal_point_of_another_image_is_doubted(size, center, says):
    camera = Camera(np.array([[900, 0, center[0]], [0, 900, center[1]], [0, 0, 1]], float), *size)
    assert bool(doubt(camera)) == bool(says) and says in doubt(camera)
