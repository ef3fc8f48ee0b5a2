"""Rigs as Python makes them: poses are made exactly rigid, and what is none is refused with the way out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput, UnknownName
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.rig.calibration import RigCalibration, RigCamera, checked_pose


def pose(seed: int, far: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = matrix_from_axis_angle(rng.normal(0, 2, 3)), rng.normal(0, far, 3)
    return T


def at(x: float) -> RigCamera:
    T = np.eye(4)
    T[0, 3] = x
    return RigCamera(T)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.integers(3, 6))
def test_a_pose_that_a_file_rounded_is_rigid_again(seed, decimals):
    T = pose(seed)
    found = checked_pose(np.round(T, decimals))
    np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found, T, atol=3 * 10.0**-decimals)
    np.testing.assert_allclose(checked_pose(found), found, atol=1e-12)


def test_what_is_given_is_left_alone():
    T = pose(1)
    T[:3, :3] *= 1.001
    before = T.copy()
    assert not np.array_equal(RigCamera(T).T_rig_camera, T)
    np.testing.assert_array_equal(T, before)


@pytest.mark.parametrize(
    ("given_pose", "message"),
    [
        (np.eye(3), "4 x 4"),
        (np.full((4, 4), np.nan), "finite"),
        (pose(2).T, "transposed"),
        (pose(2) @ np.diag([1, 1, -1, 1.0]), "no rotation"),
        (np.diag([1000.0, 1000, 1000, 1]), "no rotation"),
        (pose(3, far=500), "millimetres"),
        ("here", "numbers"),
        ([[1, 2], [3]], "numbers"),
        ([[10**400] * 4] * 4, "numbers"),
    ],
)
def test_what_is_no_pose_says_why(given_pose, message):
    with pytest.raises(InvalidInput, match=message):
        RigCamera(given_pose)


@pytest.mark.parametrize(
    ("cameras", "message"),
    [
        ({}, "has 0"),
        ({"a": at(0)}, r"has 1 \(a\)"),
        ({"a": at(0), "b": at(0.0005)}, "a and b are at the same place"),
        ({"a": at(0), "b": at(1), "c": at(1)}, "b and c are at the same place"),
        ({"a": at(0), "b": at(65)}, "65 m apart"),
    ],
)
def test_cameras_that_are_no_rig_say_why(cameras, message):
    with pytest.raises(InvalidInput, match=message):
        RigCalibration("table", cameras)


def test_a_rig_is_as_it_was_made():
    given = {"a": at(0), "b": at(0.2)}
    rig = RigCalibration("table", given)
    given["c"] = at(3)
    assert list(rig.cameras) == ["a", "b"] and rig.of("b") is rig.cameras["b"]
    with pytest.raises(TypeError):
        rig.cameras["c"] = at(3)  # type: ignore[index]
    with pytest.raises(UnknownName, match="'c': choose one of a, b"):
        rig.of("c")
