"""Batches from the memory of a device are those from disk: the same draws and labels, pixels up to rounding."""

import logging
import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from fake import write_fake
from photo_work import Knows, labelled, write_photos

from prehend.errors import AssetError, InvalidInput
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig, exact
from prehend_training.data.frames import DetectorBatches, DetectorDataConfig
from prehend_training.data.pixels.opencv import warp_frame
from prehend_training.data.pixels.plans import PENDING, FramePixels, later
from prehend_training.data.pixels.torch_ import frame_tensors
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.data.stores.memory import BACKGROUND_EVERY, Filling
from prehend_training.data.stores.open import DatasetChoice, Mixture, load_memory, open_training_data
from prehend_training.data.stores.photographs import PhotoChoice
from prehend_training.engine.scenes import SceneConfig
from prehend_training.train.loop.machine import to_tensors
from prehend_training.train.presets import preset

pytest_plugins = ("dataset_fixtures",)

PLAIN = {"photometric": None}
PRESETS = ("unihope-s", "unihope-b", "h2onet-s-frame", "unihope-xs")


def in_memory(data, twins=True, **options):
    filling = Filling("cpu", background_every=1)
    return load_memory(data, "crops", twins, 128, filling, options.get("limit"))


@pytest.fixture(scope="module")
def memory(crops):
    return in_memory([crops])


@pytest.fixture(scope="module")
def sizes(crops, tmp_path_factory):
    """Crops of two sizes, one of which has no twins."""
    folder = tmp_path_factory.mktemp("larger")
    write_fake(folder, "crops", 6, seed=8, size_px=200)
    return [crops, folder]


def assert_the_same(got, want, worst=1.5, median=1.5):
    """Arrays that are told by labels are equal; images, and maps at the nearest pixel, up to rounding."""
    want = to_tensors(want, "cpu")
    assert got.keys() == want.keys()
    for name, value in want.items():
        mine = torch.as_tensor(got[name])
        assert mine.shape == value.shape and mine.dtype == value.dtype, name
        if name.startswith("image"):
            off = 255 * (mine - value).abs().flatten(1).mean(1)
            assert off.median() < median and off.max() < worst, (name, off)
        elif name in ("segments", "object_mask"):
            assert (mine == value).float().mean() > 0.98, name
        else:
            assert torch.equal(mine, value), name


@pytest.mark.parametrize("name", PRESETS)
def test_a_batch_from_memory_is_the_one_from_disk(name, crops, memory):
    config = replace(preset(name).data, absent_p=0.25, background_p=0.4)
    pair = [CropBatches(ShardDataset([crops], "crops"), config, 5, 12)]
    pair.append(CropBatches(memory.dataset, config, 5, 12, pixels=later))
    for step, part in ((0, (0, 1)), (2, (1, 2))):
        want, pending = (one.batch(step, part) for one in pair)
        # JPEG at low quality shows every rounding again
        assert_the_same(memory.finished(pending), want, 8.0)


@pytest.mark.parametrize("twins", [True, False])
def test_without_changes_only_rounding_differs(crops, memory, twins):
    config = exact(CropDataConfig(absent_p=0.0))
    want = CropBatches(ShardDataset([crops], "crops"), config, 0, 24, twins).batch(0)
    got = memory.finished(CropBatches(memory.dataset, config, 0, 24, twins, later).batch(0))
    assert_the_same(got, want, 0.5)
    assert 0 < want["has_points"].sum() < 24  # the law was tried on hands that hold and hands that do not


@pytest.mark.parametrize("kind", ["beside", "absent", "swapped", "left"])
def test_every_kind_of_crop_is_the_same(kind, crops, memory):
    changes = {
        "beside": {"absent_p": 1.0},
        "absent": {"absent_p": 1.0, "smear_p": 1.0},
        "swapped": {"absent_p": 0.0, "background_p": 1.0},
        "left": {"absent_p": 0.0, "wrong_side_p": 1.0, "smear_p": 0.0},
    }
    config = replace(CropDataConfig(**PLAIN), **changes[kind])
    want = CropBatches(ShardDataset([crops], "crops"), config, 1, 24).batch(0)
    assert_the_same(memory.finished(CropBatches(memory.dataset, config, 1, 24, pixels=later).batch(0)), want)


def test_mixtures_photographs_and_images_of_any_size_are_kept(sizes, tmp_path):
    truth = write_photos(tmp_path / "photos", 6)
    labelled(tmp_path / "photos", Knows(truth, noise=0.0))
    photos = PhotoChoice(tmp_path / "photos" / "labels.json")
    data = Mixture(((sizes, 2.0), (photos, 1.0)))
    memory, config = in_memory(data), CropDataConfig(**PLAIN, describes_objects=True)
    batch = memory.finished(CropBatches(memory.dataset, config, 0, 40, pixels=later).batch(0))
    assert batch["image"].shape == (40, 3, 128, 128) and 0.4 < batch["presence"].mean() < 1
    # of photographs fewer squares without a hand are kept, which shifts the draws, but not what a hand is asked
    hands = replace(config, absent_p=0.0, background_p=0.0)
    single, disk = in_memory(photos), open_training_data(photos, "crops")
    made = single.finished(CropBatches(single.dataset, hands, 3, 3, pixels=later).batch(0))
    assert_the_same(made, CropBatches(disk, hands, 3, 3).batch(0))


