"""The hand model that is drawn, and points on its forearm and fingers addressed by where they are on the limb."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from prehend.hand_model import HandModel, load_hand_model

Array = NDArray[np.floating]
Rows = NDArray[np.int64]

ANGLES = 40
"""Points around a limb; the first lies on its back, then they go towards the thumb."""
ARM_START_M, ARM_END_M, ARM_STEP_M = -0.034, 0.190, 0.008
"""Where the forearm's rings lie, along it from the wrist."""
RING_ROWS = 5
"""Rings of points on a finger's first bone, from a fifth to four fifths of it."""


@lru_cache(maxsize=1)
def drawn_hand() -> HandModel:
    """The right hand with its forearm: everything is posed as a right hand and mirrored at the end."""
    return load_hand_model(forearm=True)


class OnSkin(NamedTuple):
    """Points (R, A) on faces of the hand: vertices (R, A, 3) and their shares (R, A, 3)."""

    rows: Rows
    shares: Array

    def of(self, values: Array) -> Array:
        """(R, A, D) the points' values from those (V, D) of the vertices."""
        return np.einsum("rak,rakd->rad", self.shares, values[self.rows])


@lru_cache(maxsize=1)
def on_forearm() -> OnSkin:
    """Rings around heel of the hand, wrist and forearm, `ARM_STEP_M` apart."""
    model = drawn_hand()
    stations = np.arange(ARM_START_M, ARM_END_M + 1e-9, ARM_STEP_M)
    chosen = model.faces[
        (model.weights[model.faces, 0].min(1) > 0.5) & (model.v_template[model.faces, 0].max(1) > -0.06)
    ]
    corners = model.v_template[chosen].astype(np.float64)
    near = np.abs(model.v_template[:, 0, None] - stations) < 0.012
    own = near & (model.weights[:, :1] > 0.8)
    centres = (own.T @ model.v_template.astype(np.float64)) / own.sum(0)[:, None]
    centres[:, 0] = stations
    angles = 2 * np.pi * np.arange(ANGLES) / ANGLES
    ways = np.stack([np.zeros(ANGLES), np.cos(angles), np.sin(angles)], 1)
    return _cast(chosen, corners, centres, np.broadcast_to(ways, (len(stations), ANGLES, 3)))


@lru_cache(maxsize=4)
def on_finger(digit: int) -> OnSkin:
    """Rings around the first bone of a finger (1 index .. 4 little), `RING_ROWS` of them."""
    model = drawn_hand()
    first = {1: 1, 2: 4, 3: 10, 4: 7}[digit]
    assert model.abduction_axes is not None
    start, end = model.joints_template[first].astype(np.float64), model.joints_template[first + 1].astype(np.float64)
    bone = (end - start) / np.linalg.norm(end - start)
    back = model.abduction_axes[first - 1] - bone * (model.abduction_axes[first - 1] @ bone)
    back /= np.linalg.norm(back)
    chosen = model.faces[model.weights[model.faces, first].min(1) > 0.25]
    centres = start + np.linspace(0.2, 0.8, RING_ROWS)[:, None] * (end - start)
    angles = 2 * np.pi * np.arange(ANGLES) / ANGLES
    ways = np.cos(angles)[:, None] * back + np.sin(angles)[:, None] * np.cross(back, bone)
    return _cast(chosen, model.v_template[chosen].astype(np.float64), centres, np.tile(ways, (RING_ROWS, 1, 1)))


