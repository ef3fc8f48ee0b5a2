"""`prehend eval` from sources to files, with an estimator whose answers are known."""

import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from prehend.cli.evaluation.eval import build_parser, run
from prehend.cli.main import main
from prehend.errors import ParameterError, SourceError
from prehend.io.results.predictions import read_predictions

pytest.importorskip("rosbags")
pytest.importorskip("matplotlib")
FRAMES = 12
FILES = ["bop.csv", "events.csv", "frames.csv", "metrics.json", "report.html"]


def evaluate(load, out, *arguments):
    code = run([*map(str, arguments), "--out", str(out)], load)
    return code, json.loads((out / "metrics.json").read_text())


def only(metrics):
    (run,) = metrics["runs"].values()
    return run


def lines(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("storage", "packed"), [("SQLITE3", False), ("MCAP", False), ("SQLITE3", True)])
def test_a_bag_beside_its_own_hand_array(hand_bag, tmp_path, load, storage, packed, capsys):
    from rosbags.rosbag2 import StoragePlugin

    bag = hand_bag(storage=StoragePlugin[storage], packed=packed)
    code, metrics = evaluate(load, tmp_path / "out", bag, "--truth", "/true/hands")
    assert code == 0
    judged = only(metrics)
    assert judged["hands"] | {"id_changes": 0} == judged["hands"] and judged["hands"]["found"] == FRAMES
    assert judged["hands"]["false"] == 0 and judged["hands"]["side_right"] == 1
    assert judged["joints"]["absolute"]["mean_mm"] == pytest.approx(10, abs=0.05)  # the bag's arrays are float32
    assert judged["joints"]["wrist"]["mean_mm"] == pytest.approx(0, abs=0.05)
    assert judged["joints"]["pa"]["mean_mm"] == pytest.approx(0, abs=0.05)
    assert judged["joints"]["absolute"]["pck_10_mm"] < 1 and judged["joints"]["absolute"]["pck_20_mm"] == 1
    # the toy always grasps, the true hand from the seventh image on
    assert (
        judged["grasp"]["accuracy"] == 0.5
        and judged["grasp"]["recall"] == 1
        and judged["grasp"]["begins"]["missed"] == 1
    )
    rows = lines(tmp_path / "out" / "frames.csv")
    assert len(rows) == FRAMES and [row["index"] for row in rows] == [str(n) for n in range(FRAMES)]
    assert float(rows[3]["absolute_mm"]) == pytest.approx(10, abs=0.05) and rows[3]["stamp"] == "100.300000"
    events = [(row["event"], row["index"]) for row in lines(tmp_path / "out" / "events.csv")]
    assert events == [("found", "0"), ("grasped", "1"), ("true_grasped", "6")]
    assert "| bag |" in capsys.readouterr().out


def test_the_report_stands_alone(hand_bag, tmp_path, load):
    evaluate(load, tmp_path / "out", hand_bag(), "--truth", "/true/hands")
    page = (tmp_path / "out" / "report.html").read_text()
    for part in ("Summary", "Share of correct keypoints", "Latency by stage", "Worst frames", "Settings and checksums"):
        assert f"<h2>{part}</h2>" in page
    assert page.count("<svg") >= 4 and page.count("data:image/jpeg;base64,") == 10
    outside = page.replace("http://www.w3.org/", "")  # the names of SVG's own vocabulary
    assert "http://" not in outside and "https://" not in outside and "<script" not in page
    assert only(json.loads((tmp_path / "out" / "metrics.json").read_text()))["settings"]["source_sha256"] in page


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_same_input_makes_the_same_bytes(hand_bag, tmp_path, load):
    bag = hand_bag()
    for number in (1, 2):
        options = (
            "--truth",
            "/true/hands",
            "--no-timing",
            "--bag-out",
            tmp_path / f"{number}" / "x.mcap",
            "--keep",
            "all",
        )
        evaluate(load, tmp_path / f"{number}", bag, *options)
    one, two = files_of(tmp_path / "1"), files_of(tmp_path / "2")
    assert one == two and {*FILES, "x.mcap", "predictions/bag.json"} <= set(one) and "latency.json" not in one


