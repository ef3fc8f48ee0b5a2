"""Random hands in one pose and frame: MakeHuman's people at human sizes, with our own variation of the digits."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MANO_PARENTS
from prehend_training.assets.hand_source import Body, HandSource

Array = NDArray[np.float64]

_RACES = ("african", "asian", "caucasian")
_LOCAL_TARGETS = (
    ("hands/r-hand-fingers-diameter-decr", "hands/r-hand-fingers-diameter-incr"),
    ("hands/r-hand-scale-decr", "hands/r-hand-scale-incr"),
    ("hands/measure-wrist-circ-decr", "hands/measure-wrist-circ-incr"),
    ("arms/r-lowerarm-fat-decr", "arms/r-lowerarm-fat-incr"),
    ("arms/r-lowerarm-muscle-decr", "arms/r-lowerarm-muscle-incr"),
    ("arms/r-lowerarm-scale-depth-decr", "arms/r-lowerarm-scale-depth-incr"),
    ("arms/r-lowerarm-scale-vert-decr", "arms/r-lowerarm-scale-vert-incr"),
)
"""Pairs that shrink and grow; `hand-fingers-length` is left out because it pinches the thumb."""

_ADULT_LENGTH_M = (0.182, 0.0105)
"""Mean and deviation of wrist joint to tip of the middle finger, both sexes; our reading of published hand surveys."""
_CHILD_SHARE = 0.12
KNUCKLE_SHIFT = 0.135
"""Share of the way to the wrist; brings the first phalanges to the lengths of living hands (Buryanov and Kotiuk,
Proportions of hand segments, Int. J. Morphol. 2010: 39.8, 44.6, 41.4, 32.7 mm from index to little)."""
_FINGERS = (0, 1, 2, 3)  # chains of MANO's order without the thumb
MIDDLE_CHAIN = 1
TIP_OF_CHAIN = (1, 2, 4, 3, 0)
"""Row of `RestHand.tips` (thumb first) that ends each chain of MANO's order."""


@dataclass(frozen=True)
class RestHand:
    """A right hand in the frame of `conventions.py` with the wrist at the origin [m].

    Attributes:
        vertices: (V, 3).
        joints: (16, 3).
        tips: (5, 3) ends of the distal bones, thumb first.
        elbow: (3,).
    """

    vertices: Array
    joints: Array
    tips: Array
    elbow: Array

    def moved(self, rotation: Array, origin: Array, scale: float = 1.0) -> "RestHand":
        """`scale * rotation @ (p - origin)` of everything."""
        parts = (self.vertices, self.joints, self.tips, self.elbow)
        return RestHand(*(scale * (part - origin) @ rotation.T for part in parts))


def chain_joints(chain: int) -> tuple[int, int, int]:
    """The three joints of a digit; digits count in MANO's order."""
    return 3 * chain + 1, 3 * chain + 2, 3 * chain + 3


def bone_ends(hand: RestHand) -> Array:
    """(16, 3) where the bone of each joint ends; the wrist's at the knuckle of the middle finger."""
    ends = np.empty((16, 3))
    ends[0] = hand.joints[chain_joints(MIDDLE_CHAIN)[0]]
    for chain in range(5):
        first, second, third = chain_joints(chain)
        ends[[first, second, third]] = hand.joints[second], hand.joints[third], hand.tips[TIP_OF_CHAIN[chain]]
    return ends


def bone_directions(hand: RestHand) -> Array:
    """(16, 3) unit vectors along the bones, away from the wrist."""
    bones = bone_ends(hand) - hand.joints
    return bones / np.linalg.norm(bones, axis=1, keepdims=True)


def in_hand_frame(body: Body) -> RestHand:
    """A body's right hand in the hand frame: -x to the middle knuckle, z from the little to the index knuckle."""
    hand = RestHand(body.vertices, body.joints, body.tips, body.elbow)
    index, middle, little = (hand.joints[chain_joints(c)[0]] for c in (0, 1, 2))
    x = _unit(hand.joints[0] - middle)
    z = index - little
    z = _unit(z - (z @ x) * x)
    return with_knuckles_back(hand.moved(np.stack([x, np.cross(z, x), z]), hand.joints[0]))


def with_knuckles_back(hand: RestHand) -> RestHand:
    """The hand with the first joints of its four fingers nearer to the wrist; skin and other joints stay."""
    joints = hand.joints.copy()
    firsts = [chain_joints(chain)[0] for chain in _FINGERS]
    joints[firsts] += KNUCKLE_SHIFT * (joints[0] - joints[firsts])
    return replace(hand, joints=joints)


def rest_directions(hand: RestHand) -> Array:
    """(16, 3) bone directions of the zero pose: fingers straight in the plane of the palm, the thumb as it is."""
    directions = bone_directions(hand)
    for chain in _FINGERS:
        first = chain_joints(chain)[0]
        flat = _unit(directions[first] * [1, 0, 1])
        directions[first : first + 3] = flat
    return directions


