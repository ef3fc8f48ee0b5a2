import json

import pytest

from prehend.backends import open_backend
from prehend.errors import AssetError
from prehend_training.cli.main import main
from prehend_training.evaluate.network import open_measured
from prehend_training.evaluate.views import evaluate_views, several_at_a_time
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
