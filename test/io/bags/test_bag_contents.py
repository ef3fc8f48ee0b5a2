"""Bags as recorders and people leave them: topics, cameras over time, bookkeeping that is wrong."""

import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from prehend.errors import SourceError
from prehend.io.sources import is_bag, open_source

rosbags = pytest.importorskip("rosbags", reason="the extra 'bag' is not installed")
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime  # noqa: E402
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer  # noqa: E402
from rosbags.typesys import Stores, get_types_from_msg, get_typestore  # noqa: E402

STORE = get_typestore(Stores.LATEST)
TYPES = STORE.types
IMAGE, COMPRESSED, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"
HEIGHT, WIDTH = 24, 32
K = np.array([[40.0, 0, 15.5], [0, 41.0, 11.5], [0, 0, 1]])
PICTURE = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8), (0, 0), 2)
FOR_EVER = QosTime(9223372036, 854775807)
QOS = [
    Qos(
        QosHistory.KEEP_LAST, 10, QosReliability.RELIABLE, QosDurability.VOLATILE, FOR_EVER, FOR_EVER,
        QosLiveliness.AUTOMATIC, FOR_EVER, False,
    )
]  # fmt: skip


def header(seconds, frame="camera"):
    whole = int(seconds)
    return TYPES["std_msgs/msg/Header"](
        TYPES["builtin_interfaces/msg/Time"](whole, round((seconds - whole) * 1e9)), frame
    )


def image(at, pixels=PICTURE, encoding="rgb8", frame="camera"):
    pixels = np.ascontiguousarray(pixels)
    step = pixels.nbytes // len(pixels)
    return TYPES[IMAGE](header(at, frame), *pixels.shape[:2], encoding, 0, step, pixels.view(np.uint8).ravel())


def jpeg(at, kind="rgb8; jpeg compressed bgr8"):
    return TYPES[COMPRESSED](header(at), kind, cv2.imencode(".jpg", PICTURE[..., ::-1])[1].ravel())


