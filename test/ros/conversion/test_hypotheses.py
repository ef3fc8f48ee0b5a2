"""What hands may be besides, as messages and over DDS."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from prehend.errors import ParameterError
from prehend.ros import messages as m
from prehend.ros.conversion import convert
from prehend.ros.conversion.hypotheses import hypotheses_array
from prehend.ros.params import NodeParams
from prehend.types import Camera, FrameResult

spec = importlib.util.spec_from_file_location("node_tests", Path(__file__).parents[1] / "test_node.py")
node_tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(node_tests)
Driver = node_tests.Driver

CAMERA = Camera(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)


def array_of(toy, **timing):
    hands = (toy.hand(1, "right"), toy.hand(2, "left", holds=True))
    header = convert.header_message(1700000000.125, "camera")
    message = hypotheses_array(header, FrameResult(CAMERA, hands, 12.5, timing, True))
    return hands, m.decode(m.encode(message), m.HAND_HYPOTHESES)


def test_every_hand_has_an_entry_and_those_without_say_so(toy):
    hands, array = array_of(toy, hypotheses=6.5)
    none, some = array.hands
    assert array.spent_ms == 6.5 and [entry.track_id for entry in array.hands] == [1, 2]
    assert (none.count, none.consistent, len(none.joints_m)) == (0, -1, 0) and np.isnan(none.joint_covariance_m2).all()
    found = hands[1].hypotheses
    assert (some.count, some.consistent, some.steps) == (3, 2, 5)
    np.testing.assert_allclose(some.joints_m.reshape(3, 21, 3), found.joints_m, rtol=1e-6)
    upper = some.joint_covariance_m2.reshape(21, 6)
    np.testing.assert_allclose(upper[:, [0, 3, 5]], np.diagonal(found.joint_covariance_m2, axis1=1, axis2=2), rtol=1e-5)
    np.testing.assert_allclose(upper[:, 1], found.joint_covariance_m2[:, 0, 1], rtol=1e-5)
    assert some.position_std_m == pytest.approx(0.02)


def test_without_metres_there_are_none(toy):
    result = FrameResult(CAMERA, (toy.hand(2, "left", holds=True),), 12.5, {}, True)
    assert convert.without_metres(result).hands[0].hypotheses is None


def test_they_move_with_their_hand(toy):
    found = toy.hand(2, "left", holds=True).hypotheses
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]], [1.0, 2.0, 3.0]
    moved = found.moved(T)
    np.testing.assert_allclose(moved.joints_m[1, 4], T[:3, :3] @ found.joints_m[1, 4] + T[:3, 3])
    np.testing.assert_allclose(moved.joint_covariance_m2[4, 1, 1], found.joint_covariance_m2[4, 0, 0])
    np.testing.assert_allclose(moved.rotations[:, 1:], found.rotations[:, 1:])
    np.testing.assert_allclose(moved.rotations[0, 0], T[:3, :3] @ found.rotations[0, 0])


def test_their_time_counts_to_the_answers():
    assert convert.with_hypotheses({"decode": 2.0, "hypotheses": 5.0, "total": 9.0}) == {"decode": 7.0, "total": 9.0}
    assert convert.with_hypotheses({"decode": 2.0, "total": 4.0}) == {"decode": 2.0, "total": 4.0}


def test_the_parameter_is_checked():
    with pytest.raises(ParameterError, match="hypotheses is 1, expected 0 for none, or 2 to 64"):
        NodeParams(hypotheses=1).options()
    with pytest.raises(ParameterError, match="parameter hypotheses is 1000, allowed: 0 to 64"):
        NodeParams(hypotheses=1000)
    with pytest.raises(ParameterError, match="hypotheses goes with no rig"):
        NodeParams(hypotheses=8, cameras="front, left", rig=True)
    assert NodeParams(hypotheses=8, hypothesis_budget_ms=4.0).options().hypothesis_budget_ms == 4.0


def test_they_arrive_where_they_are_asked_for(peer, start, toy):
    found = peer.listen("/prehend/hypotheses", m.HAND_HYPOTHESES)
    hands = peer.listen("/prehend/hands", m.HAND_ARRAY)
    driver = Driver(peer)
    start("toy_node.py", "--ros-args", "-p", "hypotheses:=8")
    driver.ready()
    driver.show_until(2, lambda: found, "hypotheses")
    peer.until(lambda: any(array.header == found[0].header for array in hands), "the hands of the same image")
    expected = toy.hand(2, "left", holds=True).hypotheses
    np.testing.assert_allclose(found[0].hands[1].joints_m.reshape(3, 21, 3), expected.joints_m, rtol=1e-6)


def test_they_are_made_only_while_somebody_subscribes(peer, start, toy):
    """The parameter is on all the while; what they take is in the times of each image."""
    timing, found = peer.listen("/prehend/timing", m.HAND_TIMING), []
    driver = Driver(peer)
    start("toy_node.py", "--ros-args", "-p", "hypotheses:=8")
    driver.ready()
    driver.show_until(2, lambda: timing, "an answer")
    assert timing[-1].decode_ms == 0
    kind = m.message_class(m.HAND_HYPOTHESES)
    heard = peer.node.create_subscription(kind, "/prehend/hypotheses", found.append, 10, raw=True)
    driver.show_until(2, lambda: found and timing[-1].decode_ms == toy.OPEN_MS, "they are made and told")
    peer.node.destroy_subscription(heard)
    driver.show_until(2, lambda: timing[-1].decode_ms == 0, "they are made no longer")


def test_of_several_cameras_those_that_somebody_subscribes_to_have_them(peer, start):
    told = {name: peer.listen(f"/prehend/{name}/timing", m.HAND_TIMING) for name in ("front", "left")}
    found = peer.listen("/prehend/left/hypotheses", m.HAND_HYPOTHESES)
    drivers = {name: Driver(peer, f"/{name}/image_raw") for name in told}
    start("toy_rig.py", "--ros-args", "-p", "cameras:=[front, left]", "-p", "hypotheses:=8")
    for name, driver in drivers.items():
        driver.ready(f"/prehend/{name}")
    drivers["front"].show_until(1, lambda: told["front"], "an answer")
    drivers["left"].show_until(1, lambda: found and told["left"] and told["left"][-1].decode_ms > 0, "hypotheses")
    assert all(one.decode_ms == 0 for one in told["front"])


def test_nobody_gets_them_unasked(peer, start):
    hands = peer.listen("/prehend/hands", m.HAND_ARRAY)
    driver = Driver(peer)
    start("toy_node.py")
    driver.ready()
    driver.show_until(2, lambda: hands, "hands")
    assert "/prehend/hypotheses" not in {name for name, _ in peer.node.get_topic_names_and_types()}
