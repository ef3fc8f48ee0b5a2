"""The node as its users meet it: another process, over DDS."""

import signal
import time

import cv2
import numpy as np
import pytest

from prehend.cli.main import main
from prehend.ros import messages as m
from prehend.ros.conversion import convert, images
from prehend.types import Camera, FrameResult

WIDTH, HEIGHT = 64, 48
CAMERA = Camera(np.array([[60.0, 0, 31.5], [0, 61.0, 23.5], [0, 0, 1]]), WIDTH, HEIGHT)
FRAME = "camera_color_optical_frame"


def picture(order: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), order, np.uint8)


class Driver:
    """What a camera driver does."""

    def __init__(self, peer, topic: str = "/image_raw", type_name: str = m.IMAGE):
        self.peer = peer
        self.images = peer.publisher(topic, type_name)
        self.infos = peer.publisher(
            f"{topic.removesuffix('/compressed').rpartition('/')[0]}/camera_info", m.CAMERA_INFO
        )
        self._next_s = 0.0
        self.stamps: list[float] = []
        self.make = images.image_message if type_name == m.IMAGE else images.jpeg_message

    def ready(self, node: str = "/prehend") -> None:
        both = (self.images, self.infos)
        self.peer.until(lambda: all(p.get_subscription_count() for p in both), "the node subscribes")
        self.peer.known(node)

    def show(self, order: int, stamp_s: float | None = None, camera: Camera | None = CAMERA) -> None:
        header = convert.header_message(time.time() if stamp_s is None else stamp_s, FRAME)
        self.stamps.append(convert.seconds(header.stamp))
        self.infos.publish(m.encode(images.camera_message(header, camera, WIDTH, HEIGHT)))
        self.images.publish(m.encode(self.make(header, picture(order))))

    def show_until(self, order: int, fact, what: str, every_s: float = 0.2, **more) -> None:
        """Show an image again and again until `fact()` is true."""

        def step() -> object:
            if time.monotonic() > self._next_s:
                self.show(order, **more)
                self._next_s = time.monotonic() + every_s
            return fact()

        self.peer.until(step, what)


def status(array, name: str):
    return next(s for s in array.status if s.name.endswith(f": {name}"))


def test_every_field_of_both_hands_arrives_under_the_images_header(peer, start, toy):
    hands, tf = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/tf", m.TF)
    tracks = peer.listen("/prehend/tracks", m.HAND_TRACKS)
    driver = Driver(peer)
    start("toy_node.py")
    driver.ready()
    driver.show_until(2, lambda: hands and tf and tracks, "hands, tracks and transforms")

    def same(message) -> bool:
        header = message.transforms[0].header if hasattr(message, "transforms") else message.header
        return header == received.header

    received = hands[-1]
    peer.until(lambda: any(map(same, tracks)) and any(map(same, tf)), "the other topics of the same image")
    assert received.header.frame_id == FRAME
    expected = FrameResult(
        CAMERA,
        (toy.hand(1, "right"), toy.hand(2, "left", holds=True)),
        None,
        {"find": 1.0, "infer": 2.0, "total": 3.5},
        True,
    )
    wanted = convert.hand_array(received.header, expected, latency_ms=received.latency_ms, dropped=received.dropped)
    assert m.encode(received) == m.encode(wanted)
    assert 0 < received.latency_ms < 60_000
    track, tree = next(filter(same, tracks)), next(filter(same, tf)).transforms
    assert m.encode(track) == m.encode(convert.track_array(received.header, expected))
    assert [t.child_frame_id for t in tree] == ["right_hand_1", "left_hand_2", "held_object_2"]
    assert all(t.header == received.header for t in tree)


def test_events_come_once_under_the_image_that_tells_them(peer, start):
    events, hands = peer.listen("/prehend/events", m.HAND_EVENT), peer.listen("/prehend/hands", m.HAND_ARRAY)
    driver = Driver(peer)
    start("toy_node.py")
    driver.ready()
    driver.show_until(0, lambda: hands, "the node and this one know each other")
    driver.show_until(1, lambda: events, "a hand is found")
    driver.show_until(0, lambda: len(events) >= 2, "it is lost")
    found, lost = events
    assert (found.kind, lost.kind) == (found.FOUND, found.LOST) or lost.kind == found.LEFT_VIEW
    for event in events:
        assert event.header.frame_id == FRAME and (event.track_id, event.side) == (1, 1)
        onset, told = convert.seconds(event.onset), convert.seconds(event.header.stamp)
        assert told - onset == pytest.approx(event.late_s, abs=1e-3) and event.late_s > 0.05
        assert all(min(abs(stamp - one) for stamp in driver.stamps) < 1e-5 for one in (onset, told)), "both are images"
    assert 0 <= found.confidence <= 1 and np.isnan(lost.confidence)


