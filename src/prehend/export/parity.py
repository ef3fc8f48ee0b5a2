"""Do two backends give the same answers from the same weights?"""

from dataclasses import dataclass

import numpy as np

from prehend.backends.base import Array, Backend
from prehend.errors import WeightsMismatch
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.skinning import skin
from prehend.models.stage import sizes
from prehend.types import FloatArray
from prehend.weights import TensorSpec

TOLERANCE_MM = 0.1
"""Backends whose joints differ by more do not run the same network."""


@dataclass(frozen=True)
class Parity:
    """How far two backends are apart.

    Attributes:
        largest: largest difference of each output, by "stage/output", over the largest value of that output.
        joints_mm: largest distance between the joints that follow from the answers [mm]; 0 for networks without joints.
    """

    largest: dict[str, float]
    joints_mm: float


def compare(one: Backend, other: Backend, items: int = 2, seed: int = 0) -> Parity:
    """Run all stages of both on the same random pictures and boxes.

    A stage gets what `one` answered in the stages before, so that differences do not add up from stage to stage.

    Args:
        one, other: two backends of one bundle.
        items: size of the batch.
        seed: of the pictures.
    """
    rng = np.random.default_rng(seed)
    known: dict[str, Array] = {}
    largest, joints_mm = {}, 0.0
    side = float(one.bundle.manifest["input"]["size"])
    for stage, file in one.bundle.stages.items():
        for spec in file.inputs:
            # two stages may look at pictures of two sizes
            if spec.name not in known or list(known[spec.name].shape) != sizes(spec.shape, items):
                known[spec.name] = _random_input(spec, items, side, rng)
        inputs = {spec.name: known[spec.name] for spec in file.inputs}
        answers = [{name: array.copy() for name, array in b.infer(stage, inputs).items()} for b in (one, other)]
        for name, array in answers[0].items():
            scale = max(float(np.abs(array).max()), 1e-6)
            largest[f"{stage}/{name}"] = float(np.abs(array - answers[1][name]).max()) / scale
        if {"rotations", "betas"} <= answers[0].keys():
            joints_mm = _joint_distance_mm(*(_joints(answer) for answer in answers))
        elif "joints" in answers[0]:
            joints_mm = _joint_distance_mm(*(answer["joints"] for answer in answers))
        known.update(answers[0])
    return Parity(largest, joints_mm)


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
    """A picture, a box inside it, or 0 and 1 by turns, as the name says."""
    if spec.name.endswith("_box"):
        corners = rng.uniform(0.05 * side, 0.45 * side, (items, 2))
        return np.concatenate([corners, corners + rng.uniform(0.3 * side, 0.5 * side, (items, 2))], 1).astype(
            np.float32
        )
    if spec.name == "grasp":
        return (np.arange(items) % 2)[:, None].astype(np.float32)
    return rng.random(sizes(spec.shape, items), np.float32)


def _joints(answer: dict[str, Array]) -> FloatArray:
    """(B, 21, 3) that follow from pose and shape."""
    return skin(load_hand_model(), answer["rotations"], answer["betas"]).joints


def _joint_distance_mm(one: FloatArray, other: FloatArray) -> float:
    """Largest distance between joints of the same name."""
    return float(np.linalg.norm(one - other, axis=-1).max()) * 1e3
