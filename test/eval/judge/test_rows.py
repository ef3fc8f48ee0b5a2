"""Which answer belongs to which true hand, and how far it is off."""

import numpy as np
import pytest

from prehend.eval.judge.matching import match
from prehend.eval.judge.rows import joint_errors, rows_of
from prehend.eval.truth.records import TrueFrame, TrueHand, unknown_points
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.types import Box


def test_each_hand_gets_the_nearest_answer_once(say, know):
    hands = [know((0, 0, 0.5)), know((0.3, 0, 0.5), "left")]
    answers = [say((0.3, 0.002, 0.5)), say((0.002, 0, 0.5)), say((0.001, 0, 0.5))]
    assert match(hands, answers) == {0: 2, 1: 0}
    assert match(hands[:1], answers[:1]) == {}  # too far to be it
    assert match(hands, []) == {}


def test_of_two_hands_in_one_place_the_one_of_the_answers_side_takes_it(say, know):
    place = (0, 0, 0.5)
    assert match([know(place, "left"), know(place, "right")], [say(place, side="right")]) == {1: 0}


def test_hands_of_which_only_a_box_or_a_wrist_is_known(say, know):
    answer = say()
    box = answer.box_px
    beside = Box(box.x0 + 3 * box.width, box.y0, box.x1 + 3 * box.width, box.y1)
    assert match([TrueHand(box_px=beside), TrueHand(box_px=box)], [answer]) == {1: 0}
    wrist = unknown_points(3)
    wrist[0] = answer.joints_m[0] + [0.004, 0, 0]
    (row,) = rows_of_one([answer], TrueFrame((TrueHand("right", wrist),)))
    assert row.kind == "found" and row.absolute[0] == pytest.approx(0.004) and np.isnan(row.wrist).all()


def rows_of_one(hands, known):
    from prehend.eval.answers import Answered
    from prehend.types import Camera, FrameResult

    camera = Camera(np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]]), 640, 480)
    return rows_of([Answered("a.png", 0, FrameResult(camera, tuple(hands), None, {}, True))], [known])


@pytest.mark.parametrize("complete", [True, False])
def test_an_answer_without_a_hand_is_false_only_where_all_hands_are_labelled(say, know, complete):
    kinds = [row.kind for row in rows_of_one([say((0.3, 0, 0.5)), say()], TrueFrame((know(),), complete))]
    assert kinds == ["found", "false" if complete else "unjudged"]
    assert [row.kind for row in rows_of_one([say()], None)] == ["unjudged"]
    (missed,) = rows_of_one([], TrueFrame((know(grasp=True),), complete))
    assert missed.kind == "missed" and missed.said_grasp is False and np.isnan(missed.pa).all()


def test_errors_know_what_was_aligned():
    true = np.random.default_rng(0).normal(0, 0.05, (21, 3)) + np.array([0, 0, 0.5])
    wrist, pa, absolute = joint_errors(true + np.array([0.03, 0, 0]), true)
    assert np.allclose(wrist, 0) and np.allclose(pa, 0) and np.allclose(absolute, 0.03)
    turned = (true - true[0]) @ matrix_from_axis_angle(np.array([0, 0.3, 0.2])).T * 1.1 + true[0]
    wrist, pa, absolute = joint_errors(turned, true)
    assert np.allclose(pa, 0, atol=1e-9) and wrist[1:].min() > 1e-3 and np.allclose(wrist, absolute)


def test_joints_that_are_unknown_are_left_out():
    true = np.random.default_rng(0).normal(0, 0.05, (21, 3))
    part = true.copy()
    part[18:] = np.nan
    wrist, pa, _ = joint_errors(true, part)
    assert np.isfinite(wrist).tolist() == np.isfinite(pa).tolist() == [True] * 18 + [False] * 3
    part[10:] = np.nan
    assert np.isnan(joint_errors(true, part)[1]).all()  # too few to align
    part[0] = np.nan
    assert np.isnan(joint_errors(true, part)[0]).all()  # no wrist to put on the wrist
