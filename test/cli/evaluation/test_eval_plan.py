"""Which runs `prehend eval` makes of what it is given, and what a run is known by."""

import argparse
import json
import os

import pytest

from prehend.cli.evaluation.plan import checksum, is_output, plans_of
from prehend.cli.evaluation.truth import TruthMaker
from prehend.errors import ParameterError, SourceError
from prehend.eval.truth.store import truth_text


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to stand in, with a film, a folder of images and a predictions file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(b"film")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(b"image")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "clip.mkv").write_bytes(b"film")
    (tmp_path / "said.json").write_text("{}")
    return tmp_path


def test_every_run_has_a_name_of_its_own(place):
    plans = plans_of(["clip.mp4", "other/clip.mkv", "clip.mp4", "images", "said.json"], [])
    assert [plan.name for plan in plans] == ["clip", "clip_2", "clip_3", "images", "said"]
    assert [plan.is_run for plan in plans] == [True] * 4 + [False]
    assert [str(plan.media) for plan in plans[:4]] == ["clip.mp4", "other/clip.mkv", "clip.mp4", "images"]
    assert plans[4].media is None and str(plans[4].predictions) == "said.json"


def test_a_name_that_is_taken_by_a_numbered_one_is_counted_on(place):
    (place / "clip_2.mp4").write_bytes(b"film")
    names = [plan.name for plan in plans_of(["clip.mp4", "clip_2.mp4", "other/clip.mkv"], [])]
    assert names == ["clip", "clip_2", "clip_3"]


@pytest.mark.parametrize("source", [".", "images/.", "images/../images"])
def test_a_folder_is_named_by_what_it_is(place, source):
    (plan,) = plans_of([source], [])
    assert plan.name == (place.name if source == "." else "images")


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        ("gone.mp4", SourceError, "gone.mp4: no such file or folder"),
        ("0", ParameterError, "a camera gives other images each time"),
        ("/dev/video7", ParameterError, "record it first"),
        ("", SourceError, None),
    ],
)
def test_what_is_no_source_is_told(place, source, error, says):
    if source == "":
        assert [plan.name for plan in plans_of([source], [])] == [place.name], "the current folder"
        return
    with pytest.raises(error, match=says):
        plans_of([source], [])


def test_a_file_named_as_a_camera_is_a_file(place):
    (place / "7").write_bytes(b"film")
    assert plans_of(["7"], [])[0].name == "7"


def output(folder, names, settings=None):
    """An output folder as an earlier judgement leaves it."""
    (folder / "predictions").mkdir(parents=True)
    (folder / "truth").mkdir()
    (folder / "metrics.json").write_text(json.dumps({"runs": {name: {} for name in names}}))
    for name in names:
        (folder / "predictions" / f"{name}.json").write_text("{}")
        if settings is not None:
            (folder / "predictions" / f"{name}.settings.json").write_text(json.dumps(settings))
    return folder


def test_an_output_folder_is_its_runs_with_their_truth_and_images(place):
    folder = output(place / "before", ["b", "a"], {"source": "clip.mp4"})
    (folder / "truth" / "a.json").write_text("{}")
    assert is_output(folder) and not is_output(place)
    first, second = plans_of(["before"], [])
    assert [first.name, second.name] == ["before_b", "before_a"] and not first.is_run
    assert first.truth is None and second.truth == folder.relative_to(place) / "truth" / "a.json"
    assert str(first.media) == "clip.mp4"
    assert [plan.name for plan in plans_of([str(output(place / "one", ["x"]))], [])] == ["one"]


@pytest.mark.parametrize(
    "settings", [None, {}, [], {"source": 3}, {"source": "gone.mp4"}, {"source": "clip.mp4", "dataset": "freihand"}]
)
def test_images_that_cannot_be_had_are_none(place, settings):
    output(place / "before", ["a"], settings)
    assert plans_of(["before"], [])[0].media is None


@pytest.mark.parametrize("content", ["[]", "{}", '{"runs": []}', '{"runs": {}}', '{"runs": {"gone": {}}}', "{"])
def test_an_output_that_was_not_finished_says_so(place, content):
    folder = output(place / "before", ["a"])
    (folder / "metrics.json").write_text(content)
    with pytest.raises(SourceError) as told:
        plans_of(["before"], [])
    assert "before" in str(told.value) and "\n" not in str(told.value)


def test_one_dataset_at_a_time(place):
    (plan,) = plans_of(["images"], ["freihand:evaluation"])
    assert plan.dataset == "freihand:evaluation" and plan.media is None
    with pytest.raises(ParameterError, match="one dataset at a time"):
        plans_of(["images"], ["freihand", "dexycb:s0_test"])


def test_a_checksum_changes_with_names_and_contents_and_with_nothing_else(place):
    before = checksum(place / "images")
    os.utime(place / "images" / "1.png", (0, 0))
    assert checksum(place / "images") == before
    (place / "images" / "1.png").rename(place / "images" / "2.png")
    renamed = checksum(place / "images")
    (place / "images" / "2.png").write_bytes(b"other")
    assert len({before, renamed, checksum(place / "images")}) == 3
    (place / "images" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    assert len(checksum(place / "images")) == 64
    with pytest.raises(SourceError, match=r"gone: no such file"):
        checksum(place / "gone")
    with pytest.raises(SourceError, match="no file has that name"):
        checksum(place / "no\0name")


@pytest.mark.parametrize(
    ("word", "error", "says"),
    [
        ("gone.json", SourceError, "no such file, and no topic"),
        ("/hands", ParameterError, "topics are of a bag, which clip.mp4 is not"),
        ("tf:mug", ParameterError, "topics are of a bag"),
        ("freihand", ParameterError, "goes with the dataset's folder as SOURCE"),
        ("said.json", SourceError, "unknown format of labels"),
    ],
)
def test_a_truth_that_cannot_be_is_told_before_the_work(place, word, error, says):
    (plan,) = plans_of(["clip.mp4"], [])
    with pytest.raises(error, match=says):
        TruthMaker(argparse.Namespace(truth=[word], topic=None), {}, {}).check(plan)


def test_a_truth_that_was_kept_is_used_where_no_other_is_named(place):
    output(place / "before", ["a"])
    (place / "before" / "truth" / "a.json").write_text(truth_text([]))
    (plan,) = plans_of(["before"], [])
    maker = TruthMaker(argparse.Namespace(truth=[], topic=None), {}, {})
    with pytest.raises(SourceError, match="no frame in it"):
        maker.open(plan)
    (bare,) = plans_of(["clip.mp4"], [])
    assert maker.open(bare) is None
