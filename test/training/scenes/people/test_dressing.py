"""Skin, clothes and jewellery move with the hand, and rings around limbs are where they are said to be."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.hand_model import skin as posed
from prehend_training.scenes.layout.surroundings import random_rotation
from prehend_training.scenes.people.body import (
    PARTS,
    Arm,
    bend_wrist,
    dressed_hand,
    elbow_loop,
    hand_face_count,
    shoulder,
)
from prehend_training.scenes.people.clothing import (
    Outfit,
    sample_bracelet,
    sample_glove,
    sample_outfit,
    sample_ring,
    sample_sleeve,
    sample_watch,
)
from prehend_training.scenes.people.gestures import sample_bare
from prehend_training.scenes.people.limb import (
    ANGLES,
    ARM_END_M,
    ARM_START_M,
    ARM_STEP_M,
    RING_ROWS,
    drawn_hand,
    hand_normals,
    on_finger,
    on_forearm,
    smoothing,
    tube_faces,
    tube_normals,
)

ARM = Arm(np.array([0.2, 0.1, 0.3]), np.array([0.2, 0.4, -0.1]))
TEMPLATE = drawn_hand().v_template.astype(float)


@pytest.fixture(scope="module")
def hand():
    rng = np.random.default_rng(1)
    model = posed(drawn_hand(), sample_bare(rng)[1], rng.standard_normal(10))
    return bend_wrist(model.vertices - model.joints[0], ARM).astype(float)


def worn(**things):
    return replace(Outfit(sample_outfit(np.random.default_rng(0)).skin), **things)


def outfits():
    rng = np.random.default_rng(7)
    return {
        "bare": worn(),
        "sleeve": worn(sleeve=sample_sleeve(rng)),
        "glove": worn(glove=sample_glove(rng)),
        "rings": worn(rings=tuple(sample_ring(rng, digit) for digit in (1, 2, 3, 4))),
        "watch": worn(watch=sample_watch(rng)),
        "bracelet": worn(bracelet=sample_bracelet(rng)),
    }


@pytest.mark.parametrize("name", outfits())
def test_what_is_worn_moves_with_the_hand(hand, name):
    """However hand and arm are turned and shifted, clothes and jewellery are the same ones there."""
    R, t = random_rotation(np.random.default_rng(3)), np.array([0.3, -0.2, 0.8])
    outfit = outfits()[name]
    here = dressed_hand(hand, outfit, ARM, 2)
    there = dressed_hand(hand @ R.T + t, outfit, replace(ARM, elbow=R @ ARM.elbow), 2)
    assert np.array_equal(here.faces, there.faces) and here.tiles == there.tiles
    assert np.abs(here.vertices["position"] @ R.T + t - there.vertices["position"]).max() < 2e-5
    turned = (here.vertices["normal"] @ R.T * there.vertices["normal"]).sum(1)
    used = np.unique(here.faces)
    assert np.quantile(turned[used], 0.01) > 0.999
    for field in ("uvw", "colour", "material", "code"):
        assert np.array_equal(here.vertices[field], there.vertices[field]), field


@pytest.mark.parametrize("name", outfits())
def test_clothes_lie_on_the_skin_and_not_far_from_it(hand, name):
    geometry = dressed_hand(hand, outfits()[name], ARM, 2)
    bare = dressed_hand(hand, worn(), ARM, 2)
    added = geometry.vertices["position"][np.unique(geometry.faces)].astype(float)
    skin = bare.vertices["position"][np.unique(bare.faces)].astype(float)
    nearest = np.array([np.linalg.norm(skin - point, axis=1).min() for point in added[::7]])
    assert nearest.max() < 0.045  # loose cloth hangs, nothing floats


def test_the_entity_counts_the_codes(hand):
    for entity in (1, 101, 255):
        codes = dressed_hand(hand, outfits()["sleeve"], ARM, entity).vertices["code"]
        assert set(np.unique(codes // PARTS)) == {entity}
    first, second = (dressed_hand(hand, outfits()["rings"], ARM, entity).vertices["code"] for entity in (1, 4))
    assert np.array_equal(first + 3 * PARTS, second)


def test_numbers_of_clothes_are_possible_and_do_not_overlap():
    rng = np.random.default_rng(5)
    for _ in range(600):
        outfit = sample_outfit(rng)
        start = 1.0 if outfit.sleeve is None else outfit.sleeve.start_m
        if outfit.watch is not None:
            assert outfit.watch.place_m + outfit.watch.strap_m <= start and outfit.bracelet is None
        if outfit.bracelet is not None:
            assert outfit.bracelet.place_m + 0.015 <= start
        digits = [ring.digit for ring in outfit.rings]
        assert len(set(digits)) == len(digits) and set(digits) <= {1, 2, 3, 4}
        if outfit.glove is not None and outfit.sleeve is not None:
            # one goes into the other, or bare skin is between them
            inside = outfit.sleeve.start_m < outfit.glove.cuff_m
            assert inside or outfit.sleeve.start_m >= outfit.glove.cuff_m + 0.0099


def test_rings_of_the_forearm_go_once_around_it_at_their_stations():
    rings = on_forearm().of(TEMPLATE)
    stations = np.arange(ARM_START_M, ARM_END_M + 1e-9, ARM_STEP_M)
    assert rings.shape == (len(stations), ANGLES, 3)
    assert np.abs(rings[3:, :, 0] - stations[3:, None]).max() < 0.004
    assert (rings[:, 0, 1] > rings.mean(1)[:, 1]).all()  # the first point is on the back, +y
    assert (rings[:, ANGLES // 4, 2] > rings.mean(1)[:, 2]).all()  # then they go to the thumb, +z
    angle = np.unwrap(np.arctan2(*(rings - rings.mean(1, keepdims=True))[3:, :, [2, 1]].transpose(2, 0, 1)), axis=1)
    assert (np.diff(angle, axis=1) > -0.02).all()
    assert np.allclose(angle[:, -1] - angle[:, 0], 2 * np.pi * (ANGLES - 1) / ANGLES, atol=0.15)


@pytest.mark.parametrize("digit", [1, 2, 3, 4])
def test_rings_of_a_finger_are_around_its_first_bone(digit):
    rings, model = on_finger(digit).of(TEMPLATE), drawn_hand()
    first = {1: 1, 2: 4, 3: 10, 4: 7}[digit]
    start, end = model.joints_template[[first, first + 1]].astype(float)
    bone = (end - start) / np.linalg.norm(end - start)
    along = (rings - start) @ bone / np.linalg.norm(end - start)
    assert rings.shape == (RING_ROWS, ANGLES, 3)
    assert np.abs(along - np.linspace(0.2, 0.8, RING_ROWS)[:, None]).max() < 0.15
    away = np.linalg.norm(rings - start - ((rings - start) @ bone)[..., None] * bone, axis=2)
    assert away.min() > 0.003 and away.max() < 0.025 and 0.005 < np.median(away) < 0.012
    assert (rings[:, 0, 1] > rings[:, ANGLES // 2, 1]).all()


def test_points_on_skin_go_with_it():
    R, t = random_rotation(np.random.default_rng(2)), np.array([1.0, 2, 3])
    for rings in (on_forearm(), on_finger(2)):
        assert np.allclose(rings.shares.sum(-1), 1) and rings.shares.min() > -1e-9
        assert np.allclose(rings.of(TEMPLATE @ R.T + t), rings.of(TEMPLATE) @ R.T + t)
        assert np.allclose(rings.of(2 * TEMPLATE), 2 * rings.of(TEMPLATE))
        assert np.array_equal(rings.of(np.ones((len(TEMPLATE), 1))).shape, (*rings.rows.shape[:2], 1))


def test_normals_are_those_of_the_faces_around(hand):
    """Of a few vertices, summed face by face."""
    normals, faces = hand_normals(hand), drawn_hand().faces
    for vertex in (5, 400, 1200, len(hand) - 40):
        own = faces[(faces == vertex).any(1)]
        a, b, c = hand[own].transpose(1, 0, 2)
        total = np.cross(b - a, c - a).sum(0)
        assert normals[vertex] == pytest.approx(total / np.linalg.norm(total), abs=1e-6)
    R = random_rotation(np.random.default_rng(0))
    assert np.allclose(hand_normals(hand @ R.T + 1.0), normals @ R.T, atol=1e-6)
    assert np.allclose(hand_normals(3 * hand), normals)


def test_smoothing_draws_towards_the_neighbours_and_is_the_same_for_all_shifts(hand):
    rough = hand + np.random.default_rng(0).normal(0, 0.001, hand.shape)
    soft = smoothing(2) @ rough
    assert np.linalg.norm(soft - smoothing(2) @ hand) < 0.6 * np.linalg.norm(rough - hand)
    assert np.allclose(smoothing(2) @ (hand + 5.0), smoothing(2) @ hand + 5.0)
    assert smoothing(2).min() >= 0


def test_a_tubes_normals_point_out_and_its_faces_close_it():
    angle = -2 * np.pi * np.arange(12) / 12
    rings = np.stack([np.stack([np.full(12, x), np.cos(angle), np.sin(angle)], 1) for x in (0.0, 0.5, 1.0, 2.0)])
    radial = rings * [0, 1, 1]
    assert np.allclose(np.abs((tube_normals(rings) * radial).sum(-1)), 1)
    sides = np.sign((tube_normals(rings) * radial).sum(-1))
    turned = np.sign((tube_normals(rings[:, ::-1]) * radial[:, ::-1]).sum(-1))
    assert (sides == sides[0, 0]).all() and (turned == -sides[0, 0]).all()
    faces = tube_faces(4, 13)
    assert len(faces) == 3 * 12 * 2 and faces.max() == 4 * 13 - 1 and len(np.unique(faces)) == 4 * 13
    closed = np.concatenate([rings, rings[:, :1]], 1).reshape(-1, 3)
    a, b, c = closed[faces].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    assert area == pytest.approx(2.0 * 12 * 2 * np.sin(np.pi / 12))  # of a prism with twelve sides


def test_the_elbow_is_one_closed_loop_of_edges():
    loop, faces = elbow_loop(), drawn_hand().faces
    edges = {frozenset(edge) for face in faces.tolist() for edge in zip(face, face[1:] + face[:1], strict=True)}
    pairs = [frozenset(pair) for pair in zip(loop.tolist(), np.roll(loop, -1).tolist(), strict=True)]
    assert len(set(loop.tolist())) == len(loop) and set(pairs) <= edges
    count = np.bincount(np.concatenate([np.flatnonzero((faces == v).any(1)) for v in loop]), minlength=len(faces))
    assert count.max() <= 3 and TEMPLATE[loop, 0].min() > 0.15  # it is the far end
    assert hand_face_count() < len(faces)


@pytest.mark.parametrize("elbow", [(0, 0, 0), (0, 1.5, 0), (0.5, -0.8, 0.3)])
def test_the_upper_arm_is_as_long_however_the_elbow_bends(hand, elbow):
    end = shoulder(hand, Arm(ARM.bend, np.array(elbow, float)))
    middle = hand[elbow_loop()].mean(0)
    ahead = middle / np.linalg.norm(middle)
    reach = np.linalg.norm(end - middle)
    assert 0.25 < reach <= 0.3 + 1e-6  # of a bow as long as the arm
    straight = shoulder(hand, Arm(ARM.bend, np.zeros(3)))
    assert (straight - middle) @ ahead > 0.29 and np.linalg.norm(end - straight) <= 0.3 * np.linalg.norm(elbow) + 1e-9
