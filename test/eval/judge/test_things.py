"""Held objects beside their true poses: whose pose is judged, with which shape, and what an error is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.eval.judge.rows import Row
from prehend.eval.judge.summary import box_curve, joint_curve, joint_measures, keypoint_measures, object_measures
from prehend.eval.judge.things import ObjectPoints, ThingRow, catalogue_shapes, thing_rows
from prehend.eval.metrics import pose_errors
from prehend.eval.truth.records import TrueFrame, TrueObject
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.object_catalogue import load_objects

few = settings(max_examples=20, deadline=None, derandomize=True)
BOX = 0.04 * np.array([[x, 2 * y, 3 * z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
SHAPES = {"mug": ObjectPoints(BOX, False, True), "ball": ObjectPoints(BOX, True, True)}.get


def pose(place=(0, 0, 0.5), turn=(0, 0, 0)):
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = matrix_from_axis_angle(np.array(turn, float)), place
    return T


def rows(show, hands, known):
    return thing_rows(show([hands]), [known], SHAPES)


def test_what_a_true_hand_holds_is_judged_by_what_its_answer_holds(say, show, know):
    truth = TrueFrame((know(held=TrueObject("mug", pose())), know((0.3, 0, 0.5), "left")))
    (row,) = rows(
        show, [say((0.3, 0, 0.5), 2, "left", held=("mug", pose())), say(held=("mug", pose((0.01, 0, 0.5))))], truth
    )
    assert row.said_id == "mug" and row.add == pytest.approx(0.01) and row.turn < 1e-9
    (missed,) = rows(show, [], truth)
    assert (missed.said_id, missed.has_pose) == ("", False) and np.isnan(missed.error) and missed.diameter > 0
    (empty,) = rows(show, [say()], truth)
    assert empty.said_id == "" and not empty.has_pose


def test_of_several_that_are_held_the_nearest_of_its_name_counts(say, show):
    truth = TrueFrame(objects=(TrueObject("mug", pose()),))
    hands = [
        say(held=("mug", pose((0.2, 0, 0.5)))),
        say(held=("ball", pose())),
        say(held=("mug", pose((0.02, 0, 0.5)))),
    ]
    (row,) = rows(show, hands, truth)
    assert row.center == pytest.approx(0.02)
    (other,) = rows(show, [say(held=("ball", pose()))], truth)
    assert other.said_id == "", "another thing is none"


@few
@given(st.integers(0, 1000))
def test_errors_do_not_depend_on_where_the_camera_stands(seed):
    rng = np.random.default_rng(seed)
    said, true = (pose(rng.normal(0, 0.1, 3), rng.normal(0, 1, 3)) for _ in range(2))
    move = pose(rng.normal(0, 1, 3), rng.normal(0, 1, 3))
    here, there = (pose_errors(a, b, BOX, np.eye(3)) for a, b in ((said, true), (move @ said, move @ true)))
    assert there.add_m == pytest.approx(here.add_m) and there.adds_m == pytest.approx(here.adds_m, abs=1e-6)
    assert pose_errors(true, said, BOX, np.eye(3)).add_m == pytest.approx(here.add_m)


def test_a_symmetric_thing_has_no_turn_and_is_judged_by_the_nearest_point(say, show):
    half = pose(turn=(0, 0, np.pi))
    (row,) = rows(show, [say(held=("ball", half))], TrueFrame(objects=(TrueObject("ball", pose()),)))
    assert row.error == row.add_s == pytest.approx(0, abs=1e-9) and row.add > 0.05 and np.isnan(row.turn)
    (plain,) = rows(show, [say(held=("mug", half))], TrueFrame(objects=(TrueObject("mug", pose()),)))
    assert plain.error == plain.add > 0.05 and plain.turn == pytest.approx(np.pi)


def test_a_thing_of_no_known_shape_has_a_place_alone(say, show):
    (row,) = rows(show, [say(held=("rock", pose((0, 0.03, 0.5))))], TrueFrame(objects=(TrueObject("rock", pose()),)))
    assert row.has_pose and row.center == pytest.approx(0.03) and np.isnan([row.add, row.diameter]).all()
    told = object_measures([row])["rock"]
    assert told["add_0.1d"] is None and told["center_median_mm"] == 30 and told["with_pose"] == 1


def test_all_objects_together_are_the_rows_of_each():
    things = [ThingRow(n, name, name, True, 0.01 * n, 0.005 * n, 0.01, 0.1, 0.1) for n, name in enumerate("abab")]
    told = object_measures(things)
    assert list(told) == ["a", "b", "all"] and told["all"]["labelled"] == told["a"]["labelled"] + told["b"]["labelled"]
    assert told["all"]["add_0.1d"] == (told["a"]["add_0.1d"] + told["b"]["add_0.1d"]) / 2
    assert told["all"]["add_0.5d"] >= told["all"]["add_0.1d"] and object_measures([]) is None


def test_shapes_are_looked_for_once_and_names_that_are_no_file_are_no_shape(tmp_path):
    shape = catalogue_shapes(load_objects(), tmp_path, {"mug": 3})
    first = shape("mug")
    assert not first.from_mesh and len(first.points_m) == 21
    (tmp_path / "mug.ply").write_text("no mesh")
    assert shape("mug") is first, "it was read before"
    for name in ("nonesuch", "", "../mug", "no\0name"):
        assert shape(name) is None


def test_symmetry_is_that_of_the_catalogue():
    shape = catalogue_shapes(load_objects(), None, {})
    for name, model in load_objects().items():
        assert shape(name).symmetric == bool(model.symmetry.half_turns or model.symmetry.continuous)


def test_a_folder_under_a_shapes_name_is_no_shape(tmp_path):
    (tmp_path / "mug.stl").mkdir()
    assert catalogue_shapes(load_objects(), tmp_path, {})("mug").from_mesh is False


def hand(errors_m, px=None, box=100.0, kind="found"):
    errors = np.asarray(errors_m, float)
    return Row(0, kind, 0, box_px=box, px=errors * 1000 if px is None else px, wrist=errors, pa=errors, absolute=errors)


@few
@given(st.lists(st.floats(0, 0.1), min_size=21, max_size=21), st.integers(1, 4))
def test_measures_of_many_alike_are_those_of_one_and_shares_grow_with_the_limit(errors, count):
    one, many = (joint_measures([hand(errors)] * n, "wrist") for n in (1, count))
    assert one.pop("hands") == 1 and many.pop("hands") == count and one == many
    shares = [one[f"pck_{limit}_mm"] for limit in (10, 20, 30, 50)]
    assert shares == sorted(shares) and 0 <= one["auc_50_mm"] <= 1
    curve = joint_curve([hand(errors)], "wrist")
    assert (np.diff(curve) >= 0).all() and (np.diff(box_curve([hand(errors)])) >= 0).all()


def test_joints_that_nobody_labelled_are_left_out_of_every_measure():
    known = np.where(np.arange(21) < 15, 0.01, np.nan)
    told, whole = joint_measures([hand(known)], "pa"), joint_measures([hand(np.full(21, 0.01))], "pa")
    assert told == whole and told["mean_mm"] == 10
    assert joint_measures([hand(np.full(21, np.nan))], "pa") is None and np.isnan(joint_curve([], "pa")).all()


def test_hands_that_were_missed_are_wrong_keypoints_in_the_share_of_all():
    found, missed = hand(np.full(21, 0.01)), hand(np.full(21, np.nan), kind="missed")
    told = keypoint_measures([found, missed, missed])
    assert told["pck_0.2"] == 1 and told["pck_0.2_all"] == 0.3333 and told["median_px"] == 10
    assert keypoint_measures([missed]) is None
    larger = keypoint_measures([hand(np.full(21, 0.01), px=np.full(21, 30.0), box=300.0)])
    assert larger["mean_box"] == told["mean_box"] and larger["auc"] == told["auc"]
