"""Fused hands in each camera's picture: where that camera saw them."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.rig import fuse
from prehend.rig.show import draw_rig, in_camera, side_by_side
from prehend.rig.views.records import RigResult
from prehend.types import Box, FrameResult, ObjectEstimate


@pytest.fixture
def seen(new_rig, new_hand):
    """Two cameras' views of two hands, the hands themselves, and the result of their fusion."""
    hands = [new_hand("right", 1, (0.1, 0, 0)), new_hand("left", 2, (-0.1, 0, 0))]
    views = new_rig(2).views(hands)
    fused = tuple(fuse(views))
    result = FrameResult(views[0].camera, tuple(one.hand for one in fused), 0.0, {}, True)
    return views, hands, RigResult(result, fused, {view.name: view for view in views}, views[0].name)


def test_every_camera_gets_the_hands_as_it_saw_them(seen):
    views, _, result = seen
    for view in views:
        shown = in_camera(result, view)
        assert len(shown.hands) == 2 and shown.camera is view.camera
        for hand in shown.hands:
            own = next(one for one in view.hands if one.side == hand.side)
            np.testing.assert_allclose(hand.joints_m, own.joints_m, atol=2e-3)
            np.testing.assert_allclose(hand.keypoints_px, own.keypoints_px, atol=1.0)
            np.testing.assert_allclose(hand.rotations[0], own.rotations[0], atol=2e-2)


def test_a_hand_behind_a_camera_is_not_drawn_there(seen):
    views, _, result = seen
    away = views[0].T_rig_camera.copy()
    away[:3, :3] = away[:3, :3] @ np.diag([-1.0, 1, -1])  # it looks the other way
    behind = replace(views[0], T_rig_camera=away)
    assert in_camera(result, behind).hands == ()
    assert len(in_camera(result, views[1]).hands) == 2


def test_what_is_held_moves_with_the_camera_and_needs_a_pose(seen):
    views, _, result = seen
    pose = np.eye(4)
    pose[:3, 3] = result.result.hands[0].joints_m[0]
    thing = ObjectEstimate("mug", 0.9, np.zeros((21, 2)), Box(0, 0, 1, 1), pose, np.array([0.08, 0.08, 0.1]))
    hands = (replace(result.result.hands[0], held_object=thing), result.result.hands[1])
    held = in_camera(replace(result, result=replace(result.result, hands=hands)), views[1]).hands[0].held_object
    T = np.linalg.inv(views[1].T_rig_camera) @ pose
    np.testing.assert_allclose(held.T_camera_object, T, atol=1e-9)
    assert held.box_px.width > 5 and np.isfinite(held.keypoints_px).all()
    without = (replace(hands[0], held_object=replace(thing, T_camera_object=None)), hands[1])
    assert (
        in_camera(replace(result, result=replace(result.result, hands=without)), views[1]).hands[0].held_object is None
    )


@pytest.mark.parametrize(("height", "wanted"), [(None, 48), (24, 24)])
def test_pictures_of_any_size_stand_side_by_side(height, wanted):
    left, right = np.full((48, 64, 3), 10, np.uint8), np.full((96, 32, 3), 200, np.uint8)
    row = side_by_side([left, right], height)
    widths = [round(64 * wanted / 48), round(32 * wanted / 96)]
    assert row.shape == (wanted, sum(widths), 3) and row.dtype == np.uint8
    assert (row[:, : widths[0]] == 10).all() and (row[:, widths[0] :] == 200).all()


def test_a_camera_without_a_view_is_shown_as_it_is(seen, faces):
    views, _, result = seen
    blank = np.full((480, 640, 3), 30, np.uint8)
    row = draw_rig({views[0].name: blank, "idle": blank}, result, faces)
    assert row.shape == (480, 1280, 3) and (row[:, 640:] == 30).all() and (row[:, :640] != 30).any()
