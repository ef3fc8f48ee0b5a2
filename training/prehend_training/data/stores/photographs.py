"""Labelled photographs as what training takes its records from."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import NUM_JOINTS
from prehend.errors import AssetError, SourceError
from prehend.geometry.camera import estimated_camera
from prehend.io.pixels.images import decode_image, read_image
from prehend.types import Box, Camera, FloatArray
from prehend_training.data.base import drawn_indices
from prehend_training.data.records import CROP_HANDS, Record, record_of
from prehend_training.data.stores.memory import Filling, InMemory
from prehend_training.data.stores.source import OneSource, Pictures
from prehend_training.data.views import PLACE_SCALE
from prehend_training.photos.labels import Photo, PhotoHand, PhotoLabels, photographed, read_labels
from prehend_training.sample import FrameId, HandLabel, Sample
from prehend_training.storage.codec import Packing, encode_image

REACH = 1.7
"""Half the side of what is kept of a photograph around a hand, over the longer side of its box: the crop after the
largest shift and growth, turned by any angle."""
KEPT_PX = 400
"""Longest side of what is kept; larger pieces are shrunk to it."""
MIN_SIDE_PX = 10.0
PLACE_EVERY = 4
"""Of so many draws one is a place without a hand."""
VARIANTS, IN_MEMORY_VARIANTS = 256, 4
"""Squares that are cut from one photograph as places; so many where they are kept in the memory of a device."""
PLACE_PX = 24.0
"""Least side of the box of a place."""
_TRIES = 30
_CHOICES = 3
_OTHER_HANDS = 0.15
_PACKING = Packing(image="jpg")


@dataclass(frozen=True)
class PhotoChoice(OneSource):
    """Labelled photographs as a source of a run.

    Attributes:
        labels: the file of labels.
        split: `train` or `validation`.
    """

    labels: Path
    split: str = "train"

    def records(self, pictures: Pictures, twins: bool, crop_px: int) -> "PhotoDataset":
        """See `OneSource`."""
        if pictures != "crops":
            raise AssetError(
                f"{self.labels}: photographs teach crop networks alone; not every hand of them is labelled"
            )
        return PhotoDataset(read_labels(self.labels), self.split)

    def keep(self, filling: Filling, pictures: Pictures, twins: bool, crop_px: int, most: int | None) -> InMemory:
        """See `OneSource`; all of them, with fewer places without a hand."""
        if pictures != "crops":
            return super().keep(filling, pictures, twins, crop_px, most)
        return filling.add(PhotoDataset(read_labels(self.labels), self.split, IN_MEMORY_VARIANTS), whole=True)

    def describe(self) -> list[dict[str, Any]]:
        """See `OneSource`: what was seen, where it comes from, and who labelled it."""
        told = PhotoDataset(read_labels(self.labels), self.split).describe()
        return [{"photos": self.labels.name, "sha256": hashlib.sha256(self.labels.read_bytes()).hexdigest(), **told}]


class PhotoDataset:
    """Hands of photographs, each once an epoch, and beside them places without a hand.

    Every `PLACE_EVERY`-th draw is a place: a square cut by chance from a photograph all of whose hands are known,
    beside them. Of a hand that is known by its box alone presence is learnt, and what else is said of it. The camera of
    a photograph is a guess (`estimated_camera`), and nothing in metres is told; hands that were made whole
    (`photos.whole`) have a pose.

    Pieces around hands are kept in memory as JPEG files once they were read (about 25 kB each), since decoding a whole
    photograph takes longer than all else.

    Args:
        labels: of the photographs.
        split: which of them.
        variants: squares that are cut from one photograph as places.

    Raises:
        SourceError: no hand and no place is labelled in this split.
    """

    def __init__(self, labels: PhotoLabels, split: str = "train", variants: int = VARIANTS):
        self.labels, self.split, self.variants = labels, split, variants
        self.photos = [photo for photo in labels.photos if photo.split == split]
        self.hands = [(photo, row) for photo in self.photos for row, hand in enumerate(photo.hands) if _usable(hand)]
        self.places = [photo for photo in self.photos if photo.all_hands_labelled and _has_room(photo)]
        self._empty = [number for number, photo in enumerate(self.places) if not photo.hands]
        self._kept: dict[int, tuple[bytes, FloatArray]] = {}
        if not self.hands and not self.places:
            known = sorted({photo.split for photo in labels.photos})
            raise SourceError(
                f"no photograph of '{split}' has a hand with a box, or all its hands labelled (splits: "
                f"{', '.join(known)}): label them with prehend-train label"
            )

    def __len__(self) -> int:
        return len(self.hands) + len(self.places) * self.variants

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index < len(self.hands):
            return self._hand(index)
        return self._place(index - len(self.hands))

    def sample(self, index: int) -> Sample:
        """The typed sample of hand number `index`: the piece of the photograph around it."""
        photo, row = self.hands[index]
        image, cut = self._piece(index)
        return _sample(image, cut, photo, (hand_label(photo.hands[row], cut, image.shape[:2]),), index)

    def first(self, count: int) -> list[int]:
        """See `prehend_training.data.base.TrainingDataset`: none, since no pose is known."""
        return []

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """See `prehend_training.data.base.TrainingDataset`."""
        return [self._drawn(seed, draw) for draw in range(step * batch_size, (step + 1) * batch_size)]

    def backdrop(self, rng: np.random.Generator) -> Record | None:
        """See `prehend_training.data.base.TrainingDataset`: a photograph without hands."""
        if not self._empty:
            return None
        image = self._read(self.places[self._empty[int(rng.integers(len(self._empty)))]])
        return {"image": image, "segmentation": np.zeros(image.shape[:2], np.uint8)}

    def held(self) -> "PhotoDataset":
        """See `TrainingDataset`."""
        return self

    def describe(self) -> dict[str, Any]:
        """Counts, who labelled, and the sources."""
        origins = Counter(
            f"{label} by {who}" for photo, row in self.hands for label, who in photo.hands[row].origin.items()
        )
        prefixes = {photo.path.rpartition("/")[0] for photo in self.photos}
        sources = [
            source for source in self.labels.about.get("sources", ())
            if any(f"{source['prefix']}/".startswith(f"{prefix}/") for prefix in prefixes)
        ]  # fmt: skip
        return {
            "split": self.split,
            "pictures": len(self.photos),
            "hands": len(self.hands),
            "hands_with_pose": sum(photo.hands[row].rotations is not None for photo, row in self.hands),
            "hands_with_keypoints": sum(photo.hands[row].keypoints_px is not None for photo, row in self.hands),
            "pictures_for_places": len(self.places),
            "origins": dict(sorted(origins.items())),
            "sources": sources,
        }

    def _drawn(self, seed: int, draw: int) -> int:
        turn, kind = divmod(draw, PLACE_EVERY)
        placed = kind == PLACE_EVERY - 1
        if not self.hands or (placed and self.places):
            number = turn if self.hands else draw
            (photo,) = drawn_indices(seed, number, 1, len(self.places))
            variant = int(np.random.default_rng([seed, number, 1]).integers(self.variants))
            return len(self.hands) + photo * self.variants + variant
        number = turn * (PLACE_EVERY - 1) + kind if self.places else draw
        return drawn_indices(seed, number, 1, len(self.hands))[0]

    def _hand(self, index: int) -> Record:
        record = record_of(self.sample(index), CROP_HANDS, whole_front=False)
        photo = self.hands[index][0]
        return record | {"has_beside": np.array(photo.all_hands_labelled and len(photo.hands) == 1)}

    def _place(self, number: int) -> Record:
        photo, variant = self.places[number // self.variants], number % self.variants
        image = self._read(photo)
        rng = np.random.default_rng([number // self.variants, variant])
        # walls teach little: of some squares the one in which most is to be seen
        box = max((place_in(photo, rng) for _ in range(_CHOICES)), key=lambda box: _contrast(image, box))
        half, (x, y) = PLACE_SCALE / 2 * max(box.width, box.height), box.center
        piece, cut = cut_out(image, Box(x - half, y - half, x + half, y + half), whole=True)
        return record_of(_sample(piece, cut, photo, (), number), CROP_HANDS, whole_front=False)

    def _piece(self, index: int) -> tuple[NDArray[np.uint8], FloatArray]:
        """What is kept around hand `index`, and the map of the photograph's pixels to its."""
        if index not in self._kept:
            photo, row = self.hands[index]
            box = photo.hands[row].box_px
            assert box is not None
            half, (x, y) = REACH * max(box.width, box.height), box.center
            image, cut = cut_out(self._read(photo), Box(x - half, y - half, x + half, y + half))
            self._kept[index] = encode_image(image, _PACKING), cut
        data, cut = self._kept[index]
        return decode_image(data, self.hands[index][0].path), cut

    def _read(self, photo: Photo) -> NDArray[np.uint8]:
        image = read_image(self.labels.folder / photo.path)
        size = image.shape[1], image.shape[0]
        if size != photo.size:
            raise SourceError(
                f"{self.labels.folder / photo.path} is {size[0]} x {size[1]} px, its labels are of {photo.size[0]} x "
                f"{photo.size[1]}: label it again"
            )
        return image

    def __reduce__(self) -> tuple[Callable[..., "PhotoDataset"], tuple[PhotoLabels, str, int]]:
        return PhotoDataset, (self.labels, self.split, self.variants)


