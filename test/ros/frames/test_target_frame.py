"""The node with `target_frame`, over DDS: hands in that frame, or without metres and said so."""

import time

import numpy as np
import pytest

from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.ros import messages as m
from prehend.ros.conversion import convert
from prehend.ros.conversion.images import camera_message, image_message
from prehend.types import Camera

WIDTH, HEIGHT = 64, 48
CAMERA = Camera(np.array([[60.0, 0, 31.5], [0, 61.0, 23.5], [0, 0, 1]]), WIDTH, HEIGHT)


def test_hands_are_told_in_the_target_frame_once_its_transform_is_known(peer, start, toy, tf_bytes) -> None:
    hands, told = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/diagnostics", m.DIAGNOSTICS)
    tf = peer.listen("/tf", m.TF)
    pictures, infos = peer.publisher("/image_raw", m.IMAGE), peer.publisher("/camera_info", m.CAMERA_INFO)
    links = peer.publisher("/tf", m.TF)
    start("toy_node.py", "--ros-args", "-p", "target_frame:=base")
    peer.until(lambda: all(one.get_subscription_count() for one in (pictures, infos)), "the node subscribes")
    peer.until(lambda: links.get_subscription_count() > 1, "the node listens to /tf")
    next_s = 0.0

    def show(T: np.ndarray | None, fact) -> None:
        def step() -> object:
            nonlocal next_s
            if time.monotonic() > next_s:
                now = time.time()
                header = convert.header_message(now, "cam")
                if T is not None:
                    links.publish(tf_bytes(("base", "cam", now - 0.2, T), ("base", "cam", now + 0.2, T)))
                infos.publish(m.encode(camera_message(header, CAMERA, WIDTH, HEIGHT)))
                pictures.publish(m.encode(image_message(header, np.full((HEIGHT, WIDTH, 3), 2, np.uint8))))
                next_s = time.monotonic() + 0.2
            return fact()

        peer.until(step, "an answer")

    def said(text: str, level: int) -> bool:
        states = [one for one in told[-1].status if one.name.endswith(": target_frame")] if told else []
        return bool(states) and text in states[0].message and states[0].level == level

    show(None, lambda: hands and said("nobody publishes 'base'", 1))
    for hand in hands[-1].hands:
        assert np.isnan(hand.joints_m).all() and np.isfinite(hand.keypoints_px).all()
        assert not hand.metric_position_valid
    assert hands[-1].header.frame_id == "cam"

    T = np.eye(4)
    T[:3, :3], T[:3, 3] = matrix_from_axis_angle(np.array([0.3, -1.0, 0.7])), [0.4, -2.0, 1.0]
    tf.clear()
    show(T, lambda: any(array.header.frame_id == "base" for array in hands) and said("hands are in 'base'", 0))
    show(T, lambda: any(one.child_frame_id == "left_hand_2" for tree in tf for one in tree.transforms))
    there = next(array for array in hands if array.header.frame_id == "base")
    expected = toy.hand(2, "left", holds=True)
    found = there.hands[1]
    np.testing.assert_allclose(found.joints_m.reshape(21, 3), expected.joints_m @ T[:3, :3].T + T[:3, 3], atol=1e-4)
    pose = found.held_object[0].pose.position
    np.testing.assert_allclose([pose.x, pose.y, pose.z], (T @ expected.held_object.T_camera_object)[:3, 3], atol=1e-4)
    own = [one for tree in tf for one in tree.transforms if one.child_frame_id == "left_hand_2"]
    assert own and {one.header.frame_id for one in own} == {"base"}
    place = own[0].transform.translation
    assert [place.x, place.y, place.z] == pytest.approx(found.joints_m[:3].tolist(), abs=1e-4)
    assert any(one.header.stamp == there.header.stamp for one in own), "with the image's stamp"

    show(None, lambda: said("older than the image", 1))
    count = len(told)
    peer.until(lambda: len(told) > count + 4, "diagnostics without an image")
    assert said("older than the image", 1), "what kept the last image from its metres"
