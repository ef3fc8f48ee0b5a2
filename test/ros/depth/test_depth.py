"""Depth beside the images: what is matched by its stamp, what is told, and the node with it over DDS."""

import threading
import time

import numpy as np
import pytest

from prehend.ros import messages as m
from prehend.ros.conversion import convert
from prehend.ros.conversion.images import camera_message, image_message
from prehend.ros.depth.places import DepthPlaces
from prehend.ros.depth.streams import DepthStream
from prehend.ros.frames.buffer import TransformBuffer
from prehend.ros.topics.graph import Publisher
from prehend.types import Camera

WIDTH, HEIGHT = 64, 48
CAMERA = Camera(np.array([[60.0, 0, 31.5], [0, 61.0, 23.5], [0, 0, 1]]), WIDTH, HEIGHT)
SENDER = Publisher("/driver", m.IMAGE)
SMALL = Camera(np.array([[24.0, 0, 15.5], [0, 24.0, 11.5], [0, 0, 1]]), 32, 24)


def depth_bytes(
    depth_message, value_mm: float = 500, stamp_s: float = 10.0, size: tuple[int, int] = (WIDTH, HEIGHT), frame="cam"
) -> bytes:
    return m.encode(depth_message(np.full(size[::-1], value_mm), stamp_s, frame=frame))


@pytest.fixture
def taken(depth_message):
    """taken(value_mm, stamp_s, size, frame): the bytes of a depth image."""
    return lambda *values, **named: depth_bytes(depth_message, *values, **named)


def test_the_depth_of_the_same_stamp_is_taken_and_one_that_is_on_its_way_is_waited_for(taken, monkeypatch) -> None:
    monkeypatch.setattr("prehend.ros.depth.streams._WAIT_S", 20.0)
    stream = DepthStream("/depth", 0.02)
    for n in range(3):
        stream.add(taken(500 + n, 10.0 + n / 30))
    found = stream.of(10.0 + 1 / 30, WIDTH, HEIGHT)
    assert found is not None and found[0, 0] == pytest.approx(0.501)
    late = threading.Timer(0.01, stream.add, [taken(700, 11.0)])
    late.start()
    found = stream.of(11.0, WIDTH, HEIGHT)
    late.join()
    assert found is not None and found[0, 0] == pytest.approx(0.7)
    assert stream.status(time.monotonic(), 2.0, [SENDER]).level == 0


def test_compressed_depth_is_matched_in_the_same_way(compressed_depth_message) -> None:
    stream = DepthStream("/depth/image/compressedDepth", 0.02)
    assert stream.kind == m.COMPRESSED_IMAGE
    stream.add(m.encode(compressed_depth_message(np.full((HEIGHT, WIDTH), 612, np.uint16), 10.0)))
    found = stream.of(10.0, WIDTH, HEIGHT, "cam")
    assert found is not None and found[5, 5] == pytest.approx(0.612)
    assert "depth is read as sensor_msgs/msg/CompressedImage" in stream.status(1e12, 2.0, [SENDER]).message


@pytest.mark.parametrize(
    ("depth", "stamp_s", "said"),
    [
        ({"stamp_s": 9.0}, 10.0, "stamps do not match: the nearest depth is 1.000 s from the image"),
        ({"size": (32, 24)}, 10.0, "depth is 32 x 24, the image 64 x 48"),
        (None, 10.0, "cannot read a sensor_msgs/msg/Image"),
        ({"stamp_s": 0.0}, 0.0, "no stamps"),
    ],
)
def test_what_does_not_fit_is_told_and_costs_only_the_depth(taken, depth, stamp_s: float, said: str) -> None:
    stream = DepthStream("/depth", 0.02)
    stream.add(b"\0\1\0\0garbage" if depth is None else taken(**depth))
    assert stream.of(stamp_s, WIDTH, HEIGHT) is None
    status = stream.status(time.monotonic(), 2.0, [SENDER])
    assert (status.level, status.values["images without depth"]) == (1, 1)
    assert said in status.message


