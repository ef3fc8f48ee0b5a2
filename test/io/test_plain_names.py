"""Names that C libraries would read something into reach the file that they name."""

import os
from pathlib import Path

import pytest

from prehend.io.plain_names import PlainName, is_plain

ODD = ["clip%03d.mp4", "what?.mp4", "a#b.mp4", "all*.mp4", "a|b.mp4", os.fsdecode(b"\xff.mp4")]
PLAIN = ["clip.mp4", "with blank.mp4", "größe.mp4", "clip:1.mp4", "-.mp4", "a'b\".mp4"]


@pytest.mark.parametrize("name", [*ODD, *PLAIN])
def test_a_plain_name_leads_to_the_file(tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(b"film")
    monkeypatch.chdir(tmp_path)
    for path in (Path(name), tmp_path / name):
        plain = PlainName(path)
        assert is_plain(plain.name) and Path(plain.name).is_absolute()
        assert Path(plain.name).read_bytes() == b"film" and plain.name.endswith(".mp4")
        plain.close()
    assert (tmp_path / name).read_bytes() == b"film"


@pytest.mark.parametrize("name", ODD)
def test_the_link_goes_and_closing_twice_is_closing_once(tmp_path, name):
    (tmp_path / name).write_bytes(b"film")
    plain = PlainName(tmp_path / name)
    folder = Path(plain.name).parent
    assert folder != tmp_path and folder.is_dir()
    for _ in range(2):
        plain.close()
    assert not folder.exists()


def test_a_suffix_that_is_odd_itself_is_left_out(tmp_path):
    path = tmp_path / "clip.m%4"
    path.write_bytes(b"film")
    plain = PlainName(path)
    assert is_plain(plain.name) and Path(plain.name).read_bytes() == b"film"
    plain.close()
