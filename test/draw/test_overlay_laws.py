"""Overlays: what is drawn moves, grows and mirrors with its image."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.draw.overlay import OBJECT_COLOUR, OverlayOptions, draw
from prehend.geometry.camera import mirror_camera, project, scale_camera
from prehend.types import Box

SKELETON = OverlayOptions(mesh=False, objects=False, labels=False)
OBJECTS = OverlayOptions(mesh=False, skeleton=False, labels=False)
MESH = OverlayOptions(skeleton=False, objects=False, labels=False)


def blank(result):
    return np.full((result.camera.height, result.camera.width, 3), 60, np.uint8)


def drawn(result, faces, options):
    """Where the overlay of a result changes a plain picture."""
    picture = draw(blank(result), result, faces, options)
    plain = draw(blank(result), replace(result, hands=()), faces, options)
    return np.abs(picture.astype(int) - plain).max(-1) > 8


def alike(one, other):
    return (one & other).sum() / max((one | other).sum(), 1)


def mirrored(result):
    """The result of the mirrored image: sides change, x goes to W - 1 - x."""
    width = result.camera.width

    def flip(hand):
        pixels = hand.keypoints_px * [-1, 1] + [width - 1, 0]
        return replace(
            hand, side="left" if hand.side == "right" else "right", keypoints_px=pixels, box_px=Box.around(pixels),
            joints_m=hand.joints_m * [-1, 1, 1], vertices_m=hand.vertices_m * [-1, 1, 1],
        )  # fmt: skip

    return replace(result, camera=mirror_camera(result.camera), hands=tuple(map(flip, result.hands)))


@pytest.mark.parametrize("options", [SKELETON, MESH], ids=["skeleton", "mesh"])
def test_the_mirrored_result_is_drawn_in_the_mirror(make_result, faces, options):
    result = make_result(640, 480, {"wrist_m": (0.06, 0.05, 0.5)})
    assert alike(drawn(result, faces, options), drawn(mirrored(result), faces, options)[:, ::-1]) > 0.93


def test_a_larger_image_shows_the_same_larger(make_result, faces):
    result = make_result(640, 480, {})
    (hand,) = result.hands
    camera = scale_camera(result.camera, 1280, 960)
    larger = replace(result, camera=camera, hands=(replace(hand, keypoints_px=project(hand.joints_m, camera)),))
    small, large = drawn(result, faces, MESH), drawn(larger, faces, MESH)
    assert alike(small, large[::2, ::2]) > 0.85


def test_hands_without_a_mesh_or_a_place_are_drawn_as_far_as_they_go(make_result, faces):
    bare = {"vertices_m": np.zeros((0, 3)), "joints_m": np.full((21, 3), np.nan)}
    result = make_result(640, 480, bare)
    whole = make_result(640, 480, {})
    assert alike(drawn(result, faces, SKELETON), drawn(whole, faces, SKELETON)) > 0.9


def test_a_box_is_drawn_where_its_points_are_with_or_without_a_pose(make_result, faces):
    for holds in (True, False):
        result = make_result(640, 480, {}, holds=holds)
        points = result.hands[0].held_object.keypoints_px
        rows, columns = np.nonzero(drawn(result, faces, OBJECTS))
        for axis, found in ((0, columns), (1, rows)):
            assert abs(found.min() - points[:, axis].min()) < 25 and abs(found.max() - points[:, axis].max()) < 25
        picture = draw(blank(result), result, faces, OBJECTS)
        assert (np.abs(picture.astype(int) - OBJECT_COLOUR).max(-1) < 30).sum() > 50


@pytest.mark.parametrize("opacity", [0.0, 1.0])
def test_a_mesh_is_as_dense_as_asked(make_result, faces, opacity):
    result = make_result(640, 480, {})
    inside = drawn(result, faces, MESH)
    picture = draw(blank(result), result, faces, replace(MESH, mesh_opacity=opacity))
    changed = (np.abs(picture.astype(int) - 60).max(-1) > 8) & inside
    assert changed.sum() > 0.95 * inside.sum() if opacity else changed.sum() < 0.4 * inside.sum(), "the outline stays"


def test_drawing_again_over_a_copy_is_the_same_picture(make_result, faces):
    result = make_result(320, 240, {}, {"side": "left", "wrist_m": (0.1, 0, 0.6)}, holds=True)
    assert np.array_equal(draw(blank(result), result, faces), draw(blank(result).copy(), result, faces))
