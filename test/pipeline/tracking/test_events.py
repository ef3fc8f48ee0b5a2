"""Events: what is told of hands that come, go, take and let go; on frames of known truth."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prehend.errors import ParameterError
from prehend.io.frames import Frame
from prehend.io.results.prediction_records import frame_record, frame_result
from prehend.pipeline.cameras import CameraFrame, CamerasEstimator
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.frames.hand_motion import MotionPatch
from prehend.pipeline.networks.grasp_motion import MotionAnswer
from prehend.pipeline.options import GRASP_EVENTS, EstimatorOptions
from prehend.pipeline.tracking.events import EventTeller, events_of, told_or_made
from prehend.rig.estimator import load_rig
from prehend.types import Box, GraspEstimate, HandEstimate, ObjectEstimate

SIZE = (640, 480)
LASTING_S = 0.05


def told(events):
    return [(event.kind, event.track_id) for event in events]


def latest(hz: float) -> float:
    """How late an event may be told: its frames have to agree for `LASTING_S`, and be two [s]."""
    return max(LASTING_S + 1 / hz, 1 / hz) + 1e-6


@pytest.fixture
def story(oracle, finder, brick, camera, image, new_hand):
    """story(hz): the results of a hand that comes at 0.4 s, grasps from 1 to 2 s, is hidden from 2.6 to 2.9 s, and is
    taken away at 3.6 s."""

    def play(hz: float, **options):
        free, holding = (new_hand("right", x=0.0, seed=3, grasp=held) for held in (False, True))
        estimator = Estimator(oracle, finder, config=EstimatorOptions(**options), object_model=brick)
        results = []
        for k in range(round(4.4 * hz) + 1):
            t = k / hz + 1e-6
            there = 0.4 <= t < 2.6 or 2.9 <= t < 3.6
            oracle.scene = [holding if 1.0 <= t < 2.0 else free] if there else []
            results.append(estimator.estimate(image, camera, stamp=100 + k / hz))
        return results

    return play


@pytest.mark.parametrize("hz", [10, 15, 30, 60])
def test_each_event_is_told_once_dated_to_its_first_frame_and_soon(story, hz) -> None:
    results = story(hz)
    events = [event for result in results for event in result.events]
    kinds = ["found", "grasped", "released", "lost", "regained", "lost"]
    assert told(events) == [(kind, 1) for kind in kinds], "the same number throughout"
    for event, began in zip(events, [0.4, 1.0, 2.0, 2.6, 2.9, 3.6], strict=True):
        # a hand that is out of sight is looked for by the detector once in 0.1 s
        slack = 0.1 if event.kind == "regained" else 0.0
        assert -1e-3 <= event.stamp - 100 - began <= 1 / hz + slack, event
        assert 0 < event.late_s <= latest(hz)
    for result in results:
        for event in result.events:
            assert event.stamp + event.late_s == pytest.approx(result.stamp)
    assert [event.object_id for event in events[1:3]] == ["brick", "brick"]
    assert all(0.9 < event.confidence <= 1 for event in events if event.kind in ("found", "grasped", "released"))
    assert all(np.isnan(event.confidence) for event in events if event.kind == "lost")


def test_a_recording_tells_the_same_as_the_run_did(story, image) -> None:
    results = story(30)
    records = [frame_record(Frame(image, "clip", n, result.stamp), result) for n, result in enumerate(results)]
    back = [frame_result(record) for record in records]
    assert [told(result.events) for result in back] == [told(result.events) for result in results]
    again = events_of(back)
    assert [told(events) for events in again] == [told(result.events) for result in results]
    for one, other in zip(back, again, strict=True):
        for before, after in zip(one.events, other, strict=True):
            assert (before.stamp, before.side, before.object_id) == (after.stamp, after.side, after.object_id)
            assert before.late_s == pytest.approx(after.late_s, abs=1e-6)


class GoesAlong:
    """Says of every hand that moves that something goes with it: the images of the oracle tell where a crop lies, and
    nothing in them moves."""

    def tell(self, patch: MotionPatch) -> MotionAnswer:
        return MotionAnswer(4.0, 4.0) if patch.speeds.max() > 0.05 else MotionAnswer(-2.0, 0.0)


def test_a_recording_keeps_the_dates_that_were_told(
    oracle, finder, brick, camera, image, new_hand, monkeypatch
) -> None:
    """Of a hand that is lifted: at once, and dated by movement; alone, among cameras, and read back."""
    monkeypatch.setattr("prehend.pipeline.tracking.events.load_grasp_motion", GoesAlong)
    free, holding = (new_hand("right", x=0.0, seed=3, grasp=held) for held in (False, True))
    said = {}
    for how in GRASP_EVENTS:
        options = EstimatorOptions(grasp_events=how, keep_lost_s=1.0)
        one = Estimator(oracle, finder, config=options, object_model=brick)
        several = CamerasEstimator(["a"], oracle, finder, config=options, object_model=brick)
        results = []
        for k in range(60):
            hand, up = holding if k >= 18 else free, np.array([0, 0.15 * float(np.clip((k - 24) / 15, 0, 1)) ** 2, 0])
            oracle.scene = [replace(hand, translation=hand.translation - up)]
            results.append(one.estimate(image, camera, stamp=k / 15))
            beside = several.estimate({"a": CameraFrame(image, camera, k / 15)})["a"]
            assert told(beside.events) == told(results[-1].events)
        events = [event for result in results for event in result.events]
        said[how] = next(event for event in events if event.kind == "grasped")
        assert [told(events) for events in told_or_made(results)] == [told(result.events) for result in results]
    assert said["at_once"].stamp == pytest.approx(18 / 15) and said["at_once"].late_s < 0.1
    assert said["moved"].late_s > 0.5, "it waits for what the hand does then"


def test_a_rig_dates_no_grasps_by_movement() -> None:
    with pytest.raises(ParameterError, match="goes with no rig"):
        load_rig(["front", "left"], EstimatorOptions(grasp_events="moved"))


def test_pictures_on_their_own_have_no_events(story) -> None:
    assert not any(result.events for result in story(10, tracking=False))


@pytest.mark.parametrize(("way", "kind"), [(1, "left_view"), (-1, "left_view"), (0, "lost")])
def test_a_hand_that_goes_over_the_border_has_left(estimator, oracle, camera, image, new_hand, way, kind) -> None:
    hand, events = new_hand("right", x=0.0), []
    for k in range(50):
        shift = np.array([0.02 * way * k, 0, 0])
        oracle.scene = [replace(hand, translation=hand.translation + shift)] if k < 25 else []
        events += estimator.estimate(image, camera, stamp=k / 30).events
    assert told(events) == [("found", 1), (kind, 1)]


def test_a_hand_in_the_middle_has_not_left_because_time_jumps(estimator, oracle, camera, image, new_hand) -> None:
    hand, events = new_hand("right", x=0.0), []
    for k, stamp in enumerate([*np.arange(10) / 30, 8.5, 8.6, 8.7]):
        shift = np.array([0.004 * k, 0, 0])
        oracle.scene = [replace(hand, translation=hand.translation + shift)] if k < 10 else []
        events += estimator.estimate(image, camera, stamp=float(stamp)).events
    assert told(events) == [("found", 1), ("lost", 1)]


def test_two_hands_have_events_of_their_own(estimator, oracle, camera, image, new_hand) -> None:
    left, right = new_hand("left", x=-0.13, seed=1), new_hand("right", x=0.13, seed=2)
    holding = new_hand("right", x=0.13, seed=2, grasp=True)
    events = []
    for k in range(40):
        oracle.scene = [right if k < 20 else holding] + ([left] if k >= 10 else [])
        events += estimator.estimate(image, camera, stamp=k / 30).events
    assert [(event.kind, event.side) for event in events] == [
        ("found", "right"), ("found", "left"), ("grasped", "right")
    ]  # fmt: skip


def test_a_reset_forgets_without_a_word(estimator, oracle, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=0.0)]
    first = [event for k in range(5) for event in estimator.estimate(image, camera, stamp=k / 30).events]
    estimator.reset()
    second = [event for k in range(5) for event in estimator.estimate(image, camera, stamp=k / 30).events]
    assert told(first) == [("found", 1)] and told(second) == [("found", 2)]


def test_a_bag_that_starts_again_loses_its_hands(estimator, oracle, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=0.0)]
    stamps = [k / 30 for k in range(40)] + [k / 30 for k in range(10)]
    events = [event for stamp in stamps for event in estimator.estimate(image, camera, stamp=stamp).events]
    assert told(events) == [("found", 1), ("lost", 1), ("found", 2)]
    assert all(event.late_s >= 0 for event in events)


def say(track=1, state="not_grasping", held=None, x=300.0, since=None) -> HandEstimate:
    points = np.linspace([x, 200.0], [x + 60, 280.0], 21)
    thing = None if held is None else ObjectEstimate(held, 0.8, points, Box.around(points))
    nothing = np.zeros((21, 3))
    return HandEstimate(
        track, "left", 0.9, Box.around(points), points, nothing, nothing[:0], np.tile(np.eye(3), (16, 1, 1)),
        np.zeros(10), np.ones(21, bool), GraspEstimate(state, 0.9, since), thing,
    )  # fmt: skip


def tell(frames, hz=30.0, stamps=True):
    teller = EventTeller(LASTING_S)
    return [teller.step(hands, SIZE, k / hz if stamps else None) for k, hands in enumerate(frames)]


def test_another_object_in_the_hand_is_told_once_it_lasts() -> None:
    held = ["mug"] * 5 + ["drill"] + ["mug"] * 5 + ["drill"] * 6
    events = [event for events in tell([[say(state="grasping", held=name)] for name in held]) for event in events]
    assert [(event.kind, event.object_id) for event in events] == [
        ("found", ""), ("grasped", "mug"), ("object_changed", "drill")
    ]  # fmt: skip
    assert events[-1].stamp == pytest.approx(11 / 30) and events[-1].confidence == 0.8
    assert events[-1].late_s == pytest.approx(2 / 30)


def test_one_frame_alone_tells_nothing() -> None:
    there, gone = [say()], []
    assert not any(tell([there, gone] * 20)), "a hand that is seen in every other frame is never told"
    events = [event for events in tell([there] * 5 + [gone, there] * 20) for event in events]
    assert told(events) == [("found", 1)], "and one that is followed is not lost by it"


def test_without_stamps_frames_come_at_30_hz() -> None:
    frames = [[say()]] * 5 + [[]] * 5
    with_stamps, without = tell(frames), tell(frames, stamps=False)
    assert [told(events) for events in with_stamps] == [told(events) for events in without]
    assert all(event.stamp is None and event.late_s == pytest.approx(2 / 30) for events in without for event in events)


def test_swapped_images_make_no_time() -> None:
    """A pair that came in the wrong order takes as long as one in order, so that nothing is believed too soon."""
    teller = EventTeller(LASTING_S)
    order = [0, *(k + step for k in range(1, 300, 2) for step in (1, 0))]
    for k in order:
        teller.step([], SIZE, k / 30)
    assert teller._now_s == pytest.approx(1 / 30 + max(order) / 30)
    told_at = []
    for stamps in ([1, 2, 3, 4], [2, 1, 3, 4]):  # a hand that is first seen in image 1, or in 2, which came before it
        teller = EventTeller(LASTING_S)
        teller.step([], SIZE, 0.0)
        events = [teller.step([say()], SIZE, k / 30) for k in stamps]
        told_at.append([k for k, one in zip(stamps, events, strict=True) if one])
    assert told_at == [[3], [4]]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=80), st.sampled_from([5.0, 15.0, 30.0]))
def test_events_of_a_hand_alternate_whatever_it_does(frames, hz) -> None:
    shown = [[say(state="grasping" if grasps else "not_grasping")] if there else [] for there, grasps in frames]
    kinds = [event.kind for events in tell(shown, hz) for event in events]
    view = [kind for kind in kinds if kind in ("found", "lost", "left_view", "regained")]
    grasp = [kind for kind in kinds if kind in ("grasped", "released")]
    assert all(kind == ("regained" if k else "found") for k, kind in enumerate(view[::2]))
    assert set(view[1::2]) <= {"lost", "left_view"}
    assert grasp == (["grasped", "released"] * len(kinds))[: len(grasp)]
    assert not kinds or kinds[0] == "found", "nothing is told of a hand before it is found"
