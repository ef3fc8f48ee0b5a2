"""Batches for the palm detector: views of rendered frames and of photographs, with what each anchor should answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import SIDES
from prehend.io.pixels.images import read_image
from prehend.types import Box, FloatArray, Region
from prehend_training.data.base import TrainingDataset, stacked
from prehend_training.data.batch import ArrayDict
from prehend_training.data.frames import (
    MIN_INSIDE,
    MIN_VISIBLE,
    DetectorDataConfig,
    draw_affine,
    draw_window,
    draw_window_changes,
)
from prehend_training.data.pixels.opencv import frame_image
from prehend_training.data.records import Record
from prehend_training.data.views import apply_affine
from prehend_training.palms.labels import PalmHand, PalmLabels, PalmPhoto
from prehend_training.palms.targets import PALM_JOINTS, PalmTarget, palm_targets

Window = tuple[int, int, int, int]

MIN_PALM_PX = 5.0
"""Smaller palms need not be found."""


@dataclass(frozen=True)
class PalmDataConfig:
    """How frames and photographs become training samples.

    Attributes:
        view: see there. The detector is convolutional: pieces of its input teach it at a part of the cost.
        photo_share: of the samples that are photographs.
        folder_shares: how often photographs of a folder are drawn, relative to each other.
    """

    view: DetectorDataConfig = field(
        default_factory=lambda: DetectorDataConfig(
            size_px=128, hand_p=0.4, place_p=0.15, hand_px=(14.0, 120.0), scale=(1.1, 3.0), shift=0.35, quarter_p=0.08
        )
    )
    photo_share: float = 0.6
    folder_shares: Mapping[str, float] = field(
        default_factory=lambda: {
            "subhi": 3.0,
            "asl": 2.0,
            "packages": 3.0,
            "no_hand": 4.0,
            "gestures_hand": 2.0,
            "gestures_body": 1.5,
            "clips": 1.5,
            "digits": 0.7,
        }
    )


WHOLE_VIEW = DetectorDataConfig(
    size_px=192, hand_p=0.4, place_p=0.15, hand_px=(16.0, 180.0), scale=(0.85, 2.2), shift=0.25, quarter_p=0.08
)
"""Views of the detector's own size."""


@dataclass(frozen=True)
class PalmBatches:
    """Batches by number: photographs of the split `train` and frames of a dataset."""

    dataset: TrainingDataset
    labels: PalmLabels
    config: PalmDataConfig
    seed: int
    batch_size: int

    def __post_init__(self) -> None:
        folders: dict[str, list[PalmPhoto]] = {}
        for photo in self.labels.photos:
            if photo.split == "train":
                folders.setdefault(photo.path.partition("/")[0], []).append(photo)
        shares = np.array([self.config.folder_shares.get(name, 1.0) for name in folders])
        object.__setattr__(self, "_folders", list(folders.values()))
        object.__setattr__(self, "_ends", np.cumsum(shares / max(shares.sum(), 1e-9)))

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> ArrayDict:
        """`image` (B, S, S, 3) uint8 and the arrays of `palm_targets`; of part (k, n) the k-th of n."""
        return stacked(self, step, part)

    def sample(self, index: int, rng: np.random.Generator) -> ArrayDict:
        """One sample: a photograph, or the frame of this number."""
        if rng.random() < self.config.photo_share:
            return self._photo(self._draw_photo(rng), rng)
        record = self.dataset[index]
        image, affine, window, flip = self._view(record, rng)
        return {"image": image, **palm_targets(frame_palms(record, affine, window, flip), (), len(image))}

    def _draw_photo(self, rng: np.random.Generator) -> PalmPhoto:
        folder = self._folders[int(np.searchsorted(self._ends, rng.random()))]  # type: ignore[attr-defined]
        photo: PalmPhoto = folder[int(rng.integers(len(folder)))]
        return photo

    def _photo(self, photo: PalmPhoto, rng: np.random.Generator) -> ArrayDict:
        image = read_image(self.labels.folder / photo.path)
        boxes = [_corners(area_of(hand)) for hand in photo.hands]
        record: Record = {
            "image": image,
            "hand_count": np.array(len(boxes)),
            "keypoints_px": np.array(boxes).reshape(-1, 4, 2),
        }
        seen, affine, window, flip = self._view(record, rng)
        palms = [photo_palm(hand, affine, window, flip) for hand in photo.hands]
        ignore = [Box.around(apply_affine(affine, _corners(box))) for box in photo.ignore]
        return {"image": seen, **palm_targets([palm for palm in palms if palm is not None], ignore, len(seen))}

    def _view(self, record: Record, rng: np.random.Generator) -> tuple[NDArray[np.uint8], FloatArray, Window, bool]:
        config = self.config.view
        flip = bool(rng.random() < config.flip_p)
        affine, window = draw_affine(record, config, flip, rng), draw_window(config, rng)
        changes = draw_window_changes(config, window, rng)
        return frame_image(record["image"], affine, window, config.size_px, changes), affine, window, flip


