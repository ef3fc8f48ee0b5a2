"""Make the library: candidates of each kind, made better, checked, thinned out until they are all different."""

import json
import logging
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.documents import read_json
from prehend.errors import AssetError, UnknownName
from prehend.files import replace_text
from prehend_training.grasps.checks import CHECKS, check, suits
from prehend_training.grasps.closing import Hands, to_object
from prehend_training.grasps.hand import hand_model, probe
from prehend_training.grasps.kinds import KINDS, Kind
from prehend_training.grasps.library import RATES, GraspSet, quantised, restored, save_grasps
from prehend_training.grasps.search.grids import GridField
from prehend_training.grasps.search.optimise import optimise
from prehend_training.grasps.search.people import sample_hands
from prehend_training.grasps.search.placing import place
from prehend_training.grasps.search.regions import Anchors, anchors
from prehend_training.objects import Solid, catalogue

Array = NDArray[np.floating]
Rng = np.random.Generator
Progress = Callable[[str], None]

BATCH = 64
_SURPLUS = 1.15
"""So many valid grasps for each that is kept, to choose different ones from."""
_ROUNDS, _MOST_ROUNDS = 8, 40
"""After the first number of rounds more are made only where there are too few grasps."""
_HOPELESS = 0.02
_TRIGGER_M = 0.006
_NOMINAL_SHARE = 0.5
_USUAL = ("power", "precision", "pinch")
_WAY_OUT = "remove it, and the grasps of its folder are made again"

_log = logging.getLogger(__name__)


@dataclass
class _Tally:
    """What became of the candidates of one kind."""

    placed: int = 0
    valid: int = 0
    kept: int = 0
    passed: Counter[str] = field(default_factory=Counter)

    def rates(self) -> dict[str, object]:
        """For the file of rates: shares of the candidates that were optimised."""
        shares = {name: round(self.passed[name] / max(self.placed, 1), 3) for name in (*CHECKS, "digits")}
        return {"candidates": self.placed, "valid": self.valid, "kept": self.kept, "passed": shares}


def build_library(
    object_ids: Sequence[str], count: int, seed: int, out: Path, progress: Progress | None = None
) -> dict[str, dict[str, object]]:
    """Make a file of grasps for each object; what a former call has finished is not made again.

    Args:
        object_ids: of the catalogue.
        count: grasps of each object; fewer where few are found.
        seed: of all randomness; an object's grasps depend on it and on the object alone.
        out: folder of the files and of the success rates (`rates.json`).
        progress: is told each thing that is done, in words.

    Returns:
        The success rates of all objects in the folder.

    Raises:
        UnknownName: there is no such object in the catalogue.
        AssetError: the file of the success rates is damaged.
    """
    for name in object_ids:
        if name not in catalogue():
            raise UnknownName("object", name, catalogue())
    out.mkdir(parents=True, exist_ok=True)
    path = out / RATES
    rates = _rates(path)
    for name in object_ids:
        wanted = {"seed": seed, "asked": count, "hand": hand_model().sha256[:16]}
        if (out / f"{name}.npz").is_file() and wanted.items() <= rates.get(name, {}).items():
            continue
        grasps, found = make_grasps(catalogue()[name], count, seed)
        save_grasps(out / f"{name}.npz", grasps)
        rates = _rates(path)  # another process may write too
        rates[name] = {**wanted, "grasps": len(grasps), "kinds": found}
        replace_text(path, json.dumps(dict(sorted(rates.items())), indent=1) + "\n")
        if progress is not None:
            progress(f"{name}: {len(grasps)} grasps")
    return dict(rates)


def _rates(path: Path) -> dict[str, dict[str, Any]]:
    """What former calls found, by object."""
    if not path.is_file():
        return {}
    rates = read_json(path, lambda text: AssetError(f"rates of grasps {text}: {_WAY_OUT}"))
    if not isinstance(rates, dict) or not all(isinstance(rate, dict) for rate in rates.values()):
        raise AssetError(f"rates of grasps {path}: no success rates by object: {_WAY_OUT}")
    return rates


def make_grasps(solid: Solid, count: int, seed: int) -> tuple[GraspSet, dict[str, dict[str, object]]]:
    """Valid grasps of a solid, all different, and for each kind how many candidates passed which check."""
    kinds = [KINDS[name] for name in solid.grasps or _USUAL if name in KINDS]
    fields = {filled: GridField(solid, filled=filled) for filled in {kind.filled for kind in kinds}}
    places = {kind.name: anchors(solid, kind.region) for kind in kinds}
    tallies = {kind.name: _Tally() for kind in kinds}
    found: list[GraspSet] = []
    for number in range(_MOST_ROUNDS):
        if number >= _ROUNDS and sum(map(len, found)) >= count:
            break
        goal = count * _SURPLUS / len(_hopeful(kinds, tallies))
        open_kinds = [kind for kind in _hopeful(kinds, tallies) if tallies[kind.name].valid < goal]
        if not open_kinds or sum(map(len, found)) >= count * _SURPLUS:
            break
        for kind in open_kinds:
            rng = np.random.default_rng([seed, zlib.crc32(f"{solid.object_id} {kind.name}".encode()), number])
            made = _round(rng, solid, kind, fields[kind.filled], places[kind.name], tallies[kind.name])
            _log.info("%s %s: %d valid of %d", solid.object_id, kind.name, len(made), tallies[kind.name].placed)
            found.append(made)
    grasps = _joined(solid.object_id, found)
    grasps = grasps.rows(different(grasps, count))
    for kind in kinds:
        tallies[kind.name].kept = int((grasps.kinds == kind.name).sum())
    return grasps, {name: tally.rates() for name, tally in tallies.items()}


