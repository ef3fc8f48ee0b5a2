"""Events as JSON lines: one an event, there as soon as it is told, and no half file without a word."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prehend.errors import OutputError
from prehend.io.frames import Frame
from prehend.io.results.event_lines import EventLines
from prehend.types import HandEvent

PICTURE = np.zeros((4, 6, 3), np.uint8)
FOUND = HandEvent("found", 1, "left", 12.0, 0.25, 0.9)
TAKEN = HandEvent("grasped", 1, "left", 12.5, 0.25, 0.8, "mug")


@pytest.fixture
def told(make_result):
    """told(*events): the result of a frame that tells them."""
    return lambda *events: replace(make_result(64, 48, {}), events=events)


def test_every_event_is_a_line_with_its_frame_as_soon_as_it_is_told(tmp_path, told):
    path = tmp_path / "deep" / "events.jsonl"
    with EventLines(path) as lines:
        lines.write(Frame(PICTURE, "clip.mp4", 3), told(FOUND, TAKEN))
        seen = [json.loads(line) for line in path.read_text().splitlines()]  # nothing waits in a buffer
        lines.write(Frame(PICTURE, "clip.mp4", 4), told())
        lines.write(Frame(PICTURE, "other.mp4", 0), told(FOUND))
    assert [(one["source"], one["index"], one["event"]) for one in seen] == [
        ("clip.mp4", 3, "found"), ("clip.mp4", 3, "grasped"),
    ]  # fmt: skip
    assert seen[1]["object_id"] == "mug" and seen[0]["track_id"] == 1
    assert lines.count == 3 and len(path.read_text().splitlines()) == 3


def test_a_file_of_before_is_begun_anew(tmp_path, told):
    path = tmp_path / "events.jsonl"
    path.write_text("old\n")
    with EventLines(path) as lines:
        lines.write(Frame(PICTURE, "a", 0), told(FOUND))
    assert "old" not in path.read_text()


def test_the_standard_output_takes_them_and_stays_open(told, capsys):
    with EventLines(Path("-")) as lines:
        lines.write(Frame(PICTURE, "a", 0), told(FOUND))
    print("after")
    out = capsys.readouterr().out.splitlines()
    assert json.loads(out[0])["event"] == "found" and out[1] == "after"


@pytest.mark.parametrize("name", ["file/below.jsonl", "folder", "\0"])
def test_a_name_that_cannot_be_is_one_line(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written") as caught:
        EventLines(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told(told):
    with pytest.raises(OutputError, match="/dev/full cannot be written: no space left"):
        EventLines(Path("/dev/full")).write(Frame(PICTURE, "a", 0), told(FOUND))


def test_a_reader_that_left_is_no_error_of_ours(told, monkeypatch):
    read, write = os.pipe()
    os.close(read)
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(os.fdopen(write, "wb", 0), write_through=True))
    with pytest.raises(BrokenPipeError):
        EventLines(Path("-")).write(Frame(PICTURE, "a", 0), told(FOUND))


def test_a_run_that_sees_no_frame_leaves_what_was_there_before(tmp_path, told):
    path = tmp_path / "events.jsonl"
    path.write_text("old\n")
    for file in (path, tmp_path / "new.jsonl"):
        with EventLines(file):
            pass
    assert path.read_text() == "old\n" and [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]
    with EventLines(path) as lines:
        lines.write(Frame(PICTURE, "a", 0), told())
    assert path.read_text() == ""  # nothing happened in this run


def test_a_line_that_does_not_fit_is_taken_back(tmp_path):
    """A full disk, as a process sees it."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from pathlib import Path; from types import SimpleNamespace as N\n"
        "from prehend.io.results.event_lines import EventLines; from prehend.types import HandEvent\n"
        "result = N(events=[HandEvent('found', 1, 'left', 12.0, 0.25, 0.9)])\n"
        "with EventLines(Path(sys.argv[1])) as lines:\n"
        "    for index in range(100): lines.write(N(source='a', index=index), result)\n"
    )
    path = tmp_path / "events.jsonl"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)
    assert "OutputError" in done.stderr and "cannot be written" in done.stderr
    lines = path.read_text().splitlines()
    assert lines and [json.loads(line)["index"] for line in lines] == list(range(len(lines)))


def test_two_runs_do_not_write_one_file(tmp_path):
    with EventLines(tmp_path / "events.jsonl"), pytest.raises(OutputError, match="another process"):
        EventLines(tmp_path / "events.jsonl")
