import json
import os
from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import InvalidInput, OutputError, SourceError
from prehend.geometry.rotations import matrix_from_quaternion
from prehend.io.results.predictions import PredictionsStream, PredictionsWriter, frame_result, read_predictions
from prehend.io.sources import Frame
from prehend.types import HandEvent, HandHypotheses

MODEL = {"name": "toy", "weights_sha256": "ab" * 32}


def frame(index=0, source="clip.mp4"):
    return Frame(np.zeros((48, 64, 3), np.uint8), source, index, index / 30)


def write(path, results):
    with PredictionsWriter(path, MODEL) as writer:
        for index, result in enumerate(results):
            writer.write(frame(index), result)
    return read_predictions(path)


def strict(path):
    """Parsed as JSON proper, which knows no NaN."""

    def refuse(constant):
        raise AssertionError(f"{constant} in the file")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_what_is_written_is_read_again(tmp_path, make_result):
    result = make_result(64, 48, {"side": "left"}, {"wrist_m": (0.1, 0.1, 0.6)}, holds=True)
    read = write(tmp_path / "out.json", [result, make_result(64, 48)])
    assert read["schema"] == "prehend.predictions/2" and read["model"] == MODEL
    first, second = read["frames"]
    assert (first["source"], first["index"], first["width"], first["height"]) == ("clip.mp4", 0, 64, 48)
    assert second["hands"] == [] and second["stamp"] == pytest.approx(1 / 30)
    assert np.array_equal(first["camera"]["K"], result.camera.K)
    assert set(first["timing_ms"]) == {"find", "crop", "infer", "decode", "total"}
    for record, hand in zip(first["hands"], result.hands, strict=True):
        assert (record["track_id"], record["side"]) == (hand.track_id, hand.side)
        assert np.abs(np.array(record["keypoints_px"]) - hand.keypoints_px).max() <= 0.0051
        assert np.abs(np.array(record["joints_m"]) - hand.joints_m).max() <= 0.0000051
        assert record["visible"] == hand.visible.tolist()
        assert record["grasp"] == {"state": "grasping", "probability": 0.75, "since": None}
        assert np.allclose(record["object"]["rotation"], hand.held_object.T_camera_object[:3, :3], atol=1e-6)
        assert np.allclose(record["object"]["translation_m"], hand.held_object.T_camera_object[:3, 3], atol=1e-5)


V1 = {
    "frame": {"source", "index", "stamp", "width", "height", "camera", "hands", "timing_ms"},
    "camera": {"K", "estimated"},
    "hand": {"track_id", "side", "score", "box_px", "keypoints_px", "joints_m", "visible", "grasp", "object"},
    "grasp": {"state", "probability"},
    "object": {"id", "score", "rotation", "translation_m", "keypoints_px"},
}
MORE_IN_V2 = {
    "frame": {"found", "events", "lost"},
    "camera": {"distortion", "distortion_model"},
    "hand": {
        "wrist", "rotations", "betas", "position_std_m", "keypoint_std_px", "fit_error_px", "side_score", "state",
        "is_operator", "validity", "motion", "joint_std_m",
    },
    "grasp": {"since"},
    "object": {"box_px", "extents_m", "extents_estimated", "no_pose"},
}  # fmt: skip


def parts(record):
    hand = record["hands"][0]
    return {
        "frame": record, "camera": record["camera"], "hand": hand, "grasp": hand["grasp"], "object": hand["object"],
    }  # fmt: skip


@pytest.mark.parametrize("version", [1, 2])
def test_the_fields_of_the_contract_and_no_others(tmp_path, make_result, version):
    with PredictionsWriter(tmp_path / "out.json", MODEL, version) as writer:
        writer.write(frame(), make_result(64, 48, {}, holds=True))
    read = read_predictions(tmp_path / "out.json")
    assert read["schema"] == f"prehend.predictions/{version}"
    for name, part in parts(read["frames"][0]).items():
        assert set(part) == V1[name] | (MORE_IN_V2[name] if version == 2 else set()), name


