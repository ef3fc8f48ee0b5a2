import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput
from prehend.pipeline.crops.letterbox import Letterbox, cell_centers, letterbox, probability
from prehend.pipeline.detection.center_maps import MAPS, decode_hands
from prehend.types import Box, FoundHand

S, G = 256, 32


def empty_maps() -> dict[str, np.ndarray]:
    maps = {name: np.zeros((1, channels, G, G), np.float32) for name, channels in MAPS.items()}
    maps["hand_heat"] -= 8
    maps["held_logit"] -= 8
    maps["hand_box"] += 1
    return maps


def draw(maps: dict[str, np.ndarray], picture: Letterbox, hand: FoundHand, logit: float, spill: float = 1.0) -> None:
    """Put a hand into the maps as a trained finder would: a peak and weaker cells around it that agree on the box."""
    square = picture.to_square(np.array([[hand.box_px.x0, hand.box_px.y0], [hand.box_px.x1, hand.box_px.y1]]))
    centers = cell_centers(G, S)
    column, row = (int(np.abs(centers - middle).argmin()) for middle in square.mean(0))
    for r in range(max(row - 1, 0), min(row + 2, G)):
        for c in range(max(column - 1, 0), min(column + 2, G)):
            here = np.array([centers[c], centers[r]])
            peak = r == row and c == column
            maps["hand_heat"][0, 0, r, c] = logit if peak else logit - spill
            maps["side_logit"][0, 0, r, c] = -3 if hand.side == "left" else 3
            maps["hand_box"][0, :, r, c] = [*(here - square[0]), *(square[1] - here)]
            if hand.object_box_px is not None:
                thing = hand.object_box_px
                corners = picture.to_square(np.array([[thing.x0, thing.y0], [thing.x1, thing.y1]]))
                maps["held_logit"][0, 0, r, c] = 4
                maps["object_box"][0, :, r, c] = (corners - here).ravel()


def assert_box(found: Box, expected: Box, atol: float = 1e-3) -> None:
    np.testing.assert_allclose(found.as_array(), expected.as_array(), atol=atol)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 900), st.integers(1, 900))
def test_letterbox_keeps_proportions_and_its_points_round_trip(width: int, height: int) -> None:
    picture = letterbox(np.full((height, width, 3), 255, np.uint8), S)
    assert picture.image.shape == (3, S, S)
    corners = np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]])
    np.testing.assert_allclose(picture.to_image(picture.to_square(corners)), corners, atol=1e-9)
    low, high = picture.to_square(corners)
    assert (low >= -0.5 - 1e-9).all()
    assert (high <= S - 0.5 + 1e-9).all()
    assert np.isclose((high - low).max(), S)
    lit = picture.image[0] > 0.5
    assert lit.sum() == np.prod((high - low).round())
    # to the pixel the proportions are kept
    assert np.abs((high - low) - np.array([width, height]) * S / max(width, height)).max() <= 1


def test_letterbox_shows_the_picture() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    image[100:140, 200:240] = 255
    picture = letterbox(image, S)
    rows, columns = np.nonzero(picture.image[0] > 0.5)
    middle = picture.to_image(np.array([columns.mean(), rows.mean()]))
    np.testing.assert_allclose(middle, [219.5, 119.5], atol=0.6)


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (100, 100), (1920, 300)])
def test_hands_come_back_as_they_were_drawn(size: tuple[int, int]) -> None:
    picture = letterbox(np.zeros((size[1], size[0], 3), np.uint8), S)
    w, h = size
    left = FoundHand(Box(0.1 * w, 0.2 * h, 0.3 * w, 0.5 * h), "left", object_box_px=Box(0.2 * w, 0.1 * h, w, 0.4 * h))
    right = FoundHand(Box(0.55 * w, 0.3 * h, 0.95 * w, 0.9 * h), "right")
    maps = empty_maps()
    draw(maps, picture, left, 3.0)
    draw(maps, picture, right, 2.0)
    found = decode_hands(maps, picture, 0.3, 4)
    assert [hand.side for hand in found] == ["left", "right"]
    assert_box(found[0].box_px, left.box_px)
    assert_box(found[1].box_px, right.box_px)
    assert found[0].object_box_px is not None
    assert left.object_box_px is not None
    assert_box(found[0].object_box_px, left.object_box_px, atol=1e-2)
    assert found[1].object_box_px is None
    np.testing.assert_allclose([hand.score for hand in found], probability(np.array([3.0, 2.0])))


def test_boxes_that_overlap_are_one_hand_whatever_their_sides() -> None:
    picture = letterbox(np.zeros((480, 640, 3), np.uint8), S)
    maps = empty_maps()
    draw(maps, picture, FoundHand(Box(200, 100, 330, 260), "left"), 1.0)
    draw(maps, picture, FoundHand(Box(220, 120, 355, 285), "right"), 1.5)
    found = decode_hands(maps, picture, 0.3, 4)
    assert [hand.side for hand in found] == ["right"]


