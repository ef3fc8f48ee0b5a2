"""When a grasp is dated to: hands whose way and whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.pipeline.frames.hand_motion import MotionPatch
from prehend.pipeline.networks.grasp_dates import SIGNALS, TIMES_S, load_grasp_dates
from prehend.pipeline.networks.grasp_motion import MotionAnswer
from prehend.pipeline.tracking.events import AGREED_S, EventTeller
from prehend.pipeline.tracking.grasp_moments import (
    AHEAD_S,
    BARE,
    DENIED,
    GAP_S,
    SURELY_DENIED,
    GraspMoments,
    GraspReading,
    moment_windows,
    overruled,
)
from prehend.pipeline.tracking.grasp_path import PEAK_S
from prehend.types import Box, GraspEstimate, HandEstimate

SIZE = (640, 480)
METRES_A_PIXEL = 0.003
LIFTS_S, PUT_DOWN_S = 2.0, 3.6
"""When the hand of `story` begins to rise with what it holds, and when it stands again."""


def smoothly(t: np.ndarray, begin_s: float, end_s: float) -> np.ndarray:
    s = np.clip((t - begin_s) / (end_s - begin_s), 0, 1)
    return s**3 * (10 - 15 * s + 6 * s**2)


def hand_at(place_px: np.ndarray, probability: float, bend_rad: float = 0.5) -> HandEstimate:
    flat = np.stack([np.linspace(-0.09, 0.09, 21), 0.05 * np.cos(np.arange(21)), np.full(21, 0.8)], 1)
    keypoints = flat[:, :2] / METRES_A_PIXEL + place_px
    cosine, sine = np.cos(bend_rad), np.sin(bend_rad)
    R = np.tile(np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]]), (16, 1, 1))
    state = "grasping" if probability >= 0.6 else "not_grasping" if probability <= 0.4 else "unknown"
    return HandEstimate(
        1, "right", 0.95, Box.around(keypoints), keypoints, flat, flat[:0], R, np.zeros(10), np.ones(21, bool),
        GraspEstimate(state, probability, None),
    )  # fmt: skip


def story(hz: float, lifts: bool = True, sure: float = 0.9) -> list[tuple[float, HandEstimate]]:
    """A hand that waits, reaches, closes, lifts what it holds or lets go of it where it stands, and goes back."""
    t = np.arange(round(5.6 * hz)) / hz
    reach, back = smoothly(t, 0.4, 1.4), smoothly(t, 3.85 if lifts else 2.4, 4.8 if lifts else 3.4)
    x = 200 + 60 * (reach - back)
    y = 300 - 50 * lifts * (smoothly(t, LIFTS_S - 0.15, 2.7) - smoothly(t, 2.9, PUT_DOWN_S))
    closed = smoothly(t, 1.4, 1.65) - smoothly(t, *((3.62, 3.85) if lifts else (2.1, 2.4)))
    probability, bend = 0.1 + (sure - 0.1) * closed, 0.6 - 0.4 * reach + 0.25 * closed + 0.4 * back
    places = np.stack([x, y], 1) + np.random.default_rng(0).normal(0, 0.8, (len(t), 2))  # as keypoints tremble
    rows = zip(t, places, probability, bend, strict=True)
    return [(float(when), hand_at(*row)) for when, *row in rows]


def told(frames: list[tuple[float, HandEstimate]], images=None, begin_s: float = 0.0) -> list[tuple[str, float, float]]:
    teller, events = EventTeller(moved=True), []
    for k, (when, hand) in enumerate(frames):
        events += teller.step([hand], SIZE, begin_s + when, None if images is None else images[k])
    return [(event.kind, event.stamp - begin_s, event.late_s) for event in events if event.kind != "found"]


@pytest.mark.parametrize("hz", [10, 15, 30, 60])
def test_a_grasp_is_dated_to_the_lift_and_a_release_to_where_it_is_put_down(hz: float) -> None:
    (first, grasped_s, late_s), (second, released_s, _) = told(story(hz), begin_s=100.0)
    assert (first, second) == ("grasped", "released")
    assert grasped_s == pytest.approx(LIFTS_S, abs=0.2) and released_s == pytest.approx(PUT_DOWN_S + 0.1, abs=0.25)
    assert AHEAD_S + PEAK_S - 1e-6 <= late_s <= AHEAD_S + PEAK_S + 2 * max(1 / hz, 0.07)


def test_what_is_lifted_is_surer_to_be_grasped_than_what_is_touched_and_left() -> None:
    def surest(lifts: bool) -> float:
        teller = EventTeller(moved=True)
        events = [event for when, hand in story(30, lifts) for event in teller.step([hand], SIZE, when)]
        return max((event.confidence for event in events if event.kind == "grasped"), default=0.0)

    assert surest(lifts=False) < 0.5 < surest(lifts=True)


def test_a_hand_that_frames_call_bare_grasps_nothing_however_it_goes() -> None:
    assert told(story(30, sure=0.15)) == []


def test_a_hand_that_holds_still_tells_nothing_until_frames_have_agreed_for_long() -> None:
    place = np.array([300.0, 200.0])
    frames = [(k / 15, hand_at(place, 0.9 if k >= 15 else 0.1)) for k in range(75)]
    ((kind, stamp, late_s),) = told(frames)
    assert (kind, stamp) == ("grasped", pytest.approx(1.0)) and late_s == pytest.approx(AGREED_S, abs=0.08)


@pytest.mark.parametrize(("holds", "kinds"), [(-2.0, []), (0.0, ["grasped"])])
def test_frames_that_agree_are_not_believed_where_nothing_is_seen_to_go_along(holds: float, kinds: list[str]) -> None:
    wall = np.random.default_rng(0).integers(0, 255, (480, 640, 3)).astype(np.uint8)
    teller, place, events = EventTeller(moved=True, motion=Watcher(holds)), np.array([300.0, 200.0]), []
    for k in range(75):
        events += teller.step([hand_at(place, 0.9 if k >= 15 else 0.1)], SIZE, k / 15, wall)
    assert [event.kind for event in events if event.kind != "found"] == kinds


def test_a_camera_that_moves_is_no_hand_that_does() -> None:
    rng, frames = np.random.default_rng(0), story(15)
    wall = np.repeat(np.repeat(rng.integers(0, 255, (100, 140, 1)), 8, 0), 8, 1).astype(np.uint8).repeat(3, 2)
    shift = np.round(np.stack([60 * np.sin(np.arange(len(frames)) / 12), 3.0 * np.arange(len(frames))], 1)).astype(int)
    images = [wall[100 + y : 580 + y, 100 + x : 740 + x] for x, y in shift]
    shown = [
        (when, replace(hand, keypoints_px=hand.keypoints_px - way, box_px=Box.around(hand.keypoints_px - way)))
        for (when, hand), way in zip(frames, shift, strict=True)
    ]
    still = told(frames, [wall[:480, :640]] * len(frames))
    assert [kind for kind, *_ in still] == ["grasped", "released"]
    for one, other in zip(told(shown, images), still, strict=True):
        assert one[0] == other[0] and one[1] == pytest.approx(other[1], abs=0.15)


def samples(count: int, way, log_odds=0.0, hz: float = 15.0) -> list[GraspReading]:
    return [
        GraspReading(k / hz, k / hz, np.array(way(k / hz)), log_odds, METRES_A_PIXEL, 0.5, 0.8) for k in range(count)
    ]


def test_windows_do_not_depend_on_where_the_hand_is_nor_when_and_how_often_it_is_seen() -> None:
    def way(t: float) -> list[float]:
        return [40 * t, 30 * np.sin(2 * t)]

    windows = moment_windows(samples(60, way), np.array([2.0]))
    far = moment_windows(samples(60, lambda t: [500 + 40 * t, 30 * np.sin(2 * t)]), np.array([2.0]))
    later = [replace(one, at_s=one.at_s + 9) for one in samples(60, way)]
    often = moment_windows(samples(240, way, hz=60.0), np.array([2.0]))
    assert windows.shape == (1, SIGNALS, len(TIMES_S)) and np.abs(windows).max() < 4
    np.testing.assert_allclose(far, windows, atol=1e-9)
    np.testing.assert_allclose(moment_windows(later, np.array([11.0])), windows, atol=1e-9)
    np.testing.assert_allclose(often, windows, atol=0.02)


def test_a_window_tells_what_happens_about_its_moment() -> None:
    """A hand at rest that goes 0.6 m/s from 2 s on, of which frames are sure from then on."""
    hand = [
        replace(
            one,
            log_odds=3.0 * (one.at_s >= 2),
            holds=4.0,
            touches=-4.0,
            bend=0.5 + 0.1 * (one.at_s < 2),
            aperture=0.8 - 0.1 * (one.at_s < 2),
        )
        for one in samples(60, lambda t: [200 * max(t - 2, 0), 0.0])
    ]
    (window,) = moment_windows(hand, np.array([2.0]))
    before, after = TIMES_S < -1e-6, TIMES_S > 1e-6
    assert (window[0, before] == 0).all() and window[0, after] == pytest.approx(1)
    assert window[1] == pytest.approx(1) and window[2] == pytest.approx(-1)
    assert window[3, before] == pytest.approx(0.2) and window[3, after] == pytest.approx(0)
    assert window[4, before] == pytest.approx(-0.5) and window[4, after] == pytest.approx(0)
    assert window[5, before] == pytest.approx(np.log(0.03) + 2) and window[5, after] == pytest.approx(np.log(0.63) + 2)
    assert window[6, 24] == pytest.approx(np.log(0.01) + 3) and (np.diff(window[6, 24:]) > 0).all()
    assert window[7, after] == pytest.approx(5 * 0.6 * TIMES_S[after]) and (window[8] == 0).all()
    (early,) = moment_windows(hand, np.array([0.0]))
    assert (early[5, before] == early[5, 0]).all(), "nothing is known before the hand was seen"


def test_a_hand_is_open_as_far_as_thumb_and_fingers_are_apart_whatever_its_size() -> None:
    hand = hand_at(np.array([300.0, 200.0]), 0.5)
    joints = np.zeros((21, 3))
    joints[9], joints[4], joints[8], joints[12] = (0.1, 0, 0), (0.1, 0.03, 0), (0.1, -0.02, 0.01), (0.1, -0.02, -0.01)
    apertures = []
    for size in (1.0, 1.3):
        moments = GraspMoments(load_grasp_dates())
        reading = moments.add(replace(hand, joints_m=size * joints + np.array([0, 0, 0.8])), 0.0, None)
        apertures.append(reading.aperture)
    assert apertures == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(("log_odds", "denied"), [(-1.6, True), (-1.4, False)])
def test_frames_that_call_a_hand_bare_rule_out_a_beginning(log_odds: float, denied: bool) -> None:
    windows = moment_windows(samples(60, lambda t: [40 * t, 0.0], log_odds), np.array([2.0]))
    odds = np.array([[1.0, 2.0, 3.0]])
    ((begins, ends, holds),) = overruled(windows, odds, DENIED)
    assert (begins, ends, holds) == ((-np.inf, 2.0, BARE) if denied else (1.0, 2.0, 3.0))
    assert np.array_equal(overruled(windows, odds, SURELY_DENIED), odds), "images that tell more are believed"


def test_a_hand_that_was_away_has_no_past_and_one_without_an_answer_none_at_all() -> None:
    moments, place = GraspMoments(load_grasp_dates()), np.array([300.0, 200.0])
    for k in range(5):
        moments.add(hand_at(place, 0.5), k / 15, None)
    moments.add(hand_at(place, 0.5), 4 / 15 + GAP_S + 0.1, None)
    assert len(moments.samples) == 1
    moments.add(hand_at(place, float("nan")), 1.0, None)
    assert len(moments.samples) == 1 and moments.told(grasps=False) == ()


def test_what_is_seen_to_go_with_the_hand_speaks_for_holding_it() -> None:
    def odds(holds: float) -> float:
        seen = [replace(one, holds=holds, touches=holds) for one in samples(60, lambda t: [40 * t, 0.0])]
        return float(load_grasp_dates().tell(moment_windows(seen, np.array([2.0])))[0, 2])

    assert odds(4.0) > odds(0.0) > odds(-4.0)


class Watcher:
    """Says the same of every patch, and counts them."""

    def __init__(self, holds: float = 1.0) -> None:
        self.holds = holds
        self.patches: list[MotionPatch] = []

    def tell(self, patch: MotionPatch) -> MotionAnswer:
        self.patches.append(patch)
        return MotionAnswer(self.holds, 0.0)


def test_images_are_watched_look_by_look_and_hand_by_hand() -> None:
    rng, watcher = np.random.default_rng(0), Watcher()
    wall = rng.integers(0, 255, (480, 640, 3)).astype(np.uint8)
    frames = story(30)[:31]
    teller = EventTeller(moved=True, motion=watcher)
    for when, hand in frames:
        teller.step([hand, replace(hand, track_id=2, side="left")], SIZE, when, wall)
    looks = 1 + int(frames[-1][0] / (2 / 30))
    assert len(watcher.patches) == 2 * (looks - 1), "the first look of each has none before it"
    blind = EventTeller(moved=True, motion=watcher)
    for when, hand in frames:
        blind.step([hand], SIZE, when)
    assert len(watcher.patches) == 2 * (looks - 1), "no image, no patch"
