"""How what the detector found is weighed: the fit keeps its promise."""

import numpy as np
import pytest

from prehend_training.palms.unsure import Tried, fit_fresh


def tried(rng, hands: int, false: int) -> list[Tried]:
    """Hands score higher than what is none, in each of the three, and overlap in each."""
    rows = []
    for number, is_hand in enumerate([True] * hands + [False] * false):
        odds = rng.normal([1.0, 4.0, 4.5] if is_hand else [-0.8, 0.5, -0.5], [0.8, 1.5, 1.5])
        score, presence, larger = (float(1 / (1 + np.exp(-value))) for value in odds)
        rows.append(Tried(f"{number}", presence, is_hand, score, larger, doubted=score < 0.5))
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_three_probabilities_together_let_in_more_than_one_alone_and_no_more_false_ones(seed):
    seen = tried(np.random.default_rng(seed), 150, 60)
    doubtful = [one for one in seen if not one.is_taken]
    for false in (0.0, 0.01, 0.05):
        rule = fit_fresh(100, seen, false)
        assert rule is not None and min(rule[:3]) >= 0
        taken = [one for one in doubtful if rule.is_hand(one.score, one.presence, one.larger)]
        wrong = sum(not one.is_hand for one in taken)
        assert wrong <= false * 100
        for name in ("score", "presence", "larger"):
            values = sorted((getattr(one, name) for one in doubtful if not one.is_hand), reverse=True)
            alone = [one for one in doubtful if getattr(one, name) > values[int(false * 100)]]
            assert sum(one.is_hand for one in alone) <= sum(one.is_hand for one in taken) + 3
    assert fit_fresh(100, seen, 1.0).offset > fit_fresh(100, seen, 0.0).offset


def test_without_hands_or_without_what_is_none_nothing_is_weighed():
    seen = tried(np.random.default_rng(0), 20, 20)
    for only in (True, False):
        assert fit_fresh(10, [one for one in seen if one.is_hand == only]) is None
    assert fit_fresh(10, []) is None
