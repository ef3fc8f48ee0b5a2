"""Depth of another camera, seen from the image's: exact where nothing hides, and good for a hand's distance."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.geometry.camera import backproject, mirror_camera, project
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model.asset import load_hand_model
from prehend.pipeline.depth.refine import checked_depth, refine_depth
from prehend.pipeline.depth.register import UnalignedDepth
from prehend.ros.inputs.mirror import mirror_depth
from prehend.types import Camera

MM = 1e-3
MODEL = load_hand_model(side="right")
COLOUR = Camera(np.array([[920.0, 0, 645], [0, 918, 362], [0, 0, 1]]), 1280, 720)
IR = Camera(np.array([[447.0, 0, 423], [0, 447, 240], [0, 0, 1]]), 848, 480)
BENT = Camera(IR.K, 848, 480, np.array([0.05, -0.08, 0.001, -0.002, 0.01]), "plumb_bob")


def beside(x_m: float = -0.015, turn_deg: float = 0.6) -> np.ndarray:
    """T_image_depth of a depth camera a little to the side, turned a little about all axes."""
    T = np.eye(4)
    T[:3, :3] = matrix_from_axis_angle(np.deg2rad(turn_deg) * np.array([0.5, -0.7, 0.3]))
    T[:3, 3] = x_m, 0.002, -0.001
    return T


def plane_depth(camera: Camera, T_image_depth: np.ndarray, normal: np.ndarray, away_m: float) -> np.ndarray:
    """(H, W) depth of the plane normal . p = away_m of the image's frame, by its camera."""
    R, t = T_image_depth[:3, :3], T_image_depth[:3, 3]
    x, y = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = backproject(np.stack([x, y], -1).astype(float), 1.0, camera) @ R.T
    return ((away_m - normal @ t) / (rays @ normal)).astype(np.float32)


@pytest.mark.parametrize("depth_camera", [IR, BENT], ids=["straight", "distorted"])
def test_a_slanted_plane_is_where_it_is(depth_camera: Camera) -> None:
    T, normal = beside(), np.array([0.3, -0.2, 0.93])
    depth = UnalignedDepth(plane_depth(depth_camera, T, normal, 0.6), depth_camera, T)
    middle = np.array([[0.02, 0.01, 0.62]])
    around = middle + np.random.default_rng(0).uniform(-0.08, 0.08, (50, 3))
    found = depth.around(around, 0.05, COLOUR)
    true = plane_depth(COLOUR, np.eye(4), normal, 0.6)
    x, y = np.round(project(middle, COLOUR)[0]).astype(int)
    seen = found[y - 80 : y + 80, x - 80 : x + 80]
    assert np.isfinite(seen).all(), "a finer image has no holes"
    off = np.abs(seen - true[y - 80 : y + 80, x - 80 : x + 80])
    assert np.median(off) < 0.5 * MM and off.max() < 3 * MM
    assert not np.isfinite(found[:100]).any(), "only what is near the points is worked on"


def test_the_same_camera_sees_what_it_saw() -> None:
    depth = np.random.default_rng(0).uniform(0.4, 0.6, (48, 64)).astype(np.float32)
    camera = Camera(np.array([[60.0, 0, 31.5], [0, 61.0, 23.5], [0, 0, 1]]), 64, 48)
    corners = backproject(np.array([[0.0, 0], [63, 47]]), 0.5, camera)
    found = UnalignedDepth(depth, camera, np.eye(4)).around(corners, 0.1, camera)
    np.testing.assert_allclose(found, depth, rtol=1e-6)


def test_what_is_nearer_hides_what_is_behind_it() -> None:
    """A board before a wall: the depth camera far to the side sees wall that the image's camera does not."""
    T = beside(-0.08, 0.0)
    depth = plane_depth(IR, T, np.array([0.0, 0, 1]), 1.0)
    board = plane_depth(IR, T, np.array([0.0, 0, 1]), 0.4)
    x, y = np.meshgrid(np.arange(IR.width), np.arange(IR.height))
    shown = backproject(np.stack([x, y], -1).astype(float), board, IR) + T[:3, 3]
    on_board = (np.abs(shown[..., 0]) < 0.05) & (np.abs(shown[..., 1]) < 0.05)
    points = np.array([[-0.05, -0.05, 0.4], [0.05, 0.05, 0.4]])
    seen = UnalignedDepth(np.where(on_board, board, depth), IR, T).around(points, 0.7, COLOUR)
    (left, top), (right, bottom) = np.round(project(points, COLOUR)).astype(int)
    assert np.abs(seen[top + 3 : bottom - 3, left + 3 : right - 3] - 0.4).max() < 1 * MM


