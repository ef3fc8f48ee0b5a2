"""What hands wear as triangles: sleeves, cuffs of gloves, watches, bracelets, rings."""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend_training.scenes.geometry import VERTEX, Geometry, join
from prehend_training.scenes.people.clothing import Bracelet, Glove, Ring, Sleeve, Watch
from prehend_training.scenes.people.clothing_textures import DIAL_GRID
from prehend_training.scenes.people.hand_atlas import ATLAS_LAYER, DIALS, FIRST_CLOTH, atlas_uv
from prehend_training.scenes.people.limb import (
    ANGLES,
    ARM_END_M,
    ARM_START_M,
    ARM_STEP_M,
    RING_ROWS,
    on_finger,
    on_forearm,
    tube_faces,
    tube_normals,
)
from prehend_training.scenes.people.skin_map import smooth_step

Array = NDArray[np.floating]

_CLOTH_MATERIAL = np.array([0.12, 5.0, 0.0])
_METAL = np.array([5.0, 22.0, 0.0])
_METAL_ALBEDO = 0.42
"""Metals shine more than they scatter."""
_CUFF_M = 0.32
"""Length of a cuff's cloth that its texture shows."""
_EDGE = 4 / 512
"""Share of a tile left out at its edges: small mip levels mix neighbours."""
_ANGLES_RAD = 2 * np.pi * np.arange(ANGLES) / ANGLES


class PosedArm(NamedTuple):
    """Rings around a posed arm.

    Attributes:
        forearm: (R, ANGLES, 3) those of `limb.on_forearm`.
        turns: (U, 3, 3) rotations of the rings of the upper arm, relative to the forearm.
        centres: (U, 3) of the rings of the upper arm.
    """

    forearm: Array
    turns: Array
    centres: Array


def forearm_rings(vertices: Array) -> Array:
    """(R, ANGLES, 3) rings about the forearm of a posed hand (V, 3)."""
    return on_forearm().of(vertices)


def _at(rings: Array, stations: Array) -> Array:
    """(S, ANGLES, 3) between the forearm's rings."""
    place = np.clip((stations - ARM_START_M) / ARM_STEP_M, 0, len(rings) - 1.001)
    k = place.astype(int)
    t = (place - k)[:, None, None]
    return rings[k] * (1 - t) + rings[k + 1] * t


@lru_cache(maxsize=4)
def _blur(width: int) -> Array:
    """(ANGLES, ANGLES) mean over `width` angles to both sides."""
    apart = np.abs(np.arange(ANGLES)[:, None] - np.arange(ANGLES))
    near = (np.minimum(apart, ANGLES - apart) <= width).astype(np.float64)
    return near / near.sum(1, keepdims=True)


def _polar(rings: Array, width: int) -> tuple[Array, Array, Array]:
    """Centres (R, 1, 3), unit directions (R, A, 3), radii (R, A) that bridge the hollows of the limb."""
    centres = rings.mean(1, keepdims=True)
    out = rings - centres
    radius = np.sqrt((out * out).sum(-1))
    return centres, out / radius[..., None], np.maximum(radius, radius @ _blur(width))


