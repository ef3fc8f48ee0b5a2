import numpy as np
import pytest
from prior_work import prior

from prehend.errors import InvalidInput
from prehend.prior.estimates import known_of_estimate, meant_by
from prehend.prior.sampler import Sampling


def test_an_estimate_knows_the_joints_that_it_sees(make_result):
    visible = np.arange(21) < 12
    result = make_result(640, 480, {"visible": visible, "keypoint_std_px": np.full(21, 0.2)})
    known = known_of_estimate(result.hands[0], result.camera)
    assert np.array_equal(np.isfinite(known.keypoints_px).all(1), visible)
    assert (known.keypoints_std_px >= 1.5).all()
    whole = make_result(640, 480, {"visible": np.arange(21) < 3})
    assert np.isfinite(known_of_estimate(whole.hands[0], whole.camera).keypoints_px).all()


def test_hands_that_are_meant_have_a_spread(make_result):
    result = make_result(640, 480, {"visible": np.arange(21) < 12})
    meant = meant_by(prior(), result.hands[0], result.camera, 3, Sampling(steps=2))
    assert meant.hands.joints_m.shape == (3, 21, 3) and meant.covariances.shape == (21, 3, 3)
    assert (np.linalg.eigvalsh(meant.covariances) > -1e-12).all()
    with pytest.raises(InvalidInput, match="at least two"):
        meant_by(prior(), result.hands[0], result.camera, 1, Sampling(steps=1))
