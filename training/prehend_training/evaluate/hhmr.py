"""How good a prior for hands is: what it draws, completes and fits, against hands that it never saw."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.conventions import FINGERS, NUM_JOINTS
from prehend.errors import InvalidInput
from prehend.geometry.camera import project
from prehend.hand_model.skinning import skin
from prehend.prior.conditions import Conditions
from prehend.prior.sampler import HandPrior, Sampling
from prehend.types import Camera, FloatArray
from prehend_training.assets.contact import penetration
from prehend_training.assets.poses import MAX_PENETRATION_M
from prehend_training.prior.anatomy import beyond_limits_rad, rotations_of_meshes
from prehend_training.prior.poses import Poses

HYPOTHESES = (1, 8, 16)
"""As in the paper's table."""

NOISE_PX = 2.0
"""Of joints that are told in an image."""

CUT = ("index", "middle")
_BATCH = 64
_BEYOND_RAD = np.deg2rad(15)
"""Angles of a mesh are read from its flesh, which bends: so much is no fault."""
_CAMERA = Camera(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)


@dataclass(frozen=True)
class PriorCheck:
    """What is measured.

    Attributes:
        drawn: hands that are drawn with nothing known.
        hands: of the held-out ones that are completed and fitted.
        steps: of DDIM, for all but the table of times.
        seed: of everything.
        times: steps of DDIM that are timed.
    """

    drawn: int = 256
    hands: int = 32
    steps: int = 25
    seed: int = 0
    times: tuple[int, ...] = (10, 25, 50)

    def __post_init__(self) -> None:
        if min(self.drawn, self.hands) < 2:
            raise InvalidInput("two hands at least are drawn and fitted")


def measure_prior(prior: HandPrior, held_out: Poses, check: PriorCheck) -> dict[str, Any]:
    """All measures.

    Args:
        prior: to judge.
        held_out: hands that it did not learn from.
        check: how much.

    Returns:
        drawn: see `draw_report`. completed, fitted: mean errors [mm], see `completion_report` and `fit_report`.
        seconds: of 8 hands, by steps.
    """
    count = min(check.hands, len(held_out))
    rows = np.linspace(0, len(held_out) - 1, count).astype(int)
    chosen = Poses(held_out.rotations[rows], held_out.betas[rows])
    return {
        "drawn": draw_report(prior, held_out, check),
        "completed": completion_report(prior, chosen, check),
        "fitted": fit_report(prior, chosen, check),
        "seconds": {str(steps): seconds_of(prior, steps) for steps in check.times},
        "steps": check.steps,
        "hands": count,
    }


def draw_report(prior: HandPrior, held_out: Poses, check: PriorCheck) -> dict[str, float]:
    """Of hands that are drawn with nothing known, compared by the mean distance of their joints, the wrists together.

    Returns:
        diversity_mm: mean distance of two of them. nearest_mm: mean distance of a held-out hand to the nearest of them
        (minimum matching distance). coverage: share of the held-out hands, of as many as were drawn, that are the
        nearest of one of them. beyond_limits: share with a joint beyond its limits. self_penetration: share whose
        digits go into each other. The last two of the held-out hands stand beside them.
    """
    drawn = []
    for number in tqdm(range(0, check.drawn, _BATCH), unit="batch", desc="drawing", disable=None):
        count = min(_BATCH, check.drawn - number)
        drawn.append(prior.sample(count, None, Sampling(check.steps, check.seed + number)).vertices_m)
    meshes = np.concatenate(drawn)
    rows = np.linspace(0, len(held_out) - 1, min(check.drawn, len(held_out))).astype(int)
    true_meshes, true_joints = flat_hands(prior, Poses(held_out.rotations[rows], held_out.betas[rows]))
    regressor = prior.joints(meshes)
    apart, between = _distances(regressor, regressor), _distances(true_joints, regressor)
    off = apart.sum() / (len(meshes) * (len(meshes) - 1))
    return {
        "diversity_mm": 1000 * float(off),
        "nearest_mm": 1000 * float(between.min(1).mean()),
        "coverage": len(np.unique(between.argmin(0))) / len(true_joints),
        **_faults(prior, meshes, ""),
        **_faults(prior, true_meshes, "held_out_"),
    }


def _faults(prior: HandPrior, meshes: FloatArray, name: str) -> dict[str, float]:
    turns = rotations_of_meshes(prior.model, meshes)
    return {
        f"{name}beyond_limits": float((beyond_limits_rad(prior.model, turns) > _BEYOND_RAD).mean()),
        f"{name}self_penetration": float((penetration(prior.model, turns) > MAX_PENETRATION_M).mean()),
    }


