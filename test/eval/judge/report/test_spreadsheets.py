"""The files of a judgement as spreadsheets and programs read them."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.eval.answers import Answers
from prehend.eval.judge.report.spreadsheets import (
    BOP_FIELDS,
    EVENT_FIELDS,
    FRAME_FIELDS,
    bop_csv,
    bop_numbers,
    events_csv,
    frames_csv,
    number_text,
    table_rows,
    table_text,
)
from prehend.eval.judge.summary import judge
from prehend.eval.truth.records import TrueFrame
from prehend.geometry.rotations import matrix_from_axis_angle


def judged(frames, truth=None, name="run"):
    truth = [None] * len(frames) if truth is None else truth
    return judge(name, "clip.mp4", Answers(tuple(frames), "toy", "ab", True), truth, "", lambda name: None, {})


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def pose(seed=0):
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = matrix_from_axis_angle(np.random.default_rng(seed).normal(0, 1, 3)), [0.1, -0.02, 0.5]
    return T


def test_every_frame_has_a_line_and_every_hand_one(say, show, know):
    run = judged(show([[say(), say((0.3, 0, 0.5), 2)], [], [say()]]), [TrueFrame((know(),), True), None, None])
    lines = read(frames_csv([run]))
    assert [(line["index"], line["kind"]) for line in lines] == [
        ("0", "found"), ("0", "false"), ("1", "no hand"), ("2", "unjudged"),
    ]  # fmt: skip
    assert all(set(line) == set(FRAME_FIELDS) for line in lines)
    assert lines[0]["absolute_mm"] == "0.000" and lines[2]["score"] == lines[3]["absolute_mm"] == ""
    assert "nan" not in frames_csv([run])


def test_events_name_their_frames_and_hands(say, show):
    states = ["not_grasping"] * 3 + ["grasping"] * 4
    lines = read(events_csv([judged(show([[say(grasp=state)] for state in states]))]))
    assert {line["event"] for line in lines} >= {"found", "grasped"} and set(lines[0]) == set(EVENT_FIELDS)
    assert all(line["track_id"] == "1" and line["stamp"] for line in lines)


@pytest.mark.parametrize("seed", range(3))
def test_bop_poses_are_read_back_as_they_were(say, show, seed):
    T = pose(seed)
    run = judged(show([[say(held=("mug", T))]], None))
    (line,) = read(bop_csv([run], {"mug": 7}))
    assert tuple(line) == BOP_FIELDS and line["obj_id"] == "7"
    R, t = (np.array(line[key].split(), float) for key in ("R", "t"))
    np.testing.assert_allclose(R.reshape(3, 3), T[:3, :3], atol=1e-6)
    np.testing.assert_allclose(t / 1000, T[:3, 3], atol=1e-6)


def test_numbers_of_bop_are_those_of_the_names_and_never_shared(say, show):
    names = ["obj_000004", "mug", "unknown", "box", "obj_x"]
    run = judged(show([[say(held=(name, pose()))] for name in names]))
    numbers = bop_numbers([run], {9: "box"})
    assert numbers["obj_000004"] == 4 and numbers["box"] == 9 and "unknown" not in numbers
    assert len(set(numbers.values())) == len(numbers) == 4
    assert bop_numbers([], {}) == {}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(-1e6, 1e6))
def test_a_number_for_people_is_the_number_to_what_it_shows(value):
    text = number_text(value)
    assert float(text) == pytest.approx(value, abs=0.05001 if abs(value) >= 9.9995 else 0.00051)
    assert not text.endswith(".") and text != "-0" and len(text) < 11


def test_what_is_no_number_is_shown_as_it_is():
    assert [number_text(value) for value in (None, "x", 3, 0.0, -0.0, 0.5, 12.34)] == [
        "-", "x", "3", "0", "0", "0.5", "12.3",
    ]  # fmt: skip


def test_a_table_of_runs_has_a_row_each_also_for_names_with_bars(say, show, know):
    known = [TrueFrame((know(),), True)]
    runs = [judged(show([[say()]]), known, "a|b"), judged(show([[]]), known, "c,d")]
    headings, rows = table_rows(runs)
    assert [name for name, _ in rows] == ["a|b", "c,d"] and all(len(cells) == len(headings) for _, cells in rows)
    assert [row["run"] for row in read(table_text(runs, ".csv"))] == ["a|b", "c,d"]
    assert "| a\\|b |" in table_text(runs, ".MD")


def test_sources_with_commas_quotes_and_line_ends_stay_in_their_cell(say, show):
    frames = [replace(one, source='odd, "name"\nof a file.mp4') for one in show([[say()]])]
    (line,) = read(frames_csv([judged(frames)]))
    assert line["source"] == 'odd, "name"\nof a file.mp4'
