"""Laws that every sample of a dataset obeys."""

import dataset_writers as writers
import numpy as np

from prehend.geometry.camera import project
from prehend_training.sample import HAND_CODE


def in_world(sample, points):
    return writers.apply(np.linalg.inv(sample.T_camera_world), points)


def check_consistent(sample, hand):
    """The laws of every sample with a hand."""
    image = sample.image
    assert image.dtype == np.uint8 and image.ndim == 3
    assert (sample.camera.width, sample.camera.height) == (image.shape[1], image.shape[0])
    assert (hand.joints_m[:, 2] > 0).all()
    np.testing.assert_allclose(hand.keypoints_px, project(hand.joints_m, sample.camera), atol=1e-6)
    np.testing.assert_allclose(hand.box_px[:2], hand.keypoints_px.min(0), atol=1e-3)
    assert hand.contact is None
    if sample.segmentation is not None and hand.visible.any():
        ys, xs = np.nonzero(sample.segmentation == HAND_CODE)
        seen = hand.keypoints_px[hand.visible]
        gap = np.linalg.norm(seen[:, None] - np.stack([xs, ys], -1), axis=2).min(1)
        assert gap.max() < 2.5
