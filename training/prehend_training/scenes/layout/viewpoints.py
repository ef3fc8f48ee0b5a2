"""Who looks at the hand from where, and where the arm then comes from; the camera's optical frame is the world."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, Side
from prehend_training.scenes.layout.posing import about, hand_frame
from prehend_training.scenes.layout.surroundings import random_rotation
from prehend_training.scenes.people.body import cross, turn

Array = NDArray[np.floating]
Rng = np.random.Generator
ViewKind = Literal["ego", "overhead", "opposite", "side", "raised", "free"]

VIEW_KINDS: tuple[ViewKind, ...] = get_args(ViewKind)
_SHARES = (0.27, 0.12, 0.2, 0.13, 0.16, 0.12)
_PITCH_DEG: dict[ViewKind, tuple[float, float]] = {
    "ego": (20, 65),
    "overhead": (62, 90),
    "opposite": (0, 45),
    "side": (0, 50),
    "raised": (-15, 25),
    "free": (-10, 80),
}
SHOULDER_M = 0.17
"""Half the distance between the shoulders."""
_TABLE_SHARES: dict[ViewKind, float] = {
    "ego": 0.6,
    "overhead": 0.75,
    "opposite": 0.6,
    "side": 0.6,
    "raised": 0.1,
    "free": 0.25,
}


@dataclass(frozen=True)
class Viewpoint:
    """How a camera stands to a person.

    Attributes:
        kind: "ego" the person's own eyes, "overhead" a camera above the table, "opposite" and "side" somebody else at
            the table, "raised" a person before a webcam with the hand in the air, "free" anything.
        up: (3,) away from the ground.
        toward: (3,) horizontal, from the hand to the person.
        height_m: of the shoulder above the hand.
        away_m: horizontal distance of the shoulder from the hand.
        neck_m: (3,) between the shoulders where that is settled, None where it follows from the hand.
    """

    kind: ViewKind
    up: Array
    toward: Array
    height_m: float
    away_m: float
    neck_m: Array | None = None

    @property
    def table_share(self) -> float:
        """How often there is a table."""
        return _TABLE_SHARES[self.kind]

    @property
    def right(self) -> Array:
        """(3,) the person's right."""
        return cross(self.up, self.toward)

    @property
    def elbow(self) -> Array:
        """(3,) where the elbow of a right arm hangs: down, at a table also outwards."""
        outwards = 0.0 if self.kind == "raised" else 0.85
        return np.asarray(outwards * self.right - np.sqrt(1 - outwards**2) * self.up)

    def shoulder(self, hand_m: Array) -> Array:
        """(3,) where the shoulder of a right hand at (3,) is."""
        if self.neck_m is not None:
            return np.asarray(self.neck_m + SHOULDER_M * self.right)
        return np.asarray(hand_m + self.away_m * self.toward + self.height_m * self.up + 0.08 * self.right)

    def seen_by(self, side: Side) -> "Viewpoint":
        """The same as a hand sees it in its own world, which for a left one is mirrored."""
        if side == "right":
            return self
        neck = None if self.neck_m is None else self.neck_m @ MIRROR
        return replace(self, up=self.up @ MIRROR, toward=self.toward @ MIRROR, neck_m=neck)


def sample_viewpoint(rng: Rng) -> Viewpoint:
    """A random camera and a person."""
    kind = VIEW_KINDS[int(rng.choice(len(VIEW_KINDS), p=_SHARES))]
    pitch = np.deg2rad(rng.uniform(*_PITCH_DEG[kind]))
    roll = turn(np.array([0, 0, rng.normal(0, np.deg2rad(20 if kind == "free" else 5))]))
    up = roll @ np.array([0, -np.cos(pitch), -np.sin(pitch)])
    ahead = roll @ np.array([0, -np.sin(pitch), np.cos(pitch)])  # horizontal, where the camera looks
    angle = {
        "ego": rng.normal(180, 14),
        "overhead": rng.uniform(-180, 180) if rng.random() < 0.5 else rng.normal(180, 25),
        "opposite": rng.normal(0, 28),
        "side": rng.choice([-90, 90]) + rng.normal(0, 22),
        "raised": rng.normal(0, 25),
        "free": rng.uniform(-180, 180),
    }[kind]
    toward = about(up, np.deg2rad(angle)) @ ahead
    height = rng.uniform(-0.35, 0.05) if kind == "raised" else rng.uniform(0.12, 0.38)
    # one's own eyes are in front of and above one's neck
    neck = -rng.uniform(0.18, 0.28) * up + rng.uniform(0.04, 0.14) * toward if kind == "ego" else None
    return Viewpoint(kind, up, toward, height, rng.uniform(0.22, 0.45), neck)


def sample_hand_rotation(rng: Rng, own: Viewpoint) -> Array:
    """(3, 3) from a right hand to its own world: its forearm leads to the person, its palm faces anywhere likely.

    Args:
        rng: source of randomness.
        own: as the hand sees it.
    """
    if own.kind == "free":
        return random_rotation(rng)
    up, eye = own.up, np.array([0, 0, -1.0])
    if own.kind == "raised":
        ahead = -up * rng.uniform(0.5, 1.2) + 0.3 * own.toward
        backs = (-eye, eye, cross(up, eye))
        back = backs[int(rng.choice(3, p=[0.55, 0.25, 0.2]))]
    else:
        ahead = own.toward + up * rng.uniform(-0.05, 0.75)
        inwards = cross(own.toward, up)  # the thumb's side of a hand with its palm down
        back = (up, up - 1.5 * inwards, eye, -eye)[int(rng.choice(4, p=[0.45, 0.25, 0.15, 0.15]))]
    ahead = about(up, rng.normal(-0.15, 0.35)) @ ahead
    R = hand_frame(ahead + 1e-3, back + rng.normal(0, 0.3, 3))
    roll = turn(np.array([rng.normal(0, 0.35), 0, 0]))
    bend = turn(np.array([0, rng.normal(0, 0.18), rng.normal(0.1, 0.35)]))
    return np.asarray(R @ roll @ bend)
