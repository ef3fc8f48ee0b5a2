"""Marks of prints: they stay in their boxes, can be read on their ground, and are those of their seed."""

import cv2
import numpy as np
import pytest

from prehend_training.objects import print_marks as marks
from prehend_training.objects.prints import KINDS, LABEL_LAYERS, label_textures, layers_of

WHITE = (255, 255, 255)
SHAPE = (120, 200)


def rng(seed=0):
    return np.random.default_rng(seed)


def drawn(mark, *arguments, seed=0, shape=SHAPE):
    """Where a mark changed a white canvas, and the canvas."""
    canvas = marks.blank(shape, WHITE)
    mark(rng(seed), canvas, *arguments)
    return (canvas != 255).any(2), canvas


def luma(colour):
    return float(np.dot(colour, (0.3, 0.59, 0.11)))


def test_words_can_be_spoken_and_differ():
    words = [marks.word(rng(seed)) for seed in range(300)]
    assert all(word.isalpha() and word.isascii() and word == word.capitalize() for word in words)
    assert all(set("aeiouy") & set(word.lower()) for word in words)
    assert max(map(len, words)) <= 14 and len(set(words)) > 250


def test_inks_are_colours_of_all_hues():
    inks = np.array([marks.ink(rng(seed)) for seed in range(400)])
    assert inks.min() >= 0 and inks.max() <= 255
    hues = cv2.cvtColor(inks[None].astype(np.uint8), cv2.COLOR_RGB2HSV)[0, :, 0]
    assert len(np.unique(hues // 30)) == 6
    assert inks.mean(1).std() > 30  # strong, pale and dark ones


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 40, 40), (20, 20, 160)])
def test_text_can_be_read_on_its_ground(ground):
    for seed in range(60):
        colour = marks.text_colour(rng(seed), ground)
        assert abs(luma(colour) - luma(ground)) > 85


@pytest.mark.parametrize("text", ["A", "WORD", "a longer line of text", "ggggjjj"])
def test_a_line_of_text_fills_its_box_and_keeps_to_it(text):
    left, top, right, low = box = (20, 30, 180, 70)
    for seed in range(6):
        changed, _ = drawn(marks.put_text, text, box, (0, 0, 0), seed=seed)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        wide, high = np.ptp(columns), np.ptp(rows)
        assert wide > 0.5 * (right - left) or high > 0.5 * (low - top)
        # strokes and tails of letters go a little beyond
        assert columns.min() >= left - 12 and columns.max() <= right + 12
        assert rows.min() >= top - 14 and rows.max() <= low + 22


def test_bar_codes_are_black_on_white_within_their_box():
    left, top, right, low = box = (30, 20, 150, 90)
    canvas = marks.blank(SHAPE, (200, 30, 30))
    marks.bar_code(rng(1), canvas, box)
    outside = np.ones(SHAPE, bool)
    outside[top : low + 6, left : right + 1] = False
    assert (canvas[outside] == (200, 30, 30)).all()
    bars = canvas[top + 10 : low - 16, left + 2 : right - 2]
    assert set(np.unique(bars)) == {15, 250}
    assert (bars == bars[:1]).all()  # the same all the way down
    edges = np.abs(np.diff(bars[0, :, 0].astype(int))) > 100
    assert edges.sum() > 12


@pytest.mark.parametrize("seed", range(12))
def test_a_logo_stays_within_its_radius(seed):
    changed, _ = drawn(marks.motif, (100, 60), 40, (10, 20, 200), seed=seed)
    y, x = np.nonzero(changed)
    assert len(x) > 50 and np.hypot(x - 100, y - 60).max() <= 40 * 1.15 + 3


@pytest.mark.parametrize("seed", range(8))
def test_images_on_a_carton_stay_in_their_box(seed):
    left, top, right, low = box = (50, 25, 150, 95)
    changed, _ = drawn(marks.scene_of_shapes, box, seed=seed)
    y, x = np.nonzero(changed)
    assert len(x) > 100
    assert x.min() >= left - 12 and x.max() <= right + 12 and y.min() >= top - 25 and y.max() <= low + 16


def test_a_box_too_small_for_an_image_stays_empty():
    assert not drawn(marks.scene_of_shapes, (10, 10, 20, 60))[0].any()


def test_lines_of_text_stand_one_below_the_other():
    changed, _ = drawn(marks.lines_of_text, (10, 10, 190, 110), 4, WHITE)
    rows = changed.any(1)
    starts = np.flatnonzero(np.diff(rows.astype(int)) == 1)
    assert len(starts) >= 3


@pytest.mark.parametrize("cells", [1, 3, 24, 300])
def test_noise_is_bounded_and_as_fine_as_asked(cells):
    noise = marks.rough(rng(2), cells, 2, 64)
    assert noise.shape == (64, 64) and np.abs(noise).max() <= 1 and np.abs(noise).max() > 0.99
    steps = np.abs(np.diff(noise, axis=1)).mean()
    finer = np.abs(np.diff(marks.rough(rng(2), 2 * cells, 2, 64), axis=1)).mean()
    assert finer > steps or cells > 24


def test_a_ramp_runs_from_one_ink_to_another_without_a_step():
    for seed in range(10):
        canvas = marks.ramp(rng(seed), SHAPE)
        assert canvas.shape == (*SHAPE, 3) and (canvas == canvas[:, :1]).all()
        assert np.abs(np.diff(canvas[:, 0].astype(int), axis=0)).max() <= 4
        gentle = marks.ramp(rng(seed), SHAPE, steep=False)
        assert (gentle[-1].astype(int) <= gentle[0].astype(int) + 1).all()  # only darker, and by a quarter at most
        assert (gentle[-1] >= 0.74 * gentle[0] - 1).all()


@pytest.mark.parametrize("mark", [marks.brand, marks.scene_of_shapes])
def test_a_mark_is_that_of_its_seed(mark):
    one, again, other = (drawn(mark, (5, 5, 195, 115), seed=seed)[1] for seed in (4, 4, 5))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_small_textures_are_large_ones_seen_from_afar():
    large, small = label_textures(8, 256), label_textures(8, 32)
    for big, little in zip(large, small, strict=True):
        seen = big.reshape(32, 8, 32, 8, 3).mean((1, 3))
        assert np.abs(seen - little.astype(float)).mean() < 6


def test_the_layers_of_a_kind_grow_with_the_count_and_stay_its_own():
    few, many = layers_of("wrap", len(KINDS)), layers_of("wrap", LABEL_LAYERS)
    np.testing.assert_array_equal(few, many[: len(few)])
    assert len(many) == len(few) * LABEL_LAYERS // len(KINDS)
    assert layers_of("nothing of the kind").size == 0
