"""Measures of a trained network on images it has not seen, by the protocols of `prehend.eval`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from prehend.backends import open_backend
from prehend.errors import AssetError, InvalidInput
from prehend.eval.cases import table_of
from prehend.eval.metrics import classification
from prehend.eval.papers.plots import draw_plots
from prehend.eval.papers.protocols import PROTOCOLS, Protocol, is_published_split, protocol_of_dataset
from prehend.eval.papers.report import SCHEMA, column_of, write_csv, write_json
from prehend.eval.papers.tables import markdown
from prehend.files import replace_text
from prehend.hand_model import HandModel
from prehend.weights import load_bundle
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.datasets import Dataset, GraspRule, open_dataset
from prehend_training.evaluate.crops import ABSENT_EVERY, CropReader, CropScores, absent_presence, score_labelled
from prehend_training.evaluate.detector import evaluate_detector
from prehend_training.evaluate.films.through_time import evaluate_through_time
from prehend_training.evaluate.frames import BoxSource, FramePipeline, FrameScores, score_frames
from prehend_training.evaluate.labels import Labels, Samples, Shards
from prehend_training.evaluate.network import Measured, open_measured
from prehend_training.storage.shards import ShardFolder, commit

Report = dict[str, Any]


def evaluate_run(run: Path, data: Path, limit: int | None = None) -> Report:
    """Measure the averaged weights of a run on a folder of shards.

    Args:
        run: folder of the run.
        data: folder of crops, frames or sequences, as the preset trains on, rendered with another seed.
        limit: largest number of samples.

    Returns:
        What was measured in few numbers, see `crop_summary` and `detector_report`.
    """
    measured = open_measured(run)
    if measured.is_detector:
        return evaluate_detector(measured.backend, [data], limit)
    if measured.sees_through_time:
        return evaluate_through_time(measured.backend, [data], limit)
    return evaluate_crops(measured, [data], limit).summary


class CropEvaluation(NamedTuple):
    """A report by the protocol, and the same in few numbers."""

    report: Report
    summary: Report


def evaluate_crops(measured: Measured, data: Sequence[Path], limit: int | None = None) -> CropEvaluation:
    """Run a crop network over rendered crops with true boxes.

    Args:
        measured: a crop network.
        data: folders of crops, and of places without a hand, on which presence is told apart.
        limit: largest number of crops, and of places.

    Raises:
        AssetError: a folder cannot be read, or there are no crops.
    """
    kinds = {path: ShardFolder.open(Path(path)).kind for path in data}
    places = [path for path in data if kinds[path] == "places"]
    data = [path for path in data if kinds[path] != "places"]
    dataset, samples, chosen = ShardDataset(data, "crops"), Shards(data), PROTOCOLS["scenes"]
    count = min(len(samples), limit or len(samples))
    reader = CropReader(measured.backend, always_fuses=measured.always_fuses)
    scores = score_labelled(reader, samples, Labels(chosen), count)
    absent = absent_presence(reader, dataset, range(0, count, ABSENT_EVERY))
    report = _report(measured, chosen, _scene_data("rendered crops", data, count))
    report["columns"] = {"boxes": column_of(table_of(scores.hands), chosen)}
    truth = np.arange(len(scores.present) + len(absent)) < len(scores.present)
    report["presence"] = _rounded(classification(truth, np.array([*scores.present, *absent]) >= 0.5))
    if places:
        mistaken = ShardDataset(places, "crops")
        said = absent_presence(reader, mistaken, range(min(len(mistaken), limit or len(mistaken))))
        taken = round(float(np.mean(np.array(said) >= 0.5)), 4)
        report["places"] = {"places": len(said), "taken_for_hands": taken}
    return CropEvaluation(report, crop_summary(report, scores))


def crop_summary(report: Report, scores: CropScores) -> Report:
    """Few numbers of a report on crops: root-relative, nothing aligned unless it says so; shares from 0 to 1."""
    column = report["columns"]["boxes"]
    every, things, grasp = column["scenes"]["all"], column["objects"]["all"], column["grasp"]

    def share(percent: float | None) -> float | None:
        return None if percent is None else round(percent / 100, 4)

    return {
        "samples": column["hands"],
        "joint_error_mm": every["j_pe_mm"],
        "joint_error_median_mm": every["j_pe_median_mm"],
        "aligned_joint_error_mm": every["pa_j_pe_mm"],
        "vertex_error_mm": every["v_pe_mm"],
        "aligned_vertex_error_mm": every["pa_v_pe_mm"],
        "absolute_joint_error_median_mm": every["absolute_j_pe_median_mm"],
        "joint_auc": share(every["j_auc"]),
        "f5": share(every["f5"]),
        "f15": share(every["f15"]),
        "keypoint_error_box": every["keypoint_error_box"],
        "rotation_error_deg": every["rotation_error_deg"],
        "visibility_accuracy": share(every["visibility_accuracy"]),
        "grasp": {name: share(value) for name, value in grasp.items() if name != "hands"},
        "presence": report["presence"],
        **({"places": report["places"]} if "places" in report else {}),
        "side_accuracy": round(float(np.mean(scores.sides)), 4) if scores.sides else None,
        "object_error_of_diagonal": round(float(np.mean(scores.object_errors)), 4) if scores.object_errors else None,
        "object_add_0.1d": share(things["add_0.1d"]),
        "object_add_0.5d": share(things["add_0.5d"]),
        "joint_error_mm_by_scene": {scene: group["j_pe_mm"] for scene, group in column["scenes"].items()},
        "joint_error_mm_by_hidden": {bin_: group["j_pe_mm"] for bin_, group in column["occlusion"].items()},
    }


def evaluate_frames(
    measured: Measured,
    data: Sequence[Path],
    sources: Sequence[BoxSource] = ("true", "detector"),
    detector: str = "palm",
    limit: int | None = None,
) -> Report:
    """Run the whole pipeline over rendered images with any number of hands.

    Args:
        measured: a crop network.
        data: folders of frames, views or sequences.
        sources: where boxes come from.
        detector: weights of the detector, by name or folder.
        limit: largest number of images.

    Raises:
        AssetError: a folder cannot be read or holds crops.
    """
    samples, chosen = Shards(data), PROTOCOLS["scenes"]
    crops = [str(folder.path) for folder in samples.folders if folder.kind == "crops"]
    if crops:
        raise AssetError(f"{', '.join(crops)}: expected whole images, not crops")
    report = _report(measured, chosen, _scene_data("rendered images", data, min(len(samples), limit or len(samples))))
    _fill_frames(report, measured, samples, Labels(chosen), sources, detector, limit, None)
    return report


def evaluate_dataset(
    measured: Measured,
    name: str,
    root: Path | None = None,
    split: str | None = None,
    sources: Sequence[BoxSource] = ("true",),
    mano: Path | None = None,
    models: Path | None = None,
    detector: str = "palm",
    limit: int | None = None,
) -> Report:
    """Measure on a real dataset by its protocol.

    Args:
        measured: a crop network.
        name: of the dataset's reader.
        root: its folder, None for its environment variable.
        split: of the reader, None for the one the papers measure on.
        sources: where boxes come from. With labelled boxes alone the network sees every hand in the batch, as in the
            papers; with the detector the whole pipeline runs, on both.
        mano: folder of the user's MANO files; without it there are no meshes and no vertex measures.
        models: folder of the YCB models; None for DexYCB's own, and for no ADD with HO-3D.
        detector: weights of the detector.
        limit: largest number of images.
    """
    split = split or TEST_SPLIT.get(name)
    chosen = protocol_of_dataset(name, split or "")
    rule = {} if chosen.grasp_move_m is None else {"rule": GraspRule(translation_m=chosen.grasp_move_m)}
    samples = open_dataset(name, root, split, mano, **rule)
    if models is None and name == "dexycb":
        models = samples.root / "models"
    labels = Labels(chosen, models or samples.root, samples.hand_model)
    count = min(len(samples), limit or len(samples))
    hand_model = samples.hand_model("right")
    report = _report(measured, chosen, _dataset_data(chosen, name, samples, count))
    if "detector" in sources:
        _fill_frames(report, measured, samples, labels, sources, detector, limit, hand_model)
        return report
    reader = CropReader(measured.backend, hand_model, measured.always_fuses)
    scores = score_labelled(reader, samples, labels, limit)
    report["columns"] = {"boxes": column_of(table_of(scores.hands), chosen)}
    return report


TEST_SPLIT = {
    "dexycb": "s3_test",
    "ho3d_v2": "evaluation",
    "ho3d_v3": "evaluation",
    "freihand": "evaluation",
    "hanco": "test",
}
"""The split that is measured on where none is named."""


def _report(measured: Measured, chosen: Protocol, data: Report) -> Report:
    return {
        "schema": SCHEMA,
        "protocol": chosen.name,
        "data": data,
        "model": measured.describe(),
        "commit": commit(),
        "columns": {},
    }


def _scene_data(title: str, data: Sequence[Path], pictures: int) -> Report:
    folders = [folder.description for folder in Shards(data).folders]
    named = [{key: one.get(key) for key in ("kind", "seed", "size_px", "commit")} for one in folders]
    seeds = ", ".join(str(one["seed"]) for one in named)
    full_title = f"{pictures} {title} (seed {seeds})"
    return {"title": full_title, "pictures": pictures, "folders": named, "published_split": False}


def _dataset_data(chosen: Protocol, name: str, samples: Dataset, pictures: int) -> Report:
    whole = pictures == len(samples)
    title = f"{chosen.title}: {samples.split}" + ("" if whole else f", {pictures} images evenly spread")
    published = whole and is_published_split(name, samples.split)
    return {
        "title": title,
        "pictures": pictures,
        "dataset": name,
        "split": samples.split,
        "published_split": published,
    }


def _fill_frames(
    report: Report,
    measured: Measured,
    samples: Samples,
    labels: Labels,
    sources: Sequence[BoxSource],
    detector: str,
    limit: int | None,
    hand_model: HandModel | None,
) -> None:
    """Put the columns of whole images into a report."""
    if measured.always_fuses:
        raise InvalidInput("a network that always fuses is no part of the pipeline: measure it on crops")
    backend = None
    if "detector" in sources:
        bundle = load_bundle(detector)
        backend = open_backend("onnx", bundle)
        report["detector"] = {"name": bundle.name, "weights_sha256": bundle.weights_sha256}
    scores = score_frames(FramePipeline(measured.backend, backend, hand_model), samples, labels, sources, limit)
    report["columns"] = frame_columns(scores, labels.protocol)


def frame_columns(scores: FrameScores, chosen: Protocol) -> Report:
    """Columns of whole images: labelled boxes, the same over the hands that were found, and the detector's."""
    columns: Report = {}
    if scores.boxes:
        columns["boxes"] = column_of(table_of(scores.boxes), chosen)
    if scores.boxes and any(scores.found):
        both = [row for row, found in zip(scores.boxes, scores.found, strict=True) if found]
        columns["boxes_found"] = column_of(table_of(both), chosen)
    if scores.detector:
        columns["detector"] = column_of(table_of(scores.detector), chosen)
        columns["detector"]["search"] = {
            "frames": scores.frames,
            "found": round(100 * float(np.mean(scores.found)), 2),
            "false_hands_per_frame": round(scores.false_hands / scores.frames, 4),
        }
    if not columns:
        raise InvalidInput("the images show no hand that must be found")
    return columns


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write report.json, report.csv, tables.md and the plots; their paths.

    Raises:
        MissingDependency: matplotlib is not installed; the other files are then written already.
        OutputError: a file cannot be written.
    """
    paths = [write_json(report, folder / "report.json"), write_csv(report, folder / "report.csv")]
    tables = folder / "tables.md"
    replace_text(tables, markdown(report))
    return [*paths, tables, *draw_plots(report, folder)]


def _rounded(values: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 4) for name, value in values.items()}