def test_schema_2_gives_back_what_python_has(tmp_path, make_result, faces):
    std = np.linspace(0.5, 2.5, 21)
    result = make_result(
        64,
        48,
        {
            "position_std_m": 0.0125,
            "keypoint_std_px": std,
            "fit_error_px": 1.5,
            "side_score": 0.75,
            "joint_std_m": std / 100,
        },
        holds=True,
    )
    with PredictionsWriter(tmp_path / "out.json", MODEL, faces=faces) as writer:
        writer.write(frame(), result)
    read = read_predictions(tmp_path / "out.json")
    again, hand = frame_result(read["frames"][0]), result.hands[0]
    back = again.hands[0]
    assert (again.stamp, again.found, again.timing_ms) == (0.0, True, result.timing_ms)
    assert (
        np.abs(back.rotations - hand.rotations).max() < 1e-6 and np.abs(back.vertices_m - hand.vertices_m).max() < 6e-6
    )
    np.testing.assert_allclose(back.joint_std_m, std / 100, atol=1e-5)
    assert np.array_equal(back.betas, hand.betas) and np.allclose(back.keypoint_std_px, std, atol=0.005)
    assert (back.position_std_m, back.fit_error_px, back.side_score, back.grasp) == (0.0125, 1.5, 0.75, hand.grasp)
    assert np.allclose(back.held_object.T_camera_object, hand.held_object.T_camera_object, atol=1e-5)
    assert np.array_equal(read["faces"]["left"], faces["left"])
    wrist = read["frames"][0]["hands"][0]["wrist"]
    turned = matrix_from_quaternion(np.array(wrist["quaternion_xyzw"]))
    assert (
        np.allclose(turned, hand.rotations[0], atol=1e-5)
        and wrist["position_m"] == read["frames"][0]["hands"][0]["joints_m"][0]
    )


def test_hypotheses_come_back_where_there_are_some(tmp_path, make_result):
    rng = np.random.default_rng(0)
    root = rng.normal(0, 0.02, (21, 3, 3))
    turns = matrix_from_quaternion(rng.normal(size=(4, 16, 4)))
    found = HandHypotheses(rng.normal(size=(4, 21, 3)), turns, root @ np.swapaxes(root, 1, 2), 3, 7)
    with PredictionsWriter(tmp_path / "out.json", MODEL) as writer:
        writer.write(frame(), make_result(64, 48, {"hypotheses": found}, {}))
    record = read_predictions(tmp_path / "out.json")["frames"][0]
    first, second = frame_result(record).hands
    assert second.hypotheses is None and "hypotheses" not in record["hands"][1]
    for name, atol in (("joints_m", 1e-5), ("rotations", 1e-5), ("joint_covariance_m2", 1e-9)):
        np.testing.assert_allclose(getattr(first.hypotheses, name), getattr(found, name), atol=atol)
    assert (first.hypotheses.consistent, first.hypotheses.steps) == (3, 7)
    del record["hands"][0]["hypotheses"]["rotations"]
    with pytest.raises(InvalidInput, match="no frame of a predictions file"):
        frame_result(record)


EVENT = HandEvent("grasped", 3, "left", 1.25, 0.0667, 0.75, "mug")


def test_events_come_back_and_files_without_them_are_read(tmp_path, make_result):
    gone = HandEvent("lost", 3, "left", None, 0.05)
    result = replace(make_result(64, 48, {}), events=(EVENT, gone))
    record = write(tmp_path / "out.json", [result])["frames"][0]
    assert record["events"][0] == {
        "event": "grasped", "track_id": 3, "side": "left", "stamp": 1.25, "late_s": 0.0667, "confidence": 0.75,
        "object_id": "mug",
    }  # fmt: skip
    first, second = frame_result(record).events
    assert first == EVENT and replace(second, confidence=0.0) == replace(gone, confidence=0.0)
    assert record["events"][1]["confidence"] is None and record["events"][1]["stamp"] is None
    del record["events"]
    assert frame_result(record).events == ()
    with pytest.raises(InvalidInput, match="the event is 'waved'"):
        frame_result({**record, "events": [{"event": "waved"}]})


def test_schema_1_is_read_and_what_it_lacks_is_unknown(tmp_path, make_result):
    with PredictionsWriter(tmp_path / "out.json", MODEL, version=1) as writer:
        writer.write(frame(), make_result(64, 48, {}, holds=False))
    hand = frame_result(read_predictions(tmp_path / "out.json")["frames"][0]).hands[0]
    assert np.isnan(hand.rotations).all() and np.isnan(hand.betas).all() and hand.vertices_m.shape == (0, 3)
    assert hand.held_object.T_camera_object is None and hand.keypoint_std_px is None and hand.grasp.since is None


@pytest.mark.parametrize(
    "change",
    [
        {"side": "middle"}, {"side": None}, {"joints_m": [[0, 0, 0]]}, {"box_px": [1]}, {"grasp": {"state": "perhaps"}},
        {"visible": [True]}, {"rotations": [1.0]}, {"track_id": "one"},
    ],
)  # fmt: skip
def test_a_damaged_hand_is_one_line(tmp_path, make_result, change):
    record = write(tmp_path / "out.json", [make_result(64, 48, {})])["frames"][0]
    record["hands"][0] |= change
    with pytest.raises(InvalidInput, match="no frame of a predictions file"):
        frame_result(record)


