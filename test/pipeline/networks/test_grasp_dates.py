"""The network that dates grasps, on its backend."""

import numpy as np
import pytest

from prehend.backends import open_backend
from prehend.errors import WeightsMismatch
from prehend.pipeline.networks.grasp_dates import SIGNALS, TIMES_S, GraspDatesNetwork, load_grasp_dates
from prehend.weights import load_bundle


def test_the_weights_that_ship_tell_log_odds_of_each_moment() -> None:
    network = load_grasp_dates()
    assert load_grasp_dates() is network, "opened once"
    windows = np.random.default_rng(0).normal(0, 1, (3, SIGNALS, len(TIMES_S)))
    told = network.tell(windows)
    assert told.shape == (3, 3) and np.isfinite(told).all()
    np.testing.assert_allclose(network.tell(windows[1:2]), told[1:2], atol=1e-5)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsMismatch, match="'palm' do not date grasps"):
        GraspDatesNetwork(open_backend("onnx", load_bundle("palm")))
