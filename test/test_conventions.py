"""The orders, signs and frames that everything else takes for granted, against the shipped hand."""

import numpy as np
import pytest

from prehend import conventions as c
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin
from prehend.object_catalogue import load_objects


def posed(bone: int, angle: float, side: c.Side = "right") -> np.ndarray:
    """(21, 3) joints of a hand of which one bone is turned about its z axis."""
    turns = np.zeros((c.NUM_MANO_JOINTS, 3))
    turns[bone, 2] = angle
    return skin(load_hand_model(side=side), matrix_from_axis_angle(turns), np.zeros(c.NUM_BETAS)).joints


def test_the_skeleton_is_a_tree_of_five_fingers_that_ends_at_the_tips():
    assert len(set(c.JOINT_NAMES)) == len(c.JOINT_PARENTS) == c.NUM_JOINTS == 21
    assert all(parent < joint for joint, parent in enumerate(c.JOINT_PARENTS))
    leaves = set(range(21)) - set(c.JOINT_PARENTS)
    assert leaves == set(c.TIP_JOINTS)
    for finger, tip in zip(c.FINGERS, c.TIP_JOINTS, strict=True):
        joint, bones = tip, 0
        while c.JOINT_PARENTS[joint] >= 0:
            assert c.JOINT_NAMES[joint].startswith(finger)
            joint, bones = c.JOINT_PARENTS[joint], bones + 1
        assert bones == 4


def test_manos_order_is_a_permutation_that_keeps_names():
    assert sorted(c.JOINTS_FROM_MANO) == list(range(21))
    named = [*c.MANO_JOINT_NAMES, *(f"{finger}_tip" for finger in c.FINGERS)]
    for name, mano in zip(c.JOINT_NAMES, c.JOINTS_FROM_MANO, strict=True):
        assert named[mano].startswith(name.partition("_")[0])
        assert named[mano].endswith("_tip") == name.endswith("_tip")


@pytest.mark.parametrize("bone", range(1, 16))
def test_a_bone_moves_the_joints_behind_it_and_no_others(bone):
    moved = np.linalg.norm(posed(bone, 0.5) - posed(bone, 0.0), axis=-1) > 1e-4
    finger = c.FINGERS.index(c.MANO_JOINT_NAMES[bone][:-1])
    first = 1 + 4 * finger + int(c.MANO_JOINT_NAMES[bone][-1])
    assert np.flatnonzero(moved).tolist() == list(range(first, 5 + 4 * finger))


def test_manos_parents_are_the_skeletons():
    for bone, parent in enumerate(c.MANO_PARENTS[1:], start=1):
        ours, above = (c.JOINTS_FROM_MANO.index(one) for one in (bone, parent))
        assert c.JOINT_PARENTS[ours] == above


def test_fingers_of_a_right_hand_point_along_minus_x_with_the_thumb_along_z():
    joints = posed(0, 0.0)
    assert joints[12, 0] < joints[9, 0] < joints[0, 0] and joints[4, 2] > joints[20, 2]


def test_the_mirror_makes_a_left_hand_and_back():
    np.testing.assert_array_equal(c.MIRROR @ c.MIRROR, np.eye(3))
    assert np.linalg.det(c.MIRROR) == -1
    # the rule for rotations: R -> MIRROR R MIRROR, that is z -> -z of a turn about z
    np.testing.assert_allclose(posed(1, 0.4) @ c.MIRROR, posed(1, -0.4, "left"), atol=1e-6)


def test_an_objects_kind_has_as_many_numbers_as_it_says():
    kinds = [model.kind for model in load_objects().values()]
    assert {kind.shape for kind in kinds} == {(c.OBJECT_KIND_SIZE,)}
    assert all(kind[0] == 1 and np.isfinite(kind).all() for kind in kinds)
