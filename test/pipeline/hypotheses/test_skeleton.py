import numpy as np
import pytest

from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.pipeline.hypotheses.skeleton import (
    Looseness,
    WantedJoints,
    bones_of,
    placed,
    pulled,
    rotations_of,
    spins_of,
    turns,
)

LOOSE = Looseness(0.5, 0.5)
SURE = np.broadcast_to(np.eye(3) / 0.002, (21, 3, 3))


@pytest.fixture
def hand(make_open):
    return make_open()


def about(hand):
    return hand.joints_m - hand.joints_m[0]


def stirred(hand, count=3, by=0.2):
    rng = np.random.default_rng(1)
    return spins_of(hand.rotations @ matrix_from_axis_angle(rng.normal(0, by, (count, 16, 3))))


def test_bones_put_together_are_the_hand(hand):
    spins = spins_of(hand.rotations)
    bones = bones_of(about(hand), spins)
    np.testing.assert_allclose(placed(bones, spins[None])[0], about(hand), atol=1e-7)
    np.testing.assert_allclose(rotations_of(spins), hand.rotations, atol=1e-12)


def test_a_step_comes_nearer_and_leaves_bones_as_long_as_they_are(hand):
    bones, spins = bones_of(about(hand), spins_of(hand.rotations)), stirred(hand)
    wanted = WantedJoints(np.broadcast_to(about(hand), (3, 21, 3)), SURE)
    off = [np.linalg.norm(placed(bones, spins) - about(hand), axis=2).mean()]
    for _ in range(4):
        spins = pulled(bones, spins, wanted, LOOSE)
        off.append(np.linalg.norm(placed(bones, spins) - about(hand), axis=2).mean())
    assert off[1] < 0.6 * off[0] and off[-1] < 0.002
    lengths = np.linalg.norm(np.diff(placed(bones, spins)[:, 5:9], axis=1), axis=2)
    expected = np.linalg.norm(np.diff(about(hand)[5:9], axis=0), axis=1)
    np.testing.assert_allclose(lengths, np.tile(expected, (3, 1)), rtol=1e-6)


def test_a_step_towards_where_a_hand_is_is_none(hand):
    bones, spins = bones_of(about(hand), spins_of(hand.rotations)), stirred(hand, 1)
    there = pulled(bones, spins, WantedJoints(placed(bones, spins), SURE), LOOSE)
    np.testing.assert_allclose(there, spins, atol=1e-12)


def test_a_joint_that_nobody_is_sure_of_draws_nothing(hand):
    """The thumb's wish counts for nothing, and the fingers stay."""
    bones, spins = bones_of(about(hand), spins_of(hand.rotations)), spins_of(hand.rotations)[None]
    roots = np.array(SURE)
    roots[1:5] *= 1e-4
    wanted = about(hand) + np.where((np.arange(21) > 0) & (np.arange(21) < 5), 0.05, 0.0)[:, None]
    there = placed(bones, pulled(bones, spins, WantedJoints(wanted[None], roots), LOOSE))[0]
    np.testing.assert_allclose(there, about(hand), atol=1e-4)


def test_turns_are_rotation_vectors():
    vectors = np.random.default_rng(0).normal(0, 1.5, (20, 3))
    vectors[0] = 0.0
    np.testing.assert_allclose(turns(vectors), matrix_from_axis_angle(vectors), atol=1e-12)
