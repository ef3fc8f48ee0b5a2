"""Whole hands for labelled photographs: the prior for hands between what a network answers and the labelled joints.

Labels of photographs are joints in the image. A network gives a pose, the prior brings it back to one that hands have
while its joints are drawn to the labelled ones across their viewing rays and hardly along them, and `refine` lets the
last pixels go. What falls on the joints well enough gets rotations and shape; the rest of the labels stays as it is.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prehend.backends import BackendSettings, open_backend
from prehend.conventions import MIRROR
from prehend.errors import InvalidInput
from prehend.geometry.camera import estimated_camera, viewing_rays
from prehend.geometry.rotations import nearest_rotation
from prehend.hand_model.asset import load_hand_model
from prehend.io.pixels.images import read_image
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.hypotheses.denoiser import PoseDenoiser
from prehend.pipeline.hypotheses.skeleton import (
    Looseness,
    WantedJoints,
    bones_of,
    placed,
    pulled,
    rotations_of,
    spins_of,
)
from prehend.types import Camera, FloatArray, FoundHand, HandEstimate
from prehend.weights import load_bundle
from prehend_training.photos.labels import PhotoHand, PhotoLabels
from prehend_training.photos.refine import LEAST_STD, Fit, judged, refine_hand

TIMES = (0.2, 0.1)
"""Noise of the prior's steps, from 0 to 1 of the forward process."""

DRAWS = 4
"""Hands that are drawn; the one whose joints come nearest to the labelled ones counts."""

ALONG_M = 0.03
"""Standard deviation of a joint along its viewing ray, of which a label says nothing [m]."""

_LOOSE = Looseness(hand_rad=0.5, finger_rad=0.3)
_PULLS = 2


@dataclass(frozen=True)
class WholeRule:
    """When a hand is whole enough.

    Attributes:
        residual: largest root mean square distance between projected and labelled joints, over the longer side of the
            hand's box.
        worst: largest such distance of one joint.
        bent: largest root mean square angle [rad] by which the network's rotations were turned.
        score: least presence that the network gives.
        least_px: smallest longer side of a hand.
    """

    residual: float = 0.04
    worst: float = 0.14
    bent: float = 0.5
    score: float = 0.5
    least_px: float = 40.0

    def __post_init__(self) -> None:
        if not (0 < self.residual <= self.worst and self.bent > 0 and 0 <= self.score <= 1 and self.least_px > 0):
            raise InvalidInput(f"{self}: expected 0 < residual <= worst, 0 <= score <= 1, and a positive size")

    def refused(self, fit: Fit) -> str | None:
        """Why a fit is not good enough; None where it is."""
        checks = {
            "joints differ": fit.residual <= self.residual,
            "a joint differs": fit.worst <= self.worst,
            "bent": fit.bent <= self.bent,
        }
        return next((why for why, passed in checks.items() if not passed), None)


def open_denoiser(weights: str = "hhmr-xs") -> PoseDenoiser:
    """The prior that makes hands whole.

    Raises:
        UnknownName, AssetError: there are no such weights.
        WeightsMismatch: they are no prior of the shipped hand.
    """
    backend = open_backend("onnx", load_bundle(weights), BackendSettings(threads=1))
    return PoseDenoiser(backend, load_hand_model().without_forearm())


def chosen_photos(labels: PhotoLabels, split: str, limit: int | None) -> list[str]:
    """Paths of a split's photographs whose hands have joints and a side, of so many of them at most, spread over all.

    Raises:
        InvalidInput: the limit is below 1, or there are none.
    """
    if limit is not None and limit < 1:
        raise InvalidInput(f"limit is {limit}: give 1 or more")
    found = [photo.path for photo in labels.photos if photo.split == split and any(map(_has_joints, photo.hands))]
    if not found:
        raise InvalidInput(f"no photograph of '{split}' has a hand with joints and a side: nothing can be made whole")
    if limit is None or limit >= len(found):
        return found
    return [found[place] for place in np.linspace(0, len(found) - 1, limit).round().astype(int)]


def make_whole(
    labels: PhotoLabels,
    paths: Iterable[str],
    estimator: Estimator,
    denoiser: PoseDenoiser | None,
    rule: WholeRule,
) -> tuple[PhotoLabels, Counter[str]]:
    """Labels with rotations and shape where they can be had.

    Args:
        labels: of photographs.
        paths: of those whose hands are made whole; all others stay as they are.
        estimator: without tracking.
        denoiser: the prior; None lets the network alone come before the last pixels.
        rule: what is kept.

    Returns:
        The labels, and how many hands are "whole", and how many are not, by reason.

    Raises:
        SourceError: a photograph cannot be read.
    """
    counts: Counter[str] = Counter()
    who = f"{'network' if denoiser is None else 'prior'} {estimator.bundle.name}"
    by_path = {photo.path: photo for photo in labels.photos}
    for path in paths:
        photo, hands = by_path[path], []
        image = read_image(labels.folder / path)
        for hand in photo.hands:
            whole, why = whole_hand(estimator, denoiser, image, hand, rule)
            counts[why] += 1
            hands.append(hand if whole is None else _with_pose(hand, whole, who))
        by_path[path] = replace(photo, hands=tuple(hands))
    about = {**labels.about, "whole": dict(sorted(counts.items()))}
    return PhotoLabels(labels.folder, tuple(by_path.values()), about), counts


