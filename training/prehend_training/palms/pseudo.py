"""A detector labels photographs: hands that come back from the mirror image are kept, what does not is left out."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.backends.base import Backend
from prehend.conventions import Side
from prehend.io.pixels.images import read_image
from prehend.models.trunks.hand_landmarks import LANDMARKS_SIZE, HandLandmarks
from prehend.pipeline.crops.letterbox import letterbox
from prehend.pipeline.detection.palms import Palm, palms_in, region_of_palm
from prehend.types import Box, FloatArray, Region
from prehend_training.palms.labels import PalmHand, PalmLabels, PalmPhoto
from prehend_training.photos.facts import Facts, facts_for
from prehend_training.photos.labelling import pictures_of

Boxes = Mapping[str, Sequence[Box]]


@dataclass(frozen=True)
class PseudoLabelRule:
    """Which answers are kept.

    Attributes:
        sure: lowest score in the image and in its mirror image.
        maybe: score from which an answer that is not sure says that nobody knows.
        iou: least overlap of the two regions' boxes.
        turn_rad: largest difference of their directions.
        presence: least probability of a hand that the landmark network gives, where it is asked. Where every hand holds
            something it often sees none: there the mirror image alone decides, and gives no region.
        after_all: score from which it is asked about images that should show no hand.
    """

    sure: float = 0.6
    maybe: float = 0.12
    iou: float = 0.5
    turn_rad: float = 0.5
    presence: float = 0.8
    after_all: float = 0.25


class Labeller:
    """Labels photographs.

    Args:
        detector: runs the palm detector.
        landmarks: MediaPipe's hand network, which gives region and side of the hands found; None for neither.
        rule: what is kept.
    """

    def __init__(self, detector: Backend, landmarks: HandLandmarks | None, rule: PseudoLabelRule | None = None):
        self._backend = detector
        self._landmarks, self.rule = landmarks, rule or PseudoLabelRule()

    def label(self, image: NDArray[np.uint8], facts: Facts, boxes: Sequence[Box] | None) -> PalmPhoto | None:
        """What is known of an image, None where that teaches nothing.

        Args:
            image: (H, W, 3) RGB.
            facts: what holds for its folder.
            boxes: of all its hands, None where they are not known.
        """
        empty = PalmPhoto("", (image.shape[1], image.shape[0]), "train", ())
        palms, maybe = self._answers(image, wide=False)
        if facts.hands == 0:  # a few of these images show one after all
            doubtful = [palm for palm in (*palms, *maybe) if palm.score >= self.rule.after_all]
            seen = [palm for palm in doubtful if self._hand(image, palm, facts) is not None]
            return replace(empty, ignore=tuple(map(_box, seen)))
        if facts.small_hands:
            small = self._answers(image, wide=True)
            palms += [one for one in small[0] if all(_iou(one, other) < 0.1 for other in palms)]
            maybe += small[1]
        hands = [self._hand(image, palm, facts) for palm in palms]
        sure = [hand for hand in hands if hand is not None]
        maybe += [palm for palm, hand in zip(palms, hands, strict=True) if hand is None]
        ignore = [box for box in map(_box, maybe) if all(box.iou(_area(hand)) < 0.3 for hand in sure)]
        if boxes is not None:
            sure = [hand for hand in sure if any(_belongs(_area(hand), box) for box in boxes)]
            ignore = [box for box in boxes if not any(_belongs(_area(hand), box) for hand in sure)]
        elif facts.hands == 1 and sure:  # then there is no other
            sure, ignore = [max(sure, key=lambda hand: hand.score)], []
        elif not sure:  # there is a hand in nearly all these images
            return None
        return replace(empty, hands=tuple(sure), ignore=tuple(ignore))

    def _answers(self, image: NDArray[np.uint8], wide: bool) -> tuple[list[Palm], list[Palm]]:
        """Palms that agree with the mirror image, as means of both, and the rest."""
        plain, mirrored = (self._look(view, wide) for view in (image, np.ascontiguousarray(image[:, ::-1])))
        mirrored = [_mirror(one, image.shape[1]) for one in mirrored]
        sure, maybe = list[Palm](), list[Palm]()
        for one in plain:
            partner = max(mirrored, key=lambda other: _iou(one, other), default=None)
            good = partner is not None and self._agree(one, partner)
            (sure if good else maybe).append(_mean(one, partner) if good and partner is not None else one)
        seen = [one for one in mirrored if all(_iou(one, other) < 0.2 for other in plain)]
        return sure, [*maybe, *seen]

    def _look(self, image: NDArray[np.uint8], wide: bool) -> list[Palm]:
        stage = "detect_wide" if wide else "detect"
        picture = letterbox(image, int(self._backend.bundle.stages[stage].inputs[0].shape[-1]))
        outputs = self._backend.infer(stage, {"image": picture.image[None]})
        return palms_in(outputs, picture, self.rule.maybe, 8)

    def _agree(self, one: Palm, other: Palm) -> bool:
        rule = self.rule
        turn = abs(math.remainder(_region(one).turn_rad - _region(other).turn_rad, 2 * math.pi))
        return min(one.score, other.score) >= rule.sure and _iou(one, other) >= rule.iou and turn <= rule.turn_rad

    def _hand(self, image: NDArray[np.uint8], palm: Palm, facts: Facts) -> PalmHand | None:
        """A hand with what the landmark network says of it, None where that sees none and may be believed."""
        hand = PalmHand(palm.points_px, None, facts.side, facts.held, palm.score)
        if self._landmarks is None:
            return hand
        region = region_of_palm(palm.center_px, palm.side_px, palm.points_px)
        presence, right, joints = joints_in(self._landmarks, image, region)
        if presence < self.rule.presence:
            return hand if facts.held and facts.hands == 1 else None
        side: Side | None = "right" if right > 0.9 else "left" if right < 0.1 else None
        return replace(hand, region=Region.around(joints, region.turn_rad), side=facts.side or side)


def joints_in(network: HandLandmarks, image: NDArray[np.uint8], region: Region) -> tuple[float, float, FloatArray]:
    """Probabilities of a hand and of a right one, and (21, 2) joints [px of the image], of a region's crop."""
    scale = LANDMARKS_SIZE / (1.6 * region.longer)
    matrix = scale * region.axes
    middle = np.full(2, (LANDMARKS_SIZE - 1) / 2)
    affine = np.column_stack([matrix, middle - matrix @ np.array(region.center_px)])
    crop = np.asarray(cv2.warpAffine(image, affine, (LANDMARKS_SIZE,) * 2), np.float32) / 255
    with torch.no_grad():
        said = network(torch.from_numpy(crop.transpose(2, 0, 1)[None]))
    places = said.landmarks[0].double().numpy().reshape(21, 3)[:, :2] - 0.5  # of corners, ours are of pixels' middles
    joints = np.linalg.solve(matrix, (places - affine[:, 2]).T).T
    return float(said.presence.sigmoid()), float(said.handedness.sigmoid()), joints


