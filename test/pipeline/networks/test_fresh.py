"""Whether what was found is a hand: three probabilities weighed together."""

from types import SimpleNamespace

import numpy as np
import pytest

from prehend.errors import WeightsMismatch
from prehend.pipeline.networks.fresh import LARGER, FreshRule, enlarged, fresh_rule, log_odds
from prehend.types import Region

RULE = {"detector": 1.0, "presence": 0.4, "larger": 0.6, "offset": -1.0}


def test_more_of_any_evidence_never_makes_a_hand_less_likely() -> None:
    rule, steps = FreshRule(**RULE), (0.0, 0.05, 0.4, 0.9, 0.999, 1.0)
    for place in range(3):
        for others in ((0.3, 0.3), (0.6, 0.9)):
            said = [rule.is_hand(*np.insert(others, place, step)) for step in steps]
            assert said == sorted(said)
    assert rule.is_hand(0.5, 0.9, 0.9) and not rule.is_hand(0.5, 0.3, 0.3)
    assert rule.is_hand(0.5, 0.2, 0.99), "one look that is sure outweighs one that is not"


@pytest.mark.parametrize("place", range(3))
def test_what_is_not_finite_is_no_hand(place: int) -> None:
    assert not FreshRule(**RULE).is_hand(*np.insert([1.0, 1.0], place, np.nan))
    assert np.isfinite([log_odds(p) for p in (0.0, 1.0, -3.0, 7.0)]).all()


def test_the_manifest_says_the_rule_or_nothing_at_all() -> None:
    assert fresh_rule({}) is None and fresh_rule({"calibration": {"presence": {"sure": 0.9}}}) is None
    assert fresh_rule({"calibration": {"fresh": RULE}}) == FreshRule(**RULE)


@pytest.mark.parametrize("told", [{}, {**RULE, "larger": None}, {**RULE, "offset": "x"}, [1.0, 2.0, 3.0, 4.0], 3])
def test_a_garbled_rule_is_refused_in_one_line(told) -> None:
    with pytest.raises(WeightsMismatch, match="fresh hands is garbled"):
        fresh_rule({"calibration": {"fresh": told}})
    with pytest.raises(WeightsMismatch, match="not finite"):
        fresh_rule({"calibration": {"fresh": {**RULE, "offset": float("nan")}}})


def test_a_garbled_rule_is_refused_by_the_network(oracle) -> None:
    from prehend.pipeline.networks.network import HandNetwork

    bundle = SimpleNamespace(name="x", stages=oracle.bundle.stages, manifest={"calibration": {"fresh": {}}})
    oracle.bundle = bundle
    with pytest.raises(WeightsMismatch, match="garbled"):
        HandNetwork(oracle)


def test_the_second_look_is_at_the_same_place() -> None:
    region = Region((10.0, 20.0), 30.0, 40.0, 0.3)
    wider = enlarged(region)
    assert (wider.center_px, wider.turn_rad) == (region.center_px, region.turn_rad)
    assert (wider.width, wider.height) == (30 * LARGER, 40 * LARGER)