def completion_report(prior: HandPrior, hands: Poses, check: PriorCheck) -> dict[str, float]:
    """Hands whose index and middle finger are cut away, completed from the rest of the mesh: mean error of the joints
    of these fingers [mm], of the best of n hypotheses and of their mean."""
    meshes, joints = flat_hands(prior, hands)
    bones = [k for finger in CUT for k in _BONES[finger]]
    cut = prior.model.weights[:, bones].sum(1) > 0.05
    hidden = np.concatenate([np.arange(4) + 1 + 4 * FINGERS.index(finger) for finger in CUT])
    errors = []
    for mesh, truth in tqdm(list(zip(meshes, joints, strict=True)), unit="hand", desc="completing", disable=None):
        known = Conditions(vertices_m=np.where(cut[:, None], np.nan, mesh))
        found = prior.sample(max(HYPOTHESES), known, Sampling(check.steps, check.seed))
        errors.append(_by_count(found.joints_m[:, hidden], truth[hidden]))
    return {name: float(np.mean([row[name] for row in errors])) for name in errors[0]}


_BONES = {"index": (1, 2, 3), "middle": (4, 5, 6)}


def _by_count(joints: FloatArray, truth: FloatArray) -> dict[str, float]:
    off = 1000 * np.linalg.norm(joints - truth, axis=2).mean(1)
    mean = {
        f"mean_of_{count}_mm": 1000 * float(np.linalg.norm(joints[:count].mean(0) - truth, axis=1).mean())
        for count in HYPOTHESES[1:]
    }
    return best_of(off) | mean


def best_of(off_mm: FloatArray) -> dict[str, float]:
    """(n,) errors of hypotheses -> that of the best of the first so many, by their numbers."""
    return {f"best_of_{count}_mm": float(off_mm[:count].min()) for count in HYPOTHESES}


def fit_report(prior: HandPrior, hands: Poses, check: PriorCheck) -> dict[str, float]:
    """Hands fitted to their joints in space, and to those in an image with 2 px of noise: of one hypothesis and of the
    best of 8 by what is left of the joints, mean error of vertices and joints relative to the wrist [mm]."""
    rng = np.random.default_rng(check.seed)
    meshes, joints = flat_hands(prior, hands)
    found: dict[str, list[float]] = {}
    rows = list(zip(meshes, joints, hands.rotations[:, 0], strict=True))
    for mesh, skeleton, turn in tqdm(rows, unit="hand", desc="fitting", disable=None):
        there = np.array([0, 0, 0.5])
        truth, points = mesh @ turn.T + there, skeleton @ turn.T + there
        pixels = project(points, _CAMERA) + rng.normal(0, NOISE_PX, (NUM_JOINTS, 2))
        for name, known in (
            ("space", Conditions(joints_m=points)),
            ("picture", Conditions(keypoints_px=pixels, camera=_CAMERA)),
        ):
            answer = prior.sample(8, known, Sampling(check.steps, check.seed))
            for best, row in (("", 0), ("best_", int(answer.order()[0]))):
                wrist, true_wrist = answer.joints_m[row, :1], points[:1]
                for kind, given, wanted in (
                    ("vertices", answer.vertices_m[row], truth),
                    ("joints", answer.joints_m[row], points),
                ):
                    off = np.linalg.norm((given - wrist) - (wanted - true_wrist), axis=1).mean()
                    found.setdefault(f"{best}{name}_{kind}_mm", []).append(1000 * float(off))
    return {name: float(np.mean(values)) for name, values in found.items()}


def seconds_of(prior: HandPrior, steps: int) -> float:
    """Seconds that 8 hands take, drawn with joints known: the best of two tries."""
    _, joints = flat_hands(prior, Poses(np.tile(np.eye(3, dtype=np.float32), (1, 16, 1, 1)), np.zeros((1, 10), "f4")))
    taken = []
    for _ in range(2):
        start = time.perf_counter()
        prior.sample(8, Conditions(joints_m=joints[0]), Sampling(steps))
        taken.append(time.perf_counter() - start)
    return round(min(taken), 3)


def flat_hands(prior: HandPrior, hands: Poses) -> tuple[FloatArray, FloatArray]:
    """(N, V, 3) meshes and (N, 21, 3) joints without orientation, relative to the wrist [m]."""
    turns = hands.rotations.copy()
    turns[:, 0] = np.eye(3)
    posed = skin(prior.model, turns, hands.betas)
    return posed.vertices - posed.joints[:, :1], posed.joints - posed.joints[:, :1]


def _distances(one: NDArray[np.floating], other: NDArray[np.floating]) -> FloatArray:
    """(N, 21, 3), (M, 21, 3) -> (N, M) mean distance of joints."""
    return np.stack([np.linalg.norm(hand - other, axis=2).mean(1) for hand in one])


def table_of(reports: dict[str, dict[str, Any]]) -> str:
    """Reports by the priors' names as a Markdown table."""
    parts = ("drawn", "completed", "fitted", "read", "seconds")
    keys = [(part, name) for part in parts for name in next(iter(reports.values())).get(part, {})]
    lines = [f"| | {' | '.join(reports)} |", f"|---|{'---|' * len(reports)}"]
    for part, name in keys:
        values = [report.get(part, {}).get(name, np.nan) for report in reports.values()]
        said = f"{part} {name.replace('_', ' ')}" if part != "seconds" else f"seconds of 8 hands, {name} steps"
        lines.append(f"| {said} | {' | '.join(f'{value:.3g}' for value in values)} |")
    return "\n".join(lines) + "\n"