def _usable(hand: PhotoHand) -> bool:
    return hand.box_px is not None and max(hand.box_px.width, hand.box_px.height) >= MIN_SIDE_PX


def cut_out(image: NDArray[np.uint8], box: Box, whole: bool = False) -> tuple[NDArray[np.uint8], FloatArray]:
    """The part of an image in a box, shrunk to `KEPT_PX` where it is larger.

    Args:
        image: (H, W, 3).
        box: may reach beyond the image.
        whole: what lies beyond is filled by the image's edge, so that the box stays the whole of it.

    Returns:
        The part, and the (2, 3) map of the image's pixels to its.
    """
    height, width = image.shape[:2]
    low = np.floor([box.x0, box.y0]).astype(int)
    high = np.ceil([box.x1, box.y1]).astype(int) + 1
    inner_low, inner_high = np.clip(low, 0, [width - 1, height - 1]), np.clip(high, 1, [width, height])
    part = image[inner_low[1] : inner_high[1], inner_low[0] : inner_high[0]]
    if whole and ((low != inner_low).any() or (high != inner_high).any()):
        (left, top), (right, bottom) = inner_low - low, high - inner_high
        part = np.asarray(cv2.copyMakeBorder(part, top, bottom, left, right, cv2.BORDER_REPLICATE), np.uint8)
    else:
        low = inner_low
    scale = min(1.0, KEPT_PX / max(part.shape[:2]))
    size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    ratio = np.array(size) / (part.shape[1], part.shape[0])
    if scale < 1:
        part = np.asarray(cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_AREA), np.uint8)
    # middles of pixels are at whole numbers
    return np.ascontiguousarray(part), np.column_stack([np.diag(ratio), (0.5 - low) * ratio - 0.5])


