"""The edge filter (HandBooster, section 3.2): made images in which a network of ours sees what they were made for."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from prehend.errors import AssetError, InvalidInput
from prehend.files import replace_text
from prehend.geometry.align import procrustes
from prehend.types import FloatArray
from prehend_training.boost.folders import FolderPlan, Made, Maker, fill, read_units
from prehend_training.boost.generator.data import open_crops
from prehend_training.deocclude.judge import NetworkJudge
from prehend_training.engine import EngineOptions
from prehend_training.sample import Sample
from prehend_training.storage.codec import Packing

RATES = "rates.json"
PAPER_LIMITS_MM = {"dexycb": (25.0, 10.0), "ho3d": (50.0, 20.0)}
"""Largest root-relative and aligned error of joints and vertices, as the released program has them."""


class MeshErrors(NamedTuple):
    """Of a network on a made image [mm]: joints and vertices, wrists on each other, and aligned (no reflection)."""

    j_pe: float
    v_pe: float
    pa_j_pe: float
    pa_v_pe: float

    @property
    def worst(self) -> tuple[float, float]:
        """The larger of both errors, root-relative and aligned."""
        return max(self.j_pe, self.v_pe), max(self.pa_j_pe, self.pa_v_pe)


@dataclass(frozen=True)
class FilterConfig:
    """Which images are kept.

    Attributes:
        made: folder of `boost sample`.
        judge: weights or run of the network that looks.
        error_mm, aligned_mm: largest errors of joints and of vertices; the paper's of DexYCB.
        quantile: keep this share with the smallest errors instead (`error_mm` and `aligned_mm` then play no part).
        device: of torch.
    """

    made: Path
    judge: str = "unihope-s"
    error_mm: float = PAPER_LIMITS_MM["dexycb"][0]
    aligned_mm: float = PAPER_LIMITS_MM["dexycb"][1]
    quantile: float | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not (self.error_mm > 0 and self.aligned_mm > 0):
            raise InvalidInput(f"limits of {self.error_mm} and {self.aligned_mm} mm must be positive")
        if self.quantile is not None and not 0 < self.quantile <= 1:
            raise InvalidInput(f"quantile {self.quantile}: expected a share, 0 < q <= 1")

    def describe(self, limits: tuple[float, float]) -> dict[str, Any]:
        """What decides about the folder, as JSON."""
        told = asdict(self) | {"made_by": "boost filter", "limits_mm": list(limits)}
        return {key: value for key, value in told.items() if key != "device"} | {"made": _digest(self.made)}


def errors_of(judge: NetworkJudge, sample: Sample) -> MeshErrors:
    """How far the network is off on an image, for the sample's first hand."""
    hand = sample.hands[0]
    (joints,), (vertices,) = judge.answers([sample.image], sample.camera, hand)
    true = np.asarray(hand.joints_m, np.float64), np.asarray(hand.vertices_m, np.float64)
    errors = [_apart(joints - joints[0], true[0] - true[0][0]), _apart(vertices - joints[0], true[1] - true[0][0])]
    aligned = [
        _apart(procrustes(mine, its).apply(mine), its) for mine, its in zip((joints, vertices), true, strict=True)
    ]
    return MeshErrors(*(1000 * value for value in (*errors, *aligned)))


def _apart(mine: FloatArray, true: FloatArray) -> float:
    return float(np.linalg.norm(mine - true, axis=-1).mean())


def measure(config: FilterConfig, work: Path, engine: EngineOptions | None = None) -> list[MeshErrors]:
    """The errors on every made image, in their order; what was measured before is read.

    Args:
        config: images and network.
        work: folder for the numbers.
        engine: where the network runs.

    Raises:
        AssetError: images or weights are missing, or the network is none for hands.
    """
    count = len(open_crops(config.made))
    told = {"made_by": "boost filter, errors", "judge": config.judge, "made": _digest(config.made)}
    fill(
        FolderPlan(work, told, count, 64, "picture", Packing("none"), engine or EngineOptions()),
        partial(open_measurer, config),
    )
    return [MeshErrors(*unit["errors_mm"]) for unit in read_units(work.resolve())]


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()


