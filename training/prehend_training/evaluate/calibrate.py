"""What the answers of a crop network are worth, fitted on crops it has not learnt from: of each logit a scale and an
offset, of the rotations the covariance of their errors.

Platt's scaling (Platt, 1999) by logistic regression. The numbers go into the manifest, and the pipeline applies them:
`pipeline.networks.network`, `pipeline.networks.pose_refine`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from tqdm import tqdm

from prehend.errors import InvalidInput
from prehend.eval.calibration import ordered_pairs, reliability
from prehend.files import replace_text
from prehend.geometry.rotations import axis_angle_from_matrix, nearest_rotation
from prehend.models.hand_object.unihope import UniHOPE
from prehend.models.stage import Staged
from prehend.pipeline.crops.letterbox import probability
from prehend.pipeline.networks.pose_refine import ROTATIONS, TURNS
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig
from prehend_training.data.stores.open import DataSource, open_training_data
from prehend_training.train.export import CALIBRATION
from prehend_training.train.loop.checkpoint import load_result
from prehend_training.train.loop.machine import to_tensors
from prehend_training.train.presets import preset_of_run

BATCH = 32
SEED = 77

LEAST_TURN_RAD = 1e-3
"""Standard deviation that a joint's turn about an axis has at least."""

LEAST_HANDS = 200
"""Fewer known poses than this tell no covariance of 48 numbers."""

CLIP_STDS = 2.5
"""Errors beyond this, which are other poses rather than errors, count as this in the correlations."""

MAD_STD = 0.6745
"""Median of the absolute values of a normal distribution, in standard deviations."""

Pairs = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
"""By name of an answer: logits and what is true, of the crops that are labelled for it."""


def calibrate_run(run: Path, data: DataSource, samples: int) -> dict[str, Any]:
    """Fit the answers of a run's averaged weights, and write RUN/calibration.json.

    Args:
        run: folder of the run.
        data: held-out crops, cut as the pipeline cuts them, with its errors.
        samples: how many crops to look at.

    Returns:
        By answer (`presence`, `grasp`, `side`): `scale`, `offset`, how many, the calibration error before and after,
        and the share of pairs that are ordered rightly. `rotations`, where enough poses are known: see `fit_turns`.

    Raises:
        AssetError: the run or the data cannot be read.
        InvalidInput: the run trains no crop network.
    """
    chosen = preset_of_run(run)
    crops = chosen.calibrated_on
    if crops is None:
        raise InvalidInput(f"{run} trains no crop network: its scores are chosen by its own measures")
    network = chosen.build()
    load_result(run / "checkpoint" / "averaged.safetensors", network)
    pairs, turns = gather(network.eval(), crops, data, samples)  # type: ignore[arg-type]
    fitted = {name: fit(*known) for name, known in pairs.items() if len(set(known[1].tolist())) == 2}
    if len(turns) >= LEAST_HANDS:
        fitted[ROTATIONS] = fit_turns(turns)
    replace_text(run / CALIBRATION, json.dumps(fitted, indent=1) + "\n")
    return fitted


@torch.inference_mode()
def gather(network: Staged, crops: CropDataConfig, data: DataSource, samples: int) -> tuple[Pairs, NDArray[np.float64]]:
    """Logits and truths of a network on crops, and (N, 48) errors of its rotations, see `errors_of_turns`."""
    assert isinstance(network, UniHOPE)
    dataset = open_training_data(data, "crops", False, crops.size_px)
    source = CropBatches(dataset, crops, SEED, BATCH, twins=False)
    parts: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
    turns = [np.zeros((0, TURNS))]
    for step in tqdm(range(max(1, samples // BATCH)), unit="batch"):
        batch = to_tensors(source.batch(step), "cpu")
        told = batch["grasp_gate"]
        output = network(batch["image"], batch["hand_box"], batch["object_box"], told[:, None], told > 0.5)
        encoded, shown = output.encoded, batch["presence"] > 0
        known: Mapping[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = {
            "presence": (encoded.presence_logit, batch["presence"], torch.ones_like(shown)),
            "grasp": (encoded.grasp_logit, batch["grasp"], shown & (batch["has_grasp"] > 0)),
            "side": (encoded.side_logit, batch["right"], shown & (batch["has_side"] > 0)),
        }
        for name, (logit, truth, rows) in known.items():
            pair = logit[rows, 0].double().numpy(), truth[rows].double().numpy()
            parts.setdefault(name, []).append(pair)
        posed = shown & (batch["has_pose"] > 0)
        turns.append(errors_of_turns(output.hand.rotations[posed].numpy(), batch["rotations"][posed].numpy()))
    pairs = {
        name: (np.concatenate([logit for logit, _ in found]), np.concatenate([truth for _, truth in found]))
        for name, found in parts.items()
    }
    return pairs, np.concatenate(turns)


def errors_of_turns(said: NDArray[np.floating], true: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, 16, 3, 3) rotations twice -> (N, 48) turns about each joint's own axes from what was said to the truth [rad];
    of right hands, in any frame."""
    apart = np.swapaxes(said, -1, -2).astype(np.float64) @ true
    return np.asarray(axis_angle_from_matrix(nearest_rotation(apart)), np.float64).reshape(len(said), -1)


def fit_turns(turns: NDArray[np.float64]) -> dict[str, Any]:
    """What `pipeline.networks.pose_refine.pose_covariance` reads: robust deviations and correlations of (N, 48) errors.

    Standard deviations come from the median, so that poses which were taken for others do not count; correlations from
    errors clipped at `CLIP_STDS`.
    """
    std = np.maximum(np.median(np.abs(turns), axis=0) / MAD_STD, LEAST_TURN_RAD)
    with np.errstate(invalid="ignore"):  # what never errs goes with nothing
        correlation = np.nan_to_num(np.corrcoef(np.clip(turns / std, -CLIP_STDS, CLIP_STDS).T))
    upper = np.round(100 * correlation[np.triu_indices(len(std), 1)]).astype(int)
    return {
        "std_rad": np.round(std, 4).reshape(-1, 3).tolist(),
        "correlation_percent": upper.tolist(),
        "count": len(turns),
    }


def fit(logits: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, Any]:
    """Scale and offset that make logits log-odds where both classes are equally frequent, and what that changes there.

    Args:
        logits: (N,).
        truth: (N,) 0 or 1, both there.
    """
    weight = np.where(truth > 0, 0.5 / truth.sum(), 0.5 / (1 - truth).sum())

    def loss(numbers: NDArray[np.float64]) -> float:
        scaled = numbers[0] * logits + numbers[1]
        return float((weight * np.logaddexp(0, np.where(truth > 0, -scaled, scaled))).sum() + 1e-4 * numbers[1] ** 2)

    # convex and smooth; a simplex that begins at no offset stops before it has moved
    found = minimize(loss, np.array([1.0, 0.0]), method="BFGS")
    scale, offset = (float(value) for value in found.x)
    if not scale > 0:
        raise InvalidInput(f"a scale of {scale:g}: these logits tell nothing of what is true")
    after = probability(scale * logits + offset)
    return {
        "scale": round(scale, 4),
        "offset": round(offset, 4),
        "count": len(truth),
        "true": int(truth.sum()),
        "ece_before": reliability(probability(logits), truth, weights=weight)["ece"],
        "ece": reliability(after, truth, weights=weight)["ece"],
        "ordered": ordered_pairs(logits[truth > 0], logits[truth == 0]),
    }
