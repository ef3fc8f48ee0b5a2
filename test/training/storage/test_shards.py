import dataclasses
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from fake import fake_sample, open_fake, write_fake

from prehend.errors import AssetError, InvalidInput
from prehend_training.engine import EngineOptions
from prehend_training.sample import HandLabel, ObjectLabel
from prehend_training.storage.codec import DEPTH_STEP_M, Packing, pack, unpack
from prehend_training.storage.shards import ShardFolder


def assert_same(label, other):
    """Every field, floats as the float32 they are."""
    for field in dataclasses.fields(label):
        value, again = getattr(label, field.name), getattr(other, field.name)
        if isinstance(value, np.ndarray):
            wanted = value.astype(np.float32) if value.dtype.kind == "f" else value
            assert again.dtype == wanted.dtype and np.array_equal(again, wanted), field.name
        elif isinstance(value, float):
            assert np.float32(value) == np.float32(again), field.name
        else:
            assert value == again and type(value) is type(again), field.name


@pytest.mark.parametrize("index", range(8))
def test_a_sample_comes_back_whole(index):
    sample = fake_sample(5, index, "frames", 96)
    again = unpack(pack(sample, Packing("all", "png")))
    assert np.array_equal(again.image, sample.image) and np.array_equal(again.segmentation, sample.segmentation)
    assert len(again.hands) == len(sample.hands) and len(again.objects) == len(sample.objects)
    for label, other in zip([*sample.hands, *sample.objects], [*again.hands, *again.objects], strict=True):
        assert isinstance(other, HandLabel | ObjectLabel)
        assert_same(label, other)
    assert again.frame_id == sample.frame_id
    for name in ("K", "distortion"):
        assert np.array_equal(getattr(again.camera, name), getattr(sample.camera, name))
    assert (again.camera.width, again.camera.distortion_model) == (96, "plumb_bob")
    assert np.array_equal(again.T_camera_world, sample.T_camera_world)
    for name in ("deoccluded", "hand_amodal", "object_amodal", "sensor_depth_mm", "normals", "albedo"):
        value, other = getattr(sample.maps, name), getattr(again.maps, name)
        assert value.dtype == other.dtype and np.array_equal(value, other), name
    assert np.abs(again.maps.depth_m - sample.maps.depth_m).max() <= 0.51 * DEPTH_STEP_M
    assert np.array_equal(again.maps.depth_m > 0, sample.maps.depth_m > 0)


def test_what_a_real_dataset_does_not_tell_stays_untold():
    sample = next(s for s in (fake_sample(5, k, "frames", 64) for k in range(20)) if len(s.hands) == 2)
    bare = dataclasses.replace(
        sample.hands[0], rotations=None, betas=None, vertices_m=np.zeros((0, 3)), visible_ratio=np.nan, grasp=None,
        displaced=None, contact=None, part_vertices=np.zeros(6, int),
    )  # fmt: skip
    first, second = unpack(pack(dataclasses.replace(sample, hands=(bare, sample.hands[1])), Packing())).hands
    assert (first.rotations, first.betas, first.grasp, first.displaced, first.contact) == (None,) * 5
    assert np.isnan(first.visible_ratio) and first.vertices_m.shape == (0, 3)
    assert_same(sample.hands[1], second)


def test_depth_stays_apart_from_background_and_does_not_wrap():
    sample = fake_sample(5, 0, "crops", 32)
    depth = np.zeros((32, 32), np.float32)
    depth[0, 0], depth[1, 1] = 1e-6, 100.0
    maps = dataclasses.replace(sample.maps, depth_m=depth)
    again = unpack(pack(dataclasses.replace(sample, maps=maps), Packing("all"))).maps.depth_m
    assert 0 < again[0, 0] < 2e-4 and again[1, 1] > 6.5 and (again > 0).sum() == 2


@pytest.mark.parametrize(("kept", "there"), [("twin", {"deoccluded", "hand_amodal"}), ("none", set())])
def test_maps_are_kept_as_asked(kept, there):
    sample = fake_sample(3, 1)
    files = pack(sample, Packing(kept))
    maps = unpack(files).maps
    assert {name for name in dataclasses.asdict(sample.maps) if maps and getattr(maps, name) is not None} == there
    assert sum(map(len, files.values())) < sum(map(len, pack(sample, Packing("all")).values()))
    bare = dataclasses.replace(sample, maps=None, segmentation=None)
    assert unpack(pack(bare, Packing("all"))).maps is None and unpack(pack(bare, Packing("all"))).segmentation is None


def test_a_twin_that_is_the_picture_takes_no_space():
    sample = fake_sample(3, 1)
    same = dataclasses.replace(sample, maps=dataclasses.replace(sample.maps, deoccluded=sample.image))
    files = pack(same, Packing("twin"))
    assert not any(name.startswith("deoccluded") for name in files)
    again = unpack(files)
    assert np.array_equal(again.maps.deoccluded, again.image)


@pytest.mark.parametrize("image", ["jpg", "webp"])
def test_formats_that_lose_something_lose_little(image):
    flat = np.full((64, 64, 3), (200, 120, 40), np.uint8)
    flat[:, 32:] = (20, 60, 160)
    sample = dataclasses.replace(fake_sample(3, 1, size_px=64), image=flat)
    again = unpack(pack(sample, Packing("none", image))).image
    assert np.abs(again.astype(int) - flat).mean() < 3


