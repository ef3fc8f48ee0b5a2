"""Truths of `prehend eval`: topics, files and datasets, and those that cannot be."""

import json
import re

import cv2
import numpy as np
import pytest
from eval_runs import FRAMES, evaluate, only

from prehend.cli.evaluation.eval import build_parser, run
from prehend.errors import ParameterError, SourceError
from prehend.io.results.predictions import read_predictions

pytest.importorskip("rosbags")
pytest.importorskip("matplotlib")


@pytest.mark.parametrize(
    "truth",
    [["/true/wrist=right"], ["/marks"], ["/words"], ["/true/wrist=right", "/marks", "/true/mug=mug"], ["tf:w=left"]],
)
def test_topics_of_other_types(hand_bag, tmp_path, load, truth, capsys):
    options = [part for word in truth for part in ("--truth", word)]
    if truth == ["tf:w=left"]:
        assert run([str(hand_bag()), *options, "--out", str(tmp_path / "out")], load) == 1
        assert "no frame 'w' in /tf; it has camera, world" in capsys.readouterr().err
        return
    _, metrics = evaluate(load, tmp_path / "out", hand_bag(), *options)
    judged = only(metrics)
    if "/true/wrist=right" in truth:  # 10 mm beside, through /tf_static from the world
        assert judged["joints"]["absolute"]["wrist_median_mm"] == pytest.approx(10, abs=0.05)
        assert judged["joints"]["wrist"] is None and judged["hands"]["found"] == FRAMES
    if "/marks" in truth:
        assert judged["grasp"]["frames"] == FRAMES and judged["grasp"]["accuracy"] == 0.5
    if truth == ["/words"]:  # nothing is grasped before a first word that says grasp
        assert judged["grasp"]["frames"] == FRAMES and judged["grasp"]["recall"] == 1
    if "/true/mug=mug" in truth:
        assert judged["objects"]["mug"]["labelled"] == FRAMES and judged["objects"]["mug"]["with_pose"] == 0


