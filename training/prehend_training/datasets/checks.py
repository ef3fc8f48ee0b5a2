"""Whether a dataset on disk is read as it should be: laws that true labels obey and wrong axes, orders or files break.

The readers were written from the published layouts; run this once on a download before trusting it.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from prehend.hand_model import skin
from prehend_training.datasets.base import Dataset, moved
from prehend_training.sample import HAND_CODE, HandLabel, Sample

PALM_M = (0.05, 0.13)
"""Distance from the wrist to the middle knuckle, from a child's hand to the largest."""

_MIDDLE_KNUCKLE = 9
_DEPTH_M = (0.1, 3.0)
_VIEWS_M = 0.005
_MODEL_M = 0.01
_ON_HAND = 0.5


def find_faults(dataset: Dataset, groups: int = 50) -> list[str]:
    """What is wrong with some samples, a line each; empty where all is well.

    Checked are: hands before the camera and of human size; all cameras of an instant see the same joints; MANO's joints
    (where its files were given) are the stored ones; visible joints lie in the image; where there is a segmentation,
    the hand it shows lies around the joints.

    Args:
        dataset: an open one.
        groups: how many instants to look at, evenly spread.
    """
    chosen = dataset.groups()
    count = min(groups, len(chosen))
    faults: list[str] = []
    for number in range(count):
        samples = [dataset[index] for index in chosen[number * len(chosen) // count]]
        for sample in samples:
            for hand in sample.hands:
                faults += [f"{_name(sample)}: {fault}" for fault in _of_hand(dataset, sample, hand)]
        faults += [f"{_name(samples[0])}: {fault}" for fault in _of_views(samples)]
    return faults


def _name(sample: Sample) -> str:
    place = sample.frame_id
    return f"{place.source} {place.sequence or place.index} frame {place.frame} {place.view}"


def _of_hand(dataset: Dataset, sample: Sample, hand: HandLabel) -> Iterator[str]:
    joints = hand.joints_m
    if joints[:, 2].min() < _DEPTH_M[0] or joints[:, 2].max() > _DEPTH_M[1]:
        yield f"the hand is {joints[:, 2].min():.2f} to {joints[:, 2].max():.2f} m before the camera"
    palm = float(np.linalg.norm(joints[_MIDDLE_KNUCKLE] - joints[0]))
    if not PALM_M[0] < palm < PALM_M[1]:
        yield f"wrist and middle knuckle are {palm * 1000:.0f} mm apart"
    size = [sample.camera.width, sample.camera.height]
    if not ((hand.keypoints_px > 0) & (hand.keypoints_px < size)).all(1).any():
        yield "no joint lies in the image"
    if sample.segmentation is not None:
        yield from _of_mask(sample.segmentation, hand)
    model = dataset.hand_model(hand.side)
    if model is not None and hand.rotations is not None and hand.betas is not None:
        posed = skin(model, hand.rotations, hand.betas).joints
        gap = float(np.linalg.norm(posed - posed[0] - (joints - joints[0]), axis=1).mean())
        if gap > _MODEL_M:
            yield f"MANO's joints are {gap * 1000:.0f} mm from the stored ones"


def _of_mask(segmentation: NDArray[np.uint8], hand: HandLabel) -> Iterator[str]:
    """Most of what is marked as hand should lie in the joints' box, widened by half; arms are not marked."""
    rows, columns = np.nonzero(segmentation == HAND_CODE)
    if not len(rows):
        return
    center, half = (hand.box_px[:2] + hand.box_px[2:]) / 2, (hand.box_px[2:] - hand.box_px[:2]).max() * 0.75
    inside = (np.abs(np.stack([columns, rows], 1) - center) < half).all(1).mean()
    if inside < _ON_HAND:
        yield f"only {inside:.0%} of the hand's pixels lie around its joints"


def _of_views(samples: list[Sample]) -> Iterator[str]:
    joints = [
        moved(np.linalg.inv(sample.T_camera_world), hand.joints_m) for sample in samples for hand in sample.hands[:1]
    ]
    if len(joints) > 1:
        spread = float(np.linalg.norm(np.array(joints) - np.mean(joints, axis=0), axis=-1).max())
        if spread > _VIEWS_M:
            yield f"its cameras put the same joint up to {spread * 1000:.0f} mm from their mean"
