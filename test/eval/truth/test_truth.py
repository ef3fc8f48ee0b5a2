"""Truth from files, and which frames it belongs to."""

import json

import numpy as np
import pytest

from prehend.errors import SourceError
from prehend.eval.truth.files import read_truth_file
from prehend.eval.truth.names import ByName
from prehend.eval.truth.records import (
    GraspMark,
    Joined,
    TrueFrame,
    TrueHand,
    TrueObject,
    left_unanswered,
    truth_of,
)
from prehend.eval.truth.store import read_truth, truth_text
from prehend.eval.truth.timeline import Timeline
from prehend.types import Box


def test_names_fit_by_whole_components_from_the_end():
    names = ByName([("set/a/1.jpg", "a"), ("set/b/1.jpg", "b"), ("2.jpg", "two")])
    assert names.find("/data/set/a/1.jpg") == "a" and names.find("a/1.jpg") == "a" and names.find("deep/2.jpg") == "two"
    assert names.find("1.jpg") is None  # both fit
    assert names.find("11.jpg") is None and names.find("set\\b\\1.jpg") == "b"


def test_a_timeline_has_the_nearest_and_the_last_before():
    line = Timeline([(2.0, "b"), (1.0, "a"), (4.0, "c")])
    assert [line.nearest(t, 0.6) for t in (0.0, 1.4, 1.6, 2.7, 4.5)] == [None, "a", "b", None, "c"]
    assert [line.before(t) for t in (0.9, 1.0, 3.9, 9.0)] == [None, "a", "b", "c"] and line.first == "a"
    assert line.extent == "1.000 s to 4.000 s"


def test_a_truth_is_kept_and_read_again(tmp_path, show, say, know):
    T = np.eye(4)
    T[:3, 3] = 0.1, 0.2, 0.3
    thing = TrueObject("mug", T)
    part = TrueHand(None, box_px=Box(1, 2, 3, 4), grasp=False)
    known = TrueFrame((know(held=thing, grasp=True), part), True, (thing,), (GraspMark("left", True),), (640, 480))
    frames = show([[say()], []])
    (tmp_path / "t.json").write_text(truth_text(zip(frames, [known, None], strict=True)))
    ((source, index, stamp, again),) = read_truth(tmp_path / "t.json")
    assert (source, index, stamp) == ("clip.mp4", 0, 0.0) and again.complete and again.marks == known.marks
    assert np.allclose(again.hands[0].joints_m, known.hands[0].joints_m, atol=1e-6)
    assert (
        again.hands[1].box_px == part.box_px and np.isnan(again.hands[1].joints_m).all() and again.hands[1].side is None
    )
    assert np.array_equal(again.objects[0].T_camera_object, T) and again.hands[0].held.object_id == "mug"
    truth = read_truth_file(tmp_path / "t.json", {})
    assert truth.of(frames[0]).complete and truth.of(frames[1]) is None
    other = show([[say()]], source="copy_of_it.mcap")
    assert truth.of(other[0]) is not None  # another name, the same stamp


def test_parts_are_joined_and_one_that_fits_nothing_is_told(show, say, know):
    class Known:
        title, extent = "marks", "0 to 1 s"

        def __init__(self, frame):
            self.frame = frame

        def of(self, frame):
            return self.frame

    frames = show([[say()]])
    both = Joined([Known(TrueFrame((know(),))), Known(TrueFrame(marks=(GraspMark(None, True),), complete=True))])
    (known,) = truth_of(both, frames)
    assert len(known.hands) == 1 and known.marks and known.complete
    with pytest.raises(SourceError, match=r"marks fits no frame: it covers 0 to 1 s, the frames are clip.mp4"):
        truth_of(Joined([Known(TrueFrame()), Known(None)]), frames)
    with pytest.raises(SourceError, match=r"labelled for 320 x 240 px, the image has 640 x 480"):
        truth_of(Known(TrueFrame(size=(320, 240))), frames)


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", '{"schema": "prehend.truth/1"}', '{"schema": "prehend.truth/1", "frames": [{}]}',
        '{"schema": "prehend.truth/1", "frames": []}',
        '{"0": [{"obj_id": 1, "cam_R_m2c": [1], "cam_t_m2c": [1, 2, 3]}]}',
        '{"schema": "prehend.predictions/2", "model": {}, "frames": [{"source": 1}]}',
    ],
)  # fmt: skip
def test_damaged_files_are_one_line(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(SourceError, match=r"x\.json") as caught:
        read_truth_file(tmp_path / "x.json", {})
    assert "\n" not in str(caught.value)


def test_bop_scenes_go_by_the_numbers_of_the_pictures(tmp_path, show, say):
    pose = {"cam_R_m2c": np.eye(3).ravel().tolist(), "cam_t_m2c": [10, 20, 500], "obj_id": 2}
    (tmp_path / "scene_gt.json").write_text(json.dumps({"12": [pose]}))
    truth = read_truth_file(tmp_path / "scene_gt.json", {})
    (picture,) = show([[say()]], source="rgb/000012.png")
    (thing,) = truth.of(picture).objects
    assert thing.object_id == "obj_000002" and np.allclose(thing.T_camera_object[:3, 3], (0.01, 0.02, 0.5))
    assert truth.of(show([[]])[0]) is None
    assert read_truth_file(tmp_path / "scene_gt.json", {2: "mug"}).of(picture).objects[0].object_id == "mug"


@pytest.fixture
def scene_gt(tmp_path):
    """scene_gt(millimetres): of images 0, 7 and 12, each with a mug that many mm and its number away."""

    def written(distance=500.0):
        turn = np.eye(3).ravel().tolist()
        frames = {str(n): [{"cam_R_m2c": turn, "cam_t_m2c": [0, 0, distance + n], "obj_id": 14}] for n in (0, 7, 12)}
        (tmp_path / "scene_gt.json").write_text(json.dumps(frames))
        return read_truth_file(tmp_path / "scene_gt.json", {14: "mug"})

    return written


@pytest.mark.parametrize(
    ("source", "place", "number"),
    [
        ("rgb/000012.png", 3, 12), ("rgb/rgb_000007.png", 0, 7), ("clip.mp4", 12, 12), ("cam2.mcap", 7, 7),
        ("3_0012.png", 0, None), ("left.png", 0, None), ("rgb/000001.png", 7, None),
    ],
)  # fmt: skip
def test_bops_images_go_by_the_number_in_their_name_and_films_by_place(scene_gt, show, source, place, number):
    frame = show([[]] * (place + 1), source=source)[place]
    known = scene_gt().of(frame)
    told = None if known is None else round(1e3 * known.objects[0].T_camera_object[2, 3] - 500)
    assert told == number


def test_bops_poses_in_metres_are_refused(scene_gt):
    with pytest.raises(SourceError, match="from the camera: give millimetres"):
        scene_gt(distance=-5.5)


def test_known_frames_of_which_nothing_was_said_are_counted(tmp_path, show, say, know):
    frames = show([[say()]] * 5)
    (tmp_path / "t.json").write_text(truth_text((frame, TrueFrame((know(),), True)) for frame in frames[:4]))
    truth = read_truth_file(tmp_path / "t.json", {})
    assert left_unanswered(truth, frames) == [] and left_unanswered(truth, frames[:4]) == []
    (line,) = left_unanswered(Joined([truth]), frames[3:])
    assert "knows 4 frames, 1 of them are judged" in line and str(tmp_path / "t.json") in line
