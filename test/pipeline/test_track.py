import numpy as np
import pytest

from prehend.errors import ParameterError
from prehend.pipeline.grasp import GraspConfig
from prehend.pipeline.track import Track, TrackConfig, Tracker, inside_share
from prehend.types import Box, FoundHand

SIZE = (640, 480)


def joints_at(x: float, y: float, size: float = 80) -> np.ndarray:
    shape = np.random.default_rng(0).uniform(-0.5, 0.5, (21, 2))
    shape = (shape - shape.min(0)) / np.ptp(shape, axis=0) - 0.5
    return shape * size + [x, y]


def box_at(x: float, y: float, size: float = 80) -> Box:
    return Box.around(joints_at(x, y, size))


def tracker(**changes) -> Tracker:
    return Tracker(TrackConfig(**changes), GraspConfig())


def step(t: Tracker, places: dict[int, tuple[float, float]], found=None, stamp=None, size=SIZE, exact=False) -> bool:
    """One frame: hands seen at places by their number; True if the finder was asked for."""
    t.start_frame(size, stamp)
    asked = t.wants_finder
    if found is not None and (asked or exact):
        t.take(found, exact)
    for track in tuple(t.tracks):
        if track.track_id in places:
            t.confirm(track, joints_at(*places[track.track_id]), None)
        else:
            t.drop(track)
    return asked


def ids(t: Tracker) -> list[int]:
    return [track.track_id for track in t.tracks]


def test_the_finder_is_asked_when_nothing_is_tracked_and_at_the_interval() -> None:
    t = tracker(find_interval=4)
    found = [FoundHand(box_at(100, 100), "right")]
    asked = [step(t, {1: (100, 100)}, found) for _ in range(10)]
    assert asked == [True, False, False, False, True, False, False, False, True, False]
    assert ids(t) == [1]


def test_with_nothing_to_find_it_is_asked_every_frame() -> None:
    t = tracker()
    assert [step(t, {}, []) for _ in range(4)] == [True] * 4


def test_a_lost_hand_brings_the_finder_back_and_a_new_number() -> None:
    t = tracker(find_interval=100)
    found = [FoundHand(box_at(100, 100), "right"), FoundHand(box_at(400, 300), "left")]
    assert step(t, {1: (100, 100), 2: (400, 300)}, found)
    assert not step(t, {1: (100, 100)}, found)
    assert step(t, {1: (100, 100), 3: (400, 300)}, found)
    assert ids(t) == [1, 3]
    assert not step(t, {1: (100, 100), 3: (400, 300)}, found)


def test_a_candidate_that_was_never_a_hand_does_not_bring_the_finder_back() -> None:
    t = tracker(find_interval=100)
    found = [FoundHand(box_at(100, 100), "right"), FoundHand(box_at(400, 300), "left")]
    step(t, {1: (100, 100)}, found)
    assert not step(t, {1: (100, 100)}, found)


def test_numbers_follow_moving_hands_that_cross() -> None:
    t = tracker(find_interval=1)
    for k in range(40):
        a, b = (50 + 14 * k, 200), (600 - 14 * k, 280)
        found = [FoundHand(box_at(*b), "left"), FoundHand(box_at(*a), "right")]
        step(t, {1: b, 2: a}, found, stamp=k / 30)
        assert ids(t) == [1, 2]
    assert [track.side for track in t.tracks] == ["left", "right"]


def test_numbers_are_never_used_again() -> None:
    t = tracker()
    seen = set()
    for k in range(5):
        t.start_frame(SIZE, None)
        t.take([FoundHand(box_at(100 + k, 100), "right")])
        assert ids(t)[0] not in seen
        seen.update(ids(t))
        t.reset()
    assert seen == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("stamp", [0.9, 10.0])
def test_stamps_that_jump_back_or_far_ahead_start_from_nothing(stamp: float) -> None:
    t = tracker(max_gap_s=1.0)
    found = [FoundHand(box_at(100, 100), "right")]
    step(t, {1: (100, 100)}, found, stamp=1.0)
    assert step(t, {2: (100, 100)}, found, stamp=stamp)
    assert ids(t) == [2]


def test_the_same_stamp_twice_is_no_jump() -> None:
    t = tracker()
    found = [FoundHand(box_at(100, 100), "right")]
    step(t, {1: (100, 100)}, found, stamp=1.0)
    step(t, {1: (102, 100)}, found, stamp=1.0)
    step(t, {1: (104, 100)}, found, stamp=1.03)
    assert ids(t) == [1]
    assert np.isfinite(t.tracks[0].velocity).all()


def test_another_image_size_starts_from_nothing() -> None:
    t = tracker()
    found = [FoundHand(box_at(100, 100), "right")]
    step(t, {1: (100, 100)}, found)
    assert step(t, {2: (100, 100)}, found, size=(320, 240))
    assert ids(t) == [2]


@pytest.mark.parametrize("dt", [None, 0.03])
def test_boxes_run_ahead_at_constant_velocity(dt: float | None) -> None:
    t = tracker()
    found = [FoundHand(box_at(100, 100), "right")]
    stamps = [None if dt is None else k * dt for k in range(4)]
    for k in range(3):
        step(t, {1: (100 + 20 * k, 100 + 5 * k)}, found, stamp=stamps[k])
    t.start_frame(SIZE, stamps[3])
    np.testing.assert_allclose(t.tracks[0].box_px.center, (160, 115), atol=1e-6)