def _has_joints(hand: PhotoHand) -> bool:
    return hand.keypoints_px is not None and hand.side is not None and hand.box_px is not None


def _with_pose(hand: PhotoHand, whole: Fit, who: str) -> PhotoHand:
    origin = {**hand.origin, "rotations": who}
    return replace(hand, rotations=whole.rotations, betas=whole.betas, origin=origin)


def whole_hand(
    estimator: Estimator, denoiser: PoseDenoiser | None, image: NDArray[np.uint8], hand: PhotoHand, rule: WholeRule
) -> tuple[Fit | None, str]:
    """A labelled hand made whole, and "whole"; or None, and why not.

    Args:
        estimator: without tracking. denoiser: see `make_whole`.
        image: (H, W, 3) the photograph.
        hand: its label. rule: what is kept.
    """
    if hand.box_px is None or hand.keypoints_px is None or hand.side is None:
        return None, "no joints or side"
    longer = max(hand.box_px.width, hand.box_px.height)
    if longer < rule.least_px:
        return None, "small"
    camera = estimated_camera(image.shape[1], image.shape[0])
    found = estimator.estimate(image, camera, boxes=[FoundHand(hand.box_px, hand.side)]).hands
    if not found or found[0].score < rule.score or found[0].side != hand.side:
        return None, "not seen so by the network"
    answer = found[0]
    rotations = answer.rotations
    if denoiser is not None:
        rotations = by_prior(denoiser, answer, hand.keypoints_px, camera, _std_px(hand, longer))
    refined = refine_hand(rotations, answer.betas, hand.side, hand.keypoints_px, camera, hand.keypoint_std_px)
    if refined is None:
        return None, "no place"
    said = nearest_rotation(answer.rotations)
    fit = judged(refined, hand.side, said, hand.keypoints_px, longer, camera)
    why = rule.refused(fit)
    return (fit, "whole") if why is None else (None, why)


def _std_px(hand: PhotoHand, longer: float) -> FloatArray:
    told = np.zeros(21) if hand.keypoint_std_px is None else np.asarray(hand.keypoint_std_px)
    return np.maximum(told, LEAST_STD * longer)


def by_prior(
    denoiser: PoseDenoiser, answer: HandEstimate, keypoints_px: FloatArray, camera: Camera, std_px: FloatArray
) -> NDArray[np.float64]:
    """(16, 3, 3) a pose that the prior has and that lies on labelled joints, near to what a network said.

    Args:
        denoiser: the prior.
        answer: the network's, in metres.
        keypoints_px: (21, 2) labelled joints. std_px: (21,) noise of them. camera: of the image.
    """
    flip = MIRROR if answer.side == "left" else np.eye(3)
    depth = np.linalg.norm(answer.joints_m, axis=1, keepdims=True)
    rays = viewing_rays(keypoints_px, camera)
    wanted, joints = (np.asarray(part @ flip, np.float64) for part in (rays * depth, answer.joints_m))
    spins = spins_of(flip @ nearest_rotation(answer.rotations) @ flip)[None]
    bones = bones_of(joints - joints[0], spins[0])
    along = (rays @ flip)[:, :, None] * (rays @ flip)[:, None]
    across_m = (std_px / np.sqrt(camera.K[0, 0] * camera.K[1, 1]) * depth[:, 0])[:, None, None]
    told = WantedJoints((wanted - wanted[0])[None], (np.eye(3) - along) / across_m + along / ALONG_M)
    noise = np.random.default_rng(0).normal(size=(len(TIMES), DRAWS, *denoiser.noise_shape))
    spins, known = np.repeat(spins, DRAWS, 0), np.ones(21, np.bool_)
    for time, drawn in zip(TIMES, noise, strict=True):
        away = np.swapaxes(spins[:, :1], 2, 3)
        there = (away @ placed(bones, spins)[..., None])[..., 0]
        spins = spins[:, :1] @ denoiser.denoised(away @ spins, drawn, time, there, known)
        for _ in range(_PULLS):
            spins = pulled(bones, spins, told, _LOOSE)
    off = (told.roots @ (placed(bones, spins) - told.places_m)[..., None])[..., 0]
    return np.asarray(flip @ rotations_of(spins[int((off**2).sum((1, 2)).argmin())]) @ flip)
