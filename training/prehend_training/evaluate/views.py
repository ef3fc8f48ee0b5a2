"""Measures of SiMA-Hand: the same hands from one view, and from several views of the moment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.backends import Backend
from prehend.backends.base import Array
from prehend.errors import AssetError
from prehend.eval.cases import HandAnswer
from prehend.eval.metrics import aligned, point_errors
from prehend.geometry.rotations import geodesic_angle
from prehend.hand_model import HandModel
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.skinning import skin
from prehend.models.sima.views import KEPT, MOST_VIEWS, Rig
from prehend_training.data.batch import ArrayDict
from prehend_training.data.records import known_ratio
from prehend_training.evaluate.crops import CropReader, Labelled
from prehend_training.sample import HandLabel
from prehend_training.sima.batches import MomentBatches, shown_unchanged
from prehend_training.sima.instants import LEAST_VIEWS, InstantDataset, open_instants

RECONSTRUCT, FUSE = "reconstruct", "fuse"
"""Stages: of one view, and of several."""
HIDDEN_BINS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the share of a hand that is hidden."""
_NONE = "{}: no hand with a known pose to measure on"
VIEW_COUNTS = (2, 4, MOST_VIEWS)


@dataclass
class _ViewErrors:
    """What was found of each view of each hand, a moment a list entry [mm], [deg]."""

    joints: list[NDArray[Any]] = field(default_factory=list)
    aligned_joints: list[NDArray[Any]] = field(default_factory=list)
    vertices: list[NDArray[Any]] = field(default_factory=list)
    aligned_vertices: list[NDArray[Any]] = field(default_factory=list)
    turned: list[NDArray[Any]] = field(default_factory=list)
    hidden: list[NDArray[Any]] = field(default_factory=list)

    def add(self, joints: Array, vertices: Array, rotation: Array, truth: ArrayDict, rows: Sequence[int]) -> None:
        """Answers in the crops' frames for some rows of the truth."""
        chosen = list(rows)
        turned = truth["rotations"][chosen]
        posed = skin(load_hand_model(), turned, truth["betas"][chosen])
        self._add_points(joints, truth["joints"][chosen], self.joints, self.aligned_joints)
        mesh = posed.vertices - posed.joints[:, :1]
        self._add_points(vertices, mesh, self.vertices, self.aligned_vertices)
        self.turned.append(np.rad2deg(geodesic_angle(rotation, turned[:, 0])))
        self.hidden.append(1 - truth["visible_ratio"][chosen])

    def add_hand(self, answer: HandAnswer, label: HandLabel, model: HandModel) -> None:
        """An answer in the camera's frame for a label with a pose, of the model's side."""
        assert label.rotations is not None and label.betas is not None
        posed = skin(model, label.rotations, label.betas)
        wrist, joints = answer.joints_m[:1], label.joints_m - label.joints_m[:1]
        self._add_points((answer.joints_m - wrist)[None], joints[None], self.joints, self.aligned_joints)
        mesh = posed.vertices - posed.joints[:1]
        self._add_points((answer.vertices_m - wrist)[None], mesh[None], self.vertices, self.aligned_vertices)
        self.turned.append(np.rad2deg([answer.turn_error_rad]))
        self.hidden.append(np.array([1 - known_ratio(label)]))

    def _add_points(
        self, said: NDArray[Any], right: NDArray[Any], plain: list[NDArray[Any]], fitted: list[NDArray[Any]]
    ) -> None:
        plain.append(point_errors(said, right).mean(1) * 1e3)
        fitted.append(point_errors(aligned(said, right), right).mean(1) * 1e3)

    def summary(self) -> dict[str, Any]:
        """Means over all views, and of the joints by how much of the hand is hidden."""
        hidden = np.concatenate(self.hidden)
        joints, fitted = np.concatenate(self.joints), np.concatenate(self.aligned_joints)
        groups = {
            f"{100 * low:.0f}-{100 * high:.0f}": (hidden >= low) & ((hidden < high) | (high == HIDDEN_BINS[-1]))
            for low, high in (*pairwise(HIDDEN_BINS), (0.5, 1.0))
        }
        return {
            "hands": len(hidden),
            "joint_error_mm": _mean(joints),
            "aligned_joint_error_mm": _mean(fitted),
            "vertex_error_mm": _mean(np.concatenate(self.vertices)),
            "aligned_vertex_error_mm": _mean(np.concatenate(self.aligned_vertices)),
            "rotation_error_deg": _mean(np.concatenate(self.turned)),
            "by_hidden": {
                name: {
                    "hands": int(some.sum()),
                    "joint_error_mm": _mean(joints[some]),
                    "aligned_joint_error_mm": _mean(fitted[some]),
                }
                for name, some in groups.items()
            },
        }


