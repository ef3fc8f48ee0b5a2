"""Which hands of different cameras are the same hand."""

from collections.abc import Mapping, Sequence

import numpy as np

from prehend.geometry.rotations import geodesic_angle
from prehend.rig.views.sights import Sight, residuals
from prehend.rig.views.triangulation import triangulate
from prehend.types import FloatArray

EPIPOLAR = 0.08
"""Standard deviation of what keypoints of two views miss each other by, in units of the hand's longer side."""

LOG_SIZE = 0.3
"""Of the logarithm of the palm's size between two views over that which the views see."""

TURN_RAD, MOST_TURN = 0.7, 6.0
"""Of the wrist's orientation between two views [rad], and the most that it speaks against them."""

SIDE_COST = 3.0
"""What two sure views of different sides speak against being one hand."""

KNOWN_BONUS = 2.0
"""What speaks for two that were one hand in the set before."""

MOST_COST = 9.0
"""Two hands that speak more against each other are two."""

SAME_PLACE = 0.5
"""A hand that goes with no other is a view of one that is known already, thrown out, if that would lie so near to it in
its image, in units of its longer side, and has no better view there."""

_PALM = (5, 9, 13, 17)
_FIRST_LOOK = (np.inf, 8.0)


def associate(sights: Sequence[Sight], known: Mapping[tuple[str, int], int]) -> list[list[Sight]]:
    """Hands of all views in groups, each with one hand of a view at most.

    The likest two groups become one until none are alike (average linkage): by how near the viewing rays of their
    joints meet, whether the hand that they make has the size and the orientation that the views see, their sides, and
    what they were in the set before.

    Args:
        sights: of all views.
        known: which hand of the rig a camera's track was in the set before.
    """
    count = len(sights)
    costs = np.full((count, count), np.inf)
    for i in range(count):
        for j in range(i + 1, count):
            if sights[i].view.name != sights[j].view.name:
                costs[i, j] = costs[j, i] = pair_cost(sights[i], sights[j], known)
    groups = [[i] for i in range(count)]
    while True:
        options = [
            (float(np.mean(costs[np.ix_(a, b)])), m, n)
            for m, a in enumerate(groups)
            for n, b in enumerate(groups[m + 1 :], start=m + 1)
        ]
        cost, m, n = min(options, default=(np.inf, 0, 0))
        if not cost < MOST_COST:
            return [[sights[i] for i in sorted(group)] for group in groups]
        groups[m] += groups.pop(n)


def pair_cost(a: Sight, b: Sight, known: Mapping[tuple[str, int], int]) -> float:
    """What speaks against two hands of different views being one, 0 for nothing; infinite where they cannot be."""
    made = triangulate([a, b], _FIRST_LOOK)
    if any(((made.points_m @ s.R.T + s.t)[:, 2] <= 0).any() for s in (a, b)):
        return float("inf")
    miss = max(
        float(np.median(np.linalg.norm(residuals(s, made.points_m)[0], axis=-1)[np.isfinite(s.std)])) / s.size_px
        for s in (a, b)
    )
    sizes = [np.log(_palm(s.joints_m)) for s in (a, b)]
    size = np.log(max(_palm(made.points_m), 1e-4)) - np.mean(sizes)
    turn = float(geodesic_angle(a.rotations[0], b.rotations[0]))
    cost = (miss / EPIPOLAR) ** 2 + (size / LOG_SIZE) ** 2 + min((turn / TURN_RAD) ** 2, MOST_TURN)
    if a.hand.side != b.hand.side:
        cost += SIDE_COST * min(_sureness(a), _sureness(b))
    if a.key in known and known[a.key] == known.get(b.key):
        cost -= KNOWN_BONUS
    return float(cost)


def absorb(groups: Sequence[list[Sight]], places: Sequence[FloatArray]) -> list[tuple[list[Sight], list[Sight]]]:
    """Single hands that are bad views of a hand that others see better: they count as thrown out, not as a hand more.

    Args:
        groups: of `associate`.
        places: (21, 3) joints of each group in the rig's frame.

    Returns:
        Each remaining group with the hands that were thrown out.
    """
    order = sorted(range(len(groups)), key=lambda k: (-len(groups[k]), -max(s.trust for s in groups[k]), k))
    kept: list[tuple[int, list[Sight]]] = []
    for k in order:
        owner = next((one for one in kept if _is_view_of(groups[k], groups[one[0]], places[one[0]])), None)
        if owner is None:
            kept.append((k, []))
        else:
            owner[1].extend(groups[k])
    return [(groups[k], out) for k, out in sorted(kept, key=lambda one: one[0])]


def _is_view_of(group: list[Sight], other: list[Sight], joints_m: FloatArray) -> bool:
    """Whether a group of one is a bad view of a larger one that has none of its camera."""
    if len(group) != 1 or len(other) < 2:
        return False
    [sight] = group
    if sight.view.name in {one.view.name for one in other}:
        return False
    distance = np.linalg.norm(residuals(sight, joints_m)[0], axis=-1)
    return bool(((joints_m @ sight.R.T + sight.t)[:, 2] > 0).all()) and float(distance.mean()) < (
        SAME_PLACE * sight.size_px
    )


def _palm(joints_m: FloatArray) -> float:
    """Median distance of the knuckles from the wrist [m]."""
    return float(np.median(np.linalg.norm(joints_m[list(_PALM)] - joints_m[0], axis=-1)))


def _sureness(sight: Sight) -> float:
    """0..1 how sure a view is of its side."""
    score = sight.hand.side_score
    return 0.5 if not np.isfinite(score) else float(np.clip(abs(2 * score - 1), 0.0, 1.0))