def label_photographs(
    folder: Path, labeller: Labeller, known: Mapping[str, Facts], boxes: Boxes, every: Mapping[str, int] | None = None
) -> PalmLabels:
    """Labels of all images below a folder whose facts are known.

    Args:
        folder: of photographs.
        labeller: who labels.
        known: facts by prefix.
        boxes: of hands, by path; where `Facts.every_box` they are all.
        every: by prefix, only each so-many-th image.
    """
    photos, counts = [], defaultdict[str, Counter[str]](Counter)
    seen = Counter[str]()
    for path in tqdm(pictures_of(folder), unit="picture"):
        facts = facts_for(path, known)
        seen[facts.prefix] += 1
        if not facts.prefix or (seen[facts.prefix] - 1) % (every or {}).get(facts.prefix, 1):
            continue
        image = read_image(folder / path)
        photo = labeller.label(image, facts, boxes.get(path, ()) if facts.every_box else None)
        counts[facts.prefix]["left out" if photo is None else "kept"] += 1
        if photo is not None:
            counts[facts.prefix]["hands"] += len(photo.hands)
            photos.append(replace(photo, path=path, split=facts.split_of(path)))
    sources = [facts.source() for facts in known.values() if facts.prefix in counts]
    return PalmLabels(folder, tuple(photos), {"counts": {k: dict(v) for k, v in counts.items()}, "sources": sources})


def _mirror(palm: Palm, width: int) -> Palm:
    flip, shift = np.array([-1.0, 1.0]), np.array([width - 1.0, 0.0])
    return palm._replace(center_px=palm.center_px * flip + shift, points_px=palm.points_px * flip + shift)


def _mean(one: Palm, other: Palm) -> Palm:
    return Palm(
        min(one.score, other.score),
        (one.center_px + other.center_px) / 2,
        (one.side_px + other.side_px) / 2,
        (one.points_px + other.points_px) / 2,
        (one.further + other.further) / 2,
    )


def _region(palm: Palm) -> Region:
    return region_of_palm(palm.center_px, palm.side_px, palm.points_px)


def _box(palm: Palm) -> Box:
    return _region(palm).box


def _iou(one: Palm, other: Palm) -> float:
    return _box(one).iou(_box(other))


def _area(hand: PalmHand) -> Box:
    """The box of a hand, or of what a palm alone says."""
    if hand.region is not None:
        return hand.region.box
    box = Box.around(hand.points_px)
    return region_of_palm(np.array(box.center), max(box.width, box.height), hand.points_px).box


def _belongs(area: Box, box: Box) -> bool:
    """Whether a hand found is the one of a labelled box (of skin, which may be more or less than the joints)."""
    x, y = area.center
    return area.iou(box) > 0.2 or (box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1 and area.area < 4 * box.area)
