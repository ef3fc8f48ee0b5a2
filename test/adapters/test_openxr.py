import numpy as np
import pytest

from prehend.adapters.frames import T_VIEW_CAMERA, joint_frames
from prehend.adapters.openxr import JOINT_NAMES, JOINTS21, joints21, openxr_hand
from prehend.conventions import MIRROR
from prehend.errors import InvalidInput
from prehend.geometry.rotations import matrix_from_quaternion

SIDES = ("left", "right")
SPECIFIED = """PALM WRIST THUMB_METACARPAL THUMB_PROXIMAL THUMB_DISTAL THUMB_TIP
INDEX_METACARPAL INDEX_PROXIMAL INDEX_INTERMEDIATE INDEX_DISTAL INDEX_TIP
MIDDLE_METACARPAL MIDDLE_PROXIMAL MIDDLE_INTERMEDIATE MIDDLE_DISTAL MIDDLE_TIP
RING_METACARPAL RING_PROXIMAL RING_INTERMEDIATE RING_DISTAL RING_TIP
LITTLE_METACARPAL LITTLE_PROXIMAL LITTLE_INTERMEDIATE LITTLE_DISTAL LITTLE_TIP"""
"""XrHandJointEXT, 0 to 25."""


def test_order_is_the_specifications():
    assert [name.upper() for name in JOINT_NAMES] == SPECIFIED.split()


@pytest.mark.parametrize("side", SIDES)
def test_the_21_come_back(bent, side):
    hand = bent(side, 1)
    xr = openxr_hand(*hand.arrays, T_base_camera=np.eye(4))
    np.testing.assert_allclose(joints21(xr.positions_m), hand.joints_m, atol=1e-12)
    np.testing.assert_allclose(xr.orientations[list(JOINTS21)], joint_frames(*hand.arrays), atol=1e-12)
    assert xr.estimated.sum() == 5
    assert not xr.estimated[list(JOINTS21)].any()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_conventions_of_the_specification(bent, side, seed):
    hand = bent(side, seed)
    xr = openxr_hand(*hand.arrays)
    R, p = xr.orientations, xr.positions_m
    np.testing.assert_allclose(R @ np.swapaxes(R, -1, -2), np.tile(np.eye(3), (26, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.cross(R[:, :, 1], R[:, :, 2]), R[:, :, 0], atol=1e-9)
    # the palm joint is in the middle of the middle metacarpal, and lies along it
    middle, knuckle = JOINT_NAMES.index("middle_metacarpal"), JOINT_NAMES.index("middle_proximal")
    np.testing.assert_allclose(p[0], (p[middle] + p[knuckle]) / 2, atol=1e-12)
    # +Z points away from the tip along every bone, the wrist's along the line to the middle metacarpal
    pairs = [(a, a + 1) for a in range(2, 25) if a not in (5, 10, 15, 20)] + [(0, knuckle), (1, middle)]
    for start, end in pairs:
        bone = p[end] - p[start]
        np.testing.assert_allclose(-R[start, :, 2], bone / np.linalg.norm(bone), atol=1e-6)
    # the palm is on the other side of +Y: the closed finger's tip lies below the wrist's plane
    assert R[0, :, 1] @ R[1, :, 1] > 0.9


@pytest.mark.parametrize("side", SIDES)
def test_base_space(flat, side):
    """The flat hand in the view of the camera: y up there is -y of the optical frame, -z is ahead."""
    hand = flat(side)
    xr = openxr_hand(*hand.arrays)
    np.testing.assert_allclose(xr.positions_m[1], hand.joints_m[0] * [1, -1, -1], atol=1e-12)
    np.testing.assert_allclose(xr.orientations[1, :, 1], [0, -1, 0], atol=0.1)
    np.testing.assert_allclose(matrix_from_quaternion(xr.quaternions_xyzw), xr.orientations, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(xr.quaternions_xyzw, axis=-1), 1, atol=1e-12)


def test_mirrored(bent):
    right, left = openxr_hand(*bent("right").arrays), openxr_hand(*bent("left").arrays)
    np.testing.assert_allclose(left.positions_m, right.positions_m @ MIRROR, atol=1e-6)
    np.testing.assert_allclose(left.orientations, MIRROR @ right.orientations @ np.diag([-1, 1, 1]), atol=1e-5)


@pytest.mark.parametrize("side", SIDES)
def test_radii(flat, side):
    """Of the mean hand: fingers are 8 to 20 mm thick at their last joint, the wrist 40 to 60 mm."""
    hand = flat(side)
    xr = openxr_hand(*hand.arrays, vertices_m=hand.vertices_m)
    radii = dict(zip(JOINT_NAMES, (1000 * xr.radii_m).tolist(), strict=True))
    for finger in ("index", "middle", "ring", "little"):
        assert 4 < radii[f"{finger}_distal"] < 10, radii
        assert radii[f"{finger}_tip"] < radii[f"{finger}_distal"] < radii[f"{finger}_proximal"] < 20, radii
    assert 15 < radii["wrist"] < 32, radii
    assert openxr_hand(*hand.arrays).radii_m is None


def test_radii_do_not_depend_on_the_base(bent):
    hand = bent("left", 2)
    radii = [openxr_hand(*hand.arrays, hand.vertices_m, T).radii_m for T in (np.eye(4), T_VIEW_CAMERA)]
    np.testing.assert_allclose(*radii, atol=1e-12)
    assert (radii[0] > 0).all()


def test_bad_input(bent):
    hand = bent("right")
    with pytest.raises(InvalidInput, match="joints_m"):
        openxr_hand(hand.joints_m[None], hand.rotations, "right")
    with pytest.raises(InvalidInput, match="T_a_b"):
        openxr_hand(*hand.arrays, T_base_camera=T_VIEW_CAMERA[:3])
    with pytest.raises(InvalidInput, match="positions"):
        joints21(np.zeros((25, 3)))
