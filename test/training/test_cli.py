import json

import cv2
import pytest

from prehend_training import cli


def test_show_draws_a_sheet(crops, frames, tmp_path):
    for data, columns in ((crops, 3), (frames, 2)):
        out = tmp_path / f"{columns}.png"
        assert cli.main(["show", str(data), "--out", str(out), "--count", "5", "--columns", str(columns)]) == 0
        height, width = cv2.imread(str(out)).shape[:2]
        assert width // columns == height // -(-5 // columns)


def test_train_evaluate_export_end_to_end(crops, tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "tiny"
    assert cli.main(["train", "debug-unihope", str(run), "--data", str(crops), "--steps", "2", "--threads", "1"]) == 0
    assert cli.main(["export", str(run), "--out", str(out)]) == 1
    assert "evaluate" in capsys.readouterr().err
    assert cli.main(["evaluate", str(run), "--data", str(crops), "--limit", "8"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert cli.main(["export", str(run), "--out", str(out)]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["measured"] == report and manifest["samples_seen"] == 4


def test_a_failure_is_one_line_and_exit_code_1(tmp_path, capsys):
    assert cli.main(["show", str(tmp_path), "--out", "x.png"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit) as wrong_use:
        cli.main(["train", "unihope-s", str(tmp_path), "--data", str(tmp_path)])
    assert wrong_use.value.code == 2
