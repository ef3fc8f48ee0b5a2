import numpy as np
import pytest

from prehend.types import Box, FoundHand

SIZE = (640, 480)


def joints_at(x: float, y: float, size: float = 80) -> np.ndarray:
    shape = np.random.default_rng(0).uniform(-0.5, 0.5, (21, 2))
    shape = (shape - shape.min(0)) / np.ptp(shape, axis=0) - 0.5
    return shape * size + [x, y]


def box_at(x: float, y: float, size: float = 80) -> Box:
    return Box.around(joints_at(x, y, size))


def step(t, places: dict[int, tuple[float, float]], found=(), stamp=None, **frame) -> bool:
    """One frame: hands seen at places by their number; True if the detector was asked for."""
    t.begin(found, stamp, **frame)
    t.finish({number: joints_at(*place) for number, place in places.items()})
    return t.asked


class World:
    """Hands at true places, a detector that errs, and a crop network that sees the hand its box is on.

    Args:
        t: the tracker.
        jitter: of the detector's boxes, in units of the hand's size.
        missing: probability that the detector misses a hand.
        false: probability of a box on nothing.
    """

    def __init__(self, t, jitter: float = 0.0, missing: float = 0.0, false: float = 0.0, seed: int = 0):
        self.t, self.jitter, self.missing, self.false = t, jitter, missing, false
        self.rng = np.random.default_rng(seed)
        self.frame = 0

    def look(self, places: list[tuple[float, float] | None]) -> list[FoundHand]:
        """The detector's answer."""
        found = []
        for x, y in filter(None, places):
            if self.rng.random() >= self.missing:
                dx, dy, grow = self.rng.normal(0, self.jitter, 3)
                box = box_at(x + 80 * dx, y + 80 * dy, 80 * np.exp(grow))
                found.append(FoundHand(box, "right", float(self.rng.uniform(0.3, 0.9))))
        if self.rng.random() < self.false:
            found.append(FoundHand(box_at(*self.rng.uniform(50, 400, 2)), "left", 0.4))
        return found

    def step(self, places: list[tuple[float, float] | None]) -> dict[int, int]:
        """One frame with hands at these places (None: hidden) -> number of the track on each hand that is seen."""
        seen = {k: place for k, place in enumerate(places) if place is not None}
        targets = self.t.begin(lambda: self.look(places), self.frame / 30, new_score=0.3)
        self.frame += 1
        boxes = {track.track_id: track.box_px for track in self.t.tracks}
        joints = {}
        for target in targets:
            box = boxes[target.track_id]
            middle = np.array(box.center)
            distance, best = min(((np.linalg.norm(middle - at), k) for k, at in seen.items()), default=(np.inf, -1))
            if distance < 0.5 * box.width:
                joints[target.track_id] = joints_at(*seen[best]) + self.rng.normal(0, 1.0, (21, 2))
        self.t.finish(joints)
        on: dict[int, int] = {}
        for track in self.t.tracks:
            if not track.missed:
                _, k = min((np.linalg.norm(np.subtract(track.box_px.center, at)), k) for k, at in seen.items())
                assert k not in on, "one track a hand"
                on[k] = track.track_id
        return on


def test_the_detector_is_asked_when_nothing_is_tracked_and_at_the_interval(tracker) -> None:
    t = tracker(find_interval_s=4 / 30)
    found = [FoundHand(box_at(100, 100), "right")]
    asked = [step(t, {1: (100, 100)}, found) for _ in range(10)]
    assert asked == [True, False, False, False, True, False, False, False, True, False]
    assert t.ids == [1]


def test_with_nothing_to_find_it_is_asked_every_frame(tracker) -> None:
    t = tracker()
    assert [step(t, {}, []) for _ in range(4)] == [True] * 4


def test_a_lost_hand_brings_the_detector_back_at_once_and_then_now_and_then(tracker) -> None:
    t = tracker(find_interval_s=100 / 30, keep_lost_s=0.3)
    found = [FoundHand(box_at(100, 100), "right"), FoundHand(box_at(400, 300), "left")]
    assert step(t, {1: (100, 100), 2: (400, 300)}, found)
    assert not step(t, {1: (100, 100)}, found)
    only_one = found[:1]
    asked = [step(t, {1: (100, 100)}, only_one) for _ in range(12)]
    assert asked[:7] == [True, False, False, True, False, False, True]
    assert asked[9], "it was given up: whose hand is there now?"
    assert not any(asked[10:])
    assert t.ids == [1]


