import json

import pytest

from prehend.cli.doctor_checks import all_checks
from prehend.cli.main import main
from prehend.cli.models import measured_lines
from prehend.weights import available


def test_measurements_of_any_depth_are_lines():
    measured = {"held_out": {"pa_mm": 8.25, "n": 100}, "note": "own boxes"}
    assert measured_lines(measured) == ["held_out pa_mm 8.25", "held_out n 100", "note own boxes"]


@pytest.mark.skipif(not available(), reason="no weights are here")
def test_models_lists_every_bundle(capsys):
    assert main(["models"]) == 0
    assert all(name in capsys.readouterr().out for name in available()[:1])
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
