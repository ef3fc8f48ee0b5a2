import numpy as np
import pytest

from prehend.adapters.frames import joint_frames
from prehend.adapters.hand_tracking_sdk import JOINT_NAMES, hand_topics, joint_names_text
from prehend.conventions import MIRROR
from prehend.geometry.rotations import matrix_from_quaternion, quaternion_from_matrix

SIDES = ("left", "right")


def test_names_are_the_sdks():
    constants = pytest.importorskip("hand_tracking_sdk.constants")
    assert constants.STREAMED_JOINT_NAMES == JOINT_NAMES
    assert joint_names_text().split(",") == list(JOINT_NAMES)


@pytest.mark.parametrize("side", SIDES)
def test_topics_and_frames(bent, side):
    topics = hand_topics(*bent(side).arrays)
    assert topics.wrist_topic == f"/hands/{side}/wrist_pose"
    assert topics.landmarks_topic == f"/hands/{side}/landmarks"
    assert topics.wrist_frame == f"{side}_wrist"


@pytest.mark.parametrize("side", SIDES)
def test_world_is_forward_left_up(flat, side):
    hand = flat(side)
    topics = hand_topics(*hand.arrays)
    x, y, z = hand.joints_m.T
    np.testing.assert_allclose(topics.landmarks_m, np.stack([z, -x, -y], -1), atol=1e-12)
    np.testing.assert_array_equal(topics.wrist_position_m, topics.landmarks_m[0])
    R = matrix_from_quaternion(topics.wrist_quaternion_xyzw)
    fingers = topics.landmarks_m[9] - topics.landmarks_m[0]
    np.testing.assert_allclose(R[:, 0], fingers / np.linalg.norm(fingers), atol=1e-6)
    np.testing.assert_allclose(R[:, 2], [0, 0, -1], atol=0.1)  # the back of the hand points down in this image


@pytest.mark.parametrize("side", SIDES)
def test_the_sdks_own_conversion_gives_the_same_wrist(bent, side):
    """A headset sends it in Unity's frame (x right, y up, z forward, left-handed): fingers along z, back along y."""
    convert = pytest.importorskip("hand_tracking_sdk.convert")
    hand = bent(side, 1)
    topics = hand_topics(*hand.arrays)
    wrist = joint_frames(*hand.arrays)[0] * [[1], [-1], [1]]  # the optical frame's y is down
    up, forward = wrist[:, 1], -wrist[:, 2]
    sent = quaternion_from_matrix(np.stack([np.cross(up, forward), up, forward], -1))
    converted = np.array(convert.unity_left_to_flu_rotation(*sent.tolist()))
    R = matrix_from_quaternion(topics.wrist_quaternion_xyzw)
    np.testing.assert_allclose(matrix_from_quaternion(converted), R, atol=1e-9)
    position = hand.joints_m[0] * [1, -1, 1]
    np.testing.assert_allclose(
        convert.unity_left_to_flu_position(*position.tolist()), topics.wrist_position_m, atol=1e-12
    )


def test_mirrored(bent):
    right, left = hand_topics(*bent("right").arrays), hand_topics(*bent("left").arrays)
    np.testing.assert_allclose(left.landmarks_m, right.landmarks_m * [1, -1, 1], atol=1e-6)
    flip = np.diag([1, -1, 1])
    R = [matrix_from_quaternion(t.wrist_quaternion_xyzw) for t in (left, right)]
    np.testing.assert_allclose(R[0], flip @ R[1] @ flip, atol=1e-5)
    assert np.isclose(np.linalg.det(MIRROR), -1)
