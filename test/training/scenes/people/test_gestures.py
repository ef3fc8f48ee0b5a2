"""The library of gestures, their variation, and the shapes of people's hands."""

from itertools import combinations

import numpy as np
import pytest

from prehend.errors import InvalidInput, UnknownName
from prehend.hand_model import HandModel, load_hand_model, skin
from prehend_training.assets.contact import penetration
from prehend_training.assets.poses import MAX_PENETRATION_M, pose_from_angles
from prehend_training.scenes.people.gestures import (
    FINGER_ROWS,
    GESTURES,
    gesture_angles,
    hand_length_m,
    sample_bare,
    sample_betas,
    sample_gesture,
)

SLACK = 1e-6
PINCHES = {"ok": 8, "pinch": 8, "pinch_middle": 12, "pinch_ring": 16, "pinch_little": 20, "tripod": 8}
"""Row of the tip that meets the thumb's, among the 21 joints."""


@pytest.fixture(scope="module")
def hand() -> HandModel:
    return load_hand_model()


def joints_of(hand: HandModel, angles: np.ndarray) -> np.ndarray:
    return skin(hand, pose_from_angles(hand, *np.moveaxis(angles, -1, 0)), np.zeros(10)).joints.astype(float)


def gap_of_pulps(hand: HandModel, angles: np.ndarray, tip: int) -> float:
    """Smallest distance [m] of the skin of the thumb's last bone from that of the finger that ends in `tip`."""
    vertices = skin(hand, pose_from_angles(hand, *angles.T), np.zeros(10)).vertices
    owner = hand.weights.argmax(1)
    finger = {8: 3, 12: 6, 16: 12, 20: 9}[tip]
    between = vertices[owner == 15][:, None] - vertices[owner == finger]
    return float(np.linalg.norm(between, axis=2).min())


def test_the_library_is_large_and_told_in_words():
    assert len(GESTURES) >= 40
    assert len({gesture.description for gesture in GESTURES.values()}) == len(GESTURES)
    assert all(gesture.weight > 0 and gesture.looseness > 0 for gesture in GESTURES.values())


@pytest.mark.parametrize("name", sorted(GESTURES))
def test_means_and_variations_are_possible(hand, name):
    rng = np.random.default_rng(0)
    angles = np.stack([gesture_angles(name), *(sample_gesture(rng, name) for _ in range(20))])
    low, high = hand.limits_rad[..., 0] - SLACK, hand.limits_rad[..., 1] + SLACK
    assert (angles >= low).all()
    assert (angles <= high).all()
    rotations = pose_from_angles(hand, *np.moveaxis(angles, -1, 0))
    assert penetration(hand, rotations).max() <= MAX_PENETRATION_M
    assert angles[1:].std(0).max() > np.radians(0.5), "nobody makes a gesture twice the same"
    drift = np.linalg.norm(joints_of(hand, angles[1:]) - joints_of(hand, angles[0]), axis=2).mean()
    assert drift < 0.015, "a variation is still the gesture"


def test_gestures_differ_from_one_another(hand):
    joints = {name: joints_of(hand, gesture_angles(name)) for name in GESTURES}
    gaps = {(a, b): np.linalg.norm(joints[a] - joints[b], axis=1).max() for a, b in combinations(joints, 2)}
    closest = min(gaps, key=lambda pair: gaps[pair])
    assert gaps[closest] > 0.006, closest


@pytest.mark.parametrize(("name", "tip"), PINCHES.items())
def test_pinches_bring_the_tips_together(hand, name, tip):
    rng = np.random.default_rng(1)
    assert gap_of_pulps(hand, gesture_angles(name), tip) < 0.004
    assert np.median([gap_of_pulps(hand, sample_gesture(rng, name), tip) for _ in range(15)]) < 0.010
    assert gap_of_pulps(hand, gesture_angles("spread"), tip) > 0.05


