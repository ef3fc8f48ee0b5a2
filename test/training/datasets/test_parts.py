"""Grasp rule, splits, visibility, tables, and labels that are pickles."""

import os
import pickle
import subprocess

import dataset_writers as writers
import numpy as np
import pytest
from scipy import sparse

from prehend.errors import SourceError
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.types import Camera
from prehend_training.datasets import GraspRule, tables
from prehend_training.datasets.base import obj_vertices, object_label
from prehend_training.datasets.dexycb import DexYcb, in_split
from prehend_training.datasets.grasp_labels import HANDBOOSTER, UNIHOPE_SCRIPT, displaced, grasps, near
from prehend_training.datasets.occlusion import depth_of_mesh, in_front, parts_of, visibility
from prehend_training.datasets.safe_pickle import read_pickle

CAMERA = Camera(np.array([[300.0, 0, 79.5], [0, 300, 59.5], [0, 0, 1]]), 160, 120)


# pickles


class Attack:
    def __init__(self, call, *arguments):
        self.made = call, arguments

    def __reduce__(self):
        return self.made


@pytest.mark.parametrize(
    "call",
    [
        (os.system, "true"),
        (eval, "1"),
        (subprocess.Popen, "true"),
        (getattr, "x", "upper"),
        (exec, "x = 1"),
        (np.load, "x.npy"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_pickle_is_refused_before_anything_runs(tmp_path, call, protocol):
    path = tmp_path / "0000.pkl"
    path.write_bytes(pickle.dumps({"camMat": np.eye(3), "handPose": Attack(*call)}, protocol))
    with pytest.raises(SourceError, match="which no label needs: refused"):
        read_pickle(path)


def test_a_refused_pickle_has_no_effect(tmp_path):
    path, trace = tmp_path / "0000.pkl", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Attack(os.mkdir, str(trace)), 2))
    with pytest.raises(SourceError):
        read_pickle(path)
    assert not trace.exists()


def test_matrices_of_hand_models_are_no_labels(tmp_path):
    path = tmp_path / "0000.pkl"
    path.write_bytes(pickle.dumps({"x": sparse.csc_matrix(np.eye(3))}, 2))
    with pytest.raises(SourceError, match=r"scipy.*refused"):
        read_pickle(path)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_arrays_and_plain_values_come_back(tmp_path, protocol):
    stored = {
        "camMat": np.eye(3), "handPose": np.arange(48, dtype=np.float32), "objName": "025_mug", "none": None,
        "handBoundingBox": [1, 2.5, 3, 4], "scale": np.float64(2), "flags": (True, False),
        "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    }  # fmt: skip
    path = tmp_path / "0000.pkl"
    path.write_bytes(pickle.dumps(stored, protocol))
    read = read_pickle(path)
    assert read.keys() == stored.keys()
    for name, value in stored.items():
        np.testing.assert_array_equal(read[name], value)


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps([1, 2]), pickle.dumps({"a": np.eye(9)})[:-40]])
def test_broken_labels_are_named(tmp_path, content):
    path = tmp_path / "0000.pkl"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"0000\.pkl"):
        read_pickle(path)


# splits


def cells(split):
    return {
        (subject, sequence, camera)
        for subject in range(1, 11)
        for sequence in range(100)
        for camera in range(8)
        if in_split(split, subject, sequence, camera)
    }


@pytest.mark.parametrize("setup", range(4))
def test_each_setup_divides_the_dataset_in_what_it_promises(setup):
    train, val, test = (cells(f"s{setup}_{part}") for part in ("train", "val", "test"))
    for a, b in ((train, val), (train, test), (val, test)):
        assert not a & b
        held_out = {
            0: lambda cell: cell[:2],
            1: lambda cell: cell[0],
            2: lambda cell: cell[2],
            3: lambda cell: cell[1] // 5,
        }[setup]
        assert not {held_out(cell) for cell in a} & {held_out(cell) for cell in b}
    assert train | val | test == cells("all") and len(cells("all")) == 8000


