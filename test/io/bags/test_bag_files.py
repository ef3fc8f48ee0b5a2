"""Files of a bag as people leave them: metadata that are wrong, packed, damaged, or no bag at all."""

import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from recorded_bags import IMAGES, INFOS, PICTURE, QOS, K, cameras, write
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from prehend.errors import SourceError
from prehend.io.sources import is_bag, open_source


@pytest.mark.parametrize("storage", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
@pytest.mark.parametrize(
    "change",
    [
        lambda s: s,
        lambda s: s.replace("reliability: reliable", "reliability: best_effort"),
        lambda s: s.replace("9223372036", "0"),
        lambda s: s.replace("message_count: 6", "message_count: 60"),
        lambda s: re.sub(r"storage_identifier: \w+", "storage_identifier: magic", s),
        lambda s: "",
        lambda s: s[: len(s) // 2],
        lambda s: "a: [",
        lambda s: s.replace("version: 9", "version: 99"),
        lambda s: None,
    ],
    ids=["as it was", "qos", "durations", "counts", "storage", "empty", "cut", "no yaml", "version", "gone"],
)
def test_what_metadata_say_is_no_condition(tmp_path, storage, change):
    path = write(tmp_path / "bag", {"/c/image": IMAGES, "/c/camera_info": INFOS}, storage, qos=QOS)
    text = change((path / "metadata.yaml").read_text())
    if text is None:
        (path / "metadata.yaml").unlink()
    else:
        (path / "metadata.yaml").write_text(text)
    found, _ = cameras(path)
    assert len(found) == 6 and all(np.array_equal(camera.K, K) for camera in found)


@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE])
def test_packed_bags_are_read_and_a_packed_file_alone_is_told(tmp_path, mode):
    path = write(tmp_path / "bag", {"/c/image": IMAGES}, StoragePlugin.SQLITE3, mode)
    assert len(cameras(path)[0]) == 6
    if mode == CompressionMode.FILE:
        packed = next(p for p in path.iterdir() if p.suffix == ".zstd")
        with pytest.raises(SourceError, match="packed file: unpack it"):
            open_source(str(packed))


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%20b", b"a\xff".decode("utf-8", "surrogateescape")])
def test_names_that_a_url_would_end_at_are_names(tmp_path, name):
    path = write(tmp_path / "bag", {"/c/image": IMAGES}, StoragePlugin.SQLITE3)
    path = path.rename(tmp_path / name)
    assert len(cameras(path)[0]) == 6


def test_one_damaged_file_of_several_is_told(tmp_path):
    path = write(tmp_path / "bag", {"/c/image": IMAGES})
    (path / "bag_1.mcap").write_bytes(b"garbage" * 50)
    text = (path / "metadata.yaml").read_text()
    (path / "metadata.yaml").write_text(text.replace("- bag.mcap", "- bag.mcap\n  - bag_1.mcap", 1))
    found, notes = cameras(path)
    assert len(found) == 6 and "bag_1.mcap cannot be read" in notes[0]


def test_a_folder_of_images_beside_a_recording_is_a_folder_of_images(tmp_path):
    write(tmp_path / "bag", {"/c/image": IMAGES})
    source = next((tmp_path / "bag").glob("*.mcap"))
    folder = tmp_path / "folder"
    folder.mkdir()
    source.rename(folder / "a.mcap")
    assert is_bag(folder)
    cv2.imwrite(str(folder / "a.png"), PICTURE)
    assert not is_bag(folder) and not is_bag(Path(tmp_path))


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("page.mcap", b"<!DOCTYPE html><html>", "no rosbag, it is a web page"),
        ("pointer.db3", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ("foxglove.mcap", b"\x89MCAP0\r\n\x01" + struct.pack("<QI", 9, 0) + bytes(60), "no ROS 2 wrote"),
        ("empty.mcap", b"", "empty"),
        ("old.bag", b"#ROSBAG V1.2\n" + bytes(100), "version 102"),
    ],
)
def test_what_is_no_bag_is_named(tmp_path, name, data, says):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=says):
        open_source(str(tmp_path / name))
