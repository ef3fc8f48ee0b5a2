"""A depth image that was taken by another camera than the image, seen from the image's camera.

Depth cameras stand beside colour cameras, with a lens and a resolution of their own. Each depth pixel becomes a point,
goes through the transform between the two, and falls into a pixel of the image; of several in one pixel the nearest is
what the image shows. This is done around a hand alone: a few thousand points instead of some hundred thousand.
"""

from dataclasses import dataclass

import numpy as np

from prehend.geometry.camera import plane_from_pixels, project
from prehend.types import Camera, FloatArray

NEAREST_M = 0.05
"""Nearer than this no camera measures [m]."""

MOST_CELL_PX = 4
"""Side of the square that a depth pixel fills in a much finer image [px]."""

MARGIN_PX = 2


@dataclass(frozen=True)
class UnalignedDepth:
    """Depth in the pixels of a camera of its own.

    Attributes:
        depth_m: (H, W) along the optical axis of the depth camera; 0, NaN and infinity where nothing was measured [m].
        camera: the depth camera, of the size of `depth_m`.
        T_image_depth: (4, 4) from the depth camera's frame to that of the image's camera.
    """

    depth_m: FloatArray
    camera: Camera
    T_image_depth: FloatArray

    def around(self, points_m: FloatArray, reach_m: float, view: Camera) -> FloatArray:
        """The depth as the image's camera would measure it, near some points.

        Args:
            points_m: (N, 3) in the frame of the image's camera [m].
            reach_m: how much nearer and farther than these points something may be that counts [m].
            view: the image's camera.

        Returns:
            (H, W) float32 of the image, along its camera's optical axis [m]; infinity where nothing was measured, and
            away from the points.
        """
        found = np.full((view.height, view.width), np.inf, np.float32)
        stride = max(1, round(self.camera.K[0, 0] / view.K[0, 0]))  # the nearest of many is the noisiest
        window, farthest_m = self._window(points_m, reach_m)
        pixels = self._pixels(window, stride)
        depth = self.depth_m[pixels[:, 1], pixels[:, 0]].astype(np.float64)
        usable = (depth > NEAREST_M) & (depth < farthest_m)  # NaN is not; what is behind hides nothing
        pixels, depth = pixels[usable], depth[usable, None]
        plane = plane_from_pixels(pixels.astype(np.float64), self.camera)
        points = np.concatenate([plane * depth, depth], -1)
        points = points @ self.T_image_depth[:3, :3].T + self.T_image_depth[:3, 3]
        _draw(found, points, view, _cell(view, self.camera))
        return found

    def _window(self, points_m: FloatArray, reach_m: float) -> tuple[tuple[int, int, int, int], float]:
        """Left, top, right and bottom (exclusive) of the depth pixels that may lie before or behind the points [px].

        Also the farthest depth that counts [m].
        """
        points = np.asarray(points_m, np.float64)
        away = points[:, 2:]
        shares = [np.maximum(away + step, NEAREST_M) / away for step in (-reach_m, 0.0, reach_m)]
        along = np.concatenate([points * share for share in shares])
        T = np.linalg.inv(self.T_image_depth)
        there = along @ T[:3, :3].T + T[:3, 3]
        pixels = project(there, self.camera)
        pixels = pixels[np.isfinite(pixels).all(-1)]
        if not len(pixels):
            return (0, 0, 0, 0), 0.0
        size = [self.camera.width, self.camera.height]
        low = np.clip(np.floor(pixels.min(0)) - MARGIN_PX, 0, size).astype(int)
        high = np.clip(np.ceil(pixels.max(0)) + 1 + MARGIN_PX, 0, size).astype(int)
        return (int(low[0]), int(low[1]), int(high[0]), int(high[1])), float(there[:, 2].max())

    @staticmethod
    def _pixels(window: tuple[int, int, int, int], stride: int) -> FloatArray:
        """(N, 2) integers: every `stride`-th pixel of a window, x first."""
        left, top, right, bottom = window
        x, y = np.meshgrid(np.arange(left, right, stride), np.arange(top, bottom, stride))
        return np.stack([x.ravel(), y.ravel()], -1)


Depth = FloatArray | UnalignedDepth
"""(H, W) aligned to the image [m], or that of another camera."""


def _cell(view: Camera, depth_camera: Camera) -> int:
    """How many pixels of the image a depth pixel is wide, rounded up: cells of this size have no holes."""
    return int(np.clip(np.ceil(view.K[0, 0] / depth_camera.K[0, 0] - 0.05), 1, MOST_CELL_PX))


def _draw(found: FloatArray, points_m: FloatArray, view: Camera, cell: int) -> None:
    """Put points (N, 3) into the square cells of `found` (H, W) that they fall into; the nearest stays."""
    pixels = project(points_m, view)
    x, y = pixels[:, 0], pixels[:, 1]
    inside = (x >= -0.5) & (x < view.width - 0.5) & (y >= -0.5) & (y < view.height - 0.5)  # NaN is not
    if not inside.any():
        return
    cells = np.floor((pixels[inside] + 0.5) / cell).astype(np.intp)
    low = cells.min(0)
    columns, rows = cells.max(0) + 1 - low
    nearest = np.full(rows * columns, np.inf, np.float32)
    np.minimum.at(nearest, (cells - low) @ [1, columns], points_m[inside, 2].astype(np.float32))
    drawn = nearest.reshape(rows, columns).repeat(cell, 0).repeat(cell, 1)
    left, top = cell * low
    part = found[top : top + len(drawn), left : left + drawn.shape[1]]
    part[:] = drawn[: part.shape[0], : part.shape[1]]
