"""Hands that were just found: the detector's score and two looks of the network together."""

import numpy as np
import pytest

from prehend.pipeline.estimator import Estimator
from prehend.pipeline.options import EstimatorOptions


@pytest.mark.parametrize(
    ("detector", "close", "larger", "found"),
    [
        (0.6, 0.99, 0.0, True),  # both are sure: no second look
        (0.6, 0.1, 0.98, True),  # the crop as it was found shows too little
        (0.6, 0.1, 0.3, False),
        (0.6, 0.4, 0.1, True),  # by presence alone: no second look
        (0.3, 0.99, 0.99, True),  # the detector is unsure, the network is not
        (0.3, 0.9, 0.05, False),
        (0.3, 0.9, 0.95, True),
        (0.1, 0.999, 0.999, False),  # below what is tried
    ],
)
def test_what_the_detector_found_is_weighed_with_two_looks_of_the_network(
    oracle, palms, camera, image, new_hand, detector, close, larger, found
) -> None:
    palms.bundle.manifest["thresholds"] = {"detect": 0.5, "detect_wide": 0.5, "detect_unsure": 0.2}
    rule = {"detector": 1.0, "presence": 0.4, "larger": 0.6, "offset": -0.5}
    oracle.bundle.manifest["calibration"] = {"fresh": rule}
    palms.logit = float(np.log(detector / (1 - detector)))
    oracle.scene, looks = [new_hand("right", x=0.0)], []

    def by_size(stage, outputs) -> None:
        if stage == "encode":
            sizes = np.ptp(outputs["places"], axis=1).max(-1)  # a hand fills less of a larger crop
            looks.extend(sizes)
            seen = np.where(sizes > 0.5, close, larger).clip(1e-4, 1 - 1e-4)
            outputs["presence_logit"] = np.log(seen / (1 - seen))[:, None].astype(np.float32)

    oracle.spoil = by_size
    for tracking in (False, True):
        looks.clear()
        with Estimator(oracle, palms, config=EstimatorOptions(tracking=tracking)) as estimator:
            hands = estimator.estimate(image, camera, stamp=0.0).hands
            assert len(hands) == found
            assert (min(looks, default=1) < 0.5) == (detector > 0.2 and close < (0.985 if detector < 0.5 else 0.3))
            if found:
                oracle.spoil = lambda stage, outputs: None
                looks.clear()
                assert len(estimator.estimate(image, camera, stamp=0.03).hands) == 1
                oracle.spoil = by_size
    only_score = EstimatorOptions(tracking=False, detector_score=0.5)
    looks.clear()
    with Estimator(oracle, palms, config=only_score) as estimator:
        assert len(estimator.estimate(image, camera).hands) == (detector >= 0.5 and close >= 0.3)
    assert min(looks, default=1) > 0.5, "who says a score of the detector has it count alone"


def test_the_better_look_is_the_one_that_stands(oracle, palms, camera, image, new_hand) -> None:
    """The crop as it was found is taken for no hand: the joints come from the larger one, and are as good."""
    palms.bundle.manifest["thresholds"] = {"detect": 0.5, "detect_wide": 0.5, "detect_unsure": 0.2}
    rule = {"detector": 1.0, "presence": 0.4, "larger": 0.6, "offset": -0.5}
    hand = new_hand("left", x=0.0)
    oracle.scene = [hand]
    (plain,) = Estimator(oracle, palms).estimate(image, camera).hands

    def spoil(stage, outputs) -> None:
        if stage == "encode" and np.ptp(outputs["places"], axis=1).max() > 0.5:
            outputs["presence_logit"][:] = -3.0

    oracle.bundle.manifest["calibration"] = {"fresh": rule}
    oracle.spoil = spoil
    (larger,) = Estimator(oracle, palms).estimate(image, camera).hands
    assert larger.side == plain.side == "left"
    np.testing.assert_allclose(larger.joints_m, plain.joints_m, atol=2e-3)