def test_splits_have_the_published_sizes():
    sizes = {split: len(cells(split)) for split in DexYcb.splits}
    assert sizes["s0_train"] == 6400 and sizes["s0_val"] == 320 and sizes["s0_test"] == 1280
    assert sizes["s1_train"] == 5600 and sizes["s1_val"] == 800 and sizes["s1_test"] == 1600
    assert sizes["s2_train"] == 6000 and sizes["s2_val"] == 1000 and sizes["s2_test"] == 1000
    assert sizes["s3_train"] == 6000 and sizes["s3_val"] == 800 and sizes["s3_test"] == 1200


# grasp rule


def poses(angle_deg, shift_m):
    T = np.tile(np.eye(4), (len(np.atleast_1d(angle_deg)), 1, 1))
    T[:, :3, :3] = matrix_from_axis_angle(np.radians(np.atleast_1d(angle_deg))[:, None] * np.array([0.0, 0.6, 0.8]))
    T[:, 0, 3] = shift_m
    return T


@pytest.mark.parametrize("rule", [HANDBOOSTER, UNIHOPE_SCRIPT, GraspRule(10, 0.03)])
def test_either_number_is_enough(rule):
    around = np.array([0.99, 1.01])
    still = np.zeros(2)
    np.testing.assert_array_equal(displaced(poses(rule.rotation_deg * around, still), np.eye(4), rule), [False, True])
    np.testing.assert_array_equal(displaced(poses(still, rule.translation_m * around), np.eye(4), rule), [False, True])


def test_the_rule_does_not_depend_on_the_camera():
    first, later = poses([0, 0, 0, 0], 0.0)[0], poses([2, 6, 0, 0], [0, 0, 0.009, 0.02])
    T = writers.look_at_origin(1.1)
    np.testing.assert_array_equal(displaced(later, first), [False, True, False, True])
    np.testing.assert_array_equal(displaced(T @ later, T @ first), displaced(later, first))


def test_a_displaced_object_is_grasped_by_a_near_hand_only():
    T = poses([30], [0.1])[0]
    T[2, 3] = 1.0
    thing = object_label("box", T, [-0.05, -0.02, 0], [0.05, 0.02, 0.2], CAMERA)
    beside = writers.apply(T, np.array([[0.065, 0.0, 0.1]]))
    away = writers.apply(T, np.array([[0.05 + 0.015, 0.02 + 0.015, 0.1]]))
    assert near(beside, thing) and not near(away, thing)
    assert near(writers.apply(T, np.array([[0.0, 0.0, 0.1]])), thing)
    assert grasps(beside, thing, np.eye(4), HANDBOOSTER) == (True, True)
    assert grasps(away, thing, np.eye(4), HANDBOOSTER) == (False, True)
    assert grasps(beside, thing, T, HANDBOOSTER) == (False, False)


# visibility


@pytest.fixture(scope="module")
def hand():
    return writers.draw_pose(np.random.default_rng(2), near=(0, 0, 0)).seen(writers.look_at_origin(0.3, 0.5))


def test_depth_of_a_slanted_plane_is_exact():
    corners = np.array([[-1.0, -1, 1], [1, -1, 2], [1, 1, 3], [-1, 1, 2]])
    depth = depth_of_mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]), CAMERA)
    # z = 2 + (x + y) / 2 with x = u z, so z = 2 / (1 - (u + v) / 2)
    u, v = np.meshgrid((np.arange(160) - 79.5) / 300, (np.arange(120) - 59.5) / 300)
    np.testing.assert_allclose(depth, 2 / (1 - (u + v) / 2), rtol=1e-6)


def test_the_nearer_surface_wins_and_what_is_behind_the_camera_is_left_out():
    plane = np.array([[-1.0, -1, 0], [1, -1, 0], [0, 2, 0]])
    both = np.concatenate([plane + np.array([0, 0, z]) for z in (2, 1, -1)])
    faces = np.arange(9).reshape(3, 3)
    assert depth_of_mesh(both, faces, CAMERA)[60, 80] == 1
    assert np.isinf(depth_of_mesh(both[6:], faces[:1], CAMERA)).all()


