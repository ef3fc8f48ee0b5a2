"""From what the pipeline says of a hand to the hands that may be meant."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prehend.conventions import NUM_JOINTS
from prehend.prior.conditions import Conditions
from prehend.types import Camera, FloatArray, HandEstimate

if TYPE_CHECKING:
    from prehend.prior.sampler import HandPrior, Hypotheses, Sampling

_SHARPEST_PX = 1.5
"""Networks are surer of joints than that, and wrong."""
_UNTOLD_PX = 4.0
"""Of weights that do not tell how sure they are."""
_FEWEST_SEEN = 8


class Meant(NamedTuple):
    """Hands that an estimate may mean.

    Attributes:
        hands: in the camera frame.
        covariances: (21, 3, 3) of their joints [m2].
    """

    hands: "Hypotheses"
    covariances: FloatArray


def known_of_estimate(hand: HandEstimate, camera: Camera) -> Conditions:
    """What an estimate knows of a hand: the joints that are seen, each as sure as the network says; where fewer than
    eight are, all of them."""
    told = hand.keypoint_std_px
    std = np.full(NUM_JOINTS, _UNTOLD_PX) if told is None else np.maximum(told, _SHARPEST_PX)
    sure = np.isfinite(std)  # of others the network knows nothing
    seen = hand.visible if hand.visible.sum() >= _FEWEST_SEEN else np.ones(NUM_JOINTS, bool)
    keypoints = np.where((seen & sure)[:, None], hand.keypoints_px, np.nan)
    std = np.where(sure, std, _UNTOLD_PX)
    return Conditions(side=hand.side, keypoints_px=keypoints, keypoints_std_px=std, camera=camera)


def meant_by(
    prior: "HandPrior", hand: HandEstimate, camera: Camera, count: int = 8, sampling: "Sampling | None" = None
) -> Meant:
    """Hands that an estimate may mean, and how unsure each joint is by them.

    Args:
        prior: to ask.
        hand: estimate. camera: that it was seen by.
        count: how many hands, 2 at least.
        sampling: how they are drawn; None for the default.

    Raises:
        InvalidInput: fewer than 2 hands, or see `HandPrior.sample`.
    """
    from prehend.prior.sampler import joint_covariances

    found = prior.sample(count, known_of_estimate(hand, camera), sampling)
    return Meant(found, joint_covariances(found.joints_m))
