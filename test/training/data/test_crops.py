import dataclasses
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from fake import fake_sample, project, write_fake

from prehend.conventions import MIRROR
from prehend.errors import AssetError
from prehend_training.data.augment_presets import PAPER_CROPS, STRONG_CROPS
from prehend_training.data.base import drawn_indices
from prehend_training.data.crop_targets import from_box
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig, exact
from prehend_training.data.loader import prefetched
from prehend_training.data.pixels import opencv
from prehend_training.data.pixels.draws import LUMA, PhotometricConfig, draw_changes, draw_colours, hidden_by
from prehend_training.data.pixels.opencv import cells_on, changed, paste, without_front
from prehend_training.data.records import record_of
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.sample import OBJECT_CODE, OTHER_CODE
from prehend_training.storage.codec import Packing

CONFIG = CropDataConfig(absent_p=0.0)


@pytest.fixture(scope="module")
def batches(crops):
    return CropBatches(ShardDataset([crops], "crops"), CONFIG, seed=1, batch_size=8)


def test_a_batch_depends_on_seed_and_step_alone(crops, batches):
    again = CropBatches(ShardDataset([crops], "crops"), CONFIG, seed=1, batch_size=8)
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
        ShardDataset([crops], "crops"), CropDataConfig(absent_p=0.0, photometric=None, background_p=0), 2, 24
    )
    batch = source.batch(0)
    for row in range(24):
        points = np.rint(from_box(batch["keypoints"][row], batch["hand_box"][row])).astype(int)
        inside = ((points >= 1) & (points < 127)).all(-1)
        red = batch["image"][row][points[inside, 1], points[inside, 0], 0]
        assert np.median(red) > 100  # the background is below 60


def test_object_points_fit_their_cells(crops):
    source = CropBatches(ShardDataset([crops], "crops"), exact(CONFIG), 2, 24)
    batch = source.batch(0)
    known = batch["has_points"] > 0
    assert known.any() and (batch["grasp"][known] == 1).all()
    assert batch["object_mask"][known].any(1).all()
    # the true box holds the points, as far as the crop shows them
    whole = (batch["object_box"][known] > 0).all(1) & (batch["object_box"][known] < 127).all(1)
    points = batch["object_points"][known][whole]
    assert len(points) and points.min() > -0.02 and points.max() < 1.02
    # the box is a square of their longer side, and they are in its middle
    size = points.max(2) - points.min(2)
    np.testing.assert_allclose(size.max(-1), 1, atol=0.02)
    np.testing.assert_allclose((points.max(2) + points.min(2)) / 2, 0.5, atol=0.02)


TWINS = CropDataConfig(
    absent_p=0.0, background_p=1.0, photometric=PhotometricConfig(1.0, 0.3, erase_p=1.0, noise_p=1.0)
)


def test_batches_without_twins_are_the_same_otherwise(crops):
    whole = CropBatches(ShardDataset([crops], "crops"), CropDataConfig(), 2, 24).batch(0)
    bare = CropBatches(ShardDataset([crops], "crops", twins=False), CropDataConfig(), 2, 24, twins=False).batch(0)
    assert whole.keys() - bare.keys() == {"image_deoccluded", "has_twin"}
    assert all(np.array_equal(value, whole[name]) for name, value in bare.items())


def test_the_twin_is_changed_like_the_picture(crops):
    """Where there was no object, an image and its twin stay equal to the last bit through all changes."""
    batch = CropBatches(ShardDataset([crops], "crops"), TWINS, 2, 24).batch(0)
    assert batch["has_twin"].all()
    differ = (batch["image"] != batch["image_deoccluded"]).any(-1)
    grasped = batch["grasp"] > 0
    assert not differ[~grasped].any() and differ[grasped].any((1, 2)).mean() > 0.6  # some are erased
    things = np.repeat(np.repeat(batch["segments"] == 2, 4, 1), 4, 2)
    assert differ[things].sum() >= 0.5 * differ.sum()


def test_the_twin_shows_the_hand_where_the_object_was(crops):
    source = CropBatches(ShardDataset([crops], "crops"), exact(CONFIG), 2, 24)
    batch = source.batch(0)
    for row in np.flatnonzero(batch["grasp"]):
        points = np.rint(from_box(batch["keypoints"][row], batch["hand_box"][row])).astype(int)
        inside = ((points >= 1) & (points < 127)).all(-1)
        seen = batch["image_deoccluded"][row][points[inside, 1], points[inside, 0]].astype(int)
        assert ((seen[:, 0] > 100) & (seen[:, 0] > seen[:, 2])).mean() > 0.9  # the skeleton's colour, not the box's


