"""The library grows by objects: what is finished stays, what was broken off is made again, damaged notes are named."""

import json
from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import AssetError, OutputError, UnknownName
from prehend.hand_model import skin
from prehend_training.assets.poses import pose_from_angles
from prehend_training.grasps.closing import Hands
from prehend_training.grasps.hand import hand_model
from prehend_training.grasps.library import RATES, GraspSet, load_grasps, sample_grasp
from prehend_training.grasps.search import build
from prehend_training.grasps.search.build import build_library, clearance, different
from prehend_training.objects import catalogue

FOUND = {"power": {"candidates": 9, "valid": 5, "kept": 3, "passed": {}}}


@pytest.fixture
def made(monkeypatch):
    """Which objects' grasps are made; they are taken from the shipped ones, for it is the books that are tested."""
    asked = []

    def make(solid, count, seed):
        asked.append((solid.object_id, count, seed))
        return load_grasps(solid.object_id).rows(np.arange(count)), FOUND

    monkeypatch.setattr(build, "make_grasps", make)
    return asked


def test_what_is_finished_is_not_made_again_and_other_wishes_are(tmp_path, made):
    rates = build_library(["ball", "box"], 3, 1, tmp_path)
    assert made == [("ball", 3, 1), ("box", 3, 1)] and set(rates) == {"ball", "box"}
    assert build_library(["box", "ball"], 3, 1, tmp_path) == rates and len(made) == 2
    build_library(["ball"], 3, 2, tmp_path)  # another seed
    build_library(["ball"], 4, 2, tmp_path)  # more of them
    (tmp_path / "box.npz").unlink()
    build_library(["ball", "box"], 4, 2, tmp_path)
    assert made[2:] == [("ball", 3, 2), ("ball", 4, 2), ("box", 4, 2)]
    assert len(load_grasps("ball", tmp_path)) == 4


def test_grasps_of_another_hand_are_made_again(tmp_path, made):
    build_library(["ball"], 3, 1, tmp_path)
    rates = json.loads((tmp_path / RATES).read_text())
    rates["ball"]["hand"] = "0" * 16
    (tmp_path / RATES).write_text(json.dumps(rates))
    build_library(["ball"], 3, 1, tmp_path)
    assert len(made) == 2


