"""The DexYCB reader gives back what a writer laid out in the original layout."""

import dataset_writers as writers
import numpy as np
import pytest
from dataset_laws import check_consistent, in_world

from prehend.errors import AssetError, InvalidInput, SourceError
from prehend.hand_model import skin
from prehend_training.datasets import UNIHOPE_SCRIPT, open_dataset
from prehend_training.sample import HAND_CODE, OBJECT_CODE

pytest_plugins = ("dataset_fixtures",)


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


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pose_y": None}, "lacks pose_y"),
        ({"seg": np.array([{}], object)}, "cannot be read"),
        ({"joint_3d": None, "seg": None}, "lacks seg, joint_3d"),
    ],
)
def test_dexycb_labels_that_are_none_are_named_and_never_unpickled(small_dexycb, copied, changes, says):
    root = copied(small_dexycb)
    for path in root.glob("*/*/*/labels_000001.npz"):
        with np.load(path) as stored:
            arrays = {**stored, **changes}
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(SourceError, match=rf"labels_000001\.npz .*{says}.*download it again"):
        open_dataset("dexycb", root, "all")[2]


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
