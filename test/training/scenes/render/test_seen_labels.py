"""What labels say is seen is what is in the image: at its edges, behind others, on other sides of the hand."""

from dataclasses import replace

import numpy as np
import pytest
from scene_work import BARE, PALM_TO_CAMERA, STRAIGHT, at, ball_at, hand_at, only, seen_from, thing_at

from prehend.geometry.camera import project
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.types import Box
from prehend_training.objects import catalogue
from prehend_training.sample import HAND_CODE, HAND_PARTS, OBJECT_CODE, OTHER_CODE
from prehend_training.scenes.layout.posing import bare_hand, place_hand
from prehend_training.scenes.layout.scene import moved, moved_thing
from prehend_training.scenes.layout.surroundings import random_rotation
from prehend_training.scenes.people.body import drawn_hand
from prehend_training.scenes.render.labels import object_label, vertex_parts
from prehend_training.scenes.render.render import crop_sample, frame_sample
from prehend_training.transforms import rigid

FOCAL_PX, FAR_M = 130.0, 0.35
ALL = seen_from(FOCAL_PX)
BEHIND_PX = {"left": (-1, 0), "right": (1, 0), "above": (0, -1), "below": (0, 1)}


def numbers(hand):
    """Everything that is said of what is seen of a hand."""
    return hand.visible.tolist(), hand.part_visible.tolist(), hand.visible_ratio


@pytest.mark.parametrize("edge", BEHIND_PX)
@pytest.mark.parametrize("share", [0.1, 0.17, 0.4])
def test_no_vertex_is_seen_outside_the_image(renderer, edge, share):
    """The image's last pixels show the palm; the part of it outside lies behind them in no sense."""
    place = share * np.array([*BEHIND_PX[edge], 0]) + [0, 0, FAR_M]
    hand = renderer.render(only(hands=(hand_at(place),)), ALL).hands[0]
    x, y = project(hand.vertices_m, ALL.camera).T
    inside = (x > -1) & (y > -1) & (x < ALL.camera.width) & (y < ALL.camera.height)
    assert (hand.part_visible <= np.bincount(vertex_parts()[inside], minlength=len(HAND_PARTS))).all()
    joints = project(hand.joints_m, ALL.camera)
    assert not hand.visible[((joints < -0.5) | (joints >= [95.5, 95.5])).any(1)].any()
    if share == 0.4:
        assert numbers(hand) == ([False] * 21, [0] * 6, 0.0)


@pytest.mark.parametrize("edge", BEHIND_PX)
def test_of_a_hand_that_is_cut_off_the_share_of_its_pixels_in_the_image_is_visible(renderer, edge):
    """A wider image with the same pixels has the whole hand."""
    place = 0.1 * np.array([*BEHIND_PX[edge], 0]) + [0, 0, FAR_M]
    scene = only(hands=(hand_at(place),))
    wide = seen_from(FOCAL_PX, 288)
    whole = renderer.render(scene, wide, maps=True).maps.hand_amodal[0]
    inner = whole[96:192, 96:192]
    hand = renderer.render(scene, ALL).hands[0]
    assert 0.1 < hand.visible_ratio < 0.97
    assert hand.visible_ratio == pytest.approx(inner.sum() / whole.sum(), abs=0.03)


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_hands_the_nearer_one_hides_the_other_whatever_their_order(renderer, first):
    near, far = hand_at((0.01, 0, 0.3), side="left"), hand_at((0, 0, 0.4))
    order = (near, far) if first == 0 else (far, near)
    sample = renderer.render(only(hands=order), ALL, maps=True)
    front, behind = sample.hands[first], sample.hands[1 - first]
    alone = renderer.render(only(hands=(far,)), ALL).hands[0]
    assert (front.side, behind.side) == ("left", "right")
    assert front.visible_ratio > 0.99 and behind.visible_ratio < 0.7 * alone.visible_ratio
    assert behind.part_visible.sum() < alone.part_visible.sum() and not (behind.visible & ~alone.visible).any()
    both = np.logical_and(*sample.maps.hand_amodal)
    assert (sample.segmentation[both] == HAND_CODE + first).all()


def test_a_joint_is_hidden_where_another_thing_is_shown(renderer):
    hand = hand_at((0, 0, FAR_M))
    tip = hand.joints_m[8]
    for far_m, seen in ((0.05, False), (-0.05, True)):
        ball = ball_at(tip * (tip[2] - far_m) / tip[2], 0.012)
        label = renderer.render(only(hands=(hand,), objects=(ball,)), ALL).hands[0]
        assert label.visible[8] == seen and label.visible[12] and label.visible[0]


