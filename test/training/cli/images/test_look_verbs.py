"""`prehend-train dataset` and `sheets`: what is counted, drawn and found wrong is what the copy holds."""

import json
import shutil

import cv2
import numpy as np
import pytest

from prehend_training.cli.main import main
from prehend_training.datasets import open_dataset
from prehend_training.inspect.samples import contact_sheet

pytest_plugins = ("dataset_fixtures",)


@pytest.fixture
def copy(freihand, tmp_path):
    """FreiHAND as the tests write it, to be spoilt: three hands, each before four backgrounds."""
    return shutil.copytree(freihand[0], tmp_path / "freihand")


def look(root, *more):
    """Exit code of the verb, whether it returns or leaves."""
    try:
        return main(["dataset", "freihand", "--root", str(root), *map(str, more)])
    except SystemExit as stop:
        return stop.code


def test_images_and_instants_are_counted(freihand, capsys):
    assert look(freihand[0]) == 0
    assert capsys.readouterr().out == "freihand: 12 images of 12 instants\n"
    assert look(freihand[0], "--split", "evaluation") == 0
    assert capsys.readouterr().out == "freihand: 3 images of 3 instants\n"


def test_the_sheet_shows_samples_from_the_first_to_the_last(freihand, tmp_path):
    out = tmp_path / "deep" / "sheet.png"
    assert look(freihand[0], "--out", out, "--count", 3) == 0
    data = open_dataset("freihand", freihand[0])
    expected = contact_sheet([data[k] for k in (0, 6, 11)], 3, 1, ("skeleton", "mesh", "objects", "words"))
    drawn = cv2.imread(str(out))[..., ::-1]
    assert drawn.shape == expected.shape and np.abs(drawn.astype(int) - expected).max() == 0


@pytest.mark.parametrize(("count", "width"), [(1, 224), (99, 6 * 224)])
def test_a_sheet_is_as_wide_as_its_samples_ask_for(count, width, freihand, tmp_path):
    assert look(freihand[0], "--out", tmp_path / "s.png", "--count", count) == 0
    assert cv2.imread(str(tmp_path / "s.png")).shape[1] == width


def test_a_hand_ten_times_as_large_is_a_fault_and_an_exit_code(copy, capsys):
    assert look(copy, "--check") == 0 and "no faults found" in capsys.readouterr().out
    table = copy / "training_xyz.json"
    joints = np.array(json.loads(table.read_text()))
    joints[1] = joints[1].mean(0) + 10 * (joints[1] - joints[1].mean(0))
    table.write_text(json.dumps(joints.tolist()))
    assert look(copy, "--check", "--count", 12) == 1
    _, *faults = capsys.readouterr().out.splitlines()
    assert faults and all(" 1 " in fault or " 4 " in fault or " 7 " in fault or " 10 " in fault for fault in faults)
    assert any("knuckle" in fault for fault in faults) and "no faults" not in "".join(faults)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--count", 0), "--count 0 must be positive"),
        (("--count", -2), "must be positive"),
        (("--split", "held-out"), "evaluation"),
        (("--out", "{0}/sheet.gif"), "cannot be written"),
    ],
)
def test_what_cannot_be_looked_at_is_one_line(more, words, freihand, tmp_path, capsys):
    assert look(freihand[0], *(str(word).format(tmp_path) for word in more)) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


@pytest.mark.parametrize("lost", ["training_xyz.json", "training_K.json", "training/rgb/00000000.jpg"])
def test_a_file_that_is_missing_or_cut_is_named(lost, copy, tmp_path, capsys):
    whole = (copy / lost).read_bytes()
    for content in (None, whole[: len(whole) // 3]):
        (copy / lost).unlink()
        if content is not None:
            (copy / lost).write_bytes(content)
        assert look(copy, "--out", tmp_path / "s.png", "--count", 1) == 1
        first, *layout = capsys.readouterr().err.splitlines()  # below it what a whole copy holds
        assert first.startswith("prehend-train dataset: ") and lost in first + "".join(layout)
        assert not any("Traceback" in line for line in layout)
        (copy / lost).write_bytes(whole)


def test_sheets_that_there_are_not_are_named_and_nothing_is_written(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["sheets", "--out", str(out), "--only", "objects", "--only", "hands"]) == 1
    error = capsys.readouterr().err
    assert "hands" in error and "gestures" in error and error.count("\n") == 1 and not out.exists()


def test_photographs_for_sheets_that_are_not_there_are_named(tmp_path, capsys):
    assert main(["sheets", "--out", str(tmp_path / "x"), "--only", "crops", "--photos", str(tmp_path / "none")]) == 1
    error = capsys.readouterr().err
    assert "none" in error and error.count("\n") == 1 and not (tmp_path / "x").exists()
