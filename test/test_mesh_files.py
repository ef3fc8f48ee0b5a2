"""Mesh files as strangers make them: what is read, what is not looked for, and what is said."""

import os
import sys

import numpy as np
import pytest

from prehend import mesh_files
from prehend.errors import AssetError, MissingDependency
from prehend.mesh_files import SUFFIXES, beside, load_scene, read_scene

trimesh = pytest.importorskip("trimesh")
TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_box_is_read_with_its_size_in_every_kind(tmp_path, suffix):
    path = tmp_path / f"box{suffix}"
    trimesh.creation.box((0.1, 0.2, 0.3)).export(path)
    np.testing.assert_allclose(read_scene(path).extents, (0.1, 0.2, 0.3), atol=1e-6)


def test_corners_in_one_place_are_joined_where_that_is_asked(tmp_path):
    path = tmp_path / "two.obj"
    path.write_text(TRIANGLE + "v 1 0 0\nv 1 1 0\nv 0 1 0\nf 4 5 6\n")
    assert len(read_scene(path).to_mesh().vertices) == 4
    assert len(read_scene(path, merged=False).to_mesh().vertices) == 6


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.fbx", b"", "no known kind; give one of .obj"),
        ("x", b"", "no known kind"),
        ("gone.obj", None, "does not exist"),
    ],
)
def test_what_is_no_mesh_is_told_in_one_line_with_its_name(tmp_path, name, content, says):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AssetError, match=says) as told:
        load_scene(path, "meshes")
    assert "\n" not in str(told.value) and str(path) in str(told.value)


def test_a_folder_or_a_fifo_is_not_waited_for(tmp_path):
    (tmp_path / "x.obj").mkdir()
    os.mkfifo(tmp_path / "y.obj")
    for name in ("x.obj", "y.obj"):
        with pytest.raises(AssetError, match="does not exist"):
            load_scene(tmp_path / name, "meshes")


def test_a_file_that_is_too_large_is_not_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(mesh_files, "MOST_BYTES", 10)
    (tmp_path / "x.obj").write_text(TRIANGLE)
    with pytest.raises(AssetError, match="larger than"):
        load_scene(tmp_path / "x.obj", "meshes")


def test_without_trimesh_the_extra_that_was_asked_for_is_named(tmp_path, monkeypatch):
    (tmp_path / "x.obj").write_text(TRIANGLE)
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(MissingDependency, match=r"\[objects\]"):
        load_scene(tmp_path / "x.obj", "objects")


@pytest.fixture
def folder(tmp_path):
    """A mesh's folder, with a secret beside it and a link that leads out."""
    (tmp_path / "secret.mtl").write_text("newmtl secret")
    inner = tmp_path / "mesh"
    (inner / "parts").mkdir(parents=True)
    (inner / "x.obj").write_text(TRIANGLE)
    (inner / "near.mtl").write_text("near")
    (inner / "parts" / "far.mtl").write_text("far")
    (inner / "link.mtl").symlink_to(tmp_path / "secret.mtl")
    return inner


@pytest.mark.parametrize(
    ("name", "content"), [("near.mtl", b"near"), (" near.mtl ", b"near"), ("parts/far.mtl", b"far")]
)
def test_what_lies_beside_a_mesh_and_below_is_found(folder, name, content):
    assert beside(folder / "x.obj").get(name) == content


@pytest.mark.parametrize(
    "name",
    ["../secret.mtl", "link.mtl", "/etc/hostname", "http://localhost/x", "file:///etc/hostname", "gone", "", "parts"],
)
def test_nothing_else_is_found(folder, name):
    with pytest.raises(FileNotFoundError):
        beside(folder / "x.obj").get(name)


def test_a_name_within_the_folder_stays_within_the_mesh(folder):
    resolver = beside(folder / "x.obj")
    assert resolver.namespaced("parts").get("far.mtl") == b"far"
    assert resolver.namespaced("parts").get("../near.mtl") == b"near"
    with pytest.raises(FileNotFoundError):
        resolver.namespaced("parts").get("../../secret.mtl")
    with pytest.raises(OSError, match="nothing is written"):
        resolver.write("near.mtl", b"")
    assert resolver.keys() == []


def test_what_lies_beside_is_bounded_too(folder, monkeypatch):
    monkeypatch.setattr(mesh_files, "MOST_BYTES", 2)
    with pytest.raises(ValueError, match="larger"):
        beside(folder / "x.obj").get("near.mtl")