def test_wall_times_are_in_three_files_and_nowhere_else(hand_bag, tmp_path, estimators, load):
    bag = hand_bag()

    def load_slower(args, tracking):
        estimator = load(args, tracking)
        estimate = estimator.estimate
        pace = len(estimators)

        def slower(*given, **options):
            result = estimate(*given, **options)
            result.timing_ms["infer"] = 10.0 * pace
            return result

        estimator.estimate = slower
        return estimator

    for number in (1, 2):
        evaluate(
            load_slower,
            tmp_path / f"{number}",
            bag,
            "--truth",
            "/true/hands",
            "--bag-out",
            tmp_path / f"{number}" / "x.mcap",
        )
    one, two = files_of(tmp_path / "1"), files_of(tmp_path / "2")
    different = {name for name in one | two if one.get(name) != two.get(name)}
    assert different == {"latency.json", "predictions/bag.json", "report.html"}
    assert json.loads(one["latency.json"])["bag"]["infer"]["median"] == 10


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


def test_it_goes_on_after_the_last_source_that_was_finished(hand_bag, images, tmp_path, load, estimators):
    bag, out = hand_bag(), tmp_path / "out"

    def load_once(args, tracking):
        if len(estimators) == 1:
            raise KeyboardInterrupt
        return load(args, tracking)

    with pytest.raises(KeyboardInterrupt):
        run([str(bag), str(images), "--out", str(out)], load_once)
    assert (
        not (out / "report.html").exists()
        and len(read_predictions(out / "predictions" / "bag.json")["frames"]) == FRAMES
    )
    estimators.clear()
    code, metrics = evaluate(load, out, bag, images)
    assert code == 0 and list(metrics["runs"]) == ["bag", "images"]
    assert [estimator.frames for estimator in estimators] == [3]  # the bag was not run again
    estimators.clear()
    evaluate(load, out, bag, images, "--min-score", "0.9")  # other settings: everything again
    assert [estimator.frames for estimator in estimators] == [FRAMES, 3]


def test_a_run_that_was_stopped_in_between_is_not_taken_for_finished(hand_bag, tmp_path, load, estimators):
    bag, out = hand_bag(), tmp_path / "out"

    def load_stopping(args, tracking):
        estimator = load(args, tracking)
        estimate = estimator.estimate

        def stop(*given, **options):
            if estimator.frames == 5:
                raise KeyboardInterrupt
            return estimate(*given, **options)

        estimator.estimate = stop
        return estimator

    with pytest.raises(KeyboardInterrupt):
        run([str(bag), "--out", str(out)], load_stopping)
    assert read_predictions(out / "predictions" / "bag.json")["complete"] is False
    _, metrics = evaluate(load, out, bag)
    assert only(metrics)["frames"]["frames"] == FRAMES


def test_outputs_stand_side_by_side_with_their_truth(hand_bag, tmp_path, load, capsys):
    bag = hand_bag()

    def load_worse(args, tracking):
        from dataclasses import replace

        estimator = load(args, tracking)
        estimate = estimator.estimate

        def worse(*given, **options):
            result = estimate(*given, **options)
            hands = tuple(replace(hand, joints_m=hand.joints_m - [0.005, 0, 0]) for hand in result.hands)
            return replace(result, hands=hands)

        estimator.estimate = worse
        return estimator

    evaluate(load, tmp_path / "good", bag, "--truth", "/true/hands")
    evaluate(load_worse, tmp_path / "bad", bag, "--truth", "/true/hands")
    table = tmp_path / "table.csv"
    code, metrics = evaluate(load, tmp_path / "both", tmp_path / "good", tmp_path / "bad", "--save-table", table)
    assert code == 0 and list(metrics["runs"]) == ["good", "bad"]
    (compared,) = metrics["differences"]
    measures = {row["measure"]: row for row in compared["measures"]}
    assert (
        measures["absolute_mm"]["difference"] == pytest.approx(5, abs=0.05)
        and measures["absolute_mm"]["pairs"] == FRAMES
    )
    assert measures["found"]["difference"] == 0
    page = (tmp_path / "both" / "report.html").read_text()
    assert "bad beside good" in page and "data:image/jpeg" in page  # the images come from the bag that is still there
    assert [row["run"] for row in lines(table)] == ["good", "bad"]
    again = evaluate(load, tmp_path / "again", tmp_path / "both")[1]
    assert [run["joints"] for run in again["runs"].values()] == [run["joints"] for run in metrics["runs"].values()]


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


