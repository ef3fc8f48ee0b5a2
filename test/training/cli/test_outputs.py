"""Places that cannot be written: every verb says so in one line, with exit code 1, and leaves what was there."""

import errno
import json
import logging

import pytest
from fake import fake_sample

from prehend.types import Box
from prehend_training.cli import main as cli
from prehend_training.photos.labels import Photo, PhotoHand, PhotoLabels, write_labels

COMMANDS = {
    "show": "show {crops} --out {file}/x.png",
    "stats": "stats {crops} --limit 1 --out {file}/x",
    "objects import": "objects import {mesh} --id brick --unit m --out {file}/x",
    "train": "train debug-lift {file}/run --data {crops} --steps 1 --threads 1",
    "hard-negatives": "hard-negatives {file}/x --data {frames}",
    "scenes": "scenes --kind crops --count 1 --size 32 --out {file}/x",
    "sheets": "sheets --only crops --out {file}/x --photos {none}",
    "grasps": "grasps --object mug --count 1 --out {file}/x",
    "import": "import {labels} --source a --licence b --out {file}/x",
    "boost create": "boost create --count 1 --object mug --out {file}/x",
    "ablate": "ablate debug-unihope --data {crops} --held-out {crops} --steps 1 --out {file}/x",
    "blend": "blend {none} --start {none} --out {file}/x",
    "palms blend": "palms blend {none} --start {none} --out {file}/x",
}


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """One labelled photograph."""
    import cv2

    folder, sample = tmp_path_factory.mktemp("labels"), fake_sample(8, 1)
    cv2.imwrite(str(folder / "a.png"), sample.image)
    points = sample.hands[0].keypoints_px
    photo = Photo("a.png", (160, 160), (PhotoHand(Box.around(points), points, None, "left"),), True, split="train")
    write_labels(folder / "labels.json", PhotoLabels(folder, (photo,)))
    return folder / "labels.json"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_below_a_file_is_one_line(name, crops, frames, labels, tmp_path, capsys):
    file, mesh = tmp_path / "file", tmp_path / "a.ply"
    file.write_text("mine")
    if name == "objects import":
        pytest.importorskip("trimesh", reason="the extra `meshes` is not installed").creation.box(
            (0.06, 0.04, 0.1)
        ).export(mesh)
    places = {"crops": crops, "frames": frames, "labels": labels, "file": file, "none": tmp_path / "none", "mesh": mesh}
    assert cli.main(COMMANDS[name].format(**places).split()) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"prehend-train {name.split()[0]}: ") and "Traceback" not in last
    assert file.read_text() == "mine" and not (tmp_path / "none").exists()


class Failing:
    """A verb that meets an error of the system."""

    def __init__(self, error):
        self.error = error

    def __call__(self, arguments):
        raise self.error


def run_into(error, monkeypatch):
    monkeypatch.setattr("prehend_training.cli.networks.presets._presets", Failing(error))
    return cli.main(["presets"])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left"),
        (OSError(errno.EIO, "Input/output error"), "output error"),
        (PermissionError(errno.EACCES, "Permission denied", "/somewhere/out"), "/somewhere/out: "),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "gone.json"), "gone.json: "),
    ],
)
def test_an_error_of_the_system_is_one_line_with_its_place(error, words, monkeypatch, capsys):
    assert run_into(error, monkeypatch) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("prehend-train presets: ") and words in said.lower()


@pytest.mark.parametrize(
    "error", [OSError(errno.ECONNRESET, "Connection reset"), ValueError("a fault of ours"), KeyError("x")]
)
def test_a_fault_of_ours_is_not_hidden(error, monkeypatch):
    with pytest.raises(type(error)):
        run_into(error, monkeypatch)


def test_a_stop_says_that_the_same_command_goes_on(monkeypatch, capsys):
    assert run_into(KeyboardInterrupt(), monkeypatch) == 130
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "the same command goes on" in said


def test_what_is_told_while_it_works_does_not_stand_among_the_results(capsys, caplog):
    with caplog.at_level(logging.INFO):
        assert cli.main(["presets", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) and not printed.err
