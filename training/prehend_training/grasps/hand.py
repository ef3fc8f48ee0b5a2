"""The hand as the grasps see it: a few hundred vertices of its skin, in patches that touch objects.

Everything here is a right hand with its wrist (joint 0) at the origin, in the frame `hand` of `conventions.py`.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prehend.hand_model import HandModel, load_hand_model, skin
from prehend_training.assets.contact import fit_balls
from prehend_training.assets.poses import pose_from_angles

Array = NDArray[np.floating]
Rows = NDArray[np.int64]

DIGIT_ROWS = {"thumb": 12, "index": 0, "middle": 3, "ring": 9, "little": 6}
"""First of each digit's three rows among the 15 finger joints (MANO's order), in the order of `Hand.contact`."""
FINGERS = ("index", "middle", "ring", "little")
_SEGMENTS = ("base", "mid", "tip")
_FELT = 320
_PALM_FROM = 0.45
"""Share of the way from the wrist to the knuckles from which on the palm takes part."""


@dataclass(frozen=True, eq=False)
class Probe:
    """A hand of few vertices.

    Attributes:
        model: its first F vertices are skin, then B are middles of balls (`assets.contact`), the last 16 the joints.
        felt: F.
        digit: (F,) first row of the digit, -1 on the palm.
        segment: (F,) 0..2 from the palm outwards.
        patches: rows of the skin that touches, by name: "palm", "index_side", and "base", "mid", "tip" of each digit.
        radii: (B,) of the balls [m].
        pairs: (P, 2) balls that must not meet.
        allowed_m: (P,) by which they overlap in the zero pose.
    """

    model: HandModel
    felt: int
    digit: Rows
    segment: Rows
    patches: dict[str, Rows]
    radii: Array
    pairs: Rows
    allowed_m: Array

    def points(self, angles: Array, betas: Array) -> Array:
        """Skin (N, F, 3) of hands of angles (N, 15, 3) and betas (N, 10) or (10,)."""
        rotations = pose_from_angles(self.model, angles[..., 0], angles[..., 1], angles[..., 2])
        posed = skin(self.model, rotations, betas)
        return posed.vertices[..., : self.felt, :] - posed.joints[..., :1, :]


@lru_cache(maxsize=1)
def hand_model() -> HandModel:
    """The shipped right hand without its forearm."""
    return load_hand_model()


@lru_cache(maxsize=1)
def probe() -> Probe:
    """The probe of the shipped hand."""
    model, balls = hand_model(), fit_balls(hand_model())
    owner = model.weights.argmax(1)
    palmar = _palmar(model, owner)
    rows = _chosen(model, owner, palmar)
    joint = owner[rows]
    small = _reduced(model, rows, balls.centers, balls.joint)
    digit = np.where(joint == 0, -1, (joint - 1) // 3 * 3)
    segment = np.where(joint == 0, 0, (joint - 1) % 3)
    patches = _patches(model, rows, digit, segment, palmar[rows])
    return Probe(small, len(rows), digit, segment, patches, balls.radii, balls.pairs, balls.allowed)


def vertex_normals(vertices: Array, faces: NDArray[np.integer]) -> Array:
    """Unit normals (V, 3) of a mesh of vertices (V, 3) and faces (F, 3)."""
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], across)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _palmar(model: HandModel, owner: Rows) -> Array:
    """(V,) how far the skin faces the palm's side, 1 towards it, -1 on the back."""
    assert model.abduction_axes is not None
    dorsal = np.concatenate([[[0.0, 1.0, 0.0]], model.abduction_axes])
    return np.asarray(-(vertex_normals(model.v_template, model.faces) * dorsal[owner]).sum(1))


def _chosen(model: HandModel, owner: Rows, palmar: Array) -> Rows:
    """Rows of evenly spread vertices, denser on the skin that touches; tips come along."""
    points = model.v_template.astype(np.float64)
    gain = np.where((palmar > 0.2) & (owner > 0), 2.4, np.where((palmar > 0.3) & (points[:, 0] < -0.04), 1.4, 1.0))
    rows = list(model.tips)
    nearest = np.linalg.norm(points[:, None] - points[rows], axis=2).min(1)
    while len(rows) < _FELT:
        rows.append(int((nearest * gain).argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(points - points[rows[-1]], axis=1))
    return np.array(rows)


def _reduced(model: HandModel, rows: Rows, centers: Array, joint: Rows) -> HandModel:
    """A hand of some vertices of another, of points that bones carry, and of its joints."""
    carried = np.concatenate([joint, np.arange(16)])
    bones = np.eye(16, dtype=np.float32)[carried]
    places = np.concatenate([centers, model.joints_template]).astype(np.float32)
    shapes = model.joints_shapedirs[carried]
    count = len(rows) + len(carried)
    regressor = np.zeros((16, count), np.float32)
    regressor[:, -16:] = np.eye(16)
    still = np.zeros((len(carried), 3, 135), np.float32)
    return replace(
        model,
        v_template=np.concatenate([model.v_template[rows], places]),
        faces=np.zeros((0, 3), np.int32),
        weights=np.concatenate([model.weights[rows], bones]),
        shapedirs=np.concatenate([model.shapedirs[rows], shapes]),
        posedirs=np.concatenate([model.posedirs[rows], still]),
        J_regressor=regressor,
        tips=np.arange(5),  # they were chosen first
        uv=None,
        uv_faces=None,
        hand_mask=None,
        forearm_weights=None,
        nail_weights=None,
    )


def _patches(model: HandModel, rows: Rows, digit: Rows, segment: Rows, palmar: Array) -> dict[str, Rows]:
    """The named patches of the probe."""
    points, knuckle = model.v_template[rows], model.joints_template[4, 0]
    patches = {
        f"{name}_{part}": np.flatnonzero((digit == first) & (segment == k) & (palmar > 0.45))
        for name, first in DIGIT_ROWS.items()
        for k, part in enumerate(_SEGMENTS)
    }
    patches["palm"] = np.flatnonzero((digit == -1) & (palmar > 0.5) & (points[:, 0] < _PALM_FROM * knuckle))
    towards_thumb = points[:, 2] - _bone_line(model, points)
    patches["index_side"] = np.flatnonzero((digit == 0) & (segment >= 1) & (towards_thumb > 0.003) & (palmar < 0.75))
    return patches


def _bone_line(model: HandModel, points: Array) -> Array:
    """(N,) z of the index finger's bones at the x of points (N, 3), zero pose."""
    line = np.concatenate([model.joints_template[1:4], model.v_template[model.tips[1:2]]])[::-1]
    return np.asarray(np.interp(points[:, 0], line[:, 0], line[:, 2]))
