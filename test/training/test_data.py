import time

import cv2
import numpy as np
import pytest
from fake import project

from prehend.errors import AssetError
from prehend_training.augment import PhotometricConfig, change_colour, degrade, erase, paste, without_front
from prehend_training.data import Corpus, CropBatches, CropDataConfig, drawn_indices, exact, prefetched
from prehend_training.targets import cells_on, from_box

CONFIG = CropDataConfig(absent_p=0.0)


@pytest.fixture(scope="module")
def batches(crops):
    return CropBatches(Corpus([crops], "crops"), CONFIG, seed=1, batch_size=8)


def test_a_batch_depends_on_seed_and_step_alone(crops, batches):
    again = CropBatches(Corpus([crops], "crops"), CONFIG, seed=1, batch_size=8)
    first, second = batches.batch(5), again.batch(5)
    for name in first:
        assert np.array_equal(first[name], second[name]), name
    assert not np.array_equal(first["image"], batches.batch(6)["image"])


def test_parts_of_a_batch_make_the_whole(batches):
    whole, parts = batches.batch(3), [batches.batch(3, (k, 3)) for k in range(3)]
    for name, value in whole.items():
        assert np.array_equal(value, np.concatenate([part[name] for part in parts])), name


def test_prefetched_batches_are_the_same_in_order(batches):
    for step, batch in enumerate(prefetched(batches, 2, 5, workers=1), start=2):
        assert np.array_equal(batch["image"], batches.batch(step)["image"])
    assert step == 4


def test_every_sample_is_drawn_once_an_epoch():
    drawn = [i for step in range(6) for i in drawn_indices(3, step, 4, 12)]
    assert sorted(drawn[:12]) == sorted(drawn[12:]) == list(range(12))
    assert drawn[:12] != drawn[12:]


def test_labels_stay_on_the_hand_after_augmentation(batches):
    batch = batches.batch(0)
    for row in range(8):
        told = from_box(batch["keypoints"][row], batch["hand_box"][row])
        points = batch["joints"][row] + batch["root"][row]
        assert np.allclose(project(points, batch["projection"][row]), told, atol=0.02)


def test_the_skeleton_in_the_picture_lies_under_the_keypoints(crops):
    source = CropBatches(
        Corpus([crops], "crops"), CropDataConfig(absent_p=0.0, photometric=None, background_p=0), 2, 24
    )
    batch = source.batch(0)
    for row in range(24):
        points = np.rint(from_box(batch["keypoints"][row], batch["hand_box"][row])).astype(int)
        inside = ((points >= 1) & (points < 127)).all(-1)
        red = batch["image"][row][points[inside, 1], points[inside, 0], 0]
        assert np.median(red) > 100  # the background is below 60


def test_object_points_fit_their_cells(crops):
    source = CropBatches(Corpus([crops], "crops"), exact(CONFIG), 2, 24)
    batch = source.batch(0)
    known = batch["has_points"] > 0
    assert known.any() and (batch["grasp"][known] == 1).all()
    assert batch["object_mask"][known].any(1).all()
    # the true box holds the points, as far as the crop shows them
    whole = (batch["object_box"][known] > 0).all(1) & (batch["object_box"][known] < 127).all(1)
    points = batch["object_points"][known][whole]
    assert np.abs(points.min((1, 2)) - 0).max() < 0.02 and np.abs(points.max((1, 2)) - 1).max() < 0.02


def test_absent_hands_are_marked(crops):
    source = CropBatches(Corpus([crops], "crops"), CropDataConfig(absent_p=1.0), 2, 24)
    batch = source.batch(0)
    assert not batch["presence"].any() and not batch["grasp"].any() and not batch["has_points"].any()
    for value in batch.values():
        assert np.isfinite(value).all()


def test_cells_are_row_by_row():
    mask = np.zeros((16, 16), bool)
    mask[:8, 8:] = True  # upper right
    assert cells_on(mask, np.array([-0.5, -0.5, 15.5, 15.5]), 2).tolist() == [0, 1, 0, 0]
    assert not cells_on(mask, np.array([30.0, 0, 40, 10]), 2).any()


def test_pasting_keeps_the_front_and_changes_the_rest():
    image, background = np.full((20, 20, 3), 200, np.uint8), np.full((20, 20, 3), 10, np.uint8)
    keep = np.zeros((20, 20), np.uint8)
    keep[5:15, 5:15] = 1
    mixed = paste(image, keep, background)
    assert (mixed[7:13, 7:13] == 200).all() and (mixed[:3] == 10).all()


def test_a_filled_front_takes_the_colour_around_it():
    image = np.full((64, 64, 3), 90, np.uint8)
    front = np.zeros((64, 64), bool)
    front[16:48, 20:44] = True
    image[front] = 250
    filled = without_front(image, front)
    assert np.abs(filled.astype(int) - 90).max() <= 2
    assert (without_front(image, np.ones_like(front)) < 250).all()  # nothing is known: dark, but no hand


def test_photometric_changes_keep_shape_and_type():
    config, rng = (
        PhotometricConfig(erase_p=1.0, jpeg_p=1.0, blur_p=1.0, coarse_p=1.0, noise_p=1.0),
        np.random.default_rng(0),
    )
    image = rng.integers(0, 256, (64, 64, 3), np.uint8)
    for _ in range(20):
        changed, hidden = erase(change_colour(image, config, rng), config, rng)
        changed = degrade(changed, config, rng)
        assert changed.shape == image.shape and changed.dtype == np.uint8
        assert 0 < hidden.mean() < 0.3


def test_a_wrong_kind_of_folder_is_refused(crops):
    with pytest.raises(AssetError, match="frames"):
        Corpus([crops], "frames")


def test_augmentation_keeps_up_with_training(batches):
    cv2.setNumThreads(1)
    batches.batch(0)
    start = time.process_time()
    for step in range(1, 9):
        batches.batch(step)
    assert 64 / (time.process_time() - start) > 100
