import numpy as np
import pytest
from fake import open_fake, write_fake

from prehend.errors import AssetError, InvalidInput
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig
from prehend_training.data.frames import DetectorBatches, DetectorDataConfig
from prehend_training.data.loader import prefetched
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.data.stores.online import OnlineDataset
from prehend_training.engine.scenes import SceneConfig
from prehend_training.storage.codec import Packing
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, train_run
from prehend_training.train.tasks.crops import open_training_data

CROPS = SceneConfig("crops", 3, 160)


def test_online_batches_are_those_of_shards(tmp_path):
    write_fake(tmp_path, "crops", 16, packing=Packing("twin", "png"))
    shards = CropBatches(ShardDataset([tmp_path], "crops"), CropDataConfig(), seed=1, batch_size=4)
    online = CropBatches(OnlineDataset(CROPS, open_fake, backdrops=16), CropDataConfig(), seed=1, batch_size=4)
    for index in range(16):
        first, second = (source.sample(index, np.random.default_rng(index)) for source in (shards, online))
        assert first.keys() == second.keys()
        for name in first:
            assert np.array_equal(first[name], second[name]), (index, name)


def test_workers_render_the_same_batches_from_any_step_on():
    source = CropBatches(OnlineDataset(CROPS, open_fake), CropDataConfig(), seed=1, batch_size=3)
    expected = {step: source.batch(step) for step in range(2, 6)}
    for start in (2, 4):
        made = list(prefetched(source, start, 6, workers=2))
        assert len(made) == 6 - start
        for step, batch in enumerate(made, start):
            for name, value in batch.items():
                assert np.array_equal(value, expected[step][name]), (step, name)


def test_no_scene_comes_twice():
    dataset = OnlineDataset(CROPS, open_fake)
    assert dataset.indices(0, 5, 4) == [20, 21, 22, 23]
    frames = DetectorBatches(OnlineDataset(SceneConfig("frames", 3, 192), open_fake), DetectorDataConfig(192), 0, 2)
    assert not np.array_equal(frames.batch(0)["image"], frames.batch(1)["image"])


def test_an_endless_feed_can_be_left():
    source = CropBatches(OnlineDataset(CROPS, open_fake), CropDataConfig(), seed=1, batch_size=1)
    for workers in (0, 1):
        feed = prefetched(source, 0, None, workers)
        assert next(feed)["image"].shape == (1, 128, 128, 3)
        feed.close()


def test_wrong_scenes_are_refused(tmp_path):
    with pytest.raises(AssetError, match="expected frames"):
        open_training_data(CROPS, "frames")
    with pytest.raises(InvalidInput, match="worker"):
        train_run(Training(preset("debug-unihope"), CROPS, tmp_path, Budget(steps=1)), Machine(workers=0))
