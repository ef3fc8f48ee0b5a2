"""Tensors on disk are whole, whenever the writer is killed."""

import random
import stat
import subprocess
import sys
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from prehend.errors import OutputError
from prehend_training.storage.tensors import write_tensors

WRITER = """
import sys
from pathlib import Path
import torch
from prehend_training.storage.tensors import write_tensors
for value in range(10**6):
    write_tensors(Path(sys.argv[1]), {"a": torch.full((300_000,), float(value)), "b": torch.full((7,), float(value))})
    print(value, flush=True)
"""


def test_there_and_back(tmp_path):
    path = tmp_path / "x.safetensors"
    tensors = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, 2], dtype=torch.int64)}
    for metadata in (None, {"licence": "CC0"}):
        write_tensors(path, tensors, metadata)
        back = load_file(path)
        assert back.keys() == tensors.keys() and all(torch.equal(back[name], tensors[name]) for name in tensors)
        with safe_open(path, framework="pt") as file:
            assert file.metadata() == metadata
    assert [one.name for one in tmp_path.iterdir()] == [path.name] and stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["folder", "gone/x", "no\0name"])
def test_what_cannot_be_written_is_one_line(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written") as told:
        write_tensors(tmp_path / name, {"a": torch.zeros(2)})
    assert "\n" not in str(told.value) and [one.name for one in tmp_path.iterdir()] == ["folder"]


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path):
    path, rng = tmp_path / "x.safetensors", random.Random(0)
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        process.stdout.readline()  # the first is there
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate()
        found = load_file(path)
        assert found["a"].unique().numel() == 1 and found["a"][0] == found["b"][0], "all of one writing"
    # of what was being written: ours, and that of safetensors, which writes beside too
    assert all(one == path or one.name.startswith((".x.safetensors.", ".tmp")) for one in tmp_path.iterdir())
