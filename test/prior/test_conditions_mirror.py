"""What is known of a hand, in the mirror, under distortion, with gaps: the same hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prior_work import CAMERA, posed

from prehend.errors import InvalidInput
from prehend.geometry.camera import project
from prehend.prior.conditions import Conditions
from prehend.prior.estimates import known_of_estimate
from prehend.types import Camera

HAND = posed()
JOINTS = HAND.joints.astype(float)
few = settings(max_examples=15, deadline=None, derandomize=True)
BENT = Camera(CAMERA.K, 640, 480, [0.12, -0.08, 0.002, -0.003, 0.01])
SKEWED = Camera(CAMERA.K + np.array([[0, 8.0, 0], [0, 0, 0], [0, 0, 0]]), 640, 480)
FISHEYE = Camera(CAMERA.K, 640, 480, [0.05, -0.01, 0.002, 0], "equidistant")


@pytest.mark.parametrize("camera", [CAMERA, BENT, SKEWED, FISHEYE], ids=["plain", "bent", "skewed", "fisheye"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_ideal_camera_sees_the_same_hand_in_other_pixels(camera, side):
    known = Conditions(side=side, joints_m=JOINTS, keypoints_px=project(JOINTS, camera), camera=camera)
    np.testing.assert_allclose(known.ideal_keypoints(), project(JOINTS, known.pinhole()), atol=0.05)
    right = known.as_right()
    if side == "left":
        np.testing.assert_allclose(project(right.joints_m, right.camera), right.keypoints_px, atol=0.05)
    assert right.side == "right" and not right.pinhole().distortion.any()


@few
@given(st.sets(st.integers(1, 20), max_size=14))
def test_gaps_stay_gaps_in_the_mirror(hidden):
    rows = sorted(hidden)
    joints, pixels = JOINTS.copy(), project(JOINTS, CAMERA)
    joints[rows], pixels[rows] = np.nan, np.nan
    right = Conditions(side="left", joints_m=joints, keypoints_px=pixels, camera=CAMERA).as_right()
    for name in ("joints_m", "keypoints_px"):
        assert np.flatnonzero(np.isnan(getattr(right, name)).any(1)).tolist() == rows
    np.testing.assert_allclose(right.joints_m * [-1, 1, 1], joints)


def test_masks_points_and_objects_are_mirrored_with_the_hand():
    mask = np.zeros((480, 640), bool)
    mask[250:350, 300:340] = True
    normals = np.tile([1.0, 0, 0], (4, 1))
    known = Conditions(
        side="left", joints_m=JOINTS, camera=CAMERA, mask=mask, points_m=JOINTS[:5], object_points_m=JOINTS[:4],
        object_normals=normals, contact=("thumb",),
    )  # fmt: skip
    right = known.as_right()
    assert right.mask[300, 639 - 310] and right.mask.sum() == mask.sum()
    np.testing.assert_allclose(right.points_m, JOINTS[:5] * [-1, 1, 1])
    np.testing.assert_allclose(right.object_normals, -normals)
    assert right.contact == ("thumb",)


@pytest.mark.parametrize("unit", [1000, 100, 1 / 25.4, 1e-3])
@pytest.mark.parametrize("name", ["joints_m", "vertices_m"])
def test_another_unit_is_told_for_joints_and_meshes(name, unit):
    points = (JOINTS if name == "joints_m" else HAND.vertices.astype(float)) * unit
    with pytest.raises(InvalidInput, match=f"{name} spans .* are they in metres"):
        Conditions(**{name: points})


@pytest.mark.parametrize("std", [0, -1, np.nan, np.inf, [1.0] * 20, [[1.0] * 21]])
@pytest.mark.parametrize("name", ["joints_std_m", "keypoints_std_px", "vertices_std_m", "points_std_m"])
def test_a_standard_deviation_is_positive_and_one_a_joint(name, std):
    with pytest.raises(InvalidInput, match=name):
        Conditions(joints_m=JOINTS, **{name: std})


@pytest.mark.parametrize("name", ["vertices_std_m", "points_std_m"])
def test_meshes_and_depth_have_one_standard_deviation(name):
    with pytest.raises(InvalidInput, match=f"{name} is not one positive number$"):
        Conditions(joints_m=JOINTS, **{name: [0.001] * 21})
    assert Conditions(joints_m=JOINTS, joints_std_m=[0.001] * 21).places


def test_what_is_given_is_left_alone_and_kept_as_float64():
    given_joints = JOINTS.astype(np.float32)
    known = Conditions(joints_m=given_joints, keypoints_px=project(JOINTS, CAMERA).tolist(), camera=CAMERA)
    assert known.joints_m.dtype == known.keypoints_px.dtype == np.float64 and given_joints.dtype == np.float32
    assert Conditions().places is False and known.places


def test_an_estimate_whose_network_tells_nothing_usable_is_asked_about_all_the_same(make_result):
    """Keypoints beyond what a network can tell have an infinite deviation: they are not known."""
    std = np.full(21, 2.0)
    std[[3, 4]] = np.inf, np.nan
    result = make_result(640, 480, {"keypoint_std_px": std})
    known = known_of_estimate(result.hands[0], result.camera)
    assert np.flatnonzero(np.isnan(known.keypoints_px).any(1)).tolist() == [3, 4]
    assert np.isfinite(known.keypoints_std_px).all()


def test_an_estimate_is_known_with_its_side_and_camera(make_result):
    result = make_result(640, 480, {"side": "left"})
    known = known_of_estimate(result.hands[0], result.camera)
    assert known.side == "left" and known.camera is result.camera and known.joints_m is None
    assert (np.asarray(known.keypoints_std_px) == 4.0).all(), "of weights that do not tell"
    moved = replace(result.hands[0], keypoints_px=result.hands[0].keypoints_px + 9000)
    with pytest.raises(InvalidInput, match="far outside"):
        known_of_estimate(moved, result.camera)
