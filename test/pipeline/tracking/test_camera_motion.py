"""How the picture moves behind the hands, on pictures that were moved by known amounts."""

import cv2
import numpy as np
import pytest

from prehend.pipeline.tracking.camera_motion import STILL, CameraMotion
from prehend.types import Box


@pytest.fixture
def wall() -> np.ndarray:
    """(520, 680, 3) patches of light and shade."""
    coarse = np.random.default_rng(0).integers(0, 255, (52, 68)).astype(np.uint8)
    return np.repeat(cv2.resize(coarse, (680, 520), interpolation=cv2.INTER_CUBIC)[..., None], 3, 2)


def view(wall: np.ndarray, x: int, y: int) -> np.ndarray:
    return wall[y : y + 480, x : x + 640]


def went(M: np.ndarray, point: tuple[float, float]) -> np.ndarray:
    return M @ np.array([*point, 1.0]) - point


def test_a_camera_that_goes_right_sees_things_go_left(wall: np.ndarray) -> None:
    motion = CameraMotion()
    assert np.array_equal(motion.step(view(wall, 10, 10), ()), STILL), "the first image follows none"
    M = motion.step(view(wall, 14, 12), ())
    for point in ((100, 100), (500, 300)):
        np.testing.assert_allclose(went(M, point), [-4, -2], atol=0.3)


def test_a_camera_that_stands_still_does_so_to_the_bit_whatever_an_arm_does(wall: np.ndarray) -> None:
    rng, motion = np.random.default_rng(1), CameraMotion()
    arm = cv2.resize(rng.integers(0, 255, (14, 10, 3)).astype(np.uint8), (180, 260), interpolation=cv2.INTER_CUBIC)
    for k in range(4):
        image = view(wall, 10, 10).astype(np.int16) + rng.integers(-2, 3, (480, 640, 3))
        image[200:460, 200 + 5 * k : 380 + 5 * k] = arm
        assert np.array_equal(motion.step(image.clip(0, 255).astype(np.uint8), ()), STILL)


def test_what_moves_in_the_boxes_of_hands_does_not_count(wall: np.ndarray) -> None:
    motion, moved = CameraMotion(), []
    for k in range(2):
        image = np.full((480, 640, 3), 128, np.uint8)
        image[100:400, 100 + 6 * k : 500 + 6 * k] = wall[:300, :400]
        moved.append(motion.step(image, [Box(95, 95, 515, 405)]))
    assert np.array_equal(moved[1], STILL)


def test_an_empty_wall_another_size_and_a_reset_say_nothing(wall: np.ndarray) -> None:
    motion, grey = CameraMotion(), np.full((480, 640, 3), 90, np.uint8)
    assert all(np.array_equal(motion.step(grey, ()), STILL) for _ in range(2))
    motion.step(view(wall, 10, 10), ())
    assert np.array_equal(motion.step(view(wall, 20, 10)[:300], ()), STILL)
    motion.step(view(wall, 10, 10), ())
    motion.reset()
    assert np.array_equal(motion.step(view(wall, 20, 10), ()), STILL)
    assert motion.step(view(wall, 10, 10)[:1, :1], ()).shape == (2, 3)
