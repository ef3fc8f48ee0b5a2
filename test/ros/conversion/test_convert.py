"""Results to messages and markers, without a node."""

import time
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from prehend.conventions import JOINT_NAMES, JOINT_PARENTS, MANO_JOINT_NAMES, SIDES, TIP_JOINTS
from prehend.geometry.rotations import matrix_from_axis_angle, matrix_from_quaternion
from prehend.hand_model import load_hand_model, skin
from prehend.io.cameras.camera_info import camera_from_info
from prehend.io.pixels.images import decode_image, image_from_message
from prehend.ros import messages as m
from prehend.ros.conversion import convert, images
from prehend.ros.conversion.markers import marker_array
from prehend.types import Camera, EventKind, FrameResult, HandEvent, HandMotion

K = np.array([[500.0, 0, 319.5], [0, 510.0, 239.5], [0, 0, 1]])
CAMERA = Camera(K, 640, 480)


@pytest.fixture
def result(toy) -> FrameResult:
    hands = (toy.hand(1, "right"), toy.hand(2, "left", holds=True))
    return FrameResult(
        CAMERA, hands, 12.5, {"find": 1.0, "crop": 2.0, "infer": 3.0, "decode": 4.0, "total": 10.5}, True
    )


@pytest.fixture
def header():
    return convert.header_message(1700000000.125, "camera_color_optical_frame")


def through_bytes(message):
    return m.decode(m.encode(message), message.__msgtype__)


def matrix(pose) -> np.ndarray:
    """(4, 4) of a geometry_msgs/Pose."""
    q, p = pose.orientation, pose.position
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = matrix_from_quaternion(np.array([q.x, q.y, q.z, q.w])), (p.x, p.y, p.z)
    return T


def test_a_result_can_be_read_back_from_the_bytes(result, header):
    array = through_bytes(convert.hand_array(header, result, latency_ms=20.0, dropped=3))
    assert array.header == header
    np.testing.assert_array_equal(array.k.reshape(3, 3), K)
    assert (array.find_ms, array.crop_ms, array.infer_ms, array.decode_ms, array.total_ms) == (1, 2, 3, 4, 10.5)
    assert (array.latency_ms, array.dropped, array.found) == (20.0, 3, True)
    for message, hand in zip(array.hands, result.hands, strict=True):
        assert (message.track_id, SIDES[message.side]) == (hand.track_id, hand.side)
        np.testing.assert_allclose(message.joints_m.reshape(21, 3), hand.joints_m, rtol=1e-6)
        np.testing.assert_allclose(message.keypoints_px.reshape(21, 2), hand.keypoints_px, rtol=1e-6)
        np.testing.assert_array_equal(message.vertices_m.reshape(-1, 3), hand.vertices_m)
        np.testing.assert_array_equal(message.visible, hand.visible)
        rotations = matrix_from_quaternion(message.joint_orientations.reshape(16, 4))
        np.testing.assert_allclose(rotations, hand.rotations, atol=1e-6)
        T = matrix(message.wrist)
        np.testing.assert_allclose(T[:3, 3], hand.joints_m[0])
        np.testing.assert_allclose(T[:3, :3], hand.rotations[0], atol=1e-9)
    bare, holding = array.hands
    assert (bare.grasp.state, holding.grasp.state) == (bare.grasp.NOT_GRASPING, bare.grasp.GRASPING)
    assert convert.seconds(holding.grasp.since) == 1700000000.25
    assert bare.held_object == []
    held = holding.held_object[0]
    assert held.pose_valid
    np.testing.assert_allclose(matrix(held.pose), result.hands[1].held_object.T_camera_object, atol=1e-9)


def test_tf_puts_wrists_and_objects_below_the_images_frame(result, header):
    tree = through_bytes(convert.transforms(header, result, "cell2_")).transforms
    names = ["cell2_right_hand_1", "cell2_left_hand_2", "cell2_held_object_2"]
    assert [entry.child_frame_id for entry in tree] == names
    assert all(entry.header == header for entry in tree)
    translation = tree[1].transform.translation
    np.testing.assert_allclose([translation.x, translation.y, translation.z], result.hands[1].joints_m[0])


def test_the_operators_hands_have_frames_of_their_own(result, header):
    right, left = result.hands
    own = replace(result, hands=(replace(right, is_operator=True), left))
    tree = through_bytes(convert.transforms(header, own, "cell2_")).transforms
    names = ["cell2_right_hand_1", "cell2_right_hand", "cell2_left_hand_2", "cell2_held_object_2"]
    assert [entry.child_frame_id for entry in tree] == names
    assert tree[0].transform == tree[1].transform


