"""At most one hand a place, and at most as many as may be."""

import numpy as np
import pytest

from prehend.types import Box, FoundHand, Region


def joints_at(x: float, y: float, size: float = 80) -> np.ndarray:
    shape = np.random.default_rng(0).uniform(-0.5, 0.5, (21, 2))
    shape = (shape - shape.min(0)) / np.ptp(shape, axis=0) - 0.5
    return shape * size + [x, y]


def box_at(x: float, y: float, size: float = 80) -> Box:
    return Box.around(joints_at(x, y, size))


def one_frame(t, places: dict[int, tuple[float, float]], found: list[FoundHand]) -> None:
    """The detector finds hands, the network sees those at these places by their number."""
    t.begin(found)
    t.finish({number: joints_at(*place) for number, place in places.items()})


@pytest.mark.parametrize("angle", [0.0, 0.8, 2.4])
def test_a_turned_region_of_hand_and_forearm_is_no_second_hand(tracker, angle: float) -> None:
    t = tracker()
    one_frame(t, {1: (300, 200)}, [FoundHand(box_at(300, 200), "right")])
    back = 90 * np.array([-np.sin(angle), np.cos(angle)])
    arm = Region((300 + back[0], 200 + back[1]), 110, 320, angle)
    t.begin([FoundHand(arm.box, None, 0.9, region=arm)])
    assert t.ids == [1]
    beside = Region((430, 200), 60, 80, angle)
    t.begin([FoundHand(beside.box, None, 0.9, region=beside)])
    assert t.ids == [1, 2]


def test_a_small_hand_behind_one_close_to_the_camera_is_a_second_hand(tracker) -> None:
    t = tracker()
    one_frame(t, {1: (300, 200)}, [FoundHand(box_at(300, 200), "right")])
    t.begin([FoundHand(box_at(300, 200), "right", 0.9), FoundHand(box_at(320, 220, 600), "left", 0.8)])
    assert t.ids == [1, 2]


def test_hands_that_point_apart_from_one_place_are_two_and_joints_in_one_place_are_one(tracker) -> None:
    t = tracker()
    t.begin([FoundHand(box_at(200, 200), "right"), FoundHand(box_at(330, 200), "left")])
    strip = np.stack([np.linspace(-8, 8, 21), np.linspace(0, -90, 21)], -1)
    strip[9] = [0, -60]
    assert t.finish({1: strip + np.array([300, 300]), 2: strip * [1, -1] + np.array([300, 310])}) == [1, 2]
    t.begin()
    assert t.finish({1: strip + np.array([300, 300]), 2: strip + np.array([303, 298])}) == [1]
    assert t.tracker.drops == {"duplicate": 1}


@pytest.mark.parametrize("unsure", [False, True])
def test_the_bent_fingers_of_a_hand_are_no_hand_of_their_own(tracker, unsure: bool) -> None:
    """Where the detector is unsure of them, and they lie in a hand that it found as well; a small hand that it is sure
    of stays one, and so does one beside."""
    t = tracker()
    large, small, beside = (box_at(300, 200, 200), box_at(210, 200, 60), box_at(520, 145, 70))
    found = [FoundHand(large, "right", 0.9)]
    further = [FoundHand(small, "right", 0.3), FoundHand(beside, "right", 0.3)]
    t.begin(
        found if unsure else [*found, *further], new_score=0.2 if not unsure else 0.5, unsure=further if unsure else []
    )
    seen = {1: joints_at(300, 200, 200), 2: joints_at(210, 200, 60), 3: joints_at(520, 145, 70)}
    assert t.finish(seen) == ([1, 3] if unsure else [1, 2, 3])


def test_a_false_hand_does_not_keep_a_true_one_from_being_looked_at(tracker) -> None:
    t = tracker(max_hands=1)
    found = [FoundHand(box_at(100, 100), None, 0.9), FoundHand(box_at(400, 300), None, 0.5)]
    one_frame(t, {2: (400, 300)}, found)
    assert t.ids == [2]


def test_no_more_hands_than_asked_for_and_the_surest_of_them(tracker) -> None:
    t = tracker(max_hands=2)
    t.begin([FoundHand(box_at(100 + 150 * k, 100), None, 0.9 - 0.1 * k) for k in range(4)])
    joints = {track.track_id: joints_at(*track.box_px.center) for track in t.tracks}
    assert t.finish(joints, dict(zip(t.ids, (0.5, 0.9, 0.4, 0.8), strict=True))) == [2, 4]
    assert t.ids == [2, 4] and t.tracker.drops == {"too_many": 2}


def test_two_tracks_on_one_hand_are_found_out(tracker) -> None:
    t = tracker()
    t.begin(
        [FoundHand(box_at(100, 100), "right"), FoundHand(box_at(190, 100), "left"), FoundHand(box_at(400, 90), "left")]
    )
    places = [(140, 100), (143, 101), (400, 90)]
    assert t.finish({k + 1: joints_at(*place) for k, place in enumerate(places)}) == [1, 3]
    assert t.ids == [1, 3]


@pytest.mark.parametrize("sure", [False, True])
def test_a_track_within_another_is_the_same_hand_unless_both_are_sure_of_their_sides(tracker, sure: bool) -> None:
    t = tracker()
    t.begin([FoundHand(box_at(100, 100), "right"), FoundHand(box_at(210, 100), "left")])
    for target in t.targets:
        for _ in range(5 if sure else 1):
            target.belief.seen(2.0)
    t.finish({1: joints_at(110, 105, 100), 2: joints_at(110, 105, 45)[::-1]})
    assert t.ids == ([1, 2] if sure else [1])


def test_hands_side_by_side_are_two(tracker) -> None:
    t = tracker()
    t.begin([FoundHand(box_at(100, 100), "right"), FoundHand(box_at(150, 100), "left")])
    assert t.finish({1: joints_at(100, 100), 2: joints_at(150, 100)}) == [1, 2]
