"""The programs in examples/, run as a reader runs them, on frames of the clip."""

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

EXAMPLES = Path(__file__).parents[2] / "examples"
FRAMES = 8

HELD_AT = 102
"""A frame of the clip in which something is held."""


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, EXAMPLES / name, *arguments], capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    clip = cv2.VideoCapture(str(EXAMPLES / "hands.mp4"))
    read = []
    while (frame := clip.read()[1]) is not None:
        read.append(frame)
    return read


@pytest.fixture(scope="module")
def photo(frames, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    cv2.imwrite(str(path), frames[HELD_AT])
    return path


@pytest.fixture(scope="module")
def video(frames, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("video") / "short.mp4"
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 15.0, (width, height))
    for frame in frames[:FRAMES]:
        writer.write(frame)
    writer.release()
    return path


def test_every_program_explains_itself():
    for path in sorted(EXAMPLES.glob("*.py")):
        if "rclpy" in path.read_text() and importlib.util.find_spec("rclpy") is None:
            continue
        done = run(path.name, "--help")
        assert done.returncode == 0 and f"examples/{path.name}" in done.stdout, done.stderr


def test_photo(photo, tmp_path):
    done = run("photo.py", photo, "--out", tmp_path / "drawn.png")
    assert done.returncode == 0, done.stderr
    assert any(line.startswith(("left hand", "right hand")) for line in done.stdout.splitlines())
    drawn, before = cv2.imread(str(tmp_path / "drawn.png")), cv2.imread(str(photo))
    assert drawn.shape == before.shape and 100 < (drawn != before).any(-1).sum() < before.size / 10


def test_a_photograph_without_hands_is_exit_code_1(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((240, 320, 3), 128, np.uint8))
    assert run("photo.py", tmp_path / "grey.png").returncode == 1
    assert run("photo.py", tmp_path / "gone.png").stderr.strip().endswith("gone.png: no photograph")


def test_video_tracks(video, tmp_path):
    done = run("video_tracks.py", video, "--csv", tmp_path / "tracks.csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "tracks.csv").open()))
    longest = max(sum(row["track"] == track for row in rows) for track in {row["track"] for row in rows})
    assert longest >= FRAMES - 2, "a hand keeps its number"
    assert all(0.1 < float(row["wrist_z_m"]) < 5 for row in rows)
    assert "the wrist went" in done.stderr


def test_own_object(photo):
    done = run("own_object.py", photo, "--name", "my_thing", "--size", "0.06", "0.06", "0.12")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hand holds my_thing" in done.stdout


def test_retarget(video, tmp_path):
    done = run("retarget.py", video, "--out", tmp_path / "commands.jsonl")
    other = run("retarget.py", video, "--side", "left", "--out", tmp_path / "left.jsonl")
    assert 0 in (done.returncode, other.returncode), done.stderr + other.stderr
    text = (tmp_path / "commands.jsonl").read_text() or (tmp_path / "left.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    retarget = module("retarget")
    for line in lines:
        assert tuple(line["name"]) == retarget.NAMES
        low, high = retarget.LIMITS_RAD.T
        assert (low <= line["position"]).all() and (line["position"] <= high).all()


def module(name: str):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 3.0), min_size=15, max_size=15), st.integers(0, 2**31))
def test_retargeting_finds_the_angles_that_a_hand_was_bent_by(angles, seed):
    """Of chains of any bone lengths, wherever the hand is and however it is turned."""
    rng = np.random.default_rng(seed)
    joints = np.zeros((21, 3))
    for finger in range(5):
        turned, joint = 0.0, 0
        for part, bent in enumerate((0.0, *angles[3 * finger : 3 * finger + 3])):
            turned += bent
            bone = rng.uniform(0.02, 0.1) * np.array([np.cos(turned), np.sin(turned), 0.0])
            joints[1 + 4 * finger + part] = joints[joint] + bone
            joint = 1 + 4 * finger + part
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    moved = joints @ rotation.T + rng.normal(size=3)
    assert module("retarget").finger_angles(moved) == pytest.approx(np.array(angles), abs=1e-5)


def test_the_robot_is_never_faster_than_its_motors():
    retarget = module("retarget")
    joints = np.random.default_rng(0).normal(size=(21, 3))
    sent = retarget.command(joints, np.full(15, 1.4), 0.01)
    assert 0 < np.abs(sent - 1.4).max() <= 0.01 * retarget.MAX_SPEED_RAD_S + 1e-12
    wanted = np.clip(retarget.finger_angles(joints), *retarget.LIMITS_RAD.T)
    assert retarget.command(joints, sent, 10.0) == pytest.approx(wanted)
