"""What all readers of datasets promise, and the check of fresh downloads."""

import json
import pickle

import dataset_writers as writers
import numpy as np
import pytest
import yaml

from prehend.errors import SourceError, UnknownName
from prehend_training.datasets import DATASETS, FIRST_SPLIT, find_faults, open_dataset, tables
from prehend_training.datasets.sources import DEXYCB, FREIHAND, HANCO, HO3D_V2, HO3D_V3
from prehend_training.storage.codec import Packing, pack, unpack

pytest_plugins = ("dataset_fixtures",)

SOURCES = {source.name: source for source in (DEXYCB, FREIHAND, HANCO, HO3D_V2, HO3D_V3)}


@pytest.mark.parametrize("name", DATASETS)
def test_a_missing_folder_is_explained(name, tmp_path, monkeypatch):
    source = SOURCES[name]
    monkeypatch.delenv(source.variable, raising=False)
    (tmp_path / "empty").mkdir()
    for root in (None, tmp_path / "none", tmp_path / "empty"):
        with pytest.raises(SourceError) as caught:
            open_dataset(name, root, None if root is None else FIRST_SPLIT[name])
        for word in (source.title, source.page, source.variable, source.tree):
            assert word in str(caught.value)
    if root is not None:
        assert str(tmp_path / "empty") in str(caught.value)


def test_the_environment_may_name_the_folder(hanco, monkeypatch):
    monkeypatch.setenv(HANCO.variable, str(hanco[0]))
    assert len(open_dataset("hanco")) == 8


def test_readers_may_be_sent_to_workers(dexycb, freihand, hanco, mano):
    for name, root in (("dexycb", dexycb[0]), ("freihand", freihand[0]), ("hanco", hanco[0])):
        data = opened(name, root, mano)
        first = data[0]
        again = pickle.loads(pickle.dumps(data))[0]
        np.testing.assert_array_equal(again.image, first.image)
        assert again.frame_id == first.frame_id and len(again.hands) == len(first.hands)
        with pytest.raises(IndexError):
            data[len(data)]


def test_unknown_names_are_refused(hanco):
    with pytest.raises(UnknownName, match="dexycb"):
        open_dataset("dex")
    with pytest.raises(UnknownName, match="split of HanCo"):
        open_dataset("hanco", hanco[0], "val")
    with pytest.raises(UnknownName, match="version of HO-3D"):
        open_dataset("ho3d_v2", hanco[0], version="v4")


def test_samples_of_datasets_fit_into_shards(dexycb, freihand, mano):
    for sample in (
        open_dataset("dexycb", dexycb[0], "all")[16],
        open_dataset("dexycb", dexycb[0], "all", mano=mano)[16],
        open_dataset("freihand", freihand[0], "training")[0],
        open_dataset("freihand", freihand[0], "evaluation")[0],
    ):
        back = unpack(pack(sample, Packing("all", "png")))
        assert back.frame_id == sample.frame_id and back.maps is None
        np.testing.assert_array_equal(back.image, sample.image)
        hand, stored = sample.hands[0], back.hands[0]
        np.testing.assert_allclose(stored.joints_m, hand.joints_m, atol=1e-6)
        np.testing.assert_allclose(stored.vertices_m, hand.vertices_m, atol=1e-6)
        assert (stored.rotations is None) == (hand.rotations is None)
        assert (stored.grasp, stored.displaced, stored.contact) == (hand.grasp, hand.displaced, None)
        np.testing.assert_allclose(stored.visible_ratio, hand.visible_ratio, atol=1e-6)


def opened(name, folder, mano):
    return open_dataset(name, folder, "training" if name == "freihand" else "all", mano=mano)


def test_true_labels_have_no_faults(dexycb, freihand, hanco, mano):
    for name, root in (("dexycb", dexycb[0]), ("freihand", freihand[0]), ("hanco", hanco[0])):
        for folder in (None, mano):
            assert find_faults(opened(name, root, folder), 6) == []


def test_ho3d_has_no_faults(ho3d, mano):
    for split in ("train", "evaluation"):
        assert find_faults(open_dataset(ho3d[0], ho3d[1], split, mano=mano)) == []


def test_cameras_turned_inside_out_are_found(hanco, copied):
    root = copied(hanco[0])
    for path in root.glob("calib/*/*.json"):
        calib = json.loads(path.read_text())
        writers.write_json(path, {"K": calib["K"], "M": np.linalg.inv(calib["M"])})
    faults = find_faults(open_dataset("hanco", root, "all"))
    assert any("before the camera" in fault or "no joint" in fault for fault in faults)


def test_cameras_that_disagree_are_found(small_dexycb, copied):
    root = copied(small_dexycb)
    assert find_faults(open_dataset("dexycb", root, "all")) == []
    (path,) = root.glob("calibration/*/extrinsics.yml")
    content = yaml.safe_load(path.read_text())
    content["extrinsics"][writers.SERIALS[1]][3] += 0.02
    path.write_text(yaml.safe_dump(content))
    faults = find_faults(open_dataset("dexycb", root, "all"))
    assert len(faults) == 2 and all("same joint" in fault for fault in faults)  # the two frames with a hand


def test_labels_of_other_pictures_are_found(freihand, copied, mano):
    root = copied(freihand[0])
    for name, row in (("mano", (1, 61)), ("K", (3, 3))):
        table = np.array(tables.read_table(root / f"training_{name}.json", row))
        if name == "K":
            table[:, :2, 2] += 80
        writers.write_json(root / f"training_{name}.json", table if name == "K" else np.roll(table, 1, axis=0))
    faults = " ".join(find_faults(opened("freihand", root, mano)))
    assert "MANO's joints" in faults and "of the hand's pixels" in faults


def test_joints_in_millimetres_are_found(freihand, copied):
    root = copied(freihand[0])
    table = np.array(tables.read_table(root / "training_xyz.json", (21, 3)))
    writers.write_json(root / "training_xyz.json", table * 1000)
    assert any("apart" in fault for fault in find_faults(opened("freihand", root, None)))
