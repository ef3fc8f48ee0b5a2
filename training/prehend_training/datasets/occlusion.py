"""What of a hand an image shows, from its mesh and where the image shows hand (docs/PAPERS.md 3 and trap 7).

The visible ratio is the hand's pixels in the image over those of the whole mesh. Thresholds on it and on the parts
are `HandLabel.is_occluded` and `HandLabel.occluded_parts`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.geometry.camera import project
from prehend.hand_model import HandModel
from prehend.types import Camera, FloatArray
from prehend_training.sample import HAND_PARTS, PART_OF_JOINT

_NEAREST_M = 0.01


@dataclass(frozen=True)
class Visibility:
    """The fields of the same names of `HandLabel`."""

    visible_ratio: float
    part_vertices: NDArray[np.int64]
    part_visible: NDArray[np.int64]


UNKNOWN = Visibility(float("nan"), np.zeros(len(HAND_PARTS), np.int64), np.zeros(len(HAND_PARTS), np.int64))


def depth_of_mesh(vertices_m: FloatArray, faces: NDArray[np.integer], camera: Camera) -> NDArray[np.float32]:
    """Depth of the nearest surface at each pixel's centre.

    Args:
        vertices_m: (V, 3) in the camera frame.
        faces: (F, 3) rows of `vertices_m`, any orientation; those that reach behind the camera are left out.
        camera: with any distortion, which bends edges between vertices only.

    Returns:
        (H, W) along the optical axis [m], infinite where there is no surface.
    """
    return nearest_surface(vertices_m, faces, camera)[0]


def nearest_surface(
    vertices_m: FloatArray, faces: NDArray[np.integer], camera: Camera
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Depth (H, W) as `depth_of_mesh` gives it, and which face (H, W) that is, -1 for none."""
    vertices = np.asarray(vertices_m, np.float64)
    check_shape("vertices_m", vertices, ["V", 3])
    depth = np.full(camera.height * camera.width, np.inf)
    face = np.full(len(depth), -1, np.int64)
    drawn = np.flatnonzero((vertices[faces][..., 2] > _NEAREST_M).all(1))
    corners = vertices[faces[drawn]]
    if len(corners):
        pixels = project(corners, camera)
        rows, x, y = _boxes(pixels, camera)
        weights, inside = _barycentric(pixels[rows], x, y)
        # 1 / z is linear in the image
        at = 1 / (weights / corners[rows, :, 2]).sum(1)[inside]
        place = (y * camera.width + x)[inside]
        np.minimum.at(depth, place, at)
        nearest = at <= depth[place]
        face[place[nearest]] = drawn[rows[inside][nearest]]
    shape = (camera.height, camera.width)
    return depth.reshape(shape).astype(np.float32), face.reshape(shape)


def _boxes(pixels: FloatArray, camera: Camera) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Triangle, x and y of every pixel in the boxes of (F, 3, 2) triangles, as far as they lie in the image."""
    limit = np.array([camera.width, camera.height]) - 1
    low = np.clip(np.ceil(pixels.min(1)), 0, limit + 1).astype(np.int64)
    high = np.clip(np.floor(pixels.max(1)), -1, limit).astype(np.int64)
    size = np.maximum(high - low + 1, 0)
    counts = size.prod(1)
    rows = np.repeat(np.arange(len(pixels)), counts)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, low[rows, 0] + place % size[rows, 0], low[rows, 1] + place // size[rows, 0]


def _barycentric(
    triangles: FloatArray, x: NDArray[np.int64], y: NDArray[np.int64]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """(N, 3) weights of the corners of (N, 3, 2) triangles at points, and whether the points lie in them."""
    offset = np.stack([x, y], -1)[:, None] - triangles
    following, last = np.roll(offset, -1, axis=1), np.roll(offset, -2, axis=1)
    areas = following[..., 0] * last[..., 1] - following[..., 1] * last[..., 0]
    total = areas.sum(1, keepdims=True)
    flat = np.abs(total) < 1e-12
    weights = areas / np.where(flat, 1.0, total)
    return weights, ((weights >= -1e-9) & ~flat).all(1)


def in_front(hand_depth_m: FloatArray, other_depth_m: FloatArray, slack_m: float = 0.0) -> NDArray[np.bool_]:
    """(H, W) where the hand is seen, from depths of meshes or of a depth camera (0 for none there).

    Args:
        hand_depth_m: of the hand's mesh, infinite beside it.
        other_depth_m: of what may hide it: an object's mesh, or what a depth camera measured.
        slack_m: by how much the other may be nearer and not hide it; for a measured depth a centimetre or two.
    """
    other = np.where(np.asarray(other_depth_m) > 0, other_depth_m, np.inf)
    return np.asarray(np.isfinite(hand_depth_m) & (hand_depth_m <= other + slack_m))


def parts_of(model: HandModel) -> NDArray[np.int64]:
    """(V,) which of `HAND_PARTS` each vertex belongs to, by its largest skinning weight."""
    return np.array(PART_OF_JOINT)[model.weights.argmax(1)]


def visibility(
    vertices_m: FloatArray,
    model: HandModel,
    camera: Camera,
    shown: NDArray[np.bool_],
) -> Visibility:
    """How much of a hand an image shows; vertices by the rule of H2ONet, section 3.2 (see `HandLabel.part_visible`).

    The whole mesh is drawn with room around the image, so that what lies outside of it counts as hidden.

    Args:
        vertices_m: (V, 3) of the hand in the camera frame.
        model: whose faces and parts these are.
        camera: of the image.
        shown: (H, W) where the image shows this hand.
    """
    wide, left, top = _widened(vertices_m, camera)
    alone, face = nearest_surface(vertices_m, model.faces, wide)
    seen = np.zeros(alone.shape, bool)
    seen[top : top + camera.height, left : left + camera.width] = shown
    ratio = (seen & np.isfinite(alone)).sum() / max(int(np.isfinite(alone).sum()), 1)
    x, y = np.clip(np.rint(project(vertices_m, wide)), 0, [wide.width - 1, wide.height - 1]).astype(np.int64).T
    parts = parts_of(model)
    shown_part = np.where(seen & (face >= 0), parts[model.faces[face, 0]], -1)
    hit = (_around(shown_part, y, x) == parts).any(0)
    return Visibility(float(ratio), np.bincount(parts, minlength=6), np.bincount(parts[hit], minlength=6))


def _widened(vertices_m: FloatArray, camera: Camera) -> tuple[Camera, int, int]:
    """A camera with margins that hold the whole hand, at most one image wide, and those at the left and the top."""
    size = np.array([camera.width, camera.height])
    pixels = project(vertices_m, camera)
    pixels = pixels[np.isfinite(pixels).all(1)]
    if not len(pixels):
        return camera, 0, 0
    before = np.clip(np.ceil(2 - pixels.min(0)), 0, size).astype(int)
    after = np.clip(np.ceil(pixels.max(0) + 2 - size), 0, size).astype(int)
    K = camera.K.copy()
    K[:2, 2] += before
    width, height = (size + before + after).tolist()
    wide = Camera(K, width, height, camera.distortion, camera.distortion_model, camera.estimated)
    return wide, int(before[0]), int(before[1])


_CROSS = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))


def _around(image: NDArray[np.generic], y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.generic]:
    """(5, N) values at places and the four pixels beside them."""
    height, width = image.shape
    return np.stack([image[np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)] for dy, dx in _CROSS])
