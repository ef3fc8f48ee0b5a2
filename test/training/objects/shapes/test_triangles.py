"""Distances to triangles and their shading, against closed forms and brute force."""

import numpy as np
import pytest

from prehend_training.objects.shapes.triangles import ConnectedSurface, Fill, closest_points, shaded, winding

trimesh = pytest.importorskip("trimesh", reason="the extra `meshes` is not installed")

RADIUS_M = 0.04


def body_of(mesh, fill=None):
    return ConnectedSurface(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int32), fill)


def box_distance(points, size):
    excess = np.abs(points) - np.asarray(size) / 2
    return np.linalg.norm(np.maximum(excess, 0), axis=1) + np.minimum(excess.max(1), 0)


def around(count=500, scale=0.08, seed=0):
    return np.random.default_rng(seed).uniform(-scale, scale, (count, 3))


@pytest.fixture(scope="module")
def box():
    return body_of(trimesh.creation.box([0.06, 0.04, 0.1]))


@pytest.fixture(scope="module")
def ball():
    return body_of(trimesh.creation.icosphere(subdivisions=3, radius=RADIUS_M))


@pytest.mark.parametrize("scale", [0.08, 0.4, 2.0])
def test_a_box_of_twelve_triangles_is_measured_as_its_formula(box, scale):
    points = around(scale=scale)
    np.testing.assert_allclose(box.distance(points), box_distance(points, [0.06, 0.04, 0.1]), atol=1e-4)


