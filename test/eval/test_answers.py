"""Predictions as they are judged: read as they were written, and damage named with its file and frame."""

import json

import numpy as np
import pytest

from prehend.errors import SourceError
from prehend.eval.answers import period_s, read_answers
from prehend.io.frames import Frame
from prehend.io.results.predictions import PredictionsWriter


@pytest.fixture
def written(tmp_path, say, show):
    """written(frames, change): a predictions file of these hands, changed as JSON."""

    def write(frames=((),), change=lambda content: None):
        path = tmp_path / "out.json"
        with PredictionsWriter(path, {"name": "toy", "weights_sha256": "ab"}) as writer:
            for one in show(frames):
                writer.write(Frame(np.zeros((480, 640, 3), np.uint8), one.source, one.index, one.stamp), one.result)
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        return path

    return write


def test_answers_are_what_was_said(written, say):
    answers = read_answers(written([[say()], [], [say(), say((0.2, 0, 0.5), 2, "left")]]))
    assert (answers.model, answers.weights_sha256, answers.complete) == ("toy", "ab", True)
    assert [(one.source, one.index, one.stamp) for one in answers.frames] == [("clip.mp4", n, n / 10) for n in range(3)]
    hand = answers.frames[2].result.hands[1]
    assert (hand.track_id, hand.side, hand.grasp.state) == (2, "left", "not_grasping")
    np.testing.assert_allclose(hand.joints_m, say((0.2, 0, 0.5)).joints_m, atol=1e-5)


@pytest.mark.parametrize("key", ["source", "index", "hands", "camera", "width"])
def test_a_frame_without_what_it_needs_is_named_by_its_number(written, key):
    path = written([[], []], lambda content: content["frames"][1].pop(key))
    with pytest.raises(SourceError, match=r"out\.json: frame 1: ") as told:
        read_answers(path)
    assert "\n" not in str(told.value)


ODD = [None, "x", [], {}, [[]], -1, float("nan"), float("inf"), 10**400, True]


@pytest.mark.parametrize("value", ODD, ids=lambda value: str(value)[:8])
@pytest.mark.parametrize("key", ["index", "stamp", "hands", "camera", "width", "timing_ms", "events", "lost", "lag_s"])
def test_any_value_in_a_frame_is_read_or_told_in_one_line(written, key, value):
    path = written([[]], lambda content: content["frames"][0].update({key: value}))
    try:
        read_answers(path)
    except SourceError as error:
        assert str(path) in str(error) and "frame 0" in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("value", ODD, ids=lambda value: str(value)[:8])
def test_any_value_in_a_hand_is_read_or_told_in_one_line(written, say, value):
    for key in json.loads(written([[say()]]).read_text())["frames"][0]["hands"][0]:
        path = written([[say()]], lambda content, key=key: content["frames"][0]["hands"][0].update({key: value}))
        try:
            read_answers(path)
        except SourceError as error:
            assert str(path) in str(error) and "\n" not in str(error), key


@pytest.mark.parametrize("frame", [None, 3, "x", [], [1]])
def test_a_frame_that_is_no_object_is_told(written, frame):
    path = written([[]], lambda content: content["frames"].append(frame))
    with pytest.raises(SourceError, match="frame 1"):
        read_answers(path)


@pytest.mark.parametrize("fps", [10.0, 29.97])
def test_the_period_is_that_of_most_frames(show, fps):
    frames = show([[]] * 9, fps)
    assert period_s(frames) == pytest.approx(1 / fps)
    assert period_s([*frames[:3], *frames[6:]]) == pytest.approx(1 / fps), "a gap does not make it slow"
    assert period_s(frames[:1]) is None and period_s(show([[]] * 3, None)) is None
    assert period_s(frames[::-1]) is None
