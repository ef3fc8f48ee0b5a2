"""A crop of a hand alone, which windows of films and moments of several cameras are made of."""

import numpy as np

from prehend_training.data.batch import ArrayDict
from prehend_training.data.crop_targets import hand_targets, still_visible
from prehend_training.data.pixels.draws import PixelChanges
from prehend_training.data.pixels.opencv import changed, warp
from prehend_training.data.records import Record
from prehend_training.data.views import CropView, ViewConfig, apply_affine, draw_hand, image_size, view_of


def draw_view(record: Record, config: ViewConfig, size_px: int, rng: np.random.Generator) -> CropView:
    """A view of the first hand of a record, `size_px` wide."""
    turn, box = draw_hand(record, config, rng)
    return view_of(turn, box, None, image_size(record), record["K"], size_px)


def hand_crop(record: Record, view: CropView, smear: bool, changes: PixelChanges | None) -> ArrayDict:
    """The first hand of a record as a view shows it.

    Args:
        record, view: as for `hand_targets`.
        smear: the image's edge goes on where it ends, instead of black.
        changes: of the image, None for none; joints behind an erased patch are no longer visible.

    Returns:
        image: (S, S, 3) uint8. And those of `hand_targets`.
    """
    targets, size = hand_targets(record, view), view.spec.size
    image = warp(record["image"], view.affine, size, smear)
    if changes is not None:
        image = changed(image, changes)
        places = apply_affine(view.affine, record["keypoints_px"][0])
        targets["visible"] = still_visible(targets["visible"], places, changes.patches, size)
    return targets | {"image": image}
