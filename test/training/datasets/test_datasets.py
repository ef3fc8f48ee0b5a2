"""Readers give back what a writer laid out in the original layout of each dataset."""

import shutil

import dataset_writers as writers
import numpy as np
import pytest
from dataset_laws import check_consistent, in_world

from prehend.errors import SourceError
from prehend_training.datasets import open_dataset, tables
from prehend_training.sample import HAND_CODE, OBJECT_CODE

pytest_plugins = ("dataset_fixtures",)


# HO-3D


def test_ho3d_turns_opengl_into_the_optical_frame(ho3d, mano):
    name, root, truth = ho3d
    data = open_dataset(name, root, "train", mano=mano)
    assert len(data) == 3
    for index, frame in enumerate(("0000", "0003")):
        sample = data[index]
        hand, box = truth["train", frame]
        (label,) = sample.hands
        check_consistent(sample, label)
        np.testing.assert_allclose(label.joints_m, hand.posed.joints, atol=1e-5)
        np.testing.assert_allclose(label.keypoints_px, writers.pixels(hand.posed.joints, writers.HO3D_K), atol=0.02)
        np.testing.assert_allclose(label.rotations, hand.rotations, atol=1e-5)
        np.testing.assert_allclose(label.vertices_m, hand.posed.vertices, atol=1e-5)
        np.testing.assert_allclose(sample.objects[0].T_camera_object, box, atol=1e-5)
        np.testing.assert_allclose(sample.objects[0].extents_m, writers.BOX_M, atol=1e-6)
        np.testing.assert_allclose(sample.camera.K, writers.HO3D_K)
        assert label.grasp is (index == 1) and label.displaced is (index == 1)
        assert sample.frame_id.sequence == "ABF10" and sample.frame_id.frame == int(frame)
        assert 0.5 < label.visible_ratio <= 1


def test_ho3d_needs_no_mano_for_rotations(ho3d):
    name, root, truth = ho3d
    (label,) = open_dataset(name, root, "train")[0].hands
    np.testing.assert_allclose(label.rotations, truth["train", "0000"][0].rotations, atol=1e-5)
    np.testing.assert_allclose(label.betas, truth["train", "0000"][0].betas, atol=1e-6)
    assert label.vertices_m.shape == (0, 3)


def test_ho3d_frames_without_annotation_are_bare(ho3d):
    sample = open_dataset(ho3d[0], ho3d[1], "train")[2]
    assert sample.hands == () and sample.objects == ()


def test_ho3d_evaluation_takes_the_public_labels(ho3d):
    name, root, truth = ho3d
    data = open_dataset(name, root, "evaluation")
    assert len(data) == 2
    for sample, frame in zip(data, ("0000", "0001"), strict=True):
        (label,) = sample.hands
        hand, _ = truth["evaluation", frame]
        check_consistent(sample, label)
        np.testing.assert_allclose(label.joints_m, hand.posed.joints, atol=1e-5)
        np.testing.assert_allclose(label.vertices_m, hand.posed.vertices, atol=1e-5)


def test_ho3d_evaluation_labels_missing_or_of_another_version(ho3d, copied):
    name, root = ho3d[0], copied(ho3d[1])
    path = root / "evaluation_xyz.json"
    table = tables.read_table(path, (21, 3))
    writers.write_json(path, table[::-1])
    with pytest.raises(SourceError, match="not of these images"):
        open_dataset(name, root, "evaluation")[0]
    writers.write_json(path, table[:1])
    with pytest.raises(SourceError, match="1 entries"):
        open_dataset(name, root, "evaluation")
    path.unlink()
    with pytest.raises(SourceError, match=r"evaluation_xyz\.json is missing"):
        open_dataset(name, root, "evaluation")


def test_ho3d_segmentation_from_images_and_from_meshes_agree(tmp_path, mano):
    root = tmp_path / "ho3d"
    writers.write_ho3d(root)
    models = tmp_path / "models"
    writers.write_box_model(models / "003_cracker_box")
    stored = open_dataset("ho3d_v3", root, "train", mano=mano)[0].segmentation
    shutil.rmtree(root / "train" / "ABF10" / "seg")
    assert open_dataset("ho3d_v3", root, "train", mano=mano)[0].segmentation is None
    drawn = open_dataset("ho3d_v3", root, "train", mano=mano, models=models)[0].segmentation
    assert (stored == drawn).mean() > 0.99  # the stored one has half the size
    assert {0, HAND_CODE, OBJECT_CODE} == set(np.unique(drawn))
    with pytest.raises(SourceError, match="YCB-Video 3D models"):
        open_dataset("ho3d_v3", root, "train", mano=mano, models=tmp_path / "none")[0]


