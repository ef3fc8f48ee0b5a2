"""From a posed hand to what is drawn: skin or glove, the bent wrist, an upper arm, what they wear."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend_training.assets.forearm import bend_forearm
from prehend_training.scenes.geometry import VERTEX, Geometry, join
from prehend_training.scenes.people.clothing import Glove, Outfit
from prehend_training.scenes.people.clothing_meshes import (
    PosedArm,
    bracelet_shape,
    cuff_shape,
    forearm_rings,
    ring_shape,
    sleeve_shape,
    watch_shape,
)
from prehend_training.scenes.people.hand_atlas import ATLAS_LAYER, ATLAS_TILES, FIRST_GLOVE, atlas_uv
from prehend_training.scenes.people.limb import drawn_hand, hand_normals, smoothing, tube_faces, tube_normals
from prehend_training.scenes.people.skin_map import forearm_chart, tile_uv

Array = NDArray[np.floating]

PARTS = 32
"""`code = entity * PARTS + part`; parts 0..15 are the skin of MANO's joints."""
FOREARM_PART = 16
CLOTH_PART = 17
RING_JOINTS = {1: 1, 2: 4, 3: 10, 4: 7}
"""MANO's joint at the root of each finger, 1 index .. 4 little."""


@dataclass(frozen=True)
class Arm:
    """How the arm goes on behind the wrist.

    Attributes:
        bend: (3,) flexion, deviation towards the thumb, and twist of the forearm [rad] (see `assets.forearm`).
        elbow: (3,) axis-angle [rad] of the upper arm about the elbow.
    """

    bend: Array
    elbow: Array


def turn(axis_angle: Array) -> NDArray[np.float64]:
    """(3, 3) rotation of one axis-angle (3,) [rad]; quicker for a single one than `geometry.rotations`."""
    return np.asarray(cv2.Rodrigues(np.asarray(axis_angle, np.float64))[0], np.float64)


def cross(first: Array, second: Array) -> NDArray[np.float64]:
    """(3,) cross product of two vectors (3,); ten times as quick as numpy's for a single one."""
    (ax, ay, az), (bx, by, bz) = first.tolist(), second.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


@lru_cache(maxsize=1)
def elbow_loop() -> NDArray[np.int64]:
    """Vertices around the open end of the forearm, in order."""
    faces = drawn_hand().faces
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    directed = {(int(a), int(b)) for a, b in edges}
    following = {a: b for a, b in directed if (b, a) not in directed}
    loop = [next(iter(following))]
    while (step := following[loop[-1]]) != loop[0]:
        loop.append(step)
    return np.array(loop)


@lru_cache(maxsize=1)
def hand_face_count() -> int:
    """How many faces, the first ones of `dressed_hand`, are the hand without its forearm."""
    return len(drawn_hand().without_forearm().faces)


def bend_wrist(vertices: Array, arm: Arm) -> Array:
    """Move the forearm of (V, 3) vertices, whose wrist is at the origin, about the wrist; the hand itself stays."""
    flexion, deviation, twist = arm.bend
    return bend_forearm(drawn_hand(), vertices, np.zeros(3), np.eye(3), flexion, deviation, twist)


def shoulder(vertices: Array, arm: Arm) -> Array:
    """(3,) the far end of the upper arm of a posed hand (V, 3), in the frame of its vertices."""
    return _upper_arm_path(vertices[elbow_loop()], vertices, arm)[1][-1]


def _upper_arm_path(
    loop: Array, vertices: Array, arm: Arm, rings: int = 6, length_m: float = 0.3
) -> tuple[Array, Array]:
    """Rotations (rings, 3, 3) and centres (rings, 3) of rings from the elbow's `loop` (L, 3) on."""
    centre = loop.mean(0)
    wrist = vertices[_wrist_rows()].mean(0)
    forward = (centre - wrist) / np.linalg.norm(centre - wrist)
    turns = np.stack([turn(arm.elbow * min(2 * k / rings, 1.0)) for k in range(1, rings + 1)])
    return turns, centre + np.cumsum(turns @ forward, 0) * (length_m / rings)


