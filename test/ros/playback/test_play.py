"""`prehend play` as a camera driver: another process, over DDS."""

import cv2
import numpy as np
import pytest

from prehend.cli.main import main
from prehend.io.cameras.camera_info import camera_from_info
from prehend.io.pixels.images import image_from_message
from prehend.ros import messages as m
from prehend.ros.conversion.convert import seconds
from prehend.ros.playback.play import PlaySchedule

WIDTH, HEIGHT, COUNT = 64, 48, 8


@pytest.fixture
def folder(tmp_path):
    """Images whose grey value is their number."""
    for n in range(COUNT):
        cv2.imwrite(str(tmp_path / f"{n}.png"), np.full((HEIGHT, WIDTH, 3), n, np.uint8))
    return tmp_path


def numbers(images) -> list[int]:
    return [int(image_from_message(message, "image")[0, 0, 0]) for message in images]


def test_a_folder_is_played_once_in_order_on_a_regular_schedule(peer, start, folder):
    images, infos = peer.listen("/cam/image", m.IMAGE), peer.listen("/cam/camera_info", m.CAMERA_INFO)
    play = start("prehend", "play", str(folder), "--topic", "/cam/image", "--rate", "40", "--fov", "60", "--wait", "60")
    peer.until(lambda: play.poll() is not None and len(images) == len(infos) == COUNT, "all images")
    assert play.returncode == 0
    assert numbers(images) == list(range(COUNT))
    stamps = np.array([seconds(message.header.stamp) for message in images])
    assert (np.diff(stamps) > 0.9 / 40).all()
    assert [seconds(info.header.stamp) for info in infos] == stamps.tolist()
    assert {message.header.frame_id for message in (*images, *infos)} == {"camera_color_optical_frame"}
    camera = camera_from_info(infos[0])
    np.testing.assert_allclose(2 * np.arctan(WIDTH / 2 / camera.K[0, 0]), np.radians(60))


def test_a_loop_goes_on_until_a_signal_and_without_a_camera_k_is_zero(peer, start, folder):
    images, infos = peer.listen("/camera/image_raw", m.IMAGE), peer.listen("/camera/camera_info", m.CAMERA_INFO)
    play = start("prehend", "play", str(folder), "--loop", "--rate", "100")
    peer.until(lambda: len(images) > 2 * COUNT, "more than one round")
    play.terminate()
    _, errors = play.communicate(timeout=60)
    assert play.returncode == 0, errors
    assert "Traceback" not in errors
    assert camera_from_info(infos[0]) is None


def test_from_a_compressed_folder_through_the_node_to_hands(peer, start, folder):
    hands = peer.listen("/prehend/hands", m.HAND_ARRAY)
    start("toy_node.py", "--ros-args", "-p", "image_transport:=compressed", "-r", "image_raw:=/camera/image_raw")
    for n in range(2, COUNT):
        (folder / f"{n}.png").unlink()
    start("prehend", "play", str(folder), "--compressed", "--loop", "--fov", "70", "--rate", "20")
    peer.until(lambda: {len(message.hands) for message in hands} == {0, 1}, "images with and without a hand")
    with_hand = next(message for message in hands if message.hands)
    assert with_hand.header.frame_id == "camera_color_optical_frame"
    assert not with_hand.camera_estimated
    assert with_hand.latency_ms < 5000


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["/nowhere.mp4"], 1, "/nowhere.mp4"),
        (["x", "--rate", "0"], 2, "--rate"),
        (["x", "--fov", "180"], 2, "--fov"),
        (["x", "--fov", "60", "--camera", "y.yaml"], 2, "--camera"),
    ],
)
def test_wrong_use_is_one_line(capsys, arguments, code, word):
    assert main(["play", *arguments]) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and word in lines[0]


