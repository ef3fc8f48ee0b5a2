"""Where each texel of the hand's texture lies on the hand: what all painted skins and gloves share."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.hand_model import HandModel, load_hand_model

Array = NDArray[np.floating]
Float = NDArray[np.float32]
Rng = np.random.Generator

TILE_PX = 512
"""Side of a painted texture; about 1.6 texels lie on a millimetre of skin."""
BANDS_M = (0.035, 0.012, 0.004)
"""Wavelengths of the noises of a `SkinMap`."""
_NAIL_GROWTH = (1.16, 1.12)
_NOISES = 6


@dataclass(frozen=True, eq=False)
class SkinMap:
    """The N texels that lie on the right hand and forearm of mean shape, flat.

    Attributes:
        texels: (N,) numbers of the texels in a tile, row by row; row 0 has the lowest v.
        fill: (TILE_PX, TILE_PX) for every texel of the tile the nearest of the N, so that mip levels have no seams.
        places: (N, 3) [m].
        facing: (N,) cosine between the skin and the back of the hand or digit: -1 palm, 1 back.
        arm: (N,) 0 on the hand, 1 on the forearm.
        digit: (N,) 0 on the palm, 1 on thumb and fingers.
        tip: (N,) rises towards the fingertips.
        bend_m: (N,) distance along the digit from the nearest joint within it, not those where it begins.
        fold_m: (N,) distance along the digit from the nearest flexion crease of the palm side.
        tendon: (N,) 1 on the sinews of the back of the hand.
        knuckle: (N,) 1 on the four knuckles where the fingers begin.
        nail: (N,) 1 on nails.
        nail_along, nail_across: (N,) place on a nail, 0 at its root to 1 at its edge, and -1..1 across.
        hair_flow: (N, 2) where hair points [texels per metre].
        noises: (bands, K, N) smooth noise of unit deviation for each of `BANDS_M`.
    """

    texels: NDArray[np.int64]
    fill: NDArray[np.int64]
    places: Float
    facing: Float
    arm: Float
    digit: Float
    tip: Float
    bend_m: Float
    fold_m: Float
    tendon: Float
    knuckle: Float
    nail: Float
    nail_along: Float
    nail_across: Float
    hair_flow: Float
    noises: Float

    @property
    def xy(self) -> NDArray[np.int64]:
        """(N, 2) column and row of each texel."""
        return np.stack([self.texels % TILE_PX, self.texels // TILE_PX], 1)

    def spread(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A whole tile (TILE_PX, TILE_PX, 4) from the colours (N, 4) of the skin's texels."""
        packed = np.ascontiguousarray(values).view(np.uint32).ravel()
        return packed[self.fill].view(np.uint8).reshape(TILE_PX, TILE_PX, 4)


