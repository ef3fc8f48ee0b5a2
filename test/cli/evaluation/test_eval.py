"""`prehend eval` from sources to files, with an estimator whose answers are known."""

import json

import pytest
from eval_runs import FRAMES, evaluate, files_of, lines, only

from prehend.cli.evaluation.eval import run
from prehend.io.results.predictions import read_predictions

pytest.importorskip("rosbags")
pytest.importorskip("matplotlib")
FILES = ["bop.csv", "events.csv", "frames.csv", "metrics.json", "report.html"]


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


def test_what_has_no_effect_on_predictions_is_told(images, tmp_path, load, capsys):
    from prehend.cli.running.run import run as run_sources

    path = tmp_path / "predictions.json"
    assert run_sources([str(images), "--json", str(path)], load) == 0
    capsys.readouterr()
    words = ["--lag", "0.2", "--temporal-frames", "5", "--no-timing", "--threads", "1"]
    for source in (path, tmp_path / "out"):
        evaluate(load, tmp_path / ("out" if source == path else "again"), source, *words)
        (line,) = capsys.readouterr().err.splitlines()
        said = "prehend eval: --temporal-frames and --lag have no effect on predictions, which are judged as they are"
        assert line == said
    evaluate(load, tmp_path / "plain", path, "--no-timing", "--threads", "1")
    assert capsys.readouterr().err == ""
    evaluate(load, tmp_path / "both", path, images, "--temporal-frames", "5", "--threads", "1")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"prehend eval: {images}: --temporal-frames has no effect on images")


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