def write_bag(path, topics: dict[str, list[tuple[float, int]]]) -> None:
    """A bag with topics of small images, each of a stamp [s] and a grey value."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    from prehend.ros.conversion import convert, images

    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, entries in topics.items():
            connection = writer.add_connection(topic, m.IMAGE, typestore=m.typestore())
            for stamp_s, grey in entries:
                picture = np.full((HEIGHT, WIDTH, 3), grey, np.uint8)
                message = images.image_message(convert.header_message(stamp_s, "cam"), picture)
                writer.write(connection, int(stamp_s * 1e9), m.encode(message))


@pytest.mark.parametrize(
    ("options", "topic", "greys"),
    [
        (["--topic", "/left/image"], "/left/image", [10, 11, 12]),
        (["--topic", "/right/image", "--to", "/camera/image_raw"], "/camera/image_raw", [20, 21]),
    ],
)
def test_the_topic_of_a_bag_is_chosen(peer, start, tmp_path, options, topic, greys):
    left, right = [(100.0 + n, 10 + n) for n in range(3)], [(100.0 + n, 20 + n) for n in range(2)]
    write_bag(tmp_path / "bag", {"/left/image": left, "/right/image": right})
    images = peer.listen(topic, m.IMAGE)
    play = start("prehend", "play", str(tmp_path / "bag"), *options, "--rate", "40", "--wait", "60")
    peer.until(lambda: play.poll() is not None and len(images) >= len(greys), "the end")
    assert play.returncode == 0 and numbers(images) == greys


def test_a_bag_keeps_the_times_between_its_images(peer, start, tmp_path):
    times = (100.0, 100.1, 100.9, 101.0)
    write_bag(tmp_path / "bag", {"/cam/image": [(time, n) for n, time in enumerate(times)]})
    images = peer.listen("/camera/image_raw", m.IMAGE)
    play = start("prehend", "play", str(tmp_path / "bag"), "--wait", "60")
    peer.until(lambda: play.poll() is not None and len(images) == len(times), "all images")
    stamps = [seconds(message.header.stamp) for message in images]
    # what comes late on a busy machine is not caught up
    assert all(told >= real - 1e-3 for told, real in zip(np.diff(stamps), np.diff(times), strict=True))
    assert stamps[-1] - stamps[0] < 10


@pytest.fixture
def drive(tmp_path):
    """A bag of 8 images at 20 Hz with odd stamps, a calibration with its own P, a tree of frames, and a word."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    from prehend.ros.conversion import convert, images

    def put(writer, connections, topic, time_ns, message):
        kind = message.__msgtype__
        if topic not in connections:
            connections[topic] = writer.add_connection(topic, kind, typestore=m.typestore())
        writer.write(connections[topic], time_ns, m.encode(message))

    def header(stamp_ns):
        stamp = m.make("builtin_interfaces/msg/Time", sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        return m.make("std_msgs/msg/Header", stamp=stamp, frame_id="left_eye")

    shift = m.make("geometry_msgs/msg/Vector3", x=1.0, y=2.0, z=3.0)
    turn = m.make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    transform = m.make("geometry_msgs/msg/Transform", translation=shift, rotation=turn)
    camera = images.camera_message(header(0), None, WIDTH, HEIGHT)
    camera.k, camera.p = np.arange(9.0), np.arange(12.0)
    stamps = [1_700_000_000_123_456_789 + 50_000_001 * n for n in range(COUNT)]
    with Writer(tmp_path / "drive", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {}
        tree = m.make(
            "geometry_msgs/msg/TransformStamped", header=convert.header_message(0.0, "world"),
            child_frame_id="left_eye", transform=transform,
        )  # fmt: skip
        put(writer, connections, "/tf_static", stamps[0] - 1, m.make(m.TF, transforms=[tree]))
        for n, stamp in enumerate(stamps):
            camera.header = header(stamp)
            put(writer, connections, "/cam/camera_info", stamp, camera)
            picture = np.full((HEIGHT, WIDTH, 3), n, np.uint8)
            put(writer, connections, "/cam/image", stamp, images.image_message(header(stamp), picture))
            put(writer, connections, "/word", stamp, m.make("std_msgs/msg/String", data=f"{n}"))
    return tmp_path / "drive", stamps


def nanoseconds(stamp) -> int:
    return stamp.sec * 10**9 + stamp.nanosec


def test_a_bag_keeps_stamps_frames_calibration_and_further_topics(peer, start, drive):
    path, stamps = drive
    images, infos = peer.listen("/cam/image", m.IMAGE), peer.listen("/cam/camera_info", m.CAMERA_INFO)
    words, clock = peer.listen("/word", "std_msgs/msg/String"), peer.listen("/clock", "rosgraph_msgs/msg/Clock")
    tree = peer.listen("/tf_static", m.TF, latched=True)
    play = start(
        "prehend",
        "play",
        str(path),
        "--topic",
        "/cam/image",
        "--also",
        "/word",
        "/tf_static",
        "--clock",
        "--wait",
        "60",
    )
    peer.until(
        lambda: play.poll() is not None and len(images) == len(infos) == len(words) == COUNT and tree, "everything"
    )
    _, errors = play.communicate(timeout=60)
    assert play.returncode == 0, errors
    assert numbers(images) == list(range(COUNT)) and [word.data for word in words] == [str(n) for n in range(COUNT)]
    assert [nanoseconds(message.header.stamp) for message in images] == stamps  # to the nanosecond
    assert [nanoseconds(message.header.stamp) for message in infos] == stamps
    assert {message.header.frame_id for message in (*images, *infos)} == {"left_eye"}
    assert infos[0].k.tolist() == list(range(9)) and infos[0].p.tolist() == list(range(12))
    assert tree[0].transforms[0].child_frame_id == "left_eye"
    times = [nanoseconds(message.clock) for message in clock]
    assert times == sorted(times) and {round(stamp, -3) for stamp in stamps} <= {round(time, -3) for time in times}
    said = errors.replace("\n", " ")
    assert "/cam/image (8 images" in said and "stamps are kept, frame ids are kept" in said and "/clock" in said


def test_a_part_of_a_bag_with_another_frame_and_stamps_of_now(peer, start, drive):
    path, stamps = drive
    images = peer.listen("/eye/image", m.IMAGE)
    options = ["--to", "/eye/image", "--start", "0.09", "--duration", "0.18", "--frame", "right_eye", "--now"]
    play = start("prehend", "play", str(path), *options, "--wait", "60")
    peer.until(lambda: play.poll() is not None and len(images) == 4, "the part")
    assert play.returncode == 0 and numbers(images) == [2, 3, 4, 5]
    assert {message.header.frame_id for message in images} == {"right_eye"}
    assert all(nanoseconds(message.header.stamp) > stamps[-1] + 10**15 for message in images)  # weeks later
    gaps = np.diff([nanoseconds(message.header.stamp) for message in images])
    assert (gaps >= 49e6).all()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--also", "/nothing"], "/cam/camera_info, /cam/image, /tf_static, /word"),
        (["--also", "/word", "--now"], "--also keeps stamps"),
        (["--start", "-1"], "--start and --duration"),
        (["--duration", "0"], "--start and --duration"),
    ],
)
def test_wrong_use_of_a_bag_is_one_line(start, drive, options, word):
    play = start("prehend", "play", str(drive[0]), *options)
    _, errors = play.communicate(timeout=120)
    assert play.returncode == 2 and word in errors and "Traceback" not in errors