@lru_cache(maxsize=1)
def _wrist_rows() -> NDArray[np.int64]:
    """A ring of vertices around the wrist."""
    return np.flatnonzero(np.abs(drawn_hand().v_template[:, 0]) < 0.012)


class _Drawn(NamedTuple):
    """How the model's vertices are drawn: once for each of their places in the texture.

    Attributes:
        rows: (U,) vertex of the model.
        faces: (F, 3) of drawn vertices, those of the hand before those of the forearm.
        parts: (U,) part of the codes.
        uv: (U, 2) in a tile.
        gloved: (U,) bool, what a glove covers with its own texture.
        reach: (F,) [m] how far up the forearm a face begins; no sleeve hides the hand's.
        elbow: (L, 2) drawn vertices of each edge around the open end of the forearm, in order.
    """

    rows: NDArray[np.int64]
    faces: NDArray[np.int32]
    parts: NDArray[np.float32]
    uv: NDArray[np.float32]
    gloved: NDArray[np.bool_]
    reach: NDArray[np.float64]
    elbow: NDArray[np.int64]


@lru_cache(maxsize=1)
def _drawn() -> _Drawn:
    model = drawn_hand()
    assert model.hand_mask is not None and model.uv_faces is not None
    uv = tile_uv()
    rows = np.zeros(len(uv), np.int64)
    rows[model.uv_faces.ravel()] = model.faces.ravel()
    on_hand = model.hand_mask[model.faces].all(1)
    faces = np.concatenate([model.uv_faces[on_hand], model.uv_faces[~on_hand]]).astype(np.int32)
    parts = np.where(model.hand_mask, model.weights.argmax(1), FOREARM_PART).astype(np.float32)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    of_pair = {(int(a), int(b)): edge for (a, b), edge in zip(rows[edges], edges, strict=True)}
    loop = elbow_loop()
    elbow = np.array([of_pair[int(a), int(b)] for a, b in zip(loop, np.roll(loop, -1), strict=True)])
    reach = model.v_template[rows[faces], 0].min(1).astype(np.float64)
    reach[: on_hand.sum()] = -1.0
    gloved = ~forearm_chart(uv)
    gloved[faces[: on_hand.sum()]] = True  # the row of faces beyond lies under the cuff
    return _Drawn(rows, faces, parts[rows], uv, gloved, reach, elbow)


def dressed_hand(vertices_m: Array, outfit: Outfit, arm: Arm, entity: int) -> Geometry:
    """Everything of one hand, in the frame of its vertices: skin or glove, arm, clothes, jewellery.

    The first `hand_face_count()` faces are the hand's.

    Args:
        vertices_m: (V, 3) of the posed hand with its forearm, wrist bent.
        outfit: what it looks like and wears.
        arm: for the upper arm.
        entity: number of this hand in the codes.
    """
    skin = _skin(vertices_m, outfit, entity)
    parts, code = [skin], float(entity * PARTS)
    on_arm = (outfit.sleeve, outfit.glove, outfit.watch, outfit.bracelet)
    rings = np.empty(0) if all(worn is None for worn in on_arm) else forearm_rings(vertices_m)
    if outfit.sleeve is None:
        parts.append(_bare_arm(skin, vertices_m, arm))
    else:
        upper = _upper_arm_path(vertices_m[elbow_loop()].astype(np.float64), vertices_m, arm, 12)
        parts.append(sleeve_shape(PosedArm(rings, *upper), outfit.sleeve, code + CLOTH_PART))
    if outfit.glove is not None:
        parts.append(cuff_shape(rings, outfit.glove, code + CLOTH_PART))
    if outfit.watch is not None:
        parts.append(watch_shape(rings, outfit.watch, code + CLOTH_PART))
    if outfit.bracelet is not None:
        parts.append(bracelet_shape(rings, outfit.bracelet, code + CLOTH_PART))
    parts += [ring_shape(vertices_m, ring, code + RING_JOINTS[ring.digit]) for ring in outfit.rings]
    return join(parts)