def info(at, k=K, d=(), model="plumb_bob", size=(WIDTH, HEIGHT), frame="camera"):
    region = TYPES["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, do_rectify=False)
    p = np.hstack([np.reshape(k, (3, 3)), np.zeros((3, 1))])
    return TYPES[INFO](
        header(at, frame), size[1], size[0], model, np.array(d, np.float64), np.ravel(k).astype(float),
        np.eye(3).ravel(), p.ravel(), 0, 0, region,
    )  # fmt: skip


def write(path, topics, storage=StoragePlugin.MCAP, mode=None, qos=()):
    """A bag of {topic: (type, [(recorded at [s], message)])}."""
    writer = Writer(path, version=9, storage_plugin=storage)
    if mode:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        ids = {
            t: writer.add_connection(t, k, typestore=STORE, offered_qos_profiles=qos) for t, (k, _) in topics.items()
        }
        rows = sorted(((at, t, m) for t, (_, rows) in topics.items() for at, m in rows), key=lambda row: row[0])
        for at, topic, message in rows:
            writer.write(ids[topic], int(at * 1e9), STORE.serialize_cdr(message, topics[topic][0]))
    return path


def cameras(path, **options):
    with open_source(str(path), **options) as source:
        return [frame.camera for frame in source], source.notes


TIMES = [100 + n / 10 for n in range(6)]
IMAGES = (IMAGE, [(t, image(t)) for t in TIMES])
JPEGS = (COMPRESSED, [(t, jpeg(t)) for t in TIMES])
INFOS = (INFO, [(t, info(t)) for t in TIMES])


# which topic


def chosen(tmp_path, topics):
    with open_source(str(write(tmp_path / "bag", topics))) as source:
        return source.topic, len(list(source)), " ".join(source.notes)


@pytest.mark.parametrize("raw", [0, 1, 4])
def test_of_twins_the_one_with_more_messages_is_read_and_told(tmp_path, raw):
    topic, count, told = chosen(tmp_path, {"/c/image_raw": (IMAGE, IMAGES[1][:raw]), "/c/image_raw/compressed": JPEGS})
    assert topic == "/c/image_raw/compressed" and count == 6 and "/c/image_raw/compressed is read" in told


def test_of_equal_twins_the_raw_one_is_read_without_a_word(tmp_path):
    assert chosen(tmp_path, {"/c/image_raw/compressed": JPEGS, "/c/image_raw": IMAGES}) == ("/c/image_raw", 6, "")


def test_a_mask_is_never_taken_for_a_colour_topic_whatever_their_names(tmp_path):
    mask = (IMAGE, [(t, image(t, np.zeros((4, 5), np.uint8), "mono8")) for t in TIMES])
    topic, count, told = chosen(tmp_path, {"/depth_camera/image_raw": IMAGES, "/debug/mask": mask})
    assert topic == "/depth_camera/image_raw" and count == 6 and "/debug/mask" in told


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_depth_is_told_by_its_encoding(tmp_path, encoding):
    pixels = np.zeros((4, 5), np.uint16 if encoding == "16UC1" else np.float32)
    depth = (IMAGE, [(t, image(t, pixels, encoding)) for t in TIMES])
    topic, _, _ = chosen(tmp_path, {"/a/points_image": depth, "/b/image": IMAGES})
    assert topic == "/b/image"


def test_a_grey_camera_alone_is_read_and_two_are_a_question(tmp_path):
    grey = (IMAGE, [(t, image(t, PICTURE[..., 0], "mono8")) for t in TIMES])
    assert chosen(tmp_path, {"/infra1/image_rect_raw": grey})[:2] == ("/infra1/image_rect_raw", 6)
    with pytest.raises(SourceError, match=r"--topic: /l/image, /r/image"):
        open_source(str(write(tmp_path / "two", {"/l/image": grey, "/r/image": grey})))


def test_only_empty_topics_are_named(tmp_path):
    with pytest.raises(SourceError, match=r"no messages: /c/image_raw"):
        open_source(str(write(tmp_path / "bag", {"/c/image_raw": (IMAGE, [])})))


# cameras over time


def test_the_camera_of_each_image_is_that_of_its_time(tmp_path):
    zooms = (INFO, [(t, info(t, K * [[n + 1, 1, 1], [1, n + 1, 1], [1, 1, 1]])) for n, t in enumerate(TIMES)])
    found, _ = cameras(write(tmp_path / "bag", {"/c/image": IMAGES, "/c/camera_info": zooms}))
    assert [camera.K[0, 0] / 40 for camera in found] == [1, 2, 3, 4, 5, 6]


def test_a_camera_info_that_is_recorded_after_its_image_counts_for_it(tmp_path):
    zooms = (INFO, [(t + 0.03, info(t, K * [[n + 1, 1, 1], [1, n + 1, 1], [1, 1, 1]])) for n, t in enumerate(TIMES)])
    found, _ = cameras(write(tmp_path / "bag", {"/c/image": IMAGES, "/c/camera_info": zooms}))
    assert [camera.K[0, 0] / 40 for camera in found] == [1, 2, 3, 4, 5, 6]


def test_zeros_at_first_are_not_yet(tmp_path):
    infos = (INFO, [(t, info(t, np.zeros(9) if n < 3 else K)) for n, t in enumerate(TIMES)])
    found, _ = cameras(write(tmp_path / "bag", {"/c/image": IMAGES, "/c/camera_info": infos}))
    assert all(camera is not None for camera in found[3:])


@pytest.mark.parametrize(
    "how",
    [{"d": [-0.03, 0.03, 0, 0, -0.01, 0, 0, 0]}, {"model": "fisheye", "d": [-0.01, 0.04, -0.04, 0.01]},
     {"model": "equidistant", "d": [-0.01, 0.04, -0.04, 0.01, 0]}, {"size": (0, 0)}],
    ids=["8 of 5", "fisheye", "5 of 4", "no size"],
)  # fmt: skip
def test_camera_info_of_real_drivers_is_a_camera(tmp_path, how):
    infos = (INFO, [(t, info(t, **how)) for t in TIMES])
    found, notes = cameras(write(tmp_path / "bag", {"/c/image": IMAGES, "/c/camera_info": infos}))
    assert notes == [] and all(np.array_equal(camera.K, K) for camera in found)


@pytest.mark.parametrize(
    ("how", "says"),
    [({"k": K.T}, "transposed"), ({"d": [0.1] * 4, "model": "magic"}, "'magic' is not known"),
     ({"size": (500, 24)}, "the image is 32 x 24")],
)  # fmt: skip
def test_a_wrong_camera_info_costs_the_metres_and_not_the_images(tmp_path, how, says):
    infos = (INFO, [(t, info(t, **how)) for t in TIMES])
    bag = write(tmp_path / "bag", {"/c/image": IMAGES, "/c/camera_info": infos})
    found, notes = cameras(bag)
    assert found == [None] * 6 and len(notes) == 1 and says in notes[0] and "--cameras" in notes[0]
    assert cameras(bag, own_camera=True) == ([None] * 6, [])


def test_a_calibration_of_another_frame_is_told(tmp_path):
    infos = (INFO, [(t, info(t, frame="left_camera")) for t in TIMES])
    found, notes = cameras(write(tmp_path / "bag", {"/c/image": IMAGES, "/c/camera_info": infos}))
    assert found[0] is not None and "'left_camera'" in notes[0]


# pixels


def test_the_rate_is_that_of_the_stamps_not_of_the_recording(tmp_path):
    late = [(100.0 if n else 90.0, image(100 + n / 20)) for n in range(6)]
    other = (INFO, [(50.0, info(50)), (500.0, info(500))])
    with open_source(str(write(tmp_path / "bag", {"/c/image": (IMAGE, late), "/x/camera_info": other}))) as source:
        assert source.fps == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("encoding", ["yuyv", "uyvy", "yuv422", "yuv422_yuy2"])
def test_an_image_that_opencv_refuses_costs_that_image(tmp_path, encoding):
    odd = image(TIMES[1], np.full((24, 31, 2), 128, np.uint8), encoding)
    path = write(tmp_path / "bag", {"/c/image": (IMAGE, [IMAGES[1][0], (TIMES[1], odd), *IMAGES[1][2:]])})
    told = []
    with open_source(str(path), on_error=told.append) as source:
        assert [frame.index for frame in source] == [0, 2, 3, 4, 5]
    assert len(told) == 1 and "message 1 of /c/image" in str(told[0]) and encoding in str(told[0])


@pytest.mark.parametrize(
    ("kind", "swapped"),
    [("jpeg", False), ("rgb8; jpeg compressed bgr8", False), ("bgr8; jpeg compressed rgb8", True), ("", False)],
)
def test_the_format_of_compressed_images_is_honoured(tmp_path, kind, swapped):
    with open_source(str(write(tmp_path / "bag", {"/i/compressed": (COMPRESSED, [(1.0, jpeg(1, kind))])}))) as source:
        (frame,) = source
    expected = PICTURE[..., ::-1] if swapped else PICTURE
    assert np.abs(frame.image_rgb.astype(int) - expected).mean() < 12


@pytest.mark.parametrize("kind", ["16UC1; compressedDepth png", "h264", "32FC1; compressedDepth"])
def test_depth_and_streams_are_no_images(tmp_path, kind):
    path = write(tmp_path / "bag", {"/i/compressed": (COMPRESSED, [(1.0, jpeg(1, kind))])})
    with pytest.raises(SourceError, match=r"format '"), open_source(str(path)) as source:
        list(source)


def test_a_step_that_was_left_out_is_the_row(tmp_path):
    message = image(1)
    message.step = 0
    with open_source(str(write(tmp_path / "bag", {"/i": (IMAGE, [(1.0, message)])}))) as source:
        assert np.array_equal(next(iter(source)).image_rgb, PICTURE)


def test_a_step_of_gigabytes_takes_no_memory(tmp_path):
    message = image(1)
    message.step = 3_000_000_000
    path = write(tmp_path / "bag", {"/i": (IMAGE, [(1.0, message)])})
    with pytest.raises(SourceError, match="too few"), open_source(str(path)) as source:
        list(source)


# bookkeeping


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


# what recorders and drivers leave out


def test_a_recording_of_the_realsense_sdk_has_its_calibration(tmp_path):
    """Its names: .../Color_0/image/data and .../Color_0/info/camera_info; it calls depth mono16."""
    color, depth = "/device_0/sensor_1/Color_0", "/device_0/sensor_0/Depth_0"
    far = (IMAGE, [(t, image(t, np.full((HEIGHT, WIDTH), 900, np.uint16), "mono16")) for t in TIMES])
    near = (INFO, [(t, info(t, K * [[2], [2], [1]])) for t in TIMES])
    topics = {f"{depth}/image/data": far, f"{depth}/info/camera_info": near}
    path = write(tmp_path / "a", {**topics, f"{color}/image/data": IMAGES, f"{color}/info/camera_info": INFOS})
    found, notes = cameras(path)
    assert [camera.K[0, 0] for camera in found] == [40.0] * 6
    assert all("no /" not in note for note in notes)
    with (
        pytest.raises(SourceError, match=r"no colour or grey|Depth_0"),
        open_source(str(write(tmp_path / "b", {**topics, f"{depth}2/image/data": far}))) as source,
    ):
        list(source)


def test_calibrations_of_other_cameras_are_named_and_not_taken(tmp_path):
    found, notes = cameras(write(tmp_path / "bag", {"/a/image_raw": IMAGES, "/b/camera_info": INFOS}))
    assert found == [None] * 6
    assert any("no /a/camera_info" in note and "/b/camera_info" in note for note in notes)


def test_a_calibration_that_comes_after_the_first_images_counts_for_them(tmp_path):
    """Latched topics and slow discovery: recorded once, a second late."""
    late = (INFO, [(TIMES[-1] + 0.01, info(TIMES[-1] + 0.01))])
    found, notes = cameras(write(tmp_path / "bag", {"/a/image_raw": IMAGES, "/a/camera_info": late}))
    assert all(camera is not None for camera in found) and not notes


def test_a_principal_point_of_another_image_is_told(tmp_path):
    for name, k, said in (("near", [[40, 0, 5], [0, 41, 4], [0, 0, 1]], "for another image"), ("right", K, "")):
        topics = {"/a/image_raw": IMAGES, "/a/camera_info": (INFO, [(t, info(t, np.array(k, float))) for t in TIMES])}
        found, notes = cameras(write(tmp_path / name, topics))
        assert all(camera is not None for camera in found)
        assert bool(notes) == bool(said) and said in " ".join(notes)


def stamps(tmp_path, given):
    topics = {"/a/image_raw": (IMAGE, [(1000 + n / 10, image(at)) for n, at in enumerate(given)])}
    with open_source(str(write(tmp_path / "bag", topics))) as source:
        return [frame.stamp for frame in source], source.fps, " ".join(source.notes)


def test_images_before_the_first_stamp_are_put_on_its_clock(tmp_path):
    """Simulated time that began after the recorder, a camera that had no clock yet."""
    read, fps, notes = stamps(tmp_path, [0, 0, 5.2, 5.3, 5.4, 5.5])
    assert np.allclose(read, [5.0, 5.1, 5.2, 5.3, 5.4, 5.5]) and fps == pytest.approx(10)
    assert "without a stamp" in notes


@pytest.mark.parametrize(("still", "said"), [(5.0, "stand still at 5.000"), (0.0, "without a stamp")])
def test_stamps_that_stand_still_give_way_to_the_times_of_recording(tmp_path, still, said):
    read, fps, notes = stamps(tmp_path, [still] * 6)
    assert np.allclose(read, 1000 + np.arange(6) / 10) and fps == pytest.approx(10)
    assert said in notes


def grey(name="mono8"):
    return (IMAGE, [(t, image(t, PICTURE[..., 0], name)) for t in TIMES])


def stream(kind):
    return (COMPRESSED, [(t, TYPES[COMPRESSED](header(t), kind, np.zeros(30, np.uint8))) for t in TIMES])


def test_a_camera_that_is_a_video_stream_is_never_replaced_in_silence(tmp_path):
    topic, count, told = chosen(tmp_path, {"/a/color/h264": stream("h264"), "/a/infra1/image_rect_raw": grey()})
    assert (topic, count) == ("/a/infra1/image_rect_raw", 6)
    assert "streams are not read and left out: /a/color/h264" in told


def test_packets_of_other_transports_are_streams_too(tmp_path):
    kind = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
    store = get_typestore(Stores.LATEST)
    store.register(get_types_from_msg("std_msgs/Header header\nint32 width\nuint8[] data", kind))
    packet = store.types[kind]
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        color = writer.add_connection("/a/color/ffmpeg", kind, typestore=store)
        other = writer.add_connection("/a/infra1/image_raw", IMAGE, typestore=store)
        for (at, one), _ in zip(grey()[1], range(6), strict=True):
            writer.write(color, int(at * 1e9), store.serialize_cdr(packet(header(at), 1, np.zeros(3, np.uint8)), kind))
            writer.write(other, int(at * 1e9), store.serialize_cdr(one, IMAGE))
    with open_source(str(tmp_path / "bag")) as source:
        assert source.topic == "/a/infra1/image_raw"
        assert "/a/color/ffmpeg" in " ".join(source.notes)


def test_masks_do_not_stand_in_for_a_stream(tmp_path):
    with pytest.raises(SourceError, match=r"video stream \(/a/color/h264\)"):
        chosen(tmp_path, {"/a/color/h264": stream("h264"), "/a/confidence/map": grey()})


def test_a_mask_alone_is_read_and_told(tmp_path):
    topic, _, told = chosen(tmp_path, {"/a/disparity/image": grey()})
    assert topic == "/a/disparity/image" and "no camera's own image" in told


@pytest.mark.parametrize("wanted", ["c/image_raw", "/c/image_raw/", "c/image_raw/"])
def test_a_topic_is_found_as_people_write_it(tmp_path, wanted):
    with open_source(str(write(tmp_path / "bag", {"/c/image_raw": IMAGES})), topic=wanted) as source:
        assert source.topic == "/c/image_raw" and len(list(source)) == 6


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
