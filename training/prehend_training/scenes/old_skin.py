"""Colours of skin, vertex by vertex, made from where a vertex lies on the hand."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prehend.hand_model import load_hand_model

Array = NDArray[np.floating]
Rng = np.random.Generator

# display colours (0..255) of the back of the hand and of the palm, from very light to very dark skin
_BACK = np.array(
    [[240, 205, 188], [226, 178, 152], [205, 152, 120], [178, 124, 92], [134, 88, 64], [92, 60, 45], [62, 41, 33]]
)
_PALM = np.array(
    [
        [240, 200, 186],
        [230, 178, 158],
        [216, 160, 138],
        [204, 148, 122],
        [186, 132, 108],
        [165, 118, 98],
        [140, 100, 84],
    ]
)
_NOISES = 40
_CREASE_M = 0.0022


@dataclass(frozen=True)
class SkinFields:
    """Where things are on a hand with its forearm, each (V,) in 0..1.

    Attributes:
        palm: 1 on the palm side.
        tip: rises towards the fingertips.
        knuckle: on the back of the finger joints.
        crease: at the bends on the palm side.
        nail: on nails.
        noises: (V, N) smooth noise of zero mean and unit deviation, coarse ones first.
    """

    palm: Array
    tip: Array
    knuckle: Array
    crease: Array
    nail: Array
    noises: Array


@lru_cache(maxsize=1)
def skin_fields() -> SkinFields:
    """Fields of the shipped hand."""
    model = load_hand_model(forearm=True)
    assert model.abduction_axes is not None and model.twist_axes is not None and model.nail_weights is not None
    dorsal = model.weights @ np.concatenate([[[0.0, 1.0, 0.0]], model.abduction_axes])
    facing = (vertex_normals(model.v_template, model.faces) * dorsal).sum(1)
    palm = _step(-facing, -0.35, 0.45)
    joints, places = model.joints_template, model.v_template
    knuckle, crease, tip = (np.zeros(len(places)) for _ in range(3))
    for j in range(1, 16):
        bone = model.twist_axes[j - 1]
        along = (places - joints[j]) @ bone
        near = np.linalg.norm(places - joints[j], axis=1) < 0.022
        knuckle = np.maximum(knuckle, near * np.exp(-((along / 0.006) ** 2)))
        crease = np.maximum(crease, near * np.exp(-((along / _CREASE_M) ** 2)))
        if j % 3 == 0:
            tip = np.maximum(tip, model.weights[:, j] * _step(along, 0.002, 0.024))
    rng = np.random.default_rng(11)
    return SkinFields(palm, tip, knuckle * (1 - palm), crease * palm, model.nail_weights, _noises(rng, places))


def _noises(rng: Rng, places: Array) -> Array:
    """Sums of random plane waves: the coarse ones vary over centimetres, the fine ones over millimetres."""
    fields = []
    for k in range(_NOISES):
        length = 0.06 * (0.0035 / 0.06) ** (k / (_NOISES - 1))
        waves = rng.normal(0, 2 * np.pi / length / 2, (12, 3))
        field = np.cos(places @ waves.T + rng.uniform(0, 2 * np.pi, 12)).sum(1)
        fields.append((field - field.mean()) / field.std())
    return np.stack(fields, 1)


def _step(x: Array, low: float, high: float) -> Array:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def vertex_normals(vertices: Array, faces: NDArray[np.int32]) -> Array:
    """(V, 3) unit normals, faces weighted by their area."""
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat, repeated = faces.ravel(), np.repeat(across, 3, axis=0)
    total = np.stack([np.bincount(flat, repeated[:, k], len(vertices)) for k in range(3)], 1)
    return total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-12)


def skin_colours(rng: Rng) -> Array:
    """(V, 3) linear albedo of one person's hand and forearm."""
    fields = skin_fields()
    level = rng.beta(0.9, 1.2) * (len(_BACK) - 1)
    back, palm = (_between(table, level) for table in (_BACK, _PALM))
    tint = np.exp(rng.normal(0, 0.035, 3) + rng.normal(0, 0.08))
    share = (fields.palm * rng.uniform(0.6, 1.0))[:, None]
    colours = ((back * (1 - share) + palm * share) / 255) ** 2 * tint
    blood = rng.uniform(0, 1.4) * (0.6 * fields.tip + 0.5 * fields.knuckle + 0.25 * fields.palm)
    coarse = fields.noises[:, rng.integers(0, _NOISES // 2, 3)] @ rng.normal(0, 0.5, 3)
    blood += rng.uniform(0, 0.35) * coarse
    colours *= np.exp(-blood[:, None] * [-0.02, 0.22, 0.17])
    dark = rng.uniform(0.0, 0.5) * fields.crease + rng.uniform(0, 0.25) * fields.knuckle
    fine = fields.noises[:, rng.integers(_NOISES // 2, _NOISES, 4)] @ rng.normal(0, 0.5, 4)
    colours *= np.exp(-dark + rng.uniform(0.01, 0.07) * fine + rng.uniform(0.0, 0.1) * coarse)[:, None]
    return _with_nails(rng, colours, fields.nail)


def _with_nails(rng: Rng, colours: Array, nail: Array) -> Array:
    own = (colours * [1.1, 1.08, 1.12] + 0.04) * rng.uniform(0.9, 1.15)
    polish = rng.uniform(0.02, 0.9, 3) ** 2
    paint = polish if rng.random() < 0.08 else own
    share = nail[:, None]
    return np.clip(colours * (1 - share) + paint * share, 0.004, 0.95)


def _between(table: Array, level: float) -> Array:
    k = min(int(level), len(table) - 2)
    return table[k] + (level - k) * (table[k + 1] - table[k])