def pose_bones(hand: RestHand, weights: Array, directions: Array, lengths: Array, widths: Array) -> RestHand:
    """Turn every digit's bones to `directions` and scale them, skin and all (linear blend skinning).

    Args:
        hand: the hand to change.
        weights: (V, 16).
        directions: (16, 3) unit vectors; the wrist's is ignored.
        lengths: (16,) factor along each bone.
        widths: (16, 2) factors across each bone; the wrist's are along y (depth) and z (width) of the hand.
    """
    old, ends = bone_directions(hand), bone_ends(hand)
    linear = np.empty((16, 3, 3))
    linear[0] = np.diag([lengths[0], widths[0, 0], widths[0, 1]])
    places = np.empty((16, 3))
    places[0] = hand.joints[0]
    for j in range(1, 16):
        parent = MANO_PARENTS[j]
        frame = _bone_frame(old[j])
        linear[j] = _turn(old[j], directions[j]) @ frame @ np.diag([lengths[j], *widths[j]]) @ frame.T
        places[j] = places[parent] + linear[parent] @ (hand.joints[j] - hand.joints[parent])
    local = hand.vertices[:, None] - hand.joints
    vertices = np.einsum("vj,vjk->vk", weights, np.einsum("jkl,vjl->vjk", linear, local) + places)
    tips = np.stack([places[j] + linear[j] @ (ends[j] - hand.joints[j]) for j in (15, 3, 6, 12, 9)])
    return RestHand(vertices, places, tips, hand.elbow)


def average_hand(source: HandSource) -> RestHand:
    """The hand of an adult between the sexes and races, in the hand frame, as the body holds it."""
    return in_hand_frame(source.body(_average_targets()))


def sample_hands(source: HandSource, weights: Array, rng: np.random.Generator, count: int) -> Iterator[RestHand]:
    """Yield `count` people's flat right hands in the hand frame at human sizes; `weights` (V, 16) bend their skin."""
    directions = rest_directions(average_hand(source))
    for _ in range(count):
        child = rng.random() < _CHILD_SHARE
        hand = in_hand_frame(source.body(_random_targets(source, rng, child)))
        lengths, widths = _random_proportions(rng)
        hand = pose_bones(hand, weights, directions, lengths, widths)
        length = _ADULT_LENGTH_M[0] + _ADULT_LENGTH_M[1] * rng.normal()
        length *= rng.uniform(0.68, 0.95) if child else 1.0
        middle = hand.tips[TIP_OF_CHAIN[MIDDLE_CHAIN]]
        yield hand.moved(np.eye(3), np.zeros(3), length / float(np.linalg.norm(middle)))


def _random_targets(source: HandSource, rng: np.random.Generator, child: bool) -> dict[str, float]:
    """Strength of each target of a random person (MakeHuman's macro targets multiply their factors)."""
    female = rng.beta(0.5, 0.5)
    years = rng.uniform(0.2, 1.0)
    ages = {"child": years, "young": 1 - years} if child else {"old": 0.8 * years**2, "young": 1 - 0.8 * years**2}
    genders = {"female": female, "male": 1 - female}
    races = dict(zip(_RACES, rng.dirichlet([0.5] * 3), strict=True))
    muscles = _spread(rng, "muscle")
    fats = _spread(rng, "weight")
    height, proportion = rng.uniform(-1, 1, 2)
    heights = {"maxheight": max(height, 0.0), "minheight": max(-height, 0.0)}
    proportions = {"idealproportions": max(proportion, 0.0), "uncommonproportions": max(-proportion, 0.0)}
    targets: dict[str, float] = {}
    for gender, g in genders.items():
        for age, a in ages.items():
            for race, r in races.items():
                targets[f"macrodetails/{race}-{gender}-{age}"] = g * a * r
            for muscle, m in muscles.items():
                for fat, f in fats.items():
                    person = f"{gender}-{age}-{muscle}-{fat}"
                    targets[f"macrodetails/universal-{person}"] = g * a * m * f
                    for name, h in heights.items():
                        targets[f"macrodetails/height/{person}-{name}"] = g * a * m * f * h
                    for name, p in proportions.items():
                        targets[f"macrodetails/proportions/{person}-{name}"] = g * a * m * f * p
    for less, more in _LOCAL_TARGETS:
        strength = float(np.clip(0.35 * rng.normal(), -0.8, 0.8))
        targets[more if strength > 0 else less] = abs(strength)
    return {name: value for name, value in targets.items() if value > 1e-6 and source.has(name)}


def _average_targets() -> dict[str, float]:
    """An adult between the sexes and races: the bare base body holds its thumb unlike any person made from it."""
    people = [f"{sex}-young" for sex in ("female", "male")]
    targets = {f"macrodetails/universal-{person}-averagemuscle-averageweight": 0.5 for person in people}
    return targets | {f"macrodetails/{race}-{person}": 0.5 / len(_RACES) for race in _RACES for person in people}


def _spread(rng: np.random.Generator, what: str) -> dict[str, float]:
    value = rng.triangular(-1, 0, 1)
    return {f"max{what}": max(value, 0.0), f"min{what}": max(-value, 0.0), f"average{what}": 1 - abs(value)}


def _random_proportions(rng: np.random.Generator) -> tuple[Array, Array]:
    """Factors (16,) and (16, 2) of `pose_bones`: digits longer or shorter together and singly, thicker, palms wider."""
    lengths, widths = np.ones(16), np.ones((16, 2))
    common, thick = rng.normal(0, 0.035), rng.normal(0, 0.035)
    for chain in range(5):
        joints = list(chain_joints(chain))
        lengths[joints] += common + rng.normal(0, 0.022) + rng.normal(0, 0.012, 3)
        widths[joints] += thick + rng.normal(0, 0.015)
    widths[0] += rng.normal(0, [0.05, 0.035])
    return lengths, widths


def _unit(vector: Array) -> Array:
    return vector / np.linalg.norm(vector)


def _bone_frame(direction: Array) -> Array:
    """(3, 3) rotation whose first column is `direction`."""
    side = np.cross(direction, [0.0, 1.0, 0.0])
    side = _unit(side)
    return np.stack([direction, np.cross(side, direction), side], 1)


def _turn(source: Array, target: Array) -> Array:
    """The smallest rotation (3, 3) that takes one unit vector to another (Rodrigues' formula)."""
    axis, cosine = np.cross(source, target), float(source @ target)
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)
