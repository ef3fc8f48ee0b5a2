import numpy as np
import pytest

from prehend.check import check_finite, check_image, check_shape
from prehend.errors import InvalidInput, PrehendError


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 3), [3, 3]),
        ((21, 3), ["N", 3]),
        ((4, 4), ["N", "N"]),
        ((), []),
        ((5, 2, 21, 3), ["...", 21, 3]),
        ((21, 3), ["...", 21, 3]),
        ((7, 4, 4), ["...", "N", "N"]),
        ((0, 3), ["N", 3]),
    ],
)
def test_shapes_that_fit(shape, expected) -> None:
    check_shape("x", np.zeros(shape), expected)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3,), [3, 3]),
        ((3, 4), [3, 3]),
        ((3, 4), ["N", "N"]),
        ((3,), ["...", 21, 3]),
        ((20, 3), ["...", 21, 3]),
        ((1, 3), [3]),
        ((2,), []),
    ],
)
def test_shapes_that_do_not_fit_are_told_with_both(shape, expected) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_shape("joints", np.zeros(shape), expected)
    assert "joints" in str(caught.value)
    assert str(shape) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none(value: float) -> None:
    check_finite("x", [1.0, 2.0])
    with pytest.raises(InvalidInput, match="K holds"):
        check_finite("K", np.array([1.0, value]))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("a path", "str"),
        (np.zeros((4, 4, 3)), "float64"),
        (np.zeros((4, 4), np.uint8), "H, W, 3"),
        (np.zeros((4, 4, 4), np.uint8), "H, W, 3"),
        (np.zeros((4, 0, 3), np.uint8), "empty"),
    ],
)
def test_what_is_no_image(image, message: str) -> None:
    check_image("image", np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(InvalidInput, match=message):
        check_image("image", image)


def test_invalid_input_is_one_of_ours_and_a_value_error() -> None:
    assert issubclass(InvalidInput, PrehendError)
    assert issubclass(InvalidInput, ValueError)
