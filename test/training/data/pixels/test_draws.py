"""What is drawn for an image: within its limits, from the seed alone, in its shares."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.pipeline.crops.crop import CropSpec
from prehend.types import Box
from prehend_training.data.augment_presets import PAPER_CROPS, STRONG_CROPS
from prehend_training.data.pixels.draws import (
    LUMA,
    PhotometricConfig,
    draw_changes,
    draw_colours,
    draw_degrading,
    draw_patches,
    hidden_by,
    motion_kernel,
    noise_wall,
    pattern,
)
from prehend_training.data.views import CropView

CONFIGS = {"default": PhotometricConfig(), "paper": PAPER_CROPS.photometric, "strong": STRONG_CROPS.photometric}


def draws(draw, count=400):
    return [draw(np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("name", CONFIGS)
def test_the_same_seed_draws_the_same(name):
    for size in ((64, 64), (40, 90)):
        one, again = (draw_changes(CONFIGS[name], size, np.random.default_rng(5)) for _ in range(2))
        assert one.degrading == again.degrading and one.colours.gain == again.colours.gain
        assert [p.place for p in one.patches] == [p.place for p in again.patches]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("what", ["blur_p", "noise_p", "jpeg_p", "coarse_p"])
def test_faults_of_the_camera_come_in_their_share(name, what):
    config = CONFIGS[name]
    found = draws(lambda rng: draw_degrading(config, (64, 64), rng), 800)
    shown = {"blur_p": "blur_px", "noise_p": "noise", "jpeg_p": "quality", "coarse_p": "coarse_px"}[what]
    share = np.mean([getattr(one, shown) is not None for one in found])
    assert share == pytest.approx(getattr(config, what), abs=0.06)


def test_nothing_comes_where_its_probability_is_none():
    none = PhotometricConfig(**dict.fromkeys(("blur_p", "noise_p", "jpeg_p", "coarse_p", "erase_p", "grey_p"), 0.0))
    for one in draws(lambda rng: draw_changes(none, (32, 32), rng), 40):
        worse = one.degrading
        assert (
            not one.patches and worse.noise is worse.shot is worse.coarse_px is worse.blur_px is worse.quality is None
        )
        assert np.abs(one.colours.mix @ LUMA - LUMA).max() < 0.3


@pytest.mark.parametrize("size", [(64, 64), (20, 200), (224, 224)])
def test_patches_lie_inside_and_are_as_large_as_they_may(size):
    config = replace(PhotometricConfig(), erase_p=1.0)
    for patches in draws(lambda rng: draw_patches(config, size, rng), 100):
        assert 1 <= len(patches) <= 2
        for patch in patches:
            height, width = patch.pixels.shape[:2]
            assert 0 <= patch.top <= size[0] - height and 0 <= patch.left <= size[1] - width
            assert height <= config.erase_max * size[0] and width <= config.erase_max * size[1]
        hidden = hidden_by(patches, size)
        assert hidden.sum() <= sum(p.pixels.shape[0] * p.pixels.shape[1] for p in patches) and hidden.any()


@pytest.mark.parametrize("size", [(1024, 1024), (1024, 8)])
def test_noise_for_an_image_as_large_as_its_wall(size):
    worse = draw_degrading(replace(PhotometricConfig(), noise_p=1.0, shot_noise=4.0), size, np.random.default_rng(0))
    for noise in (worse.noise, worse.shot):
        assert noise.corner[0] + size[0] <= len(noise_wall()) and noise.corner[1] + size[1] <= len(noise_wall())


def test_the_wall_is_normal_noise():
    wall = noise_wall()
    assert abs(wall.mean()) < 0.01 and wall.std() == pytest.approx(1, abs=0.01)
    assert abs(np.mean(wall[1:] * wall[:-1])) < 0.01  # neighbours know nothing of each other


@pytest.mark.parametrize("angle", np.linspace(0, np.pi, 7))
@pytest.mark.parametrize("sigma", [0.3, 1.2, 4.0])
def test_a_streak_keeps_the_light_and_its_place(sigma, angle):
    kernel = motion_kernel(sigma, angle)
    assert kernel.sum() == pytest.approx(1, abs=1e-5) and len(kernel) % 2 == 1
    y, x = np.mgrid[: len(kernel), : len(kernel)] - len(kernel) // 2
    assert abs((x * kernel).sum()) < 0.5 and abs((y * kernel).sum()) < 0.5
    if sigma > 2:  # it lies along its direction
        along = np.abs(x * np.cos(angle) + y * np.sin(angle))
        across = np.abs(x * np.sin(angle) - y * np.cos(angle))
        assert (along * kernel).sum() > 4 * (across * kernel).sum()


def test_grey_stays_grey_through_mix_and_hue():
    for colours in draws(lambda rng: draw_colours(CONFIGS["strong"], rng), 60):
        for matrix in (colours.mix, colours.hue):
            np.testing.assert_allclose(matrix @ np.ones(3), 1, atol=1e-5)
        np.testing.assert_allclose(colours.hue @ colours.hue.T, np.eye(3), atol=1e-5)


def test_brightness_is_as_often_higher_as_lower_where_it_shall_be():
    even = [c.gain for c in draws(lambda rng: draw_colours(replace(CONFIGS["default"], even_gain=True), rng), 1500)]
    uneven = [c.gain for c in draws(lambda rng: draw_colours(CONFIGS["default"], rng), 1500)]
    assert np.mean(even) == pytest.approx(1, abs=0.01) and np.mean(uneven) < 0.95


def test_orders_of_the_papers_steps_are_all_drawn():
    orders = {c.order for c in draws(lambda rng: draw_colours(CONFIGS["paper"], rng), 600)}
    assert len(orders) == 24 and all(sorted(order) == [0, 1, 2, 3] for order in orders)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_pattern_has_its_size_and_varies(size):
    made = draws(lambda rng: pattern(size, rng), 20)
    assert all(one.shape == (size, size, 3) and one.dtype == np.uint8 for one in made)
    assert size == 1 or any(one.std() > 5 for one in made)


def test_a_small_image_gets_no_worse_than_a_large_one_and_all_else_is_drawn_alike():
    config, size = STRONG_CROPS.photometric, (224, 224)
    smaller = 0
    for seed in range(300):
        whole, half = (draw_degrading(config, size, np.random.default_rng(seed), r) for r in (1.0, 0.5))
        assert whole == draw_degrading(config, size, np.random.default_rng(seed))
        assert (half.noise, half.shot, half.quality) == (whole.noise, whole.shot, whole.quality)
        assert half.coarse_px == (whole.coarse_px if whole.coarse_px and whole.coarse_px[0] < 112 else None)
        if half.blur_px is not None:
            assert whole.blur_px is not None and config.blur_min_px < half.blur_px < whole.blur_px
            smaller += 1
            assert half.motion_rad == whole.motion_rad
    assert smaller > 20


def test_a_crop_knows_how_many_pixels_it_was_made_of():
    turned = np.array([[0.0, -2.0, 5.0], [2.0, 0.0, 7.0]])
    box = Box(0, 0, 10, 10)
    spec = CropSpec(turned, 20, False, np.zeros(2), box, box)
    assert CropView(spec, turned, np.eye(3)).resolution == pytest.approx(0.5)
    assert CropView(spec, turned / 4, np.eye(3)).resolution == 1.0
