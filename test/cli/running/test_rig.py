"""`prehend rig` on recordings of two cameras, and on what is wrong with its arguments."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from prehend.cli.main import main
from prehend.io.results.predictions import frame_result, read_predictions
from prehend.resources import resource

K = [[600.0, 0, 319.5], [0, 600.0, 239.5], [0, 0, 1]]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """A folder with rig.yaml and the first frames of the demo clip as two cameras, the second 10 cm to the right of the
    first: what it sees is shifted as that of a hand at one metre would be."""
    folder = tmp_path_factory.mktemp("rig")
    clip, frames = cv2.VideoCapture(str(resource("hands.mp4"))), []
    while len(frames) < 6 and (frame := clip.read()[1]) is not None:
        frames.append(cv2.resize(frame, (640, 480)))
    for name, shift in (("front", 0), ("left", -60)):
        writer = cv2.VideoWriter(str(folder / f"{name}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (640, 480))
        for frame in frames:
            writer.write(np.roll(frame, shift, axis=1))
        writer.release()
    left = np.eye(4)
    left[0, 3] = 0.1
    entries = {
        name: {"K": K, "width": 640, "height": 480, "T_rig_camera": T.tolist()}
        for name, T in (("front", np.eye(4)), ("left", left))
    }
    (folder / "rig.yaml").write_text(yaml.safe_dump({"frame": "table", "cameras": entries}))
    return folder


def run(folder: Path, *arguments: str, sources=("front.mp4", "left.mp4")) -> int:
    return main(
        ["rig", str(folder / "rig.yaml"), *(str(folder / name) for name in sources), "--threads", "1", *arguments]
    )


def test_predictions_are_in_the_rigs_frame_with_what_the_views_say(recordings, tmp_path, capsys):
    out, events, overlay = tmp_path / "hands.json", tmp_path / "events.jsonl", tmp_path / "pictures"
    assert run(recordings, "--json", str(out), "--events", str(events), "--overlay", str(overlay)) == 0
    said = capsys.readouterr().out
    assert "6 sets" in said and "views miss their hands by" in said
    predictions = read_predictions(out)
    assert predictions["complete"] and len(predictions["frames"]) == 6
    fused, rms = 0, []
    for record in predictions["frames"]:
        assert record["rig"] == {"frame": "table", "lead": "front", "cameras": ["front", "left"]}
        for hand, told in zip(record["hands"], frame_result(record).hands, strict=True):
            assert len(hand["joint_std_m"]) == 21 and {view["camera"] for view in hand["views"]} <= {"front", "left"}
            if len(hand["views"]) == 2 and all(any(view["used"]) for view in hand["views"]):
                fused += 1
                rms += [view["rms_px"] for view in hand["views"]]
                assert 0.8 < told.joints_m[:, 2].mean() < 1.2, "where the shift says it is"
    assert fused >= 4 and np.median(rms) < 15
    assert {json.loads(line)["event"] for line in events.read_text().splitlines()} <= {"found", "grasped"}
    video = cv2.VideoCapture(str(next(overlay.glob("*.mp4"))))
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) == 2 * 640 and video.get(cv2.CAP_PROP_FRAME_COUNT) == 6


def test_json_lines_come_on_the_standard_output(recordings, capsys):
    assert run(recordings, "--json", "-", sources=("left=left.mp4",)) == 2  # a name in front of a path is no path
    assert "one source is no rig" in capsys.readouterr().err
    rig, left, front = (str(recordings / name) for name in ("rig.yaml", "left.mp4", "front.mp4"))
    assert main(["rig", rig, f"left={left}", f"front={front}", "--json", "-", "--exact", "--threads", "1"]) == 0
    head, *lines = capsys.readouterr().out.strip().splitlines()
    assert json.loads(head)["schema"] == "prehend.predictions/2" and json.loads(lines[-1]) == {"complete": True}
    assert json.loads(lines[0])["rig"]["lead"] == "left", "the first that is given leads"


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["RIG", "FRONT"], 2, "one source is no rig"),
        (["RIG", "top=FRONT", "LEFT"], 2, "choose one of front, left"),
        (["RIG", "left=FRONT", "left=LEFT"], 2, "has two sources"),
        (["RIG", "FRONT", "LEFT", "LEFT"], 2, "has 2 cameras"),
        (["RIG", "FRONT", "FRONT"], 2, "cameras front and left would both see"),
        (["RIG", "left=FRONT", "front=FRONT"], 2, "give each its own source"),
        (["RIG", "FRONT", "no.mp4"], 1, "no such file"),
        (["no.yaml", "FRONT", "LEFT"], 1, "no such file"),
        (["FRONT", "FRONT", "LEFT"], 1, "front.mp4"),
        (["RIG", "FRONT", "LEFT", "--exact", "--window", "0.1"], 2, "leave --window or --exact out"),
        (["RIG", "FRONT", "LEFT", "--mesh"], 2, "give --json"),
        (["RIG", "FRONT", "LEFT", "--json", "FRONT"], 2, "is an input"),
        (["BARE", "FRONT", "LEFT"], 1, "has no intrinsics"),
        (["WIDE", "FRONT", "LEFT"], 1, "another aspect ratio"),
        (["HUGE", "FRONT", "LEFT"], 1, "not made of numbers"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_wrong_is_told_in_a_line_each(recordings, tmp_path, capfd, arguments, code, word):
    content = yaml.safe_load((recordings / "rig.yaml").read_text())
    bare, wide = tmp_path / "bare.yaml", tmp_path / "wide.yaml"
    bare.write_text(
        yaml.safe_dump({"cameras": {n: {"T_rig_camera": c["T_rig_camera"]} for n, c in content["cameras"].items()}})
    )
    wide.write_text(yaml.safe_dump({"cameras": {n: {**c, "height": 360} for n, c in content["cameras"].items()}}))
    huge = tmp_path / "huge.json"
    huge.write_text(
        json.dumps({"cameras": {n: {**c, "T_rig_camera": [10**400] * 16} for n, c in content["cameras"].items()}})
    )
    names = {"RIG": recordings / "rig.yaml", "BARE": bare, "WIDE": wide, "HUGE": huge}
    names |= {"FRONT": recordings / "front.mp4", "LEFT": recordings / "left.mp4"}
    for name, path in names.items():
        arguments = [word.replace(name, str(path)) for word in arguments]
    assert main(["rig", *arguments]) == code
    said = capfd.readouterr().err.strip().splitlines()
    assert any(word in line for line in said) and not any("Traceback" in line for line in said), said
    assert code == 1 or len(said) == 1


def test_predictions_that_cannot_be_written_end_it_and_are_not_announced(recordings, tmp_path, capfd):
    (tmp_path / "file").write_text("")
    names = (str(recordings / name) for name in ("rig.yaml", "front.mp4", "left.mp4"))
    assert main(["rig", *names, "--json", str(tmp_path / "file" / "x.json"), "--threads", "1"]) == 1
    said = capfd.readouterr()
    assert "cannot be written" in said.err and "predictions:" not in said.out


def test_a_bag_of_all_cameras_is_taken_by_topics(tmp_path):
    from prehend.cli.running.rig_job import sources_of
    from prehend.errors import ParameterError

    bag = tmp_path / "drive.mcap"
    bag.touch()
    names = {"front": f"{bag}:/front/image_raw", "left": f"{bag}:/left/image_raw"}
    found = sources_of(names, None)
    assert [(one.name, one.topic) for one in found.values()] == [
        (str(bag), "/front/image_raw"), (str(bag), "/left/image_raw"),
    ]  # fmt: skip
    with pytest.raises(ParameterError, match=r"front and left would both see .*left=.*drive.mcap:/left/image_raw"):
        sources_of(dict.fromkeys(("front", "left"), str(bag)), "/front/image_raw")
    (odd := tmp_path / "a:").mkdir()
    (odd / "b.mp4").touch()
    assert sources_of({"front": str(odd / "b.mp4"), "left": "http://camera/stream"}, "/t")["front"] == (
        str(odd / "b.mp4"),
        "/t",
    )
    assert sources_of({"left": "gone.mcap:/left", "front": "1"}, None)["left"].name == "gone.mcap:/left", (
        "told as it stands"
    )


def test_both_cameras_of_one_bag_are_fused(recordings, tmp_path, capsys):
    pytest.importorskip("rosbags")
    from rosbags.rosbag2 import StoragePlugin, Writer

    from prehend.ros import messages as m
    from prehend.ros.conversion.convert import header_message
    from prehend.ros.conversion.images import image_message

    bag = tmp_path / "both"
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for name in ("front", "left"):
            topic = writer.add_connection(f"/{name}/image_raw", m.IMAGE, typestore=m.typestore())
            ok, frame = cv2.VideoCapture(str(recordings / f"{name}.mp4")).read()
            assert ok
            picture = np.ascontiguousarray(frame[..., ::-1])
            writer.write(topic, 10**11, m.encode(image_message(header_message(100.0, name), picture)))
    sources = [f"{bag}:/front/image_raw", f"left={bag}:/left/image_raw"]
    out = tmp_path / "hands.json"
    assert main(["rig", str(recordings / "rig.yaml"), *sources, "--threads", "1", "--json", str(out)]) == 0
    (record,) = read_predictions(out)["frames"]
    assert record["rig"]["cameras"] == ["front", "left"] and "1 sets" in capsys.readouterr().out
