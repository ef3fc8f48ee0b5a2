"""From a posed hand to what is drawn: skin, the bent wrist, an upper arm, sleeves and bands."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.hand_model import HandModel, load_hand_model
from prehend_training.assets.forearm import bend_forearm
from prehend_training.scenes.raster import VERTEX, Geometry
from prehend_training.scenes.skin import vertex_normals

Array = NDArray[np.floating]

PARTS = 32
"""`code = entity * PARTS + part`; parts 0..15 are the skin of MANO's joints."""
FOREARM_PART = 16
CLOTH_PART = 17


@dataclass(frozen=True)
class Cloth:
    """A sleeve, a cuff or a band around the forearm.

    Attributes:
        start_m, end_m: where it lies along the forearm, from the wrist.
        thickness_m: how far it stands off the skin.
        flare_m: how much wider it is at its opening.
        layer: texture, -1 for none.
        tiling: (2,) repeats of the texture per metre along, and around.
        colour: (3,) linear.
        on_arm: whether the upper arm wears it too.
    """

    start_m: float
    end_m: float
    thickness_m: float
    flare_m: float
    layer: int
    tiling: Array
    colour: Array
    on_arm: bool


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


@lru_cache(maxsize=1)
def drawn_hand() -> HandModel:
    """The right hand with its forearm: everything is posed as a right hand and mirrored at the end."""
    return load_hand_model(forearm=True)


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
def _parts() -> NDArray[np.float32]:
    model = drawn_hand()
    assert model.hand_mask is not None
    return np.where(model.hand_mask, model.weights.argmax(1), FOREARM_PART).astype(np.float32)


@lru_cache(maxsize=1)
def _faces() -> NDArray[np.int32]:
    """Faces with those of the hand before those of the forearm."""
    model = drawn_hand()
    assert model.hand_mask is not None
    on_hand = model.hand_mask[model.faces].all(1)
    return np.concatenate([model.faces[on_hand], model.faces[~on_hand]])


@lru_cache(maxsize=1)
def hand_face_count() -> int:
    """How many faces, the first ones of `hand_geometry`, are the hand without its forearm."""
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
    turns = np.stack([turn(arm.elbow * min(k / 3, 1.0)) for k in range(1, rings + 1)])
    return turns, centre + np.cumsum(turns @ forward, 0) * (length_m / rings)


@lru_cache(maxsize=1)
def _wrist_rows() -> NDArray[np.int64]:
    """A ring of vertices around the wrist."""
    return np.flatnonzero(np.abs(drawn_hand().v_template[:, 0]) < 0.012)


def hand_geometry(
    vertices: Array, colours: Array, gloss: Array, arm: Arm, cloths: list[Cloth], entity: int
) -> Geometry:
    """Everything of one hand, in the frame of `vertices`.

    Args:
        vertices: (V, 3) posed, wrist bent.
        colours: (V, 3) linear albedo.
        gloss: (3,) specular strength, gloss, how much light bleeds through.
        arm: for the upper arm.
        cloths: what the forearm wears.
        entity: number of this hand in the codes.
    """
    model = drawn_hand()
    skin = np.zeros(len(vertices), VERTEX)
    skin["position"], skin["normal"] = vertices, vertex_normals(vertices, model.faces)
    skin["uvw"], skin["colour"], skin["material"] = (0, 0, -1), colours, gloss
    skin["code"] = entity * PARTS + _parts()
    upper = _upper_arm(skin, arm)
    covers = [_cloth(skin, upper, cloth, entity) for cloth in cloths]
    vertices_all = [skin, upper.vertices, *(cover.vertices for cover in covers)]
    offsets = np.cumsum([0, *(len(v) for v in vertices_all)])
    faces = [_faces(), upper.faces + offsets[1]]
    faces += [cover.faces + offset for cover, offset in zip(covers, offsets[2:], strict=False)]
    return Geometry(np.concatenate(vertices_all), np.concatenate(faces).astype(np.int32))


