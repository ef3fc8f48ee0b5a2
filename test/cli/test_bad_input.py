"""The installed command as a person meets it: one line, an exit code, no traceback."""

import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from prehend.cli.main import main
from prehend.weights import SHIPPED, available

needs_weights = pytest.mark.skipif("unihope-s" not in available(), reason="the weights unihope-s are not here")
ZEROS = np.zeros((3, 3)).tolist()


def prehend(*argv):
    command = [sys.executable, "-m", "prehend.cli.main", *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.full((48, 64, 3), 128, np.uint8))
    return path


def says(capsys, code, argv, *words):
    """The command fails with one line that has these words."""
    try:
        assert main([str(part) for part in argv]) == code
    except SystemExit as ended:
        assert ended.code == code
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and "Traceback" not in err
    assert all(word in err for word in words), err


@pytest.mark.parametrize("name", ["clip.mp4", "photo.jpg", "bag.mcap", "bag.db3"])
def test_corrupt_files_in_the_real_process(tmp_path, name):
    (tmp_path / name).write_bytes(b"garbage " * 200)
    done = prehend("run", tmp_path / name, "--json", tmp_path / "out.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1 and name in done.stderr
    assert not (tmp_path / "out.json").exists()


def test_a_camera_that_is_not_there_in_the_real_process():
    done = prehend("run", "97")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "camera 97" in done.stderr


def test_wrong_side_files(tmp_path, photo, capsys):
    given = tmp_path / "given.json"
    for option, content, word in (
        ("--cameras", {"photo.png": ZEROS}, "not calibrated"),
        ("--boxes", {"photo.png": [{"box_px": [0, 0, float("nan"), 5], "side": "left"}]}, "NaN"),
        ("--boxes", {"photo.png": [{"box_px": [9, 9, 3, 3], "side": "left"}]}, "empty"),
    ):
        given.write_text(json.dumps(content))
        says(capsys, 1, ["run", photo, option, given], "given.json", "photo.png", word)
    says(capsys, 1, ["run", photo, "--boxes", tmp_path / "gone.json"], "gone.json")


def test_unknown_names(photo, capsys):
    says(capsys, 2, ["run", photo, "--model", "nonesuch"], "'nonesuch'", "choose one of")
    says(capsys, 2, ["run", photo, "--overlay", photo.parent], "among the inputs")


@needs_weights
class TestWithWeights:
    def test_the_chain_in_the_real_process(self, tmp_path, photo):
        done = prehend("run", photo, "--json", tmp_path / "out.json", "--overlay", tmp_path / "out")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "out" / "photo.png").is_file() and "1 frame," in done.stdout
        assert json.loads((tmp_path / "out.json").read_text())["frames"][0]["width"] == 64

    @pytest.mark.parametrize("size", [(1, 1), (7680, 4320)])
    def test_images_of_any_size(self, tmp_path, size):
        cv2.imwrite(str(tmp_path / "x.jpg"), np.full((size[1], size[0], 3), 90, np.uint8))
        assert main(["run", str(tmp_path / "x.jpg"), "--overlay", str(tmp_path / "out")]) == 0

    def test_a_box_outside_the_image(self, tmp_path, photo, capsys):
        given = tmp_path / "given.json"
        given.write_text(json.dumps({"photo.png": [{"box_px": [500, 500, 600, 600], "side": "left"}]}))
        says(capsys, 1, ["run", photo, "--boxes", given], "photo.png")

    def test_unknown_backend_and_object(self, photo, capsys):
        says(capsys, 2, ["run", photo, "--backend", "magic"], "'magic'")
        says(capsys, 2, ["run", photo, "--object", "unicorn"], "'unicorn'")

    def test_damaged_weights_and_hand_models(self, tmp_path, photo, capsys):
        copy = tmp_path / "weights"
        shutil.copytree(SHIPPED / "unihope-s", copy)
        with (copy / "weights.safetensors").open("r+b") as file:
            file.seek(-1, 2)
            file.write(b"\x7f")
        says(capsys, 1, ["run", photo, "--model", copy], "weights.safetensors", "sha256")
        (tmp_path / "MANO_RIGHT.pkl").write_bytes(b"garbage")
        says(capsys, 1, ["run", photo, "--hand-model", tmp_path / "MANO_RIGHT.pkl"], "MANO_RIGHT.pkl")
