"""Parameter `outputs`, over DDS, in the messages of others."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from prehend.adapters.hand_tracking_sdk import hand_topics, joint_names_text
from prehend.adapters.joint_state import joint_angles
from prehend.geometry.rotations import matrix_from_quaternion
from prehend.ros import messages as m
from prehend.ros.params import NodeParams

spec = importlib.util.spec_from_file_location("node_tests", Path(__file__).with_name("test_node.py"))
node_tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(node_tests)
Driver, FRAME = node_tests.Driver, node_tests.FRAME


def test_the_parameter_is_a_list():
    assert NodeParams().chosen_outputs() == ("hands",)
    assert NodeParams(outputs=" hands, hts ").chosen_outputs() == ("hands", "hts")
    assert NodeParams(outputs="[joint_states,detections]").chosen_outputs() == ("joint_states", "detections")
    assert NodeParams(outputs="").chosen_outputs() == ()


def test_every_output_arrives_under_the_images_header(peer, start, toy):
    joints = peer.listen("/prehend/joint_states/left", m.JOINT_STATE)
    poses = peer.listen("/prehend/joint_poses/left", m.POSE_ARRAY)
    found = peer.listen("/prehend/detections", m.DETECTIONS)
    wrists = peer.listen("/hands/right/wrist_pose", m.POSE_STAMPED)
    landmarks = peer.listen("/hands/right/landmarks", m.POSE_ARRAY)
    names = peer.listen("/hands/joint_names", m.STRING, latched=True)
    driver = Driver(peer)
    start("toy_node.py", "--ros-args", "-p", "outputs:=hands,joint_states,joint_poses,detections,hts")
    driver.ready()
    driver.show_until(2, lambda: joints and poses and found and wrists and landmarks and names, "all outputs")
    right, left = toy.hand(1, "right"), toy.hand(2, "left", holds=True)

    angles = joint_angles(left.rotations, "left")
    assert joints[0].name == list(angles.names)
    np.testing.assert_allclose(joints[0].position, angles.positions_rad)
    assert not len(joints[0].velocity)
    assert joints[0].header.frame_id == FRAME

    np.testing.assert_allclose([[p.position.x, p.position.y, p.position.z] for p in poses[0].poses], left.joints_m)
    turns = np.array([[p.orientation.x, p.orientation.y, p.orientation.z, p.orientation.w] for p in poses[0].poses])
    turned = matrix_from_quaternion(turns)
    np.testing.assert_allclose(turned[0], left.rotations[0], atol=1e-6)
    np.testing.assert_allclose(turned[5], left.rotations[0] @ left.rotations[1], atol=1e-6)  # the index finger's first
    np.testing.assert_allclose(turned[8], turned[7], atol=1e-6)  # its tip

    topics = hand_topics(right.joints_m, right.rotations, "right", T_world_camera=np.eye(4))
    place, turn = wrists[0].pose.position, wrists[0].pose.orientation
    np.testing.assert_allclose([place.x, place.y, place.z], right.joints_m[0])
    np.testing.assert_allclose([turn.x, turn.y, turn.z, turn.w], topics.wrist_quaternion_xyzw)
    np.testing.assert_allclose([[p.position.x, p.position.y, p.position.z] for p in landmarks[0].poses], right.joints_m)
    assert names[0].data == joint_names_text()
    assert {wrists[0].header.frame_id, landmarks[0].header.frame_id, found[0].header.frame_id} == {FRAME}

    (detection,) = found[0].detections
    assert (detection.id, detection.results[0].hypothesis.class_id) == ("2", "mug")
    T = left.held_object.T_camera_object
    center = T[:3, :3] @ toy.FACTS.objects["mug"][20] + T[:3, 3]
    told = detection.bbox.center.position
    np.testing.assert_allclose([told.x, told.y, told.z], center)


def test_without_hands_there_are_empty_detections_and_nothing_else(peer, start):
    joints = peer.listen("/prehend/joint_states/right", m.JOINT_STATE)
    found = peer.listen("/prehend/detections", m.DETECTIONS)
    driver = Driver(peer)
    start("toy_node.py", "--ros-args", "-p", "outputs:=joint_states,detections")
    driver.ready()
    driver.show_until(0, lambda: found, "detections")
    assert found[0].detections == []
    assert not joints


def test_nobody_is_bothered_unasked(peer, start):
    hands = peer.listen("/prehend/hands", m.HAND_ARRAY)
    driver = Driver(peer)
    start("toy_node.py")
    driver.ready()
    driver.show_until(2, lambda: hands, "hands")
    topics = {name for name, _ in peer.node.get_topic_names_and_types()}
    assert not {
        name
        for name in topics
        if "joint_states" in name or "joint_poses" in name or "detections" in name or name.startswith("/hands/")
    }


@pytest.mark.parametrize("name", ["Detection3DArray", "Detection3D", "ObjectHypothesisWithPose", "BoundingBox3D"])
def test_vision_msgs_are_registered(name):
    assert m.type_hash(f"vision_msgs/msg/{name}").startswith("RIHS01_")