def test_a_source_that_cannot_be_read_costs_itself_alone(hand_bag, tmp_path, load, capsys):
    broken = tmp_path / "broken.mcap"
    broken.write_bytes(b"nothing of the kind")
    code, metrics = evaluate(load, tmp_path / "out", hand_bag(), broken)
    assert code == 1 and list(metrics["runs"]) == ["bag"]
    assert "broken.mcap: not a rosbag" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["0", "--out", "OUT"], "a camera gives other images each time"),
        (["IMAGES", "--out", "IMAGES/out"], "lies among the inputs"),
        (["IMAGES", "--out", "IMAGES/0.png"], "is a file"),
        (["IMAGES", "IMAGES", "--out", "OUT", "--bag-out", "x.mcap"], "--bag-out takes one source"),
        (["IMAGES", "--out", "OUT", "--keep", "/a"], "--keep goes with --bag-out"),
        (["IMAGES", "--out", "OUT", "--ray-address", "auto"], "--ray-address goes with --engine ray"),
        (["IMAGES", "--out", "OUT", "--save-table", "x.xls"], "expected a name that ends with"),
        (["IMAGES", "--out", "OUT", "--truth", "dexycb", "--truth", "freihand"], "one dataset at a time"),
        (["IMAGES", "--out", "OUT", "--truth", "/topic"], "topics are of a bag"),
    ],
)
def test_wrong_use_is_told_with_exit_code_2(images, tmp_path, monkeypatch, capsys, arguments, text):
    words = [word.replace("IMAGES", str(images)).replace("OUT", str(tmp_path / "out")) for word in arguments]
    assert main(["eval", *words]) == 2
    said = capsys.readouterr().err.strip()
    assert text in said and len(said.splitlines()) == 1


def test_the_report_of_before_does_not_stay_beside_other_predictions(hand_bag, tmp_path, load, estimators):
    """Stopped while the sources run anew with other options, it would be taken for theirs."""
    bag, out = hand_bag(), tmp_path / "out"
    assert evaluate(load, out, bag)[0] == 0 and (out / "report.html").exists()

    def stop(args, tracking):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([str(bag), "--out", str(out), "--smooth", "1.5"], stop)
    assert not (out / "report.html").exists()
    assert evaluate(load, out, bag)[0] == 0 and (out / "report.html").exists()


def test_a_full_disk_leaves_no_half_file(hand_bag, tmp_path, load, monkeypatch, capsys):
    import subprocess
    import sys

    bag, out = hand_bag(), tmp_path / "out"
    limit = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "from prehend.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    run([str(bag), "--out", str(out), "--no-timing"], load)
    command = [sys.executable, "-c", limit, "eval", str(out), "--out", str(tmp_path / "small")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "cannot be written" in done.stderr
    left = {path.name for path in (tmp_path / "small").iterdir()}
    assert "report.html" not in left and "metrics.json" in left and not any(".part" in name for name in left)


def test_help_names_the_truths():
    text = build_parser().format_help()
    for word in ("freihand", "tf:FRAME=ID", "scene_gt.json", "--no-timing"):
        assert word in text


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


@pytest.mark.slow
def test_sources_on_a_ray_cluster_give_the_same_bytes(hand_bag, images, tmp_path):
    pytest.importorskip("ray")
    from prehend.cli.running.reading import load_for

    bag = hand_bag()
    for engine in ("local", "ray"):
        options = ["--engine", engine, "--no-timing", "--threads", "1", "--out", str(tmp_path / engine)]
        assert run([str(bag), str(images), *options], load_for) == 0
    local, ray = files_of(tmp_path / "local"), files_of(tmp_path / "ray")
    assert local == ray and len(read_predictions(tmp_path / "ray" / "predictions" / "bag.json")["frames"]) == FRAMES


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