def smooth_step(x: Array, low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


@lru_cache(maxsize=1)
def tile_uv() -> Float:
    """(U, 2) texture coordinates of the hand model in a tile: the forearm gets the free space beside it too."""
    model = load_hand_model(forearm=True)
    assert model.uv is not None
    uv = model.uv.astype(np.float32)
    forearm = (uv[:, 0] > 0.695) & (uv[:, 1] > 0.7)
    low, high = uv[forearm, 0].min(), uv[forearm, 0].max()
    uv[forearm, 0] = 0.51 + (uv[forearm, 0] - low) * (0.48 / (high - low))
    return uv


def forearm_chart(uv: Float) -> NDArray[np.bool_]:
    """(U,) which coordinates of `tile_uv` lie in the forearm's part of a tile."""
    return np.asarray((uv[:, 0] > 0.505) & (uv[:, 1] > 0.7))


@lru_cache(maxsize=1)
def skin_map() -> SkinMap:
    """The map of the shipped hand; made once, in about half a second."""
    model = load_hand_model(forearm=True)
    assert model.uv_faces is not None
    texels, face, bary = _rasterise(tile_uv()[model.uv_faces] * TILE_PX - 0.5)
    rows = model.faces[face]

    def spread(values: Array) -> Float:
        return np.einsum("nk,nk...->n...", bary, values[rows]).astype(np.float32)

    places = spread(model.v_template)
    dorsal = model.weights @ np.concatenate([[[0.0, 1.0, 0.0]], _axes(model)[0]])
    facing = (_normals(model) * (dorsal / np.linalg.norm(dorsal, axis=1, keepdims=True))).sum(1)
    facing = spread(facing)
    weights = spread(model.weights)
    # the palm's edge would show the faces of the mesh
    facing += (1 - _digit(weights)) * (_softened(texels, facing, 6.0) - facing)
    along = _along(model, places, weights)
    nail, nail_along, nail_across = _nails(model, texels, places, facing)
    return SkinMap(
        texels=texels,
        fill=_nearest(texels),
        places=places,
        facing=facing,
        arm=smooth_step(places[:, 0], -0.012, 0.02).astype(np.float32),
        digit=_digit(weights),
        tip=along.tip,
        bend_m=along.bend,
        fold_m=along.fold,
        tendon=_tendons(model, places, facing),
        knuckle=_knuckles(model, places),
        nail=nail,
        nail_along=nail_along,
        nail_across=nail_across,
        hair_flow=_hair_flow(model, face),
        noises=_noises(places),
    )


def _axes(model: HandModel) -> tuple[Array, Array]:
    """Directions out of the back of each digit's bones, and along them; (15, 3) both."""
    assert model.abduction_axes is not None and model.twist_axes is not None
    return model.abduction_axes, model.twist_axes


def _normals(model: HandModel) -> Array:
    corners = model.v_template[model.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(model.v_template)
    np.add.at(total, model.faces.ravel(), np.repeat(across, 3, axis=0))
    return total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-12)


def _rasterise(corners: Array) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Texels whose centre lies in one of the triangles (F, 3, 2) [texels]: number, face, barycentric coordinates."""
    face_of = np.full((TILE_PX, TILE_PX), -1)
    bary_of = np.zeros((TILE_PX, TILE_PX, 3))
    edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], 2)
    inverse = np.linalg.inv(edges)
    low, high = np.ceil(corners.min(1)).astype(int), np.floor(corners.max(1)).astype(int)
    for f, (x0, y0), (x1, y1) in zip(range(len(corners)), low, high, strict=True):
        grid = np.stack(np.meshgrid(np.arange(x0, x1 + 1), np.arange(y0, y1 + 1)), -1).reshape(-1, 2)
        second = (grid - corners[f, 0]) @ inverse[f].T
        bary = np.concatenate([1 - second.sum(1, keepdims=True), second], 1)
        inside = (bary >= -1e-9).all(1)
        x, y = grid[inside].T
        face_of[y, x], bary_of[y, x] = f, bary[inside]
    texels = np.flatnonzero(face_of.ravel() >= 0)
    return texels, face_of.ravel()[texels], bary_of.reshape(-1, 3)[texels]


def _digit(weights: Array) -> Float:
    return np.asarray(1 - weights[:, 0], np.float32)


def _softened(texels: NDArray[np.int64], values: Array, sigma: float) -> Float:
    """(N,) blurred within the skin's pieces of the texture."""
    both = np.zeros((TILE_PX * TILE_PX, 2), np.float32)
    both[texels, 0], both[texels, 1] = values, 1
    wide = cv2.GaussianBlur(both.reshape(TILE_PX, TILE_PX, 2), (0, 0), sigma).reshape(-1, 2)[texels]
    return np.asarray(wide[:, 0] / wide[:, 1], np.float32)


def _nearest(texels: NDArray[np.int64]) -> NDArray[np.int64]:
    outside = np.ones(TILE_PX * TILE_PX, np.uint8)
    outside[texels] = 0
    shape = (TILE_PX, TILE_PX)
    _, labels = cv2.distanceTransformWithLabels(outside.reshape(shape), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_label = np.zeros(labels.max() + 1, np.int64)
    of_label[labels.ravel()[texels]] = np.arange(len(texels))
    return of_label[labels]


@dataclass(frozen=True)
class _Along:
    """Places along the digits, see `SkinMap`; far away (1 m) where there is no joint near."""

    tip: Float
    bend: Float
    fold: Float


def _along(model: HandModel, places: Array, weights: Array) -> _Along:
    joints, bones = model.joints_template, _axes(model)[1]
    tip = np.zeros(len(places), np.float32)
    bend, fold = np.full(len(places), 1.0, np.float32), np.full(len(places), 1.0, np.float32)
    for j in range(1, 16):
        own = weights[:, j] + weights[:, j - 1] * (j % 3 != 1) > 0.35
        along = (places - joints[j]) @ bones[j - 1]
        if j % 3 == 0:
            tip = np.maximum(tip, weights[:, j] * smooth_step(along, 0.002, 0.024))
        first = j % 3 == 1 and j != 13
        # a finger's first crease lies at the web, half a bone beyond the joint
        web = 0.52 * float(np.linalg.norm(joints[j + 1] - joints[j])) if first else 0.0
        if j not in (13, 14):
            near = (own | first) & (np.linalg.norm(places - joints[j] - web * bones[j - 1], axis=1) < 0.021)
            nearer = near & (np.abs(along - web) < np.abs(fold))
            fold[nearer] = (along - web)[nearer]
        if j % 3 != 1:
            nearer = own & (np.linalg.norm(places - joints[j], axis=1) < 0.022) & (np.abs(along) < np.abs(bend))
            bend[nearer] = along[nearer]
    return _Along(tip.astype(np.float32), bend, fold)


def _knuckles(model: HandModel, places: Array) -> Float:
    heads = model.joints_template[[1, 4, 7, 10]]
    nearest = np.linalg.norm(places[:, None] - heads, axis=2).min(1)
    return np.exp(-((nearest / 0.0105) ** 2)).astype(np.float32)


def _nails(model: HandModel, texels: NDArray[np.int64], places: Array, facing: Array) -> tuple[Float, Float, Float]:
    """Nail plates: rounded rectangles about the marks of the asset's map, which are smaller than living nails."""
    assert model.nail_map is not None
    marks = cv2.resize(model.nail_map[::-1].astype(np.float32) / 255, (TILE_PX, TILE_PX)).ravel()[texels] > 0.5
    nail, along, across = (np.zeros(len(texels), np.float32) for _ in range(3))
    dorsal, bones = _axes(model)
    tips = places[marks][:, None] - model.joints_template[3::3]
    digit = np.linalg.norm(tips, axis=2).argmin(1)
    for k, j in enumerate((3, 6, 9, 12, 15)):
        own = places[marks][digit == k]
        box = []
        for axis, growth in ((bones[j - 1], _NAIL_GROWTH[0]), (np.cross(bones[j - 1], dorsal[j - 1]), _NAIL_GROWTH[1])):
            low, high = (own @ axis).min(), (own @ axis).max()
            box.append((places @ axis - (low + high) / 2) / ((high - low) / 2 * growth))
        # the plate ends where the mark ends; it grows towards its root
        u, v = box[0] + _NAIL_GROWTH[0] - 1, box[1]
        near = (facing > 0) & (np.linalg.norm(places - own.mean(0), axis=1) < 0.013)
        plate = smooth_step(-((np.abs(u) ** 2.8 + np.abs(v) ** 2.8) ** (1 / 2.8)), -1.09, -0.93) * near
        nearer = plate > nail
        nail[nearer], along[nearer], across[nearer] = plate[nearer], (u[nearer] + 1) / 2, v[nearer]
    return nail, along, across


def _tendons(model: HandModel, places: Array, facing: Array) -> Float:
    """(N,) ridges from the middle of the wrist's back to the four knuckles."""
    total = np.zeros(len(places))
    for k, head in enumerate(model.joints_template[[1, 4, 10, 7]]):
        start = np.array([-0.012, 0.006 - 0.005 * k])
        t = (places[:, 0] - start[0]) / (head[0] - start[0])
        off = places[:, 2] - start[1] - t * (head[2] - start[1])
        width = 0.0017 + 0.0012 * np.clip(t, 0, 1)
        total += np.exp(-((off / width) ** 2)) * smooth_step(t, 0.1, 0.5) * smooth_step(-t, -1.0, -0.8)
    return (total * smooth_step(facing, 0.2, 0.7)).astype(np.float32)


def _hair_flow(model: HandModel, face: NDArray[np.int64]) -> Float:
    """Hair points to the fingertips and the little finger's side."""
    assert model.uv_faces is not None
    v, uv = model.v_template[model.faces], tile_uv()[model.uv_faces] * TILE_PX
    edges = np.stack([v[:, 1] - v[:, 0], v[:, 2] - v[:, 0]], 2)
    flat = np.stack([uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]], 2)
    flow = flat @ np.linalg.pinv(edges) @ np.array([-0.8, 0.0, -0.6])
    return flow[face].astype(np.float32)


def _noises(places: Array) -> Float:
    """Sums of plane waves in space: they know no seams."""
    rng = np.random.default_rng(11)
    bands = []
    for length in BANDS_M:
        waves = rng.normal(0, 1, (_NOISES, 8, 3))
        waves *= 2 * np.pi / length / np.linalg.norm(waves, axis=2, keepdims=True)
        waves *= rng.uniform(0.6, 1.7, (_NOISES, 8, 1))
        phase = rng.uniform(0, 2 * np.pi, (_NOISES, 8, 1))
        fields = [np.cos(w.astype(np.float32) @ places.T + p).sum(0) / 2 for w, p in zip(waves, phase, strict=True)]
        bands.append(np.stack(fields).astype(np.float32))
    return np.stack(bands)
