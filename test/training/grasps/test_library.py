import json
from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import AssetError, UnknownName
from prehend.hand_model import skin
from prehend_training.grasps.checks import CHECKS, check, suits, touching_parts
from prehend_training.grasps.closing import Hands
from prehend_training.grasps.hand import hand_model
from prehend_training.grasps.kinds import KINDS
from prehend_training.grasps.library import (
    RATES,
    SHIPPED,
    load_grasps,
    quantised,
    restored,
    sample_grasp,
    turned,
)
from prehend_training.grasps.near import STATES, near_miss
from prehend_training.grasps.search.build import build_library, different
from prehend_training.objects import catalogue

ENOUGH = 100
THREE = sorted(np.random.default_rng(8).choice(sorted(catalogue()), 3, replace=False))


def _in_object(grasp):
    posed = skin(hand_model(), grasp.rotations, grasp.betas)
    return (posed.vertices - posed.joints[0] - grasp.T_hand_object[:3, 3]) @ grasp.T_hand_object[:3, :3]


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_thing_has_enough_grasps(name):
    grasps = load_grasps(name)
    assert len(grasps) >= ENOUGH
    assert set(grasps.kinds) <= set(KINDS)
    assert np.ptp(grasps.hands.betas[:, 0]) > 1.5  # of large and small hands
    for kind, found in json.loads((SHIPPED / RATES).read_text())[name]["kinds"].items():
        assert found["kept"] == int((grasps.kinds == kind).sum()) and set(CHECKS) <= set(found["passed"])


def test_the_library_is_small():
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 2.5e6


@pytest.mark.parametrize("name", THREE)
def test_shipped_grasps_are_valid(name):
    grasps, solid = load_grasps(name), catalogue()[name]
    for k in range(0, len(grasps), 2):
        kind, hands = KINDS[grasps.kinds[k]], grasps.hands
        thing = solid.stretched(hands.scale[k])
        report = check(thing, hands.betas[k], hands.angles[k], hands.T_object_hand[k], filled=kind.filled)
        assert report.valid and suits(report, kind), (name, k, report)
        assert np.array_equal(report.contact, grasps.contact[k])


def test_grasps_of_a_thing_differ():
    hands = load_grasps("mug").hands
    place, angles = hands.T_object_hand[:, :3, 3], hands.angles.reshape(len(hands), -1)
    apart = np.linalg.norm(place[:, None] - place, axis=2) / 0.01 + np.linalg.norm(angles[:, None] - angles, axis=2)
    assert apart[np.triu_indices(len(hands), 1)].min() > 0.3


def test_samples_repeat_themselves_and_touch_what_they_say():
    for seed in range(12):
        grasp, again = (sample_grasp(np.random.default_rng(seed)) for _ in range(2))
        assert grasp.solid.object_id == again.solid.object_id
        assert np.array_equal(grasp.angles, again.angles) and np.array_equal(grasp.T_hand_object, again.T_hand_object)
        assert np.array_equal(touching_parts(grasp.solid.distance(_in_object(grasp))), grasp.contact)
        assert grasp.contact.sum() >= 2


def test_samples_are_as_asked():
    rng = np.random.default_rng(1)
    grasp = sample_grasp(rng, "mug", "handle", from_table=True)
    assert grasp.solid.object_id == "mug" and grasp.kind == "handle"
    bottom = grasp.solid.center_m[2] - grasp.solid.extents_m[2] / 2
    assert _in_object(grasp)[:, 2].min() > bottom - 0.004
    child = np.zeros(10)
    child[0] = -2.5
    small = [sample_grasp(rng, "ball", betas=child).betas[0] for _ in range(10)]
    assert np.mean(small) < -1
    with pytest.raises(AssetError, match="kind rim"):
        sample_grasp(rng, "ball", "rim")


def test_round_things_may_be_turned_in_the_hand():
    rng = np.random.default_rng(3)
    grasp = sample_grasp(rng, "can")
    other = turned(rng, grasp)
    points = _in_object(grasp)
    assert not np.allclose(other.T_hand_object, grasp.T_hand_object)
    assert np.allclose(grasp.solid.distance(points), other.solid.distance(_in_object(other)), atol=1e-6)
    mug = sample_grasp(rng, "mug")
    assert np.array_equal(turned(rng, mug).T_hand_object, mug.T_hand_object)


def test_files_keep_grasps():
    hands = load_grasps("box").hands
    rng = np.random.default_rng(0)
    shaken = Hands(
        hands.betas, hands.angles + rng.normal(0, 1e-3, hands.angles.shape), hands.T_object_hand, hands.scale
    )
    back = restored(quantised(shaken))
    assert np.abs(back.angles - shaken.angles).max() < 1.01e-4
    assert np.abs(back.T_object_hand[:, :3, 3] - shaken.T_object_hand[:, :3, 3]).max() < 1.1e-5
    assert np.abs(back.T_object_hand - shaken.T_object_hand).max() < 1e-4


def test_near_misses_never_go_into_the_thing():
    rng = np.random.default_rng(4)
    for k in range(18):
        state = STATES[k % len(STATES)]
        missed = near_miss(rng, sample_grasp(rng), state)
        distance = missed.solid.distance(_in_object(missed))
        assert distance.min() > 0 and missed.kind == state
        assert np.array_equal(missed.contact, touching_parts(distance))
        assert missed.contact.any() == (state == "touching")


def test_near_misses_are_where_they_say():
    rng = np.random.default_rng(5)
    grasp = sample_grasp(rng, "box")
    toward = np.array([0.0, -1.0, 0.0])
    for state, axis in {"above": [0, 0, 1], "in_front": toward, "behind": -toward}.items():
        away = _in_object(near_miss(rng, grasp, state, toward)).mean(0) - grasp.solid.center_m
        assert away @ axis > 0.04


def test_a_library_is_made_and_goes_on(tmp_path):
    told = []
    rates = build_library(["ball"], 4, 7, tmp_path, told.append)
    grasps = load_grasps("ball", tmp_path)
    assert len(grasps) >= 4 and len(told) == 1 and rates["ball"]["grasps"] == len(grasps)
    first = (tmp_path / "ball.npz").read_bytes()
    build_library(["ball"], 4, 7, tmp_path, told.append)
    assert len(told) == 1 and (tmp_path / "ball.npz").read_bytes() == first
    with pytest.raises(UnknownName, match="bal"):
        build_library(["bal"], 4, 7, tmp_path)
    with pytest.raises(AssetError, match="prehend-train grasps"):
        load_grasps("mug", tmp_path)


def test_the_farthest_grasps_are_kept():
    grasps = load_grasps("can")
    twice = replace(
        grasps,
        kinds=np.tile(grasps.kinds, 2),
        hands=Hands(*(np.concatenate([part, part]) for part in vars(grasps.hands).values())),
    )
    chosen = different(twice, len(grasps))
    assert len(set(chosen % len(grasps))) == len(grasps)
