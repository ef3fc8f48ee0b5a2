"""Batches for the detector: frames, hands of all sizes and pieces without any, and the maps it should answer with."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from prehend.pipeline.crops.letterbox import cell_centers
from prehend.types import Box, FloatArray
from prehend_training.data.base import TrainingDataset, stacked
from prehend_training.data.batch import ArrayDict
from prehend_training.data.pixels.draws import PhotometricConfig, PixelChanges, draw_changes
from prehend_training.data.pixels.opencv import frame_arrays
from prehend_training.data.pixels.plans import FramePixels, source_of
from prehend_training.data.records import Record
from prehend_training.data.views import apply_affine, image_size


@dataclass(frozen=True)
class DetectorDataConfig:
    """How frames become training samples: whole ones, views of a hand, and views of any place.

    Attributes:
        size_px: side of the network's input.
        stride_px: input pixels per cell.
        hand_p: probability of a view of one hand, of a size drawn from `hand_px`, anywhere in the image.
        place_p: probability of a view of any place of the frame; there are often objects and arms in it and no hand.
        hand_px: range of the longer side of a hand's box in such views.
        enlarge: most that such views enlarge the frame.
        scale: range of a whole frame's size over that of a letterboxed one.
        shift: largest shift of a whole frame, as a share of the input's side.
        turn_rad: standard deviation of the turn [rad].
        quarter_p: probability of a further turn by a multiple of 90 degrees.
        flip_p: probability of the mirror image, in which left hands are right hands.
        aspects: range of width over height of the image inside the square.
        photometric: changes of the image; None for none.
    """

    size_px: int = 256
    stride_px: int = 8
    hand_p: float = 0.5
    place_p: float = 0.15
    hand_px: tuple[float, float] = (28.0, 230.0)
    enlarge: float = 2.0
    scale: tuple[float, float] = (0.8, 1.5)
    shift: float = 0.12
    turn_rad: float = 0.25
    quarter_p: float = 0.05
    flip_p: float = 0.5
    aspects: tuple[float, float] = (0.7, 1.8)
    photometric: PhotometricConfig | None = field(default_factory=lambda: PhotometricConfig(coarse_min=0.5))


MIN_INSIDE = 0.35
"""Hands with a smaller share of their joints in the image, or of their pixels unhidden than `MIN_VISIBLE`, are
neither right nor wrong to find."""
MIN_VISIBLE = 0.15
MIN_SIDE_PX = 8.0

SAYS_BOX = 0.2
"""Heat from which a cell learns the hand's side and box: the centre's cell and those around it."""


@dataclass(frozen=True)
class SeenHand:
    """A hand in the detector's input.

    Attributes:
        side: index of its side.
        box_px: tight box of all its joints.
        object_box_px: of what it grasps.
        counts: whether it must be found.
        center_px: middle of the part of the box that is in the image, where the detector answers.
    """

    side: int
    box_px: Box
    object_box_px: Box | None
    counts: bool
    center_px: tuple[float, float]


@dataclass(frozen=True)
class DetectorBatches:
    """Batches of frames by number; fields as in `CropBatches`."""

    dataset: TrainingDataset
    config: DetectorDataConfig
    seed: int
    batch_size: int
    pixels: Callable[[FramePixels], ArrayDict] = frame_arrays

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> ArrayDict:
        """`image` (B, S, S, 3) uint8 and the maps of `detector_targets`."""
        return stacked(self, step, part)

    def sample(self, index: int, rng: np.random.Generator) -> ArrayDict:
        """One sample: `image` (S, S, 3) uint8 and the maps of `detector_targets`."""
        config, record = self.config, self.dataset[index]
        size, stride = config.size_px, config.stride_px
        flip = rng.random() < config.flip_p
        affine, window = draw_affine(record, config, flip, rng), draw_window(config, rng)
        changes = draw_window_changes(config, window, rng)
        hands = seen_hands(record, affine, window, flip)
        pixels = FramePixels(source_of(record), affine, window, size, stride, changes)
        return detector_targets(hands, size, stride) | self.pixels(pixels)


def draw_window_changes(
    config: DetectorDataConfig, window: tuple[int, int, int, int], rng: np.random.Generator
) -> PixelChanges | None:
    """What is done to the part of the input that is not black; nothing is erased."""
    if config.photometric is None:
        return None
    return draw_changes(config.photometric, (window[3] - window[1], window[2] - window[0]), rng, erase=False)


def draw_affine(record: Record, config: DetectorDataConfig, flip: bool, rng: np.random.Generator) -> FloatArray:
    """(2, 3) map from a frame to the input: the whole frame, or a view of a hand or a place."""
    width, height = image_size(record)
    size, hands = config.size_px, int(record["hand_count"])
    whole = size / max(width, height)
    kind, row = rng.random(), int(rng.integers(max(hands, 1)))
    ratio, place = rng.uniform(-0.5, 0.5, 2), (rng.random(2) - 0.5) * (width, height)
    drawn_px = float(np.exp(rng.uniform(*np.log(config.hand_px))))
    scale = whole * float(np.exp(rng.uniform(*np.log(config.scale))))
    middle, target = np.array([width - 1, height - 1]) / 2, (size - 1) / 2 + 2 * config.shift * size * ratio
    if hands and kind < config.hand_p + config.place_p:
        box = Box.around(record["keypoints_px"][row])
        longer = max(box.width, box.height, 1.0)
        scale = min(drawn_px / longer, config.enlarge)
        if kind < config.hand_p:
            middle, target = np.array(box.center), (size - 1) / 2 + max(size - 0.6 * scale * longer, 0.3 * size) * ratio
        else:
            middle, target = middle + place, np.full(2, (size - 1) / 2)
    matrix = scale * _turn(config, rng) @ np.diag([-1.0 if flip else 1.0, 1.0])
    return np.column_stack([matrix, target - matrix @ middle])


def _turn(config: DetectorDataConfig, rng: np.random.Generator) -> FloatArray:
    """(2, 2) rotation."""
    angle = rng.normal(0, 1) * config.turn_rad
    if rng.random() < config.quarter_p:
        angle += np.pi / 2 * rng.integers(1, 4)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def draw_window(config: DetectorDataConfig, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 (ends excluded) of the image inside the letterboxed square."""
    aspect = np.exp(rng.uniform(*np.log(config.aspects)))
    width, height = round(config.size_px * min(1, aspect)), round(config.size_px * min(1, 1 / aspect))
    x, y = (config.size_px - width) // 2, (config.size_px - height) // 2
    return x, y, x + width, y + height