def test_places_without_a_hand_are_kept(tmp_path):
    """Of a folder of `places` no label of a hand is known."""
    write_fake(tmp_path, "crops", 6)
    dataset = ShardDataset([tmp_path], "crops")

    class Places(ShardDataset):
        def __getitem__(self, index):
            return {**dataset[index], "hand_count": np.uint8(0)[...]}

    config, filling = CropDataConfig(**PLAIN), Filling("cpu")
    memory = filling.memory(filling.add(Places([tmp_path], "crops")))
    got = memory.finished(CropBatches(memory.dataset, config, 0, 6, pixels=later).batch(0))
    assert_the_same(got, CropBatches(Places([tmp_path], "crops"), config, 0, 6).batch(0))
    assert not got["presence"].any() and not got["segments"].any() and not got["has_segments"].any()


def test_the_twin_takes_no_room_where_it_is_the_image(crops, memory):
    pool, dataset = memory.pool, ShardDataset([crops], "crops")
    own = pool.twin != pool.image
    assert own.tolist() == ["deoccluded" in dataset[row] for row in range(24)] and 0 < own.sum() < 24
    assert not (in_memory([crops], twins=False).pool.twin != np.arange(24) * 2).any()  # each has a background here


def test_fewer_are_taken_where_memory_is_short(crops, caplog):
    whole = Filling("cpu")
    whole.add(ShardDataset([crops], "crops"))
    assert (whole.memory(None).pool.background >= 0).sum() == -(-24 // BACKGROUND_EVERY)
    with caplog.at_level(logging.WARNING):
        part = load_memory([crops], "crops", True, 128, Filling("cpu"), 12)
    assert len(part) == len(part.dataset) == 12 and not caplog.records
    dataset = ShardDataset([crops], "crops")
    assert np.array_equal(part.dataset[1]["betas"], dataset[2]["betas"])  # evenly from all
    epoch = [row for step in range(3) for row in part.dataset.indices(1, step, 4)]
    assert sorted(epoch) == list(range(12))  # each once an epoch
    with pytest.raises(AssetError, match="too few"):
        Filling("cpu", memory=500_000).add(dataset)
    with pytest.raises(AssetError, match="all are needed"):
        Filling("cpu", memory=10**9).add(Many(dataset), whole=True)


class Many:
    """More records than fit."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return 100_000

    def __getitem__(self, index):
        return self.dataset[index % len(self.dataset)]


def test_scenes_that_do_not_come_twice_are_refused():
    with pytest.raises(InvalidInput, match="--in-memory"):
        in_memory(SceneConfig("crops", 3, 160))


def test_a_real_dataset_is_kept(small_dexycb):
    choice = DatasetChoice("dexycb", small_dexycb, "all")
    memory, config = in_memory(choice, limit=8), CropDataConfig(**PLAIN)
    got = memory.finished(CropBatches(memory.dataset, config, 0, 4, pixels=later).batch(0))
    assert got["has_pose"].all() or got["presence"].any()
    dataset = open_training_data(choice, "crops")
    rows = np.linspace(0, len(dataset), len(memory), endpoint=False).astype(int)
    assert np.array_equal(memory.dataset[-1]["keypoints_px"], dataset[int(rows[-1])]["keypoints_px"])


def test_workers_that_decode_give_the_same(crops, memory):
    filling = Filling("cpu", workers=1, background_every=1)
    other = filling.memory(filling.add(ShardDataset([crops], "crops")))
    assert torch.equal(other.pool.pixels, memory.pool.pixels)
    assert np.array_equal(other.pool.image, memory.pool.image)


def test_a_source_that_goes_to_workers_leaves_the_pixels_behind(memory):
    source = CropBatches(memory.dataset, CropDataConfig(), 0, 4, pixels=later)
    sent = pickle.dumps(source)
    assert len(sent) < memory.pool.pixels.nbytes / 4
    again = pickle.loads(sent).batch(0)
    pending = pickle.loads(pickle.dumps(again))  # as a worker hands it over
    assert torch.equal(memory.finished(pending)["image"], memory.finished(source.batch(0))["image"])
    assert len(again[PENDING]) == 4


FRAMES = DetectorDataConfig(size_px=128, hand_px=(20.0, 120.0), flip_p=0.4)


@pytest.mark.parametrize("photometric", [None, FRAMES.photometric])
def test_frames_from_memory_are_those_from_disk(photometric, frames):
    config = replace(FRAMES, photometric=photometric)
    memory = load_memory([frames], "frames", False, 128, Filling("cpu"), None)
    disk = ShardDataset([frames], "frames", twins=False)
    for seed in range(2):
        want = DetectorBatches(disk, config, seed, 12).batch(0)
        got = memory.finished(DetectorBatches(memory.dataset, config, seed, 12, later).batch(0))
        # frames of noise, whose small images are the mean in two ways
        assert_the_same(got, want, 8.0, 4.0)
        assert got["image"].min() >= 0 and got["image"].max() <= 1


@pytest.mark.parametrize("scale", [0.2, 0.45, 0.65, 1.3])
def test_small_frames_are_averaged_without_moving(scale, tmp_path):
    rough = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    image = cv2.resize(rough, (192, 192), interpolation=cv2.INTER_CUBIC)

    class Smooth(Many):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            nothing = np.zeros((192, 192), np.uint8)
            return {"image": image, "segmentation": nothing, "has_front": np.array(False)}

    filling = Filling("cpu")
    record = filling.add(Smooth(None))[0]
    angle = scale * np.array([[0.8, -0.6], [0.6, 0.8]])
    affine = np.column_stack([angle, np.array([64.0, 70.0]) - angle @ [95.5, 95.5]])
    window = (10, 0, 118, 128)
    work = FramePixels(record, affine, window, 128, 8, None)
    got = 255 * frame_tensors(filling.memory(None).pool, [work])["image"][0].permute(1, 2, 0).numpy()
    assert np.abs(got - warp_frame(image, affine, window, 128)).mean() < 1
    assert not got[:, :10].any() and not got[:, 118:].any()