def test_a_sample_that_cannot_be_read_says_so():
    files = pack(fake_sample(3, 1), Packing("twin"))
    for name in files:
        broken = {**files, name: files[name][: len(files[name]) // 2]}
        with pytest.raises(AssetError):
            unpack(broken)
    with pytest.raises(AssetError):
        unpack({name: data for name, data in files.items() if name != "labels.json"})


def test_folders_hold_the_samples_in_order(crops):
    folder = ShardFolder.open(crops, verify=True)
    assert len(folder) == 24 and [sample.frame_id.index for sample in folder] == list(range(24))
    assert np.array_equal(folder[10].image, fake_sample(3, 10).image)
    with pytest.raises(IndexError):
        folder[24]


def test_any_tar_program_reads_a_shard(crops):
    with tarfile.open(crops / "shard-00001.tar") as archive:
        names = archive.getnames()
        label = json.load(archive.extractfile("00000010-0000.labels.json"))
    assert {name.split(".", 1)[0] for name in names} == {f"{unit:08d}-0000" for unit in range(10, 20)}
    assert names == sorted(names) and label["frame_id"]["index"] == 10


def shard_bytes(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def test_bytes_depend_on_neither_workers_nor_interruptions(crops, tmp_path):
    write_fake(tmp_path, "crops", 10)
    write_fake(tmp_path, "crops", 24, engine=EngineOptions(workers=2))
    assert shard_bytes(tmp_path) == shard_bytes(crops)
    index, whole = (json.loads((path / "index.json").read_text())["shards"] for path in (tmp_path, crops))
    assert {name: note["sha256"] for name, note in index.items()} == {n: note["sha256"] for n, note in whole.items()}


def counting(rendered):
    def make(config):
        maker = open_fake(config)
        return lambda unit: rendered.append(unit) or maker(unit)

    return make


@pytest.mark.parametrize("damage", ["cut", "changed", "unnoted", "half a note"])
def test_only_what_is_not_sound_is_rendered_again(damage, crops, tmp_path):
    out = tmp_path / "c"
    shutil.copytree(crops, out)
    shard = out / "shard-00001.tar"
    data = shard.read_bytes()
    if damage == "cut":
        shard.write_bytes(data[: len(data) // 2])
    elif damage == "changed":
        shard.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    elif damage == "unnoted":
        shard.with_suffix(".json").unlink()
    else:
        shard.with_suffix(".json").write_text(shard.with_suffix(".json").read_text()[:20])
    rendered = []
    write_fake(out, "crops", 24, make=counting(rendered))
    assert rendered == list(range(10, 20))
    assert shard_bytes(out) == shard_bytes(crops)


def test_a_command_that_was_killed_leaves_no_index_and_goes_on(crops, tmp_path):
    def stops(config):
        maker = open_fake(config)

        def make(unit):
            if unit == 13:
                raise KeyboardInterrupt
            return maker(unit)

        return make

    with pytest.raises(KeyboardInterrupt):
        write_fake(tmp_path, "crops", 24, make=stops)
    with pytest.raises(AssetError, match=r"index\.json"):
        ShardFolder.open(tmp_path)
    rendered = []
    write_fake(tmp_path, "crops", 24, make=counting(rendered))
    assert rendered == list(range(10, 24)) and shard_bytes(tmp_path) == shard_bytes(crops)
    assert not list(tmp_path.glob("*.partial"))


def test_a_folder_holds_one_configuration(crops):
    before = (crops / "index.json").read_bytes()
    with pytest.raises(InvalidInput, match="seed is 3 and not 4"):
        write_fake(crops, "crops", 24, seed=4)
    with pytest.raises(InvalidInput, match="maps is 'all' and not 'twin'"):
        write_fake(crops, "crops", 24, packing=Packing("twin", "png"))
    assert (crops / "index.json").read_bytes() == before


def test_a_changed_shard_or_another_schema_is_noticed(crops, tmp_path):
    out = tmp_path / "d"
    shutil.copytree(crops, out)
    shard = out / "shard-00000.tar"
    data = shard.read_bytes()
    shard.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    with pytest.raises(AssetError, match=r"shard-00000\.tar is not the file"):
        ShardFolder.open(out, verify=True)
    shard.write_bytes(data[:-512])
    with pytest.raises(AssetError, match="cut off"):
        ShardFolder.open(out)
    index = json.loads((out / "index.json").read_text())
    (out / "index.json").write_text(json.dumps({**index, "schema": "prehend.shards/1"}))
    with pytest.raises(AssetError, match=r"prehend\.shards/1, expected prehend\.shards/2"):
        ShardFolder.open(out)
    with pytest.raises(InvalidInput, match="earlier version"):
        (out / "config.json").unlink()
        write_fake(out, "crops", 24)


def test_units_keep_their_samples_together(tmp_path):
    write_fake(tmp_path, "sequences", 5, size_px=64, shard_units=2)
    folder = ShardFolder.open(tmp_path)
    assert len(folder) == 15 and folder.units() == [range(k, k + 3) for k in range(0, 15, 3)]


def peak_kb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def test_memory_does_not_grow_with_the_number_of_samples(tmp_path):
    sample = fake_sample(1, 1, size_px=160)

    def make(config):
        return lambda unit: [sample]

    write_fake(tmp_path / "a", "crops", 20, make=make, shard_units=1000)
    before = peak_kb()
    write_fake(tmp_path / "b", "crops", 150, make=make, shard_units=1000)
    written = (tmp_path / "b/shard-00000.tar").stat().st_size / 1024
    assert written > 20_000 and peak_kb() - before < 0.2 * written


def test_wrong_numbers_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="positive"):
        write_fake(tmp_path, "crops", 0)
    with pytest.raises(InvalidInput, match="quality"):
        Packing(quality=0)