def test_without_maps_the_twin_is_marked_unknown(tmp_path):
    write_fake(tmp_path, "crops", 4, packing=Packing("none", "png"))
    batch = CropBatches(ShardDataset([tmp_path], "crops"), exact(CONFIG), 2, 4).batch(0)
    assert not batch["has_twin"].any() and np.array_equal(batch["image"], batch["image_deoccluded"])


def test_an_object_that_only_lies_about_is_not_what_the_hand_holds():
    sample = next(s for s in (fake_sample(3, k) for k in range(20)) if s.hands[0].grasp)
    beside = dataclasses.replace(sample.hands[0], object_index=1)
    both = dataclasses.replace(sample, hands=(beside,), objects=(sample.objects[0], sample.objects[0]))
    segments = np.where(sample.segmentation == OBJECT_CODE, OBJECT_CODE + 1, sample.segmentation)
    segments[:4, :4] = OBJECT_CODE
    record = record_of(dataclasses.replace(both, segmentation=segments), 1)
    assert (record["segmentation"][:4, :4] == OTHER_CODE).all()
    assert np.array_equal(record["segmentation"] == OBJECT_CODE, segments == OBJECT_CODE + 1)
    free = dataclasses.replace(both, hands=(dataclasses.replace(beside, grasp=False),))
    assert not record_of(free, 1)["has_object"].any()


def test_absent_hands_are_marked(crops):
    source = CropBatches(ShardDataset([crops], "crops"), CropDataConfig(absent_p=1.0), 2, 24)
    batch = source.batch(0)
    assert not batch["presence"].any() and not batch["grasp"].any() and not batch["has_points"].any()
    for value in batch.values():
        assert np.isfinite(value).all()


MARKS = ("has_pose", "has_joints", "has_grasp", "has_visible", "has_segments")


def test_rendered_scenes_know_all(crops):
    batch = CropBatches(ShardDataset([crops], "crops"), CropDataConfig(absent_p=0.3), 2, 24).batch(0)
    for name in MARKS:
        assert batch[name].shape == (24,) and batch[name].dtype == np.float32 and batch[name].all(), name
    assert ((batch["visible_ratio"] >= 0) & (batch["visible_ratio"] <= 1)).all()
    absent = batch["presence"] == 0
    assert absent.any() and batch["right"][absent].all() and not batch["right"][~absent].all()


def test_a_wrong_side_is_the_mirror_image_with_its_labels(crops):
    """The image of the wrong side, mirrored, is that of the right one, and so are its labels."""
    right, wrong = (
        CropBatches(ShardDataset([crops], "crops"), replace(exact(CONFIG), wrong_side_p=p), 2, 24).batch(0)
        for p in (0.0, 1.0)
    )
    assert right["right"].all() and not wrong["right"].any() and wrong["presence"].all()
    for name in ("grasp", "has_points", "visible", "visible_ratio", "betas"):
        assert np.array_equal(right[name], wrong[name]), name
    assert np.allclose(wrong["keypoints"], right["keypoints"] * [-1, 1] + [1, 0], atol=1e-4)
    assert np.allclose(wrong["joints"], right["joints"] * [-1, 1, 1], atol=1e-5)
    assert np.allclose(wrong["rotations"], MIRROR @ right["rotations"] @ MIRROR, atol=1e-5)
    assert np.allclose(wrong["hand_box"], (127 - right["hand_box"][:, [2, 1, 0, 3]] * [1, -1, 1, -1]) % 127, atol=1)
    differ = np.abs(wrong["image"][:, :, ::-1].astype(int) - right["image"])
    assert np.median(differ) <= 2


def test_what_a_sample_lacks_is_marked_and_void():
    sample = next(s for s in (fake_sample(3, k) for k in range(20)) if s.hands[0].grasp)
    bare = replace(sample.hands[0], rotations=None, grasp=None, visible_ratio=np.nan)
    record = record_of(replace(sample, segmentation=None, maps=None, hands=(bare,)), 1)
    known = {name: bool(record[name].all()) for name in (*MARKS, "has_front", "has_object", "has_twin")}
    assert known == dict.fromkeys(known, False) | {"has_joints": True}
    assert not record["rotations"].any() and not record["segmentation"].any() and not record["grasp"].any()
    assert record["visible_ratio"][0] == bare.visible.mean()
    empty_handed = replace(bare, object_index=None, visible=np.zeros(21, bool))
    assert record_of(replace(sample, hands=(empty_handed,)), 1)["visible_ratio"][0] == 1