@pytest.mark.parametrize("name", ["rgb/0003.jpg", "meta/0003.pkl"])
def test_ho3d_says_which_file_is_missing(tmp_path, name):
    writers.write_ho3d(tmp_path)
    (tmp_path / "train" / "ABF10" / name).unlink()
    with pytest.raises(SourceError, match=rf"{name} is missing.*HO-3D"):
        open_dataset("ho3d_v3", tmp_path, "train")[1]


# FreiHAND


def test_freihand_has_each_hand_before_four_backgrounds(freihand, mano):
    root, truth = freihand
    data = open_dataset("freihand", root, "training", mano=mano)
    assert len(data) == 12
    for index, sample in enumerate(data):
        hand = truth["training"][index % 3]
        (label,) = sample.hands
        check_consistent(sample, label)
        assert sample.frame_id.index == index % 3
        assert sample.frame_id.view == ("gs", "hom", "sample", "auto")[index // 3]
        np.testing.assert_allclose(label.joints_m, hand.posed.joints, atol=1e-6)
        np.testing.assert_allclose(label.vertices_m, hand.posed.vertices, atol=1e-6)
        np.testing.assert_allclose(label.rotations, hand.rotations, atol=1e-5)
        np.testing.assert_allclose(label.betas, hand.betas)
        assert label.grasp is None and np.isnan(label.visible_ratio)


def test_freihand_evaluation_has_labels_but_no_masks(freihand):
    root, truth = freihand
    data = open_dataset("freihand", root, "evaluation")
    assert len(data) == 3
    for sample, hand in zip(data, truth["evaluation"], strict=True):
        np.testing.assert_allclose(sample.hands[0].joints_m, hand.posed.joints, atol=1e-6)
        assert sample.segmentation is None and sample.hands[0].rotations is None


def test_freihand_tables_are_parsed_once(freihand, copied, monkeypatch):
    root, parsed = copied(freihand[0]), []
    parse = tables._parse
    monkeypatch.setattr(tables, "_parse", lambda path, row: parsed.append(path.name) or parse(path, row))
    data = open_dataset("freihand", root, "training")
    list(data), list(data)
    assert len(parsed) == len(set(parsed)) == 5


def test_freihand_tables_must_fit_together(freihand, copied):
    root = copied(freihand[0])
    table = tables.read_table(root / "training_xyz.json", (21, 3))
    writers.write_json(root / "training_xyz.json", table[:2])
    with pytest.raises(SourceError, match="2 entries"):
        open_dataset("freihand", root, "training")
    (root / "training_mano.json").unlink()
    (root / "training_xyz.json").write_text("[[[1, 2, null]]]")
    with pytest.raises(SourceError, match="more than numbers"):
        open_dataset("freihand", root, "training")


# HanCo


def test_hanco_views_of_an_instant_agree(hanco, mano):
    root, truth, views = hanco
    data = open_dataset("hanco", root, "all", mano=mano)
    assert [len(group) for group in data.groups()] == [8, 8, 8]
    for number, (group, place) in enumerate(zip(data.groups(), [(0, 0), (1, 0), (1, 1)], strict=True)):
        for view, index in enumerate(group):
            sample = data[index]
            (label,) = sample.hands
            check_consistent(sample, label)
            assert sample.frame_id.index == number and sample.frame_id.view == f"cam{view}"
            np.testing.assert_allclose(sample.T_camera_world, views[view])
            np.testing.assert_allclose(in_world(sample, label.joints_m), truth[place].posed.joints, atol=1e-6)
            if place == (1, 1):  # no hand was fitted here
                assert label.rotations is None and len(label.vertices_m) == 0
                continue
            np.testing.assert_allclose(in_world(sample, label.vertices_m), truth[place].posed.vertices, atol=1e-5)
            np.testing.assert_allclose(label.rotations, truth[place].seen(views[view]).rotations, atol=1e-5)
            assert label.visible_ratio > 0.95


def test_hanco_splits_share_no_instant(hanco):
    train, test = (open_dataset("hanco", hanco[0], split) for split in ("train", "test"))
    names = [{(s.frame_id.sequence, s.frame_id.frame) for s in data} for data in (train, test)]
    assert names == [{("0000", 0)}, {("0001", 0), ("0001", 1)}]


def test_hanco_says_what_is_missing(hanco, copied):
    root = copied(hanco[0])
    with pytest.raises(SourceError, match=r"rgb_merged is missing"):
        open_dataset("hanco", root, "all", pictures="rgb_merged")
    shutil.rmtree(root / "xyz")
    with pytest.raises(SourceError, match=r"xyz.*is missing.*HanCo"):
        open_dataset("hanco", root, "all")[0]
    shutil.rmtree(root / "mask_hand")
    (root / "meta.json").write_text('{"is_valid": [[true]]}')
    with pytest.raises(SourceError, match="lacks 'is_train'"):
        open_dataset("hanco", root, "all")
