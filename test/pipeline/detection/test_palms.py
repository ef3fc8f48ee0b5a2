import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput, WeightsMismatch
from prehend.pipeline.crops.letterbox import letterbox
from prehend.pipeline.detection import palms
from prehend.pipeline.detection.detect import Detector
from prehend.pipeline.detection.palms import (
    NUMBERS,
    POINTS,
    REGION_SIDE,
    Palm,
    anchors_px,
    change_of_region,
    decode_palms,
    hand_of,
    palms_in,
    region_of_palm,
)
from prehend.types import Box, Region

SIZE = 192
PALM_UP = np.array([[0, 0.5], [-0.3, -0.45], [-0.05, -0.5], [0.2, -0.45], [0.4, -0.3], [-0.35, 0.25], [-0.5, 0]])


def turned(points, turn):
    cos, sin = math.cos(turn), math.sin(turn)
    return points @ np.array([[cos, -sin], [sin, cos]]).T


def palm_at(x, y, side, turn=0.0):
    """(7, 2) points of a palm that points `turn` clockwise of up."""
    return turned(PALM_UP * side, turn) + np.array([x, y])


def outputs_of(*palms, size=SIZE):
    """What a network would answer that is sure of palms given as (anchor, score, centre, side, points, further)."""
    anchors = anchors_px(size)
    scores = np.full((1, len(anchors), 1), -12.0, np.float32)
    boxes = np.zeros((1, len(anchors), NUMBERS), np.float32)
    boxes[..., 2:4] = 1
    for anchor, score, center, side, points, further in palms:
        scores[0, anchor] = math.log(score / (1 - score))
        boxes[0, anchor, :2] = np.array(center) - anchors[anchor]
        boxes[0, anchor, 2:4] = side
        boxes[0, anchor, 4:18] = (points - anchors[anchor]).ravel()
        boxes[0, anchor, 18:] = further
    return {"scores": scores, "boxes": boxes}


def answer(x, y, side=40.0, turn=0.0, score=0.9, anchor=None, further=None):
    """An answer from the anchor nearest to a palm, or another one."""
    if anchor is None:
        anchor = int(np.argmin(np.hypot(*(anchors_px(SIZE) - (x, y)).T)))
    return anchor, score, (x, y), side, palm_at(x, y, side, turn), np.zeros(10) if further is None else further


def picture(width=SIZE, height=SIZE):
    return letterbox(np.zeros((height, width, 3), np.uint8), SIZE)


@given(
    st.floats(30, 160),
    st.floats(30, 160),
    st.floats(10, 100),
    st.floats(-3.1, 3.1),
    st.sampled_from([(640, 480), (300, 900)]),
)
def test_places_come_back_in_pixels_of_the_image(x, y, side, turn, size):
    seen = picture(*size)
    (palm,) = palms_in(outputs_of(answer(x, y, side, turn)), seen, 0.5, 2)
    scale = seen.scale.mean()
    assert np.allclose(palm.points_px, seen.to_image(palm_at(x, y, side, turn)), atol=1e-2)
    assert np.allclose(palm.center_px, seen.to_image(np.array([x, y])), atol=1e-2)
    assert palm.side_px == pytest.approx(side / scale, rel=0.02) and palm.score == pytest.approx(0.9)
    assert hand_of(palm).region.turn_rad == pytest.approx(direction(palm.points_px), abs=1e-6)


def direction(points):
    dx, dy = points[POINTS.index("middle_mcp")] - points[POINTS.index("wrist")]
    return math.atan2(dx, -dy)


@given(st.floats(-3.1, 3.1), st.floats(5, 200))
def test_the_region_is_mediapipes_crop_over_1_6(turn, side):
    """A square of 2.6 palms, its middle half a palm from the palm's towards the fingers."""
    points = palm_at(300, 200, side, turn)
    region = region_of_palm(np.array([300.0, 200.0]), side, points)
    assert 1.6 * region.longer == pytest.approx(2.6 * side) and region.width == region.height
    away = np.array(region.center_px) - (300, 200)
    ahead = points[POINTS.index("middle_mcp")] - points[POINTS.index("wrist")]
    assert np.hypot(*away) == pytest.approx(0.5 * side)
    assert away @ ahead == pytest.approx(np.hypot(*away) * np.hypot(*ahead))


@given(st.floats(-3.1, 3.1), st.tuples(*[st.floats(-0.8, 0.8)] * 4), st.floats(8, 120), st.floats(-3.1, 3.1))
def test_a_region_and_its_change_are_each_others_inverse(turn, change, side, _):
    points, center = palm_at(100, 90, side, turn), np.array([101.0, 88.0])
    region = region_of_palm(center, side, points, np.array(change))
    assert np.allclose(change_of_region(region, center, side, points), change, atol=1e-6)


def test_a_turned_region_that_is_told_is_where_it_says():
    """A change along the hand moves the region along the hand, whichever way that points."""
    for turn in np.linspace(-3, 3, 7):
        points = palm_at(0, 0, 100, turn)
        plain = np.array(region_of_palm(np.zeros(2), 100, points).center_px)
        moved = np.array(region_of_palm(np.zeros(2), 100, points, np.array([0, -1.0, 0, 0])).center_px)
        ahead = points[2] - points[0]
        assert (moved - plain) @ ahead == pytest.approx(REGION_SIDE * 100 * np.hypot(*ahead))


