"""Hands that hold things: the object is put into the hand, then each finger closes until its skin meets the object.

Everything here is in the frame of a right hand with its wrist (joint 0) at the origin.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MANO_PARENTS
from prehend.hand_model import Skinned, skin
from prehend_training.assets.poses import pose_from_angles
from prehend_training.objects import Solid, sample_solid
from prehend_training.scenes.body import drawn_hand, turn
from prehend_training.scenes.gestures import FINGER_ROWS
from prehend_training.scenes.limb import hand_normals
from prehend_training.scenes.skin_map import smooth_step

Array = NDArray[np.floating]
Rng = np.random.Generator

DEEPEST_M = 0.005
"""A vertex may not be deeper than this in the object (flesh gives way a little)."""
TOUCH_M = 0.003
"""Skin closer than this touches."""
_PRESS_M = 0.0012
_STEPS = 13
_FINGER_DIGITS = (0, 3, 9, 6)  # rows of index, middle, ring, little
_DEG = np.pi / 180


@dataclass(frozen=True)
class Grasp:
    """A hand around an object.

    Attributes:
        angles: (15, 3) flexion, abduction, twist [rad].
        rotations: (16, 3, 3), the wrist's is the identity.
        solid: what is held.
        T_hand_object: (4, 4).
        skinned: the posed hand, as `skin` gives it (its wrist is not moved to the origin).
    """

    angles: Array
    rotations: Array
    solid: Solid
    T_hand_object: Array
    skinned: Skinned


class _Probe(NamedTuple):
    """Vertices that feel: their rows, the digit's first row (-1 palm) and segment (0..2) of each."""

    rows: NDArray[np.int64]
    digit: NDArray[np.int64]
    segment: NDArray[np.int64]
    pad: NDArray[np.bool_]