def holding(toy, number: int, side: str, since: float | None, state: str = "grasping", own: bool = True):
    hand = toy.hand(number, side, holds=True)
    return replace(hand, is_operator=own, grasp=replace(hand.grasp, state=state, since=since))


def objects(header, *hands) -> dict[str, object]:
    """Transforms of objects by their frames."""
    tree = through_bytes(convert.transforms(header, FrameResult(CAMERA, hands, None, {}, True), "a_")).transforms
    found = {entry.child_frame_id: entry.transform for entry in tree}
    assert len(found) == len(tree), "a frame has one parent"
    return {name: T for name, T in found.items() if "object" in name}


def test_what_the_operators_hand_holds_has_frames_of_its_own(toy, header):
    left, other = holding(toy, 3, "left", 5.0), holding(toy, 2, "left", 1.0, own=False)
    found = objects(header, other, left)
    assert sorted(found) == ["a_held_object", "a_held_object_2", "a_held_object_3", "a_left_hand_object"]
    assert found["a_held_object"] == found["a_left_hand_object"] == found["a_held_object_3"]
    assert sorted(objects(header, other)) == ["a_held_object_2"], "nobody's hand"
    assert objects(header, replace(left, held_object=None)) == {}


@pytest.mark.parametrize(("first", "second", "side"), [(1.0, 2.0, "left"), (2.0, 1.0, "right"), (None, 2.0, "right")])
def test_of_two_held_objects_the_one_held_longest_is_the_held_object(toy, header, first, second, side):
    left, right = holding(toy, 1, "left", first), holding(toy, 2, "right", second)
    for hands in ((left, right), (right, left)):
        found = objects(header, *hands)
        assert found["a_held_object"] == found[f"a_{side}_hand_object"]
        assert found["a_left_hand_object"] != found["a_right_hand_object"]


def test_the_held_object_does_not_go_over_to_another_thing_for_an_image(toy, header):
    left, right = holding(toy, 1, "left", 1.0), holding(toy, 2, "right", 2.0)
    for gone in (None, replace(left.held_object, T_camera_object=None)):
        found = objects(header, replace(left, held_object=gone), right)
        assert sorted(found) == ["a_held_object_2", "a_right_hand_object"]
    for state in ("not_grasping", "unknown"):
        loose = replace(left, grasp=replace(left.grasp, state=state))
        found = objects(header, loose, right)
        assert found["a_held_object"] == found["a_right_hand_object"], "who grasps comes before who may"
    found = objects(header, replace(loose, held_object=None), replace(right, is_operator=False))
    assert "a_held_object" not in found


def test_tracks_say_what_is_seen_held_and_lost(result, header):
    right, left = result.hands
    motion, std = HandMotion(np.arange(63.0).reshape(21, 3), np.array([1.0, 2, 3])), np.linspace(0, 0.03, 21)
    validity = np.array([2] * 20 + [0], np.uint8)
    hands = (
        replace(right, motion=motion, validity=validity, is_operator=True, joint_std_m=std),
        replace(left, state="coasting"),
    )
    array = through_bytes(convert.track_array(header, replace(result, hands=hands, lost=(5,), lag_s=0.125)))
    assert array.lag_s == 0.125
    seen, held, lost = array.tracks
    assert array.header == header and [track.track_id for track in array.tracks] == [1, 2, 5]
    assert [track.state for track in array.tracks] == [seen.TRACKED, seen.COASTING, seen.LOST]
    assert (seen.is_operator, held.is_operator, SIDES[seen.side], SIDES[held.side]) == (True, False, "right", "left")
    np.testing.assert_array_equal(seen.validity, validity)
    np.testing.assert_array_equal(seen.joint_velocities_m_s.reshape(21, 3), motion.joints_m_s)
    np.testing.assert_array_equal(seen.wrist_rad_s, motion.wrist_rad_s)
    np.testing.assert_allclose(seen.joint_std_m, std, rtol=1e-6)
    assert all(np.isnan(track.joint_velocities_m_s).all() for track in (held, lost))
    assert all(np.isnan(track.joint_std_m).all() for track in (held, lost)), "nobody told"
    bare = convert.track_array(header, convert.without_metres(replace(result, hands=hands)))
    assert np.isnan(bare.tracks[0].joint_velocities_m_s).all() and np.isnan(bare.tracks[0].joint_std_m).all()


