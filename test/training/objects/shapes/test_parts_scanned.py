"""Triangles beside a description: what is written comes back, what is damaged is named with the way out."""

import numpy as np
import pytest

from prehend.documents import read_arrays
from prehend.errors import AssetError, OutputError
from prehend_training.objects.shapes.mesh import assemble
from prehend_training.objects.shapes.parts_scanned import Scanned
from prehend_training.objects.shapes.triangles import ConnectedSurface, Fill

trimesh = pytest.importorskip("trimesh", reason="the extra `meshes` is not installed")

PLACE = (np.eye(3), np.zeros(3), np.ones(3), "tone0", None)
ONE = np.ones(3)


def ball(radius_m=0.03, at_m=(0, 0, 0), fill=None):
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=radius_m)
    return ConnectedSurface(mesh.vertices + np.asarray(at_m), mesh.faces.astype(np.int32), fill)


def pair():
    """Two balls beside each other; the upper halves have another colour."""
    bodies = (ball(at_m=(-0.04, 0, 0)), ball(0.02, (0.04, 0, 0)))
    tones = tuple((body.vertices_m[body.faces].mean(1)[:, 2] > 0).astype(np.int64) for body in bodies)
    return Scanned(*PLACE, bodies, tones)


@pytest.fixture
def written(tmp_path):
    pair().write(tmp_path / "pair.npz")
    return tmp_path / "pair.npz"


def read(path):
    return Scanned.read({"folder": path.parent, "mesh": path.name})


def points(count=300):
    return np.random.default_rng(0).uniform(-0.08, 0.08, (count, 3))


def test_bodies_are_measured_as_the_nearest_of_them():
    part = pair()
    alone = [np.linalg.norm(points() - [x, 0, 0], axis=1) - radius for x, radius in ((-0.04, 0.03), (0.04, 0.02))]
    np.testing.assert_allclose(part.distance(points(), ONE, False), np.minimum(*alone), atol=1.2e-3)
    np.testing.assert_array_equal(part.distance(points(), ONE, True), part.distance(points(), ONE, False))


def test_what_is_written_comes_back(written):
    back, made = read(written), pair()
    np.testing.assert_allclose(back.distance(points(), ONE, False), made.distance(points(), ONE, False), atol=1e-6)
    mesh, surfaces = assemble(back.placed())
    assert [surface.paint for surface in surfaces] == ["tone0", "tone1"]
    upper = mesh.vertices[mesh.faces].mean(1)[:, 2] > 0
    np.testing.assert_array_equal(mesh.part[mesh.faces[:, 0]] == 1, upper)
    assert mesh.uv.min() >= 0 and mesh.uv.max() <= 1


def test_a_body_that_does_not_close_keeps_its_inside(tmp_path):
    cells = np.moveaxis(np.indices((12, 13, 14)), 0, -1) * 0.005 - 0.03
    fill = Fill(np.linalg.norm(cells, axis=-1) < 0.03, np.full(3, -0.03), np.full(3, 0.005))
    whole = ball(fill=fill)
    open_body = ConnectedSurface(whole.vertices_m, whole.faces[::2], fill)
    Scanned(*PLACE, (open_body,), (np.zeros(len(open_body.faces), np.int64),)).write(tmp_path / "open.npz")
    (back,) = read(tmp_path / "open.npz").bodies
    assert back.fill is not None and back.fill.inside.shape == (12, 13, 14)
    np.testing.assert_array_equal(back.fill.inside, fill.inside)
    np.testing.assert_allclose(back.distance(points()), open_body.distance(points()), atol=1e-6)
    assert back.distance(np.zeros((1, 3)))[0] < -0.02


def test_many_vertices_are_counted_with_more_bits(tmp_path):
    columns = 280
    x, y = np.meshgrid(np.linspace(0, 0.1, columns), np.linspace(0, 0.1, columns))
    vertices = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], 1)
    rows = np.arange(columns * (columns - 1) - 1)
    faces = np.stack([rows, rows + 1, rows + columns], 1).astype(np.int32)
    assert len(vertices) > 1 << 16
    Scanned(*PLACE, (ConnectedSurface(vertices, faces),), (np.zeros(len(faces), np.int64),)).write(
        tmp_path / "large.npz"
    )
    (back,) = read(tmp_path / "large.npz").bodies
    np.testing.assert_array_equal(back.faces, faces)


BROKEN = {
    "no count": {"count": None},
    "no body": {"count": np.array(0)},
    "more bodies than there are": {"count": np.array(3)},
    "vertices that are nowhere": {"vertices_m0": np.full((162, 3), np.nan, np.float32)},
    "flat vertices": {"vertices_m1": np.zeros((162, 2), np.float32)},
    "faces beyond the vertices": {"faces0": np.full((320, 3), 162, np.uint16)},
    "faces before the first vertex": {"faces0": np.full((320, 3), -1, np.int32)},
    "no faces": {"faces1": np.zeros((0, 3), np.uint16)},
    "colours of fewer faces": {"tones0": np.zeros(300, np.uint8)},
    "text for faces": {"faces0": np.full((320, 3), "x")},
    "cells without a size": {"inside0": np.zeros(8, np.uint8)},
    "more cells than bytes": {
        "inside0": np.zeros(8, np.uint8), "shape0": np.array([4000, 4000, 4000]),
        "low_m0": np.zeros(3), "step_m0": np.ones(3),
    },
    "cells of no size": {
        "inside0": np.zeros(8, np.uint8), "shape0": np.array([4, 4, 4]), "low_m0": np.zeros(3), "step_m0": np.zeros(3),
    },
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_damaged_triangles_are_named_with_the_way_out(written, what):
    arrays = {**read_arrays(written), **BROKEN[what]}
    np.savez(written, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(AssetError) as told:
        read(written)
    said = str(told.value)
    assert str(written) in said and "prehend-train objects import" in said and "\n" not in said


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04"])
def test_what_is_no_archive_is_named(tmp_path, data):
    (tmp_path / "thing.npz").write_bytes(data)
    with pytest.raises(AssetError, match=r"thing\.npz cannot be read.*objects import"):
        read(tmp_path / "thing.npz")


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(AssetError, match=r"none\.npz cannot be read: no such file"):
        read(tmp_path / "none.npz")


def test_nothing_is_left_where_a_file_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        pair().write(tmp_path / "no folder" / "pair.npz")
    assert not any(tmp_path.iterdir())
