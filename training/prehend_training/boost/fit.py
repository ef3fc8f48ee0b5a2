"""Conditions that are real: photographs whose labelled hands our network's pose fits.

The network gives pose and shape of a hand in its labelled box, which are moved until the joints fall on the labelled
ones (`photos.refine`), with an assumed camera; what falls well enough without being bent far is kept as a square crop
with a hand in metres. So the hand's size and distance are as sure as the network's shape and the camera's field of
view: enough for a condition, which shows the hand as it falls on the pixels.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.errors import InvalidInput, SourceError
from prehend.geometry.camera import estimated_camera, project
from prehend.hand_model.asset import load_hand_model
from prehend.io.pixels.images import read_image
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.load import load_estimator
from prehend.types import Box, Camera, FoundHand
from prehend.weights import load_bundle
from prehend_training.boost.folders import FolderPlan, Made, Maker, fill, read_units
from prehend_training.data.stores.photographs import cut_out
from prehend_training.engine import EngineOptions
from prehend_training.photos.labels import Photo, PhotoHand, photographed, read_labels
from prehend_training.photos.refine import Fit, judged, refine_hand
from prehend_training.photos.whole import WholeRule
from prehend_training.sample import FrameId, HandLabel, Sample
from prehend_training.storage.codec import Packing

CONTEXT = 2.0
"""Side of a crop over the longer side of the hand's box."""
SOURCE = "photographs"


@dataclass(frozen=True)
class FitRule(WholeRule):
    """When a fit is good enough: stricter than a label, for its image is shown; below `least_px` skin is a smear."""

    bent: float = 0.3
    score: float = 0.7
    least_px: float = 48.0


@dataclass(frozen=True)
class FitConfig:
    """Which photographs become conditions.

    Attributes:
        labels: file of `prehend-train label`.
        split: of its photographs.
        model: weights whose pose is taken, by name or folder.
        size_px: side of the crops.
        limit: largest number of hands to try, spread over all; None for all.
        rule: see `FitRule`.
    """

    labels: Path
    split: str = "train"
    model: str = "unihope-s"
    size_px: int = 128
    limit: int | None = None
    rule: FitRule = field(default_factory=FitRule)

    def __post_init__(self) -> None:
        if self.size_px < 16 or (self.limit is not None and self.limit < 1):
            raise InvalidInput(f"crops of {self.size_px} px, limit {self.limit}: 16 px and one hand are the least")

    def describe(self) -> dict[str, Any]:
        """What decides about the folder, as JSON."""
        return {
            "made_by": "boost fit",
            "labels": hashlib.sha256(self.labels.read_bytes()).hexdigest(),
            "split": self.split,
            "model": load_bundle(self.model).weights_sha256,
            "size_px": self.size_px,
            "limit": self.limit,
            "rule": asdict(self.rule),
            "hand": load_hand_model().sha256,
        }


def labelled_hands(config: FitConfig) -> list[tuple[Photo, int]]:
    """The hands of a split whose joints and side are labelled, as photograph and number in it.

    Raises:
        SourceError: the labels cannot be read, or none are such.
    """
    hands = [
        (photo, row)
        for photo in read_labels(config.labels).photos
        if photo.split == config.split
        for row, hand in enumerate(photo.hands)
        if hand.keypoints_px is not None and hand.side is not None and hand.box_px is not None
    ]
    if not hands:
        raise SourceError(f"{config.labels}: no hand of '{config.split}' has joints and a side: nothing can be fitted")
    if config.limit is not None and config.limit < len(hands):
        hands = [hands[place] for place in np.linspace(0, len(hands) - 1, config.limit).round().astype(int)]
    return hands


def fit_photographs(out: Path, config: FitConfig, engine: EngineOptions | None = None) -> dict[str, int]:
    """Write the crops of photographs whose hands fit; goes on where it stopped.

    Returns:
        How many hands were kept, and how many dropped, by reason.

    Raises:
        SourceError: labels or photographs are missing.
        InvalidInput: the folder holds something else.
        EngineError: the network fails.
    """
    count = len(labelled_hands(config))
    packing = Packing("none")
    plan = FolderPlan(out, config.describe(), count, 64, "hand", packing, engine or EngineOptions())
    fill(plan, partial(open_fitter, config))
    counts: dict[str, int] = {}
    for unit in read_units(out.resolve()):
        counts[unit["why"]] = counts.get(unit["why"], 0) + 1
    return counts


