import json

import numpy as np
import pytest

from prehend.backends import open_backend
from prehend.errors import AssetError
from prehend_training.cli.main import main
from prehend_training.evaluate.films.through_time import evaluate_through_time
from prehend_training.evaluate.network import open_measured
from prehend_training.train.export import export_run
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, train_run


@pytest.fixture(scope="module")
def run(crops, tmp_path_factory):
    """A network that has not learnt to draw on several frames yet."""
    folder = tmp_path_factory.mktemp("run") / "frame"
    train_run(Training(preset("debug-h2onet-frame"), [crops], folder, Budget(steps=2)), Machine(threads=1))
    return folder


def test_crops_are_windows_of_one_frame(run, crops):
    report = evaluate_through_time(open_measured(run).backend, [crops], 10)
    assert report["hands"] == 10 and "fused" not in report
    assert 0 <= report["parts_right"] <= 1
    single = report["single"]
    assert 0 < single["aligned_joint_error_mm"] < single["joint_error_mm"] < 200
    groups = single["finger_joint_error_by_hidden"]
    assert sum(group["fingers"] for group in groups.values()) == 50  # five of each hand
    assert groups["25%-50%"]["fingers"] == 50  # made-up hands have 40 of 100 vertices hidden


def test_without_learnt_fusion_three_frames_share_the_turn_and_nothing_else(run, films):
    report = evaluate_through_time(open_measured(run).backend, [films], 12)
    assert report["hands"] == 12
    fused, single = report["fused"], report["single"]
    assert fused["aligned_joint_error_mm"] == pytest.approx(single["aligned_joint_error_mm"], abs=1e-3)
    assert fused["rotation_error_deg"] != single["rotation_error_deg"]
    groups = report["single"]["finger_joint_error_by_hidden"]
    assert groups["0%-25%"]["fingers"] >= 48 and groups["75%-100%"]["fingers"] > 0  # an index finger by turns
    weighed = sum(group["fingers"] * group["joint_error_mm"] for group in groups.values() if group["fingers"])
    assert np.isfinite(weighed)


def test_the_verb_notes_what_export_wants(run, films, tmp_path, capsys):
    assert main(["evaluate", str(run), "--data", str(films), "--limit", "4"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((run / "measured.json").read_text()) == printed
    bundle = export_run(run, tmp_path / "h2onet")
    assert bundle.manifest["measured"] == printed
    exported = evaluate_through_time(open_backend("onnx", bundle, threads=1), [films], 4)
    assert exported["single"]["joint_error_mm"] == pytest.approx(printed["single"]["joint_error_mm"], abs=0.05)
    assert main(["evaluate", str(run), "--frames", str(films)]) == 1


def test_folders_of_two_kinds_are_refused(run, crops, films):
    with pytest.raises(AssetError, match="one kind"):
        evaluate_through_time(open_measured(run).backend, [crops, films])
