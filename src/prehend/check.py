"""Shape and range checks for the borders of the package (`Estimator`, backends, metrics); never inside layers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prehend.errors import InvalidInput


def check_shape(name: str, array: NDArray[Any], expected: Sequence[int | str]) -> None:
    """Raise `InvalidInput` unless `array.shape` fits `expected`.

    Args:
        name: what the caller calls the array.
        array: the array.
        expected: one entry a dimension: a number, or a name for a free size; a leading "..." admits any
            number of leading dimensions. The same name twice means the same size.
    """
    if not _fits(array.shape, expected):
        raise InvalidInput(f"{name} has shape {tuple(array.shape)}, expected ({', '.join(map(str, expected))})")


def _fits(shape: tuple[int, ...], expected: Sequence[int | str]) -> bool:
    """A plain loop: it runs some sixty times an image."""
    first = 1 if expected and expected[0] == "..." else 0
    more = len(shape) - (len(expected) - first)
    if more < 0 or (more and not first):
        return False
    sizes: dict[int | str, int] = {}
    for k in range(first, len(expected)):
        want, size = expected[k], shape[more + k - first]
        if size != (want if isinstance(want, int) else sizes.setdefault(want, size)):
            return False
    return True


def numbers(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """The values as float64; `InvalidInput` where they are no numbers, or rows of different lengths."""
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"{name} is {str(values)[:60]!r}, expected an array of numbers") from error


def check_finite(name: str, array: ArrayLike) -> None:
    """Raise `InvalidInput` if `array` holds NaN or infinity."""
    if not np.isfinite(np.asarray(array)).all():
        raise InvalidInput(f"{name} holds NaN or infinite values")


def check_image(name: str, image: NDArray[Any]) -> None:
    """Raise `InvalidInput` unless `image` is (H, W, 3) uint8 with at least one pixel."""
    if not isinstance(image, np.ndarray):
        raise InvalidInput(f"{name} is a {type(image).__name__}, expected an array of uint8 (H, W, 3)")
    if image.dtype != np.uint8:
        raise InvalidInput(f"{name} is {image.dtype}, expected uint8")
    check_shape(name, image, ["H", "W", 3])
    if 0 in image.shape:
        raise InvalidInput(f"{name} is empty: shape {image.shape}")
