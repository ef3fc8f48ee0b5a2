"""What a crop shows and what it asks: of a hand, of a piece beside one, or of a place that has none."""

from dataclasses import dataclass, field, replace

import numpy as np

from prehend.types import Box
from prehend_training.data.base import TrainingDataset
from prehend_training.data.batch import ArrayDict
from prehend_training.data.crop_targets import absent_targets, hand_targets, object_targets
from prehend_training.data.pixels.draws import PhotometricConfig
from prehend_training.data.pixels.plans import ALL, HELD_ALONE, NOTHING, Background, source_of
from prehend_training.data.records import Record
from prehend_training.data.views import (
    EXACT_VIEW,
    CropView,
    ViewConfig,
    apply_affine,
    draw_box,
    draw_hand,
    draw_turn,
    image_size,
    mirror,
    mirror_left,
    mirror_right,
    place_box,
    view_of,
)


@dataclass(frozen=True)
class CropDataConfig:
    """How crops become training samples.

    Attributes:
        size_px: side of the network's input.
        object_grid: cells of the object stage along a side.
        view: how far hand boxes are off.
        object_view: how far object boxes are off.
        whole_object_p: probability that the object stage looks at the whole crop instead of a box.
        photometric: changes of the image; None for none.
        background_p: probability of another background.
        smear_p: probability that the image's edge goes on where it ends, instead of black.
        absent_p: probability that of a crop with a hand a piece without it is shown; a place never shows one.
        wrong_side_p: probability of a hand that is shown as a left one: what the network sees when it is told the
            wrong side.
        grasp_flip_p: probability that the hand stage is told the wrong grasp answer, as the switcher might.
        tells_parts: give which parts of the hand are seen, see `part_targets`.
        describes_objects: tell the object stage what the object is like, and how large it is to the loss.
        kind_unknown_p, kind_wrong_p: probabilities that the object stage is told nothing of the object, or what another
            one of the catalogue is like.
    """

    size_px: int = 128
    object_grid: int = 16
    view: ViewConfig = field(default_factory=ViewConfig)
    object_view: ViewConfig = field(default_factory=lambda: ViewConfig(center=0.12, scale=(0.8, 1.3), aspect=0.1))
    whole_object_p: float = 0.15
    photometric: PhotometricConfig | None = field(default_factory=PhotometricConfig)
    background_p: float = 0.2
    smear_p: float = 0.6
    absent_p: float = 0.12
    wrong_side_p: float = 0.3
    grasp_flip_p: float = 0.03
    tells_parts: bool = False
    describes_objects: bool = False
    kind_unknown_p: float = 0.15
    kind_wrong_p: float = 0.15


def exact(config: CropDataConfig) -> CropDataConfig:
    """The same without any change to the image and with true boxes: for measuring."""
    return replace(
        config,
        view=replace(EXACT_VIEW, upright=config.view.upright),
        object_view=EXACT_VIEW,
        whole_object_p=0.0,
        photometric=None,
        background_p=0.0,
        smear_p=0.0,
        wrong_side_p=0.0,
        grasp_flip_p=0.0,
        kind_unknown_p=0.0,
        kind_wrong_p=0.0,
    )


@dataclass(frozen=True)
class Cut:
    """A crop before any pixel is touched.

    Attributes:
        record: where it is cut out, mirrored as the network shall see it.
        view: the square.
        targets: of `hand_targets` and `object_targets`; those of a hand are void where there is none.
        has_hand: whether there is a hand to find.
        labelled: whether what is in it can be told apart: an arm in a place is nobody's.
        front, smear, background: see `CropPixels`.
    """

    record: Record
    view: CropView
    targets: ArrayDict
    has_hand: bool
    labelled: bool = True
    front: int = ALL
    smear: bool = False
    background: Background | None = None


