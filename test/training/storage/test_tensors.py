"""Tensors on disk are whole, whenever the writer is killed."""

import signal
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from prehend.errors import OutputError
from prehend_training.storage.tensors import write_tensors

WRITER = """
import os, resource, signal, sys
from pathlib import Path
import torch
from prehend_training.storage.tensors import write_tensors
moment = sys.argv[2]
def killed(event, _):
    if event == moment:
        os.kill(os.getpid(), signal.SIGKILL)
tensors = {"a": torch.full((300_000,), 2.0), "b": torch.full((7,), 2.0)}
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if moment.isdecimal():  # the system kills whoever writes more than so many bytes into a file
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(moment), int(moment)))
else:
    sys.addaudithook(killed)
write_tensors(Path(sys.argv[1]), tensors)
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
    (tmp_path / "plain").write_bytes(b"")
    assert {one.name for one in tmp_path.iterdir()} == {path.name, "plain"}
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode, "whoever reads other files here reads this"


@pytest.mark.parametrize("name", ["folder", "gone/x", "no\0name"])
def test_what_cannot_be_written_is_one_line(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written") as told:
        write_tensors(tmp_path / name, {"a": torch.zeros(2)})
    assert "\n" not in str(told.value) and [one.name for one in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("moment", ["0", "1", "600000", "os.rename"])
def test_a_kill_leaves_the_file_from_before_and_no_other_name(tmp_path, moment):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"a": torch.ones(300_000)})
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", WRITER, str(path), moment], check=False)
    assert done.returncode == (-signal.SIGXFSZ if moment.isdecimal() else -signal.SIGKILL)
    assert path.read_bytes() == before
    assert all(one == path or one.name.startswith(".x.safetensors.") for one in tmp_path.iterdir())


def test_what_nobody_stopped_replaces_the_file(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"a": torch.ones(3)})
    subprocess.run([sys.executable, "-c", WRITER, str(path), "10000000"], check=True)
    found = load_file(path)
    assert found["a"].unique().tolist() == found["b"].unique().tolist() == [2.0] and list(tmp_path.iterdir()) == [path]
