"""What goes with a hand, in images whose parts were moved by us."""

import cv2
import numpy as np
import pytest

from prehend.pipeline.frames.hand_motion import (
    FAR_S,
    GAP_S,
    LAYERS,
    SIZE,
    SPAN,
    HandBefore,
    HandWatch,
    MotionPatch,
    PastImage,
    motion_patch,
)
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


def patch_of(now: np.ndarray, before: np.ndarray, M: np.ndarray, points, points_before, right=True) -> MotionPatch:
    """What is seen of two images."""
    one = HandBefore(before, M, points_before)
    return motion_patch(now, points, one, one, right)


def at_thing(patch: np.ndarray, layer: int = 1) -> float:
    """Mean of which way explains it better, before the fingertips: right of the middle of the patch."""
    middle, cell = SIZE / 2, SIZE / (SPAN * 60)
    x = round(middle + cell * 38)
    spread = patch[layer, round(middle) - 3 : round(middle) + 4, x - 3 : x + 4]
    return float(spread.mean())


@pytest.mark.parametrize("goes", [True, False])
@pytest.mark.parametrize("camera", [(0, 0), (5, 3)])
def test_a_thing_goes_with_the_hand_or_with_the_wall(goes: bool, camera: tuple[int, int]) -> None:
    """The camera moves by `camera`, so the wall goes the other way in the image."""
    before = scene(120, 100, (181, 108))
    rest = 181 - camera[0], 108 - camera[1]
    now = scene(127, 96, (188, 104) if goes else rest, camera)
    M = np.column_stack([np.eye(2), -np.array(camera, float)])
    patch = patch_of(now, before, M, keypoints(127, 96), keypoints(120, 100), True)
    assert patch is not None and patch.layers.shape == (LAYERS, SIZE, SIZE) and patch.layers.dtype == np.float32
    assert 0 < patch.speeds[0] == patch.speeds[1] <= 1 and np.array_equal(patch.layers[1:3], patch.layers[3:5])
    assert (at_thing(patch.layers) > 0.3) == goes and (at_thing(patch.layers) < -0.3) != goes
    corner = patch.layers[1, 2:12, 2:12].mean()  # the wall
    hand = patch.layers[1, SIZE // 2 - 3 : SIZE // 2 + 3, SIZE // 2 - 3 : SIZE // 2 + 3].mean()
    assert corner < -0.3 < 0.3 < hand


def test_keypoints_that_tremble_change_little() -> None:
    before, now = scene(120, 100, (181, 108)), scene(127, 96, (188, 104))
    sure = patch_of(now, before, STILL, keypoints(127, 96), keypoints(120, 100), True)
    shaken = [keypoints(x, y) + RNG.normal(0, 1.0, (21, 2)) for x, y in ((127, 96), (120, 100))]
    patch = patch_of(now, before, STILL, shaken[0], shaken[1], True)
    assert at_thing(patch.layers) > 0.3 and np.abs(patch.speeds - sure.speeds).max() < 0.1


def test_a_hand_that_rests_tells_nothing() -> None:
    image = scene(120, 100, (181, 108))
    patch = patch_of(image, image, STILL, keypoints(120, 100), keypoints(120, 100), True)
    assert patch.speeds == pytest.approx(0, abs=0.02) and np.abs(patch.layers[1]).max() < 0.05


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
        return patch_of(images[1], images[0], STILL, points[1], points[0], not flip).layers

    plain = looked(False, 0)
    for flip, turns in ((True, 0), (False, 1), (True, 2), (False, 3)):
        other = looked(flip, turns)
        assert np.abs(other[1] - plain[1])[8:-8, 8:-8].mean() < 0.06
        assert np.corrcoef(other[0].ravel(), plain[0].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("shift", [-400.0, 400.0])
def test_hands_beyond_the_border_and_without_extent(shift: float) -> None:
    image = scene(120, 100, (181, 108))
    patch = patch_of(image, image, STILL, keypoints(120 + shift, 100), keypoints(120, 100), True)
    assert patch is not None and np.isfinite(patch.layers).all() and (patch.speeds == 1).all()
    assert patch_of(image, image, STILL, np.zeros((21, 2)), keypoints(1, 1), True) is None
    assert patch_of(image, image, STILL, np.full((21, 2), np.nan), keypoints(1, 1), True) is None


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
    assert motion.step(hand(120, 100), 0.0, before, ()) is None
    past = (PastImage(0.0, before, STILL),)
    told = motion.step(hand(127, 96), 0.066, now, past)
    plain = patch_of(now, before, STILL, keypoints(127, 96), keypoints(120, 100))
    assert np.array_equal(told.layers, plain.layers) and np.array_equal(told.speeds, plain.speeds)
    late = 0.066 + GAP_S + 0.01
    assert motion.step(hand(127, 96), late, now, (PastImage(0.066, now, STILL),)) is None
    assert motion.step(hand(127, 96), 0.25, now, ()) is None
    assert motion.step(hand(127, 96), 0.31, None, (PastImage(0.25, now, STILL),)) is None
    other_size = PastImage(0.31, now[:100], STILL)
    assert motion.step(hand(127, 96), 0.37, now, (other_size,)) is None
    assert motion.step(hand(127, 96), 0.43, now, (other_size, PastImage(0.37, now, STILL))) is not None


@pytest.mark.parametrize("goes", [True, False])
def test_a_slow_hand_is_looked_at_since_it_has_gone_far_enough(goes: bool) -> None:
    """2 px a look are 1.1 hundredths of the window, five looks are needed; 7 px at once are enough in two."""

    def told(steps: list[int], gap_s: float = 0.06) -> tuple[MotionPatch, list[np.ndarray]]:
        motion, past, patch, images = HandWatch(), (), None, []
        for k, x in enumerate(np.cumsum([0, *steps]).tolist()):
            images.append(scene(120 + x, 100, (181 + x if goes else 181, 108)))
            patch = motion.step(hand(120 + x, 100), gap_s * k, images[-1], past)
            past = tuple(one for one in past if gap_s * k - one.at_s < FAR_S)
            past = (*past, PastImage(gap_s * k, images[-1], STILL))
        return patch, images

    slow, images = told([2] * 6)
    since = patch_of(images[6], images[1], STILL, keypoints(132, 100), keypoints(122, 100))
    assert np.array_equal(slow.layers[3:5], since.layers[3:5]) and slow.speeds[1] == since.speeds[1]
    assert slow.speeds[0] < 0.1 < slow.speeds[1] and not np.array_equal(slow.layers[1:3], slow.layers[3:5])
    assert (at_thing(slow.layers, 3) > 0.3) == goes and abs(at_thing(slow.layers, 3)) > 0.3
    fast, images = told([7] * 4)
    since = patch_of(images[4], images[2], STILL, keypoints(148, 100), keypoints(134, 100))
    assert np.array_equal(fast.layers[3:5], since.layers[3:5])
    rest, images = told([0] * 12)
    assert np.abs(rest.layers[[1, 3]]).max() < 0.05 and rest.speeds == pytest.approx(0, abs=0.02)


def test_the_far_image_goes_as_the_camera_did() -> None:
    """The camera turns to the right, so that the wall and what lies there go to the left."""
    motion, past = HandWatch(), ()
    for k in range(6):
        image = scene(120, 100, (181 - 3 * k, 60), (3 * k, 0))
        patch = motion.step(hand(120, 100), 0.06 * k, image, past)
        step = np.array([[1, 0, -3.0], [0, 1, 0]])
        past = tuple(one._replace(M=one.M + step - STILL) for one in (*past, PastImage(0.06 * k, image, STILL)))
    wall = patch.layers[:, 2:12, 2:12]
    assert wall[1].mean() < -0.3 and wall[3].mean() < -0.3, "the wall is at rest"
    skin = patch.layers[3, SIZE // 2 - 3 : SIZE // 2 + 3, SIZE // 2 - 3 : SIZE // 2 + 3]
    assert skin.mean() > 0.3