@pytest.mark.parametrize("turned", [0.0, np.pi])
@pytest.mark.parametrize("gesture", ["spread", "flat"])
def test_a_flat_hand_shows_all_its_joints_from_both_sides(renderer, gesture, turned):
    R = matrix_from_axis_angle(np.array([0, turned, 0])) @ PALM_TO_CAMERA
    label = renderer.render(only(hands=(hand_at((0, 0, FAR_M), gesture, R=R),)), seen_from(150.0)).hands[0]
    assert label.visible.all() and label.visible_ratio > 0.99


def layers(vertices_m, joint_m):
    """How often the way from the camera to a joint goes through the skin of the hand or its arm."""
    a, b, c = vertices_m.astype(float)[drawn_hand().faces].transpose(1, 0, 2)
    sides = [(np.cross(first, second) @ joint_m) > 0 for first, second in ((a, b), (b, c), (c, a))]
    met = (sides[0] == sides[1]) & (sides[1] == sides[2])
    normal = np.cross(b - a, c - a)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (normal * a).sum(1) / (normal @ joint_m)
    return int((met & (share > 0) & (share < 1)).sum())


def test_a_joint_is_seen_through_its_own_skin_and_through_no_other_part_of_the_hand(renderer):
    rng = np.random.default_rng(5)
    seen, own, near = [], [], []
    for _ in range(16):
        hand = place_hand(bare_hand(rng), "right", rigid(random_rotation(rng), np.array([0, 0, 0.4])), STRAIGHT, BARE)
        hand = moved(hand, np.array([0, 0, 0.4]) - hand.joints_m.mean(0))
        sample = renderer.render(only(hands=(hand,)), ALL, maps=True)
        for joint in (1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19):
            x, y = np.rint(sample.hands[0].keypoints_px[joint]).astype(int)
            seen.append(sample.hands[0].visible[joint])
            own.append(layers(hand.vertices_m, hand.joints_m[joint]) == 1)
            near.append(hand.joints_m[joint, 2] - sample.maps.depth_m[y, x] < 0.03)
    seen, own, near = (np.array(values) for values in (seen, own, near))
    assert own[seen].mean() > 0.98 and seen[own & near].mean() > 0.85 and not own.all()


def test_fingers_behind_fingers_are_not_seen(renderer):
    edge_on = matrix_from_axis_angle(np.array([0, np.pi / 2, 0])) @ PALM_TO_CAMERA
    label = renderer.render(only(hands=(hand_at((0, 0, FAR_M), "flat", R=edge_on),)), seen_from(150.0)).hands[0]
    assert not label.visible.all() and label.visible_ratio > 0.99  # nothing but the hand itself is before it


def test_beyond_the_sensors_edge_all_is_black_and_nothing_is_visible(renderer):
    limits = Box(20.0, 0.0, 70.0, 60.0)
    scene = only(hands=(hand_at((0, 0, FAR_M)),), objects=(thing_at("mug", at(0.03, 0.04, 0.3)),))
    cut, whole = (renderer.render(scene, ALL, limits=box, maps=True) for box in (limits, None))
    beyond = np.ones((96, 96), bool)
    beyond[0:61, 20:71] = False
    for name in ("deoccluded", "depth_m", "sensor_depth_mm", "normals", "albedo"):
        values = getattr(cut.maps, name)
        assert not values[beyond].any(), name
        # a depth sensor matches windows, which reach over the edge
        same = 0.9 if name == "sensor_depth_mm" else 1.0
        assert (values[~beyond] == getattr(whole.maps, name)[~beyond]).mean() >= same, name
    assert not cut.image[beyond].any() and np.array_equal(cut.image[~beyond], whole.image[~beyond])
    assert not cut.segmentation[beyond].any() and not cut.maps.hand_amodal[:, beyond].any()
    hand, before = cut.hands[0], whole.hands[0]
    places = np.floor(hand.keypoints_px + 0.5).astype(int)
    assert not hand.visible[beyond[tuple(places.clip(0, 95).T[::-1])]].any()
    assert hand.visible_ratio < before.visible_ratio and (hand.part_visible <= before.part_visible).all()
    assert np.array_equal(hand.keypoints_px, before.keypoints_px)


def test_an_objects_label_is_its_box_where_the_image_has_it(renderer):
    R = matrix_from_axis_angle(np.array([0.5, 0.8, -0.2]))
    for name in ("box", "mug", "banana", "drill"):
        view = seen_from(140.0, distortion=(-0.1, 0.02, 0, 0, 0))
        thing = thing_at(name, at(0.01, -0.02, 0.5, R))
        label = object_label(thing, view)
        corners = thing.solid.mesh().vertices
        half = np.abs(corners - label.center_m).max(0)
        assert np.allclose(2 * half, label.extents_m, atol=1e-3), name
        assert np.allclose(project(label.control_points_m, view.camera), label.keypoints_px)
        own = (label.control_points_m - label.T_camera_object[:3, 3]) @ label.T_camera_object[:3, :3] - label.center_m
        assert np.allclose(np.abs(own).max(0), label.extents_m / 2, atol=1e-9)
        y, x = np.nonzero(renderer.render(only(objects=(thing,)), view).segmentation == OBJECT_CODE)
        low, high = label.box_px[:2], label.box_px[2:]
        assert len(x) and x.min() >= low[0] - 1 and y.min() >= low[1] - 1
        assert x.max() <= high[0] + 1 and y.max() <= high[1] + 1, name


