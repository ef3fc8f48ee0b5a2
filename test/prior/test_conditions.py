import numpy as np
import pytest
from prior_work import CAMERA, posed, seen

from prehend.errors import InvalidInput, UnknownName
from prehend.hand_model import load_hand_model
from prehend.hand_model.meshes.joints import joints_of_mesh
from prehend.prior.conditions import Conditions

HAND = posed()
JOINTS, MESH = HAND.joints, HAND.vertices
AWAY = np.zeros((480, 640), bool)
AWAY[:20, :20] = True
"""A mask in the image's corner; the hand is in its middle."""
NORMALS = np.tile([0.0, 0, -1], (len(MESH), 1))


def but(points, rows, value):
    changed = np.array(points, np.float64)
    changed[rows] = value
    return changed


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"joints_m": JOINTS[:20]}, r"joints_m has shape \(20, 3\)"),
        ({"joints_m": but(JOINTS, 3, np.inf)}, "infinite"),
        ({"joints_m": but(JOINTS, (3, 1), np.nan)}, "some coordinates of a point and not the others"),
        ({"joints_m": np.full((21, 3), np.nan)}, "nothing that is known"),
        ({"joints_m": but(JOINTS, slice(2, 21), np.nan)}, "too little is known"),
        ({"joints_m": JOINTS * 1000}, "in metres?"),
        ({"joints_m": JOINTS, "joints_std_m": 0.0}, "joints_std_m is not one positive number"),
        ({"keypoints_px": seen(JOINTS)}, "need the camera"),
        (
            {"keypoints_px": seen(JOINTS) / [640, 480], "camera": CAMERA},
            "give pixels, not shares of the image's size",
        ),
        ({"keypoints_px": seen(JOINTS) + 5000, "camera": CAMERA}, "far outside of the camera's 640 x 480 pixels"),
        ({"keypoints_px": seen(JOINTS) * [-1, 1] - 700, "camera": CAMERA}, "are they of another image?"),
        ({"joints_m": JOINTS, "keypoints_px": seen(JOINTS) + 200, "camera": CAMERA}, "contradict each other"),
        ({"points_m": MESH}, "points_m alone does not tell"),
        ({"joints_m": JOINTS, "points_m": but(MESH, 0, np.nan)}, "points_m holds NaN"),
        ({"joints_m": JOINTS, "mask": np.zeros((480, 640), bool), "camera": CAMERA}, "mask is empty"),
        ({"joints_m": JOINTS, "mask": np.ones((48, 64), bool), "camera": CAMERA}, "mask has shape"),
        ({"joints_m": JOINTS, "object_points_m": MESH}, "need their normals"),
        ({"joints_m": JOINTS, "contact": ("thumb",)}, "needs the object"),
        ({"joints_m": "many"}, "expected an array of numbers"),
        (
            {"joints_m": JOINTS, "object_points_m": MESH, "object_normals": NORMALS[:5]},
            r"object_normals has shape \(5, 3\), expected \(1596, 3\)",
        ),
        ({"joints_m": JOINTS, "object_points_m": MESH, "object_normals": 0 * NORMALS}, "not of length 1"),
        (
            {"joints_m": JOINTS, "points_m": MESH + np.array([0, 0, 1])},
            r"points_m and the hand contradict .* 0\.\d+ m apart",
        ),
        (
            {"vertices_m": MESH, "object_points_m": MESH - [1, 0, 0], "object_normals": NORMALS, "contact": ("index",)},
            "the object that is touched and the hand contradict each other",
        ),
        (
            {"joints_m": JOINTS, "mask": AWAY, "camera": CAMERA},
            r"mask and joints contradict each other: they are \d+ px",
        ),
        ({"keypoints_px": seen(JOINTS), "mask": AWAY, "camera": CAMERA}, "mask and joints contradict each other"),
        ({"joints_m": JOINTS * [1, 1, -1], "mask": ~AWAY, "camera": CAMERA}, "the camera does not see the joints"),
        ({"joints_m": JOINTS, "mask": AWAY / 2, "camera": CAMERA}, "mask is of float64"),
    ],
)
def test_what_cannot_be_is_named(given, said):
    with pytest.raises(InvalidInput, match=said):
        Conditions(**given)


def test_names_are_checked():
    with pytest.raises(UnknownName, match="finger 'toe'"):
        Conditions(contact=("toe",))
    with pytest.raises(UnknownName, match="side 'up'"):
        Conditions(side="up")


def test_joints_and_mesh_have_to_be_of_one_hand():
    regressor = joints_of_mesh(load_hand_model())
    Conditions(joints_m=JOINTS, vertices_m=MESH).check_joints_of_mesh(regressor)
    with pytest.raises(InvalidInput, match="contradict each other: they are 100 mm apart"):
        Conditions(joints_m=JOINTS + np.array([0.1, 0, 0]), vertices_m=MESH).check_joints_of_mesh(regressor)
    flat = {"keypoints_px": seen(JOINTS), "camera": CAMERA}
    Conditions(vertices_m=MESH, **flat).check_joints_of_mesh(regressor)
    with pytest.raises(InvalidInput, match=r"mesh and joints in the image contradict each other: \d+ px apart"):
        Conditions(vertices_m=MESH + np.array([0.1, 0, 0]), **flat).check_joints_of_mesh(regressor)
    with pytest.raises(InvalidInput, match="another hand model"):
        Conditions(vertices_m=MESH[:778]).check_joints_of_mesh(regressor)


def test_a_left_hand_in_the_mirror_is_a_right_one():
    """What the mirrored camera sees of the mirrored hand is what the camera sees of the hand, mirrored."""
    left = Conditions(side="left", joints_m=JOINTS, keypoints_px=seen(JOINTS), camera=CAMERA)
    right = left.as_right()
    from prehend.geometry.camera import project

    np.testing.assert_allclose(project(right.joints_m, right.camera), right.keypoints_px, atol=1e-6)
    assert right.side == "right" and right.as_right() is right


def test_what_does_not_touch_and_what_is_seen_in_part_contradicts_nothing():
    """An object far off that no finger touches; a fingertip that is all of a hand that the mask sees."""
    far = {"object_points_m": MESH + np.array([0, 0, 3]), "object_normals": NORMALS}
    assert Conditions(joints_m=JOINTS, **far).contact == ()
    palm = but(JOINTS, [*range(1, 5), *range(6, 9), *range(10, 13), *range(14, 17), *range(18, 21)], np.nan)
    column, row = seen(JOINTS)[12].round().astype(int)
    tip = np.zeros((480, 640), np.uint8)
    tip[row - 3 : row + 3, column - 3 : column + 3] = 255
    known = Conditions(joints_m=palm, mask=tip, camera=CAMERA)
    assert known.mask.dtype == bool and known.mask.sum() == 36