def _hopeful(kinds: list[Kind], tallies: dict[str, _Tally]) -> list[Kind]:
    """Kinds of which some came out valid, or that have not been tried often."""
    good = [
        kind
        for kind in kinds
        if tallies[kind.name].placed < BATCH or tallies[kind.name].valid > _HOPELESS * tallies[kind.name].placed
    ]
    return good or kinds


def _round(rng: Rng, solid: Solid, kind: Kind, space: GridField, where: Anchors, tally: _Tally) -> GraspSet:
    """One batch of a kind: its valid grasps as they are when read from a file."""
    scale = np.stack([np.ones(3) if rng.random() < _NOMINAL_SHARE else solid.stretch.sample(rng) for _ in range(BATCH)])
    scale = scale.astype(np.float16).astype(np.float64)
    betas = sample_hands(rng, BATCH).astype(np.float16).astype(np.float64)
    hands, _ = optimise(kind, space.grid, place(rng, kind, where, space, betas, scale))
    hands = restored(quantised(hands))
    reports = [
        check(
            solid.stretched(hands.scale[k]),
            hands.betas[k],
            hands.angles[k],
            hands.T_object_hand[k],
            filled=kind.filled,
        )
        for k in range(len(hands))
    ]
    fits = np.array([suits(report, kind) for report in reports], bool)
    if kind.region == "trigger":
        fits &= _at_trigger(solid, hands)
    valid = fits & np.array([report.valid for report in reports], bool)
    tally.placed += len(hands)
    tally.valid += int(valid.sum())
    tally.passed.update(name for report in reports for name, passed in report.passed.items() if passed)
    tally.passed["digits"] += int(fits.sum())
    contact = np.array([report.contact for report in reports], bool).reshape(-1, 6)[valid]
    good = hands.rows(valid)
    return GraspSet(solid.object_id, np.full(len(good), kind.name), good, contact, clearance(solid, good))


def _at_trigger(solid: Solid, hands: Hands) -> NDArray[np.bool_]:
    """(N,) whether the index finger is at the trigger."""
    hand = probe()
    skin = np.concatenate([hand.patches["index_tip"], hand.patches["index_mid"]])
    points = to_object(hands.T_object_hand, hand.points(hands.angles, hands.betas)[:, skin])
    part = solid.parts[-1]
    gap = [np.abs(part.distance(points[k], hands.scale[k], False)).min() for k in range(len(hands))]
    return np.array(gap, np.float64) < _TRIGGER_M


def clearance(solid: Solid, hands: Hands) -> Array:
    """(N,) height of the hands' lowest points above the lowest point of the upright solid [m]."""
    if not len(hands):
        return np.zeros(0)
    points = to_object(hands.T_object_hand, probe().points(hands.angles, hands.betas))
    bottom = (solid.center_m[2] - solid.extents_m[2] / 2) * hands.scale[:, 2]
    return np.asarray(points[..., 2].min(1) - bottom)


def _joined(object_id: str, sets: list[GraspSet]) -> GraspSet:
    hands = [part.hands for part in sets]
    whole = Hands(
        *(
            np.concatenate([getattr(part, name) for part in hands])
            for name in ("betas", "angles", "T_object_hand", "scale")
        )
    )
    kinds, contact, clear = (
        np.concatenate([getattr(part, name) for part in sets]) for name in ("kinds", "contact", "clearance_m")
    )
    return GraspSet(object_id, kinds, whole, contact, clear)


def different(grasps: GraspSet, count: int) -> NDArray[np.int64]:
    """Rows (at most `count`) of grasps that differ most: each next one is the farthest from those chosen.

    Farthest point sampling as in HandBooster (alg. 1), on where the hand is (3 cm), how it is turned (half a radian)
    and how it is bent (half a radian) together; kinds take turns.
    """
    hands = grasps.hands
    feature = np.concatenate(
        [
            hands.T_object_hand[:, :3, 3] / 0.03,
            hands.T_object_hand[:, :3, :3].reshape(-1, 9) / 0.7,
            hands.angles[..., 0] / 0.5,
            hands.angles[:, 12] / 0.3,
            hands.betas / 2,
        ],
        1,
    )
    chosen: list[int] = []
    nearest = np.full(len(grasps), 1e9)
    names = list(dict.fromkeys(grasps.kinds.tolist()))
    while len(chosen) < min(count, len(grasps)):
        kind = names[len(chosen) % len(names)]
        free = np.where(grasps.kinds == kind, nearest, -1.0)
        best = int(free.argmax() if free.max() > 0 else nearest.argmax())
        chosen.append(best)
        nearest = np.minimum(nearest, np.linalg.norm(feature - feature[best], axis=1))
        nearest[best] = -1
    return np.sort(np.array(chosen, np.int64))
