"""The pages for people (teleoperation, grasp monitoring, bags, research): their commands run in order, on a piece of
the demo clip, a bag made from it and a mesh of a mug."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from prehend.geometry.camera import estimated_camera
from prehend.resources import resource

ROOT = Path(__file__).parents[1]
PAGES = ("TELEOPERATION", "GRASP_MONITORING", "BAG_EVALUATION", "RESEARCH")
NEEDS_MORE = {
    "pip": "installs",
    "view": "test_view.py looks on",
    "node": "test_node.py runs it",
    "play": "test_play.py runs it",
}
MODULES = {"prehend": "prehend.cli.main", "prehend-train": "prehend_training.cli"}
FRAMES = 12


def shown(page: str) -> list[str]:
    """The commands of a page; comments are gone."""
    blocks = re.findall(r"\n\n((?:    .+\n)+)", (ROOT / "docs" / f"{page}.md").read_text())
    return [line.strip().partition(" #")[0].strip() for block in blocks for line in block.splitlines()]


def program(line: str) -> str:
    """What a line runs: a program's verb, or the program."""
    words = [word for word in shlex.split(line) if "=" not in word or word.startswith("-")]
    return words[1] if words[0] in MODULES else words[0]


@pytest.fixture
def materials(tmp_path):
    """A short clip, a bag of its frames with a calibrated camera, a mesh and the examples."""
    clip, frames = cv2.VideoCapture(str(resource("hands.mp4"))), []
    clip.set(cv2.CAP_PROP_POS_FRAMES, 60)
    while len(frames) < FRAMES:
        frames.append(clip.read()[1])
    size = frames[0].shape[1::-1]
    writer = cv2.VideoWriter(str(tmp_path / "hands.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 15.0, size)
    for frame in frames:
        writer.write(frame)
    writer.release()
    write_bag(tmp_path / "recorded", frames)
    pytest.importorskip("trimesh", reason="the extra 'meshes' is not installed").creation.cylinder(
        radius=40.0, height=95.0
    ).export(tmp_path / "mug.stl")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


def write_bag(path: Path, frames: list[np.ndarray]) -> None:
    pytest.importorskip("rosbags", reason="the extra 'bag' is not installed")
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.LATEST)
    types, (height, width) = store.types, frames[0].shape[:2]
    camera = estimated_camera(width, height, 69.0)
    projection = np.hstack([camera.K, np.zeros((3, 1))]).ravel()
    region = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, do_rectify=False)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        kinds = {"image_raw/compressed": "sensor_msgs/msg/CompressedImage", "camera_info": "sensor_msgs/msg/CameraInfo"}
        topics = {name: writer.add_connection(f"/camera/{name}", kind, typestore=store) for name, kind in kinds.items()}
        for index, frame in enumerate(frames):
            at = index * 10**9 // 15
            time = types["builtin_interfaces/msg/Time"](sec=100, nanosec=at)
            header = types["std_msgs/msg/Header"](stamp=time, frame_id="camera")
            data = cv2.imencode(".jpg", frame)[1].ravel()
            messages = (
                types[kinds["image_raw/compressed"]](header, "jpeg", data),
                types[kinds["camera_info"]](
                    header, height, width, "plumb_bob", np.zeros(5), camera.K.ravel(), np.eye(3).ravel(), projection,
                    0, 0, region,
                ),
            )  # fmt: skip
            for (name, kind), message in zip(kinds.items(), messages, strict=True):
                writer.write(topics[name], 100 * 10**9 + at, store.serialize_cdr(message, kind))


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """One line as a shell takes it, with our own programs of this checkout."""
    mine = {name: f'"{sys.executable}" -m {module}' for name, module in MODULES.items()}
    line = re.sub(r"(?<![\w-])(prehend-train|prehend)(?= )", lambda found: mine[found[1]], line)
    line = re.sub(r"^python ", f'"{sys.executable}" ', line)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'training'}", "OMP_NUM_THREADS": "1"}
    return subprocess.run(line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run_in_their_order(page, materials):
    if page == "RESEARCH":
        pytest.importorskip("torch", reason="needs the extra 'train'")
    ran = []
    for line in shown(page):
        if program(line) in NEEDS_MORE:
            continue
        done = run(line, materials)
        assert done.returncode == 0, f"{page}: {line}\n{done.stdout}{done.stderr}"
        ran.append(program(line))
    assert len(ran) >= 5
    made = {path.name for path in materials.iterdir()}
    expected = {
        "TELEOPERATION": {"hands.json", "look", "tracks.csv", "angles.jsonl"},
        "GRASP_MONITORING": {"events.jsonl", "moved.jsonl", "my_objects", "told_apart.json", "judged"},
        "BAG_EVALUATION": {"first", "second", "hands.mcap", "judged", "compared", "compared.md", "twice"},
        "RESEARCH": {"crops", "sheet.png", "plots", "runs", "measured", "bundle", "with_tiny.json"},
    }
    assert expected[page] <= made


def test_the_program_of_the_page_on_grasps_runs(materials):
    [text] = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs/GRASP_MONITORING.md").read_text(), re.DOTALL | re.MULTILINE
    )
    text = text.replace("range(60)", f"range({FRAMES})")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=materials, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "found" in done.stdout