def open_fitter(config: FitConfig) -> Maker:
    """See `folders.Maker`: fits hand after hand, with the network of this process."""
    hands, folder = labelled_hands(config), read_labels(config.labels).folder
    estimator = load_estimator(model=config.model, tracking=False)

    def make(units: range) -> Iterator[Made]:
        for unit in units:
            photo, row = hands[unit]
            yield _made(estimator, config, read_photo(folder, photo), (photo, row, unit))

    return make


def read_photo(folder: Path, photo: Photo) -> NDArray[np.uint8]:
    """A photograph as it was labelled.

    Raises:
        SourceError: it is missing, or has another size.
    """
    image = read_image(folder / photo.path)
    if (image.shape[1], image.shape[0]) != photo.size:
        raise SourceError(f"{folder / photo.path}: its labels are for an image of {photo.size}: label it again")
    return image


def _made(estimator: Estimator, config: FitConfig, image: NDArray[np.uint8], place: tuple[Photo, int, int]) -> Made:
    photo, row, unit = place
    hand = photo.hands[row]
    told: dict[str, Any] = {"path": photo.path, "row": row}
    fit, why = fit_hand(estimator, image, hand, config.rule)
    if fit is not None:
        told |= {"residual": round(fit.residual, 4), "worst": round(fit.worst, 4), "bent": round(fit.bent, 4)}
    if fit is None or why != "kept":
        return Made(unit, (), {**told, "why": why})
    return Made(unit, (_sample(image, photo, hand, fit, config.size_px, unit),), {**told, "why": why})


def fit_hand(estimator: Estimator, image: NDArray[np.uint8], hand: PhotoHand, rule: FitRule) -> tuple[Fit | None, str]:
    """Fit a labelled hand: the fit, None where there is no sound one, and "kept" or why it is dropped.

    Args:
        estimator: without tracking.
        image: (H, W, 3) the photograph.
        hand: with box, joints and side.
        rule: when a fit is good enough.
    """
    assert hand.box_px is not None and hand.keypoints_px is not None
    longer = max(hand.box_px.width, hand.box_px.height)
    if longer < rule.least_px:
        return None, "small"
    camera = estimated_camera(image.shape[1], image.shape[0])
    found = estimator.estimate(image, camera, boxes=[FoundHand(hand.box_px, hand.side)]).hands
    if not found:
        return None, "not seen"
    answer = found[0]
    refined = refine_hand(answer.rotations, answer.betas, answer.side, hand.keypoints_px, camera, hand.keypoint_std_px)
    if refined is None:
        return None, "no place"
    said = np.asarray(answer.rotations, np.float64)
    fit = judged(refined, answer.side, said, hand.keypoints_px, longer, camera)
    if answer.score < rule.score:
        return fit, "low score"
    if answer.side != hand.side:
        return fit, "other side"
    return fit, rule.refused(fit) or "kept"


def square_around(box: Box) -> Box:
    """The square `CONTEXT` times as large as the longer side of a hand's box, around its middle."""
    half, (x, y) = CONTEXT / 2 * max(box.width, box.height), box.center
    return Box(x - half, y - half, x + half, y + half)


def _sample(image: NDArray[np.uint8], photo: Photo, hand: PhotoHand, fit: Fit, size_px: int, unit: int) -> Sample:
    """The crop around a fitted hand; beyond the photograph its edge goes on."""
    assert hand.box_px is not None
    piece, cut = cut_out(image, square_around(hand.box_px), whole=True)
    ratio = np.array([size_px / piece.shape[1], size_px / piece.shape[0]])
    small = cv2.resize(piece, (size_px, size_px), interpolation=cv2.INTER_AREA)
    affine = np.column_stack([ratio[:, None] * cut[:, :2], ratio * (cut[:, 2] + 0.5) - 0.5])
    K = np.concatenate([affine, [[0, 0, 1]]]) @ fit.camera.K
    camera = Camera(K, size_px, size_px, estimated=True)
    label = _label(hand, fit, camera)
    frame_id = FrameId(SOURCE, 0, unit, photo.session)
    return Sample(np.asarray(small, np.uint8), None, camera, np.eye(4), (label,), (), None, frame_id)


def _label(hand: PhotoHand, fit: Fit, camera: Camera) -> HandLabel:
    assert hand.side is not None
    keypoints = project(fit.joints_m, camera)
    inside = (keypoints >= 0) & (keypoints <= np.array([camera.width, camera.height]) - 1)
    label = photographed(hand, keypoints, Box.around(keypoints).as_array(), np.asarray(inside.all(1)))
    return replace(label, rotations=fit.rotations, betas=fit.betas, joints_m=fit.joints_m, vertices_m=fit.vertices_m)