@pytest.mark.parametrize("gap", [1, 2, 4, 10])
def test_a_hand_that_is_not_seen_for_some_frames_keeps_its_number(tracker, gap: int) -> None:
    t = tracker(find_interval_s=4 / 30)
    world = World(t)
    for _ in range(10):
        assert world.step([(100, 100), (400, 300)]) == {0: 1, 1: 2}
    for _ in range(gap):
        world.step([None, (400, 300)])
    for _ in range(4):
        on = world.step([(130, 110), (400, 300)])
    assert on == {0: 1, 1: 2}


def test_a_hand_that_was_away_for_long_gets_a_new_number(tracker) -> None:
    world = World(tracker(keep_lost_s=0.5))
    for _ in range(5):
        world.step([(100, 100)])
    for _ in range(20):
        assert world.step([None]) == {}
    world.step([(100, 100)])
    assert world.step([(100, 100)]) == {0: 2}


def test_a_moving_hand_that_is_hidden_for_a_moment_is_met_where_it_went(tracker) -> None:
    t = tracker(find_interval_s=100 / 30)
    world = World(t)
    for k in range(10):
        world.step([(100 + 6 * k, 100)])
    world.missing = 1.0
    for _ in range(2):
        assert world.step([None]) == {}
    assert world.step([(100 + 6 * 12, 100)]) == {0: 1}, "without the detector"


def test_hands_that_cross_while_one_hides_the_other_keep_their_numbers(tracker) -> None:
    world = World(tracker(find_interval_s=5 / 30))
    for k in range(80):
        a, b = (60 + 6.5 * k, 200.0), (580 - 6.5 * k, 200.0)
        hidden = abs(a[0] - b[0]) < 60
        on = world.step([a, None if hidden else b])
        if k in (20, 79):
            assert on == {0: 1, 1: 2}


@pytest.mark.parametrize("seed", range(4))
def test_a_detector_that_errs_does_not_change_numbers(tracker, seed: int) -> None:
    world = World(tracker(find_interval_s=3 / 30), jitter=0.12, missing=0.3, false=0.3, seed=seed)
    numbers: dict[int, set[int]] = {0: set(), 1: set()}
    seen = 0
    for k in range(150):
        swing = 90 * np.sin(k / 12)
        on = world.step([(200 + swing, 200), (450 - swing, 260)])
        seen += len(on)
        for hand, number in on.items():
            numbers[hand].add(number)
    assert all(len(one) == 1 for one in numbers.values()), numbers
    assert seen > 0.97 * 2 * 150


def test_unsure_boxes_bring_hands_back_and_begin_none(tracker) -> None:
    t = tracker()
    t.begin([FoundHand(box_at(100, 100), "right", 0.9), FoundHand(box_at(300, 300), "right", 0.1)], new_score=0.2)
    assert t.ids == [1]
    t.finish({1: joints_at(100, 100)})
    for _ in range(5):
        step(t, {})
    assert t.begin() == []
    targets = t.begin([FoundHand(box_at(130, 100), "right", 0.1)], new_score=0.2)
    assert [target.track_id for target in targets] == [1]
    assert t.tracks[0].box_px.iou(box_at(130, 100)) > 0.4


def test_sure_boxes_choose_before_unsure_ones(tracker) -> None:
    t = tracker()
    step(t, {1: (100, 100)}, [FoundHand(box_at(100, 100), "right")])
    t.begin([FoundHand(box_at(125, 100), "right", 0.9), FoundHand(box_at(100, 100), "right", 0.1)], new_score=0.2)
    assert t.ids == [1], "the unsure one begins nothing, although the sure one took the track"


def test_of_hands_that_the_detector_doubts_two_are_tried_and_none_that_is_followed_gives_way(tracker) -> None:
    t = tracker(max_hands=2)
    step(t, {1: (100, 100), 2: (300, 100)}, [FoundHand(box_at(x, 100), "right", 0.9) for x in (100, 300)])
    step(t, {1: (100, 100)})
    doubted = [FoundHand(box_at(x, 300), "left", 0.1) for x in (100, 300, 500)]
    targets = t.begin([], new_score=0.2, unsure=[FoundHand(box_at(105, 100), "right", 0.15), *doubted])
    assert [(target.track_id, target.doubted) for target in targets] == [(1, False), (2, False), (3, True), (4, True)]
    assert t.finish({1: joints_at(100, 100), 4: joints_at(300, 300)}) == [1, 4]
    assert t.ids == [1, 2, 4]
    assert t.tracker.drops["no_hand"] == 1, "hand 2; what was only tried is not given up"
    assert not any(target.doubted for target in t.begin()), "one that was seen is as good as any"


def test_a_hand_of_the_other_side_that_turns_up_where_one_was_lost_is_another_hand(tracker) -> None:
    t = tracker()
    for _ in range(4):
        (target,) = t.begin([FoundHand(box_at(100, 100), "right")])
        target.belief.seen(5.0)
        assert t.finish({1: joints_at(100, 100)}) == [1]
    for _ in range(6):
        step(t, {})
    (target,) = t.begin([FoundHand(box_at(110, 100), "right")])
    target.belief.seen(-5.0)
    assert t.finish({1: joints_at(110, 100)}) == [2]
    assert [(track.track_id, track.side) for track in t.tracks] == [(2, "left")]


