import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from prehend.documents import read_arrays
from prehend.errors import OutputError
from prehend.files import (
    append_line,
    final_target,
    has_room,
    is_special,
    replace_arrays,
    replace_file,
    replace_text,
    replacing,
    sync_folder,
)


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


@pytest.mark.parametrize("name", ["no\0name", "x" * 300, "gone/x"])
def test_a_name_that_no_file_can_have_is_told_in_one_line(tmp_path, name):
    with pytest.raises(OutputError, match="cannot be written") as told:
        replace_file(tmp_path / name, b"new")
    assert "\n" not in str(told.value) and list(tmp_path.iterdir()) == []


def test_a_text_with_names_that_are_not_utf_8_is_written(tmp_path):
    name = os.fsdecode(b"clip\xff.mp4")
    replace_text(tmp_path / "report.csv", f"{name},é")
    assert (tmp_path / "report.csv").read_text("utf-8") == "clip\\udcff.mp4,é"


def test_writing_again_is_writing_once_and_leaves_nothing_beside(tmp_path):
    for content in (b"one", b"two", b"", b"two"):
        replace_file(tmp_path / "x", content, durable=False)
        assert (tmp_path / "x").read_bytes() == content and [one.name for one in tmp_path.iterdir()] == ["x"]


def test_links_are_followed_to_their_end(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("folder/three")
    replace_file(tmp_path / "one", b"new")
    assert (tmp_path / "folder" / "three").read_bytes() == b"new" and (tmp_path / "one").is_symlink()
    assert final_target(tmp_path / "one") == (tmp_path / "folder" / "three").resolve()
    assert final_target(tmp_path / "plain") == tmp_path / "plain"


@pytest.mark.parametrize(("path", "special"), [("/dev/null", True), ("/proc/self/fd/1", True), ("/dev", False)])
def test_devices_are_special_and_folders_are_not(path, special):
    assert is_special(Path(path)) == special


def test_room_is_what_a_disk_has_and_no_more(tmp_path):
    assert has_room(tmp_path) and not has_room(tmp_path, 1 << 62)
    assert has_room(tmp_path / "gone"), "nobody knows"
    sync_folder(tmp_path)
    sync_folder(tmp_path / "gone")


def test_many_that_write_one_file_leave_one_of_their_texts(tmp_path):
    code = (
        "import sys; from pathlib import Path; from prehend.files import replace_file\n"
        "for _ in range(30): replace_file(Path(sys.argv[1]), sys.argv[2].encode() * 20000, durable=False)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "x"), letter]) for letter in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    content = (tmp_path / "x").read_bytes()
    assert content in [letter * 20000 for letter in (b"a", b"b", b"c")]
    assert [one.name for one in tmp_path.iterdir()] == ["x"]


def test_arrays_are_written_whole_under_the_name_that_was_asked_for(tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3), "name": np.array("x")}
    replace_arrays(tmp_path / "of no suffix", arrays)
    assert [path.name for path in tmp_path.iterdir()] == ["of no suffix"]
    found = read_arrays(tmp_path / "of no suffix")
    assert found.keys() == arrays.keys() and (found["a"] == arrays["a"]).all()
    with pytest.raises(ValueError, match="allow_pickle"):
        replace_arrays(tmp_path / "of no suffix", {"a": np.array([{}], object)})
    assert read_arrays(tmp_path / "of no suffix").keys() == arrays.keys()
    with pytest.raises(OutputError, match="cannot be written"):
        replace_arrays(tmp_path / "no folder" / "x.npz", arrays)


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, ZeroDivisionError])
def test_a_block_that_fails_leaves_the_old_file_and_nothing_beside(tmp_path, error):
    (tmp_path / "x").write_text("old")
    with pytest.raises(error), replacing(tmp_path / "x") as part:
        part.write_text("ne")
        raise error
    assert (tmp_path / "x").read_text() == "old" and [one.name for one in tmp_path.iterdir()] == ["x"]


def test_a_part_whose_name_stays_is_written_over_by_the_next_try(tmp_path):
    left = tmp_path / "x.partial"
    left.write_text("what a kill left, which is longer")
    with replacing(tmp_path / "x", left) as part:
        assert part == left
        part.write_text("new")
    assert (tmp_path / "x").read_text() == "new" and not left.exists()


def test_a_link_is_replaced_where_it_leads(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/x")
    with replacing(tmp_path / "link") as part:
        part.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "folder" / "x").read_text() == "new"


@pytest.mark.parametrize("left", ["", "one\n", "one\ntw", "tw", "one\n" + "x" * 200_000], ids=len)
def test_lines_are_added_to_whole_ones(tmp_path, left):
    path = tmp_path / "log.jsonl"
    path.write_text(left)
    append_line(path, "new é")
    append_line(path, "newer")
    whole = [line for line in left.splitlines(keepends=True) if line.endswith("\n")]
    assert path.read_text("utf-8") == "".join([*whole, "new é\n", "newer\n"])


def test_a_line_that_does_not_fit_is_taken_back(tmp_path):
    (tmp_path / "log").write_text("one\n")
    code = (
        "import resource, sys; from pathlib import Path; from prehend.files import append_line;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "from prehend.errors import OutputError\n"
        "try: append_line(Path(sys.argv[1]), 'x' * 5000)\n"
        "except OutputError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "log")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot be written" in done.stdout and (tmp_path / "log").read_text() == "one\n"