def evaluate_views(backend: Backend, data: Sequence[Path], limit: int | None = None) -> dict[str, Any]:
    """Measure a network of SiMA-Hand on hands whose boxes are known, relative to the wrist; each view of a moment that
    shows the hand is one hand, at most eight.

    Args:
        backend: of a network with the stage `reconstruct` of `SimaHand`, or with those of `SimaViews`.
        data: folders of rendered views.
        limit: largest number of moments, spread evenly.

    Returns:
        moments; hands and errors [mm], [deg] over all of them; by_hidden: of joints by the share of the hand that is
        hidden. Of a network of several views the errors are those from all views, and `views` has them from two, four
        and eight at a time, over the same hands.

    Raises:
        AssetError: a folder cannot be read, holds other images, or no hand with a known pose.
    """
    several = FUSE in backend.bundle.stages
    found = {count: _ViewErrors() for count in (VIEW_COUNTS if several else (1,))}
    moments = 0
    for truth in _moments(backend, data, limit):
        views = len(truth["image"])
        if not (truth["presence"] * truth["has_pose"]).all():
            continue
        moments += 1
        planes = np.ascontiguousarray(truth["image"].transpose(0, 3, 1, 2), np.float32) / np.float32(255)
        if not several:
            told = backend.infer(RECONSTRUCT, {"image": planes})
            found[1].add(told["joints"], told["vertices"], told["rotation"], truth, range(views))
            continue
        told = {name: array.copy() for name, array in backend.infer("encode", {"image": planes}).items()}
        for count, errors in found.items():
            for rows in several_at_a_time(views, count):
                errors.add(*fused(backend, told, truth, rows), truth, rows)
    if not moments:
        raise AssetError(_NONE.format(", ".join(map(str, data))))
    summaries = {count: errors.summary() for count, errors in found.items()}
    whole = summaries[max(summaries)]
    by_views = {"views": {str(count): summary for count, summary in summaries.items()}} if several else {}
    return {"moments": moments, **whole, **by_views}


def evaluate_crop_views(reader: CropReader, data: Sequence[Path], limit: int | None = None) -> dict[str, Any]:
    """Measure a crop network on the same hands, each view alone, by the robot's own crop and decoder.

    Args:
        reader: of the network; the hand's box and side are given, of what it holds nothing.
        data, limit: as of `evaluate_views`.

    Returns:
        moments; lost, hands about which nothing sound was said and which no error counts; and hands, errors and
        by_hidden as of a network of one view.

    Raises:
        AssetError: see `evaluate_views`.
    """
    errors, moments, lost = _ViewErrors(), 0, 0
    for dataset, number in _numbers(data, reader.crop_size, limit):
        labels = dataset.labels(number)[:MOST_VIEWS]
        if any(label.hand.rotations is None or label.hand.betas is None for label in labels):
            continue
        moments += 1
        answers = reader.answers([Labelled(label.sample, label.hand, None) for label in labels])
        for label, answer in zip(labels, answers, strict=True):
            if answer.hand is None:
                lost += 1
            else:
                errors.add_hand(answer.hand, label.hand, reader.models[label.hand.side])
    if not errors.hidden:
        raise AssetError(_NONE.format(", ".join(map(str, data))))
    return {"moments": moments, "lost": lost, **errors.summary()}


def several_at_a_time(views: int, count: int) -> list[range]:
    """All views of a moment in groups of about `count`, none of one alone."""
    groups = max(1, min(-(-views // count), views // LEAST_VIEWS))
    ends = np.linspace(0, views, groups + 1).round().astype(int)
    return [range(int(start), int(end)) for start, end in pairwise(ends)]


def fused(
    backend: Backend, told: Mapping[str, Array], truth: Mapping[str, Array], rows: range
) -> tuple[Array, Array, Array]:
    """Joints (N, 21, 3) and vertices (N, V, 3) in the frame of each crop [m] and rotations (N, 3, 3), from some of the
    views that stage `encode` answered for."""
    most = next(int(spec.shape[1]) for spec in backend.bundle.stages[FUSE].inputs if spec.name == "views_known")
    given = {name: told[name] for name in KEPT} | {name: truth[name] for name in Rig._fields}
    inputs = {}
    for name, value in given.items():
        filled = np.zeros((1, most, *value.shape[1:]), np.float32)
        filled[0, : len(rows)] = value[rows.start : rows.stop]
        inputs[f"views_{name}"] = filled
    answer = backend.infer(FUSE, inputs)
    rotation = answer["rotation"][0, : len(rows)].copy()
    to_crop = rotation.transpose(0, 2, 1)
    return answer["joints"] @ to_crop, answer["vertices"] @ to_crop, rotation


def _moments(backend: Backend, data: Sequence[Path], limit: int | None) -> Iterator[ArrayDict]:
    """The views of each moment as crops, at most eight, in the order of the cameras."""
    config = backend.bundle.manifest["config"]
    chosen = shown_unchanged(config["size"], config["trunk"], MOST_VIEWS)
    for dataset, number in _numbers(data, config["size"], limit):
        seen = dataset.seen(number)[:MOST_VIEWS]
        yield MomentBatches(dataset, chosen, 0, 1).views_of(seen, len(seen), np.random.default_rng(0))


def _numbers(data: Sequence[Path], crop_px: int, limit: int | None) -> Iterator[tuple[InstantDataset, int]]:
    """Moments of folders, or so many of them spread evenly."""
    datasets = [open_instants([Path(path)], crop_px) for path in data]
    places = [(dataset, number) for dataset in datasets for number in dataset.first(len(dataset))]  # type: ignore[arg-type]
    spread = np.linspace(0, len(places) - 1, min(len(places), limit or len(places))).astype(int)
    for k in tqdm(spread, unit="moment"):
        dataset, number = places[k]
        assert isinstance(dataset, InstantDataset)
        yield dataset, number


def _mean(values: NDArray[Any]) -> float | None:
    return round(float(values.mean()), 4) if values.size else None
