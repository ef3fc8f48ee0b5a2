"""Bare hands: named gestures with variation, free natural poses and what lies between; shapes of people's hands."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import NUM_BETAS
from prehend.errors import InvalidInput, UnknownName
from prehend.hand_model import HandModel
from prehend_training.assets.contact import penetration
from prehend_training.assets.gestures import FINGER_ROWS, GESTURES, Gesture
from prehend_training.assets.poses import MAX_PENETRATION_M, pose_from_angles, sample_angles
from prehend_training.scenes.people.body import drawn_hand

__all__ = [
    "FINGER_ROWS",
    "GESTURES",
    "Gesture",
    "gesture_angles",
    "hand_length_m",
    "sample_bare",
    "sample_betas",
    "sample_gesture",
]

Array = NDArray[np.floating]
Rng = np.random.Generator

CHILD_SHARE = 0.15
ADULT_LENGTHS_M = ((0.174, 0.0085), (0.190, 0.0095))
"""Mean and deviation of women's and men's hands, wrist to tip of the middle finger (rounded from hand surveys)."""
ADULT_RANGE_M, CHILD_RANGE_M = (0.155, 0.218), (0.125, 0.165)
_SIZE = 0  # the component of the shape space that is nearly pure size
_TRIES = 6
_SHRINK = 0.6  # of the noise, when digits meet
_PRIOR, _GESTURE, _BETWEEN = 0.30, 0.45, 0.15  # shares of bare hands; the rest is relaxed


def sample_gesture(rng: Rng, name: str | None = None) -> Array:
    """A named gesture as someone makes it.

    Args:
        rng: source of randomness.
        name: of `GESTURES`; None draws one by the weights.

    Returns:
        (15, 3) flexion, abduction, twist [rad], inside the joints' limits. Digits do not go into each other by more
        than `MAX_PENETRATION_M`: the noise shrinks until they do not.

    Raises:
        UnknownName: there is no such gesture.
    """
    chosen = _named(rng) if name is None else name
    return _varied(rng, gesture_angles(chosen), GESTURES[chosen].looseness)


def sample_bare(rng: Rng) -> tuple[Array, Array]:
    """Angles (15, 3) [rad] and rotations (16, 3, 3) of a bare hand whose digits do not pierce each other.

    Free natural poses, gestures, mixtures of two gestures and relaxed hands.
    """
    model, limits = _model()
    kind = rng.random()
    if kind < _PRIOR:
        angles = _free(rng, model, limits)
    elif kind < _PRIOR + _GESTURE:
        angles = sample_gesture(rng)
    elif kind < _PRIOR + _GESTURE + _BETWEEN:
        angles = _between(rng)
    else:
        angles = sample_gesture(rng, "relaxed")
    return angles, pose_from_angles(model, *angles.T)


def sample_betas(rng: Rng) -> Array:
    """Shape (10,) of a person's hand: women, men and 15 % children of about 4 to 12 years.

    The length is drawn (`ADULT_LENGTHS_M` within `ADULT_RANGE_M`, or evenly over `CHILD_RANGE_M`) and reached with the
    component of size; the others are normal, narrower for children.
    """
    betas = rng.standard_normal(NUM_BETAS)
    if rng.random() < CHILD_SHARE:
        betas *= 0.7
        length = rng.uniform(*CHILD_RANGE_M)
    else:
        mean, deviation = ADULT_LENGTHS_M[int(rng.random() < 0.5)]
        length = float(np.clip(rng.normal(mean, deviation), *ADULT_RANGE_M))
    betas[_SIZE] = 0.0
    start, step = _middle_finger()
    rest = start + step @ betas
    along = step[:, _SIZE]
    square, half = along @ along, rest @ along
    betas[_SIZE] = (np.sqrt(half**2 - square * (rest @ rest - length**2)) - half) / square
    return betas


def hand_length_m(betas: Array) -> NDArray[np.float64]:
    """Length of the flat hand [m], wrist joint to tip of the middle finger.

    Args:
        betas: (..., 10).

    Returns:
        (...).

    Raises:
        InvalidInput: the last axis is not 10 long.
    """
    shape = np.asarray(betas, np.float64)
    if shape.shape[-1:] != (NUM_BETAS,):
        raise InvalidInput(f"betas have shape {shape.shape}, expected (..., {NUM_BETAS})")
    start, step = _middle_finger()
    return np.asarray(np.linalg.norm(start + shape @ step.T, axis=-1))


def gesture_angles(name: str) -> Array:
    """(15, 3) flexion, abduction, twist [rad] of a gesture without noise.

    Raises:
        UnknownName: there is no such gesture.
    """
    if name not in GESTURES:
        raise UnknownName("gesture", name, GESTURES)
    return GESTURES[name].angles_rad


def _named(rng: Rng) -> str:
    names, weights = _weights()
    return names[int(rng.choice(len(names), p=weights))]


def _free(rng: Rng, model: HandModel, limits: Array) -> Array:
    """A pose of the prior; where digits meet in all tries, a relaxed hand."""
    angles = sample_angles(rng, _TRIES, limits)
    depths = penetration(model, pose_from_angles(model, *np.moveaxis(angles, -1, 0)))
    free = np.flatnonzero(depths <= MAX_PENETRATION_M)
    return angles[free[0]] if len(free) else sample_gesture(rng, "relaxed")


def _between(rng: Rng) -> Array:
    """Between two gestures, all digits together or each at its own pace; the first where nothing between fits."""
    model, _ = _model()
    first, second = gesture_angles(_named(rng)), gesture_angles(_named(rng))
    digits = np.repeat(rng.uniform(0, 1, (_TRIES, 5)), 3, axis=1)[..., None]
    together = rng.uniform(0, 1, (_TRIES, 1, 1))
    angles = first + np.where(rng.random((_TRIES, 1, 1)) < 0.6, together, digits) * (second - first)
    depths = penetration(model, pose_from_angles(model, *np.moveaxis(angles, -1, 0)))
    free = np.flatnonzero(depths <= MAX_PENETRATION_M)
    return _varied(rng, angles[free[0]] if len(free) else first, 0.6)


def _varied(rng: Rng, angles: Array, looseness: float) -> Array:
    """A pose with correlated noise that shrinks until digits do not meet; in the end none is left."""
    model, limits = _model()
    noise = looseness * rng.uniform(0.5, 1.3) * _noise(rng, angles)
    scales = np.append(_SHRINK ** np.arange(_TRIES), 0.0)
    for few in (scales[:1], scales[1:]):  # mostly the first will do
        tries = np.clip(angles + few[:, None, None] * noise, limits[..., 0], limits[..., 1])
        depths = penetration(model, pose_from_angles(model, *np.moveaxis(tries, -1, 0)))
        free = np.flatnonzero(depths <= MAX_PENETRATION_M)
        if len(free):
            return np.asarray(tries[free[0]])
    return np.asarray(tries[-1])


def _noise(rng: Rng, angles: Array) -> Array:
    """(15, 3) [rad]: all fingers close together, each finger, each joint; one tendon bends both ends of a finger."""
    noise = np.zeros((15, 3))
    fingers, thumb = noise[:12].reshape(4, 3, 3), noise[12:]  # fingers: index, middle, little, ring
    fingers[:, :2, 0] = rng.normal(0, 4, 1) + rng.normal(0, 3.5, (4, 1)) + rng.normal(0, 3.5, (4, 2))
    fingers[:, 2, 0] = 0.66 * fingers[:, 1, 0] + rng.normal(0, 2, 4)
    room = np.clip(1 - angles[[0, 3, 6, 9], 0] / 1.6, 0.15, 1)  # bent fingers cannot spread
    fan = rng.normal(0, 4) * np.array([1.0, 0.2, -1.1, -0.5])
    fingers[:, 0, 1] = room * (fan + rng.normal(0, 2, 4))
    thumb[:, 0] = rng.normal(0, 2.5) + rng.normal(0, 4, 3)
    thumb[0, 1:] = rng.normal(0, 4.5, 2)
    return np.radians(noise)


def _model() -> tuple[HandModel, Array]:
    """The hand that scenes draw, and the limits (15, 3, 2) of its joints."""
    model = drawn_hand()
    assert model.limits_rad is not None
    return model, model.limits_rad.astype(np.float64)


@lru_cache(maxsize=1)
def _weights() -> tuple[tuple[str, ...], Array]:
    weights = np.array([gesture.weight for gesture in GESTURES.values()])
    return tuple(GESTURES), weights / weights.sum()


@lru_cache(maxsize=1)
def _middle_finger() -> tuple[Array, Array]:
    """Tip of the middle finger minus the wrist: (3,) of the mean hand and (3, 10) its change by the betas."""
    model = drawn_hand()
    tip = model.tips[2]
    start = model.v_template[tip] - model.joints_template[0]
    return start.astype(np.float64), (model.shapedirs[tip] - model.joints_shapedirs[0]).astype(np.float64)
