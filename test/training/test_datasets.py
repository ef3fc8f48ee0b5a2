"""Readers give back what a writer laid out in the original layout of each dataset."""

import json
import pickle
import shutil

import dataset_writers as writers
import numpy as np
import pytest
import yaml

from prehend.errors import AssetError, InvalidInput, SourceError, UnknownName
from prehend.geometry.camera import project
from prehend.hand_model import skin
from prehend_training.datasets import DATASETS, FIRST_SPLIT, UNIHOPE_SCRIPT, find_faults, open_dataset, tables
from prehend_training.datasets.sources import DEXYCB, FREIHAND, HANCO, HO3D_V2, HO3D_V3
from prehend_training.sample_files import Packing, pack, unpack
from prehend_training.scenes.sample import HAND_CODE, OBJECT_CODE

SOURCES = {source.name: source for source in (DEXYCB, FREIHAND, HANCO, HO3D_V2, HO3D_V3)}


@pytest.fixture(scope="session")
def mano(tmp_path_factory):
    return writers.write_mano(tmp_path_factory.mktemp("mano"))


@pytest.fixture(scope="session")
def dexycb(tmp_path_factory):
    root = tmp_path_factory.mktemp("dexycb")
    return root, *writers.write_dexycb(root)


@pytest.fixture(scope="session")
def small_dexycb(tmp_path_factory):
    root = tmp_path_factory.mktemp("dexycb-small")
    writers.write_dexycb(root, sequences=(("left", 8),), filled=1, cameras=2)
    return root


