from pathlib import Path

import cv2
import pytest
import yaml

from prehend.cli.main import main
from prehend.errors import UnknownName
from prehend.resources import FOLDERS, resource, resources

ROOT = Path(__file__).parents[1]


def test_every_file_of_the_folders_is_told_once(capsys):
    there = [path for folder in FOLDERS for path in (ROOT / folder).iterdir() if path.is_file()]
    assert sorted(resources().values()) == sorted(there)
    assert main(["files"]) == 0
    assert capsys.readouterr().out.split() == [str(path) for path in resources().values()]


def test_they_are_what_they_claim_to_be(capsys):
    assert main(["files", "hands.mp4"]) == 0
    clip = cv2.VideoCapture(capsys.readouterr().out.strip())
    assert clip.isOpened() and clip.get(cv2.CAP_PROP_FRAME_COUNT) > 10
    assert yaml.safe_load(resource("node.yaml").read_text())["/**"]["ros__parameters"]["model"]


def test_a_file_that_is_none_is_wrong_use_and_names_the_near_ones(capsys):
    with pytest.raises(UnknownName, match="hands"):
        resource("hand.mp4")
    assert main(["files", "hand.mp4"]) == 2
    assert "choose one of hands.mp4" in capsys.readouterr().err