def frame_palms(record: Record, affine: FloatArray, window: Window, flip: bool) -> list[PalmTarget]:
    """The palms of a rendered frame in the detector's input."""
    palms = []
    low, high = np.array(window[:2]), np.array(window[2:]) - 1
    for row in range(int(record["hand_count"])):
        joints = apply_affine(affine, np.asarray(record["keypoints_px"][row], np.float64))
        points = joints[list(PALM_JOINTS)]
        counts = bool(record["visible_ratio"][row] >= MIN_VISIBLE) and _is_inside(joints, points, low, high)
        thing, held = None, bool(record["grasp"][row])
        if held and record["has_object"][row]:
            corners = apply_affine(affine, np.asarray(record["object_keypoints_px"][row, 0], np.float64))
            thing = Box.around(corners.clip(2 * low - high, 2 * high - low))
        dx, dy = points[2] - points[0]
        region = Region.around(joints, float(np.arctan2(dx, -dy)))
        side = SIDES[int(record["side"][row]) ^ int(flip)]
        if ((joints >= low) & (joints <= high)).all(-1).any():
            palms.append(PalmTarget(points, counts, region, side, held if record["has_grasp"][row] else None, thing))
    return palms


def photo_palm(hand: PalmHand, affine: FloatArray, window: Window, flip: bool) -> PalmTarget | None:
    """A hand of a photograph in the detector's input, None where it is not in the window."""
    points = apply_affine(affine, hand.points_px)
    low, high = np.array(window[:2]), np.array(window[2:]) - 1
    area = apply_affine(affine, _corners(area_of(hand)))
    if (area.max(0) < low).any() or (area.min(0) > high).any():
        return None
    side = hand.side
    if side is not None and flip:
        side = SIDES[1 - SIDES.index(side)]
    region = None
    if hand.region is not None:
        dx, dy = points[2] - points[0]
        scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
        x, y = apply_affine(affine, np.array(hand.region.center_px))
        sides = scale * hand.region.width, scale * hand.region.height
        region = Region((float(x), float(y)), *sides, float(np.arctan2(dx, -dy)))
    grid = np.stack(np.meshgrid(*np.linspace(area.min(0), area.max(0), 5).T), -1).reshape(-1, 2)
    return PalmTarget(points, _is_inside(grid, points, low, high), region, side, hand.held)


def area_of(hand: PalmHand) -> Box:
    """About where a hand's joints are."""
    if hand.region is not None:
        return hand.region.box
    box = Box.around(hand.points_px)
    half = 0.8 * max(box.width, box.height)
    (x, y) = box.center
    return Box(x - half, y - half, x + half, y + half)


def _is_inside(area: FloatArray, points: FloatArray, low: FloatArray, high: FloatArray) -> bool:
    """Whether enough of a hand is in the window, and its palm large enough, to be found."""
    middle = (points.min(0) + points.max(0)) / 2
    share = ((area >= low) & (area <= high)).all(-1).mean()
    seen = bool(((middle >= low) & (middle <= high)).all())
    return seen and share >= MIN_INSIDE and float(np.ptp(points, 0).max()) >= MIN_PALM_PX


def _corners(box: Box) -> FloatArray:
    return np.array([[box.x0, box.y0], [box.x1, box.y0], [box.x1, box.y1], [box.x0, box.y1]], np.float64)
