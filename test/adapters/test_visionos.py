import numpy as np
import pytest

from prehend.adapters.dex_retargeting import operator_joints
from prehend.adapters.visionos import JOINT_NAMES, JOINTS21, T_world_wrist, finger_matrices, pinch_distance

SIDES = ("left", "right")
OPERATOR_FROM_APPLE = {
    "right": np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0]]),
    "left": np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]),
}
"""OPERATOR2AVP of the teleoperation programs for the Vision Pro."""


def test_order_of_the_skeleton():
    assert len(JOINT_NAMES) == 25
    assert JOINT_NAMES[:6] == (
        "wrist", "thumbKnuckle", "thumbIntermediateBase", "thumbIntermediateTip", "thumbTip", "indexFingerMetacarpal"
    )  # fmt: skip
    assert [JOINT_NAMES[i] for i in (4, 9, 14, 19, 24)] == [
        "thumbTip", "indexFingerTip", "middleFingerTip", "ringFingerTip", "littleFingerTip"
    ]  # fmt: skip
    assert JOINTS21 == (0, 1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 23, 24)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("seed", [0, 1])
def test_poses(bent, side, seed):
    hand = bent(side, seed)
    T = finger_matrices(*hand.arrays)
    np.testing.assert_allclose(T[0], np.eye(4), atol=1e-12)
    np.testing.assert_allclose(T[:, 3], np.tile([0, 0, 0, 1], (25, 1)), atol=1e-12)
    R = T[:, :3, :3]
    np.testing.assert_allclose(R @ np.swapaxes(R, -1, -2), np.tile(np.eye(3), (25, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(R), 1, atol=1e-9)
    # wrist pose and fingers together give the joints back
    world = T_world_wrist(*hand.arrays, T_world_camera=np.eye(4)) @ T
    np.testing.assert_allclose(world[list(JOINTS21), :3, 3], hand.joints_m, atol=1e-9)
    # x lies along the bones: to the wrist on a right hand, to the tip on a left one
    for joint in (1, 2, 3, 6, 7, 8):
        bone = T[joint + 1, :3, 3] - T[joint, :3, 3]
        direction = T[joint, :3, 0] * (-1 if side == "right" else 1)
        np.testing.assert_allclose(direction, bone / np.linalg.norm(bone), atol=1e-6)


@pytest.mark.parametrize("side", SIDES)
def test_agrees_with_the_operators_frame(flat, side):
    """Fingers times OPERATOR2AVP are the operator's joints, but for the few degrees between the two wrists."""
    hand = flat(side)
    joints = finger_matrices(*hand.arrays)[list(JOINTS21), :3, 3] @ OPERATOR_FROM_APPLE[side]
    np.testing.assert_allclose(joints, operator_joints(hand.joints_m, side), atol=0.02)


def test_the_world_is_z_up(flat):
    """The camera looks along y; what it sees below its middle has a lower z."""
    hand = flat("right")
    wrist = T_world_wrist(*hand.arrays)
    x, y, z = hand.joints_m[0]
    np.testing.assert_allclose(wrist[:3, 3], [x, z, -y], atol=1e-12)


def test_mirrored(bent):
    """A left hand's axes are a right one's in the mirror, all turned round: x to the tip, y out of the palm."""
    right, left = finger_matrices(*bent("right", 2).arrays), finger_matrices(*bent("left", 2).arrays)
    np.testing.assert_allclose(left[:, :3, 3], -right[:, :3, 3], atol=1e-6)
    np.testing.assert_allclose(left[:, :3, :3], right[:, :3, :3], atol=1e-5)


def test_pinch_distance(bent):
    joints = bent("right").joints_m.copy()
    joints[4] = joints[8] + [0, 0.03, 0]
    assert pinch_distance(joints) == pytest.approx(0.03)
