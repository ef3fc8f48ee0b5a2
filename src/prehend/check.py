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
    shape = tuple(array.shape)
    wanted = list(expected)
    tail = shape
    if wanted and wanted[0] == "...":
        wanted = wanted[1:]
        tail = shape[len(shape) - len(wanted) :] if len(shape) >= len(wanted) else ()
    sizes: dict[str, int] = {}
    fits = len(tail) == len(wanted) and all(
        size == want if isinstance(want, int) else sizes.setdefault(want, size) == size
        for size, want in zip(tail, wanted, strict=True)
    )
    if not fits:
        raise InvalidInput(f"{name} has shape {shape}, expected ({', '.join(map(str, expected))})")


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