@lru_cache(maxsize=64)
def _skin_uv(painting: int) -> Array:
    return atlas_uv(painting, _drawn().uv)


def _skin(vertices: Array, outfit: Outfit, entity: int) -> Geometry:
    drawn, skin, glove = _drawn(), outfit.skin, outfit.glove
    normals = hand_normals(vertices)
    records = np.zeros(len(drawn.rows), VERTEX)
    records["position"], records["normal"] = vertices[drawn.rows], normals[drawn.rows]
    records["uvw"][:, :2], records["uvw"][:, 2] = _skin_uv(skin.painting), ATLAS_LAYER
    records["colour"], records["material"] = skin.tint, skin.gloss
    records["code"] = entity * PARTS + drawn.parts
    tiles = [skin.painting]
    if glove is not None:
        rows, tile = drawn.gloved, FIRST_GLOVE + glove.painting
        cover, facing = _glove_surface(vertices, glove)
        records["position"][rows], records["normal"][rows] = cover[drawn.rows[rows]], facing[drawn.rows[rows]]
        records["uvw"][rows, :2] = atlas_uv(tile, drawn.uv[rows])
        records["colour"][rows], records["material"][rows] = glove.tint, glove.gloss
        tiles.append(tile)
    faces = drawn.faces
    if outfit.sleeve is not None:  # nobody looks that far into a sleeve
        faces = faces[drawn.reach < outfit.sleeve.start_m + 0.035]
    return Geometry(records, faces, tuple(tiles))


def _glove_surface(vertices: Array, glove: Glove) -> tuple[Array, Array]:
    """Places and normals (V, 3) of a glove; a thick one shows less of the hand's form than a thin one."""
    rounds, share, lift = (6, 0.8, 0.0012) if glove.kind == "work" else (2, 0.5, 0.0002)
    soft = vertices + share * (smoothing(rounds) @ vertices - vertices)
    facing = hand_normals(soft)
    # smoothing draws bulges inwards: nowhere does the glove lie under the skin
    sunk = np.maximum(((vertices - soft) * facing).sum(1, keepdims=True), 0)
    return soft + facing * (glove.thickness_m + np.maximum(lift, sunk)), facing


def _bare_arm(skin: Geometry, vertices: Array, arm: Arm) -> Geometry:
    """A tube from the open end of the forearm on, bent at the elbow; its texture is the forearm's, there and back."""
    edges = _drawn().elbow
    places = vertices[elbow_loop()].astype(np.float64)
    turns, centres = _upper_arm_path(places, vertices, arm)
    local = places - places.mean(0)
    swell = 1 + 0.12 * np.minimum(np.arange(len(centres)) + 1, 3)
    rings = np.concatenate([places[None], swell[:, None, None] * (local @ turns.transpose(0, 2, 1)) + centres[:, None]])
    normals = -tube_normals(rings)  # the loop turns the other way round
    normals[0] = skin.vertices["normal"][edges[:, 0]]
    both = np.stack([np.arange(len(edges)), np.roll(np.arange(len(edges)), -1)], 1)  # each edge has columns of its own
    records = np.repeat(skin.vertices[edges][None], len(rings), 0)
    records["position"], records["normal"] = rings[:, both], normals[:, both]
    back = np.array([0, 1, 2, 3, 2, 1, 0])[: len(rings)] * (0.1 / ATLAS_TILES)
    records["uvw"][..., 0] -= back[:, None, None]
    records["code"] = skin.vertices["code"][edges[0, 0]] // PARTS * PARTS + FOREARM_PART
    faces = tube_faces(len(rings), records.shape[1] * 2).reshape(len(rings) - 1, -1, 2, 3)[:, ::2]
    return Geometry(records.reshape(-1), faces.reshape(-1, 3))
