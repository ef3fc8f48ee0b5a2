"""Natural random hand poses: angles inside the joints' limits, fingers that close together, a thumb of its own."""

import numpy as np
from numpy.typing import NDArray

from prehend.errors import InvalidInput
from prehend.hand_model import HandModel, load_hand_model
from prehend_training.assets.contact import penetration

Array = NDArray[np.floating]

THUMB = slice(12, 15)
MAX_PENETRATION_M = 0.003
_TRIES = 30
_KNUCKLES = np.array([0, 3, 9, 6])
"""Rows of the 15 joints that are knuckles of index, middle, ring, little."""
_SPREAD = np.array([0.9, 0.1, -0.5, -1.0])
"""How far index, middle, ring and little move towards the thumb when the fingers spread."""


def axis_angle_matrix(axis_angle: Array) -> NDArray[np.float64]:
    """Rotation matrices (..., 3, 3) of axis-angle vectors (..., 3) [rad] (Rodrigues' formula)."""
    vector = np.asarray(axis_angle, np.float64)
    angle = np.sqrt((vector * vector).sum(-1))
    axis = vector / np.maximum(angle, 1e-12)[..., None]
    return _turns(axis, np.cos(angle), np.sin(angle))


def _turns(axis: Array, cosine: Array, sine: Array) -> NDArray[np.float64]:
    """Rotations (..., 3, 3) about unit axes (..., 3) by angles whose cosines and sines (...) are given."""
    x, y, z = axis[..., 0], axis[..., 1], axis[..., 2]
    bent = 1 - cosine
    xs, ys, zs = x * sine, y * sine, z * sine
    xy, xz, yz = x * y * bent, x * z * bent, y * z * bent
    turns = np.empty((*np.broadcast_shapes(x.shape, cosine.shape), 3, 3))
    turns[..., 0, 0], turns[..., 0, 1], turns[..., 0, 2] = x * x * bent + cosine, xy - zs, xz + ys
    turns[..., 1, 0], turns[..., 1, 1], turns[..., 1, 2] = xy + zs, y * y * bent + cosine, yz - xs
    turns[..., 2, 0], turns[..., 2, 1], turns[..., 2, 2] = xz - ys, yz + xs, z * z * bent + cosine
    return turns


def matrix_axis_angle(rotations: Array) -> NDArray[np.float64]:
    """Axis-angle vectors (..., 3) [rad] of rotation matrices (..., 3, 3); for joints: turns below 170 degrees."""
    rotations = np.asarray(rotations, np.float64)
    vector = np.stack(
        [
            rotations[..., 2, 1] - rotations[..., 1, 2],
            rotations[..., 0, 2] - rotations[..., 2, 0],
            rotations[..., 1, 0] - rotations[..., 0, 1],
        ],
        -1,
    )
    sine = np.linalg.norm(vector, axis=-1, keepdims=True) / 2
    cosine = (np.trace(rotations, axis1=-2, axis2=-1)[..., None] - 1) / 2
    angle = np.arctan2(sine, cosine)
    return vector / 2 / np.sinc(angle / np.pi)


def pose_from_angles(model: HandModel, flex: Array, abduct: Array | float = 0.0, twist: Array | float = 0.0) -> Array:
    """Rotations of a hand from anatomical angles; flexion happens in the parent's frame, the others move with the bone.

    Args:
        model: gives the axes.
        flex: (..., 15) flexion [rad], positive closes.
        abduct: (..., 15) or a number [rad], positive towards the thumb.
        twist: (..., 15) or a number [rad] about the bone.

    Returns:
        (..., 16, 3, 3) float32; the wrist's rotation is the identity.

    Raises:
        InvalidInput: the model has no axes (a MANO file has none).
    """
    angles = np.stack(np.broadcast_arrays(flex, abduct, twist), -1)
    turns = _turns(np.stack(_anatomy(model)[:3], 1), np.cos(angles), np.sin(angles))
    fingers = turns[..., 0, :, :] @ turns[..., 1, :, :] @ turns[..., 2, :, :]
    rotations = np.empty((*fingers.shape[:-3], 16, 3, 3), np.float32)
    rotations[..., 0, :, :] = np.eye(3)
    rotations[..., 1:, :, :] = fingers
    return rotations


