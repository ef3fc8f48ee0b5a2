"""What is drawn by chance for a batch: numbers on the CPU, so that every device gets the same and none has to be asked.

The ranges are those of `CropBatches` and `prehend_training.data.pixels`; only the order of the draws is another.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prehend.types import FloatArray
from prehend_training.data.crops import CropDataConfig
from prehend_training.data.pixels import LUMA, PhotometricConfig
from prehend_training.data.views import ViewConfig

Rng = np.random.Generator
Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]

PRESENT, BESIDE, HELD_ALONE, EMPTY = -1, 0, 1, 2
"""Kinds of crops: with the hand, beside it, of what it held without it, of a background."""


@dataclass(frozen=True)
class BoxDraws:
    """How far boxes are off: shift (B, 2) as a share of the longer side, scale (B,), stretch (B,) of width against
    height."""

    shift: FloatArray
    scale: FloatArray
    stretch: FloatArray


@dataclass(frozen=True)
class BackgroundDraws:
    """Which pieces of which backgrounds: share (B,) of the background's side, corner (B, 2) as a share of the room that
    is left, quarters (B,) of a turn; which (B,) background, in [0, 1)."""

    which: FloatArray
    share: FloatArray
    corner: FloatArray
    quarters: Numbers


@dataclass(frozen=True)
class ViewDraws:
    """Which square of each crop is seen, and what of it; all (B,) but where told.

    Attributes:
        turn_rad: turn of the picture.
        hand, thing: see `BoxDraws`.
        whole: whether the object stage looks at the whole crop.
        smear: whether the picture's edge goes on where it ends.
        swap: whether there is another background.
        kind: `PRESENT` or one of the kinds without a hand.
        beside: (B, 3) direction [rad], distance and size of a box beside the hand, in sides of the hand's.
        wrong_side: whether the hand is shown as a left one.
        flip: whether the hand stage is told the wrong grasp answer.
        background: see `BackgroundDraws`.
    """

    turn_rad: FloatArray
    hand: BoxDraws
    thing: BoxDraws
    whole: Flags
    smear: Flags
    swap: Flags
    kind: Numbers
    beside: FloatArray
    wrong_side: Flags
    flip: Flags
    background: BackgroundDraws


def draw_views(config: CropDataConfig, count: int, rng: Rng) -> ViewDraws:
    """Draws for a batch of `count` crops."""
    absent = rng.random(count) < config.absent_p
    kind = np.where(absent, rng.integers(3, size=count), PRESENT)
    wrong_side = (rng.random(count) < config.wrong_side_p) & ~absent
    beside = np.stack([
        rng.uniform(0, 2 * np.pi, count), rng.uniform(1.0, 1.4, count), rng.uniform(0.5, 0.9, count)
    ], 1)  # fmt: skip
    return ViewDraws(
        turn_rad=draw_turns(config.view, count, rng),
        hand=draw_boxes(config.view, count, rng),
        thing=draw_boxes(config.object_view, count, rng),
        whole=rng.random(count) < config.whole_object_p,
        smear=(rng.random(count) < config.smear_p) & ~absent,
        swap=(rng.random(count) < config.background_p) & ~absent,
        kind=kind,
        beside=beside,
        wrong_side=wrong_side,
        flip=rng.random(count) < config.grasp_flip_p,
        background=BackgroundDraws(
            rng.random(count), rng.uniform(0.5, 1.0, count), rng.random((count, 2)), rng.integers(4, size=count)
        ),
    )


def draw_turns(config: ViewConfig, count: int, rng: Rng) -> FloatArray:
    """(count,) turns [rad]."""
    any_way, still = rng.random(count) < config.turn_p, rng.random(count) < config.still_p
    normal = (rng.normal(0, 1, count) * config.turn_rad).clip(-config.turn_limit_rad, config.turn_limit_rad)
    return np.where(any_way, rng.uniform(-np.pi, np.pi, count), np.where(still, 0.0, normal))


def draw_boxes(config: ViewConfig, count: int, rng: Rng) -> BoxDraws:
    """How far `count` boxes are off."""
    scale = rng.uniform(*config.scale, count)
    if config.scale_sigma is not None:
        scale = rng.normal(1, config.scale_sigma, count).clip(*config.scale)
    return BoxDraws(
        rng.uniform(-config.center, config.center, (count, 2)),
        scale,
        np.exp(rng.uniform(-config.aspect, config.aspect, count)),
    )


@dataclass(frozen=True)
class ColourDraws:
    """Light and colour, see `augment.change_colour`.

    Attributes:
        mix, hue: (B, 3, 3) on RGB: towards grey, about the grey axis.
        gamma: (B,) exponent. gain, offset: (B, 3) of each channel, to grey values.
        contrast: (B,) of the distance from the picture's mean grey.
        order: (B, 4) in which levels (0), contrast (1), mix (2) and hue (3) come; None for hue, mix, levels, contrast.
    """

    mix: FloatArray
    hue: FloatArray
    gamma: FloatArray
    gain: FloatArray
    offset: FloatArray
    contrast: FloatArray
    order: Numbers | None


def draw_colours(config: PhotometricConfig, count: int, rng: Rng) -> ColourDraws:
    """Draws of `augment.change_colour`."""
    grey = rng.random(count) < config.grey_p
    saturation = np.where(grey, 0.0, 1 + rng.uniform(-config.saturation, config.saturation, count))[:, None, None]
    hue = _turns_about_grey(rng.uniform(-config.hue, config.hue, count))
    mix = saturation * np.eye(3) + (1 - saturation) * np.outer(np.ones(3), LUMA)
    gamma = np.exp(rng.uniform(-config.gamma, config.gamma, count))
    low, high = (1.0, 1.0) if config.even_gain else (1.5, 0.6)
    gain = 255 * (1 + rng.uniform(-low * config.gain, high * config.gain, count))
    offset = rng.uniform(-config.offset, config.offset, count)
    channel = np.where(grey[:, None], 1.0, 1 + rng.uniform(-config.channel_gain, config.channel_gain, (count, 3)))
    contrast = 1 + rng.uniform(-config.contrast, config.contrast, count) if config.contrast else np.ones(count)
    if config.exposure_p:
        wrong = rng.random(count) < config.exposure_p
        gain = gain * np.where(wrong, np.exp(rng.uniform(-1, 1, count) * np.log(config.exposure)), 1.0)
    order = np.array([rng.permutation(4) for _ in range(count)]) if config.shuffled else None
    return ColourDraws(mix, hue, gamma, gain[:, None] * channel, offset[:, None] * channel, contrast, order)


def _turns_about_grey(angles_rad: FloatArray) -> FloatArray:
    """(B,) -> (B, 3, 3) rotations of the RGB cube about its grey diagonal (Rodrigues)."""
    axis = np.full(3, 1 / np.sqrt(3))
    skew = np.cross(np.eye(3), axis)
    cos, sin = np.cos(angles_rad)[:, None, None], np.sin(angles_rad)[:, None, None]
    return cos * np.eye(3) + sin * skew + (1 - cos) * np.outer(axis, axis)


@dataclass(frozen=True)
class PatchDraws:
    """Erased rectangles of some pictures.

    Attributes:
        rows: (n,) of the batch.
        box: (n, 2, 4) top, left, bottom, right [px] of two patches, ends excluded; an empty one for none.
        pattern: (n, 2, 3, `PATCH_CELLS`, `PATCH_CELLS`) grey values from 0 to 255, all the same in a flat patch.
        cells: (n, 2) of the pattern that the longer side of the patch shows.
    """

    rows: Numbers
    box: Numbers
    pattern: NDArray[np.float32]
    cells: Numbers


PATCH_CELLS = 12


def draw_patches(config: PhotometricConfig, size_px: int, count: int, rng: Rng) -> PatchDraws:
    """Draws of `augment.erase`."""
    rows = np.flatnonzero(rng.random(count) < config.erase_p)
    n = len(rows)
    extent = (size_px * rng.uniform(0.06, config.erase_max, (n, 2, 2))).astype(np.int64)
    corner = (rng.random((n, 2, 2)) * (size_px - extent)).astype(np.int64)
    box = np.concatenate([corner, corner + extent], -1)
    box[:, 1] *= rng.integers(2, size=(n, 1))
    spread = rng.uniform(5, 90, (n, 2, 1, 1, 1)) * (rng.random((n, 2, 1, 1, 1)) < 0.5)
    middle = np.where(spread > 0, rng.uniform(20, 235, (n, 2, 3, 1, 1)), rng.uniform(0, 256, (n, 2, 3, 1, 1)))
    pattern = middle + spread * rng.standard_normal((n, 2, 3, PATCH_CELLS, PATCH_CELLS))
    return PatchDraws(rows, box, pattern.clip(0, 255).astype(np.float32), rng.integers(2, PATCH_CELLS, (n, 2)))
