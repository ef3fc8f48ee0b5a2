"""Where hands may hold: points on the surface, of the region that is asked for."""

import numpy as np
import pytest

from prehend_training.grasps.search.people import sample_hands
from prehend_training.grasps.search.regions import anchors
from prehend_training.objects import catalogue

THINGS = ("mug", "hammer")


@pytest.mark.parametrize("name", THINGS)
def test_the_rim_is_above_and_the_handle_is_a_part(name):
    solid = catalogue()[name]
    top = solid.center_m[2] + solid.extents_m[2] / 2
    assert (anchors(solid, "rim", 200).points_m[:, 2] > top - 0.03).all()
    whole, handle = (np.ptp(anchors(solid, region, 800).points_m, axis=0).prod() for region in ("all", "handle"))
    assert handle <= whole * 1.05


def test_anchors_are_those_of_their_seed():
    one, again, other = (anchors(catalogue()["mug"], "all", 50, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.points_m, again.points_m) and not np.array_equal(one.points_m, other.points_m)


def test_the_longest_direction_of_a_long_thing_is_its_own():
    for solid in catalogue().values():
        sides = np.sort(solid.extents_m)
        if sides[2] > 4 * sides[1]:
            along = np.abs(anchors(solid, "all", 600).long)
            assert along.argmax() == solid.extents_m.argmax() and along.max() > 0.9


def test_hands_are_of_adults_and_of_children():
    betas = sample_hands(np.random.default_rng(0), 4000)
    assert betas.shape == (4000, 10) and np.abs(betas).max() <= 3
    small = (betas[:, 0] < -1).mean()
    assert small == pytest.approx(0.2 + 0.8 * 0.159, abs=0.03)
    np.testing.assert_allclose(betas[:, 1:].std(0), 1, atol=0.06)
