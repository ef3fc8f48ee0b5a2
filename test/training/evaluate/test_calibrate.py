import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.eval.calibration import reliability
from prehend.pipeline.find import probability
from prehend_training.evaluate.calibrate import fit


def test_logits_that_are_too_sure_and_biased_become_log_odds():
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, 20_000)
    truth = (rng.random(len(odds)) < probability(odds)).astype(float)
    told = fit(3 * odds + 4, truth)
    assert told["scale"] == pytest.approx(1 / 3, rel=0.05) and told["offset"] == pytest.approx(-4 / 3, abs=0.1)
    assert told["ece"] < 0.02 < 0.2 < told["ece_before"]
    after = probability(told["scale"] * (3 * odds + 4) + told["offset"])
    assert reliability(after, truth)["ece"] == pytest.approx(told["ece"], abs=1e-3)
    assert 0.8 < told["ordered"] < 1


def test_the_share_of_a_class_is_not_learnt():
    rng = np.random.default_rng(1)
    true, false = rng.normal(1, 1, 900), rng.normal(-1, 1, 100)
    told = fit(np.concatenate([true, false]), np.concatenate([np.ones(900), np.zeros(100)]))
    assert abs(told["offset"]) < 0.3


def test_logits_that_say_the_opposite_are_refused():
    rng = np.random.default_rng(2)
    truth = np.repeat([1.0, 0.0], 200)
    with pytest.raises(InvalidInput, match="nothing"):
        fit(-5 * truth + rng.normal(0, 0.1, 400), truth)