def test_a_candidate_that_was_never_a_hand_does_not_bring_the_detector_back(tracker) -> None:
    t = tracker(find_interval_s=100 / 30)
    found = [FoundHand(box_at(100, 100), "right"), FoundHand(box_at(400, 300), "left")]
    step(t, {1: (100, 100)}, found)
    assert not step(t, {1: (100, 100)}, found)


def test_numbers_follow_moving_hands_that_cross(tracker) -> None:
    t = tracker(find_interval_s=1 / 30)
    for k in range(40):
        a, b = (50 + 14 * k, 200), (600 - 14 * k, 280)
        found = [FoundHand(box_at(*b), "left"), FoundHand(box_at(*a), "right")]
        step(t, {1: b, 2: a}, found, stamp=k / 30)
        assert t.ids == [1, 2]
    assert [track.side for track in t.tracks] == ["left", "right"]


def test_numbers_are_never_used_again(tracker) -> None:
    t = tracker()
    seen = set()
    for k in range(5):
        t.begin([FoundHand(box_at(100 + k, 100), "right")])
        assert t.ids[0] not in seen
        seen.update(t.ids)
        t.tracker.reset()
    assert seen == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("stamp", [0.9, 10.0])
def test_stamps_that_jump_back_or_far_ahead_start_from_nothing(tracker, stamp: float) -> None:
    t = tracker(max_gap_s=1.0)
    found = [FoundHand(box_at(100, 100), "right")]
    step(t, {1: (100, 100)}, found, stamp=1.0)
    assert step(t, {2: (100, 100)}, found, stamp=stamp)
    assert t.ids == [2]


@pytest.mark.parametrize("interval_s", [1 / 60, 1 / 15, 0.2])
def test_swapped_and_jittering_neighbours_are_no_restart(tracker, interval_s: float) -> None:
    t = tracker()
    found = [FoundHand(box_at(100, 100), "right")]
    for place in (0, 1, 2, 4, 3, 5, 7, 6, 6.9, 8):
        step(t, {1: (100 + 2 * place, 100)}, found, stamp=5 + place * interval_s)
        assert [track.track_id for track in t.tracks] == [1]
    np.testing.assert_allclose(t.tracks[0].velocity[0] * interval_s, 2, atol=1.0)


def test_the_same_stamp_twice_is_no_jump(tracker) -> None:
    t = tracker()
    found = [FoundHand(box_at(100, 100), "right")]
    step(t, {1: (100, 100)}, found, stamp=1.0)
    step(t, {1: (102, 100)}, found, stamp=1.0)
    step(t, {1: (104, 100)}, found, stamp=1.03)
    assert t.ids == [1]
    assert np.isfinite(t.tracks[0].velocity).all()


def test_another_image_size_starts_from_nothing(tracker) -> None:
    t = tracker()
    found = [FoundHand(box_at(100, 100), "right")]
    step(t, {1: (100, 100)}, found)
    assert step(t, {2: (100, 100)}, found, size=(320, 240))
    assert t.ids == [2]


@pytest.mark.parametrize("dt", [None, 0.03])
def test_boxes_run_ahead_at_constant_velocity(tracker, dt: float | None) -> None:
    t = tracker()
    found = [FoundHand(box_at(100, 100), "right")]
    stamps = [None if dt is None else k * dt for k in range(4)]
    for k in range(3):
        step(t, {1: (100 + 20 * k, 100 + 5 * k)}, found, stamp=stamps[k])
    t.begin(stamp=stamps[3])
    np.testing.assert_allclose(t.tracks[0].box_px.center, (160, 115), atol=1e-6)


def test_a_jump_of_a_hand_does_not_throw_its_box_away(tracker) -> None:
    t = tracker()
    found = [FoundHand(box_at(100, 100), "right")]
    step(t, {1: (100, 100)}, found)
    step(t, {1: (500, 100)}, found)
    t.begin()
    assert t.tracks[0].box_px.center[0] == pytest.approx(540)


def test_most_hands_are_kept_to_and_the_tracked_come_first(tracker) -> None:
    t = tracker(max_hands=2, find_interval_s=1 / 30)
    places = [(100, 100), (300, 100), (500, 100)]
    step(t, {1: places[2]}, [FoundHand(box_at(*places[2]), "right", 0.4)])
    found = [FoundHand(box_at(*place), "left", 0.9) for place in places[:2]]
    step(t, {1: places[2], 2: places[0]}, [*found, FoundHand(box_at(*places[2]), "right", 0.4)])
    assert t.ids == [1, 2]


