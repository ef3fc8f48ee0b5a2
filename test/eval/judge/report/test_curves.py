"""Plots and the page: what is in them can be read, whatever things are called."""

import base64
import re
from dataclasses import replace
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from prehend.conventions import NUM_JOINTS
from prehend.errors import MissingDependency
from prehend.eval.answers import Answers
from prehend.eval.judge.compare import MEASURES, differences, values_of
from prehend.eval.judge.report import curves
from prehend.eval.judge.report.page import html_report
from prehend.eval.judge.report.worst import encoded, pictures_of, with_meshes, worst_frames
from prehend.eval.judge.summary import judge
from prehend.eval.truth.records import TrueFrame
from prehend.hand_model import load_hand_model

pytest.importorskip("matplotlib")
MODELS = {side: load_hand_model(side=side) for side in ("left", "right")}


@pytest.fixture
def run(say, show, know):
    """run(name, move, count): a run over a clip whose hands are off by a move; the last frame misses its hand."""

    def make(name="run", move=(0.01, 0, 0), count=6, **changes):
        grasps = ["grasping" if n in (2, 3) else "not_grasping" for n in range(count)]
        frames = show([[say(move=move, grasp=grasp)] for grasp in grasps[:-1]] + [[]])
        truth = [TrueFrame((know(grasp=n in (1, 2, 3)),), True) for n in range(count)]
        answers = Answers(tuple(frames), "toy", "ab", True)
        return replace(judge(name, "clip.mp4", answers, truth, "labels", lambda name: None, {}), **changes)

    return make


NAMES = ["a&b <c>", "_hidden", "cost$5$", "$x", "$\\frac$"]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_any_name_is_in_the_legend(run, name):
    svg = curves.pck_plot([run(name), run("other")])
    texts = ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter() if node.tag.endswith("text")]
    assert sum(name in text for text in texts) == 4, "three spaces and the keypoints"


def test_plots_are_the_same_bytes_again_and_have_no_date(run):
    for plot in (curves.error_plot, curves.grasp_plot):
        svg = plot(run())
        assert svg == plot(run()) and svg.startswith("<svg") and "<metadata>" not in svg
        ElementTree.fromstring(svg)


def test_nothing_known_is_no_plot(say, show):
    frames = show([[say(track=n)] for n in range(1, 4)], None)
    nothing = judge("x", "x", Answers(tuple(frames), "", "", True), [None] * 3, "", lambda name: None, {})
    assert curves.pck_plot([nothing]) is curves.error_plot(nothing) is curves.jitter_plot(nothing) is None
    assert curves.grasp_plot(nothing) is None and curves.latency_plot([replace(nothing, timings={})]) is None


def test_long_clips_are_thinned_to_their_peaks(run):
    times, values = np.arange(5000.0), np.zeros(5000)
    values[1234], values[10:20] = 9.0, np.nan
    thin, kept = curves._thinned(times, values)
    assert len(thin) == len(kept) == 1200 and np.nanmax(kept) == 9 and thin[np.nanargmax(kept)] == 1234
    assert (np.diff(thin) > 0).all()


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependency, match=r"\[plots\]"):
        curves.check_matplotlib()


def test_the_page_shows_names_and_runs_none_of_them(run):
    name = "<script>alert(1)</script>"
    runs = [run(name, path=None)]
    rows = differences(runs[0], run("other", (0.02, 0, 0)))
    worst = worst_frames(runs)
    page = html_report(runs, [(name, "other", rows)], worst, {})
    assert "<script" not in page and page.count("<section>") == page.count("</section>") >= 7
    assert {row["measure"] for row in rows} <= set(MEASURES) and "missed" in page
    assert "http" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL), "it needs no network"


def test_a_run_compared_with_itself_differs_in_nothing(run):
    one = run(count=40)
    assert all(row["difference"] == 0 for row in differences(one, one))
    there, back = differences(one, run(move=(0.02, 0, 0), count=40)), differences(run(move=(0.02, 0, 0), count=40), one)
    for a, b in zip(there, back, strict=True):
        assert (a["measure"], a["pairs"], a["first"], a["other"]) == (b["measure"], b["pairs"], b["other"], b["first"])
        assert a["difference"] == pytest.approx(-b["difference"], abs=1e-4)


def test_found_hands_have_errors_and_missed_ones_are_counted(run):
    values = values_of(run(count=6))
    assert sum(values["found"].values()) == 5 and len(values["found"]) == 6
    assert list(values["absolute_mm"].values()) == pytest.approx([0.01] * 5)
    assert len(values["hands_per_frame"]) == 6 and sum(values["hands_per_frame"].values()) == 5


def test_the_worst_frames_are_those_farthest_off_and_at_most_as_many_as_asked(run):
    runs = [run("good"), run("bad", (0.0, 0.2, 0))]
    worst = worst_frames(runs, 3)
    assert [bad.run for bad in worst] == [1, 1, 1] or worst[0].why.startswith("missed")
    assert len(worst) == 3 and [bad.badness for bad in worst] == sorted((bad.badness for bad in worst), reverse=True)
    assert len({(bad.run, bad.place) for bad in worst_frames(runs, 100)}) == len(worst_frames(runs, 100))


def test_pictures_of_a_source_that_is_gone_are_none(run, tmp_path):
    gone = run(path=tmp_path / "gone.mp4")
    assert pictures_of([gone], worst_frames([gone]), MODELS) == {}


def test_a_picture_in_the_page_is_a_jpeg_of_its_colours():
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[..., 0] = 200
    data = cv2.imdecode(np.frombuffer(base64.b64decode(encoded(picture)), np.uint8), cv2.IMREAD_COLOR)
    assert data.shape == (32, 48, 3) and data[..., 2].mean() > 180 and data[..., 0].mean() < 30


def test_meshes_come_back_from_rotations_with_their_wrist_in_place(make_result):
    result = make_result(640, 480, {"side": "left"}, {"wrist_m": (0.1, 0, 0.6)})
    bare = replace(result, hands=tuple(replace(hand, vertices_m=np.zeros((0, 3))) for hand in result.hands))
    for made, hand in zip(with_meshes(bare, MODELS).hands, result.hands, strict=True):
        np.testing.assert_allclose(made.vertices_m, hand.vertices_m, atol=1e-5)
    unknown = replace(bare.hands[0], rotations=np.full((16, 3, 3), np.nan), joints_m=np.full((NUM_JOINTS, 3), np.nan))
    assert len(with_meshes(replace(bare, hands=(unknown,)), MODELS).hands[0].vertices_m) == 0