def test_signs_hold_in_the_corners_of_a_box(box):
    """Beyond a corner the nearest place is the corner, where three faces disagree about the side."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * [0.03, 0.02, 0.05]
    away = np.random.default_rng(1).uniform(0.0005, 0.01, (40, 3))
    for corner in corners:
        assert (box.distance(corner * 1.0 + away * np.sign(corner)) > 0).all()
        assert (box.distance(corner * 1.0 - away * np.sign(corner)) < 0).all()


def test_a_ball_is_measured_between_its_inner_and_outer_radius(ball):
    points = around()
    away = np.linalg.norm(points, axis=1)
    found = ball.distance(points)
    inner = np.linalg.norm(ball.vertices_m[ball.faces].mean(1), axis=1).min()
    assert (found >= away - RADIUS_M - 1e-9).all() and (found <= away - inner + 1e-9).all()


def test_many_points_are_measured_as_each_alone(ball):
    points = around(9000)
    found = ball.distance(points)
    chosen = [0, 1, 8191, 8192, 8999]
    np.testing.assert_array_equal(found[chosen], [ball.distance(points[[k]])[0] for k in chosen])
    assert ball.distance(np.zeros((0, 3))).shape == (0,)


def test_nothing_is_nearer_than_what_brute_force_finds(box):
    points = around(60, 0.1, 3)
    corners = box.vertices_m[box.faces]
    place, _ = closest_points(points[:, None], corners)
    brute = np.linalg.norm(points[:, None] - place, axis=2).min(1)
    np.testing.assert_allclose(np.abs(box.distance(points)), brute, atol=1e-9)


@pytest.mark.parametrize(
    ("point", "place"),
    [
        ((0.2, 0.2, 1), (0.2, 0.2, 0)),  # over the face
        ((-1, -1, 0), (0, 0, 0)),  # beyond a corner
        ((3, -1, 0.5), (1, 0, 0)),
        ((0.5, -2, 0), (0.5, 0, 0)),  # beyond an edge
        ((2, 2, 0), (0.5, 0.5, 0)),  # beyond the long edge
        ((-3, 0.25, 0), (0, 0.25, 0)),
    ],
)
def test_the_nearest_place_of_a_triangle_is_on_its_face_edge_or_corner(point, place):
    corners = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]], float)
    found, weights = closest_points(np.array([point], float), corners)
    np.testing.assert_allclose(found[0], place, atol=1e-12)
    assert weights.min() >= -1e-12 and weights.sum() == pytest.approx(1)


def test_a_triangle_without_area_is_a_line():
    corners = np.array([[[0, 0, 0], [1, 0, 0], [0.5, 0, 0]]], float)
    found, _ = closest_points(np.array([[0.3, 2.0, 0], [9, 0, 0]], float)[:, None], corners)
    np.testing.assert_allclose(found[:, 0], [[0.3, 0, 0], [1, 0, 0]], atol=1e-9)


def test_winding_counts_how_often_a_surface_goes_around():
    outer, inner = (trimesh.creation.icosphere(subdivisions=2, radius=radius) for radius in (0.05, 0.03))
    vertices = np.concatenate([outer.vertices, inner.vertices])
    points = np.array([[0, 0, 0], [0, 0, 0.04], [0, 0, 0.06]])
    for turn, expected in ((1, [2, 1, 0]), (-1, [0, 1, 0])):
        faces = np.concatenate([outer.faces, inner.faces[:, ::turn] + len(outer.vertices)])
        np.testing.assert_allclose(winding(points, vertices, faces), expected, atol=1e-6)


def test_winding_of_half_a_sphere_is_the_share_of_the_sky_that_it_hides():
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=1.0)
    half = mesh.faces[mesh.vertices[mesh.faces].mean(1)[:, 2] > 0]
    assert winding(np.zeros((1, 3)), mesh.vertices, half)[0] == pytest.approx(0.5, abs=0.02)


def test_winding_of_many_points_is_that_of_each():
    mesh = trimesh.creation.box([1, 1, 1])
    points = around(600, 0.9)
    inside = (np.abs(points) < 0.5).all(1)
    np.testing.assert_allclose(winding(points, mesh.vertices, mesh.faces), inside, atol=1e-9)


def cells(shape=(10, 10, 10), step=0.01):
    return np.moveaxis(np.indices(shape), 0, -1) * step - step * (np.array(shape) - 1) / 2


def test_a_fill_tells_the_cell_and_nothing_beyond_the_grid():
    grid = cells()
    fill = Fill(np.linalg.norm(grid, axis=-1) < 0.03, grid[0, 0, 0], np.full(3, 0.01))
    np.testing.assert_array_equal(fill.at(grid.reshape(-1, 3)), fill.inside.reshape(-1))
    np.testing.assert_array_equal(fill.at(grid.reshape(-1, 3) + 0.004), fill.inside.reshape(-1))
    assert not fill.at(np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, 0.06]])).any()
    solid = Fill(np.ones((3, 3, 3), bool), np.zeros(3), np.full(3, 0.01))
    assert not solid.at(np.array([[-0.02, 0, 0], [0.04, 0.01, 0.01]])).any()


def test_the_sign_of_an_open_body_is_that_of_its_cells():
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=RADIUS_M)
    grid = cells((24, 24, 24), 0.005)
    fill = Fill(np.linalg.norm(grid, axis=-1) < RADIUS_M, grid[0, 0, 0], np.full(3, 0.005))
    half = mesh.faces[mesh.vertices[mesh.faces].mean(1)[:, 2] > -0.02]  # without its foot
    open_body = ConnectedSurface(mesh.vertices, half.astype(np.int32), fill)
    rim = np.hypot(0.005, np.sqrt(RADIUS_M**2 - 0.02**2))  # what is nearest where the foot was
    assert open_body.distance(np.array([[0, 0, 0.02], [0, 0, 0.06], [0, 0, -0.015]])) == pytest.approx(
        [-0.02, 0.02, -rim], abs=4e-3
    )


def test_a_box_is_shaded_flat_and_a_ball_round():
    box, ball = trimesh.creation.box([1, 1, 1]), trimesh.creation.icosphere(subdivisions=3)
    vertices, normals, faces = shaded(np.asarray(box.vertices), np.asarray(box.faces, np.int32))
    assert len(vertices) == 24 and faces.shape == (12, 3)  # three of each corner
    np.testing.assert_allclose(np.sort(np.abs(normals), 1), np.tile([0, 0, 1], (24, 1)), atol=1e-12)
    vertices, normals, faces = shaded(np.asarray(ball.vertices), np.asarray(ball.faces, np.int32))
    assert (normals * vertices).sum(1).min() > 0.999
    np.testing.assert_allclose(vertices[faces], ball.vertices[ball.faces])


def test_shading_keeps_the_places_of_all_faces():
    mesh = trimesh.creation.cylinder(0.02, 0.05, sections=24)
    vertices, normals, faces = shaded(np.asarray(mesh.vertices), np.asarray(mesh.faces, np.int32))
    np.testing.assert_array_equal(vertices[faces], np.asarray(mesh.vertices)[mesh.faces])
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    side = np.abs(np.asarray(mesh.face_normals)[:, 2]) < 0.5
    assert np.abs(normals[faces[side], 2]).max() < 1e-9  # the rim of a lid does not bend the side
    assert np.abs(normals[faces[~side], 2]).min() > 1 - 1e-9
