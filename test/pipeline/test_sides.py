import math
from itertools import pairwise

import numpy as np
import pytest

from prehend.errors import ParameterError
from prehend.pipeline.sides import SideBelief, SideConfig, evidence_of, is_doubtful

CONFIG = SideConfig()


def other(side: str) -> str:
    return "left" if side == "right" else "right"


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_the_network_sees_outweighs_what_the_finder_claims(side) -> None:
    belief = SideBelief(side, CONFIG)
    assert belief.side == side and not belief.settled
    belief.seen(-4.0)
    assert belief.side == other(side)
    assert belief.log_odds == CONFIG.frame - CONFIG.finder


@pytest.mark.parametrize("side", ["left", "right"])
def test_both_sides_are_treated_alike(side) -> None:
    rng = np.random.default_rng(3)
    a, b = SideBelief(side, CONFIG), SideBelief(other(side), CONFIG)
    for logit in rng.normal(0, 3, 60):
        a.seen(logit)
        b.seen(logit)
        assert (a.log_odds, a.settled) == (b.log_odds, b.settled)
        assert a.side == other(b.side)
        if rng.random() < 0.1:
            a.begin()
            b.begin()


def test_a_side_that_was_shown_withstands_a_short_contradiction_and_not_a_long_one() -> None:
    belief = SideBelief("right", CONFIG)
    for _ in range(20):
        belief.seen(5.0)
        belief.begin()
    assert belief.log_odds == CONFIG.certainty
    held = 0
    while belief.side == "right":
        belief.seen(-5.0)
        held += 1
    assert held == math.ceil((CONFIG.certainty + CONFIG.change) / CONFIG.frame)
    assert 5 <= held <= 10
    assert belief.log_odds >= CONFIG.change, "it does not swing back at once"


def test_evidence_that_wavers_never_makes_a_side_flicker() -> None:
    rng = np.random.default_rng(0)
    belief = SideBelief("right", CONFIG)
    sides = []
    for logit in rng.normal(0.0, 2.0, 400):
        belief.seen(logit if belief.side == "right" else -logit)
        belief.begin()
        sides.append(belief.side)
    changes = sum(a != b for a, b in pairwise(sides))
    signs = np.sign(rng.normal(0.0, 2.0, 400))
    assert changes < 0.1 * (np.diff(signs) != 0).sum(), "noise alone would change it every other frame"


def test_a_user_is_believed() -> None:
    belief = SideBelief("left", CONFIG, given=True)
    for _ in range(50):
        belief.seen(-9.0)
        belief.found("right")
    belief.reopen()
    assert belief.side == "left" and belief.settled
    belief.tell("right")
    assert belief.side == "right" and belief.settled


@pytest.mark.parametrize("nothing", [float("nan"), float("inf"), 0.0])
def test_no_evidence_changes_nothing(nothing) -> None:
    belief = SideBelief("left", CONFIG)
    before = belief.log_odds
    belief.seen(nothing)
    belief.found(None)
    assert belief.log_odds == before


def test_a_hand_that_was_away_is_looked_at_anew() -> None:
    belief = SideBelief("right", CONFIG)
    for _ in range(9):
        belief.seen(5.0)
        belief.begin()
    belief.reopen()
    assert belief.side == "right" and not belief.settled
    belief.seen(-5.0)
    assert belief.side == "left", "without hysteresis"


def test_who_looks_at_the_mirror_image() -> None:
    fresh = SideBelief("right", CONFIG)
    assert is_doubtful(fresh, -4.0) and is_doubtful(fresh, 0.7)
    assert not is_doubtful(fresh, 6.0), "clear enough"
    assert not is_doubtful(fresh, 0.0), "weights that know no sides"
    assert not is_doubtful(fresh, float("nan"))
    assert is_doubtful(SideBelief(None, CONFIG), -1.0)
    assert not is_doubtful(SideBelief("right", CONFIG, given=True), -9.0)
    for _ in range(3):
        fresh.seen(9.0)
    assert fresh.settled and not is_doubtful(fresh, -9.0)


def test_what_a_network_answers_to_everything_is_no_evidence() -> None:
    fresh, settled = SideBelief("right", CONFIG), SideBelief("right", CONFIG)
    for _ in range(9):
        settled.seen(9.0)
    assert evidence_of(fresh, 2.0, -4.0) == 3.0 == -evidence_of(fresh, -4.0, 2.0)
    assert evidence_of(fresh, 1.5, 1.5) == 0.0
    assert evidence_of(fresh, 6.0, None) == 6.0, "it was clear"
    assert evidence_of(settled, 1.5, None) == 0.0, "as it would say to the mirror image"
    assert evidence_of(settled, -1.5, None) == -1.5


def test_weak_evidence_settles_slowly_and_strong_evidence_soon() -> None:
    frames = []
    for logit in (0.4, 5.0):
        belief = SideBelief("left", CONFIG)
        count = 0
        while not belief.settled:
            belief.seen(logit)
            count += 1
        frames.append(count)
    assert frames[0] > 10 and 2 <= frames[1] <= 4


@pytest.mark.parametrize("wrong", [{"finder": 0.0}, {"frame": -1.0}, {"settled": 7.0}, {"change": float("nan")}])
def test_values_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        SideConfig(**wrong)
