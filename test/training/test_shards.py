import json
import shutil

import numpy as np
import pytest
from fake import fake_sample, open_fake, project

from prehend.errors import AssetError, InvalidInput
from prehend_training.shards import ShardFolder, write_shards


def test_every_sample_comes_back_as_it_was_rendered(crops):
    folder = ShardFolder.open(crops, verify=True)
    assert len(folder) == 24
    for index in (0, 9, 10, 23):
        sample, record = fake_sample(3, index), folder[index]
        assert np.array_equal(record["image"], sample.image)
        assert np.array_equal(record["segmentation"], sample.segmentation)
        assert np.allclose(record["joints_m"][0], sample.hands[0].joints_m)
        assert np.allclose(project(record["joints_m"][0], record["K"]), record["keypoints_px"][0], atol=0.01)
        assert record["side"][0] == (sample.hands[0].side == "right")
    with pytest.raises(IndexError):
        folder[24]


def test_result_depends_on_neither_workers_nor_interruptions(crops, tmp_path):
    whole = json.loads((crops / "index.json").read_text())
    write_shards(tmp_path / "b", "crops", 10, 3, 160, open_fake, shard_size=10)
    write_shards(tmp_path / "b", "crops", 24, 3, 160, open_fake, workers=2, shard_size=10)
    assert json.loads((tmp_path / "b/index.json").read_text())["shards"] == whole["shards"]


def test_complete_shards_are_not_rendered_again(crops, tmp_path):
    out = tmp_path / "c"
    shutil.copytree(crops, out)
    shutil.rmtree(out / "shard-00001")
    rendered = []

    def open_counting(kind, seed, size_px):
        make = open_fake(kind, seed, size_px)
        return lambda index: rendered.append(index) or make(index)

    write_shards(out, "crops", 24, 3, 160, open_counting, shard_size=10)
    assert rendered == list(range(10, 20))
    ShardFolder.open(out, verify=True)


def test_a_folder_holds_one_kind_of_scene(crops):
    with pytest.raises(InvalidInput, match="other scenes"):
        write_shards(crops, "crops", 24, 4, 160, open_fake, shard_size=10)


def test_a_changed_file_is_noticed(crops, tmp_path):
    out = tmp_path / "d"
    shutil.copytree(crops, out)
    betas = np.load(out / "shard-00000/betas.npy")
    np.save(out / "shard-00000/betas.npy", betas + 1)
    with pytest.raises(AssetError, match="betas"):
        ShardFolder.open(out, verify=True)
    with pytest.raises(AssetError, match="index"):
        ShardFolder.open(tmp_path)