def test_a_track_that_is_sure_keeps_its_box_until_the_detector_insists(tracker) -> None:
    t = tracker(find_interval_s=5 / 30)
    step(t, {1: (100, 100)}, [FoundHand(box_at(100, 100), "right")])
    elsewhere = FoundHand(box_at(133, 112), "right")
    while not t.asked or t.tracks[0].doubts == 0:
        t.begin([elsewhere])
        np.testing.assert_allclose(t.tracks[0].box_px.center, (100, 100), atol=1e-6)
        t.finish({1: joints_at(100, 100)})
    t.begin([elsewhere])
    assert t.asked, "two that disagree are asked again"
    np.testing.assert_allclose(t.tracks[0].box_px.center, (133, 112))
    assert t.ids == [1]


def test_a_track_that_is_not_sure_takes_the_detectors_place_at_once(tracker) -> None:
    t = tracker()
    t.begin([FoundHand(box_at(100, 100), "right")])
    t.finish({1: joints_at(100, 100)}, {1: 0.5})
    t.begin([FoundHand(box_at(133, 112), "right")])
    np.testing.assert_allclose(t.tracks[0].box_px.center, (133, 112))


def test_a_box_near_its_own_changes_nothing(tracker) -> None:
    t = tracker(find_interval_s=1 / 30)
    step(t, {1: (130, 110)}, [FoundHand(box_at(130, 110), "right")])
    before = t.tracks[0].box_px
    t.begin([FoundHand(box_at(133, 111), "right")])
    assert t.tracks[0].box_px == before, "its own joints know better"


def test_joints_that_fall_in_on_the_palm_do_not_take_the_box_along(tracker) -> None:
    t = tracker(find_interval_s=10 / 30)
    found = [FoundHand(box_at(100, 100), "right")]
    widths = []
    for k in range(60):
        t.begin(found, k / 30)
        widths.append(t.tracks[0].box_px.width)
        t.finish({1: joints_at(100, 100, 0.7 * widths[-1])})
    assert min(widths) > 0.35 * 80
    assert sum(width < 0.5 * 80 for width in widths) < 25, "the detector puts it right"


@pytest.mark.parametrize("size", [45, 160])
def test_a_hand_that_closes_or_opens_is_followed(tracker, size: float) -> None:
    t = tracker(find_interval_s=100 / 30)
    for k in range(40):
        t.begin([FoundHand(box_at(200, 200), "right")], k / 30)
        now = float(np.interp(k, [15, 21], [80, size]))
        t.finish({1: joints_at(200, 200, now)})
        assert 0.99 < t.tracks[0].box_px.width / now < 1.15


def test_a_box_of_hand_and_arm_is_no_second_hand(tracker) -> None:
    t = tracker()
    step(t, {1: (100, 100)}, [FoundHand(box_at(100, 100), "right")])
    arm = Box(55, 55, 195, 195)
    t.begin([FoundHand(box_at(101, 100), "right", 0.9), FoundHand(arm, "left", 0.8)])
    assert t.ids == [1]


def test_a_users_boxes_are_the_hands(tracker) -> None:
    t = tracker(max_hands=1)
    given = [FoundHand(box_at(100, 100), "right"), FoundHand(box_at(110, 100), "left")]
    t.begin(given=given)
    assert [(track.track_id, track.side) for track in t.tracks] == [(1, "right"), (2, "left")]
    assert [track.box_px for track in t.tracks] == [hand.box_px for hand in given]
    moved = FoundHand(box_at(104, 100), "left")
    t.begin(given=[moved])
    assert len(t.tracks) == 1
    assert t.tracks[0].side == "left"
    assert t.tracks[0].box_px == moved.box_px
    t.begin(given=[])
    assert t.tracks == ()


def test_tracks_are_compared_as_things_and_not_by_their_arrays(tracker) -> None:
    t = tracker()
    step(
        t,
        {1: (100, 100), 2: (300, 100)},
        [FoundHand(box_at(100, 100), "right"), FoundHand(box_at(300, 100), "right")],
    )
    a, b = t.tracks
    assert t.tracks.index(b) == 1
    assert a != b


def test_what_a_frame_adds_to_a_target_reaches_its_track_in_finish_alone(tracker) -> None:
    t = tracker()
    (target,) = t.begin([FoundHand(box_at(100, 100), "right")])
    (track,) = t.tracks
    before = track.belief.log_odds
    target.belief.seen(5.0)
    target.depth.factor(np.ones((21, 3)), joints_at(100, 100), 0.0, SIZE, 0.1)
    assert track.belief.log_odds == before and track.filters.depth is not target.depth
    t.finish({1: joints_at(100, 100)})
    assert track.belief.log_odds > before
