"""Damaged downloads end in one line that names the file and says to download it again."""

import json
import pickle

import dataset_writers as writers
import numpy as np
import pytest
import yaml

from prehend.errors import SourceError
from prehend_training.datasets import open_dataset
from prehend_training.datasets.base import obj_vertices
from prehend_training.datasets.ho3d import _obj_faces

pytest_plugins = ("dataset_fixtures",)


def fails_in_one_line(work, *words):
    with pytest.raises(SourceError) as caught:
        work()
    text = str(caught.value)
    assert "\n" not in text and "download" in text, text
    for word in words:
        assert word in text, text


def first_with_hand(root, **options):
    return lambda: open_dataset("dexycb", root, "all", **options)[2]


@pytest.mark.parametrize("kept", [0, 4, 200, -200])
def test_labels_of_dexycb_that_were_cut_off_are_named(small_dexycb, copied, kept):
    root = copied(small_dexycb)
    for path in root.glob("*/*/*/labels_000001.npz"):
        path.write_bytes(path.read_bytes()[:kept])
    fails_in_one_line(first_with_hand(root), "labels_000001.npz")


@pytest.mark.parametrize("seed", range(3))
def test_labels_of_dexycb_with_wrong_bytes_are_named_or_read(small_dexycb, copied, seed):
    root = copied(small_dexycb)
    rng = np.random.default_rng(seed)
    for path in root.glob("*/*/*/labels_000001.npz"):
        content = bytearray(path.read_bytes())
        start = int(rng.integers(60, len(content) // 2))
        content[start : start + 40] = rng.bytes(40)
        path.write_bytes(bytes(content))
    fails_in_one_line(first_with_hand(root), "labels_000001.npz")


@pytest.mark.parametrize(
    ("name", "array"),
    [("seg", np.zeros((2, 3, 4), np.uint8)), ("pose_y", np.zeros((1, 4, 4))), ("pose_m", np.ones((1, 48))),
     ("joint_3d", np.zeros((1, 20, 3))), ("joint_3d", None)],
)  # fmt: skip
def test_labels_of_dexycb_of_another_shape_are_named(small_dexycb, copied, name, array):
    root = copied(small_dexycb)
    for path in root.glob("*/*/*/labels_000001.npz"):
        with np.load(path) as stored:
            arrays = {key: value for key, value in stored.items() if key != name or array is not None}
        np.savez(path, **(arrays if array is None else arrays | {name: array}))
    fails_in_one_line(first_with_hand(root), "labels_000001.npz", name)


@pytest.mark.parametrize(
    "change",
    [{"ycb_ids": [22]}, {"ycb_ids": [0]}, {"ycb_ids": "box"}, {"ycb_grasp_ind": 1}, {"ycb_grasp_ind": -1},
     {"num_frames": None}, {"num_frames": -3}, {"serials": 5}, {"mano_calib": []}, {"mano_sides": None}],
)  # fmt: skip
def test_a_sequence_of_dexycb_that_cannot_be_is_named(small_dexycb, copied, change):
    root = copied(small_dexycb)
    (path,) = root.glob("*/*/meta.yml")
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    fails_in_one_line(first_with_hand(root), "meta.yml")


@pytest.mark.parametrize("content", ["{}", "betas: [1, 2]", "betas: many"])
def test_a_calibrated_shape_that_is_none_is_named(small_dexycb, copied, mano, content):
    root = copied(small_dexycb)
    for path in root.glob("calibration/mano_*/mano.yml"):
        path.write_text(content)
    fails_in_one_line(first_with_hand(root, mano=mano), "mano.yml")


@pytest.fixture(scope="module")
def plain_ho3d(tmp_path_factory):
    root = tmp_path_factory.mktemp("ho3d")
    writers.write_ho3d(root, seg=False)
    return root


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"handJoints3D": np.zeros((20, 3))}, "20 joints"),
        ({"handJoints3D": np.zeros(7)}, "handJoints3D"),
        ({"handPose": None}, "handPose"),
        ({"handPose": np.zeros(45)}, "handPose"),
        ({"handBeta": np.zeros(9)}, "handBeta"),
        ({"handBeta": ["many"] * 10}, "handBeta"),
        ({"objRot": np.zeros(4)}, "objRot"),
        ({"objTrans": np.zeros(2)}, "objTrans"),
        ({"objCorners3DRest": np.zeros((4, 3))}, "objCorners3DRest"),
        ({"camMat": np.eye(4)}, "camMat"),
        ({"camMat": None}, "camMat"),
    ],
)
def test_labels_of_ho3d_of_another_shape_are_named(plain_ho3d, copied, change, word):
    root = copied(plain_ho3d)
    path = root / "train" / "ABF10" / "meta" / "0003.pkl"
    path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()) | change, 2))
    fails_in_one_line(lambda: open_dataset("ho3d_v3", root, "train")[1], word)


@pytest.mark.parametrize("line", ["ABF10", "ABF10/0000/1", "ABF10/first"])
def test_a_list_of_ho3d_that_names_no_pictures_is_named(plain_ho3d, copied, line):
    root = copied(plain_ho3d)
    (root / "train.txt").write_text(f"ABF10/0000\n{line}\n")
    fails_in_one_line(lambda: open_dataset("ho3d_v3", root, "train"), "train.txt")


def test_gaps_in_ho3d_are_gaps_in_time(plain_ho3d):
    (film,) = open_dataset("ho3d_v3", plain_ho3d, "train").films()
    assert film.rows == (0, 1, 2) and np.allclose(film.times_s, np.array([0, 3, 7]) / 30)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("calib", {"K": [[1, 2], [3, 4]]}),
        ("calib", {"M": [np.eye(3).tolist()] * 8}),
        ("calib", {"M": []}),
        ("shape", {"poses": [[0.0] * 45]}),
        ("shape", {"global_t": [[0.0, 1.0]]}),
        ("shape", {"shapes": "none"}),
    ],
)
def test_labels_of_hanco_of_another_shape_are_named(hanco, copied, mano, kind, change):
    root = copied(hanco[0])
    path = root / kind / "0000" / "00000000.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    fails_in_one_line(lambda: open_dataset("hanco", root, "all", mano=mano)[0], "0000/")


@pytest.mark.parametrize("has_fit", [[], [[]], [[True, True]], 3])
def test_a_meta_of_hanco_that_is_too_short_is_named(hanco, copied, has_fit):
    root = copied(hanco[0])
    meta = json.loads((root / "meta.json").read_text())
    (root / "meta.json").write_text(json.dumps(meta | {"has_fit": has_fit}))
    fails_in_one_line(lambda: open_dataset("hanco", root, "all")[16], "meta.json")


@pytest.mark.parametrize("content", [b"v 1 2 3\nv 1 2\n", b"v 1 2 x\n", b"\xff\xfev 1 2 3\n", b"v 1 2\n", b""])
def test_a_mesh_that_is_none_is_named(tmp_path, content):
    path = tmp_path / "textured_simple.obj"
    path.write_bytes(content)
    fails_in_one_line(lambda: obj_vertices(path), "textured_simple.obj")


def test_faces_of_a_mesh_are_read_as_fans_or_named(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0\nf 1 2 3\nf 1/4/7 2//3 3/1 4\n")
    np.testing.assert_array_equal(_obj_faces(path), [[0, 1, 2], [0, 1, 2], [0, 2, 3]])
    path.write_text("f 1 two 3\n")
    fails_in_one_line(lambda: _obj_faces(path), "a.obj")
