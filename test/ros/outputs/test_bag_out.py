"""Answers as a bag: what is written, and that it is read again as truth."""

import os
from dataclasses import replace

import numpy as np
import pytest

from prehend.cli.evaluation.eval import run
from prehend.errors import OutputError, ParameterError
from prehend.io.bags.files import BagFiles
from prehend.io.sources import open_source
from prehend.ros import messages as m
from prehend.ros.conversion.convert import header_message
from prehend.ros.conversion.images import camera_message, image_message
from prehend.ros.outputs.bag_out import EVENTS_TOPIC, HANDS_TOPIC, MARKERS_TOPIC, TRACKS_TOPIC, write_bag
from prehend.types import Box, Camera, FrameResult, GraspEstimate, HandEstimate, HandEvent

pytest.importorskip("matplotlib")
CLIP = "examples/hands.mp4"
FRAMES = 8


def result(stamp, estimated=False):
    camera = Camera(np.array([[60.0, 0, 31.5], [0, 60, 23.5], [0, 0, 1]]), 64, 48, estimated=estimated)
    joints = np.linspace([-0.05, -0.05, 0.5], [0.05, 0.05, 0.5], 21)
    points = np.linspace([10, 10], [50, 40], 21)
    hand = HandEstimate(
        1, "left", 0.9, Box.around(points), points, joints, np.zeros((0, 3)), np.tile(np.eye(3), (16, 1, 1)),
        np.zeros(10), np.ones(21, bool), GraspEstimate("grasping", 0.9),
    )  # fmt: skip
    return FrameResult(camera, (hand,), stamp, {"total": 12.0}, True)


def contents(path):
    bag = BagFiles(path, m.typestore())
    try:
        return [(topic.name, time_ns, message) for topic, time_ns, message in bag.messages(bag.topics.values())]
    finally:
        bag.close()


def test_results_become_messages_at_their_stamps(tmp_path):
    results = {0: result(1_700_000_000.25), 1: result(1_700_000_000.5, estimated=True)}
    results[0] = replace(results[0], lag_s=0.125)
    results[1] = replace(results[1], events=(HandEvent("grasped", 1, "left", 1_700_000_000.25, 0.25, 0.9, "mug"),))
    path = tmp_path / "out.mcap"
    assert write_bag(path, results, None, None, []) == len(contents(path))
    said = contents(path)
    arrays = [(time_ns, message) for name, time_ns, message in said if name == HANDS_TOPIC]
    assert [time_ns for time_ns, _ in arrays] == [1_700_000_000_250_000_000, 1_700_000_000_500_000_000]
    first = arrays[0][1]
    assert first.header.stamp.nanosec == 250_000_000 and len(first.hands) == 1 and first.total_ms == 0
    assert np.isnan(first.latency_ms) and first.hands[0].metric_position_valid
    trees = [message.transforms[0].child_frame_id for name, _, message in said if name == "/tf"]
    assert trees == ["left_hand_1"]  # of a camera that is assumed nothing is said in /tf
    ((at_ns, event),) = [(time_ns, message) for name, time_ns, message in said if name == EVENTS_TOPIC]
    assert at_ns == 1_700_000_000_500_000_000 and (event.header.stamp.nanosec, event.onset.nanosec) == (5e8, 25e7)
    assert (event.kind, event.track_id, event.side, event.object_id) == (event.GRASPED, 1, 0, "mug")
    assert sum(name == MARKERS_TOPIC for name, *_ in said) == 2
    tracks = [message for name, _, message in said if name == TRACKS_TOPIC]
    assert [message.lag_s for message in tracks] == [0.125, 0] and tracks[0].header == first.header
    assert [p.name for p in tmp_path.iterdir()] == ["out.mcap"]


def write_clip(path, storage):
    """A bag of the first images of the clip, with a calibration and odd stamps."""
    from rosbags.rosbag2 import Writer

    from prehend.geometry.camera import estimated_camera

    with Writer(path, version=9, storage_plugin=storage) as writer, open_source(CLIP) as source:
        images = writer.add_connection("/cam/image_raw", m.IMAGE, typestore=m.typestore())
        infos = writer.add_connection("/cam/camera_info", m.CAMERA_INFO, typestore=m.typestore())
        for frame in source:
            if frame.index == FRAMES:
                break
            height, width = frame.image_rgb.shape[:2]
            header = header_message(500.0 + frame.index / 15, "eye")
            time_ns = header.stamp.sec * 10**9 + header.stamp.nanosec
            info = camera_message(header, estimated_camera(width, height), width, height)
            writer.write(infos, time_ns, m.encode(info))
            writer.write(images, time_ns, m.encode(image_message(header, frame.image_rgb)))
    return path


@pytest.mark.slow
def test_the_real_estimator_says_the_same_twice_and_its_bag_is_a_truth_for_it(tmp_path):
    from rosbags.rosbag2 import StoragePlugin

    bag = write_clip(tmp_path / "clip", StoragePlugin.SQLITE3)
    for name in ("one", "two"):
        out = ["--out", str(tmp_path / name), "--bag-out", str(tmp_path / name / "out.mcap"), "--keep", "all"]
        assert run([str(bag), *out, "--no-timing", "--threads", "1"]) == 0
    first, second = (
        {str(p.relative_to(tmp_path / name)): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("one", "two")
    )
    assert first == second and {"report.html", "out.mcap", "metrics.json"} <= set(first)
    import json

    again = tmp_path / "again"
    kept = str(tmp_path / "one" / "out.mcap")
    assert run([kept, "--truth", HANDS_TOPIC, "--out", str(again), "--no-timing", "--threads", "1"]) == 0
    judged = json.loads((again / "metrics.json").read_text())["runs"]["out"]
    assert (
        judged["hands"]["labelled"] > FRAMES and judged["hands"]["found_share"] == 1 and judged["hands"]["false"] == 0
    )
    assert judged["joints"]["absolute"]["mean_mm"] < 0.02  # what JSON and float32 round
    assert judged["grasp"]["accuracy"] == 1


def test_topics_that_cannot_be_kept_are_named(tmp_path):
    with pytest.raises(ParameterError, match="--keep copies topics of a bag"):
        write_bag(tmp_path / "x.mcap", {0: result(1.0)}, None, None, ["/a"])
    assert not list(tmp_path.iterdir())


def test_a_fifo_under_the_name_of_the_bag_stays_one(tmp_path):
    os.mkfifo(tmp_path / "x.mcap")
    with pytest.raises(OutputError, match="it is no file"):
        write_bag(tmp_path / "x.mcap", {0: result(1.0)}, None, None, [])
    assert (tmp_path / "x.mcap").is_fifo()