@pytest.fixture(scope="session", params=["v2", "v3"])
def ho3d(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("ho3d")
    return f"ho3d_{request.param}", root, writers.write_ho3d(root, request.param)


@pytest.fixture(scope="session")
def freihand(tmp_path_factory):
    root = tmp_path_factory.mktemp("freihand")
    return root, writers.write_freihand(root)


@pytest.fixture(scope="session")
def hanco(tmp_path_factory):
    root = tmp_path_factory.mktemp("hanco")
    return root, *writers.write_hanco(root)


@pytest.fixture
def copied(tmp_path):
    """A copy that a test may spoil."""
    return lambda root: shutil.copytree(root, tmp_path / "copy")


def in_world(sample, points):
    return writers.apply(np.linalg.inv(sample.T_camera_world), points)


def check_consistent(sample, hand):
    """The laws of every sample with a hand."""
    image = sample.image
    assert image.dtype == np.uint8 and image.ndim == 3
    assert (sample.camera.width, sample.camera.height) == (image.shape[1], image.shape[0])
    assert (hand.joints_m[:, 2] > 0).all()
    np.testing.assert_allclose(hand.keypoints_px, project(hand.joints_m, sample.camera), atol=1e-6)
    np.testing.assert_allclose(hand.box_px[:2], hand.keypoints_px.min(0), atol=1e-3)
    assert hand.contact is None
    if sample.segmentation is not None and hand.visible.any():
        ys, xs = np.nonzero(sample.segmentation == HAND_CODE)
        seen = hand.keypoints_px[hand.visible]
        gap = np.linalg.norm(seen[:, None] - np.stack([xs, ys], -1), axis=2).min(1)
        assert gap.max() < 2.5


# DexYCB


def test_dexycb_gives_the_stored_hands_of_both_sides(dexycb, mano):
    root, truth, _, _, master = dexycb
    data = open_dataset("dexycb", root, "all", mano=mano)
    sides = set()
    for index in (8, 11, 23, 33, 40):
        sample = data[index]
        (hand,) = sample.hands
        check_consistent(sample, hand)
        sides.add(hand.side)
        place = sample.frame_id
        with np.load(root / place.sequence / place.view / f"labels_{place.frame:06d}.npz") as stored:
            np.testing.assert_allclose(hand.joints_m, stored["joint_3d"][0], atol=1e-6)
            np.testing.assert_allclose(hand.keypoints_px, stored["joint_2d"][0], atol=0.01)
            hand_mask, box_mask = stored["seg"] == 255, stored["seg"] == 2
            translation = stored["pose_m"][0, 48:]
        np.testing.assert_array_equal(sample.segmentation == HAND_CODE, hand_mask)
        np.testing.assert_array_equal(sample.segmentation == OBJECT_CODE, box_mask)
        np.testing.assert_allclose(sample.camera.K, writers.DEXYCB_K)
        expected = truth[place.sequence].seen(sample.T_camera_world @ master)
        assert hand.side == expected.side
        np.testing.assert_allclose(hand.rotations, expected.rotations, atol=1e-5)
        np.testing.assert_allclose(hand.betas, expected.betas)
        # MANO's own translation leads to the same mesh
        model = writers.fake_mano(hand.side)
        np.testing.assert_allclose(
            hand.vertices_m, skin(model, hand.rotations, hand.betas, translation).vertices, atol=1e-5
        )
    assert sides == {"left", "right"}


def test_dexycb_views_of_an_instant_agree(dexycb):
    root, truth, rest, lifted, master = dexycb
    data = open_dataset("dexycb", root, "all")
    groups = data.groups()
    assert [len(group) for group in groups] == [8] * 6
    assert [index for group in groups for index in group] == list(range(len(data)))
    for number, group in enumerate(groups):
        samples = [data[index] for index in group]
        assert len({sample.frame_id.view for sample in samples}) == 8
        ids = {
            (s.frame_id.source, s.frame_id.seed, s.frame_id.index, s.frame_id.sequence, s.frame_id.frame)
            for s in samples
        }
        assert len(ids) == 1 and next(iter(ids))[2] == number
        for sample in samples:
            pose = np.linalg.inv(sample.T_camera_world) @ sample.objects[0].T_camera_object
            np.testing.assert_allclose(pose, master @ (lifted if sample.frame_id.frame == 2 else rest), atol=1e-5)
            for hand in sample.hands:
                joints = truth[sample.frame_id.sequence].posed.joints
                np.testing.assert_allclose(in_world(sample, hand.joints_m), writers.apply(master, joints), atol=1e-5)
        assert len({len(sample.hands) for sample in samples}) == 1
    assert data[0].frame_id != data[1].frame_id


def test_dexycb_objects_have_the_models_box(dexycb):
    thing = open_dataset("dexycb", dexycb[0], "all")[0].objects[0]
    assert thing.object_id == "003_cracker_box"
    np.testing.assert_allclose(thing.extents_m, writers.BOX_M, atol=1e-5)
    np.testing.assert_allclose(thing.center_m, writers.BOX_CENTER_M, atol=1e-5)
    corners = writers.apply(thing.T_camera_object, writers.box_corners())
    np.testing.assert_allclose(thing.control_points_m[:8], corners, atol=1e-5)


def test_dexycb_grasp_follows_the_rule(dexycb):
    root = dexycb[0]
    data = open_dataset("dexycb", root, "all")
    for sample in (data[8], data[13]):
        assert (sample.hands[0].grasp, sample.hands[0].displaced) == (False, False)
    for sample in (data[16], data[23]):
        (hand,) = sample.hands
        assert (hand.grasp, hand.displaced) == (True, True)
        assert sample.held(hand) is sample.objects[0]
    loose = open_dataset("dexycb", root, "all", rule=UNIHOPE_SCRIPT)
    assert loose[16].hands[0].displaced is False


def test_dexycb_without_mano_has_joints_but_no_mesh(dexycb, mano):
    bare, full = (open_dataset("dexycb", dexycb[0], "all", mano=folder)[8].hands[0] for folder in (None, mano))
    np.testing.assert_array_equal(bare.joints_m, full.joints_m)
    assert bare.rotations is None and bare.vertices_m.shape == (0, 3)
    assert full.vertices_m.shape == (778, 3)
    for rule in ("paper", "script"):
        assert full.occluded_parts(rule).shape == (6,)
        with pytest.raises(InvalidInput, match="unknown"):
            bare.is_occluded(rule)
        with pytest.raises(InvalidInput, match="unknown"):
            bare.occluded_parts(rule)


def test_dexycb_left_hands_need_the_left_file(small_dexycb, tmp_path):
    right_only = writers.write_mano(tmp_path / "mano", sides=("right",))
    data = open_dataset("dexycb", small_dexycb, "all", mano=right_only)
    with pytest.raises(AssetError, match=r"MANO_LEFT.*mano\.is\.tue\.mpg\.de"):
        data[2]


def test_dexycb_frames_without_a_hand_or_an_object_pose(small_dexycb, copied):
    root = copied(small_dexycb)
    assert open_dataset("dexycb", root, "all")[0].hands == ()
    path = next(root.glob("*/*/*/labels_000002.npz"))
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **{**arrays, "pose_y": np.zeros((1, 3, 4), np.float32)})
    samples = list(open_dataset("dexycb", root, "all"))
    bare = [sample for sample in samples if not sample.objects]
    assert len(bare) == 1
    (hand,) = bare[0].hands
    assert (hand.grasp, hand.displaced, hand.object_index) == (None, None, None)


