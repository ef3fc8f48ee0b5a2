"""Measures of a network that draws on several frames: the same hands from one frame and from three."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.backends import Backend
from prehend.backends.base import Array
from prehend.errors import AssetError
from prehend.eval.metrics import aligned, point_errors
from prehend.geometry.rotations import geodesic_angle
from prehend.pipeline.networks.through_time import DECODE, ENCODE
from prehend_training.data.batch import ArrayDict
from prehend_training.data.crop_targets import PART_JOINTS
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig, exact
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.data.stores.windows import WindowBatches, WindowDataConfig, exact_windows, open_windows
from prehend_training.data.views import EXACT_VIEW
from prehend_training.storage.shards import ShardFolder

BATCH = 8
HIDDEN_BINS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the share of a finger that is hidden."""
FINGERS = PART_JOINTS[:5]
_KEPT = ("part_logit", "features", "orientation", "rotation")


@dataclass
class _FilmErrors:
    """What was found of each hand, a batch a list entry [mm], [deg]."""

    joints: list[NDArray[Any]] = field(default_factory=list)
    aligned: list[NDArray[Any]] = field(default_factory=list)
    fingers: list[NDArray[Any]] = field(default_factory=list)
    turned: list[NDArray[Any]] = field(default_factory=list)

    def add(self, answer: Mapping[str, Array], truth: ArrayDict, rows: NDArray[np.bool_]) -> None:
        said, wanted = answer["joints"][rows], truth["joints"][rows]
        errors = point_errors(said, wanted) * 1e3
        self.joints.append(errors.mean(1))
        self.aligned.append((point_errors(aligned(said, wanted), wanted) * 1e3).mean(1))
        self.fingers.append(np.stack([errors[:, list(joints)].mean(1) for joints in FINGERS], 1))
        self.turned.append(np.rad2deg(geodesic_angle(answer["rotation"][rows], truth["rotations"][rows, 0])))

    def summary(self, hidden: NDArray[Any], known: NDArray[np.bool_]) -> dict[str, Any]:
        """Means; of the fingers by how much of them is hidden, where that is known."""
        fingers = np.concatenate(self.fingers)[known]
        by_hidden = {}
        for low, high in pairwise(HIDDEN_BINS):
            some = fingers[(hidden[known] >= low) & ((hidden[known] < high) | (high == HIDDEN_BINS[-1]))]
            by_hidden[f"{low:.0%}-{high:.0%}"] = {"fingers": some.size, "joint_error_mm": _mean(some)}
        return {
            "joint_error_mm": _mean(np.concatenate(self.joints)),
            "aligned_joint_error_mm": _mean(np.concatenate(self.aligned)),
            "rotation_error_deg": _mean(np.concatenate(self.turned)),
            "finger_joint_error_by_hidden": by_hidden,
        }


def evaluate_through_time(backend: Backend, data: Sequence[Path], limit: int | None = None) -> dict[str, Any]:
    """Measure a network on hands whose boxes are known: relative to the wrist, nothing aligned unless it says so.

    Args:
        backend: of a network with the stages of `H2ONet`.
        data: folders of crops, of which each is a window of one frame, or of sequences.
        limit: largest number of hands; of sequences they are spread evenly.

    Returns:
        hands; single: from the current frame alone; fused: from all frames of the windows (sequences alone); both with
        joint_error_mm, aligned_joint_error_mm, rotation_error_deg and finger_joint_error_by_hidden; parts_right: share
        of fingers and palms whose visibility is told right.

    Raises:
        AssetError: a folder cannot be read, or they are of different kinds.
    """
    kinds = {ShardFolder.open(Path(path)).kind for path in data}
    if len(kinds) != 1:
        raise AssetError(f"folders of {' and '.join(sorted(kinds))}: give those of one kind")
    windows = kinds == {"sequences"}
    single, fused = _FilmErrors(), _FilmErrors()
    hidden, known, right = [], [], []
    for truth, count in _batches(backend, data, windows, limit):
        told = _encoded(backend, truth["image"], count)
        now = {name: value[::count] for name, value in truth.items()}
        rows = (now["presence"] * now["has_pose"] * now["right"]) > 0
        if not rows.any():
            continue
        alone = np.zeros_like(told["window_known"])
        alone[:, 0] = 1
        single.add(_decoded(backend, told, truth, alone), now, rows)
        if windows:
            fused.add(_decoded(backend, told, truth, _known(truth, count, alone)), now, rows)
        hidden.append(1 - now["part_shown"][rows][:, : len(FINGERS)])
        known.append(now["has_parts"][rows] > 0)
        seen = told["window_part_logit"][rows, 0] > 0
        right.append((seen == (now["part_seen"][rows] > 0))[known[-1]])
    if not hidden:
        raise AssetError(f"{', '.join(map(str, data))}: no hand with a known pose to measure on")
    groups = np.concatenate(hidden), np.concatenate(known)
    return {
        "hands": len(groups[0]),
        "parts_right": _mean(np.concatenate(right)),
        "single": single.summary(*groups),
        **({"fused": fused.summary(*groups)} if windows else {}),
    }


