import numpy as np
import pytest

from prehend.adapters.frames import T_BODY_CAMERA, T_VIEW_CAMERA, T_ZUP_CAMERA, global_rotations, joint_frames, moved
from prehend.conventions import JOINT_PARENTS, MIRROR
from prehend.errors import InvalidInput, UnknownName

SIDES = ("left", "right")


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_frames_are_rotations_along_the_bones(bent, side, seed):
    hand = bent(side, seed)
    frames = joint_frames(*hand.arrays)
    np.testing.assert_allclose(frames @ np.swapaxes(frames, -1, -2), np.tile(np.eye(3), (21, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(frames), 1, atol=1e-9)
    for joint, parent in enumerate(JOINT_PARENTS):
        if parent > 0:
            bone = hand.joints_m[joint] - hand.joints_m[parent]
            np.testing.assert_allclose(-frames[parent, :, 2], bone / np.linalg.norm(bone), atol=1e-6)
    np.testing.assert_allclose(frames[[4, 8, 12, 16, 20]][:, :, 2], frames[[3, 7, 11, 15, 19]][:, :, 2], atol=1e-9)


@pytest.mark.parametrize("side", SIDES)
def test_the_flat_hand_has_its_back_up(flat, side):
    frames = joint_frames(*flat(side).arrays)
    fingers = [0, *range(5, 21)]
    assert (frames[fingers, 1, 1] > 0.97).all()  # y of the frame is the back of the hand, +y here
    ahead = -1 if side == "right" else 1
    assert (ahead * -frames[fingers, 0, 2] > 0.85).all()
    assert (ahead * frames[[9, 13], 2, 0] > 0.9).all()  # x: away from the thumb on a right hand, to it on a left one


@pytest.mark.parametrize("seed", [0, 1])
def test_a_mirrored_hand_has_mirrored_axes(bent, seed):
    """A mirror keeps back and forward and turns x round: frames stay right-handed."""
    right, left = bent("right", seed), bent("left", seed)
    np.testing.assert_allclose(left.joints_m, right.joints_m @ MIRROR, atol=1e-6)
    expected = MIRROR @ joint_frames(*right.arrays) @ np.diag([-1, 1, 1])
    np.testing.assert_allclose(joint_frames(*left.arrays), expected, atol=1e-5)


def test_frames_turn_with_the_hand(bent):
    hand = bent("right", 4)
    turn = joint_frames(*bent("right", 5).arrays)[0]
    turned = hand.rotations.copy()
    turned[0] = turn @ turned[0]
    moved_hand = joint_frames(hand.joints_m @ turn.T + 0.3, turned, "right")
    np.testing.assert_allclose(moved_hand, turn @ joint_frames(*hand.arrays), atol=1e-9)


def test_leading_dimensions(bent):
    hands = [bent("left", seed) for seed in range(3)]
    together = joint_frames(np.stack([h.joints_m for h in hands]), np.stack([h.rotations for h in hands]), "left")
    np.testing.assert_allclose(together, np.stack([joint_frames(*h.arrays) for h in hands]), atol=1e-12)


def test_global_rotations_follow_the_tree(bent):
    R = bent("right", 1).rotations
    spin = global_rotations(R)
    np.testing.assert_allclose(spin[3], R[0] @ R[1] @ R[2] @ R[3], atol=1e-12)
    np.testing.assert_allclose(spin[13], R[0] @ R[13], atol=1e-12)


def test_worlds():
    """A point 2 m ahead, 1 m to the right, 0.5 m below the camera."""
    point = np.array([1.0, 0.5, 2.0])
    np.testing.assert_allclose(moved(T_BODY_CAMERA, point), [2, -1, -0.5])
    np.testing.assert_allclose(moved(T_VIEW_CAMERA, point), [1, -0.5, -2])
    np.testing.assert_allclose(moved(T_ZUP_CAMERA, point), [1, 2, -0.5])
    for T in (T_BODY_CAMERA, T_VIEW_CAMERA, T_ZUP_CAMERA):
        assert np.isclose(np.linalg.det(T), 1)


def test_bad_input(bent):
    hand = bent("right")
    with pytest.raises(InvalidInput, match="joints_m has shape"):
        joint_frames(hand.joints_m[:20], hand.rotations, "right")
    with pytest.raises(InvalidInput, match="rotations holds NaN"):
        joint_frames(hand.joints_m, hand.rotations * np.nan, "right")
    with pytest.raises(InvalidInput, match="in one place"):
        joint_frames(np.zeros((21, 3)), hand.rotations, "right")
    with pytest.raises(UnknownName, match="both"):
        joint_frames(hand.joints_m, hand.rotations, "both")
