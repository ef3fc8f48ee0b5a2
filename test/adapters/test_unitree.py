import numpy as np
import pytest

from prehend.adapters.frames import joint_frames
from prehend.adapters.openxr import openxr_hand
from prehend.adapters.unitree import JOINT_NAMES, T_base_arm, hand_points, shared_array
from prehend.errors import InvalidInput

SIDES = ("left", "right")
ROBOT_OPENXR = np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0]])
TO_HAND = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
TO_ARM = {"left": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]), "right": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])}
"""The change of basis and of initial pose that xr_teleoperate documents: robot from OpenXR, its hand, its arms."""


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_the_documented_changes_of_basis(bent, side, seed):
    hand = bent(side, seed)
    xr = openxr_hand(*hand.arrays)
    wrist, points = xr.orientations[1], xr.positions_m[1:] - xr.positions_m[1]
    in_arm = (ROBOT_OPENXR @ wrist @ ROBOT_OPENXR.T).T @ ROBOT_OPENXR @ points.T
    np.testing.assert_allclose(hand_points(*hand.arrays), (TO_HAND @ in_arm).T, atol=1e-9)
    arm = T_base_arm(*hand.arrays)
    np.testing.assert_allclose(arm[:3, :3], ROBOT_OPENXR @ wrist @ ROBOT_OPENXR.T @ TO_ARM[side], atol=1e-9)
    np.testing.assert_allclose(arm[:3, 3], ROBOT_OPENXR @ xr.positions_m[1], atol=1e-9)


@pytest.mark.parametrize("side", SIDES)
def test_axes_as_documented(flat, side):
    points = dict(zip(JOINT_NAMES, hand_points(*flat(side).arrays), strict=True))
    np.testing.assert_allclose(points["wrist"], 0, atol=1e-12)
    assert points["middle_tip"][1] < -0.1  # y: from the middle finger to the wrist
    across = points["little_proximal"] - points["index_proximal"]
    assert np.argmax(np.abs(across)) == 2
    assert (across[2] > 0) == (side == "right")  # z: index to little finger on a right hand
    assert points["thumb_tip"][0] < 0  # x: palm to back; the thumb's tip lies on the palm's side
    arm = T_base_arm(*flat(side).arrays, T_base_camera=np.eye(4))
    ahead = [-1 if side == "right" else 1, 0, 0]
    np.testing.assert_allclose(arm[:3, 0], ahead, atol=0.1)
    np.testing.assert_allclose(arm[:3, 1], [0, 1 if side == "left" else -1, 0], atol=0.1)
    np.testing.assert_allclose(arm[:3, 2], [0, 0, 1], atol=0.1)  # little finger to index


def test_mirrored_across_z(bent):
    left, right = hand_points(*bent("left", 1).arrays), hand_points(*bent("right", 1).arrays)
    np.testing.assert_allclose(left, right * [1, 1, -1], atol=1e-6)


def test_lengths_are_kept(bent):
    hand = bent("right", 2)
    points = hand_points(*hand.arrays)[[0, 4, 9, 14, 19, 24]]
    np.testing.assert_allclose(
        np.linalg.norm(points, axis=-1),
        np.linalg.norm((hand.joints_m - hand.joints_m[0])[[0, 4, 8, 12, 16, 20]], axis=-1),
    )
    assert joint_frames(*hand.arrays).shape == (21, 3, 3)


def test_shared_array(bent):
    points = hand_points(*bent("left").arrays)
    np.testing.assert_array_equal(shared_array(points).reshape(25, 3), points)
    assert not shared_array(None).any()
    with pytest.raises(InvalidInput, match="points"):
        shared_array(points[:21])
