import math
from itertools import pairwise

import numpy as np
import pytest

from prehend.errors import ParameterError
from prehend.pipeline.frames.handedness import HandednessBelief, HandednessConfig, evidence_of, is_doubtful

CONFIG = HandednessConfig()


def other(side: str) -> str:
    return "left" if side == "right" else "right"


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_the_network_sees_outweighs_what_the_detector_claims(side) -> None:
    belief = HandednessBelief(side, CONFIG)
    assert belief.side == side and not belief.settled
    belief.seen(-4.0)
    assert belief.side == other(side)
    assert belief.log_odds == CONFIG.frame - CONFIG.detector


@pytest.mark.parametrize("side", ["left", "right"])
def test_both_sides_are_treated_alike(side) -> None:
    rng = np.random.default_rng(3)
    a, b = HandednessBelief(side, CONFIG), HandednessBelief(other(side), CONFIG)
    for logit in rng.normal(0, 3, 60):
        a.seen(logit)
        b.seen(logit)
        assert (a.log_odds, a.settled) == (b.log_odds, b.settled)
        assert a.side == other(b.side)
        if rng.random() < 0.1:
            a.begin()
            b.begin()


def test_a_side_that_was_shown_withstands_a_short_contradiction_and_not_a_long_one() -> None:
    belief = HandednessBelief("right", CONFIG)
    for _ in range(20):
        belief.seen(5.0)
        belief.begin()
    assert belief.log_odds == CONFIG.certainty
    held = 0
    while belief.side == "right":
        belief.seen(-5.0)
        held += 1
    assert held == math.ceil((CONFIG.certainty + CONFIG.change) / CONFIG.frame)
    assert belief.log_odds >= CONFIG.change, "it does not swing back at once"


def test_evidence_that_wavers_never_makes_a_side_flicker() -> None:
    rng = np.random.default_rng(0)
    belief = HandednessBelief("right", CONFIG)
    sides = []
    for logit in rng.normal(0.0, 2.0, 400):
        belief.seen(logit if belief.side == "right" else -logit)
        belief.begin()
        sides.append(belief.side)
    changes = sum(a != b for a, b in pairwise(sides))
    signs = np.sign(rng.normal(0.0, 2.0, 400))
    assert changes < 0.1 * (np.diff(signs) != 0).sum(), "noise alone would change it every other frame"


def test_a_user_is_believed() -> None:
    belief = HandednessBelief("left", CONFIG, given=True)
    for _ in range(50):
        belief.seen(-9.0)
        belief.found("right")
    belief.reopen()
    assert belief.side == "left" and belief.settled
    belief.tell("right")
    assert belief.side == "right" and belief.settled


@pytest.mark.parametrize("nothing", [float("nan"), float("inf"), 0.0])
def test_no_evidence_changes_nothing(nothing) -> None:
    belief = HandednessBelief("left", CONFIG)
    before = belief.log_odds
    belief.seen(nothing)
    belief.found(None)
    assert belief.log_odds == before


def test_a_hand_that_was_away_is_looked_at_anew() -> None:
    belief = HandednessBelief("right", CONFIG)
    for _ in range(9):
        belief.seen(5.0)
        belief.begin()
    belief.reopen()
    assert belief.side == "right" and not belief.settled
    belief.seen(-5.0)
    assert belief.side == "left", "without hysteresis"


def test_who_looks_at_the_mirror_image() -> None:
    fresh = HandednessBelief("right", CONFIG)
    assert is_doubtful(fresh, -4.0) and is_doubtful(fresh, 0.7)
    assert not is_doubtful(fresh, 6.0), "clear enough"
    assert not is_doubtful(fresh, 0.0), "weights that know no sides"
    assert not is_doubtful(fresh, float("nan"))
    assert is_doubtful(HandednessBelief(None, CONFIG), -1.0)
    assert not is_doubtful(HandednessBelief("right", CONFIG, given=True), -9.0)
    for _ in range(3):
        fresh.seen(9.0)
    assert fresh.settled and not is_doubtful(fresh, 0.1) and is_doubtful(fresh, -0.1), "only what speaks against it"


