"""Laws of the simulated camera: what its settings promise in numbers, measured on points, ramps and even light."""

from dataclasses import fields, replace

import numpy as np
import pytest

from prehend_training.scenes.camera.effects import CameraEffects, develop, sample_effects

PLAIN = CameraEffects()


def even(value, height=64, width=160):
    return np.full((height, width, 3), value, np.float32)


def far(light, depth_m=0.5):
    return np.full(light.shape[:2], depth_m, np.float32)


def linear(light, effects, depth_m=0.5):
    """What comes out, as linear light."""
    return (develop(light, far(light, depth_m), effects).astype(float) / 255) ** 2


def point(height=64, width=160, strength=0.9, half=1):
    """A small square of light in the middle of the dark."""
    light = even(0.0, height, width)
    y, x = height // 2, width // 2
    light[y - half : y + half + 1, x - half : x + half + 1] = strength
    return light


def moments(shown):
    """Brightness, middle (x, y) and standard deviations along x and y of a spot on black."""
    weight = shown.mean(2)
    y, x = np.mgrid[: shown.shape[0], : shown.shape[1]]
    total = weight.sum()
    middle = np.array([(weight * x).sum(), (weight * y).sum()]) / total
    spread = np.array([(weight * (x - middle[0]) ** 2).sum(), (weight * (y - middle[1]) ** 2).sum()]) / total
    return total, middle, np.sqrt(spread)


@pytest.mark.parametrize("motion", [(9.0, 0.0), (0.0, 14.0), (-8.0, 6.0), (11.3, -4.7), (2.0, 1.0)])
def test_motion_blur_spreads_the_light_along_its_way_and_loses_none(motion):
    motion = np.array(motion)
    still, moved = (linear(point(half=3), replace(PLAIN, motion_px=way)) for way in (np.zeros(2), motion))
    (before, at, narrow), (after, there, wide) = moments(still), moments(moved)
    assert after == pytest.approx(before, rel=0.04)
    assert there == pytest.approx(at, abs=0.3)  # the middle of the exposure is the image's instant
    # light that moves evenly over a length L has the variance L^2 / 12
    assert np.sqrt(wide**2 - narrow**2) == pytest.approx(np.abs(motion) / 12**0.5, rel=0.15, abs=0.5)


def test_a_streak_leans_as_its_way_does():
    for way in ((10.0, 10.0), (10.0, -10.0)):
        shown = linear(point(), replace(PLAIN, motion_px=np.array(way))).mean(2)
        y, x = np.mgrid[: shown.shape[0], : shown.shape[1]]
        lean = (shown * (x - 80) * (y - 32)).sum()
        assert np.sign(lean) == np.sign(way[0] * way[1])
    first, back = (develop(point(), far(point()), replace(PLAIN, motion_px=s * np.array([9.0, 4]))) for s in (1, -1))
    assert np.abs(first.astype(int) - back).max() <= 1  # there and back is the same streak


@pytest.mark.parametrize(
    "changes", [{"blur_px": 1.5}, {"motion_px": np.array([4.0, 0.0])}, {"depth_blur": 2.0, "focus_m": 0.5}]
)
def test_lengths_grow_with_the_image(changes):
    """An image of twice the width shows the same scene with the same blur, so twice as many pixels of it."""
    effects = replace(PLAIN, **changes)
    small = moments(linear(point(64, 160, half=4), effects, 5.0))[2]
    large = moments(linear(point(128, 320, half=8), effects, 5.0))[2]
    assert large == pytest.approx(2 * small, rel=0.08)


@pytest.mark.parametrize("blur", [0.0, 1.0, 3.0])
def test_focus_blur_is_round_and_keeps_the_light(blur):
    total, middle, spread = moments(linear(point(half=3), replace(PLAIN, blur_px=blur)))
    assert spread[0] == pytest.approx(spread[1], rel=0.05) and middle == pytest.approx((80, 32), abs=0.05)
    assert total == pytest.approx(moments(linear(point(half=3), PLAIN))[0], rel=0.04)


def test_what_is_at_the_focus_stays_sharp_and_the_rest_blurs_with_its_distance_from_it():
    light = point(half=1)
    effects = replace(PLAIN, depth_blur=3.0, focus_m=0.5)
    spreads = {z: moments(linear(light, effects, z))[2].mean() for z in (0.5, 0.6, 0.8, 1.5, 0.42, 0.35, 0.0)}
    assert spreads[0.5] < spreads[0.6] < spreads[0.8] < spreads[1.5]
    assert spreads[0.5] < spreads[0.42] < spreads[0.35]
    sharp = moments(linear(light, PLAIN))[2].mean()
    assert spreads[0.5] == pytest.approx(sharp, rel=0.02)
    assert spreads[0.0] >= spreads[1.5] - 1e-6  # the background is infinitely far


@pytest.mark.parametrize("gain", [0.25, 0.5, 2.0])
def test_exposure_is_a_factor_of_the_light(gain):
    light = np.random.default_rng(0).uniform(0.05, 0.4, (20, 30, 3)).astype(np.float32)
    bright = develop(light * np.float32(gain), far(light), PLAIN)
    exposed = develop(light, far(light), replace(PLAIN, matrix=gain * np.eye(3)))
    assert np.abs(bright.astype(int) - exposed).max() <= 1


