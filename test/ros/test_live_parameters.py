"""Parameters that change while the node runs, as `ros2 param set` changes them."""

import time

import numpy as np
import pytest

from prehend.ros import messages as m
from prehend.ros.conversion import convert, images
from prehend.ros.params import specs
from prehend.types import Camera

WIDTH, HEIGHT = 64, 48
CAMERA = Camera(np.array([[60.0, 0, 31.5], [0, 61.0, 23.5], [0, 0, 1]]), WIDTH, HEIGHT)


@pytest.fixture
def live(peer, start):
    """A running node, a function that sets a parameter and returns (done, reason), and one that shows images."""
    from rcl_interfaces.srv import SetParameters
    from rclpy.parameter import Parameter

    pictures, infos = peer.publisher("/image_raw", m.IMAGE), peer.publisher("/camera_info", m.CAMERA_INFO)
    start("toy_node.py", "--ros-args", "-p", "qos_overrides./prehend/hands.publisher.depth:=7")
    peer.until(lambda: pictures.get_subscription_count() and infos.get_subscription_count(), "the node subscribes")

    def change(**values):
        given = [Parameter(name.replace("__", "."), value=value).to_parameter_msg() for name, value in values.items()]
        result = peer.ask(SetParameters, "set_parameters", parameters=given).results[0]
        return result.successful, result.reason

    def show_until(order, fact, what):
        due = [0.0]

        def step():
            if time.monotonic() > due[0]:
                header = convert.header_message(time.time(), "cam")
                infos.publish(m.encode(images.camera_message(header, CAMERA, WIDTH, HEIGHT)))
                picture = np.full((HEIGHT, WIDTH, 3), order, np.uint8)
                pictures.publish(m.encode(images.image_message(header, picture)))
                due[0] = time.monotonic() + 0.1
            return fact()

        peer.until(step, what)

    return change, show_until


def test_options_of_the_estimator_reach_it_while_it_runs(peer, live):
    hands = peer.listen("/prehend/hands", m.HAND_ARRAY)
    change, show_until = live
    show_until(2, lambda: hands and len(hands[-1].hands) == 2, "two hands")
    assert change(max_hands=1) == (True, "")
    show_until(2, lambda: len(hands[-1].hands) == 1, "one hand")
    for name, value in {
        "object_id": "mug, hammer", "min_score": 0.5, "find_interval_s": 0.2, "keep_lost_s": 1.0, "lost": "fade",
        "operator": "largest", "smooth_min_cutoff_hz": 3.0, "smooth_beta": 1.0, "silent_after_s": 4.0,
    }.items():  # fmt: skip
        assert change(**{name: value}) == (True, ""), name


def test_what_cannot_be_is_refused_with_its_reason(live):
    change, _ = live
    for values, words in (
        ({"object_id": "mugg"}, ["mugg", "mug"]),
        ({"lost": "vanish"}, ["lost", "drop, fade, hold"]),
        ({"max_hands": 99}, ["max_hands"]),
        ({"min_score": "high"}, ["min_score", "high", "float"]),
        ({"min_score": 7}, ["min_score"]),
        ({"threads": 3}, ["threads", "read-only"]),
        ({"image_reliability": "reliable"}, ["image_reliability", "read-only"]),
        ({"qos_overrides__/prehend/hands__publisher__depth": 3}, ["counts from the start"]),
    ):
        done, reason = change(**values)
        assert not done and all(word in reason for word in words), (values, reason)
    assert change(operator=False) == (True, ""), "what `ros2 param set` makes of off"
    done, reason = change(publish_finger_frames=True)
    assert not done and "operator" in reason


def test_frames_of_the_fingers_come_when_they_are_asked_for(peer, live):
    tf = peer.listen("/tf", m.TF)
    change, show_until = live
    show_until(2, lambda: tf, "transforms")
    assert not any("index" in entry.child_frame_id for entry in tf[-1].transforms)
    assert change(publish_finger_frames=True) == (True, "")
    # the toy's hands are nobody's: only the operator's have fingers
    show_until(2, lambda: len(tf) > 3, "more transforms")
    assert all("index" not in entry.child_frame_id for message in tf for entry in message.transforms)
    show_until(12, lambda: any(e.child_frame_id == "right_index_tip" for e in tf[-1].transforms), "finger frames")
    names = [entry.child_frame_id for entry in tf[-1].transforms]
    objects = {"held_object", "held_object_2", "left_hand_object"}
    assert {name for name in names if "object" in name} == objects
    assert len(names) == len(set(names)) == 2 + 2 + 3 + 40, "two tracks, two operators' hands, an object, 20 each"
    assert {e.header.stamp.nanosec for e in tf[-1].transforms} == {tf[-1].transforms[0].header.stamp.nanosec}


def test_every_live_parameter_is_declared_as_such(live, peer):
    from rcl_interfaces.srv import DescribeParameters

    descriptors = peer.ask(DescribeParameters, "describe_parameters", names=list(specs())).descriptors
    for (name, spec), told in zip(specs().items(), descriptors, strict=True):
        assert told.read_only == (not spec.live), name
        assert told.description == spec.text


def test_times_of_every_stage_are_in_message_and_diagnostics(peer, live):
    timing, told = peer.listen("/prehend/timing", m.HAND_TIMING), peer.listen("/diagnostics", m.DIAGNOSTICS)
    _, show_until = live

    def values() -> dict:
        status = next((s for s in told[-1].status if s.name.endswith(": estimator")), None) if told else None
        return {} if status is None else {one.key: one.value for one in status.values}

    show_until(1, lambda: timing and "publish p95 [ms]" in values(), "times")
    one = timing[-1]
    assert (one.find_ms, one.infer_ms, one.crop_ms) == (1.0, 2.0, 0.0), "of the toy"
    parts = one.arrival_ms + one.wait_ms + one.read_ms + one.sync_ms + one.publish_ms
    assert 0 < parts <= one.latency_ms + 1.0, "the toy's own 3 ms are made up"
    assert min(one.arrival_ms, one.wait_ms, one.read_ms, one.sync_ms, one.publish_ms) >= 0
    for stage in ("arrival", "wait", "read", "sync", "find", "infer", "publish"):
        assert 0 <= float(values()[f"{stage} p50 [ms]"]) <= float(values()[f"{stage} p95 [ms]"])


def test_pause_and_reset_do_what_they_say(peer, live):
    from std_srvs.srv import SetBool, Trigger

    hands, events = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/prehend/events", m.HAND_EVENT)
    _, show_until = live

    def call(kind, name, **values):
        answer = peer.ask(kind, name, **values)
        return answer.success, answer.message

    found = lambda: [event for event in events if event.kind == event.FOUND]  # noqa: E731
    peer.known()  # an event comes once
    show_until(0, lambda: hands, "an answer")
    show_until(1, lambda: len(found()) == 1, "a hand is found")
    assert call(Trigger, "reset") == (True, "all hands are forgotten")
    show_until(1, lambda: len(found()) == 2, "it is found again")
    assert call(SetBool, "pause", data=True) == (True, "paused")
    told = peer.listen("/diagnostics", m.DIAGNOSTICS)
    show_until(1, lambda: any(s.message == "paused" for one in told for s in one.status), "it says that it is paused")
    count = len(told)
    show_until(1, lambda: len(told) > count, "what was on its way has come")
    hands.clear()
    show_until(1, lambda: len(told) > count + 2, "two more seconds of images")
    assert hands == []
    assert call(SetBool, "pause", data=False) == (True, "running")
    show_until(1, lambda: hands, "it goes on")