def test_stretched_and_bent_digits_are_those_that_the_name_says(hand):
    """Stretched fingers reach from knuckle to tip as far as their bones; a stretched thumb lies beside the hand."""
    out = {
        "thumb_up": {"thumb"},
        "fist": set(),
        "point": {"index"},
        "victory": {"index", "middle"},
        "letter_w": {"index", "middle", "ring"},
        "four": {"index", "middle", "ring", "little"},
        "spread": {"index", "middle", "ring", "little", "thumb"},
        "horns": {"index", "little"},
        "i_love_you": {"thumb", "index", "little"},
        "call": {"thumb", "little"},
        "letter_i": {"little"},
        "letter_l": {"thumb", "index"},
        "swear": {"middle"},
    }
    for name, expected in out.items():
        joints = joints_of(hand, gesture_angles(name))
        for k, finger in enumerate(("thumb", "index", "middle", "ring", "little")):
            chain = joints[1 + 4 * k : 5 + 4 * k]
            if finger == "thumb":
                aside = joints[4, 2] - joints[5, 2]
                assert (aside > 0.02) == (finger in expected), (name, aside)
                continue
            reach = np.linalg.norm(chain[-1] - chain[0]) / np.linalg.norm(np.diff(chain, axis=0), axis=1).sum()
            assert (reach > 0.95) == (finger in expected), (name, finger, reach)
            assert reach > 0.95 or reach < 0.85, (name, finger, reach)


def test_thumb_up_points_away_from_bent_fingers(hand):
    joints = joints_of(hand, gesture_angles("thumb_up"))
    assert joints[4, 2] > joints[5:, 2].max() + 0.03, "towards +z, where the thumb is"
    assert (gesture_angles("thumb_up")[[1, 4, 7, 10], 0] > np.radians(80)).all()
    assert (gesture_angles("thumb_up")[13:, 0] < np.radians(5)).all()


def test_the_cross_of_the_fingers_crosses(hand):
    straight, crossed = (joints_of(hand, gesture_angles(name)) for name in ("two", "crossed"))
    assert straight[8, 2] > straight[12, 2]
    assert crossed[8, 2] < crossed[12, 2]


def test_an_unknown_gesture_is_named():
    with pytest.raises(UnknownName, match="fist"):
        sample_gesture(np.random.default_rng(0), "fits")
    with pytest.raises(UnknownName, match="fist"):
        gesture_angles("fits")


def test_bare_hands_are_possible_various_and_drawn_from_the_seed(hand):
    rng = np.random.default_rng(2)
    bare = [sample_bare(rng) for _ in range(300)]
    angles, rotations = (np.stack(part) for part in zip(*bare, strict=True))
    assert (penetration(hand, rotations) <= MAX_PENETRATION_M).all()
    assert (angles >= hand.limits_rad[..., 0] - SLACK).all()
    assert (angles <= hand.limits_rad[..., 1] + SLACK).all()
    np.testing.assert_allclose(pose_from_angles(hand, *np.moveaxis(angles, -1, 0)), rotations, atol=1e-6)
    knuckles = [FINGER_ROWS[finger] for finger in ("index", "middle", "ring", "little")]
    assert (angles[:, knuckles, 0].std(0) > np.radians(20)).all()
    again = np.random.default_rng(2)
    np.testing.assert_array_equal(np.stack([sample_bare(again)[0] for _ in range(5)]), angles[:5])


def test_shapes_span_adults_and_some_children(hand):
    rng = np.random.default_rng(3)
    betas = np.stack([sample_betas(rng) for _ in range(3000)])
    lengths = hand_length_m(betas)
    assert 0.124 < lengths.min() < 0.130
    assert 0.205 < lengths.max() < 0.219
    assert 0.10 < (lengths < 0.155).mean() < 0.17
    adults = lengths[lengths > 0.166]
    assert 0.175 < adults.mean() < 0.190
    assert (np.abs(betas[:, 1:].std(0) - 1) < 0.15).all()
    flat = skin(hand, np.tile(np.eye(3), (5, 16, 1, 1)), betas[:5]).joints
    np.testing.assert_allclose(np.linalg.norm(flat[:, 12] - flat[:, 0], axis=1), lengths[:5], atol=1e-5)


def test_lengths_of_wrong_shapes_are_refused():
    with pytest.raises(InvalidInput, match="betas"):
        hand_length_m(np.zeros(9))
