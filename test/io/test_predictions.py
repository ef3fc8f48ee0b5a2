import json

import numpy as np
import pytest

from prehend.errors import OutputError, SourceError
from prehend.io.predictions import PredictionsWriter, read_predictions
from prehend.io.sources import Frame

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
    assert read["schema"] == "prehend.predictions/1" and read["model"] == MODEL
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
        assert record["grasp"] == {"state": "grasping", "probability": 0.75}
        assert np.allclose(record["object"]["rotation"], hand.held_object.T_camera_object[:3, :3], atol=1e-6)
        assert np.allclose(record["object"]["translation_m"], hand.held_object.T_camera_object[:3, 3], atol=1e-5)


def test_the_fields_of_the_contract_and_no_others(tmp_path, make_result):
    record = write(tmp_path / "out.json", [make_result(64, 48, {}, holds=True)])["frames"][0]
    assert set(record) == {"source", "index", "stamp", "width", "height", "camera", "hands", "timing_ms"}
    assert set(record["camera"]) == {"K", "estimated"}
    hand = record["hands"][0]
    assert set(hand) == {
        "track_id", "side", "side_score", "score", "box_px", "keypoints_px", "joints_m", "visible", "grasp", "object",
    }  # fmt: skip
    assert hand["side_score"] is None, "nobody knows"
    assert set(hand["object"]) == {"id", "score", "rotation", "translation_m", "keypoints_px"}


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