def test_a_stream_is_a_line_a_frame_and_is_read_again(tmp_path, make_result, capsys):
    result = make_result(64, 48, {})
    with PredictionsStream(MODEL) as stream:
        assert json.loads(capsys.readouterr().out) == {"schema": "prehend.predictions/2", "model": MODEL}
        stream.write(frame(), result)
        first = capsys.readouterr().out
        assert first.endswith("\n") and json.loads(first)["index"] == 0
    last = capsys.readouterr().out
    whole = "\n".join([json.dumps({"schema": "prehend.predictions/2", "model": MODEL}), first.strip(), last])
    (tmp_path / "lines.jsonl").write_text(whole)
    read = read_predictions(tmp_path / "lines.jsonl")
    assert len(read["frames"]) == 1 and read["complete"] is True
    (tmp_path / "cut.jsonl").write_text(whole[: len(whole) // 2])
    assert read_predictions(tmp_path / "cut.jsonl")["complete"] is False


def test_an_object_without_a_pose_and_a_hand_without_an_object(tmp_path, make_result):
    read = write(tmp_path / "out.json", [make_result(64, 48, {}, holds=False), make_result(64, 48, {})])
    held = read["frames"][0]["hands"][0]["object"]
    assert held["rotation"] is None and held["translation_m"] is None and len(held["keypoints_px"]) == 21
    assert read["frames"][1]["hands"][0]["object"] is None


def test_numbers_that_are_none_become_null(tmp_path, make_result):
    keypoints = np.full((21, 2), 3.0)
    keypoints[4] = np.nan
    write(tmp_path / "out.json", [make_result(64, 48, {"keypoints_px": keypoints, "score": np.inf})])
    hand = strict(tmp_path / "out.json")["frames"][0]["hands"][0]
    assert hand["keypoints_px"][4] == [None, None] and hand["keypoints_px"][5] == [3.0, 3.0]
    assert hand["score"] is None


def test_a_file_without_frames_is_whole(tmp_path):
    assert write(tmp_path / "out.json", [])["frames"] == []


def test_an_error_leaves_the_old_file_and_an_interruption_a_whole_new_one(tmp_path, make_result):
    path = tmp_path / "new" / "out.json"
    write(path, [make_result(64, 48)])
    for error, count in ((RuntimeError, 1), (KeyboardInterrupt, 2)):
        with pytest.raises(error), PredictionsWriter(path, MODEL) as writer:
            writer.write(frame(), make_result(64, 48))
            writer.write(frame(), make_result(64, 48))
            raise error
        assert len(read_predictions(path)["frames"]) == count
        assert [p.name for p in path.parent.iterdir()] == ["out.json"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "other/1"}', '{"schema": "prehend.predictions/1"}'])
def test_other_files_are_refused_by_name(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(SourceError, match=r"x\.json"):
        read_predictions(tmp_path / "x.json")
    with pytest.raises(SourceError, match=r"gone\.json: no such file"):
        read_predictions(tmp_path / "gone.json")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        PredictionsWriter(tmp_path / "file" / "out.json", MODEL)


def test_a_second_run_into_the_same_file_is_refused_and_costs_the_first_one_nothing(tmp_path, make_result):
    path = tmp_path / "out.json"
    with PredictionsWriter(path, MODEL) as first:
        for index in range(2):  # before it has its name, and after
            with pytest.raises(OutputError, match="written by another process"):
                PredictionsWriter(path, MODEL)
            first.write(frame(index), make_result(64, 48))
    assert len(read_predictions(path)["frames"]) == 2 and [path.name for path in tmp_path.iterdir()] == ["out.json"]
    assert len(write(path, [make_result(64, 48)])["frames"]) == 1  # it is free again


def test_where_links_cannot_be_the_file_has_its_name_from_the_first_frame_on(tmp_path, make_result, monkeypatch):
    """On FAT, and where the file before belongs to another user."""

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "out.json"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), PredictionsWriter(path, MODEL) as writer:
        writer.write(frame(), make_result(64, 48))
        assert len(read_predictions(path)["frames"]) == 1
        raise ZeroDivisionError
    assert path.read_text() == "before" and [path.name for path in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.parametrize("name", ["j" * 250 + ".json", "\u00e4" * 125 + ".json"])
def test_a_name_may_be_as_long_as_a_name_may_be(tmp_path, make_result, name):
    for _ in range(2):
        assert write(tmp_path / name, [make_result(64, 48)])["complete"] is True
    assert [path.name for path in tmp_path.iterdir()] == [name]
