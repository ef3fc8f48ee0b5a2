"""Answers and true hands: laws of who belongs to whom."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.eval.judge.matching import FOUND_BOX, box_side_px, in_picture, keypoint_errors, match
from prehend.eval.judge.rows import joint_errors
from prehend.eval.truth.records import TrueFrame, TrueHand, unknown_points
from prehend.geometry.camera import project
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.types import Box, Camera

CAMERA = Camera(np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]]), 640, 480)
few = settings(max_examples=25, deadline=None, derandomize=True)


@pytest.mark.parametrize("seed", range(6))
def test_no_answer_is_taken_twice_and_order_is_no_matter(say, know, seed):
    rng = np.random.default_rng(seed)
    places = [(x, y, 0.6) for x, y in rng.uniform(-0.15, 0.15, (4, 2))]
    hands, answers = [know(place) for place in places], [say(place, move=rng.normal(0, 0.01, 3)) for place in places]
    found = match(hands, answers)
    assert len(set(found.values())) == len(found)
    order = rng.permutation(4)
    turned = match(hands, [answers[k] for k in order])
    assert {row: int(order[column]) for row, column in turned.items()} == found


def test_a_hand_is_found_up_to_half_its_box_and_no_further(say, know):
    hand, answer = know(), say()
    side = box_side_px(hand, answer)
    for share, there in ((0.98 * FOUND_BOX, True), (1.02 * FOUND_BOX, False)):
        moved = replace(answer, keypoints_px=answer.keypoints_px + np.array([share * side, 0]))
        assert bool(match([hand], [moved])) == there


@few
@given(st.floats(0.2, 5))
def test_the_size_of_the_image_is_no_matter(scale):
    points = np.random.default_rng(1).uniform(0, 100, (21, 2))
    hand, larger = TrueHand(keypoints_px=points), TrueHand(keypoints_px=points * scale)
    assert box_side_px(larger, None) == pytest.approx(max(scale * box_side_px(hand, None), 1))


def test_the_box_of_a_hand_of_few_keypoints_is_the_labelled_one_or_the_answers(say):
    points = unknown_points(2)
    points[:3] = [[0, 0], [300, 0], [0, 10]]
    answer = say()
    assert box_side_px(TrueHand(keypoints_px=points, box_px=Box(0, 0, 40, 70)), answer) == 70
    of_answer = Box.around(answer.keypoints_px)
    assert box_side_px(TrueHand(keypoints_px=points), answer) == max(of_answer.width, of_answer.height)
    assert box_side_px(TrueHand(keypoints_px=points), None) == 1


def test_keypoints_come_from_joints_where_nobody_labelled_them(know):
    hand = know()
    (made,) = in_picture(TrueFrame((replace(hand, keypoints_px=unknown_points(2)),)), CAMERA)
    np.testing.assert_allclose(made.keypoints_px, project(hand.joints_m, CAMERA))
    (kept,) = in_picture(TrueFrame((replace(hand, keypoints_px=hand.keypoints_px + 7),)), CAMERA)
    np.testing.assert_allclose(kept.keypoints_px, hand.keypoints_px + 7)
    (nothing,) = in_picture(TrueFrame((TrueHand("left"),)), CAMERA)
    assert not nothing.known_px.any()


def test_answers_that_are_nowhere_find_nobody(say, know):
    lost = replace(say(), keypoints_px=np.full((21, 2), np.nan))
    assert match([know()], [lost]) == {}
    assert match([TrueHand()], [say()]) == {}, "a hand of which nothing is known"
    assert np.isnan(keypoint_errors(TrueHand(), say())).all()


@few
@given(st.integers(0, 1000))
def test_errors_of_joints_do_not_depend_on_the_frame(seed):
    rng = np.random.default_rng(seed)
    said, true = rng.normal(0, 0.05, (21, 3)), rng.normal(0, 0.05, (21, 3))
    true[rng.integers(1, 21, 3)] = np.nan
    R, t = matrix_from_axis_angle(rng.normal(0, 1, 3)), rng.normal(0, 1, 3)
    here, there = joint_errors(said, true), joint_errors(said @ R.T + t, true @ R.T + t)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


@few
@given(st.integers(0, 1000))
def test_wrist_on_wrist_forgets_the_place_and_alignment_the_size_too(seed):
    rng = np.random.default_rng(seed)
    said, true = rng.normal(0, 0.05, (21, 3)), rng.normal(0, 0.05, (21, 3))
    wrist, pa, _ = joint_errors(said, true)
    np.testing.assert_allclose(joint_errors(said + np.array([1.0, 2, 3]), true)[0], wrist, atol=1e-9)
    np.testing.assert_allclose(joint_errors(2.5 * said, true)[1], pa, atol=1e-9)
    assert wrist[0] == 0


def test_an_answer_whose_joints_are_none_has_no_errors():
    true = np.random.default_rng(0).normal(0, 0.05, (21, 3))
    for errors in joint_errors(np.full((21, 3), np.nan), true):
        assert np.isnan(errors).all()