def test_nothing_measured_and_nothing_in_sight_are_infinite() -> None:
    points = np.array([[0.0, 0, 0.5]])
    for values in (0.0, np.nan, np.inf, -1.0):
        empty = UnalignedDepth(np.full((480, 848), values, np.float32), IR, beside())
        assert np.isinf(empty.around(points, 0.1, COLOUR)).all()
    behind = np.diag([-1.0, 1, -1, 1])  # the depth camera looks the other way
    away = UnalignedDepth(np.full((480, 848), 0.5, np.float32), IR, behind)
    assert np.isinf(away.around(points, 0.1, COLOUR)).all()


@pytest.mark.parametrize("factor", [0.92, 1.08])
@pytest.mark.parametrize("seed", range(3))
def test_a_hand_at_a_wrong_distance_comes_back_by_a_sensor_beside_the_camera(
    depth_of, new_hand, seed: int, factor: float
) -> None:
    """What a D435 measures of the posed mesh, by `depth_sensor` of the training workspace: errors, steps, holes."""
    sensor = pytest.importorskip("prehend_training.scenes.camera.depth_sensor", reason="needs the training workspace")
    hand = new_hand("right", 0.03, seed=seed, z=0.5)
    T = beside()
    R, t = T[:3, :3], T[:3, 3]
    true_m = depth_of((hand.skinned.vertices - t) @ R, IR)  # R.T (p - t) of each
    light = np.full(true_m.shape, 0.5, np.float32)
    measured = sensor.sense(true_m, light, float(IR.K[0, 0]), sensor.DepthSensor(seed=seed))
    truth = hand.decoded(COLOUR)
    depth = UnalignedDepth((measured / 1000).astype(np.float32), IR, T)
    nearer = {"joints_m": factor * truth.joints_m, "vertices_m": (factor * truth.vertices_m).astype(np.float32)}
    seen = replace(truth, **nearer)  # a smaller hand that is nearer looks the same
    found = refine_depth(seen, MODEL, depth, COLOUR)
    assert np.linalg.norm(seen.joints_m[0] - truth.joints_m[0]) > 30 * MM
    assert np.linalg.norm(found.joints_m[0] - truth.joints_m[0]) < 8 * MM
    assert found.measured and found.position_std_m < 0.02


def test_mirrored_depth_is_that_of_the_mirrored_image() -> None:
    T, normal = beside(), np.array([0.3, -0.2, 0.93])
    depth = UnalignedDepth(plane_depth(IR, T, normal, 0.6), IR, T)
    point = np.array([[0.1, 0.02, 0.6]])
    seen = depth.around(point, 0.1, COLOUR)
    turned = mirror_depth(depth).around(point * [-1, 1, 1], 0.1, mirror_camera(COLOUR))
    x, y = np.round(project(point, COLOUR)[0]).astype(int)
    patch, other = seen[y - 5 : y + 6, x - 5 : x + 6], turned[:, ::-1][y - 5 : y + 6, x - 5 : x + 6]
    np.testing.assert_allclose(other, patch, atol=1.5 * MM)


def test_what_cannot_be_a_depth_camera_is_refused() -> None:
    fine = np.zeros((480, 848), np.float32)
    assert isinstance(checked_depth(UnalignedDepth(fine, IR, np.eye(4)), (64, 48)), UnalignedDepth)
    with pytest.raises(InvalidInput, match=r"of its own camera.*\(10, 848\), expected \(480, 848\)"):
        checked_depth(UnalignedDepth(fine[:10], IR, np.eye(4)), (64, 48))
    with pytest.raises(InvalidInput, match="T_image_depth is not finite"):
        checked_depth(UnalignedDepth(fine, IR, np.full((4, 4), np.nan)), (64, 48))