def test_coco_and_bop_truths(tmp_path, load):
    folder = tmp_path / "scene"
    folder.mkdir()
    for number in range(2):
        cv2.imwrite(str(folder / f"{number:06d}.png"), np.full((48, 64, 3), 90, np.uint8))
    pose = {"cam_R_m2c": np.eye(3).ravel().tolist(), "cam_t_m2c": [0, 0, 500], "obj_id": 7}
    (tmp_path / "scene_gt.json").write_text(json.dumps({"0": [pose], "1": []}))
    (tmp_path / "ids.yaml").write_text("7: mug\n")
    points = np.linspace([16, 12], [48, 36], 21)
    keypoints = np.column_stack([points, np.full(21, 2)]).ravel().tolist()
    coco = {
        "images": [{"id": 1, "file_name": "000000.png", "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "keypoints": keypoints}],
        "categories": [{"id": 1, "name": "right_hand"}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    options = (
        "--truth",
        tmp_path / "scene_gt.json",
        "--truth",
        tmp_path / "coco.json",
        "--bop-ids",
        tmp_path / "ids.yaml",
    )
    _, metrics = evaluate(load, tmp_path / "out", folder, *options)
    judged = only(metrics)
    assert judged["objects"]["mug"]["labelled"] == 1 and judged["hands"]["found"] == 1
    assert judged["keypoints"]["mean_px"] == pytest.approx(0, abs=0.01) and metrics["bop_objects"] == {"mug": 7}


def test_predictions_of_the_older_schema_with_a_labels_file(images, tmp_path, load):
    from prehend.cli.running.run import run as prehend_run

    assert prehend_run([str(images), "--json", str(tmp_path / "old.json"), "--json-version", "1"], load) == 0
    keypoints = np.array(read_predictions(tmp_path / "old.json")["frames"][1]["hands"][0]["keypoints_px"])
    common = {"side": "right", "width": 64, "height": 48}
    near, far = (keypoints + 3).tolist(), (keypoints - 500).tolist()
    labels = [
        {"image": "images/1.png", "keypoints_px": near, **common},
        {"image": "images/2.png", "keypoints_px": far, **common},
    ]
    (tmp_path / "labels.json").write_text(json.dumps({"schema": "prehend.labels/1", "labels": labels}))
    _, metrics = evaluate(load, tmp_path / "out", tmp_path / "old.json", "--truth", tmp_path / "labels.json")
    judged = only(metrics)
    assert judged["hands"]["labelled"] == 2 and judged["hands"]["found"] == 1 and judged["frames"]["with_truth"] == 2
    assert judged["keypoints"]["mean_px"] == pytest.approx(3 * np.sqrt(2), abs=0.01)
    assert judged["keypoints"]["pck_0.2"] == 1 and judged["keypoints"]["pck_0.2_all"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (["--truth", "/nothing"], SourceError, r"no topic /nothing for --truth; it has /marks, /true/hands"),
        (["--truth", "/cam/camera_info"], SourceError, r"/cam/camera_info is a sensor_msgs/msg/CameraInfo"),
        (["--truth", "/true/mug"], ParameterError, r"say whose pose it is"),
        (["--truth", "/true/mug=spaceship"], ParameterError, r"unknown object 'spaceship': choose one of"),
        (["--truth", "freihand"], SourceError, r"FreiHAND"),
        (["--truth", "nowhere.json"], SourceError, r"no such file, and no topic"),
        (["--topic", "/other"], SourceError, r"no image topic /other"),
    ],
)
def test_a_truth_that_cannot_be_is_one_line(hand_bag, tmp_path, load, arguments, kind, text, capsys, estimators):
    out = tmp_path / "out"
    command = [str(hand_bag()), *arguments, "--out", str(out)]
    if kind is ParameterError:
        with pytest.raises(ParameterError, match=text):
            run(command, load)
    else:
        assert run(command, load) == 1
        said = capsys.readouterr().err
        assert re.search(text, said) and "Traceback" not in said
        assert not (tmp_path / "out").exists(), "nothing was written"
    assert not (out / "report.html").exists() and not estimators


def test_a_truth_of_another_time_or_frame_is_told(hand_bag, tmp_path, load, capsys):
    late = hand_bag("late", shift_s=500.0)
    assert run([str(late), "--truth", "/true/hands", "--out", str(tmp_path / "out")], load) == 1
    assert (
        "the truth /true/hands fits no frame: it covers 600.000 s to 601.100 s, the frames are"
        in capsys.readouterr().err
    )
    lost = hand_bag("lost", world=False)
    assert run([str(lost), "--truth", "/true/wrist=right", "--out", str(tmp_path / "out")], load) == 1
    said = capsys.readouterr().err
    assert "is in frame 'world', the images are of 'camera', and no /tf or /tf_static" in said
    assert not (tmp_path / "out" / "report.html").exists()


def test_what_no_measure_tells_is_told(hand_bag, tmp_path, load, capsys):
    """A run that was stopped, and one that is its own truth: perfect, and worth nothing."""
    evaluate(load, tmp_path / "out", hand_bag())
    (made,) = (one for one in (tmp_path / "out" / "predictions").glob("*.json") if "settings" not in one.name)
    capsys.readouterr()
    stopped = tmp_path / "stopped.json"
    stopped.write_text(json.dumps({**json.loads(made.read_text()), "complete": False}))
    evaluate(load, tmp_path / "again", stopped, "--truth", stopped)
    told = capsys.readouterr().err
    assert "it was stopped before its end" in told and "its own truth" in told
    evaluate(load, tmp_path / "other", made, "--truth", stopped)
    told = capsys.readouterr().err
    assert "stopped" not in told.replace("stopped.json", "") and "own truth" not in told


def test_help_names_the_truths():
    text = build_parser().format_help()
    for word in ("freihand", "tf:FRAME=ID", "scene_gt.json", "--no-timing"):
        assert word in text
