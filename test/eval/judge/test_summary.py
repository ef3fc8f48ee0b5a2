"""Measures of runs, their tables and differences."""

import csv
import io

import numpy as np
import pytest

from prehend.eval.answers import Answers
from prehend.eval.judge.compare import differences, interval
from prehend.eval.judge.report.spreadsheets import bop_csv, bop_numbers, frames_csv, table_text
from prehend.eval.judge.report.worst import worst_frames
from prehend.eval.judge.summary import judge
from prehend.eval.judge.things import ObjectPoints, catalogue_shapes
from prehend.eval.truth.records import TrueFrame, TrueObject
from prehend.object_catalogue import load_objects

CUBE = 0.05 * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])


def shapes(object_id):
    return {"mug": ObjectPoints(CUBE, False, True), "ball": ObjectPoints(CUBE, True, True)}.get(object_id)


def judged(frames, truth, name="run"):
    return judge(name, "clip.mp4", Answers(tuple(frames), "toy", "ab", True), truth, "labels", shapes, {})


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_shares_and_errors_of_a_run(say, show, know):
    frames = show([[say(move=(0.01, 0, 0))], [], [say(), say((0.4, 0, 0.5), 2)]])
    run = judged(frames, [TrueFrame((know(),), True)] * 3)
    hands = run.measures["hands"]
    assert (hands["labelled"], hands["found"], hands["missed"], hands["false"]) == (3, 2, 1, 1)
    assert hands["found_share"] == 0.6667 and hands["false_per_frame"] == 0.3333
    absolute = run.measures["joints"]["absolute"]
    assert absolute["mean_mm"] == 5 and absolute["pck_20_mm"] == 1 and absolute["wrist_median_mm"] == 5
    assert run.measures["joints"]["pa"]["auc_50_mm"] > 0.99
    assert run.measures["keypoints"]["pck_0.2"] == 1 and run.measures["keypoints"]["pck_0.2_all"] == 0.6667
    kinds = [row["kind"] for row in read(frames_csv([run]))]
    assert kinds == ["found", "missed", "found", "false"]
    assert next((bad.place, bad.why) for bad in worst_frames([run])) == (1, "missed")


def test_absolute_errors_are_of_measured_cameras_alone(say, show, know):
    from dataclasses import replace

    frames = [
        replace(f, result=replace(f.result, camera=replace(f.result.camera, estimated=True))) for f in show([[say()]])
    ]
    run = judged(frames, [TrueFrame((know(),))])
    assert run.measures["joints"]["absolute"] is None and run.measures["joints"]["pa"]["hands"] == 1


def pose(x=0.0, turn=None):
    T = np.eye(4)
    T[:3, 3] = x, 0, 0.5
    return T if turn is None else T @ turn


QUARTER = np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize(("name", "error"), [("mug", "add"), ("ball", "add_s")])
def test_poses_of_objects(say, show, name, error):
    said = [pose(0.004), pose(turn=QUARTER), pose(0.2)]
    frames = show([[say(grasp="grasping", held=(name, T))] for T in said] + [[say()]])
    run = judged(frames, [TrueFrame(objects=(TrueObject(name, pose()),))] * 4)
    told = run.measures["objects"][name]
    assert told["labelled"] == 4 and told["with_pose"] == 3 and told["named_right"] == 0.75
    # a quarter turn of a cube changes nothing where symmetry counts
    assert told["add_0.1d"] == (0.25 if error == "add" else 0.5)
    assert [round(1e3 * row.center) for row in run.things if row.has_pose] == [4, 0, 200]
    assert run.things[0].error == pytest.approx(0.004) and getattr(run.things[1], error) == run.things[1].error


def test_a_box_of_guessed_size_has_a_place_and_no_more(say, show):
    run = judged(show([[say(held=("unknown", pose(0.01)))]]), [TrueFrame(objects=(TrueObject("mug", pose()),))])
    (row,) = run.things
    assert row.has_pose and row.center == pytest.approx(0.01) and np.isnan(row.add)


def test_shapes_come_from_meshes_or_from_the_catalogues_boxes(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    objects = load_objects()
    trimesh.creation.box((0.1, 0.2, 0.3)).export(tmp_path / "mug.ply")
    trimesh.creation.box((100, 200, 300)).export(tmp_path / "obj_000003.ply")  # BOP: millimetres
    shape = catalogue_shapes(objects, tmp_path, {"box": 3})
    for name in ("mug", "box"):
        assert shape(name).from_mesh and np.allclose(np.ptp(shape(name).points_m, axis=0), (0.1, 0.2, 0.3))
    assert not shape("banana").from_mesh and len(shape("banana").points_m) == 21 and shape("nothing") is None


def test_bop_poses_are_row_by_row_in_millimetres(say, show):
    run = judged(show([[say(held=("mug", pose(0.1, QUARTER)))], [say(held=("unknown", pose()))]]), [None, None])
    numbers = bop_numbers([run], {})
    assert numbers == {"mug": 1} and bop_numbers([run], {7: "mug"}) == {"mug": 7}
    (line,) = read(bop_csv([run], numbers))
    assert line["R"].split()[:4] == ["0.000000", "-1.000000", "0.000000", "1.000000"] and line["time"] == "-1"
    assert line["t"] == "100.000 0.000 500.000" and (line["scene_id"], line["im_id"], line["obj_id"]) == ("1", "0", "1")


def test_differences_are_paired_and_their_interval_holds_the_truth(say, show, know):
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.003, 60)
    truth = [TrueFrame((know(),), True)] * 60
    one = judged(show([[say(move=(0.01 + x, 0, 0))] for x in np.abs(noise)]), truth, "one")
    two = judged(show([[say(move=(0.02 + x, 0, 0))] for x in np.abs(noise)], source="elsewhere/clip.mp4"), truth, "two")
    rows = {row["measure"]: row for row in differences(one, two)}
    absolute = rows["absolute_mm"]
    assert absolute["difference"] == pytest.approx(10, abs=0.01) and absolute["pairs"] == 60
    assert (
        absolute["low"] == absolute["high"] == pytest.approx(10, abs=0.01)
    )  # pairs differ by the same: nothing is in doubt
    assert rows["found"]["difference"] == 0
    assert differences(one, judged(show([[say()]], source="other.mp4"), [None])) == []


def test_the_interval_draws_whole_clusters():
    values = np.repeat([0.0, 1, 2, 3], 50)
    wide = interval(values, np.repeat(range(4), 50))
    narrow = interval(values, range(200))
    assert wide[0] < narrow[0] < 1.5 < narrow[1] < wide[1]
    assert interval(values, np.repeat([0, 1], 100)) == (None, None) and interval(values, range(200)) == narrow


def test_the_table_leaves_out_what_nobody_knows(say, show, know):
    run = judged(show([[say()]]), [TrueFrame((know(),))])
    assert "grasp F1" not in table_text([run], ".csv") and table_text([run], ".md").startswith("| run")
    (row,) = read(table_text([run], ".csv"))
    assert row["found"] == "1.0" and row["run"] == "run"