@pytest.mark.parametrize("absent_p", [0.0, 1.0])
def test_without_knowing_the_front_nothing_is_pasted(crops, absent_p):
    """The crop stays a piece of the image, which is 77 everywhere."""

    class Grey(ShardDataset):
        def __getitem__(self, index):
            record = super().__getitem__(index)
            return {**record, "image": np.full_like(record["image"], 77), "has_front": np.array(False)}

    config = replace(exact(CropDataConfig()), absent_p=absent_p, background_p=1.0, smear_p=1.0)
    batch = CropBatches(Grey([crops], "crops"), config, 2, 12).batch(0)
    shown = batch["image"][batch["image"] != 0]  # beside the image it is black
    assert shown.size and (np.abs(shown.astype(int) - 77) <= 1).mean() > 0.97


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


ALL = {"erase_p": 1.0, "jpeg_p": 1.0, "blur_p": 1.0, "coarse_p": 1.0, "noise_p": 1.0, "exposure_p": 1.0}


@pytest.mark.parametrize(
    "config",
    [PhotometricConfig(**ALL), *(replace(crops.photometric, **ALL) for crops in (PAPER_CROPS, STRONG_CROPS))],
)
def test_photometric_changes_keep_shape_and_type(config):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (64, 64, 3), np.uint8)
    for _ in range(20):
        changes = draw_changes(config, (64, 64), rng)
        seen = changed(image, changes)
        assert seen.shape == image.shape and seen.dtype == np.uint8
        assert 0 < hidden_by(changes.patches, (64, 64)).mean() < 0.3


def change_colour(image, config, rng):
    return opencv.change_colour(image, draw_colours(config, rng))


def test_changes_that_are_none_change_nothing():
    none = PhotometricConfig(gain=0, channel_gain=0, gamma=0, offset=0, saturation=0, hue=0, grey_p=0)
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    for config in (none, replace(none, shuffled=True)):
        assert np.array_equal(change_colour(image, config, np.random.default_rng(1)), image)


def test_the_papers_colours_are_even_and_in_any_order():
    image = np.full((8, 8, 3), (120, 90, 60), np.uint8)
    paper = replace(PAPER_CROPS.photometric, saturation=0.0, hue=0.0, contrast=0.0)
    rng = np.random.default_rng(0)
    gains = np.array([change_colour(image, paper, rng)[0, 0, 0] / 120 for _ in range(300)])
    assert gains.min() > 0.49 and gains.max() < 1.51 and abs(gains.mean() - 1) < 0.05
    flat = replace(paper, gain=0.0, contrast=0.5)  # contrast alone keeps the mean grey
    half = image.copy()
    half[:4] //= 2
    for _ in range(20):
        assert abs((change_colour(half, flat, rng) @ LUMA).mean() - (half @ LUMA).mean()) < 1.5
    bright = replace(PAPER_CROPS.photometric, hue=0.0)
    orders = [
        change_colour(half, bright if shuffled else replace(bright, shuffled=False), np.random.default_rng(k))
        for k in range(12)
        for shuffled in (False, True)
    ]
    assert any(not np.array_equal(a, b) for a, b in zip(orders[::2], orders[1::2], strict=True))


def test_a_wrong_kind_of_folder_is_refused(frames):
    with pytest.raises(AssetError, match="crops"):
        ShardDataset([frames], "crops")


def test_a_crop_is_a_picture_of_a_large_hand_to_a_finder(crops):
    record = ShardDataset([crops], "frames")[0]
    low, high = record["keypoints_px"][0].min(0), record["keypoints_px"][0].max(0)
    assert record["hand_count"] >= 1 and (high - low).max() > record["image"].shape[0] / 4


def test_augmentation_keeps_up_with_training(batches):
    cv2.setNumThreads(1)
    batches.batch(0)
    spent_s = []
    for step in range(1, 17):
        start = time.process_time()
        batches.batch(step)
        spent_s.append(time.process_time() - start)
    # about 300 a second on a core of its own; a machine that is busy or slow has a third of it
    assert 8 * 4 / sum(sorted(spent_s)[:4]) > 60
