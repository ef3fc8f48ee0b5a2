"""The distance of a hand by a depth image: its skin is as far away as the image says where the hand is seen.

From one camera a hand's distance is only as good as its size is known. A depth camera measures it. What is compared is
skin with skin: of the posed mesh those vertices that face the camera, each with the depth at its own pixel. Joints lie
below the skin, by as much as the model says.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.errors import InvalidInput
from prehend.geometry.camera import project
from prehend.pipeline.decode import DecodedHand
from prehend.pipeline.depth_register import Depth, UnalignedDepth
from prehend.types import Camera, FloatArray

MIN_JOINTS, MIN_VERTICES = 3, 4
"""Fewer joints that agree, or fewer vertices around one, say nothing."""

FACING = 0.5
"""Cosine between skin and viewing ray from which depth is sampled: at edges near things grow in depth images."""

OWN_LAYER_M = 0.012
"""Skin that lies deeper than this behind other skin of the hand in the same direction is hidden by it [m]."""

GATE_STDS, LEAST_GATE_M, MOST_GATE_M = 4.0, 0.06, 0.5
"""Depths further than so many standard deviations from where the hand is expected are those of something else."""

ROUGH_M = 0.012
"""Where half of the depths around a joint spread more than this there is an edge [m]."""

TOGETHER_M = 0.03
"""Joints whose depths are off by the same, within this, agree; of what lies before or behind the hand fewer do [m]."""

NEAR_WRIST_M, FAR_WEIGHT = 0.04, 1e-3
"""Joints count by their distance to the wrist, because an error of the pose tilts the hand: width of that bell [m], and
what those far away count for."""

FLOOR_M, FLOOR_SHARE, TILT = 0.006, 0.01, 0.15
"""Standard deviations: of the model's skin [m]; of the depth camera in units of the depth; of the pose's tilt, in units
of the distance between the wrist and the joints that tell [m/m]."""


def checked_depth(depth: Depth | None, size: tuple[int, int]) -> Depth | None:
    """A depth image that belongs to an image of this width and height [px], or to a camera of its own.

    Raises:
        InvalidInput: it has another size, or holds no floating numbers, or the transform is none.
    """
    if depth is None:
        return None
    values, name = depth, "depth (aligned to the image)"
    if isinstance(depth, UnalignedDepth):
        check_shape("T_image_depth", depth.T_image_depth, [4, 4])
        if not np.isfinite(depth.T_image_depth).all():
            raise InvalidInput("T_image_depth is not finite")
        values, name = depth.depth_m, "depth (of its own camera)"
        size = (depth.camera.width, depth.camera.height)
    if not isinstance(values, np.ndarray) or not np.issubdtype(values.dtype, np.floating):
        kind = getattr(values, "dtype", type(values).__name__)
        raise InvalidInput(f"depth is {kind}, expected floating numbers in metres (millimetres: divide by 1000)")
    check_shape(name, values, [size[1], size[0]])
    return depth


def refine_depth(hand: DecodedHand, faces: NDArray[np.integer], depth: Depth | None, camera: Camera) -> DecodedHand:
    """The hand moved along the viewing ray of its wrist to where the depth image has its skin.

    Args:
        hand: as one image shows it.
        faces: (F, 3) of its mesh, turning outwards.
        depth: (H, W) along the optical axis, aligned to the image [m]; 0, NaN and infinity where nothing was
            measured. That of another camera is registered around the hand. None leaves the hand alone.
        camera: of the image.

    Returns:
        The same hand where depth says nothing of it: too little is visible or measured, or what was measured lies too
        far from where the hand can be.
    """
    if depth is None:
        return hand
    gate_m = float(np.clip(GATE_STDS * np.nan_to_num(hand.position_std_m, nan=MOST_GATE_M), LEAST_GATE_M, MOST_GATE_M))
    depth_m = depth.around(hand.vertices_m, gate_m, camera) if isinstance(depth, UnalignedDepth) else depth
    joints, steps = _joint_steps(hand, faces, depth_m, camera, gate_m)
    kept = _agreeing(steps)
    if kept.sum() < MIN_JOINTS:
        return hand
    wrist, steps = hand.joints_m[0], steps[kept]
    apart = np.linalg.norm(hand.joints_m[joints[kept]] - wrist, axis=-1)
    weights = np.exp(-0.5 * (apart / NEAR_WRIST_M) ** 2) + FAR_WEIGHT
    weights /= weights.sum()
    step = float(weights @ steps)
    away = float(wrist[2]) + step
    spread = float(np.sqrt(weights @ (steps - step) ** 2 * (weights**2).sum()))
    std = float(np.linalg.norm([FLOOR_M, FLOOR_SHARE * away, TILT * float(weights @ apart), spread]))
    shift = step / wrist[2] * wrist
    return replace(
        hand,
        joints_m=hand.joints_m + shift,
        vertices_m=(hand.vertices_m + shift).astype(np.float32),
        measured=True,
        position_std_m=std if np.isfinite(hand.position_std_m) else hand.position_std_m,
    )


def _agreeing(steps: FloatArray) -> NDArray[np.bool_]:
    """(N,) the largest group of steps that are alike; of equal ones that which asks for the smallest step."""
    if not len(steps):
        return np.zeros(0, np.bool_)
    alike = np.abs(steps[:, None] - steps[None]) < TOGETHER_M
    best = int(np.lexsort((np.abs(steps), -alike.sum(1)))[0])
    return np.asarray(alike[best])


def _joint_steps(
    hand: DecodedHand, faces: NDArray[np.integer], depth_m: FloatArray, camera: Camera, gate_m: float
) -> tuple[NDArray[np.intp], FloatArray]:
    """The usable joints (N,), and by how much the skin around each is farther away than the hand says (N,) [m]."""
    vertices = np.asarray(hand.vertices_m, np.float64)
    pixels = project(vertices, camera)
    away = _at(depth_m, pixels) - vertices[:, 2]
    nearest = ((vertices[:, None] - hand.joints_m[None]) ** 2).sum(-1).argmin(1)
    usable = _facing(vertices, faces) & _in_front(pixels, vertices[:, 2], camera) & hand.visible[nearest]
    usable &= np.abs(np.nan_to_num(away, nan=np.inf)) < gate_m
    found = []
    for joint in np.unique(nearest[usable]):
        around = away[usable & (nearest == joint)]
        low, high = np.percentile(around, [25, 75])
        if len(around) >= MIN_VERTICES and high - low < ROUGH_M:
            found.append((joint, float(np.median(around))))
    return np.array([joint for joint, _ in found], np.intp), np.array([step for _, step in found])


def _at(depth_m: FloatArray, pixels: FloatArray) -> FloatArray:
    """(V,) depth at the nearest pixel, NaN outside and where nothing was measured."""
    height, width = depth_m.shape
    places = np.nan_to_num(np.round(pixels), nan=-1, posinf=-1, neginf=-1)
    inside = np.asarray(((places >= 0) & (places < [width, height])).all(-1))
    x, y = np.where(inside[:, None], places, 0).astype(np.intp).T
    found = depth_m[y, x].astype(np.float64)
    return np.where(inside & np.isfinite(found) & (found > 0), found, np.nan)


def _facing(vertices: FloatArray, faces: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(V,) whether the skin looks towards the camera."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    normals = np.stack(
        [np.bincount(faces.ravel(), np.repeat(across[:, axis], 3), len(vertices)) for axis in range(3)], -1
    )
    length = np.linalg.norm(normals, axis=-1) * np.linalg.norm(vertices, axis=-1)
    return np.asarray(-(normals * vertices).sum(-1) > FACING * np.maximum(length, 1e-12))


def _in_front(pixels: FloatArray, depth_m: FloatArray, camera: Camera) -> NDArray[np.bool_]:
    """(V,) whether no other part of the hand lies before a vertex, by cells of the image as wide as a finger."""
    cell = max(OWN_LAYER_M * float(camera.K[0, 0]) / float(depth_m.mean()), 1.0)
    places = np.floor(np.nan_to_num(pixels) / cell).astype(np.int64)
    places -= places.min(0)
    key = places[:, 1] * (places[:, 0].max() + 1) + places[:, 0]
    _, rows = np.unique(key, return_inverse=True)
    nearest = np.full(rows.max() + 1, np.inf)
    np.minimum.at(nearest, rows, depth_m)
    return np.asarray(depth_m < nearest[rows] + OWN_LAYER_M)
