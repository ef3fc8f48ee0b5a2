"""Crops of a hand alone: the labels lie on the image, whatever is drawn."""

import numpy as np
import pytest

from prehend_training.data.augment_presets import UPRIGHT_VIEW
from prehend_training.data.crop_targets import from_box
from prehend_training.data.hand_crops import draw_view, hand_crop
from prehend_training.data.pixels.draws import PhotometricConfig, draw_changes
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.data.views import EXACT_VIEW, ViewConfig, mirror_left

SIZE = 96


@pytest.fixture(scope="module")
def records(crops):
    dataset = ShardDataset([crops], "crops")
    return [mirror_left(dataset[index]) for index in range(8)]


@pytest.mark.parametrize("view", [ViewConfig(turn_p=1.0), EXACT_VIEW, UPRIGHT_VIEW])
def test_the_skeleton_in_the_crop_lies_under_its_keypoints(records, view):
    for seed, record in enumerate(records):
        drawn = draw_view(record, view, SIZE, np.random.default_rng(seed))
        crop = hand_crop(record, drawn, smear=False, changes=None)
        assert crop["image"].shape == (SIZE, SIZE, 3) and crop["image"].dtype == np.uint8
        points = np.rint(from_box(crop["keypoints"], crop["hand_box"])).astype(int)
        inside = ((points >= 1) & (points < SIZE - 1)).all(-1)
        assert np.median(crop["image"][points[inside, 1], points[inside, 0], 0]) > 100  # the background is below 60


def test_changes_leave_all_labels_but_what_is_hidden(records):
    config = PhotometricConfig(erase_p=1.0, erase_max=0.5)
    hidden = 0
    for seed, record in enumerate(records):
        view = draw_view(record, EXACT_VIEW, SIZE, np.random.default_rng(seed))
        plain = hand_crop(record, view, False, None)
        changed = hand_crop(record, view, False, draw_changes(config, (SIZE, SIZE), np.random.default_rng(seed)))
        assert (plain["image"] != changed["image"]).any()
        assert (changed["visible"] <= plain["visible"]).all(), "nothing comes into sight"
        hidden += int((changed["visible"] < plain["visible"]).sum())
        for name in plain.keys() - {"image", "visible"}:
            np.testing.assert_array_equal(plain[name], changed[name], err_msg=name)
    assert hidden


def test_the_edge_goes_on_or_it_is_black(records):
    far = ViewConfig(center=0.0, scale=(4.0, 4.0), aspect=0.0, turn_p=0.0, turn_rad=0.0)
    view = draw_view(records[0], far, SIZE, np.random.default_rng(0))
    black, smeared = (hand_crop(records[0], view, smear, None)["image"] for smear in (False, True))
    outside = (black == 0).all(-1)
    assert outside.mean() > 0.1 and (smeared[outside] > 0).mean() > 0.9
    np.testing.assert_array_equal(black[40:56, 40:56], smeared[40:56, 40:56])
