"""What the plots show is what the table holds, and what is unknown is left out of both."""

import json
from collections import Counter

import cv2
import numpy as np
import pytest

from prehend.types import Box
from prehend_training.cli.main import main
from prehend_training.imports.take import write_photo_shards
from prehend_training.inspect import plots
from prehend_training.inspect.stats import SampleStats, collect, share, summary
from prehend_training.photos.labels import Photo, PhotoHand, PhotoLabels
from prehend_training.sample import HAND_PARTS
from prehend_training.storage.shards import ShardFolder

figures = pytest.importorskip("matplotlib.figure", reason="the extra `plots` is not installed")
NAN = float("nan")
GRASP = np.array([1, 1, 1, 0, 0, 0, 0, NAN])
TOUCHING = np.array([1, 1, 1, 1, 0, 0, 0, 0.0])


@pytest.fixture(scope="module")
def table():
    """Eight hands of six images: three grasp, one touches, of the last nobody says; half of the palms face us."""
    rng = np.random.default_rng(0)
    palm = rng.normal(size=(8, 3))
    palm[:, 2] = np.abs(palm[:, 2]) * [-1, -1, -1, -1, -1, -1, 1, 1]
    parts = np.zeros((8, 6))
    parts[:, 1] = [1, 1, 0, 0, 0, 0, 0, NAN]
    hands = {
        "flexion_deg": rng.uniform(0, 90, (8, 15)),
        "abduction_deg": rng.uniform(-20, 20, (8, 15)),
        "twist_deg": np.where(np.arange(8)[:, None] == 0, NAN, rng.uniform(-5, 5, (8, 15))),
        "betas": rng.normal(size=(8, 10)),
        "length_mm": rng.uniform(150, 200, 8),
        "palm": palm / np.linalg.norm(palm, axis=1, keepdims=True),
        "visible_ratio": np.array([0.2, 0.45, 0.9, 0.9, 1, 1, 1, NAN]),
        "part_visible": rng.uniform(0, 1, (8, 6)),
        "occluded_paper": np.array([1, 1, 0, 0, 0, 0, 0, NAN]),
        "occluded_script": np.array([1, 0, 0, 0, 0, 0, 0, NAN]),
        "parts_paper": parts,
        "parts_script": np.zeros((8, 6)),
        "grasp": GRASP,
        "displaced": GRASP,
        "touching": TOUCHING,
        "contact": TOUCHING[:, None] * (np.arange(6) < 3),
        "right": np.array([1, 1, 1, 0, 0, 0, NAN, NAN]),
        "distance_m": rng.uniform(0.3, 1, 8),
        "size_px": rng.uniform(40, 100, 8),
        "skin_luma": rng.uniform(0.2, 0.8, 8),
    }
    pictures = {
        "hands": np.array([0, 1, 1, 2, 2, 2]),
        "objects": np.array([0, 0, 0, 1, 1, 3]),
        "brightness": np.linspace(0.2, 0.7, 6),
        "burnt": np.array([0, 0, 0, 0.1, 0.1, 1.0]),
    }
    return SampleStats(hands, pictures, Counter({"can": 3, "box": 2}), Counter({"can": 2}))


def drawn(name, table):
    figure = figures.Figure()
    {**plots._OF_HANDS, **plots._OF_PICTURES}[name][0](figure, table)
    return figure.axes


def heights(panel):
    return np.array([patch.get_height() for patch in panel.patches])


def test_bars_of_grasps_are_the_shares_of_the_report(table):
    left, right = drawn("grasp", table)
    told = summary(table)
    names = [label.get_text() for label in left.get_xticklabels()]
    expected = [told["grasp_share"], told["displaced_share"], told["touching_share"], 1 / 7, told["right_share"]]
    assert names[0] == "grasp" and heights(left) == pytest.approx(np.array(expected), abs=1e-3)
    assert [text.get_text() for text in left.texts][:2] == ["43%", "43%"]
    assert heights(right) == pytest.approx(np.array([1, 1, 1, 0, 0, 0])), "of hands that touch alone"
    assert told["right_share"] == 0.5 and told["grasp_share"] == pytest.approx(3 / 7, abs=1e-4)


def test_bars_of_objects_count_pictures_and_what_is_held(table):
    left, right = drawn("objects", table)
    assert [label.get_text() for label in left.get_xticklabels()] == ["can", "box"]
    assert heights(left).tolist() == [3, 2, 2, 0]  # in pictures, then held
    of_hands, of_objects = heights(right)[:4], heights(right)[4:]
    assert of_hands == pytest.approx([1 / 6, 2 / 6, 3 / 6, 0]) and of_objects == pytest.approx([3 / 6, 2 / 6, 0, 1 / 6])


