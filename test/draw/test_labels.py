"""Plates and footers: the words, and that they stand in the picture and off the hands."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.draw import labels
from prehend.draw.labels import SIDE_COLOUR, distance_text, draw_footer, draw_label, font_px
from prehend.draw.overlay import OverlayOptions, draw
from prehend.types import GraspEstimate

ONLY_LABELS = OverlayOptions(mesh=False, skeleton=False, objects=False)


def canvas(width=640, height=480):
    return np.full((height, width, 3), 90, np.uint8)


@pytest.fixture
def words(monkeypatch):
    """What is written, in the order of writing; it is drawn all the same."""
    said = []
    write = labels.draw_text

    def note(image, text, *args, **options):
        said.append(text)
        write(image, text, *args, **options)

    monkeypatch.setattr(labels, "draw_text", note)
    return said


@pytest.mark.parametrize(
    ("count", "total", "text"),
    [
        (0, {}, "no hand"),
        (1, {"total": 4.75}, "1 hand   4.8 ms"),
        (2, {"total": 12.4}, "2 hands   12 ms"),
        (1, {"total": float("nan")}, "1 hand"),
    ],
)
def test_the_footer_counts_hands_and_tells_the_time(make_result, words, count, total, text):
    result = replace(make_result(640, 480, *[{}] * count), timing_ms=total)
    draw_footer(canvas(), result)
    assert words == [text]


@pytest.mark.parametrize(
    ("grasp", "expected"),
    [
        (GraspEstimate("grasping", 0.756), ["grasping", "76%"]),
        (GraspEstimate("not_grasping", 0.0), ["not grasping", "0%"]),
        (GraspEstimate("unknown", float("nan")), ["grasp unknown"]),
    ],
)
def test_a_plate_tells_side_track_distance_and_grasp(make_result, words, grasp, expected):
    (hand,) = make_result(640, 480, {"side": "left", "wrist_m": (0, 0.03, 0.4), "grasp": grasp}).hands
    draw_label(canvas(), hand, hand.keypoints_px, False, [hand.box_px], [])
    assert words == ["Left 1", "0.40 m", *expected]


@pytest.mark.parametrize("holds", [True, False, None])
def test_what_is_held_is_named_with_or_without_its_pose(make_result, words, holds):
    (hand,) = make_result(640, 480, {}, holds=holds).hands
    draw_label(canvas(), hand, hand.keypoints_px, True, [], [])
    assert ("holds box" in words) == (holds is not None) and any("size assumed" in text for text in words)


def test_a_place_that_nobody_knows_is_said_to_be_unknown(make_result):
    (hand,) = make_result(640, 480, {"joints_m": np.full((21, 3), np.nan)}).hands
    assert distance_text(hand, False) == distance_text(hand, True) == "distance unknown"


def test_a_hand_without_pixels_has_no_plate(make_result, words):
    (hand,) = make_result(640, 480, {"keypoints_px": np.full((21, 2), np.nan)}).hands
    picture, taken = canvas(), []
    draw_label(picture, hand, hand.keypoints_px, False, [], taken)
    assert words == taken == [] and (picture == 90).all()


@pytest.mark.parametrize("place", [(-0.2, -0.12, 0.5), (0.2, 0.2, 0.5), (0, 0.05, 0.3), (0.1, 0, 1.5)])
def test_a_plate_stands_in_the_picture_and_beside_its_hand_where_there_is_room(make_result, place):
    (hand,) = make_result(640, 480, {"wrist_m": place}).hands
    taken = []
    draw_label(canvas(), hand, hand.keypoints_px, False, [hand.box_px], taken)
    (box,) = taken
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 640 and box.y1 <= 480
    assert box.iou(hand.box_px) < 0.05


def test_each_side_has_its_colour(make_result):
    for side, colour in SIDE_COLOUR.items():
        picture = canvas()
        (hand,) = make_result(640, 480, {"side": side}).hands
        draw_label(picture, hand, hand.keypoints_px, False, [], [])
        near = (np.abs(picture.astype(int) - colour).max(-1) < 10).sum()
        assert near > 40
    assert SIDE_COLOUR["left"] != SIDE_COLOUR["right"]


def test_text_grows_with_the_image_within_bounds():
    sizes = [font_px(np.zeros((height, width, 3), np.uint8)) for width, height in ((64, 48), (640, 480), (4000, 3000))]
    assert sizes == sorted(sizes) and 12 <= sizes[0] < sizes[2] <= 40


def test_labels_of_a_frame_without_hands_are_its_footer(make_result, faces):
    image = canvas()
    drawn = draw(image, make_result(640, 480), faces, ONLY_LABELS)
    rows, columns = np.nonzero((drawn != image).any(-1))
    assert rows.min() > 400 and columns.max() < 320


def test_hands_are_drawn_far_ones_first_whatever_their_order(make_result, faces):
    near, far = {"wrist_m": (0, 0.05, 0.4)}, {"wrist_m": (0.01, 0.05, 0.7), "side": "left"}
    one, two = make_result(320, 240, near, far), make_result(320, 240, far, near)
    bare = OverlayOptions(labels=False)
    assert np.array_equal(draw(canvas(320, 240), one, faces, bare), draw(canvas(320, 240), two, faces, bare))