def test_what_a_network_answers_to_everything_is_no_evidence() -> None:
    fresh, settled = HandednessBelief("right", CONFIG), HandednessBelief("right", CONFIG)
    for _ in range(9):
        settled.seen(9.0)
    assert evidence_of(fresh, 2.0, -4.0) == 3.0 == -evidence_of(fresh, -4.0, 2.0)
    assert evidence_of(fresh, 1.5, 1.5) == 0.0
    assert evidence_of(fresh, 6.0, None) == 6.0, "it was clear"
    assert evidence_of(settled, 1.5, None) == 1.5
    assert evidence_of(settled, -1.5, None) == 0.0, "alone no crop speaks against a settled side"
    assert evidence_of(settled, -4.0, -1.5) == evidence_of(settled, 2.0, 6.0) == 0.0, "neither hand"
    assert evidence_of(settled, -1.5, 2.5) == -2.0


def test_weak_evidence_settles_slowly_and_strong_evidence_soon() -> None:
    frames = []
    for logit in (0.4, 5.0):
        belief = HandednessBelief("left", CONFIG)
        count = 0
        while not belief.settled:
            belief.seen(logit)
            count += 1
        frames.append(count)
    assert frames[0] > 10 and 2 <= frames[1] <= 4


def followed(belief: HandednessBelief, truth, hz: float) -> list[str]:
    """Sides of a hand whose logits for right and for left are given frame by frame, as the runtime asks for them."""
    sides = []
    for right, left in truth:
        logit, mirrored = (right, left) if belief.side == "right" else (left, right)
        looked = mirrored if is_doubtful(belief, logit) else None
        belief.seen(evidence_of(belief, logit, looked), 1 / hz)
        belief.begin()
        sides.append(belief.side)
    return sides


def noise(rng, count: int, hz: float, std: float, lasts_s: float = 0.15) -> np.ndarray:
    """(count,) noise of crops that follow each other, which err together for a while."""
    keep = math.exp(-1 / (hz * lasts_s))
    out = np.zeros(count)
    for k in range(1, count):
        out[k] = keep * out[k - 1] + math.sqrt(1 - keep**2) * rng.normal(0, std)
    return out


@pytest.mark.parametrize("hz", [5, 15, 30, 60])
@pytest.mark.parametrize("seed", range(5))
def test_a_followed_hand_keeps_its_side_through_noise(hz: float, seed: int) -> None:
    rng, count = np.random.default_rng(seed), round(60 * hz)
    logits = [2.5 + noise(rng, count, hz, 2.0), -2.5 + noise(rng, count, hz, 2.0)]
    for row in logits:
        row[: round(0.5 * hz)] = row[: round(0.5 * hz)].clip(1) if row is logits[0] else -1.0
    assert set(followed(HandednessBelief("right", CONFIG), np.stack(logits, -1), hz)) == {"right"}


@pytest.mark.parametrize("hz", [5, 15, 30, 60])
@pytest.mark.parametrize("first", ["left", "right"])
def test_a_settled_side_changes_after_half_a_second_that_speaks_against_it_at_any_rate(hz: float, first: str) -> None:
    before, after = [(6.0, -6.0)] * round(2 * hz), [(-6.0, 6.0)] * round(3 * hz)
    sides = followed(HandednessBelief(first, CONFIG), before + after, hz)
    assert sides[len(before) - 1] == "right"
    changed = sides[len(before) :].index("left") / hz
    assert 0.5 <= changed <= 1.5
    assert set(sides[len(before) + round(changed * hz) :]) == {"left"}, "for good"


@pytest.mark.parametrize("hz", [5, 30])
def test_what_is_neither_hand_never_changes_a_side(hz: float) -> None:
    sides = followed(HandednessBelief("right", CONFIG), [(6.0, -6.0)] * hz + [(-3.0, -3.0), (3.0, 3.0)] * 10 * hz, hz)
    assert set(sides) == {"right"}


def test_a_first_claim_that_is_wrong_is_soon_put_right() -> None:
    sides = followed(HandednessBelief("left", CONFIG), [(1.0, 0.8)] + [(6.0, -6.0)] * 30, 30)
    assert sides.index("right") <= 6


@pytest.mark.parametrize("wrong", [{"detector": 0.0}, {"frame": -1.0}, {"settled": 13.0}, {"change": float("nan")}])
def test_values_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        HandednessConfig(**wrong)
