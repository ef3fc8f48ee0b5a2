"""Where overlays are written: below their folder, one a file, in formats that viewers show."""

import os

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import OutputError
from prehend.io.frames import Frame, Source
from prehend.io.results.overlay_files import OverlayFolder

PICTURE = np.full((6, 8, 3), (200, 100, 50), np.uint8)
folders = st.lists(st.sampled_from(["one", "two", "..", ".", "/"]), max_size=2)
files = st.sampled_from(["a", "a.png", "a.JPG", "b.gif", "c.tif", "x.y.webp", ".hidden", "ü"])
names_of_files = st.tuples(folders, files).map(lambda parts: "/".join([*parts[0], parts[1]]))


class Images(Source):
    """Unrelated images under any names."""

    kind = "folder"

    def __init__(self):
        super().__init__("images", None)

    def __iter__(self):
        return iter(())

    def close(self):
        """Nothing is open."""


def written(root, *names):
    source, out = Images(), OverlayFolder(root)
    with out:
        for index, name in enumerate(names):
            out.write(source, Frame(PICTURE, name, index), PICTURE)
    return out.written


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(names_of_files, min_size=1, max_size=4))
def test_every_image_has_a_file_of_its_own_below_the_folder(tmp_path_factory, names):
    root = tmp_path_factory.mktemp("out")
    paths = written(root, *names)
    assert len(set(paths)) == len(names)
    for path in paths:
        assert path.resolve().is_relative_to(root.resolve()) and cv2.imread(str(path)).shape == (6, 8, 3)
    there = [path for path in root.rglob("*") if path.is_file()]
    assert sorted(there) == sorted(paths), "nothing else is left"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a.png", "a.png"), ("a.JPG", "a.JPG"), ("a.jpe", "a.jpg"), ("a.gif", "a.png"), ("a.TIFF", "a.png"),
        ("a.avif", "a.jpg"), ("a", "a.png"), ("a.b.png", "a.b.png"), ("a.raw", "a.raw.png"), (r"in\a.png", "in/a.png"),
        ("/far/away/a.png", "a.png"), ("../up/a.png", "a.png"),
    ],
)  # fmt: skip
def test_names_and_places_are_those_of_the_source_in_a_format_that_is_shown(tmp_path, source, name):
    (path,) = written(tmp_path, source)
    assert path == tmp_path / name


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.webp", "a.jpg", os.fsdecode(b"\xff.png")])
def test_colours_are_those_of_the_picture(tmp_path, name):
    (path,) = written(tmp_path, name)
    data = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(data[..., ::-1].astype(int) - PICTURE).max() < 12


def test_a_second_run_writes_over_the_first(tmp_path):
    assert written(tmp_path, "a.png", "a.png") == written(tmp_path, "a.png", "a.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a_2.png"]


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), os.mkfifo], ids=["folder", "fifo"])
def test_what_is_no_file_is_not_written_to(tmp_path, make):
    make(tmp_path / "a.png")
    with pytest.raises(OutputError, match=r"a\.png cannot be written: it is no file"):
        written(tmp_path, "a.png")


def test_a_side_too_long_for_its_format_is_one_line(tmp_path):
    out, long = OverlayFolder(tmp_path), np.zeros((1, 20_000, 3), np.uint8)
    with pytest.raises(OutputError, match=r"a\.webp cannot be written") as told:
        out.write(Images(), Frame(long, "a.webp", 0), long)
    assert "\n" not in str(told.value) and list(tmp_path.iterdir()) == []
