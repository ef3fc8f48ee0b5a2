"""A checkpoint is never absent, whenever its process is killed."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from prehend.errors import AssetError
from prehend_training.train.loop import checkpoint
from prehend_training.train.loop.checkpoint import Averaged, Progress, load, save, settle


class NoState:
    """An optimiser without moments."""

    def state_of(self, parameter):
        return {}

    def set_state(self, parameter, state):
        raise AssertionError


def network(value=0.0):
    made = nn.Linear(2, 2)
    nn.init.constant_(made.weight, value)
    return made


def saved(folder, value, step):
    made = network(value)
    save(folder, made, Averaged(made, 0.9), NoState(), Progress(step=step))


def read(folder):
    made = network()
    return load(folder, made, Averaged(made, 0.9), NoState()).step, made.weight[0, 0].item()


@pytest.mark.parametrize("swaps", [True, False])
def test_the_new_one_replaces_the_old_one(tmp_path, monkeypatch, swaps):
    if not swaps:
        monkeypatch.setattr(checkpoint, "_exchange", lambda a, b: False)
    for step in (1, 2, 3):
        saved(tmp_path / "checkpoint", float(step), step)
        assert read(tmp_path / "checkpoint") == (step, step)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


PLACES = range(1, 17)

KILLED = """
import os, sys
sys.path[:0] = [{training!r}, {here!r}, {helpers!r}]
import prehend_training.storage.tensors as tensors
import prehend_training.train.loop.checkpoint as c
from pathlib import Path
import test_checkpoint as t
if sys.argv[1] != "True":
    c._exchange = lambda a, b: False
count = place = 0
def counted(real):
    def call(*args, **options):
        global count
        count += 1
        if count == place:
            os.kill(os.getpid(), 9)
        return real(*args, **options)
    return call
steps = [(Path, name) for name in ("rename", "replace", "mkdir")]
for owner, name in (*steps, (tensors, "save"), (c.shutil, "rmtree"), (c, "_exchange")):
    setattr(owner, name, counted(getattr(owner, name)))
for given in sys.argv[2:]:  # importing torch takes longer than all the saves
    count, place = 0, int(Path(given).parent.name)
    child = os.fork()
    if child == 0:
        t.saved(Path(given), 2.0, 2)
        os._exit(0)
    print(os.waitpid(child, 0)[1])
"""


@pytest.fixture(scope="module", params=[True, False], ids=["swaps", "moves"])
def killed(request, tmp_path_factory):
    """Folders of checkpoints whose second save was killed at each of `PLACES`, how its process ended, and whether
    folders are swapped."""
    root = tmp_path_factory.mktemp("killed")
    folders = {place: root / str(place) / "checkpoint" for place in PLACES}
    for folder in folders.values():
        saved(folder, 1.0, 1)
    here = Path(__file__).parent
    code = KILLED.format(training=str(here.parents[3] / "training"), here=str(here), helpers=str(here.parents[1]))
    command = [sys.executable, "-c", code, str(request.param), *map(str, folders.values())]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return folders, dict(zip(PLACES, map(int, done.stdout.split()), strict=True)), request.param


@pytest.mark.parametrize("place", PLACES)
def test_killed_at_any_moment_a_whole_one_is_found(killed, place):
    folders, ends, swaps = killed
    folder = folders[place]
    assert ends[place] in (0, signal.SIGKILL)
    if swaps and sys.platform == "linux":
        assert (folder / "progress.json").is_file()
    settle(folder)
    step, value = read(folder)
    assert step == value and step in (1, 2)
    saved(folder, 3.0, 3)
    assert read(folder) == (3, 3.0) and [path.name for path in folder.parent.iterdir()] == ["checkpoint"]


def test_the_moments_are_all_there_are(killed):
    """The first one kills, and the last one comes after everything."""
    _, ends, _ = killed
    assert ends[PLACES[0]] == signal.SIGKILL and ends[PLACES[-1]] == 0


@pytest.mark.parametrize("kept", [".old", ".partial"])
def test_what_a_killed_save_left_is_put_in_its_place(tmp_path, kept):
    saved(tmp_path / "checkpoint", 5.0, 5)
    (tmp_path / "checkpoint").rename(tmp_path / f"checkpoint{kept}")
    settle(tmp_path / "checkpoint")
    assert read(tmp_path / "checkpoint") == (5, 5.0)


def test_a_half_written_one_is_no_checkpoint(tmp_path):
    saved(tmp_path / "checkpoint", 5.0, 5)
    shutil.copytree(tmp_path / "checkpoint", tmp_path / "checkpoint.partial")
    (tmp_path / "checkpoint.partial" / "progress.json").unlink()
    settle(tmp_path / "checkpoint")
    assert read(tmp_path / "checkpoint") == (5, 5.0) and not (tmp_path / "checkpoint.partial").exists()


@pytest.mark.parametrize("name", ["progress.json", "network.safetensors", "averaged.safetensors"])
@pytest.mark.parametrize("damage", [b"", b"{", b"[1]"])
def test_damage_is_one_line_that_names_the_file(tmp_path, name, damage):
    saved(tmp_path / "checkpoint", 5.0, 5)
    (tmp_path / "checkpoint" / name).write_bytes(damage)
    with pytest.raises(AssetError, match=name):
        read(tmp_path / "checkpoint")


def test_notes_are_json(tmp_path):
    saved(tmp_path / "checkpoint", 1.0, 7)
    assert json.loads((tmp_path / "checkpoint" / "progress.json").read_text())["step"] == 7
    assert torch.equal(network(1.0).weight, torch.ones(2, 2))