def test_an_image_without_hands_gives_an_empty_message(peer, start):
    hands = peer.listen("/prehend/hands", m.HAND_ARRAY)
    driver = Driver(peer)
    start("toy_node.py")
    driver.ready()
    driver.show_until(0, lambda: hands, "an answer")
    assert hands[0].hands == []
    assert (hands[0].width, hands[0].height) == (WIDTH, HEIGHT)


def test_compressed_images(peer, start):
    hands = peer.listen("/prehend/hands", m.HAND_ARRAY)
    driver = Driver(peer, "/camera/image_raw/compressed", m.COMPRESSED_IMAGE)
    start("toy_node.py", "--ros-args", "-p", "image_transport:=compressed", "-r", "image_raw:=/camera/image_raw")
    driver.ready()
    driver.show_until(1, lambda: hands, "an answer")
    assert [hand.side for hand in hands[0].hands] == [1]


def test_a_late_subscriber_gets_the_model_info(peer, start, toy):
    hands = peer.listen("/prehend/hands", m.HAND_ARRAY)
    driver = Driver(peer)
    start("toy_node.py")
    driver.ready()
    driver.show_until(0, lambda: hands, "the node works")
    infos = peer.listen("/prehend/model_info", m.MODEL_INFO, latched=True)
    peer.until(lambda: infos, "model info")
    assert infos[0].joint_names[:2] == ["wrist", "thumb_cmc"]
    assert infos[0].hand_model_license == "CC0-1.0"
    np.testing.assert_array_equal(infos[0].faces_left.reshape(-1, 3), toy.FACTS.faces["left"])


def test_types_and_hashes_in_the_graph_are_those_of_the_definitions(peer, start):
    start("toy_node.py")
    topics = {
        "/prehend/hands": m.HAND_ARRAY,
        "/prehend/model_info": m.MODEL_INFO,
        "/tf": m.TF,
        "/diagnostics": m.DIAGNOSTICS,
    }
    peer.until(lambda: all(peer.node.count_publishers(topic) for topic in topics), "the node's topics")
    for topic, type_name in topics.items():
        info = peer.node.get_publishers_info_by_topic(topic)[0]
        assert info.topic_type == type_name
        assert str(info.topic_type_hash) == m.type_hash(type_name)


def test_the_node_outlives_failures_and_the_camera(peer, start):
    hands, told = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/diagnostics", m.DIAGNOSTICS)
    node = start("toy_node.py", "--ros-args", "-p", "silent_after_s:=0.5", "-p", "camera_info_timeout_s:=0.0")
    camera = start("dying_camera.py")
    peer.until(lambda: hands, "the camera's first image")
    peer.until(lambda: told and status(told[-1], "images").level == 0, "all is well with the images")
    camera.kill()
    # DDS still counts a killed publisher for 20 s
    peer.until(lambda: "silent" in status(told[-1], "images").message, "the camera is missed")
    assert status(told[-1], "images").level == 1

    driver = Driver(peer)
    driver.ready()
    driver.show_until(254, lambda: "orders a failure" in status(told[-1], "estimator").message, "the failure is told")
    assert status(told[-1], "estimator").level == 2
    wrong = images.image_message(convert.header_message(time.time(), FRAME), picture(1))
    wrong.encoding = "32FC1"
    # an image may get lost, or be replaced by the one before it
    peer.until(
        lambda: driver.images.publish(m.encode(wrong)) or "32FC1" in status(told[-1], "estimator").message,
        "the encoding is refused",
    )
    hands.clear()
    driver.show_until(1, lambda: hands, "the node still works")
    peer.until(lambda: status(told[-1], "estimator").level == 0, "all is well again")
    assert node.poll() is None


def test_an_uncalibrated_camera_is_flagged_and_has_no_transforms(peer, start):
    hands, tf = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/tf", m.TF)
    told = peer.listen("/diagnostics", m.DIAGNOSTICS)
    driver = Driver(peer)
    start("toy_node.py")
    driver.ready()
    driver.show_until(1, lambda: hands, "an answer", camera=None)
    peer.until(lambda: told and "not calibrated" in status(told[-1], "camera").message, "the diagnostics say why")
    assert status(told[-1], "camera").level == 1
    assert hands[0].camera_estimated and not hands[0].hands[0].metric_position_valid
    assert np.isfinite(hands[0].hands[0].joints_m).all()
    assert hands[0].k[0] > 0
    driver.show_until(1, lambda: tf, "transforms once it is calibrated")
    assert {t.header.frame_id for t in tf[0].transforms} == {FRAME}