def _batches(
    backend: Backend, data: Sequence[Path], windows: bool, limit: int | None
) -> Iterator[tuple[ArrayDict, int]]:
    """Batches of windows with how many frames a window has."""
    config = backend.bundle.manifest["config"]
    size, view = config["size"], replace(EXACT_VIEW, upright=config["trunk"] == "hand")
    source: WindowBatches | CropBatches
    if windows:
        chosen = exact_windows(WindowDataConfig(size_px=size, view=view))
        films = open_windows([Path(path) for path in data], size)
        source, frames = WindowBatches(films, chosen, 0, 1), chosen.frames
        numbers = films.first(sum(len(ShardFolder.open(Path(path))) for path in data))
    else:
        crops = exact(CropDataConfig(size_px=size, view=view, absent_p=0.0, tells_parts=True))
        dataset = ShardDataset(data, "crops", twins=False)
        source, frames = CropBatches(dataset, crops, 0, 1, twins=False), 1
        numbers = dataset.first(len(dataset))
    spread = np.linspace(0, len(numbers) - 1, min(len(numbers), limit or len(numbers))).astype(int)
    join = np.concatenate if windows else np.stack
    for part in tqdm(np.array_split(spread, -(-len(spread) // BATCH)), unit="batch"):
        samples = [source.sample(numbers[k], np.random.default_rng([0, int(k)])) for k in part]
        yield {name: join([sample[name] for sample in samples]) for name in samples[0]}, frames


def _encoded(backend: Backend, images: NDArray[np.uint8], count: int) -> dict[str, Array]:
    """Inputs of `decode` from (B F, S, S, 3) images; one frame stands for all where there are no others."""
    planes = images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    told = backend.infer(ENCODE, {"image": np.ascontiguousarray(planes)})
    frames = {spec.name: spec.shape for spec in backend.bundle.stages[DECODE].inputs}["window_known"][1]
    window = {}
    for name in _KEPT:
        value = told[name].reshape(-1, count, *told[name].shape[1:])
        window[f"window_{name}"] = value if count > 1 else value.repeat(int(frames), 1)
    return window | {"window_known": np.zeros((len(images) // count, int(frames)), np.float32)}


def _known(truth: ArrayDict, count: int, alone: Array) -> Array:
    return np.asarray(truth["known"], np.float32).reshape(-1, count) if "known" in truth else alone


def _decoded(backend: Backend, told: Mapping[str, Array], truth: ArrayDict, known: Array) -> dict[str, Array]:
    turn = np.broadcast_to(np.eye(3, dtype=np.float32), (*known.shape, 3, 3))
    if "turn" in truth:
        turn = np.asarray(truth["turn"], np.float32).reshape(turn.shape)
    answer = backend.infer(DECODE, {**told, "window_turn": np.ascontiguousarray(turn), "window_known": known})
    return {name: array.copy() for name, array in answer.items()}


def _mean(values: NDArray[Any]) -> float | None:
    return round(float(values.mean()), 4) if values.size else None
