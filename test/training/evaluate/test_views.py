import json
from types import MappingProxyType

import numpy as np
import pytest

from prehend.backends import open_backend
from prehend.conventions import SIDES
from prehend.errors import AssetError
from prehend.eval.cases import HandAnswer
from prehend.hand_model.asset import load_hand_model
from prehend_training.cli.main import main
from prehend_training.evaluate.crops import CropAnswer, CropReader
from prehend_training.evaluate.network import open_measured
from prehend_training.evaluate.views import evaluate_crop_views, evaluate_views, several_at_a_time
from prehend_training.storage.shards import ShardFolder
from prehend_training.train.export import export_run
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, train_run


@pytest.fixture(scope="module")
def runs(moments, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name in ("views", "plain"):
        training = Training(preset(f"debug-sima-{name}"), [moments], folder / name, Budget(steps=2))
        train_run(training, Machine(threads=1))
    return folder


def test_every_view_is_a_hand_and_stands_in_its_bin(runs, moments):
    report = evaluate_views(open_measured(runs / "plain").backend, [moments])
    assert (report["moments"], report["hands"]) == (6, 30) and "views" not in report
    groups = report["by_hidden"]
    assert groups["0-25"]["hands"] == 18 and groups["50-100"]["hands"] == groups["50-75"]["hands"] == 12
    assert groups["75-100"] == {"hands": 0, "joint_error_mm": None, "aligned_joint_error_mm": None}
    assert 0 < report["aligned_joint_error_mm"] < report["joint_error_mm"] < 250


def test_a_teacher_is_measured_from_fewer_views_too(runs, moments):
    report = evaluate_views(open_measured(runs / "views").backend, [moments], 3)
    counts = {count: some["hands"] for count, some in report["views"].items()}
    assert counts == {"2": 15, "4": 15, "8": 15}
    assert report["joint_error_mm"] == report["views"]["8"]["joint_error_mm"]


def test_a_crop_network_is_measured_on_the_same_hands(runs, moments, tmp_path):
    train_run(Training(preset("debug-unihope-s-views-plain"), [moments], tmp_path, Budget(steps=1)), Machine(threads=1))
    reader = CropReader(open_measured(tmp_path).backend)
    report = evaluate_crop_views(reader, [moments])
    other = evaluate_views(open_measured(runs / "plain").backend, [moments])
    assert report.keys() - other.keys() == {"lost"} and report["lost"] == 0
    assert report["hands"] == other["hands"] and report["moments"] == other["moments"]
    assert {name: some["hands"] for name, some in report["by_hidden"].items()} == {
        name: some["hands"] for name, some in other["by_hidden"].items()
    }
    assert 0 < report["aligned_joint_error_mm"] < report["joint_error_mm"] < 250
    assert 0 < report["rotation_error_deg"] < 180


class KnowsLabels:
    """Answers with the labels, whose meshes lie in the folder."""

    crop_size = 64
    models = MappingProxyType({side: load_hand_model(side=side).without_forearm() for side in SIDES})

    def __init__(self, path):
        folder = ShardFolder.open(path)
        self.hands = [hand for row in range(len(folder)) for hand in folder.sample(row, "none").hands]

    def answers(self, batch):
        return [CropAnswer(self._answer(one.hand), None, 1.0, 0.0) for one in batch]

    def _answer(self, label):
        hand = min(self.hands, key=lambda other: np.abs(other.joints_m - label.joints_m).sum())
        return HandAnswer(hand.joints_m, hand.vertices_m, True, turn_error_rad=0.0)


def test_the_labels_are_an_answer_without_error(moments):
    """Of left hands and of right ones, in the camera's frame."""
    report = evaluate_crop_views(KnowsLabels(moments), [moments])
    for name in ("joint_error_mm", "aligned_joint_error_mm", "vertex_error_mm", "aligned_vertex_error_mm"):
        assert report[name] < 0.1, name


@pytest.mark.parametrize("views", range(2, 9))
@pytest.mark.parametrize("count", [2, 4, 8])
def test_groups_of_views_are_all_of_them_and_none_is_alone(views, count):
    groups = several_at_a_time(views, count)
    assert [row for group in groups for row in group] == list(range(views))
    assert all(2 <= len(group) <= max(count, 3) for group in groups)


def test_the_verb_notes_what_export_wants_and_the_export_measures_alike(runs, moments, tmp_path, capsys):
    for name in ("plain", "views"):
        assert main(["evaluate", str(runs / name), "--data", str(moments), "--limit", "2"]) == 0
        printed = json.loads(capsys.readouterr().out)
        bundle = export_run(runs / name, tmp_path / name)
        assert bundle.manifest["measured"] == printed
        exported = evaluate_views(open_backend("onnx", bundle, threads=1), [moments], 2)
        assert exported["aligned_joint_error_mm"] == pytest.approx(printed["aligned_joint_error_mm"], abs=0.05)
    assert main(["evaluate", str(runs / "plain"), "--frames", str(moments)]) == 1


def test_other_pictures_are_refused(runs, crops):
    with pytest.raises(AssetError, match="--kind views"):
        evaluate_views(open_measured(runs / "plain").backend, [crops])