def sample_pose(rng: np.random.Generator, n: int, model: HandModel | None = None) -> NDArray[np.float32]:
    """Random natural poses.

    Args:
        rng: source of randomness.
        n: how many.
        model: hand whose axes and limits hold; None takes the shipped one.

    Returns:
        (n, 15, 3) axis-angle [rad] of MANO's finger joints, in the rest frame of the model's side. Digits do not go
        into each other by more than flesh gives way (a few poses in ten thousand may: tries are bounded).

    Raises:
        InvalidInput: the model has no axes and limits (a MANO file has none).
    """
    hand = load_hand_model() if model is None else model
    limits = _anatomy(hand)[3]
    rotations = np.empty((n, 16, 3, 3), np.float32)
    open_rows = np.arange(n)
    for _ in range(_TRIES):
        angles = sample_angles(rng, len(open_rows), limits)
        rotations[open_rows] = pose_from_angles(hand, angles[..., 0], angles[..., 1], angles[..., 2])
        open_rows = open_rows[penetration(hand, rotations[open_rows]) > MAX_PENETRATION_M]
        if not len(open_rows):
            break
    return matrix_axis_angle(rotations[:, 1:]).astype(np.float32)


def sample_angles(rng: np.random.Generator, n: int, limits_rad: Array) -> NDArray[np.float64]:
    """Random natural angles (n, 15, 3): flexion, abduction, twist [rad], inside `limits_rad` (15, 3, 2)."""
    closing = _closing(rng, n)
    low, high = limits_rad[..., 0], limits_rad[..., 1]
    angles = np.zeros((n, 15, 3))
    knuckle = closing[..., 0] * high[_KNUCKLES, 0] + rng.normal(0, 0.08, (n, 4))
    middle = closing[..., 1] * high[_KNUCKLES + 1, 0] + rng.normal(0, 0.08, (n, 4))
    angles[:, _KNUCKLES, 0] = knuckle
    angles[:, _KNUCKLES + 1, 0] = middle
    angles[:, _KNUCKLES + 2, 0] = 0.66 * middle + rng.normal(0, 0.1, (n, 4))  # one tendon bends both
    room = np.clip(1 - closing[..., 0], 0.15, 1)  # tight ligaments keep bent fingers from spreading
    spread = rng.normal(0.15, 0.45, (n, 1)) * _SPREAD + rng.normal(0, 0.2, (n, 4))
    angles[:, _KNUCKLES, 1] = spread * room * high[_KNUCKLES, 1]
    angles[:, :12, 2] = rng.normal(0, 0.3, (n, 12)) * high[:12, 2]
    angles[:, THUMB] = _thumb(rng, closing.mean((1, 2)), high[THUMB])
    return np.clip(angles, low, high)


def _closing(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """How far each finger is closed, (n, 4, 2): at the knuckle and at the middle joint, mostly 0..1."""
    together = rng.uniform(-0.15, 1.0, (n, 1, 1)) + rng.normal(0, 0.10, (n, 4, 1)) + rng.normal(0, 0.15, (n, 1, 2))
    curl = np.linspace(-0.5, 0.5, 4)[:, None] * rng.normal(0.12, 0.15, (n, 1, 1))  # towards the little finger
    single = rng.uniform(-0.15, 1.0, (n, 4, 1)) + rng.normal(0, 0.12, (n, 4, 2))
    gesture = np.where(rng.random((n, 4, 1)) < 0.5, 0.02, 0.88) + rng.normal(0, 0.07, (n, 4, 2))
    plate = rng.uniform(-0.1, 1.0, (n, 1, 2)) + rng.normal(
        0, 0.08, (n, 4, 2)
    )  # knuckles and fingers apart, as in pinches
    kind = rng.choice(4, n, p=[0.45, 0.2, 0.15, 0.2])
    return np.stack([together + curl, single, gesture, plate])[kind, np.arange(n)]


def _thumb(rng: np.random.Generator, closing: Array, high: Array) -> NDArray[np.float64]:
    """Angles (n, 3, 3) of the thumb; it follows the fingers loosely."""
    n = len(closing)
    angles = np.zeros((n, 3, 3))
    follow = np.clip(0.5 * closing + 0.5 * rng.uniform(-0.2, 1.0, n), -0.3, 1)
    angles[:, 0, 0] = (follow - 0.2) * high[0, 0] + rng.normal(0, 0.12, n)
    angles[:, 0, 1] = rng.normal(0, 0.45, n) * high[0, 1]
    angles[:, 0, 2] = rng.normal(0, 0.35, n) * high[0, 2]
    angles[:, 1, 0] = rng.uniform(-0.2, 0.7, n) * high[1, 0] + 0.2 * follow
    angles[:, 2, 0] = rng.uniform(-0.25, 0.8, n) * high[2, 0] + 0.2 * follow
    angles[:, 1, 1] = rng.normal(0, 0.3, n) * high[1, 1]
    return angles


def _anatomy(model: HandModel) -> tuple[Array, Array, Array, Array]:
    """Axes of flexion, abduction, twist (15, 3) and limits (15, 3, 2)."""
    parts = (model.flexion_axes, model.abduction_axes, model.twist_axes, model.limits_rad)
    if any(part is None for part in parts):
        raise InvalidInput(f"hand model {model.name} has no joint axes: use the shipped one")
    return parts  # type: ignore[return-value]
