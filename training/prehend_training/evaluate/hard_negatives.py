"""Hard negatives: places that a detector takes for hands and that show none, cut out of rendered images.

What lies beside a hand by chance is easy to tell from one. A robot's network is shown what its detector proposes:
faces, knuckle-sized objects, arms, plates. Training on those (Sung and Poggio, PAMI 1998) is what lets the `presence`
answer take the detector's mistakes away.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from prehend.errors import AssetError, InvalidInput
from prehend.pipeline.crops.crop import CropSpec, cut, whole_crop
from prehend.types import Box, Camera, FoundHand
from prehend_training.data.views import PLACE_SCALE
from prehend_training.evaluate.detector import answers_in
from prehend_training.evaluate.network import Measured
from prehend_training.sample import HAND_CODE, OTHER_CODE, Sample
from prehend_training.storage.codec import Packing
from prehend_training.storage.shards import (
    ShardFolder,
    ShardNote,
    claim,
    commit,
    read_note,
    shard_name,
    write_index,
    write_shard,
)

SHARD_PICTURES = 512
"""Images looked at for one shard."""

_APART = 0.2
"""No joint of any hand lies in a place, grown by this share of its longer side on every side."""


@dataclass(frozen=True)
class HardNegativesConfig:
    """Which places are kept.

    Attributes:
        threshold: lowest score of the detector's; below the pipeline's own, since other detectors make other mistakes.
        most: largest number of places an image, the highest scores.
        least_px: shortest longer side of a place [px].
        size_px: largest side of what is cut out [px].
        packing: how it is written.
    """

    threshold: float = 0.1
    most: int = 3
    least_px: float = 16.0
    size_px: int = 192
    packing: Packing = field(default_factory=lambda: Packing("none"))

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1 or self.most < 1:
            raise InvalidInput(f"threshold {self.threshold} must be between 0 and 1, and most {self.most} 1 at least")


def write_hard_negatives(
    out: Path, detector: Measured, data: Sequence[Path], config: HardNegativesConfig | None = None
) -> Path:
    """Look for hands where none are, and write a folder of shards of kind "places"; shards that are there stay.

    A place is the middle of its image: the longer side of the box, `PLACE_SCALE` times, is the image's side.

    Args:
        out: the folder.
        detector: a detector.
        data: folders of whole images.
        config: which places are kept.

    Returns:
        The path of index.json.

    Raises:
        AssetError: a folder cannot be read or holds crops.
        InvalidInput: the network is no detector, or `out` holds something else.
    """
    config = config or HardNegativesConfig()
    if not detector.is_detector:
        raise InvalidInput(f"{detector.backend.bundle.name} is no detector")
    folders = [ShardFolder.open(path) for path in data]
    if wrong := [str(folder.path) for folder in folders if folder.kind not in ("frames", "views", "sequences")]:
        raise AssetError(f"{', '.join(wrong)}: expected whole images")
    sources = [{key: folder.description.get(key) for key in ("kind", "seed", "commit")} for folder in folders]
    described = asdict(config)
    described |= described.pop("packing")
    claim(out, {"kind": "places", **described, "finder": detector.backend.bundle.weights_sha256, "data": sources})
    (out / "index.json").unlink(missing_ok=True)
    pictures = [(folder, row) for folder in folders for row in range(len(folder))]
    notes: dict[str, ShardNote] = {}
    with tqdm(total=len(pictures), unit="picture") as bar:
        for number, start in enumerate(range(0, len(pictures), SHARD_PICTURES)):
            part, name = pictures[start : start + SHARD_PICTURES], shard_name(number)
            units = ((start + k, _places(detector, *picture, config)) for k, picture in enumerate(part))
            note = read_note(out / name)
            if note is None or note.units != len(part):  # images may have been added since
                note = write_shard(out / name, units, config.packing, commit())
            notes[name] = note
            bar.set_postfix_str(f"{sum(note.samples for note in notes.values())} places", refresh=False)
            bar.update(len(part))
    return write_index(out, notes)


def _places(detector: Measured, folder: ShardFolder, row: int, config: HardNegativesConfig) -> list[Sample]:
    sample = folder.sample(row, "none", meshes=False)
    found = answers_in(detector.backend, sample.image, config.threshold)
    return [cut_place(sample, hand.box_px, config.size_px) for hand in mistakes(found, sample, config)]


def mistakes(found: Sequence[FoundHand], sample: Sample, config: HardNegativesConfig) -> Iterator[FoundHand]:
    """The first `most` of the answers, best first, that are of some size and near no joint of a hand."""
    joints = np.concatenate([hand.keypoints_px for hand in sample.hands] or [np.zeros((0, 2))])
    left = config.most
    for hand in found:
        box, side = hand.box_px, max(hand.box_px.width, hand.box_px.height)
        low, high = np.array([box.x0, box.y0]) - _APART * side, np.array([box.x1, box.y1]) + _APART * side
        if left and side >= config.least_px and not ((joints >= low) & (joints <= high)).all(-1).any():
            left -= 1
            yield hand


def cut_place(sample: Sample, box: Box, size_px: int) -> Sample:
    """The square around a box, black beside the image; shrunk to `size_px` where it is larger. Hands that reach into
    it keep no label: their pixels count as other objects."""
    side = PLACE_SCALE * max(box.width, box.height)
    size = min(size_px, ceil(side))
    scale, center = size / side, np.array(box.center)
    affine = np.column_stack([scale * np.eye(2), (size - 1) / 2 - scale * center])
    whole = whole_crop(size)
    image = cut(sample.image, CropSpec(affine, size, False, center, whole, whole)).image
    assert sample.segmentation is not None
    segmentation = sample.segmentation.copy()
    segmentation[segmentation >= HAND_CODE] = OTHER_CODE
    return Sample(
        image=np.ascontiguousarray(np.rint(image.transpose(1, 2, 0) * 255), np.uint8),
        segmentation=np.asarray(cv2.warpAffine(segmentation, affine, (size, size), flags=cv2.INTER_NEAREST), np.uint8),
        camera=Camera(np.concatenate([affine, [[0, 0, 1]]]) @ sample.camera.K, size, size),
        T_camera_world=sample.T_camera_world,
        hands=(),
        objects=(),
        maps=None,
        frame_id=sample.frame_id,
    )
