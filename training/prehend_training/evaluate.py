"""Measures of a trained network on scenes it has not seen. Metres inside; millimetres only in the report."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from prehend.geometry.align import procrustes
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.torch_ import HandLayer
from prehend.models.unihope import Output
from prehend.pipeline.find import decode_hands, letterbox
from prehend.types import Box, FoundHand
from prehend_training.checkpoint import load_result
from prehend_training.data import CropBatches, ShardCorpus, exact
from prehend_training.finder_data import SeenHand, seen_hands
from prehend_training.loop import to_tensors
from prehend_training.presets import CropPreset, FinderPreset, preset
from prehend_training.targets import Arrays
from prehend_training.tasks import network_of

BATCH = 32
FIND_THRESHOLD = 0.3
MAX_HANDS = 6
VISIBILITY_BINS = (0.0, 0.25, 0.5, 0.75, 1.0)

Report = dict[str, Any]
Scores = NDArray[np.float64]


def evaluate_run(run: Path, data: Path, limit: int | None = None) -> Report:
    """Measure the averaged weights of a run on a folder of shards.

    Args:
        run: folder of the run.
        data: folder of crops or frames, as the preset trains on, rendered with another seed.
        limit: largest number of samples.

    Returns:
        What was measured, see `crop_report` and `finder_report`.
    """
    chosen = preset(json.loads((run / "run.json").read_text())["preset"])
    network = network_of(chosen)
    load_result(run / "checkpoint" / "averaged.safetensors", network)
    network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if isinstance(chosen, CropPreset):
        return evaluate_crops(network, chosen, ShardCorpus([data], "crops"), limit)
    return evaluate_finder(network, chosen, ShardCorpus([data], "frames"), limit)


@torch.inference_mode()
def evaluate_crops(network: nn.Module, chosen: CropPreset, corpus: ShardCorpus, limit: int | None = None) -> Report:
    """Run a crop network over crops with true boxes; the switcher's own answer decides about the object."""
    count = min(len(corpus), limit or len(corpus))
    source = CropBatches(corpus, exact(chosen.data), seed=0, batch_size=1)
    layer = HandLayer(load_hand_model())
    rows: list[dict[str, Any]] = []
    for start in tqdm(range(0, count, BATCH), unit="batch"):
        indices = range(start, min(start + BATCH, count))
        examples = [source.example(index, np.random.default_rng([0, index])) for index in indices]
        batch = {name: np.stack([example[name] for example in examples]) for name in examples[0]}
        tensors = to_tensors(batch, "cpu")
        output = network(tensors["image"], tensors["hand_box"], tensors["object_box"])
        joints = layer(output.hand.rotations, output.hand.betas).joints.numpy()
        ratios = [float(corpus[index]["visible_ratio"][0]) for index in indices]
        rows += _crop_rows(output, joints, batch, ratios)
    return crop_report(rows)


def _crop_rows(output: Output, joints: NDArray[np.float32], batch: Arrays, ratios: list[float]) -> list[dict[str, Any]]:
    """What is known about each sample of a batch."""
    joints = joints - joints[:, :1]
    size = batch["hand_box"][:, 2:] - batch["hand_box"][:, :2]
    keypoints = output.hand.keypoints.numpy()
    pixels = np.linalg.norm((keypoints - batch["keypoints"]) * size[:, None], axis=-1)
    aligned = procrustes(joints, batch["joints"]).apply(joints)
    cosine = (np.einsum("bij,bij->b", output.hand.rotations.numpy()[:, 0], batch["rotations"][:, 0]) - 1) / 2
    visible = (output.hand.visibility_logit.numpy() > 0) == (batch["visible"] > 0.5)
    return [
        {
            "present": bool(batch["presence"][row]),
            "said_present": bool(output.encoded.presence_logit[row, 0] > 0),
            "grasp": bool(batch["grasp"][row]),
            "said_grasp": bool(output.encoded.grasp_logit[row, 0] > 0),
            "joint_error_m": np.linalg.norm(joints[row] - batch["joints"][row], axis=-1).mean(),
            "aligned_error_m": np.linalg.norm(aligned[row] - batch["joints"][row], axis=-1).mean(),
            "keypoint_error_px": pixels[row].mean(),
            "keypoint_error_box": pixels[row].mean() / size[row].max(),
            "turn_error_rad": float(np.arccos(cosine[row].clip(-1, 1))),
            "visible_right": visible[row].mean(),
            "visible_ratio": ratios[row],
            "object_error": _object_error(output, batch, row),
        }
        for row in range(len(joints))
    ]


def _object_error(output: Output, batch: Arrays, row: int, best: int = 10) -> float:
    """Mean distance of the control points, each the median of its `best` cells, to the nearest right answer, in units
    of the object box's diagonal; NaN where no object is known."""
    if not batch["has_points"][row]:
        return float("nan")
    proposals = output.object_points[row].numpy()
    order = np.argsort(-proposals[..., 2], axis=1)[:, :best]
    points = np.median(np.take_along_axis(proposals[..., :2], order[..., None], axis=1), axis=1)
    size = batch["object_box"][row][2:] - batch["object_box"][row][:2]
    error = (points - batch["object_points"][row]) * size
    return float(np.linalg.norm(error, axis=-1).mean(-1).min() / np.linalg.norm(size))