def test_labels_in_another_camera_are_the_same_world(renderer):
    """Points of two cameras, triangulated, are the joints."""
    turn = matrix_from_axis_angle(np.array([0.0, 0.7, 0.0]))
    middle = np.array([0, 0, FAR_M])
    views = [ALL, replace(seen_from(FOCAL_PX, T=at(*(middle - turn @ middle), turn)), name="side")]
    scene = only(hands=(hand_at(middle),), objects=(thing_at("can", at(0.05, 0, 0.4)),))
    first, second = renderer.render_views(scene, views)
    rows = []
    for sample in (first, second):
        P = sample.camera.K @ sample.T_camera_world[:3]
        u, v = sample.hands[0].keypoints_px.T[..., None]
        rows += [u * P[2] - P[0], v * P[2] - P[1]]
    found = np.linalg.svd(np.stack(rows, 1))[2][:, -1]
    assert np.allclose(found[:, :3] / found[:, 3:], first.hands[0].joints_m, atol=1e-6)
    poses = [np.linalg.inv(s.T_camera_world) @ s.objects[0].T_camera_object for s in (first, second)]
    assert np.allclose(*poses, atol=1e-9)


def test_things_without_labels_are_told_as_others_and_what_is_far_as_background(renderer):
    near, far = ball_at((-0.04, 0, 0.4)), ball_at((0.04, 0, 0.4))
    sample = renderer.render(only(clutter=(near,), scenery=(far,)), ALL, maps=True)
    left, right = (sample.segmentation[48, round(48 + side * 13)] for side in (-1, 1))
    assert (left, right) == (OTHER_CODE, 0) and sample.objects == ()
    assert sample.maps.depth_m[48, 48 + 13] == pytest.approx(sample.maps.depth_m[47, 48 - 14], abs=0.01)


def test_strangers_have_no_label_and_hide_as_things_do(renderer):
    own, other = hand_at((0, 0, 0.4)), hand_at((0.02, 0, 0.3), side="left")
    sample = renderer.render(only(hands=(own,), strangers=(other,)), ALL)
    assert len(sample.hands) == 1 and set(np.unique(sample.segmentation)) == {0, HAND_CODE, OTHER_CODE}
    assert sample.hands[0].visible_ratio < 0.7


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_scene_that_is_moved_is_seen_there(renderer, side):
    shift = np.array([0.03, -0.02, 0.05])
    hand, thing = hand_at((0, 0, FAR_M), side=side), thing_at("box", at(0, 0.05, 0.4))
    here = renderer.render(only(hands=(hand,), objects=(thing,)), ALL)
    there = renderer.render(only(hands=(moved(hand, shift),), objects=(moved_thing(thing, shift),)), ALL)
    assert np.allclose(there.hands[0].joints_m, here.hands[0].joints_m + shift)
    assert np.allclose(there.hands[0].vertices_m, here.hands[0].vertices_m + shift)
    assert np.allclose(there.objects[0].control_points_m, here.objects[0].control_points_m + shift)
    assert np.array_equal(there.hands[0].rotations, here.hands[0].rotations)


def test_random_images_keep_the_laws_of_their_labels(renderer):
    samples = [crop_sample(renderer, 31, index, 64) for index in range(4)]
    samples += [frame_sample(renderer, 31, index, 96) for index in range(3)]
    solids = catalogue()
    for sample in samples:
        height, width = sample.segmentation.shape
        codes = set(np.unique(sample.segmentation)) - {0, OTHER_CODE}
        allowed = {HAND_CODE + k for k in range(len(sample.hands))}
        assert codes <= allowed | {OBJECT_CODE + k for k in range(len(sample.objects))}
        for k, hand in enumerate(sample.hands):
            x, y = project(hand.vertices_m, sample.camera).T
            inside = (x > -1) & (y > -1) & (x < width) & (y < height)
            assert (hand.part_visible <= np.bincount(vertex_parts()[inside], minlength=6)).all()
            assert 0 <= hand.visible_ratio <= 1
            shown = (sample.segmentation == HAND_CODE + k).any()
            assert shown or (not hand.visible.any() and hand.visible_ratio == 0)
        for thing in sample.objects:
            assert thing.object_id in solids or thing.extents_m.min() > 0
            assert np.linalg.det(thing.T_camera_object[:3, :3]) == pytest.approx(1)
