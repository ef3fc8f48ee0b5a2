"""Cutting, stretching and joining triangles keeps the shape that they make."""

import numpy as np
import pytest

from prehend_training.objects.shapes.mesh import (
    Mesh,
    Patch,
    Surface,
    assemble,
    grid_faces,
    halved,
    smooth_curve,
    stretched,
    tidy,
)

BODY, CAP = Surface("body", None, (0.1, 0.1)), Surface("cap", "barcode", (0.1, 0.1))


def sheet(width_m=0.1, height_m=0.1, surface=BODY, columns=2):
    """A flat patch in the plane z = 0 that looks up."""
    x, y = np.meshgrid(np.linspace(0, width_m, columns), [0, height_m])
    vertices = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], 1)
    uv = vertices[:, :2] / [width_m, height_m]
    return Patch(vertices, np.tile([0, 0, 1.0], (len(vertices), 1)), uv, grid_faces(1, columns, columns), surface)


def areas(vertices, faces):
    corners = vertices[faces]
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2


def edges_of(faces):
    return np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2), 1)


@pytest.mark.parametrize("longest_m", [1.0, 0.09, 0.05, 0.013])
def test_halving_keeps_area_direction_and_seams(longest_m):
    patch = sheet(0.1, 0.07, columns=3)
    small = halved(patch, longest_m)
    across = areas(small.vertices, small.faces)
    assert across[:, 2].sum() == pytest.approx(0.007) and (across[:, 2] > 0).all()
    edges, count = np.unique(edges_of(small.faces), axis=0, return_counts=True)
    length = np.linalg.norm(np.diff(small.vertices[edges], axis=1)[:, 0], axis=1)
    assert length.max() <= longest_m + 1e-12
    # no vertex in the middle of an edge of a neighbour: what belongs to one face alone is the rim
    assert set(count) <= {1, 2} and length[count == 1].sum() == pytest.approx(2 * (0.1 + 0.07))


def test_halving_does_not_make_vertices_twice():
    small = halved(sheet(), 0.02)
    assert len(np.unique(small.vertices.round(9), axis=0)) == len(small.vertices)


def test_texture_coordinates_follow_their_places_when_faces_are_cut():
    small = halved(sheet(0.1, 0.07), 0.015)
    np.testing.assert_allclose(small.uv, small.vertices[:, :2] / [0.1, 0.07], atol=1e-12)


@pytest.mark.parametrize("cut", range(8))
def test_a_face_is_cut_alike_whichever_of_its_edges_are_long(cut):
    """A triangle with any set of long edges keeps its area and its side."""
    corners = np.array([[0, 0, 0], [0.03, 0, 0], [0.012, 0.02, 0]])
    turned = np.roll(corners, cut, 0) if cut < 3 else corners * [1, 0.3 + 0.2 * cut, 1]
    patch = Patch(turned, np.tile([0, 0, 1.0], (3, 1)), turned[:, :2], np.array([[0, 1, 2]], np.int32), BODY)
    for longest_m in (0.029, 0.024, 0.02, 0.011):
        small = halved(patch, longest_m)
        across = areas(small.vertices, small.faces)[:, 2]
        assert (across > 0).all() and across.sum() == pytest.approx(areas(turned, patch.faces)[0, 2])


def test_tidy_turns_faces_outwards_and_drops_those_without_area():
    patch = sheet(0.01, 0.01)
    flipped = patch._replace(faces=np.concatenate([patch.faces[:, ::-1], [[0, 0, 1]]]).astype(np.int32))
    mended = tidy(flipped)
    assert len(mended.faces) == len(patch.faces) and mended.faces.dtype == np.int32
    assert (areas(mended.vertices, mended.faces)[:, 2] > 0).all()


def test_assembled_patches_share_the_number_of_equal_surfaces():
    mesh, surfaces = assemble([sheet(), sheet(surface=CAP), sheet(0.2)])
    assert surfaces == (BODY, CAP)
    assert mesh.part.tolist() == [0] * 4 + [1] * 4 + [0] * 4
    assert [set(mesh.part[face]) for face in mesh.faces] == [{0}, {0}, {1}, {1}, {0}, {0}]
    assert areas(mesh.vertices, mesh.faces)[:, 2].sum() == pytest.approx(0.1 * (0.1 + 0.1 + 0.2))


def test_normals_of_a_stretched_ball_stay_square_to_it():
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(50, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    scale = np.array([0.5, 1.0, 2.0])
    ball = Mesh(0.1 * normals, normals, np.zeros((50, 2)), np.zeros((0, 3), np.int32), np.zeros(50, np.int64))
    egg = stretched(ball, scale)
    gradient = egg.vertices / scale**2  # of x^2/a^2 + y^2/b^2 + z^2/c^2
    np.testing.assert_allclose(egg.normals, gradient / np.linalg.norm(gradient, axis=1, keepdims=True), atol=1e-12)


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_smooth_curve_goes_through_its_points(closed, steps):
    points = np.random.default_rng(1).normal(size=(6, 2))
    curve = smooth_curve(points, steps, closed=closed)
    assert len(curve) == (6 * steps if closed else 5 * steps + 1)
    np.testing.assert_allclose(curve[::steps], points, atol=1e-12)


def test_a_smooth_curve_through_a_line_is_the_line():
    points = np.linspace([0, 0, 0], [1, 2, 3], 5)
    np.testing.assert_allclose(smooth_curve(points, 4), np.linspace([0, 0, 0], [1, 2, 3], 17), atol=1e-12)


def test_a_profile_meets_the_axis_at_a_right_angle():
    """A quarter of a circle, mirrored at its ends: the first step leaves the axis level."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 7)
    curve = smooth_curve(np.stack([np.cos(angle), np.sin(angle)], 1), 8, mirror=np.array([-1.0, 1.0]))
    first = curve[1] - curve[0]
    assert abs(first[1] / first[0]) < 0.1 and abs(np.linalg.norm(curve, axis=1) - 1).max() < 0.01


@pytest.mark.parametrize(("bands", "width"), [(1, 2), (3, 5), (4, 2)])
def test_strips_cover_each_cell_by_two_faces_that_turn_alike(bands, width):
    y, x = np.mgrid[: bands + 1, :width]
    vertices = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], 1).astype(float)
    across = areas(vertices, grid_faces(bands, width, width))[:, 2]
    assert len(across) == 2 * bands * (width - 1) and np.allclose(across, 0.5)
