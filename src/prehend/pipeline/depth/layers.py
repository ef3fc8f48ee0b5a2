"""Which surface of a depth image is the hand's, where another hand, an arm or an object stands before it.

Surfaces end where depth jumps. Each one that the skin falls on says how far the hand is off; the hand's are those that
most of the seen joints agree on, and not the nearest. What lies on the others is no measurement of the hand.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import NUM_JOINTS
from prehend.pipeline.depth.skin import Skin, nearest_cells
from prehend.types import Camera, FloatArray

CELL_M = 0.003
"""Side of the cells that surfaces are told apart on, at the hand; three are less than a finger [m]."""

JUMP_M, JUMP_SHARE = 0.012, 0.012
"""Depth that differs by more than this within three cells jumps [m], and in units of the depth: sensors' noise."""

APART_M = 0.03
"""A surface that is so much nearer than most of the hand says is not the hand's [m]."""

LEAST_POINTS, LEAST_OF_JOINT = 5, 2
"""So many points of the skin on a surface say how far it is off; so many around a joint, that it tells of it."""

PRIOR, SHARE = 2.0, 0.85
"""Votes fall as a bell of `gate_m` over the first; of surfaces with such a share of the most votes the farthest is the
hand's: what covers a hand is nearer. Chosen on rendered hands of seeds 201 and 202."""


class Layers(NamedTuple):
    """Surfaces in the part of a depth image that a hand covers.

    Attributes:
        labels: (H, W) one number for each, on cells; 0 on edges and where nothing was measured.
        corner: x and y of the first cell [px].
        stride: side of a cell [px].
    """

    labels: NDArray[np.integer]
    corner: NDArray[np.intp]
    stride: int

    def at(self, pixels: FloatArray) -> NDArray[np.integer]:
        """(N,) the surface at each pixel (N, 2); 0 outside."""
        inside, x, y = nearest_cells((pixels - self.corner) / self.stride, self.labels.shape)
        return np.asarray(np.where(inside, self.labels[y, x], 0))


def own_depth(
    depth_m: FloatArray, skin: Skin, pixels: FloatArray, away_m: FloatArray, camera: Camera, gate_m: float
) -> FloatArray:
    """The depth image without surfaces that are not the hand's; the same one where there are none.

    Args:
        depth_m: (H, W) aligned to the image, along the optical axis [m].
        skin: as the network says.
        pixels: (N, 2) where its points are seen [px].
        away_m: (N,) how much farther each of its points was measured [m].
        camera: of the image.
        gate_m: what is further off than this is no candidate [m].
    """
    layers = layers_of(depth_m, pixels, float(skin.points_m[:, 2].mean()), camera) if len(pixels) else None
    if layers is None:
        return depth_m
    others = foreign(layers.at(pixels), away_m, skin, gate_m)
    return _without(depth_m, layers, others) if len(others) else depth_m


def layers_of(depth_m: FloatArray, pixels: FloatArray, away_m: float, camera: Camera) -> Layers | None:
    """The surfaces around pixels (N, 2) of a hand at some distance; None where it is outside of the image."""
    stride = max(1, int(CELL_M * camera.K[0, 0] / max(away_m, CELL_M)))
    size = np.array(depth_m.shape[::-1])
    finite = pixels[np.isfinite(pixels).all(-1)]
    if not len(finite):
        return None
    low = np.clip(np.floor(finite.min(0)) - stride, 0, size).astype(np.intp)
    high = np.clip(np.ceil(finite.max(0)) + stride + 1, 0, size).astype(np.intp)
    part = depth_m[low[1] : high[1] : stride, low[0] : high[0] : stride].astype(np.float32)
    if part.size == 0:
        return None
    known = (part > 0) & (part < np.inf)
    nine = np.ones((3, 3), np.uint8)
    farthest = cv2.dilate(np.where(known, part, np.float32(-1)), nine)
    nearest = cv2.erode(np.where(known, part, np.float32(1e6)), nine)
    smooth = (farthest > 0) & (farthest - nearest < JUMP_M + JUMP_SHARE * nearest)
    labels = cv2.connectedComponents(smooth.astype(np.uint8), connectivity=4)[1]
    return Layers(labels.astype(np.int32, copy=False), low, stride)


def foreign(labels: NDArray[np.integer], away_m: FloatArray, skin: Skin, gate_m: float) -> NDArray[np.integer]:
    """The surfaces that are not the hand's.

    Args:
        labels: (N,) on which surface each point of the skin falls.
        away_m: (N,) how much farther it was measured there [m].
        skin: the points.
        gate_m: see `own_depth`.
    """
    usable = (np.abs(away_m) < gate_m) & (labels > 0)  # NaN is not
    labels, away, joints = labels[usable], away_m[usable], skin.joints[usable]
    found = np.flatnonzero(np.bincount(labels) >= LEAST_POINTS)
    if len(found) < 2:
        return found[:0]
    off = np.array([np.median(away[labels == label]) for label in found])
    alike = np.abs(off[:, None] - off[None]) < APART_M
    touched = np.zeros((len(found), NUM_JOINTS), np.bool_)
    for row, label in enumerate(found):
        touched[row] = np.bincount(joints[labels == label], minlength=NUM_JOINTS) >= LEAST_OF_JOINT
    votes = (alike.astype(np.int32) @ touched > 0).sum(1) * np.exp(-0.5 * (PRIOR * off / gate_m) ** 2)
    best = np.flatnonzero(votes >= SHARE * votes.max())
    main = off[best[off[best].argmax()]]
    return found[off < main - APART_M]


def _without(depth_m: FloatArray, layers: Layers, others: NDArray[np.integer]) -> FloatArray:
    gone = cv2.dilate(np.isin(layers.labels, others).astype(np.uint8), np.ones((3, 3), np.uint8))
    gone = gone.repeat(layers.stride, 0).repeat(layers.stride, 1)
    left = depth_m.copy()
    x, y = layers.corner
    part = left[y : y + len(gone), x : x + gone.shape[1]]
    part[gone[: part.shape[0], : part.shape[1]] > 0] = 0
    return left
