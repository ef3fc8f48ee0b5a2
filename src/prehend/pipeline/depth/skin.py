"""The skin of a posed hand that a depth camera sees, and what it measures there."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.geometry.camera import project
from prehend.types import Camera, FloatArray

FACING = 0.2
"""Cosine between skin and viewing ray from which depth is sampled: at edges near objects grow in depth images."""

OWN_LAYER_M = 0.012
"""Skin that lies deeper than this behind other skin of the hand in the same direction is hidden by it [m]."""

WIDEST = 5.0
"""What is seen further from the optical axis than this is as good as there (x / z, without unit)."""

MOST_POINTS = 900
"""So many triangles of a mesh are looked at, of which a fifth may be seen; more tell nothing new."""


class Skin(NamedTuple):
    """Points of the skin that the camera may see.

    Attributes:
        points_m: (N, 3) in the camera frame [m].
        normals: (N, 3) unit vectors out of the hand.
        joints: (N,) the joint that each is nearest to.
        corners: (N, 3) vertices that each is the middle of.
    """

    points_m: FloatArray
    normals: FloatArray
    joints: NDArray[np.intp]
    corners: NDArray[np.integer]

    def some(self, most: int) -> "Skin":
        """So many of the points at most, evenly."""
        step = max(1, -(-len(self.points_m) // most))
        return Skin(self.points_m[::step], self.normals[::step], self.joints[::step], self.corners[::step])

    def of(self, vertices_m: FloatArray) -> "Skin":
        """The same points of a hand whose vertices (V, 3) lie otherwise."""
        points, normals = middles(np.asarray(vertices_m, np.float64)[self.corners])
        return Skin(points, normals / np.linalg.norm(normals, axis=-1, keepdims=True), self.joints, self.corners)


def visible_skin(
    vertices_m: FloatArray,
    faces: NDArray[np.integer],
    joints_m: FloatArray,
    visible: NDArray[np.bool_],
) -> Skin:
    """Middles of triangles that face the camera, near joints that are visible, with no other part of the hand before
    them.

    Args:
        vertices_m: (V, 3) of the mesh in the camera frame [m].
        faces: (F, 3), turning outwards.
        joints_m: (21, 3) [m].
        visible: (21,) of the joints.
    """
    vertices = np.asarray(vertices_m, np.float64)
    corners = faces[:: max(1, len(faces) // MOST_POINTS)]
    points, normals = middles(vertices[corners])
    length = np.sqrt((normals**2).sum(-1) * (points**2).sum(-1))
    rows = np.flatnonzero(-(normals * points).sum(-1) > FACING * np.maximum(length, 1e-15))
    points = points[rows]
    squares = (joints_m**2).sum(-1) - 2 * points @ joints_m.T  # to each joint, but for what all have
    nearest = squares.argmin(1)
    kept = np.asarray(visible)[nearest]
    kept[kept] = _in_front(points[kept], vertices)
    normals = normals[rows[kept]]
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return Skin(points[kept], normals, nearest[kept], corners[rows[kept]])


def middles(corners_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(N, 3) middles of triangles (N, 3, 3), and normals of any length."""
    a, b = corners_m[:, 1] - corners_m[:, 0], corners_m[:, 2] - corners_m[:, 0]
    return np.asarray(corners_m.mean(1)), cross(a, b)


def measured(depth_m: FloatArray, points_m: FloatArray, camera: Camera) -> FloatArray:
    """(N,) what a depth image (H, W) says at the nearest pixel of each point (N, 3) [m]; NaN outside and where nothing
    was measured."""
    return measured_at(depth_m, project(points_m, camera))


def measured_at(depth_m: FloatArray, pixels: FloatArray) -> FloatArray:
    """The same at pixels (N, 2)."""
    inside, x, y = nearest_cells(pixels, depth_m.shape)
    found = depth_m[y, x].astype(np.float64)
    return np.where(inside & (found > 0) & (found < np.inf), found, np.nan)


def nearest_cells(
    places: FloatArray, shape: tuple[int, ...]
) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp]]:
    """(N,) which of the places (N, 2) lie on an array of this shape (H, W), and the column and row that each is nearest
    to; 0 for those that do not."""
    inside = np.asarray(((places > -0.5) & (places < [shape[1] - 0.5, shape[0] - 0.5])).all(-1))  # NaN is not
    x, y = np.where(inside[:, None], np.rint(places), 0).astype(np.intp).T
    return inside, x, y


def cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """(N, 3) cross products; numpy's own takes five times as long for so few."""
    ax, ay, az = a.T
    bx, by, bz = b.T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)


def _in_front(points_m: FloatArray, vertices_m: FloatArray) -> NDArray[np.bool_]:
    """(N,) whether no vertex of the hand lies before a point, by directions as wide as a finger."""
    cell = OWN_LAYER_M / max(float(vertices_m[:, 2].mean()), OWN_LAYER_M)
    both = np.concatenate([points_m, vertices_m])
    places = (np.clip(both[:, :2] / np.maximum(both[:, 2:], 1e-3), -WIDEST, WIDEST) / cell).astype(np.intp)
    places -= places.min(0)
    keys = places[:, 1] * (places[:, 0].max() + 1) + places[:, 0]
    count = len(points_m)
    nearest = np.full(keys.max() + 1, np.inf)
    np.minimum.at(nearest, keys[count:], vertices_m[:, 2])
    return np.asarray(points_m[:, 2] < nearest[keys[:count]] + OWN_LAYER_M)