def _cast(faces: Rows, corners: Array, origins: Array, ways: Array) -> OnSkin:
    """Where rays (R, A, 3) from points (R, 3) leave the skin (Moeller and Trumbore, JGT 1997).

    A ray through a gap gets the nearest ray's face.
    """
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    rows = np.zeros((*ways.shape[:2], 3), np.int64)
    shares = np.zeros((*ways.shape[:2], 3))
    for k, origin in enumerate(origins):
        cross = np.cross(ways[k][:, None], second)
        det = (cross * first).sum(-1)
        det = np.where(np.abs(det) < 1e-14, 1e-14, det)
        off = origin - corners[:, 0]
        u = (cross * off).sum(-1) / det
        other = np.cross(off, first)
        v = ways[k] @ other.T / det
        t = (second * other).sum(-1) / det
        hit = (u >= -1e-3) & (v >= -1e-3) & (u + v <= 1.001) & (t > 0)
        far = np.where(hit, t, -1.0)
        best = far.argmax(1)
        best = _without_gaps(best, far.max(1) > 0)
        at = np.arange(len(best))
        uv = np.clip(np.stack([u[at, best], v[at, best]], 1), 0, 1)
        uv /= np.maximum(uv.sum(1, keepdims=True), 1)
        rows[k], shares[k] = faces[best], np.concatenate([1 - uv.sum(1, keepdims=True), uv], 1)
    return OnSkin(rows, shares)


def _without_gaps(best: Rows, found: NDArray[np.bool_]) -> Rows:
    at, hits = np.arange(len(best)), np.flatnonzero(found)
    apart = np.abs(at[:, None] - hits)
    return best[hits[np.minimum(apart, len(best) - apart).argmin(1)]]


@lru_cache(maxsize=1)
def _incidence() -> sparse.csr_matrix:
    """(V, F) which faces a vertex has."""
    faces = drawn_hand().faces
    count = len(faces)
    entries = (np.ones(3 * count), (faces.ravel(), np.repeat(np.arange(count), 3)))
    return sparse.csr_matrix(entries, shape=(drawn_hand().num_vertices, count))


@lru_cache(maxsize=1)
def _corners() -> NDArray[np.int64]:
    """(3, F) vertices of the faces, corner by corner."""
    return np.ascontiguousarray(drawn_hand().faces.T, np.int64)


def hand_normals(vertices: Array) -> Array:
    """(V, 3) unit normals of the drawn hand's vertices, faces weighted by their area."""
    flat = np.ascontiguousarray(vertices.T, np.float64)
    a, b, c = (flat.take(corner, axis=1) for corner in _corners())
    (px, py, pz), (qx, qy, qz) = b - a, c - a
    total = _incidence() @ np.stack([py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx], 1)
    return np.asarray(total / (np.sqrt((total * total).sum(1, keepdims=True)) + 1e-12))


@lru_cache(maxsize=2)
def smoothing(rounds: int) -> sparse.csr_matrix:
    """(V, V) mean with the neighbours, `rounds` times over; the open end at the elbow stays."""
    faces = drawn_hand().faces
    count = drawn_hand().num_vertices
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    both = np.concatenate([pairs, pairs[:, ::-1], np.repeat(np.arange(count), 2).reshape(-1, 2)])
    links = sparse.csr_matrix((np.ones(len(both)), both.T), shape=(count, count))
    links.data[:] = 1
    step = sparse.diags(1 / np.asarray(links.sum(1)).ravel()) @ links
    whole = step
    for _ in range(rounds - 1):
        whole = whole @ step
    return whole.tocsr()


def tube_normals(points: Array) -> Array:
    """(R, A, 3) unit normals, outwards, of a tube of closed rings (R, A, 3) that turn as those of `on_forearm`."""
    around = np.roll(points, -1, 1) - np.roll(points, 1, 1)
    out = np.cross(around, np.gradient(points, axis=0))
    return np.asarray(out / (np.linalg.norm(out, axis=-1, keepdims=True) + 1e-12))


@lru_cache(maxsize=64)
def tube_faces(rings: int, columns: int) -> NDArray[np.int32]:
    """(F, 3) of a grid of vertices, ring by ring; the last column is not joined to the first."""
    corner = np.arange(rings - 1)[:, None] * columns + np.arange(columns - 1)
    quads = np.stack([corner, corner + 1, corner + columns + 1, corner + columns], -1)
    return quads[..., [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3).astype(np.int32)