def test_a_free_hand_is_all_visible_and_a_covered_one_not(hand):
    model, vertices = writers.fake_mano(), hand.posed.vertices
    alone = np.isfinite(depth_of_mesh(vertices, model.faces, CAMERA))
    free = visibility(vertices, model, CAMERA, alone)
    assert free.visible_ratio == 1
    np.testing.assert_array_equal(free.part_vertices, np.bincount(parts_of(model), minlength=6))
    # a part's own far side counts as seen; only parts behind others are hidden
    assert 0.5 < free.part_visible.sum() / free.part_vertices.sum() <= 1
    covered = visibility(vertices, model, CAMERA, np.zeros_like(alone))
    assert covered.visible_ratio == 0 and not covered.part_visible.any()


def test_less_shown_is_never_more_visible(hand):
    model, vertices = writers.fake_mano(), hand.posed.vertices
    depth = depth_of_mesh(vertices, model.faces, CAMERA)
    columns = np.nonzero(np.isfinite(depth).any(0))[0]
    last = None
    for edge in np.linspace(columns[-1] + 1, columns[0], 5).astype(int):
        card = np.full(depth.shape, np.inf)
        card[:, edge:] = depth[np.isfinite(depth)].min() - 0.05
        now = visibility(vertices, model, CAMERA, in_front(depth, card))
        if last is not None:
            assert now.visible_ratio <= last.visible_ratio and (now.part_visible <= last.part_visible).all()
        last = now
    assert last is not None and last.visible_ratio == 0


def test_what_lies_outside_of_the_picture_is_hidden(hand):
    model = writers.fake_mano()
    vertices = hand.posed.vertices
    whole = np.isfinite(depth_of_mesh(vertices, model.faces, CAMERA))
    columns = np.nonzero(whole.any(0))[0]
    cut = int(columns.mean())
    K = CAMERA.K.copy()
    K[0, 2] -= cut
    part = Camera(K, 160, 120)
    shown = np.isfinite(depth_of_mesh(vertices, model.faces, part))
    ratio = visibility(vertices, model, part, shown).visible_ratio
    assert ratio == pytest.approx(whole[:, cut:].sum() / whole.sum(), abs=0.02)


def test_a_measured_depth_of_nothing_hides_nothing():
    hand = np.array([[1.0, 1.0, 1.0, np.inf]])
    np.testing.assert_array_equal(in_front(hand, np.array([[0, 2, 0.9, 1]])), [[True, True, False, False]])
    np.testing.assert_array_equal(in_front(hand, np.array([[0, 2, 0.99, 1]]), 0.02), [[True, True, True, False]])


# tables


def test_big_tables_are_kept_and_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BIG_BYTES", 400)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    values = np.random.default_rng(0).normal(size=(50, 7, 3))
    path = tmp_path / "training_verts.json"
    writers.write_json(path, values)
    first = tables.read_table(path, (7, 3))
    np.testing.assert_allclose(first, values, atol=1e-6)
    (kept,) = (tmp_path / "cache").rglob("*.npy")
    tables._table.cache_clear()
    monkeypatch.setattr(tables, "_parse", None)  # not called again
    np.testing.assert_array_equal(tables.read_table(path, (7, 3)), first)
    monkeypatch.undo()
    assert kept.exists()


def test_a_changed_table_is_read_again(tmp_path):
    path = tmp_path / "evaluation_xyz.json"
    writers.write_json(path, np.zeros((2, 3)))
    assert len(tables.read_table(path, (3,))) == 2
    writers.write_json(path, np.zeros((3, 3)))
    assert len(tables.read_table(path, (3,))) == 3
    with pytest.raises(SourceError, match="no whole rows"):
        tables.read_table(path, (21, 3))


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(tables, "BIG_BYTES", 10)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    path = tmp_path / "table.json"
    writers.write_json(path, np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(tables.read_table(path, (3,)), np.arange(6).reshape(2, 3))
    assert "parsed again" in caplog.text


def test_meshes_are_read_by_their_vertices(tmp_path):
    writers.write_box_model(tmp_path)
    np.testing.assert_allclose(obj_vertices(tmp_path / "textured_simple.obj"), writers.box_corners(), atol=1e-6)
    (tmp_path / "empty.obj").write_text("vn 0 0 1\n")
    with pytest.raises(SourceError, match="no vertices"):
        obj_vertices(tmp_path / "empty.obj")
