"""From triangles as files have them to bodies with an inside: volumes are those of the shapes that were meant."""

import logging
from pathlib import Path

import numpy as np
import pytest

from prehend.errors import AssetError
from prehend_training.objects.repair import Shape, bodies_of

trimesh = pytest.importorskip("trimesh", reason="the extra `meshes` is not installed")


FILE = Path("thing.ply")
RED, BLUE = np.array([200, 10, 10], np.uint8), np.array([10, 10, 200], np.uint8)


def shape_of(mesh, colour=None):
    colours = None if colour is None else np.tile(colour, (len(mesh.faces), 1))
    return Shape(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64), colours)


def box(size=(0.06, 0.04, 0.1), at=(0, 0, 0)):
    mesh = trimesh.creation.box(size)
    mesh.apply_translation(at)
    return mesh


def volume(body):
    corners = body.vertices_m[body.faces]
    return float((corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum() / 6)


def soup(mesh):
    """Each triangle with corners of its own, as STL files have them."""
    return Shape(np.asarray(mesh.triangles).reshape(-1, 3), np.arange(3 * len(mesh.faces)).reshape(-1, 3), None)


def test_joined_shapes_keep_their_places_and_colours():
    whole = Shape.joined([shape_of(box(), RED), shape_of(box(at=(1, 0, 0))), shape_of(box(at=(2, 0, 0)), BLUE)])
    assert whole.faces.shape == (36, 3) and whole.faces.max() == 23
    middles = whole.vertices[whole.faces].mean(1)[:, 0].round()
    for place, colour in ((0, RED), (1, [150, 150, 150]), (2, BLUE)):
        np.testing.assert_array_equal(whole.colours[middles == place], np.tile(colour, (12, 1)))
    assert Shape.joined([shape_of(box()), shape_of(box())]).colours is None


def test_shapes_are_scaled_and_moved_without_changing_the_first():
    shape = shape_of(box())
    larger = shape.scaled(2.0).moved(np.array([1.0, 0, 0]))
    np.testing.assert_allclose(np.ptp(larger.vertices, axis=0), [0.12, 0.08, 0.2])
    np.testing.assert_allclose(larger.vertices.mean(0), [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(np.ptp(shape.vertices, axis=0), [0.06, 0.04, 0.1])


def test_merging_joins_equal_places_and_drops_what_has_no_area():
    loose = soup(box())
    again = Shape(loose.vertices, np.concatenate([loose.faces, loose.faces[:2, ::-1], [[0, 0, 1]]]), None)
    merged = again.merged()
    assert len(merged.vertices) == 8 and len(merged.faces) == 12
    coloured = Shape(again.vertices, again.faces, np.arange(3 * len(again.faces), dtype=np.uint8).reshape(-1, 3))
    np.testing.assert_array_equal(coloured.merged().colours, coloured.colours[:12])


def test_the_nearest_face_is_told_by_its_middle():
    shape = shape_of(box())
    middles = shape.vertices[shape.faces].mean(1)
    np.testing.assert_array_equal(shape.nearest(middles * 1.01), np.arange(12))


def test_pieces_come_out_each_with_its_own_volume():
    parts = [box(), box((0.02, 0.02, 0.02), (0.2, 0, 0)), trimesh.creation.icosphere(radius=0.03)]
    parts[2].apply_translation([0, 0.3, 0])
    bodies = bodies_of(FILE, soup(trimesh.util.concatenate(parts)))
    assert sorted(volume(body) for body in bodies) == pytest.approx(sorted(part.volume for part in parts), rel=1e-4)
    assert all(body.fill is None for body in bodies)


@pytest.mark.parametrize("turned", [slice(None), slice(0, 5), slice(3, None, 2)])
def test_faces_that_look_inwards_are_turned(turned):
    mesh = box()
    faces = mesh.faces.copy()
    faces[turned] = faces[turned, ::-1]
    (body,) = bodies_of(FILE, Shape(mesh.vertices, faces, None))
    assert volume(body) == pytest.approx(np.prod([0.06, 0.04, 0.1]))
    assert body.distance(np.zeros((1, 3)))[0] == pytest.approx(-0.02)


@pytest.mark.parametrize("holes", [1, 2])
def test_holes_are_closed_by_flat_lids(holes, caplog):
    mesh = trimesh.creation.cylinder(0.03, 0.12, sections=64)
    gone = mesh.face_normals[:, 2] > 0.9
    if holes == 2:
        gone |= mesh.face_normals[:, 2] < -0.9
    with caplog.at_level(logging.WARNING):
        (body,) = bodies_of(FILE, Shape(mesh.vertices, mesh.faces[~gone], None))
    assert body.fill is None and volume(body) == pytest.approx(mesh.volume, rel=1e-6)
    closed = trimesh.Trimesh(body.vertices_m, body.faces, process=False)
    assert closed.is_watertight and closed.is_winding_consistent
    assert "60 mm wide" in caplog.text and FILE.name in caplog.text


def test_a_hole_in_a_corner_is_closed():
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=0.04)
    (body,) = bodies_of(FILE, Shape(mesh.vertices, mesh.faces[mesh.triangles_center[:, 2] < 0.03], None))
    cap = np.pi * 0.01**2 * (3 * 0.04 - 0.01) / 3  # of the sphere, cut off at a height
    assert volume(body) == pytest.approx(mesh.volume - cap, rel=0.02)


def test_what_cannot_be_closed_still_has_the_inside_that_was_meant():
    """Three walls on one edge: no lid makes that a surface, but the box is still a box."""
    mesh = box().subdivide().subdivide()
    fin = trimesh.Trimesh([[0, 0, 0.05], [0, 0.02, 0.05], [0, 0.02, 0.08], [0, 0, 0.08]], [[0, 1, 2], [0, 2, 3]])
    both = trimesh.util.concatenate(mesh, fin)
    bodies = bodies_of(FILE, soup(both))
    points = np.random.default_rng(0).uniform(-0.08, 0.08, (200, 3))
    excess = np.abs(points) - [0.03, 0.02, 0.05]
    clear = np.abs(excess.max(1)) > 0.006  # cells of the grid are coarse
    found = np.minimum.reduce([body.distance(points) for body in bodies])
    np.testing.assert_array_equal((found < 0)[clear], (excess.max(1) < 0)[clear])


def test_of_a_thing_in_crumbs_the_large_pieces_count(caplog):
    crumbs = [box((0.002,) * 3, (0.1 + 0.004 * k, 0, 0)) for k in range(40)]
    with caplog.at_level(logging.WARNING):
        bodies = bodies_of(FILE, soup(trimesh.util.concatenate([box((0.2, 0.2, 0.2)), *crumbs])))
    assert "largest of its loose pieces" in caplog.text and len(bodies) <= 24
    assert max(map(volume, bodies)) == pytest.approx(0.008, rel=1e-6)


@pytest.mark.parametrize(
    "flat",
    [
        ([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]], [[0, 1, 2]]),
        ([[0, 0, 0], [0.1, 0, 0], [0.1, 0.1, 0], [0, 0.1, 0]], [[0, 1, 2], [0, 2, 3]]),
        ([[0, 0, 0], [1e-4, 0, 0], [0, 1e-4, 0], [0, 0, 1e-4]], [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
    ],
    ids=["triangle", "sheet", "crumb"],
)
def test_what_has_no_inside_is_refused_by_name(flat):
    vertices, faces = flat
    with pytest.raises(AssetError, match=r"thing\.ply has no inside"):
        bodies_of(FILE, Shape(np.array(vertices, float), np.array(faces), None))