@lru_cache(maxsize=1)
def _probe() -> _Probe:
    model = drawn_hand()
    assert model.hand_mask is not None and model.abduction_axes is not None
    dorsal = model.weights @ np.concatenate([[[0.0, 1.0, 0.0]], model.abduction_axes])
    palm = smooth_step(-(hand_normals(model.v_template) * dorsal).sum(1), -0.35, 0.45)
    joint = model.weights.argmax(1)
    palm_side = palm > np.where(joint == 0, 0.5, 0.2)
    rows = np.flatnonzero(model.hand_mask & palm_side & (model.v_template[:, 0] < -0.02))
    rows = rows[(joint[rows] > 0) | (np.arange(len(rows)) % 3 == 0)]
    rows = rows[::2]
    joint = joint[rows]
    return _Probe(
        rows,
        np.where(joint == 0, -1, (joint - 1) // 3 * 3),
        np.where(joint == 0, 0, (joint - 1) % 3),
        (joint > 0) & (joint % 3 == 0) & (palm[rows] > 0.6),
    )


class _Feeler:
    """Poses the probing vertices of one person's hand, many poses at once."""

    def __init__(self, betas: Array):
        model, probe = drawn_hand(), _probe()
        joints = model.joints_template + model.joints_shapedirs @ betas
        self.joints = joints - joints[0]
        self.rest = model.v_template[probe.rows] + model.shapedirs[probe.rows] @ betas - joints[0]
        self.weights = model.weights[probe.rows]

    def points(self, angles: Array) -> Array:
        """Angles (K, 15, 3) -> (K, S, 3) places of the probing vertices."""
        R = pose_from_angles(drawn_hand(), angles[..., 0], angles[..., 1], angles[..., 2])
        spin, places = np.empty_like(R), np.empty((len(R), 16, 3))
        spin[:, 0], places[:, 0] = R[:, 0], self.joints[0]
        for level in ((1, 4, 7, 10, 13), (2, 5, 8, 11, 14), (3, 6, 9, 12, 15)):
            joints = list(level)
            parents = [MANO_PARENTS[j] for j in joints]
            spin[:, joints] = spin[:, parents] @ R[:, joints]
            bones = (self.joints[joints] - self.joints[parents])[..., None]
            places[:, joints] = places[:, parents] + (spin[:, parents] @ bones)[..., 0]
        shifts = places - (spin @ self.joints[..., None])[..., 0]
        blended = self.weights @ np.concatenate([spin.reshape(len(R), 16, 9), shifts], 2)
        turned = (blended[..., :9].reshape(*blended.shape[:2], 3, 3) * self.rest[:, None, :]).sum(-1)
        return turned + blended[..., 9:]


def sample_grasp(rng: Rng, betas: Array, tries: int = 4) -> Grasp | None:
    """A random grasp of a random solid by a hand of this shape; None where none of the tries held."""
    feeler = _Feeler(betas)
    for _ in range(tries):
        solid = sample_solid(rng)
        placed = _power(rng, feeler, solid) if _suits_power(rng, solid) else _opposed(rng, feeler, solid)
        if placed is None:
            continue
        opened, pose, used = placed
        closed = _close(rng, feeler, solid, pose, opened, used)
        if closed is None:
            continue
        grasp = _finish(betas, solid, pose, closed)
        if holds(grasp):
            return grasp
    return None


def digits_in_touch(grasp: Grasp) -> dict[str, float]:
    """Smallest signed distance [m] of each digit's skin, and of the palm's, to the object."""
    model = drawn_hand()
    distance = vertex_distances(grasp)
    joint = model.weights.argmax(1)
    result = {name: float(distance[(joint - 1) // 3 * 3 == row].min()) for name, row in FINGER_ROWS.items()}
    result["palm"] = float(distance[joint == 0].min())
    return result


def vertex_distances(grasp: Grasp) -> Array:
    """(V,) signed distance of all vertices to the object [m]; infinite on the forearm."""
    model = drawn_hand()
    assert model.hand_mask is not None
    points = (grasp.skinned.vertices - grasp.skinned.joints[0])[model.hand_mask]
    distance = np.full(model.num_vertices, np.inf)
    distance[model.hand_mask] = grasp.solid.distance(to_object(grasp.T_hand_object, points), filled=True)
    return distance


def to_object(pose: Array, points: Array) -> Array:
    """Points (..., 3) in the object's frame, given the object's pose (4, 4) in theirs."""
    return (points - pose[:3, 3]) @ pose[:3, :3]


def holds(grasp: Grasp) -> bool:
    """Nothing too deep, and the thumb with a finger, or the palm with two fingers, touch from opposite sides."""
    nearest = digits_in_touch(grasp)
    if min(nearest.values()) < -DEEPEST_M:
        return False
    fingers = sum(nearest[name] < TOUCH_M for name in ("index", "middle", "ring", "little"))
    thumb, palm = nearest["thumb"] < TOUCH_M, nearest["palm"] < TOUCH_M
    return (thumb and fingers >= 1) or (palm and fingers >= 2)


def _finish(betas: Array, solid: Solid, pose: Array, angles: Array) -> Grasp:
    rotations = pose_from_angles(drawn_hand(), angles[:, 0], angles[:, 1], angles[:, 2])
    return Grasp(angles, rotations, solid, pose, skin(drawn_hand(), rotations, betas))


def _suits_power(rng: Rng, solid: Solid) -> bool:
    thin = np.sort(solid.extents_m)[0] if not solid.is_round else solid.extents_m[1]
    if thin > 0.075:
        return False
    return bool(rng.random() < (0.6 if solid.is_round else 0.35))


def _power(rng: Rng, feeler: _Feeler, solid: Solid) -> tuple[Array, Array, NDArray[np.int64]] | None:
    """Object in the palm, its long axis across; the fingers wrap around it."""
    angles = np.zeros((15, 3))
    angles[[0, 3, 6, 9], 0] = rng.uniform(-10, 15) * _DEG
    angles[:12:3, 1] = rng.normal(0, 3, 4) * _DEG
    angles[12] = np.array([-12, rng.uniform(10, 24), 0]) * _DEG
    long = np.array([0.0, 0.0, 1.0 if rng.random() < 0.8 else -1.0])
    tilt = turn(np.array([0.0, rng.normal(-0.25, 0.25), 0.0]) + rng.normal(0, 0.06, 3))
    long = tilt @ long
    out = np.array([0.0, -1.0, 0.0])
    if solid.is_round:
        axes = _frame(long, out)
        axes = axes @ turn(np.array([0.0, 0.0, rng.uniform(-np.pi, np.pi)]))
        half = solid.extents_m[1] / 2
    else:
        axes, half = _box_axes(rng, solid, long, out)
    size = np.linalg.norm(feeler.joints[4])
    slide = rng.uniform(-0.3, 0.3) * max(solid.extents_m[2] - 0.07, 0.0)
    grip = np.array([rng.uniform(-1.0, -0.8) * size, 0.0, 0.0]) + long * slide
    pose = np.eye(4)
    pose[:3, :3] = axes
    pose[:3, 3] = grip + out * (half + 0.005) - axes @ _body_centre(solid)
    pushed = _pushed_out(feeler, solid, pose, angles, out)
    return None if pushed is None else (angles, pushed, np.array(_FINGER_DIGITS))


def _opposed(rng: Rng, feeler: _Feeler, solid: Solid) -> tuple[Array, Array, NDArray[np.int64]] | None:
    """Object between the thumb's pad and those of 1..4 fingers."""
    count = int(rng.choice([1, 2, 3, 4], p=[0.15, 0.2, 0.15, 0.5]))
    width, axis_choice = _grip_width(rng, solid)
    if width > 0.095:
        return None
    opening = np.linspace(0, 1, _STEPS)
    closed, opened = _pinch_angles(rng, count)
    path = closed + opening[:, None, None] * (opened - closed)
    points = feeler.points(path)
    probe = _probe()
    used = np.array(_FINGER_DIGITS[:count])
    thumb = points[:, probe.pad & (probe.digit == 12)].mean(1)
    finger = points[:, probe.pad & np.isin(probe.digit, used)].mean(1)
    gap = np.linalg.norm(finger - thumb, axis=1)
    wide = np.flatnonzero(gap > width + 0.014)
    if not len(wide):
        return None
    k = int(wide[0])
    across = (finger[k] - thumb[k]) / gap[k]
    long = np.array([0.0, 0.0, 1.0 if rng.random() < 0.75 else -1.0])
    long = long - (long @ across) * across
    long = turn(across * rng.normal(0, 0.35 if count > 2 else 0.9)) @ (long / np.linalg.norm(long))
    axes = _aligned(axis_choice, across, long)
    reach = np.cross(across, long)
    middle = (finger[k] + thumb[k]) / 2
    reach *= np.sign(reach @ middle) or 1.0
    slide = rng.uniform(-0.35, 0.35) * max(solid.extents_m[2 if axis_choice[1] == 2 else axis_choice[1]] - 0.06, 0.0)
    depth = solid.extents_m[axis_choice[2]]
    outwards = min(rng.uniform(0.0, 0.3) * depth, max(depth / 2 - 0.012, 0.0))
    pose = np.eye(4)
    pose[:3, :3] = axes
    pose[:3, 3] = middle + long * slide + reach * outwards - axes @ _body_centre(solid)
    pushed = _pushed_out(feeler, solid, pose, path[k], reach)
    return None if pushed is None else (path[k], pushed, used)


def _pinch_angles(rng: Rng, count: int) -> tuple[Array, Array]:
    """Closed and open hand (15, 3) between which the opening of an opposed grip varies."""
    closed, opened = np.zeros((15, 3)), np.zeros((15, 3))
    curl = rng.uniform(0.7, 1.2)
    for k, row in enumerate(_FINGER_DIGITS):
        if k < count:
            closed[row : row + 3, 0] = np.array([62, 48 * curl, 20 * curl]) * _DEG
            opened[row : row + 3, 0] = np.array([14, 22 * curl, 12 * curl]) * _DEG
        else:
            rest = np.array([30, 40, 22]) * rng.uniform(0.0, 2.0) * _DEG
            closed[row : row + 3, 0] = opened[row : row + 3, 0] = rest
    closed[12:, 0] = np.array([17, 13, 10]) * _DEG
    opened[12:, 0] = np.array([-8, -5, 5]) * _DEG
    spread = rng.uniform(0, 12) * _DEG
    closed[12, 1], opened[12, 1] = spread, spread + 10 * _DEG
    return closed, opened


def _grip_width(rng: Rng, solid: Solid) -> tuple[float, tuple[int, int, int]]:
    """How wide the grip is, and which of the object's axes go across the grip, along the palm, and outwards."""
    if solid.is_round:
        return float(solid.extents_m[1]), (1, 2, 0)
    order = np.argsort(solid.extents_m)
    across = int(order[0] if rng.random() < 0.7 or solid.extents_m[order[1]] > 0.085 else order[1])
    others = [int(k) for k in order if k != across]
    along, outwards = (others[1], others[0]) if rng.random() < 0.6 else (others[0], others[1])
    return float(solid.extents_m[across]), (across, along, outwards)


def _aligned(choice: tuple[int, int, int], across: Array, long: Array) -> Array:
    """Rotation (3, 3) whose column `choice[0]` is `across` and column `choice[1]` is `long`."""
    axes = np.empty((3, 3))
    axes[:, choice[0]], axes[:, choice[1]] = across, long
    third = np.cross(across, long)
    even = choice in ((0, 1, 2), (1, 2, 0), (2, 0, 1))
    axes[:, choice[2]] = third if even else -third
    return axes


def _frame(long: Array, out: Array) -> Array:
    """Rotation (3, 3) with z along `long` and y near `out`."""
    y = out - (out @ long) * long
    y /= np.linalg.norm(y)
    return np.stack([np.cross(y, long), y, long], 1)


def _box_axes(rng: Rng, solid: Solid, long: Array, out: Array) -> tuple[Array, float]:
    """A box lies in the palm on one of its sides; returns its axes and half its height above the palm."""
    order = np.argsort(solid.extents_m)
    thin, middle, tall = (int(k) for k in order)
    if rng.random() < 0.5 and solid.extents_m[middle] < 0.07:
        thin, middle = middle, thin
    frame = _frame(long, out)
    return _aligned((thin, tall, middle), frame[:, 1], frame[:, 2]), float(solid.extents_m[thin]) / 2


def _body_centre(solid: Solid) -> Array:
    """Centre of the part that is held: turned bodies are held by their body, not by their handle."""
    return np.zeros(3) if solid.is_round else solid.center_m


def _pushed_out(feeler: _Feeler, solid: Solid, pose: Array, angles: Array, direction: Array) -> Array | None:
    """Move the object along `direction` until the palm no longer pierces it; None where that takes too far."""
    probe = _probe()
    palm = feeler.points(angles[None])[0][(probe.digit == -1) | (probe.segment == 0) & (probe.digit != 12)]
    pose = pose.copy()
    for _ in range(6):
        depth = float(solid.distance(to_object(pose, palm), filled=True).min())
        if depth > -0.002:
            return pose
        pose[:3, 3] += direction * (0.0005 - depth)
    return None


def _close(
    rng: Rng, feeler: _Feeler, solid: Solid, pose: Array, angles: Array, used: NDArray[np.int64]
) -> Array | None:
    """Close fingers, then the thumb; None where a digit starts inside the object."""
    distance = _felt(feeler, solid, pose, angles[None])[0]
    probe = _probe()
    deep = [d for d in (*_FINGER_DIGITS, 12) if distance[probe.digit == d].min() < -0.003]
    if deep:
        angles = angles.copy()
        for row in deep:
            if row == 12:
                angles[12:, 0], angles[12, 1] = np.array([-22, -12, -5]) * _DEG, rng.uniform(15, 28) * _DEG
            else:
                angles[row : row + 3, 0] = np.array([-12, 5, 2]) * _DEG
    limit = drawn_hand().limits_rad
    assert limit is not None
    most = limit[..., 1]
    for stage in range(3):
        target = angles.copy()
        for row in (*used, 12):
            speed = np.array([0.75, 0.9, 0.75]) if row != 12 else np.array([1.0, 0.7, 0.7])
            target[row + stage : row + 3, 0] = np.maximum(
                angles[row + stage : row + 3, 0], (most[row : row + 3, 0] * speed)[stage:]
            )
        path = angles + np.linspace(0, 1, _STEPS)[:, None, None] * (target - angles)
        distance = _felt(feeler, solid, pose, path)
        if stage == 0 and distance[0].min() < -0.004:
            return None
        for row in (*used, 12):
            felt = distance[:, (probe.digit == row) & (probe.segment >= stage)].min(1)
            share = _first_touch(felt)
            if share is None:  # nothing in its way: a loose finger stays half open
                share = rng.uniform(0.3, 0.8) if stage == 0 else 0.0
            angles = angles.copy()
            angles[row : row + 3] += share * (target - angles)[row : row + 3]
    return angles


def _felt(feeler: _Feeler, solid: Solid, pose: Array, angles: Array) -> Array:
    return solid.distance(to_object(pose, feeler.points(angles)), filled=True)


def _first_touch(felt: Array) -> float | None:
    """Share 0..1 of the path at which the distance first falls to the pressed depth; None where it never does."""
    inside = np.flatnonzero(felt < -_PRESS_M)
    if not len(inside):
        return None
    k = int(inside[0])
    if k == 0:
        return 0.0
    before, after = felt[k - 1] + _PRESS_M, felt[k] + _PRESS_M
    return float((k - 1 + before / (before - after)) / (len(felt) - 1))


POOL_SIZE = 6000


@lru_cache(maxsize=POOL_SIZE)
def pooled_grasp(number: int) -> tuple[Array, Grasp] | None:
    """(betas, grasp) number 0..POOL_SIZE - 1, always the same ones; made when first asked for, then remembered.

    Finding a grasp costs more than drawing one, and the same grasp looks new from each side and on each skin.
    """
    rng = np.random.default_rng([2718, number])
    betas = rng.standard_normal(10)
    grasp = sample_grasp(rng, betas)
    return None if grasp is None else (betas, grasp)
