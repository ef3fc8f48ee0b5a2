"""Measures of one hand: laws of what changes a score, and by how much."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.conventions import MIRROR
from prehend.eval.cases import HandAnswer, HandCase, HandScores, ObjectCase, score, table_of
from prehend.geometry.rotations import matrix_from_axis_angle

K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
seeds = st.integers(0, 10_000)
few = settings(max_examples=20, deadline=None, derandomize=True)


def case(seed, off=0.01, held=True):
    """A hand, and an answer that is off by noise."""
    rng = np.random.default_rng(seed)
    joints, mesh = (rng.normal(0, 0.04, (count, 3)) + np.array([0, 0, 0.6]) for count in (21, 60))
    T, said = np.eye(4), np.eye(4)
    T[:3, 3], said[:3, 3] = [0.02, 0, 0.6], [0.02, 0.01, 0.62]
    said[:3, :3] = matrix_from_axis_angle(rng.normal(0, 0.1, 3))
    noise = rng.normal(0, off, (21, 3)), rng.normal(0, off, (60, 3))
    answer = HandAnswer(joints + noise[0], mesh + noise[1], True, "left", 0.7, 0.1, 0.2, 0.9)
    thing = ObjectCase("box", rng.normal(0, 0.05, (30, 3)), False, T, said, K)
    return HandCase(joints, mesh, "right", True, 0.3, answer, thing if held else None)


def mapped(one, points, pose):
    """The case with all points and poses taken elsewhere."""
    answer = replace(one.answer, joints_m=points(one.answer.joints_m), vertices_m=points(one.answer.vertices_m))
    held = replace(one.held, truth=pose(one.held.truth), predicted=pose(one.held.predicted))
    return replace(one, joints_m=points(one.joints_m), vertices_m=points(one.vertices_m), answer=answer, held=held)


def numbers(scores, *left_out):
    names = [field.name for field in fields(HandScores) if field.name not in ("object_id", *left_out)]
    return np.concatenate([np.ravel(getattr(scores, name)) for name in names])


@few
@given(seeds)
def test_scores_do_not_depend_on_where_the_camera_stands(seed):
    rng = np.random.default_rng(seed)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = matrix_from_axis_angle(rng.normal(0, 1, 3)), rng.normal(0, 1, 3)
    one = case(seed)
    moved = mapped(one, lambda points: points @ T[:3, :3].T + T[:3, 3], lambda pose: T @ pose)
    np.testing.assert_allclose(
        numbers(score(moved), "reprojection_px"), numbers(score(one), "reprojection_px"), atol=1e-9
    )


@few
@given(seeds)
def test_scores_are_the_same_in_the_mirror(seed):
    one, flip = case(seed), np.diag([-1.0, 1, 1, 1])
    mirrored = mapped(one, lambda points: points @ MIRROR, lambda pose: flip @ pose @ flip)
    mirrored = replace(mirrored, held=replace(mirrored.held, points_m=one.held.points_m @ MIRROR))
    mirrored = replace(mirrored, held=replace(mirrored.held, K=K * [[1, 1, -1], [1, 1, 1], [1, 1, 1]]))
    np.testing.assert_allclose(numbers(score(mirrored)), numbers(score(one)), atol=1e-8)


@few
@given(seeds, st.floats(0.5, 2))
def test_lengths_scale_and_aligned_answers_forget_their_own_size(seed, scale):
    one = case(seed)
    larger = replace(one.answer, joints_m=one.answer.joints_m * scale, vertices_m=one.answer.vertices_m * scale)
    before, after = score(one), score(replace(one, answer=larger))
    assert after.pa_j_pe == pytest.approx(before.pa_j_pe, abs=1e-9)
    np.testing.assert_allclose(after.pa_f, before.pa_f)
    whole = mapped(one, lambda points: points * scale, lambda pose: pose)
    for name in ("j_pe", "v_pe", "pa_j_pe", "absolute", "absolute_root"):
        assert getattr(score(whole), name) == pytest.approx(scale * getattr(before, name), abs=1e-12), name


@few
@given(seeds)
def test_alignment_never_makes_a_hand_worse_in_the_mean_square(seed):
    one = case(seed, 0.03)
    scores = score(one)
    assert scores.pa_j_pck[-1] >= 0 and scores.pa_j_pe <= scores.absolute + 1e-9 + 0.01
    for name in ("j_pck", "v_pck", "pa_j_pck", "pa_v_pck"):
        curve = getattr(scores, name)
        assert (np.diff(curve) >= 0).all() and 0 <= curve[0] <= curve[-1] <= 1
    assert scores.f[0] <= scores.f[1] and scores.pa_f[0] <= scores.pa_f[1]


@pytest.mark.parametrize("what", ["joints_m", "vertices_m"])
def test_an_answer_with_numbers_that_are_none_is_scored_and_not_a_crash(what):
    one = case(1)
    broken = getattr(one.answer, what).copy()
    broken[3] = np.nan
    scores = score(replace(one, answer=replace(one.answer, **{what: broken})))
    name = "pa_j_pe" if what == "joints_m" else "pa_v_pe"
    assert scores.answered == 1 and np.isnan(getattr(scores, name))


def test_grasps_are_said_from_a_half_on_and_sides_are_compared():
    one = case(2)
    for grasp, said in ((0.5, 1.0), (0.4999, 0.0), (float("nan"), float("nan"))):
        np.testing.assert_equal(score(replace(one, answer=replace(one.answer, grasp=grasp))).said_grasp, said)
    assert score(one).side_right == 0 and score(replace(one, side="left")).side_right == 1
    assert np.isnan(score(replace(one, answer=replace(one.answer, side=None))).side_right)


def test_a_pose_that_was_not_found_is_infinitely_wrong_and_nothing_held_is_unknown():
    one = case(3)
    lost = score(replace(one, held=replace(one.held, predicted=None)))
    assert lost.add == lost.add_plain == lost.reprojection_px == np.inf and lost.diameter > 0.1
    nothing = score(replace(one, held=None))
    assert nothing.object_id == "" and np.isnan([nothing.add, nothing.diameter]).all()


def test_a_table_has_a_row_a_hand_in_their_order():
    rows = [score(case(seed, held=seed % 2 == 0)) for seed in range(3)]
    table = table_of(rows)
    assert set(table) == {field.name for field in fields(HandScores)}
    assert table["j_pck"].shape == (3, 100) and table["f"].shape == (3, 2)
    assert table["object_id"].tolist() == ["box", "", "box"]
    np.testing.assert_array_equal(table["j_pe"], [row.j_pe for row in rows])
    assert all(len(column) == 0 for column in table_of([]).values())
