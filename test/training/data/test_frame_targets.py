"""Maps of the detector, from hands that are laid out by hand."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from prehend.pipeline.crops.letterbox import cell_centers
from prehend.types import Box
from prehend_training.data.frames import (
    DetectorDataConfig,
    SeenHand,
    detector_targets,
    draw_affine,
    draw_window,
    seen_hands,
)
from prehend_training.data.views import apply_affine

SIZE, STRIDE = 128, 8
LEFT, RIGHT = 0, 1


def hand(x, y, side_px=40.0, counts=True, side=RIGHT, thing=None):
    box = Box(x - side_px / 2, y - side_px / 2, x + side_px / 2, y + side_px / 2)
    return SeenHand(side, box, thing, counts, (x, y))


def record_of(points, **changes):
    """A frame of 160 x 120 px with hands of these (N, 21, 2) joints."""
    count = len(points)
    return {
        "image": np.zeros((120, 160, 3), np.uint8),
        "hand_count": np.array(count),
        "keypoints_px": np.asarray(points, float),
        "grasp": np.zeros(count),
        "has_object": np.zeros(count),
        "visible_ratio": np.ones(count),
        "side": np.full(count, RIGHT),
        "object_keypoints_px": np.zeros((count, 4, 21, 2)),
    } | changes


def joints_in(x0, y0, x1, y1, seed=0):
    points = np.random.default_rng(seed).uniform(0, 1, (21, 2))
    points[:2] = [[0, 0], [1, 1]]
    return points * [x1 - x0, y1 - y0] + [x0, y0]


@pytest.mark.parametrize("place", [(36.0, 60.0), (99.0, 13.0), (3.0, 125.0)])
def test_the_warmest_cell_is_that_of_the_centre_and_tells_the_box(place):
    maps = detector_targets([hand(*place)], SIZE, STRIDE)
    row, column = np.unravel_index(maps["heat"].argmax(), maps["heat"].shape)
    x, y = cell_centers(SIZE // STRIDE, SIZE)[[column, row]]
    assert maps["heat"][row, column] == 1 and max(abs(x - place[0]), abs(y - place[1])) <= STRIDE / 2 + 1e-6
    left, top, right, bottom = maps["hand_box"][:, row, column]
    assert (x - left, y - top, x + right, y + bottom) == pytest.approx(
        (place[0] - 20, place[1] - 20, place[0] + 20, place[1] + 20)
    )


def test_an_image_without_hands_asks_for_none_everywhere():
    maps = detector_targets([], SIZE, STRIDE)
    assert not maps["heat"].any() and maps["heat_weight"].all()
    assert not maps["box_weight"].any() and not maps["object_weight"].any()


HANDS = [hand(40, 40), hand(56, 44, 100.0, side=LEFT), hand(48, 40, 60.0, counts=False), hand(90, 90, counts=False)]


def test_the_order_of_hands_does_not_matter():
    expected = detector_targets(HANDS, SIZE, STRIDE)
    for order in permutations(HANDS):
        found = detector_targets(list(order), SIZE, STRIDE)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_hand_that_must_be_found_is_asked_for_where_one_need_not_be():
    """A hand that is cut off by the image covers one that is not: the centre of the latter still counts."""
    maps = detector_targets([hand(40, 40), hand(44, 44, 70.0, counts=False)], SIZE, STRIDE)
    row, column = np.unravel_index(maps["heat"].argmax(), maps["heat"].shape)
    assert maps["heat_weight"][row, column] == 1 and (maps["heat_weight"] == 0).sum() > 50


def test_where_two_hands_meet_each_cell_tells_of_one():
    maps = detector_targets([hand(40, 40, side=LEFT), hand(72, 40, side=RIGHT)], SIZE, STRIDE)
    x = cell_centers(SIZE // STRIDE, SIZE)
    mine = maps["box_weight"] > 0
    for row, column in np.argwhere(mine):
        nearer = LEFT if abs(x[column] - 40) < abs(x[column] - 72) else RIGHT
        assert maps["side"][row, column] == nearer


@pytest.mark.parametrize("thing", [None, Box(30.0, 35, 60, 70)])
def test_what_is_held_is_told_where_the_hand_is(thing):
    maps = detector_targets([hand(40, 40, thing=thing)], SIZE, STRIDE)
    mine = maps["box_weight"] > 0
    assert (maps["held"][mine] == (thing is not None)).all() and not maps["held"][~mine].any()
    assert ((maps["object_weight"] > 0) == (mine & (thing is not None))).all()
    if thing is not None:
        row, column = np.argwhere(mine)[0]
        x, y = cell_centers(SIZE // STRIDE, SIZE)[[column, row]]
        assert maps["object_box"][:, row, column] + [x, y, x, y] == pytest.approx([30, 35, 60, 70])


def test_a_cell_outside_of_a_small_hand_tells_no_box_of_it():
    maps = detector_targets([hand(40, 40, side_px=9.0)], SIZE, STRIDE)
    assert (maps["hand_box"][:, maps["box_weight"] > 0] > 0).all()


IDENTITY = np.eye(2, 3)
WINDOW = (0, 0, 160, 120)


@pytest.mark.parametrize(
    ("box", "changes", "found", "counts"),
    [
        ((20, 20, 60, 60), {}, 1, True),
        ((200, 20, 240, 60), {}, 0, None),
        ((140, 20, 400, 60), {}, 1, False),
        ((20, 20, 26, 27), {}, 1, False),
        ((20, 20, 60, 60), {"visible_ratio": np.array([0.1])}, 1, False),
    ],
)
def test_hands_out_of_the_image_small_or_hidden_need_not_be_found(box, changes, found, counts):
    seen = seen_hands(record_of([joints_in(*box)], **changes), IDENTITY, WINDOW)
    assert len(seen) == found and all(one.counts == counts for one in seen)


def test_the_centre_of_a_hand_is_that_of_what_the_image_shows():
    (seen,) = seen_hands(record_of([joints_in(120, 20, 200, 60)]), IDENTITY, WINDOW)
    assert seen.center_px == pytest.approx(((120 + 159) / 2, 40)) and seen.box_px.x1 == pytest.approx(200)


def test_a_flip_changes_the_side_and_an_object_far_outside_is_cut():
    held = {"grasp": np.ones(1), "has_object": np.ones(1), "object_keypoints_px": np.full((1, 4, 21, 2), 1e6)}
    (seen,) = seen_hands(record_of([joints_in(20, 20, 60, 60)], **held), IDENTITY, WINDOW, flip=True)
    assert seen.side == LEFT and seen.object_box_px is not None and seen.object_box_px.x1 < 400


CONFIG = DetectorDataConfig(size_px=SIZE)


@pytest.mark.parametrize("flip", [False, True])
def test_a_view_is_a_turn_a_size_and_perhaps_a_mirror(flip):
    record = record_of([joints_in(20, 20, 60, 60)])
    for seed in range(30):
        matrix = draw_affine(record, CONFIG, flip, np.random.default_rng(seed))[:, :2]
        scale = abs(np.linalg.det(matrix)) ** 0.5
        np.testing.assert_allclose(matrix @ matrix.T, scale**2 * np.eye(2), atol=1e-9)
        assert (np.linalg.det(matrix) < 0) == flip and 0.1 < scale <= max(CONFIG.enlarge, 1.5 * SIZE / 160)


def test_views_of_a_hand_have_it_inside():
    config = replace(CONFIG, hand_p=1.0, place_p=0.0, turn_rad=0.0, quarter_p=0.0)
    record = record_of([joints_in(20, 20, 60, 60)])
    shares = []
    for seed in range(60):
        points = apply_affine(
            draw_affine(record, config, False, np.random.default_rng(seed)), record["keypoints_px"][0]
        )
        shares.append(((points >= 0) & (points <= SIZE - 1)).all(-1).mean())
    assert np.mean(shares) > 0.85 and min(shares) > 0.2


def test_a_frame_without_hands_is_shown_too():
    affine = draw_affine(record_of(np.zeros((0, 21, 2))), CONFIG, False, np.random.default_rng(0))
    assert np.isfinite(affine).all()


@pytest.mark.parametrize("seed", range(8))
def test_a_window_is_letterboxed(seed):
    x0, y0, x1, y1 = draw_window(CONFIG, np.random.default_rng(seed))
    assert 0 <= x0 < x1 <= SIZE and 0 <= y0 < y1 <= SIZE and SIZE in (x1 - x0, y1 - y0)
    assert 0.69 < (x1 - x0) / (y1 - y0) < 1.81 and abs(x0 - (SIZE - x1)) <= 1 and abs(y0 - (SIZE - y1)) <= 1
