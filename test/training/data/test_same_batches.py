"""Seeds mean the same batches as ever: runs that go on, and measurements by seed, depend on it.

The numbers are means of arrays, which another order of the draws changes by far more than another version of a library.
"""

import numpy as np
import pytest

from prehend_training.data.crops import CropBatches
from prehend_training.data.frames import DetectorBatches
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.train.presets import preset

KNOWN = {
    "unihope-s": {
        "keypoints": 0.3812, "joints": -0.0277, "visible": 0.7925, "object_box": 105.3083, "object_points": 0.1722,
        "grasp_gate": 0.2857, "object_kind": 0.1063, "image": 38.7405, "image_deoccluded": 38.2054, "segments": 0.1195,
        "object_mask": 0.0622,
    },
    "unihope-b": {
        "keypoints": 0.4454, "joints": -0.0037, "projection": 247.2176, "object_points": 0.2144, "grasp_gate": 0.4286,
        "image": 48.0551, "image_deoccluded": 46.3627, "segments": 0.1837,
    },
    "detector": {"heat": 0.0074, "hand_box": 1.3862, "object_box": 0.0751, "image": 25.9671, "segments": 0.0601},
}  # fmt: skip


def batch(name, crops, frames):
    chosen = preset(name)
    if chosen.pictures == "frames":
        return DetectorBatches(ShardDataset([frames], "frames", twins=False), chosen.data, 7, 10).batch(3)
    return CropBatches(ShardDataset([crops], "crops"), chosen.data, 7, 14).batch(3)


@pytest.mark.parametrize("name", KNOWN)
def test_a_seed_means_the_same_batch_as_ever(name, crops, frames):
    made = batch(name, crops, frames)
    for array, mean in KNOWN[name].items():
        assert np.mean(made[array], dtype=float) == pytest.approx(mean, rel=2e-3, abs=2e-4), array
