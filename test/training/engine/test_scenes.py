"""What decides which scenes a folder holds, and what they are made of."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from fake import open_fake, write_fake

from prehend.errors import InvalidInput
from prehend_training.engine.scenes import KINDS, SHARD_UNITS, SIZES_PX, SceneConfig, open_maker, write_scenes
from prehend_training.storage.codec import Packing
from prehend_training.storage.shards import ShardFolder

PLAIN = Packing("none", "png")


def images(folder):
    return [sample.image for sample in ShardFolder.open(folder)]


def test_a_scene_is_its_seed_and_its_number_however_it_is_kept(tmp_path):
    for name, count, shard_units in (("a", 6, 2), ("b", 6, 5), ("c", 3, 3)):
        write_fake(tmp_path / name, "crops", count, size_px=48, shard_units=shard_units)
    write_fake(tmp_path / "d", "crops", 6, seed=4, size_px=48)
    a, b, c, other = (images(tmp_path / name) for name in "abcd")
    assert all(map(np.array_equal, a, b)) and all(map(np.array_equal, a, c)) and len(c) == 3
    assert not any(map(np.array_equal, a, other))


def test_the_index_counts_what_is_there(tmp_path):
    index = write_fake(tmp_path, "sequences", 5, size_px=32, shard_units=2)
    told = json.loads(index.read_text())
    assert index == tmp_path / "index.json" and told["kind"] == "sequences"
    assert [note["units"] for note in told["shards"].values()] == [2, 2, 1]
    assert sum(note["samples"] for note in told["shards"].values()) == len(ShardFolder.open(tmp_path)) == 15


def test_fewer_scenes_than_before_are_a_folder_of_fewer(tmp_path):
    write_fake(tmp_path, "crops", 9, size_px=32, shard_units=4)
    write_fake(tmp_path, "crops", 6, size_px=32, shard_units=4)
    assert len(ShardFolder.open(tmp_path, verify=True)) == 6


def test_every_kind_has_a_size_and_a_shard():
    assert set(KINDS) == set(SIZES_PX) == set(SHARD_UNITS)


@pytest.mark.parametrize(("size", "words"), [(15, "16 is the least"), (8193, "8192 is the most"), (-1, "least")])
def test_sizes_that_nobody_can_want_are_refused(size, words):
    with pytest.raises(InvalidInput, match=words):
        SceneConfig("crops", 1, size)


@pytest.mark.parametrize(("count", "shard_units"), [(0, 4), (-3, 4), (4, 0), (4, -1)])
def test_no_scenes_are_refused_before_a_folder_is_made(count, shard_units, tmp_path):
    with pytest.raises(InvalidInput, match="must be positive"):
        write_fake(tmp_path / "x", "crops", count, shard_units=shard_units)
    assert not (tmp_path / "x").exists()


def with_photos(folder, photos):
    folder.mkdir()
    for name, size in photos.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x" * size)
    return SceneConfig("crops", 1, 64, photos=folder).describe()


def test_photographs_are_told_by_their_names_and_sizes_and_not_by_where_they_are(tmp_path):
    one = with_photos(tmp_path / "one", {"a.jpg": 3, "deep/b.jpg": 4})
    moved = with_photos(tmp_path / "moved", {"a.jpg": 3, "deep/b.jpg": 4})
    others = [
        with_photos(tmp_path / "more", {"a.jpg": 3, "deep/b.jpg": 4, "c.jpg": 1}),
        with_photos(tmp_path / "larger", {"a.jpg": 4, "deep/b.jpg": 4}),
        with_photos(tmp_path / "named", {"a.jpg": 3, "deep/c.jpg": 4}),
        SceneConfig("crops", 1, 64).describe(),
    ]
    assert one == moved and all(other["photos"] != one["photos"] for other in others)
    assert json.loads(json.dumps(one)) == one


def test_a_folder_of_photographs_that_is_not_there_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(InvalidInput, match=f"{path.name} is no folder"):
            SceneConfig("crops", 1, 64, photos=path)


def test_other_things_or_photographs_make_another_folder(tmp_path, monkeypatch):
    config = SceneConfig("crops", 3, 32, PLAIN)
    write_scenes(tmp_path / "x", config, 2, shard_units=2, make=open_fake)
    held_out = SceneConfig("crops", 3, 32, PLAIN, asset_split="held-out")
    with pytest.raises(InvalidInput, match="held-out"):
        write_scenes(tmp_path / "x", held_out, 2, shard_units=2, make=open_fake)
    own = tmp_path / "own"
    own.mkdir()
    (own / "brick.yaml").write_text("")
    monkeypatch.setenv("PREHEND_OBJECTS", str(own))
    with pytest.raises(InvalidInput, match="own_objects"):
        write_scenes(tmp_path / "x", config, 2, shard_units=2, make=open_fake)


def test_a_folder_may_be_named_from_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    index = write_fake(Path("here"), "crops", 2, size_px=32)
    assert index == tmp_path / "here" / "index.json"


@pytest.fixture(scope="module")
def made(renderer):
    """The first images of each kind, drawn small by the true renderer."""
    wanted = {"frames": (0, 1), "views": (0,), "sequences": (0, 1)}
    makers = {kind: open_maker(SceneConfig(kind, 5, 32, PLAIN)) for kind in wanted}
    return {k: [list(itertools.islice(makers[k](unit), 9)) for unit in units] for k, units in wanted.items()}


def test_frames_are_single_images_without_maps(made):
    for (sample,) in made["frames"]:
        assert sample.image.shape[1] == 32 and sample.maps is None and sample.segmentation is not None


def test_views_are_one_instant_from_everywhere(made):
    for samples in made["views"]:
        names = {(one.frame_id.sequence, one.frame_id.index, one.frame_id.frame) for one in samples}
        assert len(names) == 1 and len({one.frame_id.view for one in samples}) == len(samples) == 9
        assert all(one.image.shape == (24, 32, 3) for one in samples)
        places = []
        for one in samples:
            T = np.linalg.inv(one.T_camera_world)
            places += [T[:3, :3] @ hand.joints_m[0] + T[:3, 3] for hand in one.hands]
        apart = [p for k, p in enumerate(places) if all(np.linalg.norm(p - q) > 2e-3 for q in places[:k])]
        assert len(places) > len(apart) and len(apart) <= 4, "every camera tells the same wrists, in one world"


def test_sequences_are_images_of_one_camera_that_follow_each_other(made):
    cameras = []
    for samples in made["sequences"]:
        assert [one.frame_id.frame for one in samples] == list(range(9))
        assert len({one.frame_id.view for one in samples}) == len({one.frame_id.sequence for one in samples}) == 1
        cameras.append(samples[0].frame_id.view)
    assert cameras[0] != cameras[1]  # by turns that on the head


def test_what_is_drawn_again_is_the_same(made, renderer):
    (again,) = open_maker(SceneConfig("frames", 5, 32, PLAIN))(1)
    assert np.array_equal(again.image, made["frames"][1][0].image)
    assert again.frame_id == made["frames"][1][0].frame_id
