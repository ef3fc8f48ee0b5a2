import sqlite3
from pathlib import Path

import cv2
import numpy as np
import pytest
from recorded_bags import COMPRESSED, HEIGHT, IMAGE, INFO, STORE, TYPES, WIDTH, K

from prehend.errors import SourceError
from prehend.geometry.camera import project
from prehend.io.cameras.camera_info import camera_from_info
from prehend.io.sources import open_source

rosbags = pytest.importorskip("rosbags", reason="the extra 'bag' is not installed")
from rosbags.rosbag1 import Writer as Writer1  # noqa: E402
from rosbags.rosbag2 import StoragePlugin, Writer  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402

PICTURE = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def header(index):
    return TYPES["std_msgs/msg/Header"](
        stamp=TYPES["builtin_interfaces/msg/Time"](sec=100 + index, nanosec=500_000_000), frame_id="camera"
    )


def image(index=0, encoding="rgb8"):
    data = np.roll(PICTURE, index, axis=0).ravel()
    return TYPES[IMAGE](header(index), HEIGHT, WIDTH, encoding, 0, WIDTH * 3, data)


def compressed(index=0):
    data = cv2.imencode(".png", PICTURE[..., ::-1])[1].ravel()
    return TYPES[COMPRESSED](header(index), "png", data)


def info(k=K, binning=0, roi=(0, 0, 0, 0), d=(), model="plumb_bob"):
    region = TYPES["sensor_msgs/msg/RegionOfInterest"](*roi, do_rectify=False)
    p = np.hstack([np.asarray(k), np.zeros((3, 1))])
    return TYPES[INFO](
        header(0), HEIGHT, WIDTH, model, np.array(d, np.float64), np.asarray(k).ravel(), np.eye(3).ravel(), p.ravel(),
        binning, binning, region,
    )  # fmt: skip