def seen_hands(
    record: Record, affine: FloatArray, window: tuple[int, int, int, int], flip: bool = False
) -> list[SeenHand]:
    """The hands of a frame in the detector's input."""
    hands = []
    low, high = np.array(window[:2]), np.array(window[2:]) - 1
    for row in range(int(record["hand_count"])):
        points = apply_affine(affine, record["keypoints_px"][row])
        inside = ((points >= low) & (points <= high)).all(-1)
        box = Box.around(points)
        thing = None
        if record["grasp"][row] and record["has_object"][row]:
            # next to the camera's plane a projection has no bounds
            points = apply_affine(affine, record["object_keypoints_px"][row, 0])
            thing = Box.around(points.clip(2 * low - high, 2 * high - low))
        counts = (
            inside.mean() >= MIN_INSIDE
            and record["visible_ratio"][row] >= MIN_VISIBLE
            and max(box.width, box.height) >= MIN_SIDE_PX
        )
        if inside.any():
            shown = Box.around(np.array([[box.x0, box.y0], [box.x1, box.y1]]).clip(low, high))
            hands.append(SeenHand(int(record["side"][row]) ^ int(flip), box, thing, bool(counts), shown.center))
    return hands


def detector_targets(hands: list[SeenHand], size: int, stride: int) -> ArrayDict:
    """Maps of G = size / stride cells.

    Returns:
        heat: (G, G) 1 in the cell of a hand's centre, falling off around it as a Gaussian of the hand's size.
        heat_weight: (G, G) 0 where finding or not finding a hand is both right.
        side: (G, G) 1 for a right hand. hand_box: (4, G, G) distances to left, top, right, bottom [px].
        held: (G, G) 0 or 1. object_box: (4, G, G) corners as offsets from the cell's centre [px].
        box_weight, object_weight: (G, G) how much a cell says about a hand's side, box and grasp; its object's box.
    """
    cells = size // stride
    maps: ArrayDict = {
        "heat": np.zeros((cells, cells), np.float32),
        "heat_weight": np.ones((cells, cells), np.float32),
        "side": np.zeros((cells, cells), np.float32),
        "hand_box": np.ones((4, cells, cells), np.float32),
        "held": np.zeros((cells, cells), np.float32),
        "object_box": np.zeros((4, cells, cells), np.float32),
        "box_weight": np.zeros((cells, cells), np.float32),
        "object_weight": np.zeros((cells, cells), np.float32),
    }
    centers = cell_centers(cells, size)
    for hand in sorted(hands, key=lambda hand: hand.counts):  # what need not be found hides no centre of what must be
        _draw(maps, hand, centers, stride)
    return maps


def _draw(maps: ArrayDict, hand: SeenHand, centers: FloatArray, stride: int) -> None:
    box = hand.box_px
    column, row = np.rint((np.array(hand.center_px) - centers[0]) / stride).astype(int).clip(0, len(centers) - 1)
    sigma = max(0.8, 0.09 * float(np.sqrt(max(box.area, 1.0))) / stride)
    steps = np.arange(len(centers))
    gauss = np.exp(-((steps - row)[:, None] ** 2 + (steps - column)[None] ** 2) / (2 * sigma**2)).astype(np.float32)
    x, y = np.meshgrid(centers, centers)
    if not hand.counts:
        maps["heat_weight"][(x >= box.x0) & (x <= box.x1) & (y >= box.y0) & (y <= box.y1)] = 0
        return
    maps["heat"] = np.maximum(maps["heat"], gauss)
    maps["heat_weight"][row, column] = 1
    distances = np.stack([x - box.x0, y - box.y0, box.x1 - x, box.y1 - y])
    mine = (gauss > SAYS_BOX) & (gauss > maps["box_weight"]) & (distances > 0).all(0)
    maps["box_weight"][mine] = gauss[mine]
    maps["side"][mine] = hand.side
    maps["hand_box"][:, mine] = distances[:, mine]
    maps["held"][mine] = hand.object_box_px is not None
    maps["object_weight"][mine] = 0
    if hand.object_box_px is not None:
        thing = hand.object_box_px
        offsets = np.stack([thing.x0 - x, thing.y0 - y, thing.x1 - x, thing.y1 - y])
        maps["object_box"][:, mine] = offsets[:, mine]
        maps["object_weight"][mine] = gauss[mine]