def test_without_a_calibration_and_an_assumption_there_are_no_metres(peer, start):
    hands = peer.listen("/prehend/hands", m.HAND_ARRAY)
    driver = Driver(peer)
    start("toy_node.py", "--ros-args", "-p", "fov_deg:=0")
    driver.ready()
    driver.show_until(2, lambda: hands, "an answer", camera=None)
    for hand in hands[0].hands:
        assert np.isnan(hand.joints_m).all() and not len(hand.vertices_m) and np.isfinite(hand.keypoints_px).all()
    assert not hands[0].hands[1].held_object[0].pose_valid


def test_markers_and_overlay_are_published_to_those_who_ask(peer, start):
    markers = peer.listen("/prehend/markers", m.MARKERS)
    drawn = peer.listen("/prehend/overlay/compressed", m.COMPRESSED_IMAGE)
    driver = Driver(peer)
    start("toy_node.py", "--ros-args", "-p", "publish_markers:=mesh")
    driver.ready()
    driver.show_until(2, lambda: markers and drawn, "markers and overlay")
    assert markers[0].markers[0].action == 3, "first everything old is deleted"
    kinds = {(marker.ns, marker.id) for marker in markers[0].markers}
    assert {("bones", 1), ("mesh", 1), ("bones", 2), ("mesh", 2), ("object", 2), ("object_box", 2)} <= kinds
    height, width, _ = cv2.imdecode(drawn[0].data, cv2.IMREAD_COLOR).shape
    assert width * HEIGHT == height * WIDTH, "small images are drawn larger, in the same shape"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_node_cleanly(peer, start, number):
    node = start("toy_node.py")
    peer.until(lambda: peer.node.count_publishers("/prehend/hands"), "the node runs")
    node.send_signal(number)
    _, errors = node.communicate(timeout=60)
    assert node.returncode == 0, errors
    assert "Traceback" not in errors
    assert len(errors.splitlines()) == 1, "a quiet start: what it waits for"


def test_unexpected_errors_in_a_row_end_the_node_loudly(peer, start):
    driver = Driver(peer)
    node = start("toy_node.py")
    driver.ready()
    driver.show_until(255, lambda: node.poll() is not None, "the node ends", every_s=0.03)
    _, errors = node.communicate(timeout=60)
    assert node.returncode not in (0, None)
    assert "the image orders a crash" in errors


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["-p", "max_hands:=99"], "max_hands"),
        (["-p", "backend:=abacus"], "onnx"),
        (["-p", "min_scor:=0.5"], "min_scor"),
        (["-p", "publish_tf:=7"], "publish_tf"),
        (["--params-file", "/nowhere.yaml"], "/nowhere.yaml"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_wrong_parameters_end_with_one_line_and_exit_code_2(domain, capsys, arguments, word):
    assert main(["node", "--ros-args", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("prehend node: ") and word in lines[0]


def test_wrong_parameters_end_the_process_with_exit_code_2(start):
    node = start("prehend", "node", "--ros-args", "-p", "max_hands:=99")
    _, errors = node.communicate(timeout=60)
    assert node.returncode == 2
    assert "max_hands" in errors and "Traceback" not in errors


def test_live_parameters_are_checked_and_take_effect(peer, start):
    from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
    from rcl_interfaces.srv import SetParameters

    hands = peer.listen("/prehend/hands", m.HAND_ARRAY)
    driver = Driver(peer)
    start("toy_node.py")
    driver.ready()

    def set_parameter(name: str, **value) -> bool:
        given = [Parameter(name=name, value=ParameterValue(**value))]
        return peer.ask(SetParameters, "set_parameters", parameters=given).results[0].successful

    driver.show_until(1, lambda: hands and len(hands[-1].hands[0].vertices_m), "a mesh")
    assert set_parameter("publish_mesh", type=ParameterType.PARAMETER_BOOL, bool_value=False)
    driver.show_until(1, lambda: not len(hands[-1].hands[0].vertices_m), "no mesh")
    assert not set_parameter("publish_markers", type=ParameterType.PARAMETER_STRING, string_value="everything")
    assert not set_parameter("threads", type=ParameterType.PARAMETER_INTEGER, integer_value=3), "only at the start"