def place_in(photo: Photo, rng: np.random.Generator) -> Box:
    """A square of a photograph that shows none of its hands, of a size like theirs where there are any."""
    size, boxes = np.array(photo.size), _boxes(photo)
    most = 0.8 * min(photo.size)
    for attempt in range(_TRIES):
        side = _typical_px(photo) * float(np.exp(rng.uniform(np.log(0.4), np.log(1.8)))) * 0.93**attempt
        half = float(np.clip(side, min(PLACE_PX, most), most)) / 2
        x, y = rng.uniform(half, size - half)
        box = Box(x - half, y - half, x + half, y + half)
        if all(_shared(box, other) < _OTHER_HANDS for other in boxes):
            return box
    free = _free(photo)
    half, (x, y) = _room_px(free) / 2, free.center
    return Box(x - half, y - half, x + half, y + half)


def _boxes(photo: Photo) -> list[Box]:
    return [hand.box_px for hand in photo.hands if hand.box_px is not None]


def _typical_px(photo: Photo) -> float:
    """Longer side of the photograph's hands, or what it could be."""
    sides = [max(box.width, box.height) for box in _boxes(photo)]
    return float(np.median(sides)) if sides else 0.35 * min(photo.size)


def _free(photo: Photo) -> Box:
    """The roomiest part of a photograph to one side of all its hands."""
    width, height = photo.size
    boxes = _boxes(photo)
    if not boxes:
        return Box(0, 0, width - 1, height - 1)
    x0, y0 = min(box.x0 for box in boxes), min(box.y0 for box in boxes)
    x1, y1 = max(box.x1 for box in boxes), max(box.y1 for box in boxes)
    parts = (
        Box(0, 0, x0, height - 1), Box(x1, 0, width - 1, height - 1),
        Box(0, 0, width - 1, y0), Box(0, y1, width - 1, height - 1),
    )  # fmt: skip
    return max(parts, key=_room_px)