@pytest.mark.parametrize("name", ["color_000001.jpg", "labels_000001.npz", "aligned_depth_to_color_000001.png"])
def test_dexycb_says_which_file_is_missing(small_dexycb, copied, name):
    root = copied(small_dexycb)
    for path in root.glob(f"*/*/*/{name}"):
        path.unlink()
    data = open_dataset("dexycb", root, "all")
    assert data[0].hands == ()
    with pytest.raises(SourceError, match=rf"{name} is missing.*dex-ycb\.github\.io"):
        data.depth_m(2) if name.startswith("aligned") else data[2]


@pytest.mark.parametrize(
    "pattern", ["*/*/*/labels_000000.npz", "calibration/*/*.yml", "*/*/meta.yml", "models/*/*.obj"]
)
def test_dexycb_broken_files_are_named(small_dexycb, copied, pattern):
    root = copied(small_dexycb)
    for path in root.glob(pattern):
        path.write_text("[")
    with pytest.raises(SourceError, match="download it again"):
        open_dataset("dexycb", root, "all")[0]


def test_dexycb_depth_is_in_metres(small_dexycb):
    depth = open_dataset("dexycb", small_dexycb, "all").depth_m(0)
    assert depth.shape == (480, 640) and np.allclose(depth, 0.812)


def test_dexycb_splits_by_number_need_all_sequences(dexycb, small_dexycb):
    with pytest.raises(SourceError, match="1 of 100"):
        open_dataset("dexycb", small_dexycb, "s0_train")
    # sequences 0 and 1 of subject 1, eight cameras, three frames
    sizes = {split: len(open_dataset("dexycb", dexycb[0], split)) for split in ("s0_train", "s0_val", "s3_test")}
    assert sizes == {"s0_train": 48, "s0_val": 0, "s3_test": 0}
    for split, cameras in (("s2_train", 6), ("s2_val", 1), ("s2_test", 1)):
        data = open_dataset("dexycb", dexycb[0], split)
        assert len(data) == 6 * cameras and {len(group) for group in data.groups()} == {cameras}
    assert open_dataset("dexycb", dexycb[0], "s2_test")[0].frame_id.view == writers.SERIALS[7]


def test_dexycb_calibration_may_be_written_without_quotes(small_dexycb, copied):
    expected = open_dataset("dexycb", small_dexycb, "all")[2].T_camera_world
    root = copied(small_dexycb)
    for path in [*root.glob("*/*/meta.yml"), *root.glob("calibration/*/extrinsics.yml")]:
        path.write_text(path.read_text().replace("'", ""))
    np.testing.assert_array_equal(open_dataset("dexycb", root, "all")[2].T_camera_world, expected)


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
    with pytest.raises(SourceError, match="not of these pictures"):
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
        assert data.scale_m(index) == pytest.approx(np.linalg.norm(label.joints_m[10] - label.joints_m[9]), abs=1e-6)


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


# all


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
