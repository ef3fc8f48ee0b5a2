"""The network that watches hands, on its backend."""

import numpy as np
import pytest

from prehend.backends import open_backend
from prehend.errors import WeightsMismatch
from prehend.pipeline.frames.hand_motion import LAYERS, SIZE, MotionPatch
from prehend.pipeline.networks.grasp_motion import LIMIT, GraspMotionNetwork, load_grasp_motion
from prehend.weights import load_bundle


def test_the_weights_that_ship_tell_log_odds() -> None:
    network = load_grasp_motion()
    assert load_grasp_motion() is network, "opened once"
    patch = MotionPatch(np.zeros((LAYERS, SIZE, SIZE), np.float32), np.zeros(2, np.float32))
    told = network.tell(patch)
    assert np.isfinite(told).all() and told == network.tell(patch)
    loud = network.tell(MotionPatch(np.full((LAYERS, SIZE, SIZE), 1e4, np.float32), np.ones(2, np.float32)))
    assert np.abs(loud).max() <= LIMIT


def test_other_weights_are_refused() -> None:
    with pytest.raises(WeightsMismatch, match="'palm' do not watch hands"):
        GraspMotionNetwork(open_backend("onnx", load_bundle("palm")))