def test_what_is_of_bags_alone_is_said(capsys, folder):
    assert main(["play", str(folder), "--also", "/tf"]) == 2
    assert "--also is of bags of ROS 2" in capsys.readouterr().err


def test_an_image_that_cannot_be_read_is_told_and_left_out(peer, start, folder):
    (folder / "3.png").write_bytes(b"nothing")
    images = peer.listen("/camera/image_raw", m.IMAGE)
    play = start("prehend", "play", str(folder), "--rate", "40", "--wait", "60")
    peer.until(lambda: play.poll() is not None and len(images) == COUNT - 1, "the others")
    _, errors = play.communicate()
    assert play.returncode == 1 and "3.png" in errors and "Traceback" not in errors


def test_schedules():
    regular = PlaySchedule(10.0, 25.0, 5.0)
    assert [regular.next(stamp, 0.0) for stamp in (0.0, 7.0, 8.0)] == pytest.approx([5.0, 5.1, 5.2])
    own = PlaySchedule(None, 25.0, 5.0)
    assert [own.next(stamp, 0.0) for stamp in (3.0, 3.5, 3.6, 3.6, 1.0)] == pytest.approx([5, 5.5, 5.6, 5.64, 5.68])
    set_clock = PlaySchedule(None, 25.0, 5.0)  # a computer without a clock: 1970 at first
    due = [(set_clock.next(stamp, 0.0), set_clock.left_out_s) for stamp in (3.0, 3.1, 1.7e9, 1.7e9 + 0.5)]
    assert [one for one, _ in due] == pytest.approx([5, 5.1, 5.14, 5.64])
    assert [left for _, left in due] == pytest.approx([0, 0, 1.7e9 - 3.1, 0])
    late = PlaySchedule(10.0, None, 5.0)
    assert [late.next(None, now) for now in (5.0, 9.0, 9.0)] == pytest.approx([5.0, 9.0, 9.1])


def test_a_clock_that_was_set_while_a_bag_was_recorded_is_not_waited_for(peer, start, tmp_path):
    """Small computers begin in 1970 and find the network later."""
    write_bag(tmp_path / "bag", {"/a/image_raw": [(at, 0) for at in (100.0, 100.1, 1.7e9, 1.7e9 + 0.1)]})
    images = peer.listen("/a/image_raw", m.IMAGE)
    play = start("prehend", "play", str(tmp_path / "bag"), "--topic", "/a/image_raw", "--wait", "60")
    peer.until(lambda: play.poll() is not None and len(images) == 4, "all images")
    _, errors = play.communicate()
    assert play.returncode == 0 and "nothing for 1699999900 s" in errors


@pytest.mark.parametrize("simulated", [True, False])
def test_a_bags_clock_is_the_nodes_where_it_asks_for_it(peer, start, drive, simulated):
    path, stamps = drive
    hands, told = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/diagnostics", m.DIAGNOSTICS)
    start(
        "toy_node.py", "--ros-args", "-r", "image_raw:=/cam/image", "-p", f"use_sim_time:={str(simulated).lower()}",
        "-p", "camera_info_timeout_s:=0.0",
    )  # fmt: skip
    peer.until(lambda: peer.node.count_subscribers("/cam/image"), "the node listens")
    start("prehend", "play", str(path), "--topic", "/cam/image", "--clock", "--loop")
    peer.until(lambda: len(hands) > 3, "answers")
    assert {hand.header.stamp.sec for hand in hands} <= {stamp // 10**9 for stamp in stamps}
    if not simulated:
        assert all(np.isnan(message.latency_ms) for message in hands), "the bag is of another time"
        return
    peer.until(lambda: any(np.isfinite(message.latency_ms) for message in hands), "a latency by the bag's clock")
    assert min(message.latency_ms for message in hands if np.isfinite(message.latency_ms)) < 500
    seconds = {stamp // 10**9 for stamp in stamps}
    peer.until(lambda: told and told[-1].header.stamp.sec in seconds, "diagnostics in its time")