def write_bag(path, topics, storage=StoragePlugin.SQLITE3):
    """A bag of {topic: (type, messages)}; message n of each topic is recorded at second n."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
        for topic, (kind, messages) in topics.items():
            connection = writer.add_connection(topic, kind, typestore=STORE)
            for index, content in enumerate(messages):
                writer.write(connection, index * 10**9, STORE.serialize_cdr(content, kind))
    return path


def frames(path, **options):
    with open_source(str(path), **options) as source:
        return list(source)


@pytest.mark.parametrize("storage", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file"])
def test_images_come_with_their_stamps_and_camera(tmp_path, storage, whole):
    topics = {"/cam/image_raw": (IMAGE, [image(n) for n in range(3)]), "/cam/camera_info": (INFO, [info()])}
    path = write_bag(tmp_path / "bag", topics, storage)
    path = path if whole else next(p for p in path.iterdir() if p.suffix != ".yaml")
    found = frames(path)
    assert [frame.stamp for frame in found] == [100.5, 101.5, 102.5]
    assert all(np.array_equal(frame.image_rgb, np.roll(PICTURE, n, axis=0)) for n, frame in enumerate(found))
    assert all(np.array_equal(frame.camera.K, K) and not frame.camera.estimated for frame in found)


def test_ros_1_bags_are_read(tmp_path):
    store = get_typestore(Stores.ROS1_NOETIC)
    stamp = store.types["builtin_interfaces/msg/Time"](sec=7, nanosec=0)
    content = store.types[IMAGE](
        store.types["std_msgs/msg/Header"](0, stamp, "camera"), HEIGHT, WIDTH, "rgb8", 0, WIDTH * 3, PICTURE.ravel()
    )
    with Writer1(tmp_path / "old.bag") as writer:
        connection = writer.add_connection("/image", IMAGE, typestore=store)
        writer.write(connection, 10**9, store.serialize_ros1(content, IMAGE))
    (frame,) = frames(tmp_path / "old.bag")
    assert np.array_equal(frame.image_rgb, PICTURE) and frame.stamp == 7 and frame.camera is None


def test_type_names_of_the_first_release_and_a_missing_metadata_file(tmp_path):
    path = tmp_path / "first.db3"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT)")
        base.execute("CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)")
        base.execute("INSERT INTO topics VALUES(1, '/image', 'sensor_msgs/Image', 'cdr')")
        base.execute("INSERT INTO messages VALUES(1, 1, 5, ?)", (bytes(STORE.serialize_cdr(image(), IMAGE)),))
    assert np.array_equal(frames(path)[0].image_rgb, PICTURE)


def test_compressed_images_and_their_camera(tmp_path):
    topics = {"/cam/image_raw/compressed": (COMPRESSED, [compressed()]), "/cam/camera_info": (INFO, [info()])}
    (frame,) = frames(write_bag(tmp_path / "bag", topics))
    assert np.array_equal(frame.image_rgb, PICTURE) and np.array_equal(frame.camera.K, K)


def test_raw_is_preferred_to_its_compressed_twin_and_colour_to_depth(tmp_path):
    topics = {
        "/cam/image_raw/compressed": (COMPRESSED, [compressed()]),
        "/cam/image_raw": (IMAGE, [image()]),
        "/cam/depth/image_raw": (IMAGE, [image(encoding="16UC1")]),
    }
    with open_source(str(write_bag(tmp_path / "bag", topics))) as source:
        assert source.topic == "/cam/image_raw"


def test_several_cameras_are_a_question_to_the_user(tmp_path):
    path = write_bag(tmp_path / "bag", {"/a/image": (IMAGE, [image()]), "/b/image": (IMAGE, [image(1)])})
    with pytest.raises(SourceError, match=r"--topic: /a/image, /b/image"):
        open_source(str(path))
    assert np.array_equal(frames(path, topic="/b/image")[0].image_rgb, np.roll(PICTURE, 1, axis=0))
    with pytest.raises(SourceError, match="no image topic /c"):
        open_source(str(path), topic="/c")


def test_a_bag_without_images_lists_what_it_has(tmp_path):
    path = write_bag(tmp_path / "bag", {"/cam/camera_info": (INFO, [info()])})
    with pytest.raises(SourceError, match=r"no image topic.*/cam/camera_info \(sensor_msgs/msg/CameraInfo\)"):
        open_source(str(path))


def test_an_uncalibrated_camera_is_none(tmp_path):
    topics = {"/image": (IMAGE, [image()]), "/camera_info": (INFO, [info(np.zeros((3, 3)))])}
    assert frames(write_bag(tmp_path / "bag", topics))[0].camera is None


def test_one_broken_image_does_not_stop_a_bag_that_reports(tmp_path):
    broken = image(1)
    broken.data = broken.data[:100]
    path = write_bag(tmp_path / "bag", {"/image": (IMAGE, [image(), broken, image(2)])})
    told = []
    assert [frame.index for frame in frames(path, on_error=told.append)] == [0, 2]
    assert len(told) == 1 and "message 1 of /image" in str(told[0])


@pytest.mark.parametrize("storage", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.4, 0.7, 0.95])
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_damaged_bags_end_in_one_line(tmp_path, storage, share, damage):
    path = write_bag(tmp_path / "bag", {"/image": (IMAGE, [image(n) for n in range(4)])}, storage)
    file = next(p for p in path.iterdir() if p.suffix != ".yaml")
    data = bytearray(file.read_bytes())
    middle = int(share * len(data))
    if damage == "cut":
        del data[middle:]
    else:
        data[middle : middle + 600] = bytes(range(200)) * 3
    copy = Path(tmp_path / f"damaged{file.suffix}")
    copy.write_bytes(data)
    try:
        found = frames(copy, on_error=lambda error: None)
    except SourceError as error:
        assert str(copy) in str(error) and "\n" not in str(error)
    else:  # the damage may lie in pixels only, or between the messages
        assert len(found) <= 4


def test_binning_and_region_of_interest_keep_points_on_their_pixels():
    point = np.array([0.02, -0.01, 0.4])
    full = project(point, camera_from_info(info()))
    binned = camera_from_info(info(binning=2))
    assert (binned.width, binned.height) == (WIDTH // 2, HEIGHT // 2)
    assert np.allclose((project(point, binned) + 0.5) * 2 - 0.5, full)
    cut = camera_from_info(info(roi=(4, 6, 12, 20)))  # x, y, height, width
    assert (cut.width, cut.height) == (20, 12)
    assert np.allclose(project(point, cut) + np.array([4, 6]), full)


def test_a_rectified_image_has_no_distortion():
    message = info(d=[0.1, 0, 0, 0, 0])
    assert camera_from_info(message).distortion[0] == 0.1
    message.p[0] = 55.0
    rectified = camera_from_info(message, rectified=True)
    assert not rectified.distortion.any() and rectified.K[0, 0] == 55