def test_cells_that_agree_are_averaged_and_others_are_not() -> None:
    picture = letterbox(np.zeros((S, S, 3), np.uint8), S)
    maps = empty_maps()
    hand = FoundHand(Box(80, 80, 140, 140), "right")
    draw(maps, picture, hand, 2.0, spill=0.5)
    row, column = np.unravel_index(maps["hand_heat"][0, 0].argmax(), (G, G))
    maps["hand_box"][0, :, row, column] += [6, 0, 6, 0]  # two sides of the peak's box, and another hand's next to it
    maps["hand_box"][0, :, row, column + 1] = 200
    peak, others = probability(np.array([2.0, 1.5])) ** 2
    (found,) = decode_hands(maps, picture, 0.3, 4)
    shift = 6 * peak / (peak + 7 * others)
    assert_box(found.box_px, Box(80 - shift, 80, 140 + shift, 140))


def test_threshold_and_most_hands_are_kept_to() -> None:
    picture = letterbox(np.zeros((256, 256, 3), np.uint8), S)
    maps = empty_maps()
    for k, logit in enumerate((2.0, 1.0, 0.5, -1.5)):
        x = 20 + 60 * k
        draw(maps, picture, FoundHand(Box(x - 15, 100, x + 15, 130), "right"), logit)
    assert len(decode_hands(maps, picture, 0.3, 9)) == 3
    assert [round(hand.score, 2) for hand in decode_hands(maps, picture, 0.3, 2)] == [0.88, 0.73]
    assert decode_hands(maps, picture, 0.95, 9) == []


def test_nothing_and_noise_give_no_hands_and_no_error() -> None:
    picture = letterbox(np.zeros((480, 640, 3), np.uint8), S)
    assert decode_hands(empty_maps(), picture, 0.3, 4) == []
    for value in (np.nan, np.inf, -np.inf):
        maps = {name: np.full_like(array, value) for name, array in empty_maps().items()}
        assert decode_hands(maps, picture, 0.3, 4) == []


def test_a_cell_with_nan_does_not_hide_the_others() -> None:
    picture = letterbox(np.zeros((480, 640, 3), np.uint8), S)
    maps = empty_maps()
    hand = FoundHand(Box(200, 100, 330, 260), "left", object_box_px=Box(210, 90, 300, 200))
    draw(maps, picture, hand, 2.0)
    maps["hand_heat"][0, 0, 0, 0] = np.nan
    maps["hand_box"][0, 2, 30, 30] = np.nan
    maps["side_logit"][0, 0, 2, 2] = np.nan
    maps["hand_heat"][0, 0, [30, 2], [30, 2]] = 9
    maps["object_box"][:] = np.nan
    found = decode_hands(maps, picture, 0.3, 4)
    assert len(found) == 1
    assert_box(found[0].box_px, hand.box_px)
    assert found[0].object_box_px is None


def test_boxes_in_the_black_border_are_no_hands() -> None:
    picture = letterbox(np.zeros((100, 640, 3), np.uint8), S)
    maps = empty_maps()
    maps["hand_heat"][0, 0, 2, 10] = 5
    maps["hand_box"][0, :, 2, 10] = 8
    assert decode_hands(maps, picture, 0.3, 4) == []


def test_maps_of_unequal_size_are_refused() -> None:
    picture = letterbox(np.zeros((100, 100, 3), np.uint8), S)
    maps = empty_maps()
    maps["hand_box"] = maps["hand_box"][..., :-1]
    with pytest.raises(InvalidInput, match="hand_box"):
        decode_hands(maps, picture, 0.3, 4)


def test_cell_centres_are_those_of_their_pixels() -> None:
    np.testing.assert_allclose(cell_centers(4, 32), [3.5, 11.5, 19.5, 27.5])
    np.testing.assert_allclose(cell_centers(G, S).mean(), (S - 1) / 2)


def test_probability_is_the_logistic_function_without_overflow() -> None:
    x = np.linspace(-20, 20, 41)
    np.testing.assert_allclose(probability(x), 1 / (1 + np.exp(-x)), atol=1e-12)
    np.testing.assert_array_equal(probability(np.array([-1e9, 1e9, -np.inf])), [0, 1, 0])
    assert np.isnan(probability(np.nan))


@settings(deadline=None, max_examples=30)
@given(st.floats(-20, 20, width=32))
def test_the_score_does_not_depend_on_the_side(side_logit: float) -> None:
    picture = letterbox(np.zeros((S, S, 3), np.uint8), S)
    maps = empty_maps()
    draw(maps, picture, FoundHand(Box(50, 60, 120, 160), "left"), 0.5)
    maps["side_logit"][:] = side_logit
    (hand,) = decode_hands(maps, picture, 0.5, 4)
    assert hand.side == ("right" if side_logit > 0 else "left")
    np.testing.assert_allclose(hand.score, probability(0.5), rtol=1e-6)
