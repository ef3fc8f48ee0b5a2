import json

import pytest

from prehend.cli.assets.doctor_checks import all_checks
from prehend.cli.assets.models import accuracy, measured_lines
from prehend.cli.main import main
from prehend.weights import available


def test_measurements_of_any_depth_are_lines():
    measured = {"held_out": {"pa_mm": 8.25, "n": 100}, "note": "own boxes"}
    assert measured_lines(measured) == ["held_out pa_mm 8.25", "held_out n 100", "note own boxes"]


def test_the_accuracy_of_a_manifest_is_one_line():
    assert accuracy({"joint_error_mm": 22.57, "aligned_joint_error_mm": 9.21}) == "joints 22.6 mm off, 9.2 aligned"
    sets = {"threshold": 0.4, "a": {"found": 0.5, "false": 0.02}, "b": {"found": 1.0}, "cards": {"false": 0.1}}
    said = accuracy({"photographs": {"detect": sets}})
    assert "50 to 100 % of the hands" in said and "0 to 10 %" in said
    assert accuracy({}) == "-"


@pytest.mark.skipif(not available(), reason="no weights are here")
def test_models_lists_every_bundle(capsys):
    assert main(["models"]) == 0
    header, *rows = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert header.split() == ["name", "what", "for", "size", "parameters", "licence", "accuracy"]
    assert [row.split()[0] for row in rows] == available() and all(" MB " in row for row in rows)
    assert main(["models", "--details"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 20
    assert main(["models", "--json"]) == 0
    assert [manifest["name"] for manifest in json.loads(capsys.readouterr().out)] == available()


def test_the_doctor_exits_with_1_exactly_when_something_is_broken(capsys):
    code = main(["doctor", "--json"])
    checks = json.loads(capsys.readouterr().out)
    assert code == int(any(check["status"] == "broken" for check in checks))
    assert {"python", "cv2", "video", "hand model", "rosbags", "camera devices"} <= {check["name"] for check in checks}
    assert all(check["detail"] and "\n" not in check["detail"] for check in checks)


def test_a_library_that_cannot_be_loaded_is_broken_and_ends_what_needs_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    checks = {check.name: check for check in all_checks()}
    assert checks["onnxruntime"].status == "broken" and "pip install" in checks["onnxruntime"].detail
    assert "one image" not in checks
