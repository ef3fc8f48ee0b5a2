import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.draw.mesh import rasterise, render_mesh
from prehend.errors import InvalidInput
from prehend.geometry.camera import project

coordinate = st.floats(-20, 60, width=32)
COLOUR = (200, 150, 100)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=3))
def test_a_triangle_covers_the_pixels_whose_centres_it_holds(corners):
    triangle = np.array(corners, np.float32)
    shown = rasterise(triangle[None], (40, 30)) == 0
    x, y = np.meshgrid(np.arange(40), np.arange(30))
    a, b, c = triangle.astype(np.float64)
    sides = [(q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) for p, q in ((a, b), (b, c), (c, a))]
    slack = 1e-2 * (1 + np.linalg.norm(triangle[0] - triangle[1]) + np.linalg.norm(triangle[1] - triangle[2]))
    inside = np.all([side > slack for side in sides], 0) | np.all([side < -slack for side in sides], 0)
    outside = np.any([side < -slack for side in sides], 0) & np.any([side > slack for side in sides], 0)
    assert shown[inside].all() and not shown[outside].any()


def test_later_triangles_cover_earlier_ones_and_neighbours_leave_no_gap():
    far = np.array([[0, 0], [30, 0], [0, 30]], np.float32)
    near = far * 0.5
    shown = rasterise(np.stack([far, near]), (40, 40))
    assert shown[2, 2] == 1 and shown[2, 25] == 0 and shown[39, 39] == -1
    square = np.array([[[3, 3], [30, 5], [5, 30]], [[30, 5], [33, 31], [5, 30]]], np.float32)
    shown = rasterise(square, (40, 40)) >= 0
    assert np.array_equal(cv2.morphologyEx(shown.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3))) > 0, shown)


def test_a_hand_covers_its_silhouette(make_result, faces):
    result = make_result(960, 720, {})
    (hand,) = result.hands
    pixels = project(hand.vertices_m, result.camera)
    mesh = render_mesh(hand.vertices_m, pixels, faces["right"], COLOUR, (960, 720))
    drawn = np.zeros((720, 960), np.uint8)
    drawn[mesh.top : mesh.top + len(mesh.mask), mesh.left : mesh.left + mesh.mask.shape[1]] = mesh.mask
    silhouette = np.zeros((720, 960), np.uint8)
    for triangle in np.round(pixels[faces["right"]] * 16).astype(np.int32):
        cv2.fillConvexPoly(silhouette, triangle, 255, cv2.LINE_AA, 4)
    both, either = (drawn > 127) & (silhouette > 127), (drawn > 127) | (silhouette > 127)
    assert both.sum() > 0.93 * either.sum() > 1000


def test_faces_that_look_away_are_not_drawn():
    vertices = np.array([[-1, -1, 5], [1, -1, 5], [0, 1, 5]], np.float32)
    pixels = vertices[:, :2] * 20 + 30
    towards = render_mesh(vertices, pixels, np.array([[0, 2, 1]]), COLOUR, (60, 60))
    away = render_mesh(vertices, pixels, np.array([[0, 1, 2]]), COLOUR, (60, 60))
    assert towards.mask.max() == 255 and away.mask.max() == 0


def test_outside_the_image_and_behind_the_camera_there_is_nothing(make_result, faces):
    (hand,) = make_result(320, 240, {}).hands
    pixels = project(hand.vertices_m, make_result(320, 240).camera)
    assert render_mesh(hand.vertices_m, pixels + 5000, faces["right"], COLOUR, (320, 240)) is None
    assert render_mesh(hand.vertices_m, np.full_like(pixels, np.nan), faces["right"], COLOUR, (320, 240)) is None


def test_faces_of_another_model_are_refused():
    with pytest.raises(InvalidInput, match="another hand model"):
        render_mesh(np.zeros((3, 3)), np.zeros((3, 2)), np.array([[0, 1, 3]]), COLOUR, (9, 9))
