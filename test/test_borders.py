"""Every border takes damaged and invented input: an answer, or one line of ours (long runs: `make fuzz`)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

fuzz = pytest.importorskip("fuzz", reason="tools/ is not on the path")
CASES = {"bag": 40, "video": 20, "label": 60, "object_file": 60}
NEEDS = {"bag": "rosbags", "mesh": "trimesh", "labels": "prehend_training"}


@pytest.mark.parametrize("border", fuzz.NAMES)
def test_a_border_answers_or_says_why_in_one_line(border):
    if border in NEEDS:
        pytest.importorskip(NEEDS[border], reason="what reads it is not installed")
    count = CASES.get(border, 150)
    done, failures = fuzz.chunk(border, 1_000_000, count)
    assert failures == [] and done == count


def test_a_process_that_ends_is_a_failure():
    _, failures = fuzz.chunk("nonesuch", 0, 5)
    assert failures and "ended" in failures[0]["failure"]


def test_a_run_goes_on_behind_the_last_one(tmp_path):
    tool = Path(fuzz.__file__)
    for _ in range(2):
        command = [sys.executable, str(tool), "--minutes", "0.001", "--out", str(tmp_path), "--borders", "predictions"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    state = json.loads((tmp_path / "state.json").read_text())
    assert state["predictions"]["cases"] == 2 * fuzz.CHUNK and state["predictions"]["failures"] == 0