@pytest.mark.parametrize("nothing", [0.0, np.nan, np.inf, -np.inf])
def test_a_depth_image_without_any_measurement_is_told(depth_message, nothing: float) -> None:
    """A camera that is covered sends images without a fault, for weeks."""
    stream, values = DepthStream("/depth", 0.02), np.full((HEIGHT, WIDTH), nothing)
    stream.add(m.encode(depth_message(values, 10.0, "32FC1")))
    assert stream.of(10.0, WIDTH, HEIGHT) is None
    status = stream.status(time.monotonic(), 2.0, [SENDER])
    assert status.level == 1 and "without a measurement" in status.message
    values[5, 3] = 0.4  # one pixel, off every eighth
    stream.add(m.encode(depth_message(values, 10.1, "32FC1")))
    assert stream.of(10.1, WIDTH, HEIGHT) is not None


def test_a_calibration_that_is_not_missed_any_more_is_no_cause_of_another_fault(taken, depth_message) -> None:
    places = DepthPlaces("/depth/camera_info", False, TransformBuffer(), False)
    stream = DepthStream("/depth", 0.02, places)
    stream.add(taken(500, 10.0, (32, 24)))
    assert stream.of(10.0, WIDTH, HEIGHT, "cam") is None and places.in_vain
    stream.add(m.encode(depth_message(np.full((HEIGHT, WIDTH), 5), 11.0, "rgb8")))
    assert stream.of(11.0, WIDTH, HEIGHT, "cam") is None and not places.in_vain
    said = stream.status(time.monotonic(), 2.0, [SENDER], info_cause="nobody publishes it").message
    assert "rgb8" in said and "nobody" not in said


def test_a_silence_is_told_with_its_cause(taken, monkeypatch) -> None:
    monkeypatch.setattr("prehend.ros.depth.streams._WAIT_S", 20.0)
    stream = DepthStream("/depth", 0.02)
    later = time.monotonic() + 60
    assert "nobody publishes /depth" in stream.status(later, 2.0, []).message
    assert (
        "carries std_msgs/msg/String"
        in stream.status(later, 2.0, [Publisher("/driver", "std_msgs/msg/String")]).message
    )
    assert "nothing arrives" in stream.status(later, 2.0, [SENDER]).message
    deaf = Publisher("/driver", m.IMAGE, "is best effort, the node asks for reliable images (reliability)")
    assert "/driver is best effort" in stream.status(later, 2.0, [deaf]).message
    others = ["/cam/depth/image_rect_raw"]
    assert "there is /cam/depth/image_rect_raw: set depth_topic" in stream.status(later, 2.0, [], others).message
    stream.add(taken())
    assert "silent: no depth for" in stream.status(later, 2.0, [SENDER]).message
    began = time.monotonic()
    stream._heard_s = began - 30
    assert stream.of(50.0, WIDTH, HEIGHT) is None
    assert time.monotonic() - began < 10, "nobody waits for a camera that stopped"


class Scene:
    """A camera with a depth camera beside it, as a peer of the node plays them."""

    def __init__(self, peer, info_topic: str = "/depth/camera_info") -> None:
        self.peer, self.next_s = peer, 0.0
        self.hands, self.told = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/diagnostics", m.DIAGNOSTICS)
        self.pictures, self.infos = peer.publisher("/image_raw", m.IMAGE), peer.publisher("/camera_info", m.CAMERA_INFO)
        self.depths = peer.publisher("/depth/image", m.IMAGE)
        self.depth_infos = peer.publisher(info_topic, m.CAMERA_INFO)

    def subscribed(self, *publishers) -> None:
        every = (self.pictures, self.infos, self.depths, *publishers)
        self.peer.until(lambda: all(one.get_subscription_count() for one in every), "the node subscribes")

    def show(self, fact, depth=None, frame: str = "cam", camera: Camera | None = None) -> None:
        """Send images five times a second, with what `depth(stamp)` makes, until a fact is true."""

        def step() -> object:
            if time.monotonic() > self.next_s:
                now = time.time()
                header = convert.header_message(now, "cam")
                self.infos.publish(m.encode(camera_message(header, CAMERA, WIDTH, HEIGHT)))
                self.pictures.publish(m.encode(image_message(header, np.full((HEIGHT, WIDTH, 3), 1, np.uint8))))
                if depth is not None:
                    self.depths.publish(depth(now))
                if camera is not None:
                    header = convert.header_message(now, frame)
                    self.depth_infos.publish(m.encode(camera_message(header, camera, camera.width, camera.height)))
                self.next_s = time.monotonic() + 0.2
            return fact()

        self.peer.until(step, "an answer")

    def said(self, text: str, level: int) -> bool:
        states = [one for one in self.told[-1].status if one.name.endswith(": depth")] if self.told else []
        return bool(states) and text in states[0].message and states[0].level == level

    def measured(self, metres: float) -> bool:
        """The toy tells the depth of the image's middle as its uncertainty."""
        return any(abs(array.hands[0].position_std_m - metres) < 1e-6 for array in self.hands)


