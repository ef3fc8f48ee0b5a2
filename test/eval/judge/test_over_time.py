"""Clips: motion, lost spans, events, grasps and how late they are told."""

import numpy as np
import pytest

from prehend.eval.judge.grasps import Series, grasp_measures, series_of
from prehend.eval.judge.happenings import happenings
from prehend.eval.judge.motion import (
    channels,
    frame_jitter,
    id_changes,
    is_sequence,
    lost_spans,
    motion_measures,
    steadiness,
)
from prehend.eval.judge.rows import rows_of
from prehend.eval.truth.records import GraspMark, TrueFrame


def nothing(frames):
    return [None] * len(frames)


def test_pictures_without_tracks_have_no_motion(say, show):
    frames = show([[say(track=n)] for n in range(1, 5)], fps=None)
    assert not is_sequence(frames) and motion_measures(frames) is None and not frame_jitter(frames)
    assert happenings(frames, []) == [] and lost_spans(frames, []) == []


def test_a_hand_at_constant_speed_has_no_jitter_and_a_jump_has(say, show):
    steady = show([[say((0.01 * n, 0, 0.5))] for n in range(9)])
    assert max(frame_jitter(steady).values()) < 1e-12
    assert motion_measures(steady)["acceleration_m_s2"]["p95"] == 0
    jump = show([[say((0.03 * (n == 4), 0, 0.5))] for n in range(9)])
    assert frame_jitter(jump)[4] == pytest.approx(0.06) and frame_jitter(jump)[3] == pytest.approx(0.03)
    # at 10 Hz a second difference of 60 mm is 6 m/s^2
    assert motion_measures(jump)["acceleration_m_s2"]["p95"] == pytest.approx(6, rel=0.2)


def test_spans_without_an_answer_are_found_with_and_without_a_truth(say, show, know):
    hands = [[say()] if n not in (3, 4, 8, 9) else [] for n in range(10)]
    frames = show(hands)
    (gap,) = lost_spans(frames, [])
    assert (gap.kind, gap.first, gap.last) == ("gap", 3, 4) and gap.seconds == pytest.approx(0.3)
    truth = [TrueFrame((know(),), True)] * 10
    spans = [(span.kind, span.first, span.last) for span in lost_spans(frames, rows_of(frames, truth))]
    assert spans == [("gap", 3, 4), ("unfound", 3, 4), ("unfound", 8, 9)]


def test_another_track_on_the_same_true_hand_is_an_id_change(say, show, know):
    frames = show([[say(track=1 + (n > 3))] for n in range(8)])
    assert id_changes(rows_of(frames, [TrueFrame((know(),))] * 8)) == 1


def test_hands_are_told_apart_by_side_or_by_number(say, show, know):
    frames = show([[say(), say((0.3, 0, 0.5), 2, "left")]] * 2)
    two = TrueFrame((know(), know((0.3, 0, 0.5), "left")))
    assert list(channels(rows_of(frames, [two] * 2))) == ["right", "left"]
    both_right = TrueFrame((know(), know((0.3, 0, 0.5))))
    assert list(channels(rows_of(frames, [both_right] * 2))) == ["hand 1", "hand 2"]


def test_events_of_a_hand_that_grasps_is_lost_and_comes_back(say, show):
    states = [*["not_grasping"] * 3, *["grasping"] * 3, None, None, None, "unknown", "grasping", "not_grasping", None]
    hands = [[say(grasp=state, side="right" if n < 9 else "left")] if state else [] for n, state in enumerate(states)]
    true = Series("right", tuple(range(13)), (False,) * 2 + (True,) * 11, (False,) * 13)
    events = happenings(show(hands), [true])
    assert [(event.frame, event.what) for event in events] == [
        (0, "found"), (2, "true_grasped"), (3, "grasped"), (6, "lost"), (9, "regained"), (11, "released"),
    ]  # fmt: skip
    assert [event.late_s for event in events if event.what in ("found", "lost")] == pytest.approx([0.1, 0.1])
    assert [event.who for event in events] == ["right"] * 4 + ["left"] * 2


def grasps(say, show, know, said, true):
    frames = show([[say(grasp="grasping" if value else "not_grasping")] for value in said])
    truth = [TrueFrame((know(grasp=bool(value)),)) for value in true]
    return frames, truth, series_of(frames, truth, rows_of(frames, truth))


def test_how_late_a_grasp_is_told(say, show, know):
    said, true = [0, 0, 0, 0, 1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1, 1, 0, 0, 0]
    frames, _, series = grasps(say, show, know, said, true)
    told = grasp_measures(frames, series)
    assert told["begins"] == {
        "true": 1, "told": 1, "missed": 0, "false": 0, "delay_s": {"median": 0.2, "p95": 0.2},
    }  # fmt: skip
    assert told["ends"]["delay_s"]["median"] == pytest.approx(0.1)
    assert told["accuracy"] == 0.7 and told["precision"] == 0.75 and told["recall"] == 0.6


def test_a_grasp_that_is_told_too_early_or_never(say, show, know):
    frames, _, series = grasps(say, show, know, [0, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1])
    assert grasp_measures(frames, series)["begins"]["delay_s"]["median"] == pytest.approx(-0.1)
    frames, _, series = grasps(say, show, know, [0] * 30 + [1] * 5, [0, 1] + [1] * 33)
    begins = grasp_measures(frames, series)["begins"]
    assert (begins["missed"], begins["false"], begins["delay_s"]) == (1, 1, None)  # 2.9 s away: another one


def test_marks_are_of_one_hand_or_of_any(say, show):
    hands = [say(grasp="grasping", side="left"), say((0.3, 0, 0.5), 2, "right")]
    frames = show([hands] * 3)
    truth = [TrueFrame(marks=(GraspMark(None, True), GraspMark("right", True)))] * 3
    told = {one.who: one.said for one in series_of(frames, truth, [])}
    assert told == {"any": (True,) * 3, "right": (False,) * 3}
    assert series_of(frames, nothing(frames), []) == [] and grasp_measures(frames, []) is None


def test_a_thing_that_moves_with_the_hand_is_steady_in_it(say, show):
    def pose(x):
        T = np.eye(4)
        T[:3, 3] = x, 0, 0.6
        return T

    moving = show([[say((0.02 * n, 0, 0.5), grasp="grasping", held=("mug", pose(0.02 * n)))] for n in range(6)])
    told = steadiness(moving, rigid=True)
    assert told["held_object"] == {"poses": 6, "rms_mm": 0.0, "rms_deg": 0.0}
    assert told["hands"]["wrist_rms_mm"] == pytest.approx(20 * np.std(range(6)), abs=0.01)
    assert "hands" not in steadiness(moving, rigid=False)
    still = show([[say()]] * 5)
    assert (
        steadiness(still, rigid=True)["hands"]["joints_rms_mm"] == 0 and steadiness(still, True)["held_object"] is None
    )
