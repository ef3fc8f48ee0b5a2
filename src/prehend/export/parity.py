"""Do two backends give the same answers from the same weights?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from prehend.backends.base import Array, Backend
from prehend.errors import AssetError, WeightsMismatch
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.skinning import skin
from prehend.models.stage import sizes
from prehend.types import FloatArray
from prehend.weights import Bundle, TensorSpec

NUM_CROPS = 8
CROPS = Path(__file__).with_name("crops.jpg")
_WINDOW = "window_"
"""Begins the names of inputs that hold an array of several frames."""

TOLERANCE_MM = 0.1
"""Backends whose joints differ by more do not run the same network."""


@dataclass(frozen=True)
class Parity:
    """How far two backends are apart.

    Attributes:
        largest: largest difference of each output, by "stage/output", over the largest value of that output.
        joints_mm: largest distance between the joints that follow from the answers of a stage [mm], of the stage where
            it is largest; 0 for networks without joints.
        joints_mean_mm: the mean of those distances [mm], likewise.
    """

    largest: dict[str, float]
    joints_mm: float
    joints_mean_mm: float = 0.0


def compare(one: Backend, other: Backend, items: int = 2, seed: int = 0) -> Parity:
    """Run all stages of both on the same random images and boxes.

    A stage gets what `one` answered in the stages before, so that differences do not add up from stage to stage.

    Args:
        one, other: two backends of one bundle.
        items: size of the batch.
        seed: of the images.
    """
    rng = np.random.default_rng(seed)
    known: dict[str, Array] = {}
    found = Parity({}, 0.0)
    for stage in one.bundle.stages:
        inputs = stage_inputs(one.bundle, stage, known, items, rng)
        answers = [copied(backend.infer(stage, inputs)) for backend in (one, other)]
        found = _with_stage(found, stage, *answers)
        known.update(answers[0])
    return found


def compare_apart(one: Backend, other: Backend) -> Parity:
    """Run all stages of both on the same crops (`fixed_crops`), each with what it answered itself in the stages before:
    what a user of `other` gets, against `one`."""
    known: list[dict[str, Array]] = [{}, {}]
    found = Parity({}, 0.0)
    for stage in one.bundle.stages:
        answers = []
        for backend, own in zip((one, other), known, strict=True):
            for spec in one.bundle.stages[stage].inputs:
                if spec.name == "image":
                    own["image"] = fixed_crops(int(spec.shape[-1]))
                elif spec.name.startswith(_WINDOW):
                    own |= _window_of_one(spec, own)
            inputs = stage_inputs(one.bundle, stage, own, NUM_CROPS, np.random.default_rng(0))
            answers.append(copied(backend.infer(stage, inputs)))
            own.update(answers[-1])
        found = _with_stage(found, stage, *answers)
    return found


def _window_of_one(spec: TensorSpec, known: Mapping[str, Array]) -> dict[str, Array]:
    """An input over several frames as of a hand that stands still before a camera that does: what is known of one
    frame, in each; nothing where that is not known."""
    of_frame = {"turn": np.eye(3, dtype=np.float32)[None].repeat(NUM_CROPS, 0), "known": np.ones(NUM_CROPS, np.float32)}
    one = of_frame.get(name := spec.name.removeprefix(_WINDOW), known.get(name))
    return {} if one is None else {spec.name: one[:, None].repeat(int(spec.shape[1]), 1)}


def fixed_crops(side: int) -> Array:
    """(8, 3, side, side) float32 RGB from 0 to 1: crops of hands from our own renderer, the same ones everywhere."""
    strip = cv2.imread(str(CROPS))
    if strip is None:
        raise AssetError(f"{CROPS} cannot be read: install the package again")
    size = len(strip)
    crops = [strip[:, k : k + size, ::-1] for k in range(0, strip.shape[1], size)]
    resized = [crop if size == side else cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA) for crop in crops]
    return np.ascontiguousarray(np.stack(resized).transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def stage_inputs(
    bundle: Bundle, stage: str, known: dict[str, Array], items: int, rng: np.random.Generator
) -> dict[str, Array]:
    """Inputs of a stage: what is known by their names, of the right size; invented and noted where nothing is."""
    side = float(bundle.manifest["input"]["size"])
    for spec in bundle.stages[stage].inputs:
        # two stages may look at images of two sizes
        wanted = sizes(spec.shape, items)
        if spec.name not in known or list(known[spec.name].shape) != wanted:
            known[spec.name] = _random_input(spec, items, side, rng)
    return {spec.name: known[spec.name] for spec in bundle.stages[stage].inputs}


def copied(answers: Mapping[str, Array]) -> dict[str, Array]:
    """Answers that outlive the next call."""
    return {name: np.array(array) for name, array in answers.items()}


def _with_stage(found: Parity, stage: str, one: dict[str, Array], other: dict[str, Array]) -> Parity:
    largest = dict(found.largest)
    for name, array in one.items():
        scale = max(float(np.abs(array).max()), 1e-6)
        largest[f"{stage}/{name}"] = float(np.abs(array - other[name]).max()) / scale
    joints = [_joints(one), _joints(other)]
    if joints[0] is None or joints[1] is None:
        return Parity(largest, found.joints_mm, found.joints_mean_mm)
    away_mm = np.linalg.norm(joints[0] - joints[1], axis=-1) * 1e3
    # no stage hides what an earlier one is off
    return Parity(largest, max(found.joints_mm, float(away_mm.max())), max(found.joints_mean_mm, float(away_mm.mean())))


def check_parity(one: Backend, other: Backend) -> Parity:
    """`compare`, and refuse weights that two backends do not agree on.

    Raises:
        WeightsMismatch: a joint differs by more than `TOLERANCE_MM`, or an output by more than a thousandth.
    """
    found = compare(one, other)
    name, largest = max(found.largest.items(), key=lambda item: item[1])
    if found.joints_mm > TOLERANCE_MM or largest > 1e-3:
        raise WeightsMismatch(
            f"backends '{one.name}' and '{other.name}' differ by {found.joints_mm:.3g} mm in the joints and by "
            f"{largest:.2g} of its range in {name}: export '{one.bundle.name}' again"
        )
    return found


def _random_input(spec: TensorSpec, items: int, side: float, rng: np.random.Generator) -> Array:
    """An image, a box inside it, or 0 and 1 by turns, as the name says."""
    if spec.name.endswith("_box"):
        corners = rng.uniform(0.05 * side, 0.45 * side, (items, 2))
        return np.concatenate([corners, corners + rng.uniform(0.3 * side, 0.5 * side, (items, 2))], 1).astype(
            np.float32
        )
    if spec.name == "grasp":
        return (np.arange(items) % 2)[:, None].astype(np.float32)
    return rng.random(sizes(spec.shape, items), np.float32)


def _joints(answer: dict[str, Array]) -> FloatArray | None:
    """(B, 21, 3) joints of an answer, or those that follow from its pose and shape; None where it tells neither."""
    if {"rotations", "betas"} <= answer.keys():
        return skin(load_hand_model(), answer["rotations"], answer["betas"]).joints
    return answer.get("joints")
