import numpy as np
import pytest
from prior_work import CAMERA, posed, seen

from prehend.errors import InvalidInput, UnknownName
from prehend.hand_model import load_hand_model
from prehend.hand_model.meshes.joints import joints_of_mesh
from prehend.prior.conditions import Conditions

HAND = posed()
JOINTS, MESH = HAND.joints, HAND.vertices


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
            "give pixels, not shares of the picture's size",
        ),
        ({"keypoints_px": seen(JOINTS) + 5000, "camera": CAMERA}, "far outside of the camera's 640 x 480 pixels"),
        ({"keypoints_px": seen(JOINTS) * [-1, 1] - 700, "camera": CAMERA}, "are they of another picture?"),
        ({"joints_m": JOINTS, "keypoints_px": seen(JOINTS) + 200, "camera": CAMERA}, "contradict each other"),
        ({"points_m": MESH}, "points_m alone does not tell"),
        ({"joints_m": JOINTS, "points_m": but(MESH, 0, np.nan)}, "points_m holds NaN"),
        ({"joints_m": JOINTS, "mask": np.zeros((480, 640), bool), "camera": CAMERA}, "mask is empty"),
        ({"joints_m": JOINTS, "mask": np.ones((48, 64), bool), "camera": CAMERA}, "mask has shape"),
        ({"joints_m": JOINTS, "object_points_m": MESH}, "need their normals"),
        ({"joints_m": JOINTS, "contact": ("thumb",)}, "needs the object"),
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
    with pytest.raises(InvalidInput, match="another hand model"):
        Conditions(vertices_m=MESH[:778]).check_joints_of_mesh(regressor)


def test_a_left_hand_in_the_mirror_is_a_right_one():
    """What the mirrored camera sees of the mirrored hand is what the camera sees of the hand, mirrored."""
    left = Conditions(side="left", joints_m=JOINTS, keypoints_px=seen(JOINTS), camera=CAMERA)
    right = left.as_right()
    from prehend.geometry.camera import project

    np.testing.assert_allclose(project(right.joints_m, right.camera), right.keypoints_px, atol=1e-6)
    assert right.side == "right" and right.as_right() is right