def test_answers_about_one_palm_are_one_hand_at_their_mean():
    anchors = [int(i) for i in np.argsort(np.hypot(*(anchors_px(SIZE) - (90, 100)).T))[:4]]
    several = [answer(90 + k, 100 - k, anchor=a, score=0.9 - 0.1 * k) for k, a in enumerate(anchors)]
    (palm,) = palms_in(outputs_of(*several), picture(), 0.5, 4)
    weights = np.array([0.9, 0.8, 0.7, 0.6])
    assert palm.center_px[0] == pytest.approx((weights @ [90, 91, 92, 93]) / weights.sum(), abs=1e-3)
    assert palm.score == pytest.approx(0.9)


def test_a_palm_inside_a_better_one_is_no_second_hand():
    """A box of hand and forearm, or of a finger alone, overlaps little as a share of the union."""
    for small, large in ((0.7, 0.9), (0.9, 0.7)):
        found = decode_palms(
            outputs_of(answer(90, 90, 18, score=small), answer(96, 96, 70, score=large)), picture(), 0.5, 4
        )
        assert [hand.score for hand in found] == [pytest.approx(0.9)]


def test_two_hands_are_found_best_first_and_no_more_than_asked():
    said = outputs_of(answer(40, 60, score=0.7), answer(140, 60, score=0.9), answer(90, 150, score=0.8))
    assert [round(hand.score, 2) for hand in decode_palms(said, picture(), 0.5, 4)] == [0.9, 0.8, 0.7]
    assert [round(hand.score, 2) for hand in decode_palms(said, picture(), 0.5, 2)] == [0.9, 0.8]
    assert [round(hand.score, 2) for hand in decode_palms(said, picture(), 0.75, 4)] == [0.9, 0.8]


def test_hands_that_are_too_large_to_believe_are_left_out():
    said = outputs_of(answer(40, 60, 20), answer(130, 130, 60))
    small = decode_palms(said, picture(), 0.5, 4, largest_px=50)
    assert [hand.region.longer for hand in small] == [pytest.approx(20 * REGION_SIDE)]


def test_hands_beside_the_picture_are_none():
    seen = picture(640, 240)  # the letterbox is black above and below
    assert decode_palms(outputs_of(answer(90, 8, 10)), seen, 0.5, 2) == []
    assert len(decode_palms(outputs_of(answer(90, 96, 10)), seen, 0.5, 2)) == 1


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_answers_that_are_no_numbers_are_none(broken):
    said = outputs_of(answer(60, 60), answer(130, 130))
    first = int(np.argmax(said["scores"][0, :, 0]))
    said["boxes"][0, first, 7] = broken
    (hand,) = decode_palms(said, picture(), 0.5, 4)
    assert np.hypot(hand.region.center_px[0] - 60, hand.region.center_px[1] - 60) > 40 or first > 0
    said["scores"][:] = np.nan
    assert decode_palms(said, picture(), 0.5, 4) == []


def test_shapes_that_do_not_fit_are_refused():
    said = outputs_of(answer(60, 60), size=384)
    with pytest.raises(InvalidInput, match="scores"):
        decode_palms(said, picture(), 0.5, 2)
    with pytest.raises(InvalidInput, match="boxes"):
        decode_palms({**outputs_of(), "boxes": np.zeros((1, 2016, 18), np.float32)}, picture(), 0.5, 2)


def test_side_and_thing_are_claimed_where_they_are_sure():
    def hand(right, held):
        return hand_of(Palm(0.9, np.zeros(2), 50.0, palm_at(0, 0, 50), np.array([0] * 4 + [right, held, -1, -1, 1, 2])))

    assert [hand(logit, 0).side for logit in (-4, 0, 4)] == ["left", None, "right"]
    assert hand(0, 0).object_box_px is None
    unit, (x, y) = REGION_SIDE * 50, hand(0, 2).region.center_px
    assert hand(0, 2).object_box_px == Box(x - unit, y - unit, x + unit, y + 2 * unit)


@settings(max_examples=30)
@given(st.floats(-3.1, 3.1), st.floats(20, 100), st.floats(20, 100))
def test_the_box_is_around_what_a_hand_fills_of_its_region(turn, width, height):
    region = Region((50.0, 60.0), width, height, turn)
    angle = np.linspace(0, 2 * np.pi, 400)
    ellipse = np.stack([width * np.cos(angle), height * np.sin(angle)], -1) / 2 @ region.axes + region.center_px
    assert np.allclose(palms._box_of(region).as_array(), Box.around(ellipse).as_array(), atol=0.1)


def test_weights_that_are_no_detector_are_refused():
    from prehend.backends import open_backend
    from prehend.weights import load_bundle

    with pytest.raises(WeightsMismatch, match="no detector"):
        Detector(open_backend("onnx", load_bundle("unihope-s")))


def test_the_older_kind_finds_through_the_same_door(tmp_path):
    from prehend.backends import open_backend
    from prehend.export.bundle import save_bundle
    from prehend.models import registry

    bundle = save_bundle(registry.create("detector"), tmp_path / "detector", "detector", {})
    detector = Detector(open_backend("onnx", bundle))
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    detector.warm_up()
    found = detector.look(image, wide=True, threshold=1e-4, max_hands=3)
    assert detector.stage(wide=True) == "find"
    assert len(found) <= 3 and all(hand.region is None for hand in found)
    detector.close()
