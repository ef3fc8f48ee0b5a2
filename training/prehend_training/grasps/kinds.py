"""Kinds of grasp: how the hand is shaped before it closes, and which skin is meant to touch.

The names follow common use in the taxonomies of grasps (Cutkosky 1989; Feix et al., GRASP taxonomy, 2016).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prehend.errors import UnknownName
from prehend_training.grasps.hand import DIGIT_ROWS

Array = NDArray[np.floating]
Bend = tuple[float, float, float]


@dataclass(frozen=True)
class Kind:
    """One kind of grasp.

    Attributes:
        name: of it.
        wraps: the object lies in a ring of palm and fingers; else between the thumb and what opposes it.
        opened, closed: (15, 3) flexion, abduction, twist [rad] between which the hand closes.
        fingers: digits besides the thumb that close.
        side_a, side_b: names of patches that press from one side and from the other.
        region: "all", or the place where it holds (see `regions.anchors`).
        filled: hollows are closed to the fingers.
        widest_m: how thick an object may be.
        needed: how many patches of each side have to touch.
    """

    name: str
    wraps: bool
    opened: Array
    closed: Array
    fingers: tuple[str, ...]
    side_a: tuple[str, ...]
    side_b: tuple[str, ...]
    region: str = "all"
    filled: bool = True
    widest_m: float = 0.108
    needed: tuple[int, int] = (1, 1)


def _angles(fingers: dict[str, Bend], spread: tuple[float, ...] = (0, 0, 0, 0), thumb: Bend = (0, 0, 0)) -> Array:
    """(15, 3) [rad] of flexions, abductions of index .. little, and abduction and twist of the thumb, in degrees."""
    angles = np.zeros((15, 3))
    for name, bend in fingers.items():
        angles[DIGIT_ROWS[name] : DIGIT_ROWS[name] + 3, 0] = bend
    for name, degrees in zip(("index", "middle", "ring", "little"), spread, strict=True):
        angles[DIGIT_ROWS[name], 1] = degrees
    angles[12, 1:] = thumb[:2]
    return np.deg2rad(angles)


def _hand(first: Bend, others: Bend, thumb: Bend, out: float, twist: float = 0, used: int = 4) -> Array:
    """All `used` fingers alike, the others as told."""
    names = ("index", "middle", "ring", "little")
    bends = {name: first if k < used else others for k, name in enumerate(names)}
    return _angles({**bends, "thumb": thumb}, (2, 0, -1, -3), (out, twist, 0))


_TIPS = ("index_tip", "middle_tip", "ring_tip", "little_tip")
_MIDS = ("index_mid", "middle_mid", "ring_mid", "little_mid")
_FOUR = ("index", "middle", "ring", "little")
_REST: Bend = (38, 45, 25)
_WRAP_OPEN = _hand((4, 8, 6), _REST, (-12, -5, 5), 22)
_WRAP_CLOSED = _hand((80, 95, 55), _REST, (26, 35, 40), 12)


def _pinch(name: str, count: int, **more: object) -> Kind:
    opened = _hand((12, 20, 12), _REST, (-10, -6, 5), 14, used=count)
    closed = _hand((62, 46, 22), _REST, (18, 16, 14), 8, used=count)
    used = _FOUR[:count]
    return Kind(name, False, opened, closed, used, ("thumb_tip",), _TIPS[:count], **more)  # type: ignore[arg-type]


_WRAP = ("palm", "thumb_tip", "thumb_mid")

KINDS = {
    kind.name: kind
    for kind in (
        Kind("power", True, _WRAP_OPEN, _WRAP_CLOSED, _FOUR, _WRAP, (*_TIPS, *_MIDS), needed=(1, 3)),
        Kind("handle", True, _WRAP_OPEN, _WRAP_CLOSED, _FOUR, _WRAP, (*_TIPS, *_MIDS), region="handle", needed=(1, 2)),
        Kind(
            "trigger",
            True,
            _WRAP_OPEN,
            _WRAP_CLOSED,
            _FOUR,
            _WRAP,
            (*_TIPS, *_MIDS),
            region="trigger",
            needed=(1, 2),
        ),
        _pinch("precision", 4, needed=(1, 2)),
        _pinch("pinch", 1, widest_m=0.06),
        _pinch("tripod", 2, widest_m=0.06, needed=(1, 2)),
        _pinch("cap", 3, region="top", needed=(1, 2)),
        _pinch("rim", 3, region="rim", filled=False, widest_m=0.02),
        Kind(
            "lateral",
            False,
            _hand((42, 50, 30), (50, 58, 34), (-14, 0, 5), -2, used=1),
            _hand((50, 62, 36), (58, 68, 40), (18, 24, 22), -14, used=1),
            (),
            ("thumb_tip",),
            ("index_side",),
            widest_m=0.03,
        ),
    )
}


def kind_of(name: str) -> Kind:
    """The kind of a name.

    Raises:
        UnknownName: there is no such kind.
    """
    if name not in KINDS:
        raise UnknownName("grasp kind", name, KINDS)
    return KINDS[name]
