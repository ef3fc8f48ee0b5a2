"""Named ways to change crops, for presets: the papers', and a strong one for the step from rendered to real."""

from dataclasses import replace

import numpy as np

from prehend_training.data.cuts import CropDataConfig
from prehend_training.data.pixels.draws import PhotometricConfig
from prehend_training.data.views import EXACT_VIEW, ViewConfig

_PAPER_CROP = 1.5
"""Side of the paper's crop over the box that `ViewConfig.center` counts in."""

PAPER_CROPS = CropDataConfig(
    view=ViewConfig(
        center=0.1 * _PAPER_CROP,
        scale=(0.8, 1.2),
        scale_sigma=0.2,
        aspect=0.0,
        turn_p=0.0,
        turn_rad=np.deg2rad(30),
        turn_limit_rad=np.deg2rad(60),
        still_p=0.4,
    ),
    object_view=EXACT_VIEW,
    whole_object_p=0.0,
    photometric=PhotometricConfig(
        gain=0.5,
        even_gain=True,
        channel_gain=0.0,
        gamma=0.0,
        offset=0.0,
        contrast=0.5,
        saturation=0.5,
        hue=0.15 * 2 * np.pi,
        shuffled=True,
        grey_p=0.0,
        blur_p=1.0,
        blur_sigma_px=0.5,
        blur_min_px=0.0,
        motion_p=0.0,
        noise_p=0.0,
        jpeg_p=0.0,
        coarse_p=0.0,
        erase_p=0.0,
    ),
    background_p=0.0,
    smear_p=0.0,
    absent_p=0.0,
    wrong_side_p=0.0,
    grasp_flip_p=0.0,
)
"""As published for DexYCB with HFL-Net (CVPR 2023) and UniHOPE (CVPR 2025): centre, size, turns with probability 0.6, a
slight blur, and brightness, contrast, saturation and hue in an order by chance; nothing else, and every crop shows its
hand."""

PAPER_CROPS_HO3D = replace(PAPER_CROPS, view=replace(PAPER_CROPS.view, turn_p=1.0, still_p=0.0))
"""The same with turns by any angle, as for HO-3D."""

STRONG_CROPS = CropDataConfig(
    view=ViewConfig(center=0.18, scale=(0.65, 1.45), aspect=0.12, turn_p=0.1, turn_rad=0.45),
    photometric=PhotometricConfig(
        gain=0.3,
        channel_gain=0.16,
        gamma=0.35,
        offset=14.0,
        contrast=0.3,
        exposure_p=0.15,
        exposure=1.6,
        saturation=0.5,
        hue=0.1,
        grey_p=0.06,
        blur_p=0.4,
        blur_sigma_px=1.8,
        noise_p=0.5,
        noise_sigma=10.0,
        shot_noise=12.0,
        jpeg_p=0.35,
        jpeg_quality=(15, 95),
        coarse_p=0.35,
        coarse_min=0.3,
        coarse_blocks_p=0.1,
        erase_p=0.15,
    ),
    background_p=0.3,
)
"""Cameras and light as bad as photographs and films have them; the hand stays one that a person recognises."""

UPRIGHT_VIEW = ViewConfig(center=0.12, scale=(0.75, 1.3), aspect=0.1, turn_p=0.06, turn_rad=0.22, upright=True)
"""Crops as the pipeline cuts them along the hand's direction, known to within 10 to 15 degrees, or not at all."""
