"""Grasps of any object, closed without optimising; a pool of such grasps of objects of families, which ships."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.documents import read_arrays
from prehend.errors import AssetError, one_line
from prehend.files import replace_arrays
from prehend_training.grasps.checks import Report, check
from prehend_training.grasps.closing import Hands, felt
from prehend_training.grasps.field import ExactField
from prehend_training.grasps.hand import probe
from prehend_training.grasps.kinds import KINDS, Kind, kind_of
from prehend_training.grasps.library import HAND_ARRAYS, SHIPPED, HeldGrasp, check_hands, held, quantised, restored
from prehend_training.grasps.search.people import sample_hands
from prehend_training.grasps.search.placing import place
from prehend_training.grasps.search.regions import anchors
from prehend_training.objects import Solid
from prehend_training.objects.families import FAMILIES
from prehend_training.transforms import inverse

Array = NDArray[np.floating]
Rng = np.random.Generator

POOL_SIZE = 256
POOL = "pool.npz"
_WAY_OUT = "make it with `prehend-train grasps`"
_POOL_ARRAYS = ("attempt", "kind", "contact", "extents")
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
        None where no try held: the object may be too thick.
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
        if _passes(report):
            return held(one, solid, chosen.name, report.contact)
    return None


def pooled(number: int, folder: Path = SHIPPED) -> HeldGrasp:
    """Grasp number 0..POOL_SIZE - 1 of an object of a family, always the same: made by `close_on`, read from a file.

    Making one costs more than drawing one, and the same grasp looks new from each side, in other colours.

    Raises:
        AssetError: there is no file, it is damaged, or families have other members now; the text names the command
            that makes one.
    """
    pool = _pool(folder)
    if not 0 <= number < len(pool["betas"]):
        raise AssetError(f"{folder / POOL} has {len(pool['betas'])} grasps and none of number {number}: {_WAY_OUT}")
    solid = _solid(number, int(pool["attempt"][number]))
    if not np.allclose(solid.extents_m, pool["extents"][number], atol=2e-4):
        raise AssetError(f"{folder / POOL} is of other objects: {_WAY_OUT}")
    hands = restored({name: pool[name][[number]] for name in HAND_ARRAYS})
    return held(hands, solid, str(pool["kind_names"][pool["kind"][number]]), pool["contact"][number].astype(bool))


def build_pool(folder: Path, count: int = POOL_SIZE) -> None:
    """Write the file that `pooled` reads."""
    names, rows = sorted(KINDS), []
    for number in range(count):
        attempt = 0
        while (found := _made(number, attempt)) is None:
            attempt += 1
        hands, one = found
        looks = {"attempt": attempt, "kind": names.index(one.kind), "contact": one.contact}
        rows.append({**looks, "extents": one.solid.extents_m, **{name: part[0] for name, part in hands.items()}})
    arrays: dict[str, Any] = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    arrays["extents"] = arrays["extents"].astype(np.float32)
    replace_arrays(folder / POOL, {"kind_names": np.array(names), **arrays})


def _made(number: int, attempt: int) -> tuple[dict[str, NDArray[np.generic]], HeldGrasp] | None:
    """A grasp as the arrays of a file and as they give it back; None where no try held."""
    solid = _solid(number, attempt)
    grasp = close_on(np.random.default_rng([3141, number, attempt]), solid)
    if grasp is None:
        return None
    T = inverse(grasp.T_hand_object)
    arrays = quantised(Hands(grasp.betas[None], grasp.angles[None], T[None], np.ones((1, 3))))
    hands = restored(arrays)
    report = check(solid, hands.betas[0], hands.angles[0], hands.T_object_hand[0], filled=kind_of(grasp.kind).filled)
    if not _passes(report):
        return None
    return arrays, held(hands, solid, grasp.kind, report.contact)


def _solid(number: int, attempt: int) -> Solid:
    rng = np.random.default_rng([2718, number, attempt])
    return FAMILIES[int(rng.integers(len(FAMILIES)))](rng)


@lru_cache(maxsize=4)
def _pool(folder: Path) -> dict[str, NDArray[Any]]:
    path = folder / POOL
    if not path.is_file():
        raise AssetError(f"{path} is missing: {_WAY_OUT}")
    arrays = read_arrays(path, lambda text: AssetError(f"grasps {text}: {_WAY_OUT}"))
    try:
        count = len(arrays["betas"])
        check_hands(arrays)
        names = arrays["kind_names"][arrays["kind"]].tolist()
        if any(len(arrays[name]) != count for name in _POOL_ARRAYS) or not KINDS.keys() >= set(names):
            raise ValueError("arrays of different lengths, or kinds that are none")
    except (LookupError, ValueError, TypeError) as error:
        raise AssetError(f"grasps {path} are damaged ({one_line(error)}): {_WAY_OUT}") from error
    return arrays


def _passes(report: Report) -> bool:
    return all(report.passed[name] for name in ("depth", "volume", "opposed", "self_penetration"))


def _seems_held(kind: Kind, distance: Array) -> bool:
    """Whether enough patches of both sides touch, of the distances (F,) of the probe's skin."""
    patches = probe().patches
    sides = (kind.side_a, kind.side_b)
    touching = [sum(distance[patches[name]].min() < _NEAR_M for name in side) for side in sides]
    return touching[0] >= kind.needed[0] and touching[1] >= kind.needed[1] and float(distance.min()) > -_DEEPEST_M
