"""Evaluation on answers made from the truth: a perfect network passes through the real crop, decoder and pipeline."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import dataset_writers as writers
import numpy as np
import pytest
import torch
from fake import box_of
from safetensors.torch import save_file

from prehend.errors import AssetError, UnknownName
from prehend.eval.cases import table_of
from prehend.eval.papers.protocols import PROTOCOLS
from prehend.eval.papers.report import column_of
from prehend.geometry.camera import project
from prehend.geometry.control_points import control_points
from prehend.hand_model.skinning import skin
from prehend.pipeline.crops.crop import region_of
from prehend.types import Box, Camera
from prehend_training.cli import main as cli
from prehend_training.evaluate.crops import CropReader, score_labelled
from prehend_training.evaluate.frames import FramePipeline, match_boxes, score_frames
from prehend_training.evaluate.labels import Labels, must_be_found, surface_points
from prehend_training.evaluate.reports import (
    evaluate_crops,
    evaluate_dataset,
    evaluate_frames,
    frame_columns,
    open_measured,
    write_report,
)
from prehend_training.objects.catalogue import catalogue
from prehend_training.sample import FrameId, HandLabel, ObjectLabel, Sample
from prehend_training.train.presets import preset

sys.path[:0] = [str(Path(__file__).parents[2] / "pipeline")]

from oracles import Oracle, OracleFinder  # noqa: E402
from true_hands import EXTENTS, HEIGHT, MODELS, WIDTH, make_hand, ramp  # noqa: E402

pytest_plugins = ("dataset_fixtures",)

CAMERA = Camera(np.array([[260.0, 0, 131], [0, 255, 92], [0, 0, 1]]), WIDTH, HEIGHT)
SCENES = PROTOCOLS["scenes"]


def label_of(hand, index):
    joints = hand.joints.astype(np.float64)
    keypoints = project(joints, CAMERA)
    model = MODELS[hand.side].without_forearm()
    vertices = skin(model, hand.rotations, hand.betas, hand.translation).vertices
    none = np.zeros(6, np.int64)
    return HandLabel(
        hand.side, hand.rotations, hand.betas, joints, vertices, keypoints, box_of(keypoints), np.ones(21, bool), 0.7,
        none, none, hand.grasp, hand.grasp, None, index,
    )  # fmt: skip


def sample_of(hands):
    """The image of some hands with their true labels; a brick is in those that grasp."""
    labels, things = [], []
    for hand in hands:
        held = len(things) if hand.grasp else None
        labels.append(label_of(hand, held))
        if held is not None:
            T = hand.T_camera_object
            points = control_points(EXTENTS) @ T[:3, :3].T + T[:3, 3]
            pixels = project(points, CAMERA)
            things.append(ObjectLabel("box", T, EXTENTS, np.zeros(3), points, pixels, box_of(pixels)))
    frame_id = FrameId("oracle", 0, 0)
    return Sample(ramp(), None, CAMERA, np.eye(4), tuple(labels), tuple(things), None, frame_id)


@pytest.fixture
def hands():
    return [make_hand("right", 0.12, 1, grasp=True), make_hand("left", -0.12, 2, grasp=False)]


@pytest.fixture
def oracle(hands):
    oracle = Oracle(CAMERA)
    oracle.scene = hands
    return oracle


def crop_column(oracle, sample, **options):
    return column_of(table_of(score_labelled(CropReader(oracle, **options), [sample], Labels(SCENES)).hands), SCENES)


def test_the_truth_as_an_answer_scores_full_marks_on_crops(hands, oracle):
    column = crop_column(oracle, sample_of(hands))
    for scene, count in (("all", 2), ("hand-only", 1), ("hand-object", 1)):
        group = column["scenes"][scene]
        assert (group["hands"], group["answered"]) == (count, 100)
        assert max(group["j_pe_mm"], group["v_pe_mm"], group["pa_j_pe_mm"]) < 0.1 and group["pa_f5"] == 100
        assert group["absolute_j_pe_mm"] < 2 and group["rotation_error_deg"] < 0.1
        assert group["keypoint_error_box"] < 5e-3  # the ramp is rounded
    assert column["grasp"] == {"hands": 2, "accuracy": 100, "precision": 100, "recall": 100, "f1": 100}
    assert column["occlusion"]["25-50"]["hands"] == 2
    thing = column["objects"]["by_object"]["box"]
    assert (thing["samples"], thing["add_0.1d"], thing["reprojection_5px"]) == (1, 100, 100)


def test_a_batch_gives_what_single_hands_give(hands, oracle):
    sample = sample_of(hands)
    tables = [table_of(score_labelled(CropReader(oracle), [sample], Labels(SCENES), batch=n).hands) for n in (1, 32)]
    assert {("hand", 1), ("hand", 2), ("encode", 2)} <= set(oracle.batches)
    for name in ("j_pe", "absolute", "add", "said_grasp"):
        np.testing.assert_allclose(tables[0][name], tables[1][name], atol=1e-6)


def test_an_object_is_posed_even_where_the_switcher_denies_the_grasp(hands, oracle):
    sample = sample_of(hands)
    oracle.scene = [replace(hands[0], grasp=False), hands[1]]
    thing = crop_column(oracle, sample)["objects"]["all"]
    assert (thing["add_0.5d"], thing["add_0.5d_if_said"]) == (100, 0)
    assert not oracle.told[0].any(), "the fusion follows the switcher"
    oracle.told.clear()
    crop_column(oracle, sample, always_fuses=True)
    assert oracle.told[0].all()


def test_known_errors_come_out_as_they_went_in(hands, oracle):
    sample = sample_of(hands[1:])
    label = sample.hands[0]
    shift = 0.03

    def spoil(stage, outputs):
        if stage == "hand":
            outputs["keypoints"] += np.array([shift, 0], np.float32)

    oracle.spoil = spoil
    group = crop_column(oracle, sample)["scenes"]["all"]
    # the network answers in units of the turned box, the error is in units of the labelled one
    longer = max(label.box_px[2:] - label.box_px[:2])
    assert group["keypoint_error_box"] == pytest.approx(shift * region_of(label.keypoints_px).width / longer, abs=1e-3)
    assert group["j_pe_mm"] < 0.1 and group["absolute_j_pe_mm"] > 1, "the pose is right, its place is not"


def test_an_answer_of_no_numbers_is_no_answer(hands, oracle):
    oracle.spoil = lambda stage, outputs: outputs["betas"].fill(np.nan) if stage == "hand" else None
    column = crop_column(oracle, sample_of(hands))
    assert column["answered"] == 0 and column["scenes"]["all"]["j_pe_mm"] is None
    assert column["objects"]["all"]["add_0.5d"] == 0


def frames_of(oracle, sample, **options):
    pipeline = FramePipeline(oracle, OracleFinder(oracle))
    return frame_columns(score_frames(pipeline, [sample], Labels(SCENES), **options), SCENES)


def test_both_columns_are_perfect_for_a_perfect_pipeline(hands, oracle):
    columns = frames_of(oracle, sample_of(hands))
    assert list(columns) == ["boxes", "boxes_found", "detector"]
    assert columns["detector"]["search"] == {"frames": 1, "found": 100, "false_hands_per_frame": 0}
    assert columns["detector"]["side_accuracy"] == 100 and columns["boxes"]["side_accuracy"] is None
    for column in columns.values():
        assert column["scenes"]["all"]["j_pe_mm"] < 0.1 and column["objects"]["all"]["add_0.1d"] == 100
        assert column["grasp"]["f1"] == 100


def test_misses_wrong_sides_and_false_hands_are_told(hands, oracle):
    sample = sample_of(hands)
    ghost = make_hand("right", -0.12, 5)
    oracle.scene = hands[:1]
    other_side = replace(sample, hands=(replace(sample.hands[0], side="left"), sample.hands[1]))
    columns = frames_of(oracle, other_side)
    assert columns["detector"]["search"] == {"frames": 1, "found": 50, "false_hands_per_frame": 0}
    assert (columns["detector"]["hands"], columns["boxes_found"]["hands"]) == (2, 1)
    assert columns["detector"]["side_accuracy"] == 0
    oracle.scene = [hands[0], ghost]
    only_right = replace(sample, hands=sample.hands[:1])
    assert frames_of(oracle, only_right)["detector"]["search"]["false_hands_per_frame"] == 1
    # a hand that need not be found excuses the answer at its place
    hidden = replace(label_of(ghost, None), visible_ratio=0.05)
    both = replace(sample, hands=(sample.hands[0], hidden))
    columns = frames_of(oracle, both)
    assert columns["detector"]["search"]["false_hands_per_frame"] == 0 and columns["detector"]["hands"] == 1


def test_each_box_is_matched_once_the_best_first():
    boxes = [Box(0, 0, 10, 10), Box(2, 0, 12, 10), Box(50, 50, 60, 60)]
    assert match_boxes(boxes[:2], boxes) == {0: 0, 1: 1}
    assert match_boxes(boxes[:2], [Box(1.5, 0, 11.5, 10)]) == {1: 0}
    assert match_boxes(boxes[:1], boxes[2:]) == {}


def test_hands_out_of_sight_need_not_be_found(hands):
    sample = sample_of(hands)
    hand = sample.hands[0]
    assert must_be_found(sample, hand) and must_be_found(sample, replace(hand, visible_ratio=float("nan")))
    assert not must_be_found(sample, replace(hand, visible_ratio=0.1))
    assert not must_be_found(sample, replace(hand, keypoints_px=hand.keypoints_px + 300))


def test_surface_points_are_spread_evenly_and_fill_the_label_s_box():
    mesh = catalogue()["box"].mesh()
    points = surface_points(mesh, 4000)
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    assert (points >= low - 1e-9).all() and (points <= high + 1e-9).all()
    corners = mesh.vertices[mesh.faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    upper = (corners.mean(1)[:, 2] > 0) @ areas / areas.sum()
    assert abs((points[:, 2] > 0).mean() - upper) < 0.03
    sample = sample_of([make_hand("right", 0.0, 1, grasp=True)])
    labels = Labels(SCENES)
    stretched = labels.points(sample.objects[0])
    np.testing.assert_allclose(np.ptp(stretched, axis=0), EXTENTS, rtol=0.02)
    assert labels.points(replace(sample.objects[0], object_id="unheard_of")) is None
    assert labels.is_symmetric("apple") and not labels.is_symmetric("unheard_of")


@pytest.fixture(scope="module")
def shipped():
    return open_measured("unihope-s")


def test_shards_become_a_report_and_a_summary(shipped, crops, tmp_path):
    pytest.importorskip("matplotlib")
    report, summary = evaluate_crops(shipped, [crops, crops], limit=26)
    assert report["columns"]["boxes"]["hands"] == summary["samples"] == 26
    assert json.loads(json.dumps(summary)) == summary and summary["joint_error_mm"] > 1
    wanted = {"aligned_joint_error_mm", "keypoint_error_box", "rotation_error_deg", "grasp", "presence"}
    assert wanted <= summary.keys() and 0 <= summary["presence"]["accuracy"] <= 1
    paths = write_report(report, tmp_path)
    assert [path.name for path in paths] == ["report.json", "report.csv", "tables.md", "pck.png", "occlusion.png"]
    assert json.loads(paths[0].read_text()) == report and "labelled boxes" in paths[2].read_text()


def test_whole_pictures_become_a_report(shipped, frames):
    report = evaluate_frames(shipped, [frames], limit=4)
    assert report["detector"]["name"] == "palm" and report["columns"]["detector"]["search"]["frames"] == 4
    assert report["columns"]["boxes"]["hands"] == report["columns"]["detector"]["hands"] > 0
    assert "search" not in report["columns"]["boxes"]


def test_a_dataset_is_measured_by_its_protocol(shipped, small_dexycb, mano):
    report = evaluate_dataset(shipped, "dexycb", small_dexycb, "all", mano=mano)
    column = report["columns"]["boxes"]
    assert (report["protocol"], report["data"]["published_split"]) == ("dexycb-s0", False)
    # each of the two cameras sees the hand come near, then hold the box, which has moved by less than 50 mm
    assert column["scenes"]["all"]["hands"] == 4 and column["scenes"]["hand-object"]["hands"] == 0
    assert column["scenes"]["all"]["v_pe_mm"] > 0, "the answer is on the user's MANO"
    plain = evaluate_dataset(shipped, "dexycb", small_dexycb, "all", limit=4)["columns"]["boxes"]
    assert plain["scenes"]["all"]["v_pe_mm"] is None and plain["scenes"]["all"]["j_pe_mm"] > 0


def test_every_reader_has_a_protocol_that_its_samples_fit(shipped, freihand, tmp_path):
    report = evaluate_dataset(shipped, "freihand", freihand[0], "evaluation", sources=("true", "detector"), limit=2)
    assert report["protocol"] == "freihand" and report["columns"]["boxes"]["scenes"].keys() == {"all"}
    assert report["columns"]["boxes"]["objects"]["all"]["samples"] == 0
    writers.write_ho3d(tmp_path, "v3")
    ho3d = evaluate_dataset(shipped, "ho3d_v3", tmp_path, "train", limit=3)["columns"]["boxes"]
    assert (
        ho3d["scenes"]["all"]["hands"] == ho3d["scenes"]["hand-only"]["hands"] + ho3d["scenes"]["hand-object"]["hands"]
    )


def test_a_run_is_measured_without_exporting_it(tmp_path):
    chosen = preset("debug-unihope")
    torch.manual_seed(0)
    network = chosen.build().eval()
    (tmp_path / "run.json").write_text(json.dumps({"preset": chosen.name}))
    with pytest.raises(AssetError, match="no checkpoint"):
        open_measured(tmp_path)
    (tmp_path / "checkpoint").mkdir()
    save_file(dict(network.state_dict()), tmp_path / "checkpoint" / "averaged.safetensors")
    measured = open_measured(tmp_path)
    image = np.random.default_rng(0).random((2, 3, chosen.config.size, chosen.config.size), np.float32)
    said = measured.backend.infer("encode", {"image": image})
    stage = network.stages()["encode"]
    with torch.inference_mode():
        wanted = getattr(network, stage.method)(torch.from_numpy(image))
    for name, array in zip(stage.outputs, wanted, strict=True):
        np.testing.assert_allclose(said[name], array.numpy(), atol=1e-5)
    assert measured.run == tmp_path and not measured.is_detector
    with pytest.raises(UnknownName):
        open_measured("unihope-xxl")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("evaluate unihope-s", "nothing to measure on"),
        ("evaluate unihope-s --data {0} --limit 0", "must be positive"),
        ("evaluate palm --frames {1}", "a detector alone is measured on --data"),
        ("evaluate unihope-s --data {1}", "expected folders of crops"),
        ("evaluate unihope-s --frames {0}", "not crops"),
        ("evaluate unihope-s --dataset coco", "unknown dataset 'coco'"),
    ],
)
def test_wrong_use_is_explained(arguments, message, crops, frames, capsys):
    assert cli.main(arguments.format(crops, frames).split()) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error


def test_the_command_prints_tables_and_writes_files(crops, frames, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    options = f"--data {crops} --frames {frames} --boxes true --limit 3 --out {tmp_path}"
    assert cli.main(["evaluate", "unihope-s", *options.split()]) == 0
    printed = capsys.readouterr().out
    assert printed.count("## Hand pose by scene") == 2 and "| **unihope-s**, labelled boxes" in printed
    assert {path.name for path in tmp_path.glob("*/*")} >= {"report.json", "report.csv", "pck.png"}
    assert cli.main(["evaluate", "palm", "--data", str(frames), "--limit", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 2