def test_an_event_is_dated_on_the_clock_of_its_header(header):
    event = HandEvent("released", 4, "right", 17.0, 0.0625, 0.8, "mug")
    message = through_bytes(convert.event_message(header, event))
    assert (message.kind, SIDES[message.side], message.object_id) == (message.RELEASED, "right", "mug")
    assert (message.onset.sec, message.onset.nanosec) == (1700000000, 62_500_000) and message.late_s == 0.0625
    kinds = [convert.event_message(header, replace(event, kind=kind)).kind for kind in get_args(EventKind)]
    assert sorted(kinds) == list(range(7))


def test_guesses_are_flagged_and_stay_off_tf(result, header):
    guess = replace(result, camera=replace(CAMERA, estimated=True))
    array = convert.hand_array(header, guess)
    assert array.camera_estimated and not any(hand.metric_position_valid for hand in array.hands)
    assert convert.transforms(header, guess).transforms == []


def test_without_metres_nothing_metric_is_left(result, header):
    bare = convert.without_metres(result)
    for hand in convert.hand_array(header, bare).hands:
        assert np.isnan(hand.joints_m).all() and np.isnan(hand.wrist.position.z) and not len(hand.vertices_m)
        assert np.isfinite(hand.keypoints_px).all()
        assert all(not held.pose_valid for held in hand.held_object)
    assert [marker.action for marker in marker_array(header, bare).markers] == [3], "only the deletion"


def test_markers_are_where_the_joints_are(result, header, toy):
    markers = through_bytes(marker_array(header, result, toy.FACTS.faces, toy.FACTS.objects)).markers
    assert markers[0].action == 3
    found = {(marker.ns, marker.id): marker for marker in markers[1:]}
    assert len(found) == len(markers) - 1, "ids are unique"
    joints = np.array([[p.x, p.y, p.z] for p in found["joints", 2].points])
    np.testing.assert_array_equal(joints, result.hands[1].joints_m)
    assert len(found["bones", 1].points) == 40
    corners = np.array([[p.x, p.y, p.z] for p in found["mesh", 2].points]).reshape(-1, 3, 3)
    np.testing.assert_array_equal(corners, result.hands[1].vertices_m[toy.FACTS.faces["left"]].astype(np.float64))
    edges = np.array([[p.x, p.y, p.z] for p in found["object_box", 2].points]).reshape(12, 2, 3)
    box = toy.FACTS.objects["mug"][:8]
    assert {tuple(edge.ravel()) for edge in edges} <= {(*a, *b) for a in box for b in box}
    assert ("object", 1) not in found


def test_images_and_cameras_survive_messages(header):
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    np.testing.assert_array_equal(
        image_from_message(through_bytes(images.image_message(header, picture)), "x"), picture
    )
    flat = np.full_like(picture, 90)
    jpeg = through_bytes(images.jpeg_message(header, flat))
    assert np.abs(decode_image(bytes(jpeg.data), "x").astype(int) - 90).max() <= 2
    camera = Camera(K, 640, 480, np.array([0.1, -0.2, 0.001, 0.002, 0.05]))
    again = camera_from_info(through_bytes(images.camera_message(header, camera, 640, 480)))
    np.testing.assert_array_equal(again.K, camera.K)
    np.testing.assert_array_equal(again.distortion, camera.distortion)
    assert camera_from_info(images.camera_message(header, None, 640, 480)) is None


def test_model_info_explains_the_arrays(toy):
    info = through_bytes(convert.model_info(toy.FACTS))
    assert len(info.joint_names) == 21 and len(info.orientation_names) == 16
    np.testing.assert_array_equal(info.faces_right.reshape(-1, 3), toy.FACTS.faces["right"])
    assert (info.weights, info.weights_sha256, info.weights_license) == toy.FACTS.weights
    assert "5 degrees" in info.grasp_definition and info.temporal_lag_s == 0
    assert convert.model_info(replace(toy.FACTS, lag_s=0.25)).temporal_lag_s == 0.25


def test_two_hands_with_meshes_become_bytes_in_under_half_a_millisecond(toy, header):
    hands = (toy.hand(1, "right", vertices=1831), toy.hand(2, "left", vertices=1831, holds=True))
    array = convert.hand_array(header, FrameResult(CAMERA, hands, 0.0, {}, True))

    def once() -> float:
        began = time.perf_counter()
        m.encode(array)
        return time.perf_counter() - began

    assert min(once() for _ in range(30)) < 0.5e-3


