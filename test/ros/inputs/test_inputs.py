"""Subscriptions in a real graph: what is told of a silence, and listening anew."""

import signal

import numpy as np
import pytest

from prehend.ros import messages as m
from prehend.ros.conversion import convert, images


def status(array, name: str):
    return next(s for s in array.status if s.name.endswith(f": {name}"))


def image(order: int = 0) -> bytes:
    header = convert.header_message(1.0, "cam")
    return m.encode(images.image_message(header, np.full((48, 64, 3), order, np.uint8)))


def publish_as(peer, topic: str, type_name: str, reliable: bool = True, depth: int = 10):
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    kind = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return peer.node.create_publisher(m.message_class(type_name), topic, QoSProfile(depth=depth, reliability=kind))


@pytest.mark.parametrize(
    ("publisher", "arguments", "words"),
    [
        (("/image_raw", m.IMAGE, False), ["-p", "image_reliability:=reliable"], ["/peer is best effort", "reliab"]),
        (("/image_raw", m.COMPRESSED_IMAGE, True), [], ["CompressedImage", "image_transport:=compressed"]),
        (("/image_raw/compressed", m.COMPRESSED_IMAGE, True), [], ["nobody publishes", "image_transport:=compressed"]),
        (("/image_raw", m.IMAGE, True), ["-p", "image_transport:=compressed"], ["nobody", "image_transport:=raw"]),
        (("/cam/image", m.IMAGE, True), [], ["nobody publishes /image_raw", "/cam/image"]),
        (("/image_raw", m.IMAGE, True), [], ["does /peer send"]),
        (
            ("/cam/compressed", m.COMPRESSED_IMAGE, True),
            ["-r", "image_raw/compressed:=/cam/compressed"],
            ["image_raw/compressed is remapped to /cam/compressed", "image_transport:=compressed"],
        ),
    ],
)
def test_the_true_cause_of_silence_is_told(peer, start, publisher, arguments, words):
    told = peer.listen("/diagnostics", m.DIAGNOSTICS)
    kept = publish_as(peer, *publisher)
    start("toy_node.py", "--ros-args", "-p", "silent_after_s:=0.5", *arguments)

    def named() -> bool:
        return bool(told) and all(word in status(told[-1], "images").message for word in words)

    peer.until(named, " and ".join(words))
    assert status(told[-1], "images").level == 1
    peer.node.destroy_publisher(kept)


@pytest.mark.parametrize("remap", ["image_raw:=/cam/compressed", "image_raw/compressed:=/cam/compressed"])
def test_a_compressed_topic_may_be_named_in_full(peer, start, remap):
    hands = peer.listen("/prehend/hands", m.HAND_ARRAY)
    sender = peer.publisher("/cam/compressed", m.COMPRESSED_IMAGE)
    infos = peer.publisher("/camera_info", m.CAMERA_INFO)  # beside /cam
    start("toy_node.py", "--ros-args", "-p", "image_transport:=compressed", "-r", remap)
    peer.until(lambda: sender.get_subscription_count() and infos.get_subscription_count(), "the node subscribes")
    header = convert.header_message(1.0, "cam")
    jpeg = m.encode(images.jpeg_message(header, np.zeros((48, 64, 3), np.uint8)))
    info = m.encode(images.camera_message(header, None, 64, 48))
    peer.until(lambda: infos.publish(info) or sender.publish(jpeg) or hands, "an answer")


@pytest.mark.slow
def test_a_reliable_stream_that_goes_mute_is_subscribed_to_anew(peer, start):
    """Fast DDS never acknowledges an empty payload from another process: what comes after it waits until the publisher
    forgets it, here for ever."""
    hands, told = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/diagnostics", m.DIAGNOSTICS)
    sender = publish_as(peer, "/image_raw", m.IMAGE, depth=10_000)
    settings = ("image_reliability:=reliable", "camera_info_timeout_s:=0.0")
    start("toy_node.py", "--ros-args", *(word for text in settings for word in ("-p", text)))
    peer.until(lambda: sender.publish(image()) or peer.spin(0.05) or hands, "an answer")
    sender.publish(b"")
    peer.spin(1.0)
    before = len(hands)
    peer.until(lambda: sender.publish(image()) or peer.spin(0.1) or len(hands) > before + 5, "answers again")

    def anew() -> int:
        values = status(told[-1], "node").values if told else ()
        return next((int(one.value) for one in values if one.key == "subscribed anew"), 0)

    # diagnostics come once a second, the answers sooner
    peer.until(lambda: sender.publish(image()) or peer.spin(0.1) or anew() >= 1, "the diagnostics to say so")