def _room_px(free: Box) -> float:
    """Side of a square in the middle of a part that stays clear of what is beside it."""
    return 0.6 * min(free.width, free.height)


def _has_room(photo: Photo) -> bool:
    return _room_px(_free(photo)) >= max(PLACE_PX, 0.3 * _typical_px(photo))


def _contrast(image: NDArray[np.uint8], box: Box) -> float:
    """How much a square of an image varies."""
    x0, y0, x1, y1 = (round(value) for value in (box.x0, box.y0, box.x1, box.y1))
    return float(image[max(y0, 0) : y1 + 1 : 2, max(x0, 0) : x1 + 1 : 2].std())


def _shared(place: Box, hand: Box) -> float:
    """How much of the smaller of both the grown place and the hand share."""
    more = 0.25 * place.width
    width = min(place.x1 + more, hand.x1) - max(place.x0 - more, hand.x0)
    height = min(place.y1 + more, hand.y1) - max(place.y0 - more, hand.y0)
    return max(width, 0.0) * max(height, 0.0) / max(min(2.25 * place.area, hand.area), 1e-6)


def hand_label(hand: PhotoHand, cut: FloatArray, shape: Sequence[int]) -> HandLabel:
    """The typed label of a hand in the piece of this height and width; nothing in metres is known, and a pose where the
    hand was made whole: a piece is cut straight, so that its camera has the directions of the photograph's."""
    assert hand.box_px is not None
    keypoints = np.full((NUM_JOINTS, 2), np.nan)
    visible = np.zeros(NUM_JOINTS, np.bool_)
    corners = np.asarray(hand.box_px.as_array(), np.float64).reshape(2, 2) @ cut[:, :2].T + cut[:, 2]
    if hand.keypoints_px is not None:
        keypoints = hand.keypoints_px @ cut[:, :2].T + cut[:, 2]
        visible = ((keypoints >= 0) & (keypoints <= np.array([shape[1], shape[0]]) - 1)).all(1)
    return photographed(hand, keypoints, corners.reshape(4), visible)


def _sample(
    image: NDArray[np.uint8], cut: FloatArray, photo: Photo, hands: tuple[HandLabel, ...], index: int
) -> Sample:
    """A piece of a photograph as a sample; square pixels, up to a rounding of the piece's size."""
    whole = estimated_camera(*photo.size)
    K = np.concatenate([cut, [[0, 0, 1]]]) @ whole.K
    K[:2, :2] = np.eye(2) * float(np.mean([K[0, 0], K[1, 1]]))
    camera = Camera(K, image.shape[1], image.shape[0], estimated=True)
    frame_id = FrameId("photographs", 0, index, photo.session)
    return Sample(image, None, camera, np.eye(4), hands, (), None, frame_id)
