"""Grasps of any thing, made on the spot: things of families and imported ones have none in the library."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prehend_training.grasps.checks import check
from prehend_training.grasps.closing import felt
from prehend_training.grasps.field import ExactField
from prehend_training.grasps.hand import probe
from prehend_training.grasps.kinds import KINDS, Kind, kind_of
from prehend_training.grasps.library import HeldGrasp, held
from prehend_training.grasps.people import sample_hands
from prehend_training.grasps.placing import place
from prehend_training.grasps.regions import anchors
from prehend_training.objects import Solid, sample_solid

Array = NDArray[np.floating]
Rng = np.random.Generator

POOL_SIZE = 64
_NEAR_M = 0.003
_DEEPEST_M = 0.004
_USUAL = ("power", "precision")


def close_on(
    rng: Rng, solid: Solid, betas: Array | None = None, kind: str | None = None, tries: int = 6
) -> HeldGrasp | None:
    """A grasp of any solid at the size it has: placed, then closed; not optimised.

    Args:
        rng: source of randomness.
        solid: what to hold, of the catalogue, a family or imported.
        betas: (10,) of the hand, None for anyone's.
        kind: how, None for one that suits.
        tries: placements of which the first that holds is taken.

    Returns:
        None where no try held: the thing may be too thick.
    """
    names = [name for name in solid.grasps or _USUAL if name in KINDS and KINDS[name].filled] or list(_USUAL)
    chosen = kind_of(kind or str(rng.choice(names)))
    person = sample_hands(rng, 1)[0] if betas is None else betas
    field, many = ExactField(solid, filled=chosen.filled), np.ones((tries, 1))
    hands = place(rng, chosen, anchors(solid, chosen.region, 200), field, many * person, many * np.ones(3), 1)
    if not len(hands):
        return None
    likely = [k for k, distance in enumerate(felt(hands, field)) if _seems_held(chosen, distance)]
    for k in likely:
        one = hands.rows(np.array([k]))
        report = check(solid, person, one.angles[0], one.T_object_hand[0], filled=chosen.filled)
        if all(report.passed[name] for name in ("depth", "volume", "opposed", "self_penetration")):
            return held(one, solid, chosen.name, report.contact)
    return None


@lru_cache(maxsize=POOL_SIZE)
def pooled(number: int) -> HeldGrasp:
    """Grasp number 0..POOL_SIZE - 1 of a thing of a family, always the same; made when first asked for, then kept.

    Making one costs more than drawing one, and the same grasp looks new from each side, in other colours.
    """
    rng = np.random.default_rng([2718, number])
    while (found := close_on(rng, sample_solid(rng))) is None:
        continue
    return found


def _seems_held(kind: Kind, distance: Array) -> bool:
    """Whether enough patches of both sides touch, of the distances (F,) of the probe's skin."""
    patches = probe().patches
    sides = (kind.side_a, kind.side_b)
    touching = [sum(distance[patches[name]].min() < _NEAR_M for name in side) for side in sides]
    return touching[0] >= kind.needed[0] and touching[1] >= kind.needed[1] and float(distance.min()) > -_DEEPEST_M
