"""What is known of frames: kept in files, found by names and times, joined, and matched against what was said."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput, PrehendError, SourceError
from prehend.eval.photographs.measures import LabelledHand
from prehend.eval.truth.files import FrameTruth, PhotoTruth, read_truth_file
from prehend.eval.truth.names import ByName, parts_of
from prehend.eval.truth.records import (
    GraspMark,
    TrueFrame,
    TrueHand,
    TrueObject,
    truth_of,
    unknown_points,
)
from prehend.eval.truth.store import read_truth, truth_text
from prehend.eval.truth.timeline import Timeline
from prehend.types import Box

few = settings(max_examples=40, deadline=None, derandomize=True)
times = st.lists(st.integers(0, 40).map(lambda n: n / 10), max_size=12)


@few
@given(times, st.floats(-1, 5), st.floats(0, 2))
def test_the_nearest_value_is_the_nearest_and_near_enough(stamps, time, within):
    line = Timeline([(stamp, stamp) for stamp in stamps])
    found = line.nearest(time, within)
    near = [abs(stamp - time) for stamp in stamps]
    assert (found is None) == (not near or min(near) > within)
    assert found is None or abs(found - time) == min(near)


@few
@given(times, st.floats(-1, 5))
def test_the_value_before_is_the_last_that_is_not_later(stamps, time):
    line = Timeline(enumerate_at(stamps))
    earlier = [stamp for stamp in stamps if stamp <= time]
    found = line.before(time)
    assert (found is None) == (not earlier)
    assert found is None or stamps[found] == max(earlier)
    assert len(line) == len(stamps) and (line.first is None) == (not stamps)


def enumerate_at(stamps):
    return [(stamp, number) for number, stamp in enumerate(stamps)]


def test_of_equal_times_the_last_one_counts():
    line = Timeline([(1.0, "a"), (2.0, "b"), (1.0, "c")])
    assert line.before(1.5) == "c" and line.extent == "1.000 s to 2.000 s" and Timeline([]).extent == "nothing"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a/b.jpg", ("a", "b.jpg")),
        ("./a//b.jpg", ("a", "b.jpg")),
        (r"a\b.jpg", ("a", "b.jpg")),
        ("", ("",)),
        ("/", ("",)),
    ],
)
def test_names_are_taken_apart_alike_on_every_system(name, parts):
    assert parts_of(name) == parts


@few
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), st.lists(st.sampled_from("xyz"), max_size=3))
def test_an_entry_is_found_whatever_folders_stand_before_either_name(parts, folders):
    short, long = "/".join(parts), "/".join([*folders, *parts])
    assert ByName([(short, 1)]).find(long) == ByName([(long, 1)]).find(short) == 1


def known_frame(seed=0):
    """A frame of which all kinds of things are known."""
    rng = np.random.default_rng(seed)
    joints, points = rng.normal(0, 0.05, (21, 3)) + np.array([0, 0, 0.6]), rng.uniform(0, 300, (21, 2))
    joints[4], points[:2] = np.nan, np.nan
    pose = np.eye(4)
    pose[:3, 3] = rng.normal(0, 1, 3)
    hands = (
        TrueHand("left", joints, points, grasp=True, held=TrueObject("mug", pose)),
        TrueHand(None, box_px=Box(1, 2, 30.5, 40), grasp=False),
        TrueHand("right"),
    )
    return TrueFrame(
        hands, True, (TrueObject("box", pose),), (GraspMark("right", True), GraspMark(None, False)), (640, 480)
    )


def test_a_truth_is_read_as_it_was_written(tmp_path, show):
    frames = show([[], [], []])
    known = [known_frame(), None, TrueFrame()]
    path = tmp_path / "truth.json"
    path.write_text(truth_text(zip(frames, known, strict=True)))
    (source, index, stamp, first), last = read_truth(path)
    assert (source, index, stamp, last[1]) == ("clip.mp4", 0, 0.0, 2) and last[3] == TrueFrame()
    for one, other in zip(first.hands, known[0].hands, strict=True):
        assert (one.side, one.box_px, one.grasp) == (other.side, other.box_px, other.grasp)
        np.testing.assert_allclose(one.joints_m, other.joints_m, atol=1e-6)
        np.testing.assert_allclose(one.keypoints_px, other.keypoints_px, atol=1e-3)
    np.testing.assert_array_equal(first.hands[0].held.T_camera_object, known[0].hands[0].held.T_camera_object)
    assert (first.marks, first.size, first.complete) == (known[0].marks, (640, 480), True)
    again = truth_text([(frames[0], first)])
    assert again == truth_text([(frames[0], read_truth(path)[0][3])])


def test_a_truth_of_nothing_is_a_file_all_the_same(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(truth_text([]))
    assert read_truth(path) == []
    with pytest.raises(SourceError, match="no frame in it"):
        read_truth_file(path, {})


@pytest.mark.parametrize("value", [None, "x", [], {}, 10**400, float("inf"), float("nan"), -1])
@pytest.mark.parametrize("key", ["source", "index", "stamp", "hands", "objects", "marks", "size", "complete"])
def test_a_damaged_truth_is_told_in_one_line(tmp_path, show, key, value):
    content = json.loads(truth_text(zip(show([[]]), [known_frame()], strict=True)))
    content["frames"][0][key] = value
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content))
    try:
        read_truth(path)
    except SourceError as error:
        assert str(path) in str(error) and "frame 0" in str(error) and "\n" not in str(error)


def test_frames_of_a_file_fit_by_name_and_place_and_else_by_time(show):
    there = show([[], [], []])
    truth = FrameTruth("t", [(one.source, one.index, one.stamp, TrueFrame(complete=True)) for one in there[:2]])
    assert [truth.of(frame) is not None for frame in there] == [True, True, False]
    (renamed,) = show([[]], source="other.mp4")
    assert truth.of(renamed) is not None, "the same stamp"
    assert truth.of(show([[], []], 7.0, "other.mp4")[1]) is None and truth.of(show([[]], None, "other.mp4")[0]) is None
    assert "2 frames of clip.mp4" in truth.extent and truth.count == 2


def test_labels_become_hands_with_gaps_where_nobody_knows():
    points = np.arange(42.0).reshape(21, 2)
    known = np.arange(21) > 2
    hand = TrueHand.of_label(LabelledHand(points, known, "left", held=True))
    assert hand.known_px.tolist() == known.tolist() and np.isnan(hand.joints_m).all() and hand.grasp is True
    np.testing.assert_array_equal(hand.keypoints_px[known], points[known])
    np.testing.assert_array_equal(unknown_points(2), hand.keypoints_px * np.nan)


def labels_file(path, size=(640, 480)):
    points = np.random.default_rng(0).uniform(50, 200, (21, 2)).tolist()
    label = {"image": "a/1.jpg", "keypoints_px": points, "side": "left", "width": size[0], "height": size[1]}
    path.write_text(json.dumps({"schema": "prehend.labels/1", "labels": [label]}))
    return path


def test_labels_for_another_size_are_refused(tmp_path, show):
    frames = show([[]], None, "somewhere/a/1.jpg")
    assert truth_of(PhotoTruth(labels_file(tmp_path / "labels.json")), frames)[0].hands[0].side == "left"
    small = PhotoTruth(labels_file(tmp_path / "labels.json", (320, 240)))
    with pytest.raises((InvalidInput, SourceError), match="320 x 240") as told:
        truth_of(small, frames)
    assert isinstance(told.value, PrehendError)


def bop(path, t=(0, 0, 600), obj_id=3, number="12"):
    pose = {"cam_R_m2c": np.eye(3).ravel().tolist(), "cam_t_m2c": list(t), "obj_id": obj_id}
    path.write_text(json.dumps({number: [pose]}))
    return path


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"t": (0, 0, 0.6)}, "give millimetres"),
        ({"t": (0, 0)}, "no scene_gt.json"),
        ({"t": (0, 0, float("inf"))}, "not finite"),
        ({"obj_id": "x"}, "no scene_gt.json"),
        ({"obj_id": float("inf")}, "no scene_gt.json"),
        ({"number": "first"}, "no scene_gt.json"),
        ({"t": (0, 0, 10**400)}, "no scene_gt.json"),
    ],
)
def test_a_scene_that_is_none_says_why(tmp_path, changes, says):
    with pytest.raises(SourceError, match=says) as told:
        read_truth_file(bop(tmp_path / "scene_gt.json", **changes), {})
    assert "scene_gt.json" in str(told.value) and "\n" not in str(told.value)