def crop_report(rows: list[dict[str, Any]]) -> Report:
    """Means over the samples that show a hand; root-relative, nothing aligned unless it says so."""
    present = [row for row in rows if row["present"]]
    column = {name: np.array([row[name] for row in present], np.float64) for name in present[0]}
    objects = column["object_error"][np.isfinite(column["object_error"])]
    by_visibility = {
        f"{low:.2f}-{high:.2f}": _mean_mm(column["joint_error_m"][_between(column["visible_ratio"], low, high)])
        for low, high in pairwise(VISIBILITY_BINS)
    }
    return {
        "samples": len(rows),
        "joint_error_mm": _mean_mm(column["joint_error_m"]),
        "joint_error_median_mm": round(1000 * float(np.median(column["joint_error_m"])), 2),
        "aligned_joint_error_mm": _mean_mm(column["aligned_error_m"]),
        "keypoint_error_px": round(float(column["keypoint_error_px"].mean()), 3),
        "keypoint_error_box": round(float(column["keypoint_error_box"].mean()), 4),
        "rotation_error_deg": round(float(np.degrees(column["turn_error_rad"]).mean()), 2),
        "visibility_accuracy": round(float(column["visible_right"].mean()), 4),
        "grasp": classification(column["grasp"] > 0, column["said_grasp"] > 0),
        "presence": classification(
            np.array([row["present"] for row in rows]), np.array([row["said_present"] for row in rows])
        ),
        "object_error_of_diagonal": round(float(objects.mean()), 4) if len(objects) else None,
        "joint_error_mm_by_visibility": by_visibility,
    }


def classification(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> dict[str, float | None]:
    """Accuracy, precision, recall and F1; None where nothing is there to be right about."""
    hits = int((truth & said).sum())
    precision = hits / int(said.sum()) if said.any() else None
    recall = hits / int(truth.sum()) if truth.any() else None
    f1 = 2 * hits / int(truth.sum() + said.sum()) if truth.any() or said.any() else None
    values = {"accuracy": float((truth == said).mean()), "precision": precision, "recall": recall, "f1": f1}
    return {name: None if value is None else round(value, 4) for name, value in values.items()}


def _mean_mm(values_m: Scores) -> float | None:
    return round(1000 * float(values_m.mean()), 2) if len(values_m) else None


def _between(values: Scores, low: float, high: float) -> NDArray[np.bool_]:
    return (values >= low) & ((values < high) | (high == VISIBILITY_BINS[-1]))


@torch.inference_mode()
def evaluate_finder(network: nn.Module, chosen: FinderPreset, corpus: ShardCorpus, limit: int | None = None) -> Report:
    """Run a finder over whole frames through the pipeline's own letterbox and decoding."""
    frames = []
    for index in tqdm(range(min(len(corpus), limit or len(corpus))), unit="frame"):
        record = corpus[index]
        picture = letterbox(np.ascontiguousarray(record["image"]), chosen.config.size)
        maps = network(torch.from_numpy(picture.image)[None])
        outputs = {name: value.numpy() for name, value in maps._asdict().items()}
        found = decode_hands(outputs, picture, FIND_THRESHOLD, MAX_HANDS)
        height, width = record["image"].shape[:2]
        frames.append((found, seen_hands(record, np.eye(2, 3), (0, 0, width, height))))
    return finder_report(frames)


def finder_report(frames: list[tuple[list[FoundHand], list[SeenHand]]], iou: float = 0.5) -> Report:
    """Recall and precision of the boxes at an overlap, and of the sides and grasps of those that were found."""
    hits, wanted, said, sides, held = 0, 0, 0, [], []
    for found, seen in frames:
        wanted += sum(hand.counts for hand in seen)
        free = list(seen)
        for answer in sorted(found, key=lambda hand: hand.score, reverse=True):
            best = max(free, key=lambda hand: answer.box_px.iou(hand.box_px), default=None)
            matched = best is not None and answer.box_px.iou(best.box_px) >= iou
            if matched and best is not None:
                free.remove(best)
                if not best.counts:
                    continue
                hits += 1
                sides.append((answer.side == "right") == bool(best.side))
                held.append((answer.object_box_px is not None) == (best.object_box_px is not None))
            elif any(not hand.counts and _overlaps(answer.box_px, hand.box_px) for hand in seen):
                continue
            said += 1
    return {
        "frames": len(frames),
        "hands": wanted,
        "recall": round(hits / wanted, 4) if wanted else None,
        "precision": round(hits / said, 4) if said else None,
        "side_accuracy": round(float(np.mean(sides)), 4) if sides else None,
        "held_accuracy": round(float(np.mean(held)), 4) if held else None,
    }


def _overlaps(a: Box, b: Box) -> bool:
    return a.iou(b) > 0.1
