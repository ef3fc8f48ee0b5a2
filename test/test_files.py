import os
import resource
import subprocess
import sys
import threading

import pytest

from prehend.errors import OutputError
from prehend.files import is_special, replace_file, replace_text


def test_a_link_stays_and_its_target_is_written(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    replace_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_a_fifo_is_written_through(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "fifo").read_bytes()))
    reader.start()
    replace_file(tmp_path / "fifo", b"new")
    reader.join()
    assert got == [b"new"] and is_special(tmp_path / "fifo")


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: p.symlink_to(p.name)], ids=["folder", "ring"])
def test_what_cannot_be_replaced_is_named(tmp_path, make):
    make(tmp_path / "x")
    with pytest.raises(OutputError, match="cannot be written"):
        replace_file(tmp_path / "x", b"new")
    with pytest.raises(OutputError, match="cannot be written"):
        replace_file(tmp_path / "gone" / "x", b"new")


def test_a_file_that_does_not_fit_leaves_the_old_one(tmp_path):
    (tmp_path / "x").write_text("old")
    code = (
        "import resource, sys; from pathlib import Path; from prehend.files import replace_file;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "from prehend.errors import OutputError\n"
        "try: replace_file(Path(sys.argv[1]), bytes(5000))\n"
        "except OutputError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], capture_output=True, text=True, check=True)
    assert "cannot be written" in done.stdout and (tmp_path / "x").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 100


def test_a_name_that_is_no_text_is_written_as_it_can_be(tmp_path):
    replace_text(tmp_path / "a.csv", "run of a\udcff.mp4\n")
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "run of a\\udcff.mp4\n"
