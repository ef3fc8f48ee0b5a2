"""A camera that does nothing shows the light; each of its faults does what its name says."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from prehend_training.scenes.camera.effects import CameraEffects, develop, sample_effects

PLAIN = CameraEffects()
SIZE = (60, 80)
NEAR = np.full(SIZE, 0.5, np.float32)


def flat(value, size=SIZE):
    return np.full((*size, 3), value, np.float32)


def edge():
    """Dark on the left, light on the right."""
    light = flat(0.04)
    light[:, 40:] = 0.64
    return light


@pytest.mark.parametrize("value", [0.0, 0.04, 0.25, 0.5, 1.0])
def test_grey_levels_are_the_square_root_of_the_light(value):
    shown = develop(flat(value), NEAR, PLAIN)
    assert shown.dtype == np.uint8 and (np.abs(shown.astype(float) - 255 * value**0.5) <= 0.6).all()


@pytest.mark.parametrize("seed", range(12))
def test_any_camera_gives_an_image_and_the_same_one_again(seed):
    effects = sample_effects(np.random.default_rng(seed))
    light = np.random.default_rng(seed).uniform(0, 1, (*SIZE, 3)).astype(np.float32)
    kept = light.copy()
    first, again = develop(light, NEAR, effects), develop(light, NEAR, effects)
    assert first.shape == light.shape and first.dtype == np.uint8 and np.array_equal(first, again)
    assert np.array_equal(light, kept)  # the light is not used up


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (900, 20), (48, 48)])
def test_images_of_any_size_can_be_developed(size):
    for seed in range(8):
        effects = replace(sample_effects(np.random.default_rng(seed)), coarse_noise=0.01, depth_blur=2.0)
        assert develop(flat(0.3, size), np.zeros(size, np.float32), effects).shape == (*size, 3)


def test_blur_keeps_the_light_and_softens_edges():
    sharp, soft = (develop(edge(), NEAR, replace(PLAIN, blur_px=blur)).astype(float) for blur in (0.0, 4.0))
    slope = [np.abs(np.diff(image[30, :, 0])).max() for image in (sharp, soft)]
    assert slope[1] < slope[0] / 2
    assert (soft[30, :, 0] >= 51 - 1).all() and (soft[30, :, 0] <= 204 + 1).all()


def test_motion_blurs_along_its_way_alone():
    light = edge()
    across = develop(light, NEAR, replace(PLAIN, motion_px=np.array([12.0, 0])))
    along = develop(light, NEAR, replace(PLAIN, motion_px=np.array([0, 12.0])))
    still = develop(light, NEAR, PLAIN)
    assert np.abs(along.astype(int) - still).max() <= 1
    assert np.abs(np.diff(across[30, :, 0].astype(int))).max() < np.abs(np.diff(still[30, :, 0].astype(int))).max() / 2


def test_a_vignette_darkens_the_corners_and_not_the_middle():
    shown = develop(flat(0.5), NEAR, replace(PLAIN, vignette=0.4)).astype(int)
    plain = develop(flat(0.5), NEAR, PLAIN).astype(int)
    assert abs(shown[30, 40, 0] - plain[30, 40, 0]) <= 1 and shown[0, 0, 0] < plain[0, 0, 0] - 20
    assert np.abs(shown - shown[::-1, ::-1]).max() <= 1


def test_another_seed_is_another_noise():
    effects = replace(PLAIN, read_noise=0.05)
    first, other = (develop(flat(0.3), NEAR, replace(effects, seed=seed)) for seed in (1, 2))
    assert (first != other).mean() > 0.5


def test_contrast_turns_about_the_middle_grey():
    ramp = np.linspace(0, 1, 80, dtype=np.float32)[None, :, None].repeat(60, 0).repeat(3, 2)
    shown, plain = (develop(ramp, NEAR, replace(PLAIN, contrast=c))[30, :, 0].astype(int) for c in (1.3, 1.0))
    assert (shown[plain > 140] >= plain[plain > 140]).all() and (shown[plain < 115] <= plain[plain < 115]).all()
    assert (np.diff(shown) >= 0).all()


def test_jpeg_changes_little_at_a_high_quality_and_more_at_a_low_one():
    light = np.random.default_rng(0).uniform(0, 1, (8, 10, 3)).astype(np.float32)
    light = cv2.resize(light, SIZE[::-1])
    plain = develop(light, NEAR, PLAIN).astype(int)
    errors = [np.abs(develop(light, NEAR, replace(PLAIN, quality=q)).astype(int) - plain).mean() for q in (97, 60, 25)]
    assert errors[0] < 2.5 and errors == sorted(errors)


def test_colours_of_a_random_camera_keep_grey_nearly_grey():
    for seed in range(40):
        matrix = sample_effects(np.random.default_rng(seed)).matrix
        grey = matrix @ np.ones(3)
        assert (grey > 0).all() and grey.max() / grey.min() < 2.0
