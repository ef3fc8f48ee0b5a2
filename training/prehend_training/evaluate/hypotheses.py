"""Whether hypotheses of hands that run are calibrated, and what they are worth where joints are hidden."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.backends import BackendSettings, open_backend
from prehend.errors import AssetError, InvalidInput
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.hypotheses.follow import FollowedHypotheses, open_hypotheses
from prehend.pipeline.hypotheses.spread import ELLIPSOID
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.parts import PRIOR
from prehend.types import Box, FloatArray, FoundHand
from prehend.weights import load_bundle
from prehend_training.evaluate.labels import Samples

BINS = (0.0, 0.25, 0.5, 0.75, 1.0)
WITHIN = 0.68
PARTS = 4
"""Images are held out in so many parts."""


@dataclass(frozen=True)
class Looks:
    """Hands with hypotheses, one a row; places about the wrist [m].

    Attributes:
        picture: (N,) numbers of their images.
        network, mean, truth: (N, 21, 3) as the network answers, the mean of the hypotheses, the truth.
        best_m: (N, 21) error of the nearest hypothesis.
        covariance_m2: (N, 21, 3, 3).
        said_seen, seen: (N, 21) as the network says, and truly.
    """

    picture: NDArray[np.int64]
    network: FloatArray
    mean: FloatArray
    truth: FloatArray
    best_m: FloatArray
    covariance_m2: FloatArray
    said_seen: NDArray[np.bool_]
    seen: NDArray[np.bool_]


def looks_at(estimator: Estimator, samples: Samples, rows: range, count: int) -> Looks:
    """Labelled hands through the robot's own crop and decoder, with hypotheses where the runtime makes some.

    Args:
        estimator: without tracking.
        samples: images with labels. rows: which.
        count: hypotheses of a hand.

    Raises:
        InvalidInput: the rows are not there. ParameterError: `count` is out of range.
        AssetError: no hand had hypotheses.
    """
    if not rows or rows[-1] >= len(samples):
        raise InvalidInput(f"images {rows.start} to {rows.stop - 1} of {len(samples)}: give others")
    options = EstimatorOptions(hypotheses=count, tracking=False)
    backend = open_backend("onnx", load_bundle(PRIOR), BackendSettings(threads=1))
    followed = open_hypotheses(backend, options)
    assert followed is not None
    pictures = tqdm(rows, unit="picture", disable=None)
    found = [look for number in pictures for look in _of(estimator, followed, samples, number)]
    if not found:
        raise AssetError("no hand with hidden or unsure joints was found: nothing can be measured")
    return Looks(*(np.array(column) for column in zip(*found, strict=True)))


def _of(
    estimator: Estimator, followed: FollowedHypotheses, samples: Samples, number: int
) -> Iterator[tuple[NDArray[Any], ...]]:
    sample = samples[number]
    for label in sample.hands:
        if not label.visible.any():
            continue
        box = Box(*map(float, label.box_px))
        for hand in estimator.estimate(sample.image, sample.camera, boxes=[FoundHand(box, label.side)]).hands:
            (known,) = followed.step((hand,), None)
            if known.hypotheses is None:
                continue
            joints = known.hypotheses.joints_m - known.joints_m[0]
            truth = label.joints_m - label.joints_m[0]
            best = np.linalg.norm(joints - truth, axis=2).min(0)
            network = hand.joints_m - hand.joints_m[0]
            covariance = known.hypotheses.joint_covariance_m2
            yield np.array(number), network, joints.mean(0), truth, best, covariance, hand.visible, label.visible


def report_of(looks: Looks) -> dict[str, Any]:
    """Errors and calibration.

    Returns:
        hands; scale: by which the standard deviations of seen and hidden joints (as the network says) are short;
        within: shares of true joints within the ellipsoid that holds `WITHIN` of a Gaussian; within_of_others: the same
        after the scale of the other images, in `PARTS` parts; errors_mm: mean errors of
        the network, the hypotheses' mean and the nearest one, of joints that are truly hidden, by how much of their
        hand is.
    """
    moved = np.ones(21, np.bool_)
    moved[0] = False
    off = _stds_off(looks)
    said = {"seen": looks.said_seen & moved, "hidden": ~looks.said_seen & moved}
    groups = {**said, "truly hidden": ~looks.seen & moved}
    return {
        "hands": len(looks.network),
        "scale": {name: float(np.quantile(off[rows], WITHIN) / ELLIPSOID) for name, rows in said.items() if rows.any()},
        "within": {name: float((off[rows] <= ELLIPSOID).mean()) for name, rows in groups.items() if rows.any()},
        "within_of_others": _held_out(looks, off, groups, said),
        "errors_mm": _by_occlusion(looks, moved),
    }


def _held_out(
    looks: Looks, off: FloatArray, groups: dict[str, NDArray[np.bool_]], said: dict[str, NDArray[np.bool_]]
) -> dict[str, float]:
    """Shares within the ellipsoid once each part of the images has the scale that the others ask for."""
    scaled = np.array(off)
    for part in range(PARTS):
        apart = np.unique(looks.picture, return_inverse=True)[1] % PARTS == part
        for rows in said.values():
            others, own = rows & ~apart[:, None], rows & apart[:, None]
            if others.any():
                scaled[own] *= ELLIPSOID / np.quantile(off[others], WITHIN)
    return {name: float((scaled[rows] <= ELLIPSOID).mean()) for name, rows in groups.items() if rows.any()}


def _stds_off(looks: Looks) -> FloatArray:
    """(N, 21) how many standard deviations the truth is from the network's place; 0 for the wrist."""
    off = (looks.network - looks.truth)[:, 1:]
    solved = np.linalg.solve(looks.covariance_m2[:, 1:], off[..., None])[..., 0]
    return np.pad(np.sqrt((off * solved).sum(2)), ((0, 0), (1, 0)))


def _by_occlusion(looks: Looks, moved: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    share = (~looks.seen[:, moved]).mean(1)
    found = {}
    for low, high in [(0.0, 1.01), *pairwise(BINS)]:
        chosen = (share >= low) & ((share < high) | (high == 1.0))
        rows = ~looks.seen & moved & chosen[:, None]
        if not rows.any():
            continue
        name = "all" if high > 1 else f"{100 * low:.0f}-{100 * high:.0f} %"
        found[name] = {
            "joints": int(rows.sum()),
            "network": 1000 * float(np.linalg.norm(looks.network - looks.truth, axis=2)[rows].mean()),
            "mean of hypotheses": 1000 * float(np.linalg.norm(looks.mean - looks.truth, axis=2)[rows].mean()),
            "nearest hypothesis": 1000 * float(looks.best_m[rows].mean()),
        }
    return found


def table_of(report: dict[str, Any]) -> str:
    """A report as Markdown."""
    lines = [f"{report['hands']} hands", "", "| joints, as said | within | scaled by other images | scale |"]
    lines.append("|---|---|---|---|")
    for name, share in report["within"].items():
        scale = report["scale"].get(name)
        other = 100 * report["within_of_others"][name]
        lines.append(f"| {name} | {100 * share:.1f} % | {other:.1f} % | {'' if scale is None else f'{scale:.3f}'} |")
    lines += ["", "| hidden of the hand | joints | network [mm] | mean of hypotheses [mm] | nearest hypothesis [mm] |"]
    lines.append("|---|---|---|---|---|")
    for name, row in report["errors_mm"].items():
        values = " | ".join(f"{row[key]:.1f}" for key in ("network", "mean of hypotheses", "nearest hypothesis"))
        lines.append(f"| {name} | {row['joints']} | {values} |")
    return "\n".join(lines) + "\n"