def test_a_jump_of_a_hand_does_not_throw_its_box_away() -> None:
    t = tracker()
    found = [FoundHand(box_at(100, 100), "right")]
    step(t, {1: (100, 100)}, found)
    step(t, {1: (500, 100)}, found)
    t.start_frame(SIZE, None)
    assert t.tracks[0].box_px.center[0] == pytest.approx(540)


def test_a_side_changes_only_after_repeated_contradiction() -> None:
    t = tracker(find_interval=5, side_votes=3)
    right, left = ([FoundHand(box_at(100, 100), side)] for side in ("right", "left"))
    step(t, {1: (100, 100)}, right)
    for _ in range(4):
        assert not step(t, {1: (100, 100)}, right)
    # one contradiction, then agreement: nothing changes, but the finder was asked again at once
    assert step(t, {1: (100, 100)}, left)
    assert step(t, {1: (100, 100)}, right)
    assert not step(t, {1: (100, 100)}, right)
    assert t.tracks[0].side == "right"
    asked = [step(t, {1: (100, 100)}, left) for _ in range(6)]
    assert sum(asked) == 3
    assert t.tracks[0].side == "left"
    assert ids(t) == [1]


def test_a_doubt_ends_when_the_finder_no_longer_sees_the_hand() -> None:
    t = tracker(find_interval=2)
    step(t, {1: (100, 100)}, [FoundHand(box_at(100, 100), "right")])
    step(t, {1: (100, 100)}, [])
    assert step(t, {1: (100, 100)}, [FoundHand(box_at(100, 100), "left")])
    assert step(t, {1: (100, 100)}, [])
    assert not step(t, {1: (100, 100)}, [])


def test_most_hands_are_kept_to_and_the_tracked_come_first() -> None:
    t = tracker(max_hands=2, find_interval=1)
    places = [(100, 100), (300, 100), (500, 100)]
    step(t, {1: places[2]}, [FoundHand(box_at(*places[2]), "right", 0.4)])
    found = [FoundHand(box_at(*place), "left", 0.9) for place in places[:2]]
    step(t, {1: places[2], 2: places[0]}, [*found, FoundHand(box_at(*places[2]), "right", 0.4)])
    assert ids(t) == [1, 2]


def test_a_drifted_box_takes_the_finders_place() -> None:
    t = tracker(find_interval=1)
    step(t, {1: (100, 100)}, [FoundHand(box_at(100, 100), "right")])
    t.start_frame(SIZE, None)
    t.take([FoundHand(box_at(130, 110), "right")])
    np.testing.assert_allclose(t.tracks[0].box_px.center, (130, 110))
    step(t, {1: (130, 110)}, [FoundHand(box_at(130, 110), "right")])
    before = t.tracks[0].box_px
    t.tracks[0].velocity = np.zeros(2)
    t.start_frame(SIZE, None)
    t.take([FoundHand(box_at(133, 111), "right")])
    assert t.tracks[0].box_px == before, "its own joints know better"


def test_a_users_boxes_are_the_hands() -> None:
    t = tracker(max_hands=1)
    given = [FoundHand(box_at(100, 100), "right"), FoundHand(box_at(110, 100), "left")]
    t.start_frame(SIZE, None)
    t.take(given, exact=True)
    assert [(track.track_id, track.side) for track in t.tracks] == [(1, "right"), (2, "left")]
    assert [track.box_px for track in t.tracks] == [hand.box_px for hand in given]
    t.start_frame(SIZE, None)
    moved = FoundHand(box_at(104, 100), "left")
    t.take([moved], exact=True)
    assert len(t.tracks) == 1
    assert t.tracks[0].side == "left"
    assert t.tracks[0].box_px == moved.box_px
    t.start_frame(SIZE, None)
    t.take([], exact=True)
    assert t.tracks == []


def test_two_tracks_on_one_hand_are_found_out() -> None:
    t = tracker()
    t.start_frame(SIZE, None)
    t.take(
        [FoundHand(box_at(100, 100), "right"), FoundHand(box_at(190, 100), "left"), FoundHand(box_at(400, 90), "left")]
    )
    for track, place in zip(t.tracks, [(140, 100), (143, 101), (400, 90)], strict=True):
        t.confirm(track, joints_at(*place), None)
    assert [track.track_id for track in t.duplicates()] == [2]


def test_hands_side_by_side_are_two() -> None:
    t = tracker()
    t.start_frame(SIZE, None)
    t.take([FoundHand(box_at(100, 100), "right"), FoundHand(box_at(150, 100), "left")])
    for track, place in zip(t.tracks, [(100, 100), (150, 100)], strict=True):
        t.confirm(track, joints_at(*place), None)
    assert len(t.tracks) == 2
    assert t.duplicates() == []


def test_inside_share() -> None:
    assert inside_share(Box(10, 10, 20, 20), SIZE) == 1
    assert inside_share(Box(-100, 10, 99, 20), SIZE) == pytest.approx(0.5)
    assert inside_share(Box(-20, 10, -5, 20), SIZE) == 0
    assert inside_share(Box(50, 10, 50, 20), SIZE) == 1, "a line"


@pytest.mark.parametrize("name", ["max_hands", "find_interval", "side_votes", "max_gap_s"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_values_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ParameterError, match=name):
        TrackConfig(**{name: value})


def test_tracks_are_compared_as_things_and_not_by_their_arrays() -> None:
    t = tracker()
    t.start_frame(SIZE, None)
    t.take([FoundHand(box_at(100, 100), "right"), FoundHand(box_at(300, 100), "right")])
    a, b = t.tracks
    t.confirm(a, joints_at(100, 100), None)
    t.confirm(b, joints_at(300, 100), None)
    t.drop(b)
    assert t.tracks == [a]
    assert isinstance(a, Track)
