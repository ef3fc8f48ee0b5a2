"""States that look like grasps and are none: what a network that tells grasps from empty hands has to learn."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from prehend.hand_model import skin
from prehend_training.assets.poses import pose_from_angles
from prehend_training.grasps.checks import touching_parts
from prehend_training.grasps.hand import hand_model
from prehend_training.grasps.kinds import KINDS
from prehend_training.grasps.library import HeldGrasp
from prehend_training.objects import Solid
from prehend_training.transforms import inverse, rigid

Array = NDArray[np.floating]
Rng = np.random.Generator

STATES = ("beside", "above", "in_front", "behind", "touching", "open")
"""Where the empty hand is; "touching" rests against the object from one side, "open" is stretched over the table."""

_GAP_M = (0.006, 0.05)
_TOUCH_GAP_M = 0.0006
_TABLE_M = 0.003
_APPROACHES, _COARSE = 20, 7
_CLOSE_M, _LEAST_STEP_M, _BEYOND_M = 0.0005, 0.0003, 0.1


def near_miss(rng: Rng, held: HeldGrasp, state: str | None = None, toward: Array | None = None) -> HeldGrasp:
    """The hand of a grasp off its object, which stands upright (z) on a table; they never go into each other.

    Args:
        rng: source of randomness.
        held: whose hand and object.
        state: one of `STATES`, None for any.
        toward: (3,) unit vector in the object frame to who looks, which tells front from behind; None for +x.

    Returns:
        The state as a `HeldGrasp` with the state's name for a kind; only "touching" has contacts.
    """
    name = str(rng.choice(STATES)) if state is None else state
    way = _direction(rng, name, np.array([1.0, 0.0, 0.0]) if toward is None else toward)
    angles = _open_angles(rng, held, name)
    rotations = pose_from_angles(hand_model(), angles[:, 0], angles[:, 1], angles[:, 2])
    posed = skin(hand_model(), rotations, held.betas)
    R = _turned(rng, held, name)
    points = (posed.vertices - posed.joints[0]) @ R.T
    gap = _TOUCH_GAP_M if name == "touching" else rng.uniform(*_GAP_M)
    place = _clear_place(held.solid, points, way, gap, filled=name != "touching")
    T_hand_object = inverse(rigid(R, place))
    contact = touching_parts(held.solid.distance(points + place))
    return replace(held, angles=angles, rotations=rotations, T_hand_object=T_hand_object, kind=name, contact=contact)


def _direction(rng: Rng, name: str, toward: Array) -> Array:
    """(3,) unit vector from the object to the hand, object frame."""
    up = np.array([0.0, 0.0, 1.0])
    side = np.cross(up, toward)
    if name == "touching":
        side, name = rng.normal(size=3) * [1, 1, 0.4], "beside"
    base = {
        "beside": side * rng.choice([-1.0, 1.0]),
        "open": side * rng.choice([-1.0, 1.0]) + rng.normal(0, 0.7) * toward,
        "above": up,
        "in_front": toward,
        "behind": -toward,
    }[name]
    way = base / max(float(np.linalg.norm(base)), 1e-6) + rng.normal(0, 0.15, 3)
    return np.asarray(way / np.linalg.norm(way))


def _open_angles(rng: Rng, held: HeldGrasp, name: str) -> Array:
    """(15, 3) of the hand: as if it held the object, or opened somewhat; stretched for "open"."""
    limits = hand_model().limits_rad
    assert limits is not None
    share = 1.0 if name == "open" else float(rng.choice([0.0, rng.uniform()], p=[0.3, 0.7]))
    opened = KINDS["power"].opened if name == "open" or held.kind not in KINDS else KINDS[held.kind].opened
    angles = held.angles + share * (opened - held.angles)
    angles[:, 0] += rng.normal(0, 0.06, 15)
    return np.clip(angles, limits[..., 0], limits[..., 1])


def _turned(rng: Rng, held: HeldGrasp, name: str) -> Array:
    """(3, 3) rotation of the hand in the object's frame: that of the grasp, spun a bit; palm down if open."""
    spin = rng.uniform(-np.pi, np.pi) if name in ("open", "touching") else rng.normal(0, 0.3)
    about_z = np.array([[np.cos(spin), -np.sin(spin), 0], [np.sin(spin), np.cos(spin), 0], [0, 0, 1.0]])
    if name != "open":
        return about_z @ held.T_hand_object[:3, :3].T
    return about_z @ np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])


def _clear_place(solid: Solid, points: Array, way: Array, gap_m: float, *, filled: bool) -> Array:
    """(3,) where the hand (V, 3) goes so that it comes as near as `gap_m` to the solid, from `way`, above the table."""
    start = solid.center_m - points[hand_model().tips].mean(0)
    bottom = solid.center_m[2] - solid.extents_m[2] / 2 + _TABLE_M

    def placed(distance: float) -> Array:
        place = start + distance * way
        return place + np.array([0.0, 0.0, max(bottom - float((points + place)[:, 2].min()), 0.0)])

    def clearance(distance: float, step: int = 1) -> float:
        return solid.nearest(points[::step] + placed(distance), filled=filled)

    far = float(np.linalg.norm(solid.extents_m)) / 2 + 0.12
    for _ in range(_APPROACHES):  # no step takes the hand through the object: distances change no faster than places
        room = clearance(far, _COARSE) - gap_m
        if room < _CLOSE_M or far < -_BEYOND_M:
            break
        far -= 0.9 * room
    while (room := gap_m - clearance(far)) > 0:
        far += max(room, _LEAST_STEP_M)
    return placed(far)