def open_measurer(config: FilterConfig) -> Maker:
    """See `folders.Maker`: numbers alone."""
    judge, folder = NetworkJudge.open(config.judge, config.device), open_crops(config.made)

    def make(units: range) -> Iterator[Made]:
        for unit in units:
            errors = errors_of(judge, folder.sample(unit, "none"))
            yield Made(unit, (), {"errors_mm": [round(value, 3) for value in errors]})

    return make


def limits_of(config: FilterConfig, errors: Sequence[MeshErrors]) -> tuple[float, float]:
    """Largest root-relative and aligned error [mm] of what is kept.

    With a quantile q both limits are quantiles of one level, the lowest at which a share q passes both.
    """
    if config.quantile is None:
        return config.error_mm, config.aligned_mm
    worst = np.array([one.worst for one in errors])
    ranks = worst.argsort(0).argsort(0).max(1)  # an image passes both limits from the larger of its ranks on
    level = int(np.sort(ranks)[max(int(np.ceil(config.quantile * len(errors))) - 1, 0)])
    ordered = np.sort(worst, 0)[level]
    return float(ordered[0]), float(ordered[1])


def filter_pictures(out: Path, config: FilterConfig, engine: EngineOptions | None = None) -> dict[str, Any]:
    """Write the images that are kept, `rates.json`, and the numbers of all below `out/errors`; goes on where it
    stopped.

    Returns:
        The rates.

    Raises:
        AssetError: images or weights are missing.
        InvalidInput: the folder holds something else.
        EngineError: the network fails.
    """
    judge_is_there(config)
    errors = measure(config, out / "errors", engine)
    limits = limits_of(config, errors)
    passed = [one.worst[0] <= limits[0] and one.worst[1] <= limits[1] for one in errors]
    plan = FolderPlan(out, config.describe(limits), len(errors), 256, "picture", Packing("none", "png"))
    fill(plan, partial(_open_keeper, config.made, passed, errors))
    rates = rates_of(config.made, errors, passed, limits)
    replace_text(out / RATES, json.dumps(rates, indent=1) + "\n")
    return rates


def judge_is_there(config: FilterConfig) -> None:
    """Raise `AssetError` or `UnknownName` here, not in the processes, where images or the network are missing."""
    if not (config.made / "index.json").is_file():
        raise AssetError(f"{config.made} holds no index.json: make images with `prehend-train boost sample`")
    NetworkJudge.open(config.judge, config.device)


def _open_keeper(made: Path, passed: Sequence[bool], errors: Sequence[MeshErrors]) -> Maker:
    folder = open_crops(made)

    def make(units: range) -> Iterator[Made]:
        for unit in units:
            samples = (folder.sample(unit, "none"),) if passed[unit] else ()
            yield Made(unit, samples, {"errors_mm": list(errors[unit])})

    return make


def rates_of(
    made: Path, errors: Sequence[MeshErrors], passed: Sequence[bool], limits: tuple[float, float]
) -> dict[str, Any]:
    """How many images were kept: of all, by object, and by condition; and what the errors of all are like."""
    folder = open_crops(made)
    by_object: dict[str, list[bool]] = defaultdict(list)
    by_condition: dict[str, list[bool]] = defaultdict(list)
    for row, kept in enumerate(passed):
        labels = folder.labels(row)
        by_object[_held(labels)].append(kept)
        by_condition[str(labels["frame_id"]["index"])].append(kept)
    columns = {name: np.array([getattr(one, name) for one in errors]) for name in MeshErrors._fields}
    return {
        "limits_mm": [round(limit, 3) for limit in limits],
        "all": _rate(list(passed)),
        "by_object": {name: _rate(rows) for name, rows in sorted(by_object.items())},
        "by_condition": {name: _rate(rows) for name, rows in by_condition.items()},
        "errors_mm": {
            name: {f"p{q}": round(float(np.percentile(values, q)), 2) for q in (10, 50, 90)}
            for name, values in columns.items()
        },
    }


def _held(labels: Mapping[str, Any]) -> str:
    return str(labels["objects"][0]["object_id"]) if labels["objects"] else "none"


def _rate(passed: Sequence[bool]) -> dict[str, float]:
    return {"made": len(passed), "kept": int(sum(passed)), "rate": round(float(np.mean(passed)), 4)}
