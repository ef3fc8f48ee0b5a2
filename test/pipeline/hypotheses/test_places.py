from dataclasses import replace

import numpy as np

from prehend.pipeline.hypotheses.places import MEMORY_S, LastPlaces


def moved_finger(hand, by=0.04):
    """The same hand with another index finger, as the network may guess it."""
    joints = np.array(hand.joints_m)
    joints[6:9] += by
    return replace(hand, joints_m=joints)


def test_the_hypothesis_that_is_where_the_finger_was_is_chosen(make_open):
    seen, hidden = make_open(hidden=np.zeros(21, bool)), make_open()
    places = LastPlaces()
    places.see(seen, 0.03)
    guess = moved_finger(hidden)
    hypotheses = np.stack([guess.joints_m, guess.joints_m + 0.001, seen.joints_m])
    turns = np.repeat(seen.rotations[:1], 3, 0)
    assert places.most_consistent(hypotheses, turns, guess) == 2
    assert places.most_consistent(hypotheses, turns, hidden) == -1, "the estimate agrees itself"


def test_a_hand_that_turns_takes_its_places_along(make_open):
    seen = make_open(hidden=np.zeros(21, bool))
    places = LastPlaces()
    places.see(seen, 0.03)
    turned = make_open(turn=(0.9, -0.4, -1.0), at=(0.1, 0.0, 0.6))
    guess = moved_finger(turned)
    hypotheses = np.stack([guess.joints_m, turned.joints_m])
    turns = np.repeat(turned.rotations[:1], 2, 0)
    assert places.most_consistent(hypotheses, turns, guess) == 1


def test_what_was_never_seen_or_long_ago_tells_nothing(make_open):
    hand = make_open()
    places = LastPlaces()
    other = np.stack([hand.joints_m, moved_finger(hand).joints_m])
    turns = np.repeat(hand.rotations[:1], 2, 0)
    assert places.most_consistent(other, turns, moved_finger(hand)) == -1
    places.see(make_open(hidden=np.zeros(21, bool)), 0.03)
    assert places.most_consistent(other, turns, moved_finger(hand)) == 0
    places.see(hand, MEMORY_S)
    assert places.most_consistent(other, turns, moved_finger(hand)) == -1
    places.see(make_open(hidden=np.zeros(21, bool)), 0.03)
    places.forget()
    assert places.most_consistent(other, turns, moved_finger(hand)) == -1
