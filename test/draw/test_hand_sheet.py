"""Sheets of hands: what is drawn where, and what does not change a picture."""

import numpy as np
import pytest

from prehend.conventions import MIRROR
from prehend.draw.hand_sheet import UPRIGHT, grid, on_picture, tile, turntable, view_of_hand
from prehend.geometry.camera import project
from prehend.hand_model import load_hand_model

SIZE = 96


@pytest.fixture(scope="module")
def hand():
    model = load_hand_model()
    return model.v_template.astype(np.float64), model.faces


def shown(picture):
    """Where something is drawn: the background is dark."""
    return (np.abs(picture.astype(int) - picture[0, 0]).max(-1) > 12).astype(bool)


def middle(mask):
    rows, columns = np.nonzero(mask)
    return (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2


def test_a_hand_stands_upright_in_the_middle_of_its_tile(hand):
    mask = shown(tile(*hand, UPRIGHT, SIZE))
    x, y = middle(mask)
    assert abs(x - (SIZE - 1) / 2) < 3 and abs(y - (SIZE - 1) / 2) < 3
    rows, columns = np.nonzero(mask)
    assert np.ptp(rows) > 1.2 * np.ptp(columns), "fingers up"
    assert mask[: SIZE // 2].sum() < mask[SIZE // 2 :].sum(), "the palm is broader than the tips"


@pytest.mark.parametrize("move", [[3.0, -2, 0.5], [0, 0, 90]])
def test_where_a_hand_is_does_not_change_its_tile(hand, move):
    vertices, faces = hand
    off = np.abs(tile(vertices + move, faces, UPRIGHT, SIZE).astype(int) - tile(vertices, faces, UPRIGHT, SIZE))
    assert off.mean() < 0.2


def test_a_left_hand_is_the_right_one_in_the_mirror(hand):
    vertices, faces = hand
    right = shown(tile(vertices, faces, view_of_hand("right"), SIZE))
    left = shown(tile(vertices @ MIRROR, faces[:, ::-1], view_of_hand("left"), SIZE))[:, ::-1]
    assert (left & right).sum() > 0.95 * (left | right).sum()
    for side in ("left", "right"):
        np.testing.assert_allclose(view_of_hand(side) @ view_of_hand(side).T, np.eye(3), atol=1e-12)
        assert np.linalg.det(view_of_hand(side)) > 0


def test_a_larger_tile_shows_the_same(hand):
    small, large = (shown(tile(*hand, UPRIGHT, size)) for size in (SIZE, 3 * SIZE))
    assert large.mean() == pytest.approx(small.mean(), rel=0.05)


def test_a_text_is_written_below_and_changes_nothing_above(hand):
    plain, labelled = tile(*hand, UPRIGHT, 200), tile(*hand, UPRIGHT, 200, "1.25 px")
    changed = np.nonzero((plain != labelled).any(-1))[0]
    assert changed.min() > 150


def test_a_turntable_begins_at_its_view_and_half_way_shows_the_back(hand):
    frames = turntable(*hand, UPRIGHT, SIZE, 4)
    assert len(frames) == 4 and np.array_equal(frames[0], tile(*hand, UPRIGHT, SIZE))
    front, back = shown(frames[0]), shown(frames[2])
    assert ((front[:, ::-1] & back).sum() / (front[:, ::-1] | back).sum()) > 0.85
    assert shown(frames[1]).sum() < 0.8 * front.sum(), "from the side it is thinner"


@pytest.mark.parametrize(("count", "columns", "size"), [(1, 4, (1, 1)), (4, 4, (1, 4)), (5, 4, (2, 4)), (3, 1, (3, 1))])
def test_tiles_stand_row_by_row(count, columns, size):
    tiles = [np.full((6, 8, 3), 100 + number, np.uint8) for number in range(count)]
    picture = grid(tiles, columns)
    assert picture.shape == (6 * size[0], 8 * size[1], 3)
    for number in range(count):
        row, column = divmod(number, columns)
        assert (picture[6 * row : 6 * row + 6, 8 * column : 8 * column + 8] == 100 + number).all()


def test_a_hand_lies_over_its_image_where_the_camera_sees_it(hand, make_result):
    result = make_result(160, 120, {"wrist_m": (0.05, 0.02, 0.7)})
    (one,) = result.hands
    image = np.full((120, 160, 3), 60, np.uint8)
    pixels = project(one.vertices_m, result.camera)
    drawn = on_picture(image, one.vertices_m, pixels, hand[1])
    assert (image == 60).all() and drawn.shape == image.shape
    rows, columns = np.nonzero((drawn != image).any(-1))
    low, high = pixels.min(0), pixels.max(0)
    assert abs(columns.min() - low[0]) < 3 and abs(columns.max() - high[0]) < 3
    assert abs(rows.min() - low[1]) < 3 and abs(rows.max() - high[1]) < 3
    away = on_picture(image, one.vertices_m, pixels + 1000, hand[1])
    assert np.array_equal(away, image)
