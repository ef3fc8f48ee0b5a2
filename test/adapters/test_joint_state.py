import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.adapters.joint_state import ALL_ANGLE_NAMES, ANGLE_NAMES, joint_angles, rotations_from_angles
from prehend.conventions import MIRROR
from prehend.errors import InvalidInput, UnknownName
from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle
from prehend.hand_model import load_hand_model

SIDES = ("left", "right")


def test_names():
    assert len(ANGLE_NAMES) == 22
    assert len(ALL_ANGLE_NAMES) == 45
    assert set(ANGLE_NAMES) < set(ALL_ANGLE_NAMES)
    assert ANGLE_NAMES[0] == "thumb_cmc_flexion"
    assert ANGLE_NAMES[-1] == "little_dip_flexion"


@pytest.mark.parametrize("side", SIDES)
def test_the_flat_hand_is_zero_and_within_limits(flat, side):
    angles = joint_angles(flat(side).rotations, side)
    np.testing.assert_allclose(angles.positions_rad, 0, atol=1e-12)
    assert (angles.limits_rad[:, 0] < 0).all()
    assert (angles.limits_rad[:, 1] > 0).all()
    assert angles.names == tuple(f"{side}_{name}" for name in ANGLE_NAMES)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("name", "mano"), [("index_mcp", 1), ("little_pip", 8), ("ring_dip", 12), ("thumb_ip", 15)])
def test_a_known_turn_is_one_angle(side, name, mano):
    model = load_hand_model(side=side)
    rotations = np.tile(np.eye(3), (16, 1, 1))
    rotations[mano] = matrix_from_axis_angle(0.7 * model.flexion_axes[mano - 1])
    angles = joint_angles(rotations, side, every=True)
    got = dict(zip(angles.names, angles.positions_rad, strict=True))
    assert got.pop(f"{side}_{name}_flexion") == pytest.approx(0.7, abs=1e-6)
    np.testing.assert_allclose(list(got.values()), 0, atol=1e-6)


@pytest.mark.parametrize("side", SIDES)
def test_flexion_closes_and_abduction_goes_to_the_thumb(flat, side):
    """The signs, seen on the hand itself: a flexed index tip goes to the palm, an abducted one to the thumb's side."""
    from prehend.hand_model import skin

    model = load_hand_model(side=side)
    at_rest = skin(model, flat(side).rotations, np.zeros(10)).joints
    for motion, axis, sign in (("flexion", 1, -1), ("abduction", 2, 1)):
        rotations = rotations_from_angles((f"{side}_index_mcp_{motion}",), np.array([0.5]))
        moved = skin(model, rotations, np.zeros(10)).joints
        assert sign * (moved[8] - at_rest[8])[axis] > 0.02
        np.testing.assert_allclose(moved[12], at_rest[12], atol=1e-6)


@pytest.mark.parametrize("side", SIDES)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.floats(0, 1.4))
def test_all_angles_give_the_rotations_back(side, seed, size):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(16, 3))
    rotations = matrix_from_axis_angle(size * vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
    angles = joint_angles(rotations, side, every=True)
    back = rotations_from_angles(angles.names, angles.positions_rad, rotations[0])
    np.testing.assert_allclose(back, rotations, atol=1e-9)


@pytest.mark.parametrize("side", SIDES)
def test_the_22_angles_of_a_real_pose_lose_little(bent, side):
    """What is left out are the joints' small further angles: below their limits of 2, 5 and 8 degrees each."""
    hand = bent(side, 3)
    angles = joint_angles(hand.rotations, side)
    back = rotations_from_angles(angles.names, angles.positions_rad, hand.rotations[0])
    assert np.degrees(geodesic_angle(back, hand.rotations)).max() < 9
    again = joint_angles(back, side)
    np.testing.assert_allclose(again.positions_rad, angles.positions_rad, atol=1e-9)


def test_mirrored_hands_have_the_same_angles(bent):
    right, left = bent("right", 2), bent("left", 2)
    np.testing.assert_allclose(left.rotations, MIRROR @ right.rotations @ MIRROR)
    for every in (False, True):
        a, b = (joint_angles(h.rotations, h.side, every) for h in (right, left))
        np.testing.assert_allclose(a.positions_rad, b.positions_rad, atol=1e-6)
        np.testing.assert_array_equal(a.limits_rad, b.limits_rad)


def test_a_pose_within_the_limits_has_angles_within_them(bent):
    angles = joint_angles(bent("right", 5).rotations, "right", every=True)
    low, high = angles.limits_rad.T
    assert ((angles.positions_rad >= low - 1e-6) & (angles.positions_rad <= high + 1e-6)).all()


def test_bad_input():
    with pytest.raises(InvalidInput, match="rotations"):
        joint_angles(np.eye(3), "right")
    with pytest.raises(UnknownName, match="side"):
        joint_angles(np.tile(np.eye(3), (16, 1, 1)), "up")
    with pytest.raises(InvalidInput, match="left, right"):
        rotations_from_angles(("left_index_mcp_flexion", "right_index_mcp_flexion"), np.zeros(2))
    with pytest.raises(UnknownName, match="left_index_tip_flexion"):
        rotations_from_angles(("left_index_tip_flexion",), np.zeros(1))
    with pytest.raises(InvalidInput, match="positions_rad"):
        rotations_from_angles(("left_index_mcp_flexion",), np.zeros(2))
