import csv
import json
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from prehend.errors import InvalidInput, MissingDependency, OutputError, UnknownName
from prehend.eval.cases import HandAnswer, HandCase, ObjectCase, score, table_of
from prehend.eval.papers.plots import draw_plots
from prehend.eval.papers.protocols import PROTOCOLS, protocol, protocol_of_dataset
from prehend.eval.papers.published import PUBLISHED
from prehend.eval.papers.report import SCHEMA, column_of, hidden_between, write_csv, write_json
from prehend.eval.papers.tables import LAYOUTS, markdown

K = np.diag([500.0, 500, 1])


def score_all(cases):
    return table_of([score(case) for case in cases])


def make_case(seed, error_m=0.0, grasp=False, hidden=0.1, answered=True, said=None, T_said="truth", symmetric=False):
    """A hand whose answer is off by a shift of all points but the wrist: J-PE is `error_m * 20 / 21`."""
    rng = np.random.default_rng(seed)
    joints, mesh = (rng.normal(0, 0.04, (points, 3)) + np.array([0, 0, 0.6]) for points in (21, 90))
    off = np.array([error_m, 0, 0])
    moved = joints + off
    moved[0] = joints[0]
    answer = HandAnswer(moved, mesh + off, True, "right", 0.9 if (grasp if said is None else said) else 0.1)
    held = None
    if grasp:
        T = np.eye(4)
        T[2, 3] = 0.6
        predicted = T if isinstance(T_said, str) else T_said
        held = ObjectCase("box", rng.normal(0, 0.05, (50, 3)), symmetric, T, predicted, K)
    return HandCase(joints, mesh, "right", grasp, hidden, answer if answered else None, held)


def report_of(cases, name="scenes", **columns):
    chosen = protocol(name)
    return {
        "schema": SCHEMA,
        "protocol": name,
        "data": {"title": "made-up hands", "published_split": True},
        "model": {"name": "oracle"},
        "columns": {"boxes": column_of(score_all(cases), chosen), **columns},
    }


def test_the_truth_scores_full_marks():
    scores = score(make_case(0, grasp=True, hidden=0.4))
    assert scores.j_pe == scores.v_pe == scores.absolute == scores.add == scores.reprojection_px == 0
    assert scores.pa_j_pe < 1e-9 and (scores.f == 1).all() and (scores.pa_f == 1).all()
    assert scores.said_grasp == scores.grasp == scores.side_right == scores.answered == 1
    assert scores.j_pck.tolist() == [1.0] * 100


def test_what_is_not_known_is_not_counted():
    case = make_case(0, 0.021)
    placeless = replace(case, answer=replace(case.answer, placed=False, vertices_m=np.zeros((0, 3)), side=None))
    scores = score(placeless)
    assert scores.j_pe == pytest.approx(0.02) and np.isnan([scores.absolute, scores.v_pe, scores.side_right]).all()
    assert np.isnan(score(replace(case, vertices_m=np.zeros((80, 3)))).v_pe), "another mesh has no vertex errors"
    assert np.isnan(score(replace(case, answer=None)).j_pe)
    with pytest.raises(InvalidInput):
        score(replace(case, joints_m=np.zeros((20, 3))))


def test_groups_are_means_of_their_own_hands():
    cases = [
        make_case(1, 0.021, grasp=False, hidden=0.0),
        make_case(2, 0.042, grasp=True, hidden=0.3),
        make_case(3, 0.063, grasp=True, hidden=0.5, said=False),
        make_case(4, 0.5, grasp=True, hidden=1.0, answered=False),
    ]
    column = column_of(score_all(cases), protocol("scenes"))
    scenes, bins = column["scenes"], column["occlusion"]
    assert (scenes["all"]["hands"], scenes["all"]["answered"]) == (4, 75)
    assert scenes["all"]["j_pe_mm"] == 40 and scenes["hand-only"]["j_pe_mm"] == 20
    assert (scenes["hand-object"]["j_pe_mm"], scenes["hand-object"]["hands"]) == (50, 3)
    assert [group["hands"] for group in bins.values()] == [1, 1, 1, 1]
    assert [group["j_pe_mm"] for group in bins.values()] == [20, 40, 60, None]
    # known answers alone: two right of three
    assert column["grasp"] == {"hands": 3, "accuracy": 66.67, "precision": 100, "recall": 50, "f1": 66.67}
    assert column["curves"]["j_pck"][-1] == pytest.approx(100 * (1 + 1 + 1 / 21) / 3, abs=1e-2)
    with pytest.raises(InvalidInput, match="no labelled hand"):
        column_of(score_all([]), protocol("scenes"))


def test_bins_share_out_every_hand_once():
    hidden = np.concatenate([np.linspace(0, 1, 101), [np.nan]])
    rows = np.array([hidden_between(hidden, low, high) for low, high in PROTOCOLS["scenes"].occlusion_bins])
    assert rows[:, :-1].sum(0).tolist() == [1] * 101 and not rows[:, -1].any()
    assert rows[1, 25] and rows[2, 50] and rows[3, 75] and rows[3, 100]


