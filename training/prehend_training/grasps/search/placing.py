"""First placements of an opened hand at an object: from all sides, along its axes, as the kind of grasp asks."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend_training.grasps.closing import Hands, close, felt
from prehend_training.grasps.field import Field
from prehend_training.grasps.hand import hand_model, probe
from prehend_training.grasps.kinds import Kind, kind_of
from prehend_training.grasps.search.regions import Anchors

Array = NDArray[np.floating]
Rows = NDArray[np.int64]
Rng = np.random.Generator

_OPENINGS = 17
_ROOM_M = 0.010
_TRIGGER_ROOM_M = 0.03
"""The index finger has to get around the trigger in front of what is held."""
_CAST_M = np.arange(0.001, 0.1, 0.002)
_DEEPEST_START_M = 0.008
_HOOK = np.deg2rad([20.0, 70.0, 30.0])
_PEN_M = 0.03
"""Objects with two sides below this and a long one are taken like pens by three fingers."""


class _Openings(NamedTuple):
    """A kind's hand from closed to opened, mean shape.

    Attributes:
        angles: (K, 15, 3).
        width_m: (K,) of what fits in.
        middle: (K, 3) [m] of what fits in, hand frame.
        first, second: (K, 3) directions: across the grip (from the thumb to the fingers; for wraps from the object to
            the palm), and the reach (for wraps the axis of what is held, towards the thumb's side).
    """

    angles: Array
    width_m: Array
    middle: Array
    first: Array
    second: Array


def place(rng: Rng, kind: Kind, anchors: Anchors, field: Field, betas: Array, scale: Array, tries: int = 6) -> Hands:
    """Hands that are closed around the solid as far as they go; fewer than asked where there is no room for them.

    Args:
        rng: source of randomness.
        kind: how they hold.
        anchors: where, see `regions.anchors`.
        field: of the solid.
        betas: (N, 10) of the hands.
        scale: (N, 3) stretch of the solid at each.
        tries: placements that are looked at for each hand.
    """
    many = np.repeat(np.arange(len(betas)), tries)
    opened, possible = _proposed(rng, kind, anchors, field, betas[many], scale[many])
    opened = _backed_off(opened, kind, field)
    depth = felt(opened, field).min(1)
    score = np.where(possible & (depth > -_DEEPEST_START_M), rng.random(len(many)), np.inf)
    best = score.reshape(-1, tries).argmin(1) + np.arange(len(betas)) * tries
    kept = best[np.isfinite(score[best])]
    return close(kind, opened.rows(kept), field) if len(kept) else opened.rows(kept)


def _proposed(
    rng: Rng, kind: Kind, anchors: Anchors, field: Field, betas: Array, scale: Array
) -> tuple[Hands, NDArray[np.bool_]]:
    """An opened hand at a random anchor each, and whether the object is thin enough there."""
    count = len(betas)
    row = rng.choice(len(anchors.share), count, p=anchors.share)
    point = anchors.points_m[row] * scale
    normal = _unit(anchors.normals[row] / scale)
    width = _thickness(point, normal, field, scale)
    table = _openings(kind.name)
    bone = hand_model().joints_template[4] - hand_model().joints_template[0]
    shaped = bone + betas @ (hand_model().joints_shapedirs[4] - hand_model().joints_shapedirs[0]).T
    size = np.linalg.norm(shaped, axis=1) / np.linalg.norm(bone)
    room = _TRIGGER_ROOM_M if kind.region == "trigger" else _ROOM_M
    fits = table.width_m * size[:, None] > (width + room)[:, None]
    k = fits.argmax(1)
    axes = _wrap_axes if kind.wraps else _opposed_axes
    first, second, along = axes(rng, kind, anchors, scale, row, normal, table, k)
    inwards = normal * (width / 2)[:, None]
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, :3, :3] = _frame(first, second) @ _frame(table.first[k], along).transpose(0, 2, 1)
    T[:, :3, 3] = point - inwards - (T[:, :3, :3] @ (table.middle[k] * size[:, None])[..., None])[..., 0]
    angles = table.angles[k] + _noise(rng, count)
    possible = fits.any(1) & (width > 0) & (width < kind.widest_m)
    return Hands(betas, angles, T, scale), possible


def _wrap_axes(
    rng: Rng, kind: Kind, anchors: Anchors, scale: Array, row: Rows, normal: Array, table: _Openings, k: Rows
) -> tuple[Array, Array, Array]:
    """The palm looks along the normal; the ring's axis lies along the object, a little oblique."""
    count = len(row)
    long = anchors.long * scale
    if kind.region == "trigger":  # the index finger is the upper one
        long = np.tile([0.0, 0.0, 1.0], (count, 1))
    else:
        long = long * rng.choice([-1.0, 1.0], (count, 1), p=[0.3, 0.7])
    loose = (rng.random(count) < 0.15) | (np.abs((_unit(long) * normal).sum(1)) > 0.8)
    long = np.where(loose[:, None] & (kind.region == "all"), rng.normal(size=(count, 3)), long)
    tilt = (rng.normal(0.2, 0.22, count) * (0.3 if kind.region == "trigger" else 1.0))[:, None]
    reach = np.cross(table.first[k], table.second[k])
    return normal, long, np.cos(tilt) * table.second[k] + np.sin(tilt) * reach


def _opposed_axes(
    rng: Rng, kind: Kind, anchors: Anchors, scale: Array, row: Rows, normal: Array, table: _Openings, k: Rows
) -> tuple[Array, Array, Array]:
    """The thumb presses against the normal; the hand comes from anywhere around it."""
    count = len(row)
    across = _unit(-normal + rng.normal(0, 0.08, (count, 3)))
    if kind.region in ("top", "rim"):  # from above; at an edge that lies flat, from outside
        down = np.tile([0.0, 0.0, -1.0], (count, 1))
        if kind.region == "rim":
            down[:, :2] = -_unit(anchors.points_m[row][:, :2])
        return across, down + rng.normal(0, 0.25, (count, 3)), table.second[k]
    slender = np.sort(np.ptp(anchors.points_m, axis=0))
    if kind.name == "tripod" and slender[1] < _PEN_M and slender[2] > 3 * slender[1]:
        along = (anchors.points_m[row] * scale) @ anchors.long
        web = hand_model().joints_template[1] + np.array([0.01, 0.018, 0.012]) - table.middle[k]
        return across, -np.sign(along)[:, None] * anchors.long + rng.normal(0, 0.1, (count, 3)), web
    return across, rng.normal(size=(count, 3)), table.second[k]


def _noise(rng: Rng, count: int) -> Array:
    """(N, 15, 3) [rad] by which people differ."""
    noise = np.zeros((count, 15, 3))
    noise[:, :12, 0] = rng.normal(0, 0.06, (count, 1)) + rng.normal(0, 0.05, (count, 12))
    noise[:, :12:3, 1] = rng.normal(0, 0.05, (count, 4))
    noise[:, 12:, 0] = rng.normal(0, 0.06, (count, 3))
    noise[:, 12, 1:] = rng.normal(0, 0.08, (count, 2))
    return noise


def _thickness(point: Array, normal: Array, field: Field, scale: Array) -> Array:
    """(N,) how far it is from a surface point (N, 3) through the solid [m]; 0 where there is no end in sight."""
    ray = point[:, None] - normal[:, None] * _CAST_M[:, None]
    outside = field(ray, scale) > 0
    outside[:, 0] = False
    k = outside.argmax(1)
    return np.where(outside.any(1), _CAST_M[k], 0.0)


def _backed_off(hands: Hands, kind: Kind, field: Field) -> Hands:
    """Hands moved away, along the reach of the fingers or the palm's normal, until the palm no longer pierces."""
    digit, segment = probe().digit, probe().segment
    palm = (digit == -1) | (segment == 0) & (digit != 12)
    back = np.array([0.0, 1.0, 0.0]) if kind.wraps else np.array([0.7, 0.7, 0.0])
    for _ in range(2):
        depth = felt(hands, field)[:, palm].min(1)
        away = np.clip(0.001 - depth, 0, 0.02)[:, None]
        hands = hands.moved(away * (hands.T_object_hand[:, :3, :3] @ back))
    return hands


@lru_cache(maxsize=32)
def _openings(name: str) -> _Openings:
    kind = kind_of(name)
    return _rings(kind) if kind.wraps else _gaps(kind)


def _gaps(kind: Kind) -> _Openings:
    """Between the pads of the two sides."""
    share = np.linspace(0, 1, _OPENINGS)[:, None, None]
    angles = kind.closed + share * (kind.opened - kind.closed)
    points, patches = probe().points(angles, np.zeros(10)), probe().patches
    near = np.mean([points[:, patches[name]].mean(1) for name in kind.side_a], 0)
    far = np.mean([points[:, patches[name]].mean(1) for name in kind.side_b], 0)
    middle = (near + far) / 2
    width = np.linalg.norm(far - near, axis=1)
    width[: int(width.argmin())] = 0  # the thumb has gone past
    return _Openings(angles, width, middle, _unit(far - near), middle)


def _rings(kind: Kind) -> _Openings:
    """A bar along the hand's z that lies below the finger bases; the hand is the more hooked the thinner it is."""
    width = np.linspace(0.012, 0.12, _OPENINGS)
    share = np.clip((width - 0.012) / 0.045, 0, 1)[:, None, None]
    hook = kind.opened.copy()
    hook[:12, 0] = np.tile(_HOOK, 4)
    angles = hook + share * (kind.opened - hook)
    skin = probe().model.v_template[probe().patches["palm"], 1].min()
    knuckle = hand_model().joints_template[4, 0]
    middle = np.stack([np.full(_OPENINGS, 0.92 * knuckle), skin - width / 2, np.full(_OPENINGS, -0.01)], 1)
    across, axis = np.tile([0.0, 1.0, 0.0], (_OPENINGS, 1)), np.tile([0.0, 0.0, 1.0], (_OPENINGS, 1))
    return _Openings(angles, width, middle, across, axis)


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9))


def _frame(first: Array, second: Array) -> Array:
    """Rotations (N, 3, 3) with columns along `first`, near `second`, and across both."""
    x = _unit(first)
    y = _unit(second - (second * x).sum(-1, keepdims=True) * x)
    return np.stack([x, y, np.cross(x, y)], -1)