def test_the_node_takes_depth_by_stamp_and_outlives_its_camera(peer, start, taken) -> None:
    scene = Scene(peer)
    start("toy_node.py", "--ros-args", "-p", "depth_topic:=/depth/image", "-p", "silent_after_s:=0.5")
    scene.subscribed()
    fits = lambda now: taken(640, now)  # noqa: E731
    scene.show(lambda: scene.measured(0.64), fits)
    scene.show(lambda: scene.said("depth refines distances", 0), fits)
    scene.show(lambda: scene.said("depth is 32 x 24", 1), lambda now: taken(640, now, size=(32, 24)))
    scene.hands.clear()
    scene.show(lambda: scene.said("is silent", 1) and scene.hands)
    assert scene.hands[-1].hands[0].position_std_m == pytest.approx(0.02)


def test_the_node_registers_depth_of_another_camera_and_says_what_it_lacks(peer, start, taken, tf_bytes) -> None:
    """A depth camera with a lens and a frame of its own; first nobody tells its calibration, then nobody its place."""
    from rclpy.qos import DurabilityPolicy, QoSProfile

    scene = Scene(peer)
    quality = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    fixed = peer.node.create_publisher(m.message_class(m.TF), "/tf_static", quality)
    start("toy_node.py", "--ros-args", "-p", "depth_topic:=/depth/image")
    scene.subscribed(scene.depth_infos, fixed)
    elsewhere = lambda now: taken(640, now, size=(32, 24), frame="depth")  # noqa: E731
    scene.show(lambda: scene.said("/peer publishes /depth/camera_info, but none came", 1), elsewhere)
    scene.show(lambda: scene.said("is the calibration of 'cam', depth is of 'depth'", 1), elsewhere, "cam", SMALL)
    scene.show(lambda: scene.said("no transform from 'depth' to 'cam'", 1), elsewhere, "depth", SMALL)
    assert not scene.measured(0.59)
    T = np.eye(4)
    T[:3, 3] = -0.015, 0, -0.05  # the depth camera stands 5 cm before the image's
    fixed.publish(tf_bytes(("cam", "depth", 0.0, T)))
    scene.show(lambda: scene.measured(0.59), elsewhere, "depth", SMALL)
    scene.show(lambda: scene.said("depth refines distances", 0), elsewhere, "depth", SMALL)


def test_the_calibration_of_depth_under_another_name_is_named(peer, start, taken) -> None:
    scene = Scene(peer, "/depth/info")
    start("toy_node.py", "--ros-args", "-p", "depth_topic:=/depth/image")
    scene.subscribed()
    elsewhere = lambda now: taken(640, now, size=(32, 24), frame="depth")  # noqa: E731
    missing = "no calibration of it came on /depth/camera_info"
    scene.show(lambda: scene.said(missing, 1), elsewhere)
    named = "nobody publishes /depth/camera_info; there is /camera_info, /depth/info: set depth_info_topic"
    scene.show(lambda: scene.said(named, 1), elsewhere)
