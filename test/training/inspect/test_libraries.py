"""What people look at: portraits of the engine's libraries, real datasets from the command line."""

import cv2
import numpy as np
import pytest

from prehend.errors import UnknownName
from prehend_training.cli import main as cli
from prehend_training.grasps.library import sample_grasp
from prehend_training.inspect import libraries as sheets
from prehend_training.scenes.layout.posing import pose_hand

pytest_plugins = ("dataset_fixtures",)


def test_portrait_shows_the_hand_in_the_middle_of_an_even_wall(renderer):
    posed = pose_hand(np.zeros((15, 3)), np.zeros(10))
    hand = sheets._facing(posed, sheets._PALM, 4)
    empty = sheets.portrait(renderer, (), (), 96, 0.3).astype(int)
    shown = np.abs(sheets.portrait(renderer, (hand,), (), 96, 0.3).astype(int) - empty).max(-1) > 25
    assert empty.std((0, 1)).max() < 12
    assert shown[40:60, 40:60].mean() > 0.8
    assert 0.08 < shown.mean() < 0.5
    assert not shown[:, :8].any()


def test_held_portrait_shows_hand_and_thing(renderer):
    grasp = sample_grasp(np.random.default_rng(3), "coffee_can")
    first = sheets.held_portrait(renderer, grasp, np.random.default_rng(1), 96)
    again = sheets.held_portrait(renderer, grasp, np.random.default_rng(1), 96)
    other = sheets.held_portrait(renderer, grasp, np.random.default_rng(2), 96)
    np.testing.assert_array_equal(first, again)
    assert (np.abs(first.astype(int) - other).max(-1) > 25).mean() > 0.05


def test_unknown_sheet_is_named_before_anything_is_drawn(tmp_path):
    with pytest.raises(UnknownName, match="gesture"):
        sheets.write_sheets(tmp_path, ["gesture"])
    assert not list(tmp_path.iterdir())


def test_sheets_command_writes_a_picture(tmp_path, capsys, renderer):
    assert not cli.main(["sheets", "--out", str(tmp_path), "--only", "objects"])
    picture = cv2.imread(str(tmp_path / "objects.jpg"))
    assert picture is not None and picture.std() > 10
    assert "objects.jpg" in capsys.readouterr().out


def test_dataset_command_counts_draws_and_checks(tmp_path, capsys, freihand):
    root, _ = freihand
    out = tmp_path / "sheet.png"
    assert not cli.main(["dataset", "freihand", "--root", str(root), "--check", "--out", str(out), "--count", "4"])
    assert cv2.imread(str(out)).any()
    assert "no faults found" in capsys.readouterr().out


def test_dataset_command_says_what_is_missing(tmp_path, capsys):
    assert cli.main(["dataset", "dexycb", "--root", str(tmp_path / "nowhere")]) != 0
    assert "DexYCB" in capsys.readouterr().err
