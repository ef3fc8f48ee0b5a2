"""Plane geometry of plates: areas, distances, insets and triangles of outlines, against what geometry says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend_training.objects.shapes.parts_plate import (
    Extrusion,
    edge_normals,
    inset,
    outline_distance,
    signed_area,
    triangulate,
)


def polygon(corners, radius=1.0, turn=0.0):
    angle = turn + np.arange(corners) * 2 * np.pi / corners
    return radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def star(points, inner, turn=0.3):
    ring = polygon(2 * points, turn=turn)
    ring[1::2] *= inner
    return ring


def comb(teeth):
    """A concave outline of square teeth, counter-clockwise."""
    top = [
        point for k in range(teeth - 1, -1, -1) for point in ((2 * k + 1, 1), (2 * k + 1, 2), (2 * k, 2), (2 * k, 1))
    ]
    return np.array([(0, 0), (2 * teeth - 1, 0), *top[:-1]], float)


OUTLINES = {
    "square": polygon(4, turn=np.pi / 4),
    "triangle": polygon(3),
    "circle": polygon(64),
    "star": star(5, 0.4),
    "thin star": star(9, 0.15),
    "comb": comb(4),
    "arrow": np.array([[0, 0], [2, 1], [0, 2], [0.6, 1]], float),
}


def triangle_areas(outline, faces):
    a, b, c = (outline[faces[:, k]] for k in range(3))
    return ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2


def crosses(outline, points):
    """Whether points are inside, by the angle that the outline goes around each."""
    to = outline[None] - points[:, None]
    following = np.roll(to, -1, 1)
    turn = np.arctan2(to[..., 0] * following[..., 1] - to[..., 1] * following[..., 0], (to * following).sum(-1)).sum(1)
    return np.abs(turn) > np.pi


@pytest.mark.parametrize("corners", [3, 4, 7, 40])
def test_the_area_of_a_regular_polygon_is_its_formula(corners):
    outline = polygon(corners, 0.05, 0.2)
    area = corners / 2 * 0.05**2 * np.sin(2 * np.pi / corners)
    assert signed_area(outline) == pytest.approx(area)
    assert signed_area(outline[::-1]) == pytest.approx(-area)
    assert signed_area(outline + np.array([3, -7])) == pytest.approx(area)


@pytest.mark.parametrize("name", OUTLINES)
def test_triangles_cover_an_outline_once_and_all_turn_alike(name):
    outline = OUTLINES[name]
    faces = triangulate(outline)
    areas = triangle_areas(outline, faces)
    assert faces.shape == (len(outline) - 2, 3)
    assert (areas > 0).all() and areas.sum() == pytest.approx(signed_area(outline))
    middles = outline[faces].mean(1)
    assert crosses(outline, middles).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.floats(0.2, 1.0), min_size=4, max_size=14))
def test_any_outline_around_a_middle_is_covered(radii):
    outline = polygon(len(radii)) * np.array(radii)[:, None]
    areas = triangle_areas(outline, triangulate(outline))
    assert areas.min() > -1e-12 and areas.sum() == pytest.approx(signed_area(outline))


@pytest.mark.parametrize("name", OUTLINES)
def test_distances_to_an_outline_have_its_sign_and_are_those_of_its_nearest_point(name):
    outline = OUTLINES[name]
    points = np.random.default_rng(0).uniform(outline.min(0) - 0.5, outline.max(0) + 0.5, (400, 2))
    found = outline_distance(outline, points)
    count = 4000 // len(outline)
    edges = np.roll(outline, -1, 0) - outline
    rim = (outline + np.linspace(0, 1, count, endpoint=False)[:, None, None] * edges).reshape(-1, 2)
    gap = np.concatenate([np.linalg.norm(points[k : k + 50, None] - rim, axis=2).min(1) for k in range(0, 400, 50)])
    spacing = np.linalg.norm(edges, axis=1).max() / count
    assert (np.abs(found) <= gap + 1e-12).all()  # no place of the rim is nearer,
    assert (gap <= np.hypot(found, spacing / 2) + 1e-12).all()  # and one is as near
    np.testing.assert_array_equal(found < 0, crosses(outline, points))


def test_distances_to_a_square_are_its_closed_form():
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    points = np.random.default_rng(1).uniform(-2, 2, (500, 2))
    excess = np.abs(points) - 1
    closed = np.linalg.norm(np.maximum(excess, 0), axis=1) + np.minimum(excess.max(1), 0)
    np.testing.assert_allclose(outline_distance(square, points), closed, atol=1e-12)


@pytest.mark.parametrize("name", OUTLINES)
def test_normals_of_edges_look_outwards_and_are_square_to_sharp_ones(name):
    outline = OUTLINES[name]
    starts, ends = edge_normals(outline)
    edge = np.roll(outline, -1, 0) - outline
    middle = outline + edge / 2
    for normals in (starts, ends):
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
        assert (outline_distance(outline, middle + 1e-4 * normals) > 0).all()
    if name == "circle":  # smooth: both ends of a corner share the direction from the middle
        np.testing.assert_allclose(starts, outline, atol=1e-9)
        np.testing.assert_allclose(ends, np.roll(outline, -1, 0), atol=1e-9)
    else:
        np.testing.assert_allclose((starts * edge).sum(1), 0, atol=1e-12)


@pytest.mark.parametrize("corners", [3, 4, 6, 64])
def test_an_inset_regular_polygon_is_smaller_all_around(corners):
    outline, distance = polygon(corners), 0.1
    moved = inset(outline, distance)
    np.testing.assert_allclose(outline_distance(outline, moved), -distance, atol=1e-9)
    apothem = np.cos(np.pi / corners)
    np.testing.assert_allclose(moved, outline * (apothem - distance) / apothem, atol=1e-9)


def test_an_inset_of_nothing_is_the_outline():
    for outline in OUTLINES.values():
        np.testing.assert_array_equal(inset(outline, 0.0), outline)


def test_a_sharp_corner_moves_twice_as_far_at_most():
    needle = np.array([[0, 0], [10, -0.1], [10, 0.1]], float)
    away = np.linalg.norm(inset(needle, 0.05) - needle, axis=1)
    assert away.max() <= 2 * 0.05 + 1e-12


@pytest.mark.parametrize("name", OUTLINES)
def test_a_plate_is_its_outline_between_two_planes(name):
    outline = OUTLINES[name] * 0.03
    plate = Extrusion.read({"outline_m": outline.tolist(), "height_m": 0.02})
    points = np.random.default_rng(2).uniform(-0.08, 0.08, (300, 3)) + np.array([0.05, 0.02, 0])
    found = plate.distance(points, np.ones(3), False)
    inside = crosses(outline, points[:, :2]) & (np.abs(points[:, 2]) < 0.01)
    np.testing.assert_array_equal(found < 0, inside)
    above = np.array([[*outline[triangulate(outline)].mean(1)[0], 0.05]])
    assert plate.distance(above, np.ones(3), False)[0] == pytest.approx(0.04)


def test_a_rounded_plate_lies_within_the_sharp_one():
    sharp, rounded = (
        Extrusion.read({"outline_m": (polygon(6) * 0.04).tolist(), "height_m": 0.02, **more})
        for more in ({}, {"radius_m": 0.005})
    )
    points = np.random.default_rng(3).uniform(-0.06, 0.06, (400, 3))
    both = [part.distance(points, np.ones(3), False) for part in (sharp, rounded)]
    assert (both[1] >= both[0] - 1e-12).all()
    corner = np.array([[0.04, 0, 0.01]])
    assert sharp.distance(corner, np.ones(3), False)[0] == pytest.approx(0, abs=1e-12)
    assert rounded.distance(corner, np.ones(3), False)[0] > 0.002