def _grid(
    points: Array, colour: Array, material: Array, code: float, tile: int = -1, v: Array | None = None
) -> Geometry:
    """A tube of closed rings (R, A, 3); a tile, if any, goes around it, `v` (R,) along it."""
    count = points.shape[1]
    columns = np.concatenate([np.arange(count // 2, count), np.arange(count // 2 + 1)])  # its cut lies on the inside
    records = np.zeros((len(points), count + 1), VERTEX)
    records["position"], records["normal"] = points[:, columns], tube_normals(points)[:, columns]
    records["colour"], records["material"], records["code"] = colour, material, code
    records["uvw"][..., 2] = -1
    if v is not None:
        u = np.linspace(0, 1, count + 1)
        uv = np.stack(np.broadcast_arrays(u, v[:, None]), -1)
        records["uvw"][..., :2], records["uvw"][..., 2] = atlas_uv(tile, _EDGE + (1 - 2 * _EDGE) * uv), ATLAS_LAYER
    tiles = () if v is None else (tile,)
    return Geometry(records.reshape(-1), tube_faces(len(points), count + 1), tiles)


def _there_and_back(reach: Array, cloth_m: float) -> Array:
    """Places (R,) along a cloth: it runs to its end and back."""
    return 1 - np.abs(1 - (reach / cloth_m) % 2)


def sleeve_shape(arm: PosedArm, sleeve: Sleeve, code: float) -> Geometry:
    """A sleeve from its opening over the elbow and on along the upper arm.

    Args:
        arm: rings to put it around.
        sleeve: its form.
        code: of all its vertices.
    """
    marks = np.array([0.0, 0.002, 0.006, 0.012, 0.014, sleeve.cuff_m - 0.003, sleeve.cuff_m + 0.003])
    reach = np.unique(np.concatenate([marks, np.arange(0.02, ARM_END_M - sleeve.start_m, 0.007)]))
    reach = reach[reach <= ARM_END_M - sleeve.start_m]
    forearm = _at(arm.forearm, sleeve.start_m + reach)
    last = forearm[-1] - forearm[-1].mean(0)
    swell = 1 + 0.36 * np.minimum(np.linspace(0, 2, len(arm.turns)), 1)[:, None, None]
    upper = swell * (last @ arm.turns.transpose(0, 2, 1)) + arm.centres[:, None]
    further = np.linalg.norm(np.diff(arm.centres, axis=0, prepend=forearm[-1].mean(0)[None]), axis=1)
    reach = np.concatenate([reach, reach[-1] + np.cumsum(further)])
    centres, out, radius = _polar(np.concatenate([forearm, upper]), 4)
    off = _standoff(sleeve, reach)
    points = centres + out * (radius + off)[..., None]
    # cloth has two sides: the inner one begins a little way in and is dark
    depth = min(5, len(points) - 1)
    inner = np.stack([centres[depth] + out[depth] * (radius[depth] + 0.3 * off[depth].min())[:, None]] * 2)
    inner[1] = centres[0] + out[0] * (radius[0] + np.maximum(off[0] - 0.0013, 0.0003))[:, None]
    shade = np.ones((len(points) + 2, 1, 1))
    shade[0], shade[1] = 0.25, 0.7
    along = np.concatenate([[0.03, 0.0], reach])
    colour = sleeve.colour * shade
    return _grid(
        np.concatenate([inner, points]),
        colour,
        _CLOTH_MATERIAL,
        code,
        FIRST_CLOTH + sleeve.cloth,
        _there_and_back(along, sleeve.cloth_m),
    )


def _standoff(sleeve: Sleeve, reach: Array) -> Array:
    """(R, ANGLES) how far a sleeve is from the skin [m]."""
    r, angle = reach[:, None], _ANGLES_RAD
    folds = np.zeros((len(reach), ANGLES))
    for turns, waves, phase, height in sleeve.folds:
        bend = 0.7 * np.sin(2 * angle + phase) + 0.5 * np.sin(11 * r + 2 * phase)
        folds += height * (1 - np.abs(np.sin(turns * angle + np.pi * waves * r + phase + bend))) ** 1.5
    folds /= sleeve.folds[:, 3].sum()
    hang = sleeve.droop_m * (0.5 + 0.5 * np.cos(angle - sleeve.droop_rad))
    loose = sleeve.thickness_m + sleeve.loose_m * (0.25 + 0.75 * folds) + hang
    if sleeve.cuff == "hem":
        edge = 0.0009 * (r < 0.013)
        return loose + edge + sleeve.flare_m * (1 - smooth_step(r, 0.0, 0.07))
    beyond = smooth_step(r, sleeve.cuff_m - 0.002, sleeve.cuff_m + 0.012)
    if sleeve.cuff == "rolled":
        roll = 0.0035 + 0.003 * np.sin(np.pi * np.clip(r / sleeve.cuff_m, 0, 1)) ** 0.6
        step = smooth_step(r, sleeve.cuff_m - 0.001, sleeve.cuff_m + 0.002)
        return loose + roll * (1 - step) * np.clip(0.4 + r / 0.004, 0, 1)
    tight = sleeve.thickness_m + 0.0006 + 0.15 * hang
    # cloth gathers behind a band
    bulge = 0.5 * sleeve.loose_m * np.exp(-(((r - sleeve.cuff_m - 0.018) / 0.014) ** 2))
    return tight + (loose - tight + bulge) * beyond


def cuff_shape(rings: Array, glove: Glove, code: float) -> Geometry:
    """The part of a glove beyond the wrist.

    Args:
        rings: those of `forearm_rings`.
        glove: its form.
        code: of all its vertices.
    """
    start = -0.014
    reach = np.unique(
        np.concatenate([[0.0, 0.006], np.arange(0.012, glove.cuff_m - start, 0.006), [glove.cuff_m - start]])
    )
    centres, out, radius = _polar(_at(rings, start + reach), 3)
    end = reach[-1]
    r, angle = reach[:, None], _ANGLES_RAD
    wrinkles = np.abs(np.sin(90 * r + 1.5 * np.sin(2 * angle) + np.sin(3 * angle + 40 * r)))
    above = glove.thickness_m + (0.0022 if glove.kind == "work" else 0.0006 * smooth_step(r, 0.0, 0.02))
    off = above + glove.flare_m * smooth_step(r, 0.3 * end, end)
    off = off + 0.0012 * wrinkles * smooth_step(r, 0.0, 0.02) * smooth_step(-r, -end, 0.012 - end)
    off[-2:] += 0.0006  # a bead or a hem at the edge
    points = centres + out * (radius + off)[..., None]
    first, inner = (centres[k] + out[k] * (radius[k] + gap)[:, None] for k, gap in ((0, -0.001), (-1, 0.0003)))
    points = np.concatenate([first[None], points, inner[None]])
    colour = np.broadcast_to(glove.colour, (len(points), 1, 3)).copy()
    colour[-1] *= 0.4
    v = _there_and_back(np.concatenate([[0.0], reach, [end]]), _CUFF_M)
    return _grid(points, colour, glove.gloss, code, FIRST_CLOTH + glove.cuff_cloth, v)


def _swept(ring: Array, axis: Array, section: Array, colour: Array, material: Array, code: float) -> Geometry:
    """A section swept around a closed ring (A, 3) about `axis` (3,).

    `section` (S, 2) or (A, S, 2) has distances along the axis and outwards, its outline closed.
    """
    centre = ring.mean(0)
    out = ring - centre
    out -= (out @ axis)[:, None] * axis
    radius = np.linalg.norm(out, axis=1)
    out /= radius[:, None]
    section = np.broadcast_to(section, (len(ring), *section.shape[-2:]))
    level = centre + ((ring - centre) @ axis)[:, None] * axis
    points = level[:, None] + section[..., :1] * axis + (radius[:, None] + section[..., 1])[..., None] * out[:, None]
    points = np.concatenate([points, points[:, :1]], 1).transpose(1, 0, 2)
    geometry = _grid(points, colour, material, code)
    # rings are far apart: the section itself says where its surface looks
    step = np.roll(section, -1, 1) - np.roll(section, 1, 1)
    facing = -step[..., 1:] * axis + step[..., :1] * out[:, None]
    facing /= np.linalg.norm(facing, axis=-1, keepdims=True) + 1e-12
    facing = np.concatenate([facing, facing[:, :1]], 1).transpose(1, 0, 2)
    count = len(ring)
    columns = np.concatenate([np.arange(count // 2, count), np.arange(count // 2 + 1)])
    geometry.vertices["normal"] = facing[:, columns].reshape(-1, 3)
    return geometry


def _oval(half_along: float, half_out: float, count: int = 8) -> Array:
    """(count, 2) outline of a rounded section that rests on the skin."""
    angle = np.pi - 2 * np.pi * np.arange(count) / count
    return np.stack([half_along * np.cos(angle), half_out * (0.6 + np.sin(angle))], 1)


def _strap(half_m: float, thickness_m: float) -> Array:
    """(6, 2) outline of a flat band with blunt edges."""
    outer, inner = thickness_m, -0.0006
    return np.array(
        [
            [-half_m, inner],
            [-half_m, 0.7 * outer],
            [-0.85 * half_m, outer],
            [0.85 * half_m, outer],
            [half_m, 0.7 * outer],
            [half_m, inner],
        ]
    )


def ring_shape(vertices: Array, ring: Ring, code: float) -> Geometry:
    """A ring on a finger of a posed hand (V, 3), with its stone."""
    rows = on_finger(ring.digit).of(vertices)
    place = np.clip((ring.along - 0.2) / 0.6, 0, 0.999) * (RING_ROWS - 1)
    k = int(place)
    around = rows[k] + (place - k) * (rows[k + 1] - rows[k])
    axis = rows[-1].mean(0) - rows[0].mean(0)
    axis /= np.linalg.norm(axis)
    centre = around.mean(0)
    out = around - centre
    out -= (out @ axis)[:, None] * axis
    radius = np.linalg.norm(out, axis=1)
    # metal is round; flesh swells a little beside it
    even = np.maximum(radius @ _blur(6), radius - 0.0003)
    round_ring = centre + out / radius[:, None] * even[:, None]
    section = _oval(ring.section_m[0], ring.section_m[1])
    band = _swept(round_ring, axis, section, ring.colour * _METAL_ALBEDO, _METAL, code)
    if ring.stone is None:
        return band
    up = out[0] / radius[0]
    base = centre + up * (even[0] + 1.2 * ring.section_m[1])
    return join([band, _stone(base, up, axis, ring.stone_m, ring.stone, code)])


def _stone(base: Array, up: Array, axis: Array, half_m: float, colour: Array, code: float) -> Geometry:
    """A cut stone: a girdle, a slanted crown and a flat table, every facet with a normal of its own."""
    side = np.cross(up, axis)
    angle = 2 * np.pi * np.arange(8) / 8
    rim = np.cos(angle)[:, None] * axis + np.sin(angle)[:, None] * side
    levels = ((0.75, -0.9), (1.0, 0.0), (0.6, 0.55), (0.0, 0.56))
    loops = [base + half_m * (wide * rim + high * up) for wide, high in levels]
    corners = []
    for low, high in pairwise(loops):
        for k in range(8):
            n = (k + 1) % 8
            corners += [low[k], low[n], high[n], low[k], high[n], high[k]]
    points = np.array(corners).reshape(-1, 3, 3)
    normals = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    normals[-16:] = up  # half of the table's triangles are empty
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    records = np.zeros(3 * len(points), VERTEX)
    records["position"], records["normal"] = points.reshape(-1, 3), np.repeat(normals, 3, 0)
    records["uvw"], records["colour"], records["material"], records["code"] = (0, 0, -1), colour, (8.0, 60.0, 0.0), code
    return Geometry(records, np.arange(len(records), dtype=np.int32).reshape(-1, 3))


def _wrist_axis(rings: Array, place_m: float) -> Array:
    ends = _at(rings, np.array([place_m - 0.012, place_m + 0.012])).mean(1)
    axis = ends[1] - ends[0]
    return axis / np.linalg.norm(axis)


def bracelet_shape(rings: Array, bracelet: Bracelet, code: float) -> Geometry:
    """A smooth bracelet or beads around the wrist."""
    axis = _wrist_axis(rings, bracelet.place_m)
    count = 4 * bracelet.beads if bracelet.beads else 48
    angle = 2 * np.pi * np.arange(count) / count
    centres, out, radius = _polar(_at(rings, np.array([bracelet.place_m])), 6)
    base = np.append(np.arange(ANGLES), 0)
    at = np.append(_ANGLES_RAD, 2 * np.pi)
    ring = (centres + out * (radius + 0.0006)[..., None])[0]
    ring = np.stack([np.interp(angle, at, ring[base, k]) for k in range(3)], 1)
    ring += (bracelet.tilt_m * np.cos(angle))[:, None] * axis
    section = np.repeat(_oval(bracelet.section_m, bracelet.section_m, 6)[None], count, 0)
    if bracelet.beads:
        middle = bracelet.section_m * 0.6
        swell = np.sqrt(np.maximum(1 - np.array([-0.9, -0.33, 0.33, 0.9])[np.arange(count) % 4] ** 2, 0.05))
        section[..., 0] *= swell[:, None]
        section[..., 1] = middle + (section[..., 1] - middle) * swell[:, None]
    material, colour = (_METAL, bracelet.colour * _METAL_ALBEDO) if bracelet.metal else (_BEADS, bracelet.colour)
    return _swept(ring, axis, section, colour, material, code)


_BEADS = np.array([1.2, 20.0, 0.0])
_LEATHER = np.array([0.5, 10.0, 0.0])


def watch_shape(rings: Array, watch: Watch, code: float) -> Geometry:
    """Strap, case and dial."""
    axis = _wrist_axis(rings, watch.place_m)
    centres, out, radius = _polar(_at(rings, np.array([watch.place_m])), 5)
    ring = (centres + out * radius[..., None])[0]
    links = np.array([1.0, 0.55])[np.arange(ANGLES) % 2] if watch.metal_strap else np.ones(ANGLES)
    columns = np.concatenate([np.arange(ANGLES // 2, ANGLES), np.arange(ANGLES // 2 + 1)])
    shade = (watch.strap * (_METAL_ALBEDO if watch.metal_strap else 1.0))[None, None] * links[columns][None, :, None]
    section = _strap(watch.strap_m / 2, 0.0024)
    first = ANGLES // 2 if watch.inside else 0
    up = out[0, first] - (out[0, first] @ axis) * axis
    up /= np.linalg.norm(up)
    ring = _under_case(ring, up, np.cross(axis, up), first, watch.case_m[0])
    strap = _swept(ring, axis, section, shade, _METAL if watch.metal_strap else _LEATHER, code)
    return join([strap, _case(ring[first], up, axis, watch, code)])


def _under_case(ring: Array, up: Array, side: Array, first: int, half_m: float) -> Array:
    """The ring (A, 3) of a strap, raised to the case where it leaves that: a wrist is round, a case is flat."""
    middle = ring.mean(0)
    across, height = (ring - middle) @ side, (ring - middle) @ up
    line = height[first] - 0.0015 - 1.1 * np.maximum(np.abs(across) - 0.85 * half_m, 0)
    return ring + np.where(height > 0, np.maximum(line - height, 0), 0)[:, None] * up


def _case(seat: Array, up: Array, axis: Array, watch: Watch, code: float) -> Geometry:
    """The case's side and bezel, and the dial under its glass; twelve o'clock points to the little finger's side."""
    half, height = watch.case_m
    count = 32
    angle = 2 * np.pi * np.arange(count) / count
    power = 0.42 if watch.square else 1.0
    flat = np.sign([np.cos(angle), np.sin(angle)]) * np.abs([np.cos(angle), np.sin(angle)]) ** power
    side = np.cross(axis, up)
    wide = flat[0][:, None] * axis * (1.12 if watch.square else 1.0) + flat[1][:, None] * side
    shares = (0.98, 1.0, 1.0, 0.95, 0.86, 0.83)
    levels = np.array([-0.002, 0.35 * height, 0.7 * height, 0.95 * height, height, 0.93 * height])
    loops = np.stack([seat + half * share * wide + level * up for share, level in zip(shares, levels, strict=True)])
    body = _grid(loops[:, ::-1], watch.case * _METAL_ALBEDO, _METAL, code)
    dial = np.zeros(count + 1, VERTEX)
    dial["position"] = np.concatenate([loops[-1], loops[-1].mean(0)[None]])
    dial["normal"] = up
    # images of dials stand with their twelve towards +v
    uv = np.concatenate([0.5 + 0.5 * np.stack([flat[0], -flat[1]], 1), [[0.5, 0.5]]])
    cell = np.array([watch.dial % DIAL_GRID, watch.dial // DIAL_GRID])
    dial["uvw"][:, :2], dial["uvw"][:, 2] = atlas_uv(DIALS, (0.02 + 0.96 * uv + cell) / DIAL_GRID), ATLAS_LAYER
    dial["colour"], dial["material"], dial["code"] = 1.0, (1.5, 90.0, 0.0), code
    fan = np.stack([np.arange(count), (np.arange(count) + 1) % count, np.full(count, count)], 1)
    return join([body, Geometry(dial, fan.astype(np.int32), (DIALS,))])