def draw_cut(record: Record, config: CropDataConfig, dataset: TrainingDataset, rng: np.random.Generator) -> Cut:
    """The crop of a record: the only place where it is asked of which kind it is.

    Args:
        record: of a hand, or of a place that has none.
        config: how far it is off, and how often it is of which kind.
        dataset: where other backgrounds come from.
        rng: draws all.
    """
    absent, wrong_side = rng.random(2) < (config.absent_p, config.wrong_side_p)
    if not record["hand_count"]:
        return _of_place(mirror(record) if wrong_side else record, config, rng)
    if absent and record["has_beside"]:
        return _without_hand(mirror_left(record), config, dataset, rng)
    return _of_hand(mirror_right(record) if wrong_side else mirror_left(record), config, dataset, rng)


def _of_hand(record: Record, config: CropDataConfig, dataset: TrainingDataset, rng: np.random.Generator) -> Cut:
    view = _view(record, config, rng)
    smear = bool(rng.random() < config.smear_p)
    wanted = rng.random() < config.background_p and record["has_front"]
    background = _background(dataset, rng) if wanted else None
    targets = hand_targets(record, view) | object_targets(record, view)
    return Cut(record, view, targets, True, smear=smear, background=background)


def _without_hand(record: Record, config: CropDataConfig, dataset: TrainingDataset, rng: np.random.Generator) -> Cut:
    """A crop beside the hand, of a background, or of what was held without the hand; the latter where the record tells
    what is in front."""
    kind = int(rng.integers(3)) if record["has_front"] else 0
    background = _background(dataset, rng) if kind else None
    if background is None:
        kind = 0
    view = _view(record, config, rng) if kind else _view_beside(record, config, rng)
    front = (ALL, HELD_ALONE, NOTHING)[kind]
    return Cut(record, view, _void(record, view), False, front=front, background=background)


def _of_place(record: Record, config: CropDataConfig, rng: np.random.Generator) -> Cut:
    """A place that a detector took for a hand."""
    size = image_size(record)
    turn = draw_turn(size, config.view, rng)
    box = draw_box(place_box(size), config.view, rng)
    view = view_of(turn, box, None, size, record["K"], config.size_px)
    smear = bool(rng.random() < config.smear_p)
    return Cut(record, view, _void(record, view), False, labelled=False, smear=smear)


def _void(record: Record, view: CropView) -> ArrayDict:
    return absent_targets(view) | object_targets({**record, "grasp": np.zeros(1, np.bool_)}, view)


def _view(record: Record, config: CropDataConfig, rng: np.random.Generator) -> CropView:
    """A view of the hand, with boxes of hand and object as a detector would give them."""
    turn, hand = draw_hand(record, config.view, rng)
    thing = None
    if record["has_object"][0] and rng.random() >= config.whole_object_p:
        points = apply_affine(turn, record["object_keypoints_px"][0, 0])
        thing = draw_box(Box.around(points), config.object_view, rng)
    return view_of(turn, hand, thing, image_size(record), record["K"], config.size_px)


def _view_beside(record: Record, config: CropDataConfig, rng: np.random.Generator) -> CropView:
    """A box of the hand's size that hardly overlaps the hand's."""
    box, size = Box.around(record["keypoints_px"][0]), image_size(record)
    side, angle = max(box.width, box.height), rng.uniform(0, 2 * np.pi)
    center = np.array(box.center) + side * rng.uniform(1.0, 1.4) * np.array([np.cos(angle), np.sin(angle)])
    x, y = center.clip(0, np.array(size) - 1)
    half = side / 2 * rng.uniform(0.5, 0.9)
    beside = Box(x - half, y - half, x + half, y + half)
    return view_of(np.eye(2, 3), beside, None, size, record["K"], config.size_px)


def _background(dataset: TrainingDataset, rng: np.random.Generator) -> Background | None:
    """A piece of another sample, turned by quarters; None where no sample tells what is in front."""
    record = dataset.backdrop(rng)
    if record is None:
        return None
    width, height = image_size(record)
    side = int(rng.uniform(0.5, 1.0) * min(width, height))
    top, left = rng.integers(0, np.array([height, width]) - side + 1)
    return Background(source_of(record), side, (int(top), int(left)), int(rng.integers(4)))