def test_what_was_broken_off_goes_on_where_it_stood(tmp_path, made, monkeypatch):
    whole = build.make_grasps

    def broken_off(solid, count, seed):
        if solid.object_id == "can":
            raise KeyboardInterrupt
        return whole(solid, count, seed)

    with monkeypatch.context() as patch:
        patch.setattr(build, "make_grasps", broken_off)
        with pytest.raises(KeyboardInterrupt):
            build_library(["ball", "can", "box"], 3, 1, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ball.npz", RATES]
    told = []
    build_library(["ball", "can", "box"], 3, 1, tmp_path, told.append)
    assert [name for name, *_ in made] == ["ball", "can", "box"]
    assert told == ["can: 3 grasps", "box: 3 grasps"]


def test_a_file_of_grasps_is_whole_before_the_books_know_it(tmp_path, made, monkeypatch):
    """A disk that takes no more leaves neither half a file nor a note of it."""

    def full(path, arrays):
        raise OutputError(f"{path} cannot be written: no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("prehend_training.grasps.library.replace_arrays", full)
        with pytest.raises(OutputError):
            build_library(["ball"], 3, 1, tmp_path)
    assert not any(tmp_path.iterdir())
    assert set(build_library(["ball"], 3, 1, tmp_path)) == {"ball"}


def test_what_another_process_noted_meanwhile_is_kept(tmp_path, made, monkeypatch):
    whole = build.make_grasps

    def beside(solid, count, seed):
        (tmp_path / RATES).write_text(json.dumps({"mug": {"seed": 5}}))
        return whole(solid, count, seed)

    monkeypatch.setattr(build, "make_grasps", beside)
    build_library(["ball"], 3, 1, tmp_path)
    assert set(json.loads((tmp_path / RATES).read_text())) == {"ball", "mug"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"ball": 3}', '"ball"', '{"ball": {}, "ball": {}}', "\xff"])
def test_damaged_notes_are_named_with_the_way_out(tmp_path, made, text):
    (tmp_path / RATES).write_text(text, encoding="latin-1")
    with pytest.raises(AssetError, match=r"rates\.json.*remove it") as told:
        build_library(["ball"], 3, 1, tmp_path)
    assert "\n" not in str(told.value) and not made


def test_an_object_that_nobody_knows_is_named_before_anything_is_made(tmp_path, made):
    with pytest.raises(UnknownName, match="unknown object 'teapot'"):
        build_library(["ball", "teapot"], 3, 1, tmp_path / "new")
    assert not made and not (tmp_path / "new").exists()


def some(count, kinds=("power",), seed=0):
    """Grasps whose hands are anywhere."""
    rng = np.random.default_rng(seed)
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, :3, 3] = rng.uniform(-0.2, 0.2, (count, 3))
    hands = Hands(rng.normal(size=(count, 10)), rng.normal(0, 0.3, (count, 15, 3)), T, np.ones((count, 3)))
    contact = np.zeros((count, 6), bool)
    return GraspSet("ball", np.array([kinds[k % len(kinds)] for k in range(count)]), hands, contact, np.zeros(count))


@pytest.mark.parametrize("count", [0, 1, 5, 12, 40])
def test_so_many_are_chosen_as_are_asked_for_and_each_once(count):
    chosen = different(some(12), count)
    assert len(chosen) == min(count, 12) == len(set(chosen)) and (np.diff(chosen) > 0).all()
    assert len(different(some(0), 5)) == 0


def test_kinds_take_turns():
    grasps = some(30, ("power", "pinch", "rim"))
    kinds, counts = np.unique(grasps.kinds[different(grasps, 9)], return_counts=True)
    assert kinds.tolist() == ["pinch", "power", "rim"] and counts.tolist() == [3, 3, 3]
    rare = replace(grasps, kinds=np.array(["pinch"] * 2 + ["power"] * 28))
    assert (rare.kinds[different(rare, 10)] == "pinch").sum() == 2  # all there are


def test_of_two_crowds_both_are_chosen_from():
    grasps = some(20)
    grasps.hands.T_object_hand[:, :3, 3] = np.where(np.arange(20)[:, None] < 18, 0.0, 1.0)
    grasps.hands.angles[:], grasps.hands.betas[:] = 0, 0
    grasps.hands.T_object_hand[:, 0, 3] += np.linspace(0, 0.01, 20)
    assert (different(grasps, 2) >= 18).sum() == 1


def test_clearance_is_that_of_the_lowest_skin_over_the_foot_of_the_object():
    grasps = load_grasps("can")
    solid, hands = catalogue()["can"], grasps.hands.rows(np.arange(0, len(grasps), 9))
    found = clearance(solid, hands)
    for k in range(len(hands)):
        rotations = pose_from_angles(hand_model(), *hands.angles[k].T)
        posed = skin(hand_model(), rotations, hands.betas[k])
        T = hands.T_object_hand[k]
        lowest = ((posed.vertices - posed.joints[0]) @ T[:3, :3].T + T[:3, 3])[:, 2].min()
        sized = solid.stretched(hands.scale[k])
        exact = lowest - (sized.center_m[2] - sized.extents_m[2] / 2)
        assert exact - 1e-4 <= found[k] < exact + 0.006  # of some of the vertices
    lifted = clearance(solid, hands.moved(np.array([0.0, 0.3, 0.05])))
    np.testing.assert_allclose(lifted - found, 0.05, atol=1e-6)
    assert clearance(solid, hands.rows(np.zeros(0, int))).shape == (0,)


def test_where_nothing_fits_the_trigger_is_asked_about_nobody():
    """A drill too thick for every hand that was tried ended the whole library."""
    nobody = some(0).hands
    assert build._at_trigger(catalogue()["drill"], nobody).shape == (0,)


def test_a_thing_that_nobody_can_hold_has_a_file_without_grasps(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "make_grasps", lambda solid, count, seed: (some(0), FOUND))
    build_library(["ball"], 3, 1, tmp_path)
    assert len(load_grasps("ball", tmp_path)) == 0
    with pytest.raises(AssetError, match="no grasp of 'ball'"):
        sample_grasp(np.random.default_rng(0), "ball", folder=tmp_path)