def test_an_object_without_a_pose_is_a_miss_and_a_switcher_that_denies_it_too():
    far = np.eye(4)
    far[:3, 3] = [0.5, 0, 0.6]
    cases = [
        make_case(1, grasp=True),
        make_case(2, grasp=True, said=False),
        make_case(3, grasp=True, T_said=None),
        make_case(4, grasp=True, T_said=far),
        make_case(5, grasp=False),
    ]
    things = column_of(score_all(cases), protocol("scenes"))["objects"]
    assert things["all"] == things["by_object"]["box"]
    assert (things["all"]["samples"], things["all"]["posed"]) == (4, 75)
    assert (things["all"]["add_0.5d"], things["all"]["add_0.5d_if_said"]) == (50, 25)
    assert (things["all"]["reprojection_5px"], things["all"]["add_mm_of_posed"]) == (
        50,
        pytest.approx(500 / 3, abs=0.01),
    )


def test_symmetric_objects_are_scored_by_the_nearest_point():
    turned = np.diag([1.0, -1, -1, 1])
    turned[2, 3] = 0.6
    case = make_case(1, grasp=True, T_said=turned, symmetric=True)
    points = case.held.points_m
    case = replace(case, held=replace(case.held, points_m=np.concatenate([points, points * [1, -1, -1]])))
    scores = score(case)
    assert scores.add == pytest.approx(0, abs=1e-9) and scores.add_plain > 0.02


def test_the_paper_protocols():
    s3 = protocol_of_dataset("dexycb", "s3_test")
    assert s3.objects == ("009_gelatin_box", "021_bleach_cleanser", "036_wood_block")
    assert s3.add_factors == (0.1, 0.5) and s3.reprojection_px == (5, 20) and s3.grasp_label == "displaced"
    assert "036_wood_block" in s3.symmetric and len(s3.symmetric) == 4
    assert protocol_of_dataset("dexycb", "s0_test").name == "dexycb-s0"
    assert protocol_of_dataset("hanco", "test").scenes == ("all",)
    for call in (lambda: protocol("s3"), lambda: protocol_of_dataset("interhand", "test")):
        with pytest.raises(UnknownName):
            call()


def test_published_rows_fit_their_layouts():
    for (name, number), table in PUBLISHED.items():
        layout, chosen = LAYOUTS[number], PROTOCOLS[name]
        assert number in chosen.tables
        groups = len(layout.groups) or len(chosen.objects) + 1
        for method, cells in table.rows.items():
            assert len(cells) == groups * len(layout.measures), method
        # the scenes and their mean are of one set of hands, so the mean lies between
        if number == 2:
            assert all(min(c[4], c[8]) <= c[0] <= max(c[4], c[8]) for c in table.rows.values())
    # a pair of a table each, against the paper
    assert PUBLISHED["dexycb-s3", 3].rows["UniHOPE"][-1] == 43.06
    assert PUBLISHED["dexycb-s3", 6].rows["UniHOPE"][8] == 26.42


def test_tables_hold_the_papers_rows_and_ours():
    cases = [make_case(k, 0.021, grasp=bool(k % 2), hidden=k / 8) for k in range(8)]
    text = markdown(report_of(cases, "dexycb-s3"))
    assert "| UniHOPE " in text and "43.06" in text and "gelatin_box" in text and "table 6" in text
    ours = [line for line in text.splitlines() if line.startswith("| **oracle**")]
    assert len(ours) == 4
    assert ours[0].split("|")[2].strip() == "20.00"
    elsewhere = report_of(cases, "dexycb-s3")
    elsewhere["data"]["published_split"] = False
    assert "43.06" not in markdown(elsewhere) and "left out" in markdown(elsewhere)
    scenes = markdown(report_of(cases))
    assert "Nobody has published" in scenes and "| box " in scenes and "UniHOPE (CVPR" not in scenes


def test_files_hold_the_report(tmp_path):
    cases = [make_case(k, 0.021 * k, grasp=bool(k % 2), hidden=k / 4) for k in range(4)]
    report = report_of([*cases, make_case(9, answered=False)])
    assert json.loads(write_json(report, tmp_path / "new" / "report.json").read_text()) == report
    with write_csv(report, tmp_path / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    kinds = [(row["kind"], row["group"]) for row in rows]
    assert ("scenes", "hand-only") in kinds and ("occlusion", "50-75") in kinds and ("objects", "all") in kinds
    assert float(rows[0]["j_pe_mm"]) == report["columns"]["boxes"]["scenes"]["all"]["j_pe_mm"]
    (tmp_path / "file").write_text("")
    for write in (write_json, write_csv):
        with pytest.raises(OutputError, match="cannot be written"):
            write(report, tmp_path / "file" / "report")


def test_plots_are_drawn_and_the_extra_is_named(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    cases = [make_case(k, 0.01 * k, hidden=k / 4) for k in range(4)]
    report = report_of(cases)
    report["columns"]["detector"] = column_of(score_all([*cases, make_case(9, answered=False)]), protocol("scenes"))
    paths = draw_plots(report, tmp_path)
    assert [path.name for path in paths] == ["pck.png", "occlusion.png"]
    assert all(cv2.imread(str(path)).std() > 10 and path.stat().st_size < 150_000 for path in paths)
    freihand = report_of([replace(case, grasp=None) for case in cases], "freihand")
    assert [path.name for path in draw_plots(freihand, tmp_path)] == ["pck.png"]
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependency, match=r"pip install '\S*\[plots\]'"):
        draw_plots(report, tmp_path)