def chain(entries, leaf: str) -> np.ndarray:
    """(4, 4) from the root of a tree of TransformStamped to one of its frames."""
    by_child = {entry.child_frame_id: entry for entry in entries}
    T = np.eye(4)
    while leaf in by_child:
        entry = by_child[leaf]
        step, q, t = np.eye(4), entry.transform.rotation, entry.transform.translation
        step[:3, :3] = matrix_from_quaternion(np.array([q.x, q.y, q.z, q.w]))
        step[:3, 3] = (t.x, t.y, t.z)
        T, leaf = step @ T, entry.header.frame_id
    return T


@pytest.mark.parametrize("side", ["left", "right"])
def test_frames_of_the_fingers_are_where_the_joints_are_and_turn_with_their_bones(header, toy, side):
    model = load_hand_model(side=side)
    rng = np.random.default_rng(5)
    pose = matrix_from_axis_angle(rng.normal(size=(16, 3)) * 0.4)
    posed, flat = skin(model, pose, np.zeros(10)), skin(model, np.tile(np.eye(3), (16, 1, 1)), np.zeros(10))
    hand = replace(toy.hand(3, side), joints_m=posed.joints + np.array([0, 0, 0.5]), rotations=pose, is_operator=True)
    result = FrameResult(CAMERA, (hand,), None, {}, True)
    without = through_bytes(convert.transforms(header, result, "cell_")).transforms
    entries = through_bytes(convert.transforms(header, result, "cell_", fingers=True)).transforms
    names = [entry.child_frame_id for entry in entries if entry not in without]
    assert len(entries) - len(without) == 20
    assert f"cell_{side}_thumb_cmc" in names and f"cell_{side}_little_tip" in names
    for joint, (name, parent) in enumerate(zip(JOINT_NAMES, JOINT_PARENTS, strict=True)):
        T = chain(entries, f"cell_{side}_{name if joint else 'hand'}")
        np.testing.assert_allclose(T[:3, 3], hand.joints_m[joint], atol=1e-5)
        if parent >= 0:  # a bone lies in its joint's frame as it does in a flat hand: the frame turns with the bone
            above = chain(entries, f"cell_{side}_{JOINT_NAMES[parent] if parent else 'hand'}")
            bone = above[:3, :3].T @ (hand.joints_m[joint] - hand.joints_m[parent])
            near = 5e-3 if joint in TIP_JOINTS else 1e-5  # the skin at the tips gives way
            np.testing.assert_allclose(bone, flat.joints[joint] - flat.joints[parent], atol=near)
    assert {entry.header.stamp.sec for entry in entries} == {header.stamp.sec}


@pytest.mark.parametrize(("side", "along"), [("right", -1), ("left", 1)])
def test_axes_of_either_hand_are_those_of_the_documentation(side, along):
    """Fingers along -x of a right hand and +x of a left one, back of the hand +y, thumb +z; they close about z."""
    model, pose = load_hand_model(side=side), np.zeros((16, 3))
    flat = skin(model, matrix_from_axis_angle(pose), np.zeros(10)).joints
    middle = flat[9] - flat[0]
    assert along * middle[0] > 0.99 * np.linalg.norm(middle)
    assert flat[5, 2] > flat[9, 2] > flat[17, 2] and flat[2, 2] > flat[0, 2], "thumb and index finger"
    pose[[MANO_JOINT_NAMES.index(f"middle{k}") for k in (1, 2, 3)], 2] = -along * 0.5
    closed = skin(model, matrix_from_axis_angle(pose), np.zeros(10)).joints
    assert closed[12, 1] < flat[12, 1] - 0.03, "into the palm, away from the back of the hand"
    assert np.linalg.norm(closed[12] - closed[2]) < np.linalg.norm(flat[12] - flat[2]), "towards the thumb"


def test_only_the_operators_hands_have_fingers_and_a_faded_hand_has_no_frames(header, toy):
    other = replace(toy.hand(1, "right"), is_operator=False)
    tree = convert.transforms(header, FrameResult(CAMERA, (other,), None, {}, True), fingers=True).transforms
    assert [entry.child_frame_id for entry in tree] == ["right_hand_1"]
    carried = np.ones(21, np.uint8)
    for validity, count in ((carried, 1), (0 * carried, 0)):
        coasting = replace(other, state="coasting", validity=validity)
        tree = convert.transforms(header, FrameResult(CAMERA, (coasting,), None, {}, True)).transforms
        assert len(tree) == count


def test_times_of_stages_that_did_not_run_are_zero(header):
    told = through_bytes(convert.timing_message(header, {"arrival": float("nan"), "infer": 7.5}, 20.0))
    assert np.isnan(told.arrival_ms) and (told.infer_ms, told.find_ms, told.latency_ms) == (7.5, 0.0, 20.0)
    assert told.header.frame_id == header.frame_id