@pytest.mark.parametrize(
    ("name", "panel"), [("shape", 1), ("visibility", 0), ("light", 0), ("light", 2), ("distance", 1)]
)
def test_histograms_are_shares_of_what_is_known(name, panel, table):
    assert heights(drawn(name, table)[panel]).sum() == pytest.approx(1)


def test_burnt_pixels_stand_at_their_power_of_ten(table):
    panel = drawn("light", table)[1]
    places = {
        round(patch.get_x() + patch.get_width() / 2): patch.get_height()
        for patch in panel.patches
        if patch.get_height()
    }
    assert (
        sum(places.values()) == pytest.approx(1)
        and places[-4] == pytest.approx(0.5)
        and places[0] == pytest.approx(1 / 6)
    )


def test_every_joint_has_a_panel_with_three_angles(table):
    axes = drawn("pose", table)
    titles = [panel.get_title() for panel in axes]
    assert (
        len(axes) == 15 and len(set(titles)) == 15 and titles[0].startswith("thumb") and titles[-1].startswith("little")
    )
    for panel in axes:
        assert heights(panel).sum() == pytest.approx(3)  # twist, abduction, flexion: each shares of the known


def test_occluded_shares_of_the_legend_are_those_of_the_report(table):
    left, middle, right = drawn("visibility", table)
    words = [text.get_text() for text in left.get_legend().get_texts()]
    assert words == ["occluded (paper): 29%", "occluded (script): 14%"]
    assert summary(table)["occluded_paper_share"] == pytest.approx(2 / 7, abs=1e-4)
    assert [label.get_text() for label in middle.get_xticklabels()] == list(HAND_PARTS)
    assert heights(right)[:6] == pytest.approx([0, 2 / 7, 0, 0, 0, 0], abs=1e-3) and not heights(right)[6:].any()


def test_palms_are_told_towards_and_away(table):
    titles = [panel.get_title() for panel in drawn("viewpoint", table)]
    assert titles == ["palm towards the camera: 75%", "back towards the camera: 25%"]
    assert summary(table)["palm_towards_camera_share"] == 0.75


def test_the_map_of_directions_keeps_areas_and_sides():
    x, y = plots._equal_area(np.array([[0, 0, -1.0], [1, 0, 0], [0, -1, 0], [0.6, 0, 0.8]]))
    assert np.allclose(x, [0, np.sqrt(2), 0, 0.6 * np.sqrt(2 / 1.8)]) and np.allclose(y, [0, 0, np.sqrt(2), 0])
    rng = np.random.default_rng(0)
    even = rng.normal(size=(20_000, 3))
    x, y = plots._equal_area(even / np.linalg.norm(even, axis=1, keepdims=True))
    inside = [(np.hypot(x, y) < radius).mean() for radius in (0.5, 1.0)]
    assert inside == pytest.approx([0.125, 0.5], abs=0.02)  # as the areas of the discs over that of the whole


def test_shares_are_of_what_is_known():
    assert share(np.array([1.0, NAN, 0])) == 0.5 and share(np.array([NAN])) is None and share(np.array([])) is None


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Shards of photographs: places in the image alone; of one hand the side is known."""
    folder = tmp_path_factory.mktemp("photographs")
    photos = []
    for number, side in enumerate((None, "right", None, "left")):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((96, 128, 3), 60 + 40 * number, np.uint8))
        points = np.random.default_rng(number).uniform([20, 20], [90, 80], (21, 2))
        hand = PhotoHand(Box.around(points), points, None, side, held=True if number == 1 else None)
        photos.append(Photo(f"{number}.png", (128, 96), (hand,), True, split="train"))
    write_photo_shards(PhotoLabels(folder, tuple(photos)), folder / "shards")
    return folder / "shards" / "train"


def test_what_photographs_do_not_tell_is_no_share(photographs):
    """Nobody says the side of two hands, nor where a palm points: neither counts as left, nor as turned away."""
    table = collect(ShardFolder.open(photographs))
    told = json.loads(json.dumps(summary(table), allow_nan=False))
    assert told["hands"] == 4 and told["right_share"] == 0.5
    assert told["palm_towards_camera_share"] is None and told["distance_m"] is None and told["length_mm"] is None
    assert told["grasp_share"] == 1.0 and told["size_px"]["p50"] > 30


def test_their_plots_name_no_direction_and_nothing_that_is_unknown(photographs):
    table = collect(ShardFolder.open(photographs), limit=3)
    titles = [panel.get_title() for panel in drawn("viewpoint", table)]
    assert titles == ["palm towards the camera: 0%", "back towards the camera: 0%"]
    assert not heights(drawn("distance", table)[0]).any() and heights(drawn("distance", table)[1]).sum() > 0.99


def test_a_folder_of_nothing_is_told(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["stats", str(tmp_path), "--out", str(tmp_path / "plots")]) == 1
    assert "index.json" in capsys.readouterr().err and not (tmp_path / "plots").exists()
