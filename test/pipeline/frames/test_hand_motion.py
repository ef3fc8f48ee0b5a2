"""What goes with a hand, in images whose parts were moved by us."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from prehend.pipeline.frames.hand_motion import GAP_S, LAYERS, SIZE, SPAN, HandWatch, motion_patch
from prehend.pipeline.tracking.camera_motion import STILL
from prehend.types import Box, GraspEstimate, HandEstimate

WIDTH, HEIGHT = 320, 240
RNG = np.random.default_rng(0)


def texture(width: int, height: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(30, 226, (height // 3 + 1, width // 3 + 1)).astype(np.uint8)
    return cv2.resize(noise, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)[:height, :width]


WALL, SKIN, THING = texture(2 * WIDTH, 2 * HEIGHT, 1), texture(60, 40, 2), texture(24, 24, 3)


def keypoints(x: float, y: float) -> np.ndarray:
    """A flat hand of 60 by 40 px whose fingers point to the right, the wrist at its left."""
    told = np.zeros((21, 2))
    told[0] = 0, 24
    for finger in range(5):
        for joint in range(4):
            told[1 + 4 * finger + joint] = 15 + 15 * joint, 4 + 8 * finger
    return told + np.array([x, y])


def scene(x: int, y: int, thing: tuple[int, int], camera: tuple[int, int] = (0, 0)) -> np.ndarray:
    image = WALL[camera[1] : camera[1] + HEIGHT, camera[0] : camera[0] + WIDTH].copy()
    image[thing[1] : thing[1] + 24, thing[0] : thing[0] + 24] = THING
    image[y : y + 40, x : x + 60] = SKIN
    return image


def at_thing(patch: np.ndarray, right: bool = True) -> float:
    """Mean of which way explains it better, before the fingertips: right of the middle of the patch."""
    middle, cell = SIZE / 2, SIZE / (SPAN * 60)
    x = round(middle + cell * 38)
    spread = patch[1, round(middle) - 3 : round(middle) + 4, x - 3 : x + 4]
    return float(spread.mean())


@pytest.mark.parametrize("goes", [True, False])
@pytest.mark.parametrize("camera", [(0, 0), (5, 3)])
def test_a_thing_goes_with_the_hand_or_with_the_wall(goes: bool, camera: tuple[int, int]) -> None:
    """The camera moves by `camera`, so the wall goes the other way in the image."""
    before = scene(120, 100, (181, 108))
    rest = 181 - camera[0], 108 - camera[1]
    now = scene(127, 96, (188, 104) if goes else rest, camera)
    M = np.column_stack([np.eye(2), -np.array(camera, float)])
    patch = motion_patch(now, before, M, keypoints(127, 96), keypoints(120, 100), True)
    assert patch is not None and patch.layers.shape == (LAYERS, SIZE, SIZE) and patch.layers.dtype == np.float32
    assert 0 < patch.speed <= 1
    assert (at_thing(patch.layers) > 0.3) == goes and (at_thing(patch.layers) < -0.3) != goes
    corner = patch.layers[1, 2:12, 2:12].mean()  # the wall
    hand = patch.layers[1, SIZE // 2 - 3 : SIZE // 2 + 3, SIZE // 2 - 3 : SIZE // 2 + 3].mean()
    assert corner < -0.3 < 0.3 < hand


def test_keypoints_that_tremble_change_little() -> None:
    before, now = scene(120, 100, (181, 108)), scene(127, 96, (188, 104))
    sure = motion_patch(now, before, STILL, keypoints(127, 96), keypoints(120, 100), True)
    shaken = [keypoints(x, y) + RNG.normal(0, 1.0, (21, 2)) for x, y in ((127, 96), (120, 100))]
    patch = motion_patch(now, before, STILL, shaken[0], shaken[1], True)
    assert at_thing(patch.layers) > 0.3 and abs(patch.speed - sure.speed) < 0.1


def test_a_hand_that_rests_tells_nothing() -> None:
    image = scene(120, 100, (181, 108))
    patch = motion_patch(image, image, STILL, keypoints(120, 100), keypoints(120, 100), True)
    assert patch.speed == pytest.approx(0, abs=0.02) and np.abs(patch.layers[1]).max() < 0.05


def test_left_hands_are_seen_as_right_ones_and_turned_hands_upright() -> None:
    def looked(flip: bool, turns: int) -> np.ndarray:
        images = [scene(120, 100, (181, 108)), scene(127, 96, (188, 104))]
        points = [keypoints(120, 100), keypoints(127, 96)]
        width, height = WIDTH, HEIGHT
        if flip:
            images = [np.ascontiguousarray(one[:, ::-1]) for one in images]
            points = [np.stack([width - 1 - one[:, 0], one[:, 1]], 1) for one in points]
        for _ in range(turns):  # counterclockwise by 90 degrees
            images = [np.ascontiguousarray(np.rot90(one)) for one in images]
            points = [np.stack([one[:, 1], width - 1 - one[:, 0]], 1) for one in points]
            width, height = height, width
        return motion_patch(images[1], images[0], STILL, points[1], points[0], not flip).layers

    plain = looked(False, 0)
    for flip, turns in ((True, 0), (False, 1), (True, 2), (False, 3)):
        other = looked(flip, turns)
        assert np.abs(other[1] - plain[1])[8:-8, 8:-8].mean() < 0.06
        assert np.corrcoef(other[0].ravel(), plain[0].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("shift", [-400.0, 400.0])
def test_hands_beyond_the_border_and_without_extent(shift: float) -> None:
    image = scene(120, 100, (181, 108))
    patch = motion_patch(image, image, STILL, keypoints(120 + shift, 100), keypoints(120, 100), True)
    assert patch is not None and np.isfinite(patch.layers).all() and patch.speed == 1
    assert motion_patch(image, image, STILL, np.zeros((21, 2)), keypoints(1, 1), True) is None
    assert motion_patch(image, image, STILL, np.full((21, 2), np.nan), keypoints(1, 1), True) is None


def hand(x: float, y: float) -> HandEstimate:
    points = keypoints(x, y)
    flat = np.zeros((21, 3))
    return HandEstimate(
        1, "right", 0.9, Box.around(points), points, flat, flat[:0], np.tile(np.eye(3), (16, 1, 1)), np.zeros(10),
        np.ones(21, bool), GraspEstimate("unknown", 0.5, None),
    )  # fmt: skip


def test_a_look_needs_the_one_before() -> None:
    before, now = scene(120, 100, (181, 108)), scene(127, 96, (188, 104))
    motion = HandWatch()
    assert motion.step(hand(120, 100), 0.0, before, None, STILL) is None
    told = motion.step(hand(127, 96), 0.066, now, before, STILL)
    plain = motion_patch(now, before, STILL, keypoints(127, 96), keypoints(120, 100), True)
    assert np.array_equal(told.layers, plain.layers) and told.speed == plain.speed
    assert motion.step(hand(127, 96), 0.066 + GAP_S + 0.01, now, now, STILL) is None
    assert motion.step(replace(hand(127, 96)), 0.25, now, None, STILL) is None
    assert motion.step(hand(127, 96), 0.31, now, now[:100], STILL) is None  # images of another size
    assert motion.step(hand(127, 96), 0.37, now, now, STILL) is not None
