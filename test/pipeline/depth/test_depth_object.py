"""Depth says how far what a hand holds is, and changes nothing where it says nothing."""

import numpy as np
import pytest

from prehend.geometry.camera import project
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.object_catalogue import ObjectModel
from prehend.pipeline.depth.objects import refine_object
from prehend.pipeline.depth.register import UnalignedDepth
from prehend.types import Box, Camera, ObjectEstimate

MM = 1e-3
CAMERA = Camera(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)
CARTON = ObjectModel("carton", "a carton", np.array([0.06, 0.09, 0.16]), np.array([0.01, 0.0, 0.02]))


def seen_at(T: np.ndarray, model: ObjectModel = CARTON) -> ObjectEstimate:
    keypoints = project(model.control_points_m @ T[:3, :3].T + T[:3, 3], CAMERA)
    return ObjectEstimate(model.object_id, 0.9, keypoints, Box.around(keypoints), T, extents_m=model.extents_m)


def pose(seed: int) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = matrix_from_axis_angle(np.random.default_rng(seed).normal(0, 1, 3))
    T[:3, 3] = [0.03, -0.02, 0.55]
    return T


def depth_of_solid(T: np.ndarray, form: str, model: ObjectModel = CARTON) -> np.ndarray:
    """Of a box or the largest ellipsoid in it, before a wall, by many points on it."""
    points = np.random.default_rng(0).normal(size=(300_000, 3))
    points /= np.abs(points).max(-1, keepdims=True) if form == "box" else np.linalg.norm(points, axis=-1, keepdims=True)
    points = (points * model.extents_m / 2 + model.center_m) @ T[:3, :3].T + T[:3, 3]
    depth = np.full((CAMERA.height, CAMERA.width), 1.5, np.float32)
    x, y = np.round(project(points, CAMERA)).astype(int).T
    np.minimum.at(depth, (y, x), points[:, 2].astype(np.float32))
    return depth


def away(T: np.ndarray, factor: float, model: ObjectModel = CARTON) -> np.ndarray:
    """The pose with the middle of the box moved along its viewing ray."""
    T = T.copy()
    T[:3, 3] += (factor - 1) * middle(T, model)
    return T


def middle(T: np.ndarray, model: ObjectModel = CARTON) -> np.ndarray:
    return T[:3, :3] @ model.center_m + T[:3, 3]


@pytest.mark.parametrize("form", ["box", "ellipsoid"])
@pytest.mark.parametrize("factor", [0.88, 1.12])
@pytest.mark.parametrize("seed", range(3))
def test_an_object_at_a_wrong_distance_comes_back_along_its_ray(form: str, factor: float, seed: int) -> None:
    true = pose(seed)
    found = refine_object(seen_at(away(true, factor)), CARTON, depth_of_solid(true, form), CAMERA)
    assert found is not None and found.T_camera_object is not None
    assert np.linalg.norm(middle(found.T_camera_object) - middle(true)) < 18 * MM
    np.testing.assert_allclose(np.cross(middle(found.T_camera_object), middle(true)), 0, atol=1e-9)
    np.testing.assert_array_equal(found.T_camera_object[:3, :3], true[:3, :3])
    shown = project(CARTON.control_points_m @ found.T_camera_object[:3, :3].T + found.T_camera_object[:3, 3], CAMERA)
    np.testing.assert_allclose(found.keypoints_px, shown)


def test_a_box_that_nobody_named_comes_back_too_and_by_another_camera() -> None:
    box = ObjectModel("unknown", "a box", CARTON.extents_m, np.zeros(3))
    true = pose(1)
    depth = depth_of_solid(true, "box", box)
    aligned = refine_object(seen_at(away(true, 1.1, box), box), None, depth, CAMERA)
    other = UnalignedDepth(depth, CAMERA, np.eye(4))
    registered = refine_object(seen_at(away(true, 1.1, box), box), None, other, CAMERA)
    assert aligned is not None and aligned.T_camera_object is not None
    assert registered is not None and registered.T_camera_object is not None
    assert np.linalg.norm(middle(aligned.T_camera_object, box) - middle(true, box)) < 18 * MM
    np.testing.assert_allclose(registered.T_camera_object, aligned.T_camera_object, atol=2 * MM)


def test_fingers_before_it_and_holes_do_not_draw_it_away() -> None:
    true = pose(2)
    depth = depth_of_solid(true, "box")
    rng = np.random.default_rng(0)
    depth[rng.uniform(size=depth.shape) < 0.3] = 0
    y = int(project(middle(true), CAMERA)[1])
    depth[y - 12 : y + 12] = np.where(depth[y - 12 : y + 12] > 0, true[2, 3] - 0.1, 0)  # a band of fingers
    found = refine_object(seen_at(away(true, 1.1)), CARTON, depth, CAMERA)
    assert found is not None and found.T_camera_object is not None
    assert np.linalg.norm(middle(found.T_camera_object) - middle(true)) < 30 * MM


def test_what_says_nothing_changes_nothing() -> None:
    held = seen_at(pose(0))
    wall = np.full((480, 640), 1.5, np.float32)
    for depth in (None, np.zeros_like(wall), np.full_like(wall, np.nan), np.full_like(wall, np.inf), wall, -wall):
        assert refine_object(held, CARTON, depth, CAMERA) is held
    nowhere = ObjectEstimate("carton", 0.9, held.keypoints_px, held.box_px)
    assert refine_object(nowhere, CARTON, wall, CAMERA) is nowhere
    assert refine_object(None, None, wall, CAMERA) is None