@pytest.mark.slow
@pytest.mark.parametrize("reliability", ["reliable", "best_effort"])
def test_a_node_that_was_stopped_goes_on(peer, start, reliability):
    hands = peer.listen("/prehend/hands", m.HAND_ARRAY)
    sender = peer.publisher("/image_raw", m.IMAGE)
    settings = (f"image_reliability:={reliability}", "camera_info_timeout_s:=0.0")
    node = start("toy_node.py", "--ros-args", *(word for text in settings for word in ("-p", text)))
    peer.until(lambda: sender.publish(image()) or peer.spin(0.05) or hands, "an answer")
    node.send_signal(signal.SIGSTOP)
    for _ in range(40):
        sender.publish(image())
        peer.spin(0.1)
    before = len(hands)
    node.send_signal(signal.SIGCONT)
    peer.until(lambda: sender.publish(image()) or peer.spin(0.1) or len(hands) > before + 20, "answers again")


def test_two_cameras_on_one_topic_are_told(peer, start):
    told = peer.listen("/diagnostics", m.DIAGNOSTICS)
    senders = [peer.publisher("/image_raw", m.IMAGE) for _ in range(2)]
    start("toy_node.py")
    peer.until(lambda: all(one.get_subscription_count() for one in senders), "the node subscribes")

    def images_message():
        return next((s.message for s in told[-1].status if s.name.endswith(": images")), "") if told else ""

    peer.until(lambda: "2 publish /image_raw" in images_message() or _send(senders), "it is told")
    assert "are mixed" in images_message()


def _send(senders):
    """An image from each; never true."""
    from prehend.ros.conversion import convert, images

    for number, sender in enumerate(senders):
        header = convert.header_message(1.0 + number, "cam")
        sender.publish(m.encode(images.image_message(header, np.full((48, 64, 3), 2, np.uint8))))
    return False


def message_of(told, name: str) -> str:
    return status(told[-1], name).message if told else ""


def test_a_driver_in_another_domain_is_told_and_no_transport_is_blamed(peer, stranger, start, next_domain):
    """With LARGE_DATA, as all processes of these tests."""
    told = peer.listen("/diagnostics", m.DIAGNOSTICS)
    sender = publish_as(stranger, "/image_raw", m.IMAGE)
    start("toy_node.py", "--ros-args", "-p", "silent_after_s:=0.5")
    peer.until(lambda: "nobody publishes /image_raw: ROS_DOMAIN_ID is" in message_of(told, "images"), "the domain")
    said = message_of(told, "images")
    assert str(next_domain) in said.split("have")[1] and "LARGE_DATA" not in said
    stranger.node.destroy_publisher(sender)


def test_a_driver_that_ended_is_told(peer, start):
    told, hands = peer.listen("/diagnostics", m.DIAGNOSTICS), peer.listen("/prehend/hands", m.HAND_ARRAY)
    sender = peer.publisher("/image_raw", m.IMAGE)
    start("toy_node.py", "--ros-args", "-p", "silent_after_s:=0.5", "-p", "camera_info_timeout_s:=0.0")
    peer.until(lambda: sender.publish(image()) or peer.spin(0.05) or hands, "an answer")
    peer.node.destroy_publisher(sender)
    peer.until(lambda: "nobody publishes /image_raw any more" in message_of(told, "images"), "its end")


@pytest.mark.parametrize(
    ("topic", "kind", "says"),
    [
        ("/cam/info", m.CAMERA_INFO, "nobody publishes /camera_info; there is /cam/info: remap with -r camera_info:="),
        ("/camera_info", m.IMAGE, "/camera_info carries sensor_msgs/msg/Image"),
        ("/camera_info", m.CAMERA_INFO, "/peer publishes /camera_info, but none came"),
        ("/else", m.IMAGE, "no camera_info yet: nobody publishes /camera_info: 60 degrees"),
    ],
)
def test_a_calibration_that_does_not_come_has_one_cause(peer, start, topic, kind, says):
    told = peer.listen("/diagnostics", m.DIAGNOSTICS)
    sender, other = peer.publisher("/image_raw", m.IMAGE), peer.publisher(topic, kind)
    start("toy_node.py", "--ros-args", "-p", "camera_info_timeout_s:=0.0")
    peer.until(lambda: sender.publish(image()) or peer.spin(0.1) or says in message_of(told, "camera"), says)
    assert status(told[-1], "camera").level == 1
    peer.node.destroy_publisher(other)


def test_discovery_that_is_off_is_told_in_the_log_since_nobody_hears_the_diagnostics(domain, start, monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    node = start("toy_node.py", "--ros-args", "-p", "silent_after_s:=0.5")
    for line in node.stderr:
        if "WARN" in line:
            break
    assert "ROS_AUTOMATIC_DISCOVERY_RANGE is OFF: nobody is found; set LOCALHOST or SUBNET" in line