def test_colours_mix_as_the_matrix_says_and_never_below_black():
    matrix = np.array([[1.1, -0.2, 0.1], [0.0, 0.9, 0.0], [-2.0, 0.0, 0.5]])
    colour = np.array([0.3, 0.5, 0.2])
    shown = linear(even(0.0) + colour.astype(np.float32), replace(PLAIN, matrix=matrix)).mean((0, 1))
    assert shown == pytest.approx(np.maximum(matrix @ colour, 0), abs=0.006)


def test_a_vignette_takes_its_share_in_the_corners_and_half_of_it_at_the_edges():
    shown = linear(even(0.5, 121, 161), replace(PLAIN, vignette=0.4))[..., 0]
    assert shown[60, 80] == pytest.approx(0.5, abs=0.005)
    assert shown[0, 0] == pytest.approx(0.5 * 0.6, abs=0.01) and shown[-1, -1] == pytest.approx(0.5 * 0.6, abs=0.01)
    assert shown[60, 0] == pytest.approx(0.5 * 0.8, abs=0.01) and shown[0, 80] == pytest.approx(0.5 * 0.8, abs=0.01)


def test_flicker_is_the_same_all_along_a_row_and_has_its_waves():
    waves = 3
    shown = linear(even(0.5, 240, 32), replace(PLAIN, bands=np.array([0.2, waves, 0.4])))[..., 1]
    assert np.ptp(shown, axis=1).max() < 0.01
    rows = shown.mean(1) - shown.mean()
    assert np.abs(np.fft.rfft(rows)).argmax() == waves and np.abs(rows).max() == pytest.approx(0.1, rel=0.15)


@pytest.mark.parametrize("level", [0.1, 0.3, 0.6])
def test_noise_has_the_deviation_that_is_said_and_moves_no_level(level):
    read, shot = 0.01, 0.04
    shown = linear(even(level, 200, 200), replace(PLAIN, read_noise=read, shot_noise=shot, seed=4))
    expected = np.sqrt(read**2 + shot**2 * level)
    assert shown.std() == pytest.approx(expected, rel=0.08) and shown.mean() == pytest.approx(level, abs=0.004)
    left, right = shown[:, :-1] - level, shown[:, 1:] - level
    assert abs((left * right).mean()) < 0.1 * expected**2  # white: neighbours know nothing of each other


def test_coarse_noise_is_alike_in_neighbours():
    shown = linear(even(0.4, 200, 200), replace(PLAIN, coarse_noise=0.03, seed=1)) - 0.4
    assert (shown[:, :-1] * shown[:, 1:]).mean() > 0.5 * shown.var()


def test_the_tone_curve_rises_from_black_to_white():
    ramp = np.linspace(0, 1, 160, dtype=np.float32)[None, :, None].repeat(8, 0).repeat(3, 2)
    for seed in range(20):
        drawn = sample_effects(np.random.default_rng(seed))
        effects = replace(PLAIN, contrast=drawn.contrast, lift=drawn.lift, gamma=drawn.gamma)
        shown = develop(ramp, far(ramp), effects)[4, :, 0].astype(int)
        assert (np.diff(shown) >= 0).all() and shown[-1] - shown[0] > 150
    lifted, sunk = (develop(ramp, far(ramp), replace(PLAIN, lift=lift)).mean() for lift in (0.03, -0.03))
    assert lifted > sunk + 10


def test_equal_looks_give_equal_images_whatever_was_developed_before():
    light, other = point(), even(0.7, 30, 40)
    several = [sample_effects(np.random.default_rng(seed)) for seed in range(6)]
    first = [develop(light, far(light), effects) for effects in several]
    for effects in several[::-1]:
        develop(other, far(other), effects)
    assert all(
        np.array_equal(develop(light, far(light), effects), image)
        for effects, image in zip(several, first, strict=True)
    )


def test_cameras_are_mostly_decent_and_sometimes_bad():
    rng = np.random.default_rng(1)
    several = [sample_effects(rng, 0.7) for _ in range(800)]
    share = {
        "blurred": np.mean([effects.blur_px > 0.7 for effects in several]),
        "moving": np.mean([effects.motion_px.any() for effects in several]),
        "flickering": np.mean([effects.bands[0] > 0 for effects in several]),
        "compressed": np.mean([effects.quality > 0 for effects in several]),
        "noisy": np.mean([effects.shot_noise > 0.03 for effects in several]),
    }
    assert 0.15 < share["blurred"] < 0.4 and 0.1 < share["moving"] < 0.25 and 0.02 < share["flickering"] < 0.12
    assert 0.6 < share["compressed"] < 0.8 and 0.05 < share["noisy"] < 0.25
    assert all(
        effects.focus_m == 0.7 and 0 <= effects.quality <= 100 and 0 <= effects.seed < 2**32 for effects in several
    )
    assert all(effects.vignette < 0.5 and effects.read_noise < effects.shot_noise < 0.1 for effects in several)
    assert len({effects.seed for effects in several}) == len(several)


def test_a_seed_is_a_camera():
    first, again = (sample_effects(np.random.default_rng(3)) for _ in range(2))
    for field in fields(CameraEffects):
        assert np.array_equal(getattr(first, field.name), getattr(again, field.name)), field.name