def _upper_arm(skin: NDArray[np.void], arm: Arm) -> Geometry:
    """A tube from the open end of the forearm on, bent at the elbow."""
    loop = skin[elbow_loop()]
    places = loop["position"].astype(np.float64)
    turns, centres = _upper_arm_path(places, skin["position"], arm)
    records = [loop]
    for k, (bend, centre) in enumerate(zip(turns, centres, strict=True), start=1):
        ring = loop.copy()
        ring["position"] = (places - places.mean(0)) * (1 + 0.12 * min(k, 3)) @ bend.T + centre
        records.append(ring)
    count, rings = len(loop), len(centres)
    column = np.arange(count)
    quads = np.stack([column, column + count, (column + 1) % count + count, (column + 1) % count], -1)
    strip = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    faces = (np.arange(rings)[:, None, None] * count + strip).reshape(-1, 3).astype(np.int32)
    vertices = np.concatenate(records)
    vertices["normal"] = vertex_normals(vertices["position"], faces)
    vertices["code"] = loop["code"][0] // PARTS * PARTS + FOREARM_PART
    return Geometry(vertices, faces)


def _arm_direction(skin: NDArray[np.void]) -> Array:
    """(3,) from the wrist to the elbow, as the arm is bent."""
    along = skin["position"][elbow_loop()].mean(0) - skin["position"][_wrist_rows()].mean(0)
    return along / np.linalg.norm(along)


def _cloth(skin: NDArray[np.void], upper: Geometry, cloth: Cloth, entity: int) -> Geometry:
    """Skin faces between two places along the forearm, moved outwards."""
    model = drawn_hand()
    along = model.v_template[:, 0].astype(np.float64)
    inside = (along > cloth.start_m) & (along < cloth.end_m)
    chosen = model.faces[inside[model.faces].any(1)]
    rows, faces = np.unique(chosen, return_inverse=True)
    cover = skin[rows]
    # vertices beyond an opening slide along the arm onto it: a straight edge
    slid = np.clip(along[rows], cloth.start_m, cloth.end_m)
    cover["position"] += ((slid - along[rows])[:, None] * _arm_direction(skin)).astype(np.float32)
    lift = cloth.thickness_m + cloth.flare_m * np.clip(1 - (slid - cloth.start_m) / 0.05, 0, 1)
    cover["position"] += (lift[:, None] * cover["normal"]).astype(np.float32)
    around = np.abs(np.arctan2(model.v_template[rows, 2], model.v_template[rows, 1]))
    cover["uvw"] = np.stack(
        [along[rows] * cloth.tiling[0], around * cloth.tiling[1], np.full(len(rows), cloth.layer)], 1
    )
    parts = [Geometry(cover, faces.reshape(-1, 3).astype(np.int32))]
    if cloth.on_arm:
        sleeve = upper.vertices.copy()
        sleeve["position"] += cloth.thickness_m * sleeve["normal"]
        rings = len(sleeve) // len(elbow_loop())
        loop = model.v_template[elbow_loop()]
        bend = np.tile(np.abs(np.arctan2(loop[:, 2], loop[:, 1])), rings)
        reach = 0.235 + 0.05 * np.repeat(np.arange(rings), len(loop))
        sleeve["uvw"] = np.stack(
            [reach * cloth.tiling[0], bend * cloth.tiling[1], np.full(len(sleeve), cloth.layer)], 1
        )
        parts.append(Geometry(sleeve, upper.faces))
    vertices = np.concatenate([part.vertices for part in parts])
    vertices["colour"], vertices["material"] = cloth.colour, (0.15, 6.0, 0.0)
    vertices["code"] = entity * PARTS + CLOTH_PART
    if len(parts) == 1:
        return Geometry(vertices, parts[0].faces)
    return Geometry(vertices, np.concatenate([parts[0].faces, parts[1].faces + len(parts[0].vertices)]))
