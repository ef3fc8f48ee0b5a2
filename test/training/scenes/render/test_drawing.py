"""What is drawn is what rays meet, whatever the lens, the world's frame, the order of things and how many there are."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scene_work import at, ball_at, cast, even_light, hand_at, only, seen_from, thing_at

from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.types import Box
from prehend_training.objects import catalogue
from prehend_training.sample import HAND_CODE, OBJECT_CODE, OTHER_CODE
from prehend_training.scenes.layout.scene import Table
from prehend_training.scenes.people.body import PARTS
from prehend_training.scenes.render.build import stage
from prehend_training.scenes.render.render import crop_view

LENSES = {
    "none": ("plumb_bob", ()),
    "barrel": ("plumb_bob", (-0.2, 0.03, 1e-3, -1e-3, 0.0)),
    "fisheye": ("equidistant", (-0.03, 0.01, -0.004, 0.001)),
}
SLANTED = Table(at(0, 0.12, 0.6, matrix_from_axis_angle(np.array([1.9, 0.1, 0.0]))), 0.5, -1, 1.0, np.full(3, 0.5))


def busy_scene():
    """A hand before a mug and a box, a ball beside it that has no label, on a slanted table."""
    mug = thing_at("mug", at(0.03, 0.0, 0.42, matrix_from_axis_angle(np.array([1.2, 0.3, 0.2]))))
    box = thing_at("box", at(-0.12, 0.02, 0.5))
    return only(
        hands=(hand_at((0.0, 0.0, 0.36), "relaxed"),),
        objects=(mug, box),
        clutter=(ball_at((0.11, -0.08, 0.4)),),
        table=SLANTED,
    )


@pytest.mark.parametrize("name", LENSES)
def test_a_pixel_shows_the_first_triangle_that_its_ray_meets(renderer, name):
    model, distortion = LENSES[name]
    scene, view = busy_scene(), seen_from(20.0, (28, 23), distortion, model)
    depth, code, normal = cast(stage(scene, [view]).geometry, view)
    sample = renderer.render(scene, view, maps=True)
    shown = np.where(code < 0, 0, code // PARTS)
    assert {HAND_CODE, OBJECT_CODE, OBJECT_CODE + 1, OTHER_CODE, 0} == set(np.unique(shown))
    same = sample.segmentation == shown
    bent = 0.0 if name == "none" else 0.02  # triangles stay straight where a lens would bend them
    assert same.mean() > 0.99 - bent
    # away from outlines the depth is exact; a pixel beside one may show the other thing
    inner = same & (cv2.erode(same.astype(np.uint8), np.ones((3, 3))) > 0) & (depth > 0)
    off = np.abs(sample.maps.depth_m - depth)[inner]
    assert np.quantile(off, 0.95) < 0.002 and np.median(off) < 1e-4 + bent / 20
    facing = np.abs((sample.maps.normals / 127 * normal).sum(-1))[inner & (depth < 2)]
    assert np.quantile(facing, 0.2) > 0.9  # smooth shading and painted relief turn them a little


def test_normals_face_the_camera_and_are_unit_vectors(renderer):
    sample = renderer.render(busy_scene(), view := seen_from(80.0), maps=True)
    length = np.linalg.norm(sample.maps.normals / 127.0, axis=2)
    seen = sample.maps.depth_m > 0
    assert np.allclose(length[seen], 1, atol=0.02) and not length[~seen].any()
    y, x = np.nonzero(seen & (sample.segmentation == OBJECT_CODE + 1))
    way = np.stack([x, y, np.ones_like(x)], 1) @ np.linalg.inv(view.camera.K).T
    assert (((sample.maps.normals[y, x] / 127) * way).sum(1) < 0.05).all()


def test_a_scene_may_be_moved_with_its_camera(renderer):
    """Where the world has its origin and its axes changes neither labels nor picture."""
    W = at(0.3, -1.2, 0.7, matrix_from_axis_angle(np.array([0.4, -0.9, 0.2])))
    hand, thing = hand_at((0.0, 0.0, 0.36)), thing_at("mug", at(0.05, 0.02, 0.45))
    moved = W @ np.block([[hand.rotations[0], hand.wrist_m[:, None]], [np.zeros(3), 1]])
    names = ("wrist_m", "joints_m", "model_m", "vertices_m")
    there = replace(
        hand,
        rotations=np.concatenate([moved[None, :3, :3], hand.rotations[1:]]),
        **{name: getattr(hand, name) @ W[:3, :3].T + W[:3, 3] for name in names},
    )
    sun = np.array([-0.3, -0.6, -0.7])
    here = only(hands=(hand,), objects=(thing,), lighting=even_light(sun, 0.5))
    other = only(
        hands=(there,),
        objects=(replace(thing, pose=W @ thing.pose),),
        lighting=even_light(W[:3, :3] @ sun, 0.5),
    )
    first = renderer.render(here, seen_from(150.0), maps=True)
    second = renderer.render(other, seen_from(150.0, T=np.linalg.inv(W)), maps=True)
    for one, two in zip((first.hands[0], first.objects[0]), (second.hands[0], second.objects[0]), strict=True):
        assert np.allclose(one.keypoints_px, two.keypoints_px, atol=1e-4)
    assert np.allclose(first.hands[0].rotations, second.hands[0].rotations, atol=1e-6)
    assert np.allclose(first.hands[0].vertices_m, second.hands[0].vertices_m, atol=1e-6)
    assert (first.segmentation == second.segmentation).mean() > 0.995
    assert first.hands[0].visible_ratio == pytest.approx(second.hands[0].visible_ratio, abs=0.01)
    assert np.abs(first.image.astype(int) - second.image).mean() < 1.5


def test_a_crop_of_whole_pixels_is_a_piece_of_the_image(renderer):
    scene, view = busy_scene(), seen_from(90.0, (96, 80), (-0.15, 0.02, 1e-3, 0, 0))
    whole = renderer.render(scene, view, maps=True)
    piece = renderer.render(scene, crop_view(view, Box(20, 12, 68, 60), 48), maps=True)
    part = np.s_[12:60, 20:68]
    assert (piece.segmentation == whole.segmentation[part]).mean() > 0.999
    assert (np.abs(piece.maps.depth_m - whole.maps.depth_m[part]) > 1e-3).mean() < 0.002
    assert np.allclose(piece.hands[0].keypoints_px, whole.hands[0].keypoints_px - [20, 12], atol=1e-6)
    assert np.array_equal(piece.hands[0].joints_m, whole.hands[0].joints_m)


@pytest.mark.parametrize("size_px", [24, 160])
def test_a_crop_sees_the_square_it_was_cut_from(size_px):
    view, square = seen_from(300.0, (640, 480), (-0.2, 0.05, 0, 0, 0)), Box(-30.5, 100.0, 269.5, 400.0)
    cut = crop_view(view, square, size_px).camera
    scale = size_px / 300
    assert (cut.width, cut.height) == (size_px, size_px)
    for corner, expected in (((-31.0, 99.5), -0.5), ((269.0, 399.5), size_px - 0.5)):
        own = cut.K @ np.linalg.inv(view.camera.K) @ [*corner, 1.0]
        assert own[:2] == pytest.approx([expected] * 2)
    assert cut.K[0, 0] == pytest.approx(300 * scale) and np.array_equal(cut.distortion, view.camera.distortion)


def test_each_thing_alone_is_its_outline_however_many_there_are(renderer):
    """Outlines are drawn four at a time."""
    places = [(x, y, 0.5 + 0.02 * x) for x in (-0.06, -0.02, 0.02, 0.06) for y in (-0.02, 0.02)][:6]
    things = tuple(ball_at(place) for place in places)
    hand, view = hand_at((0, 0, 0.4)), seen_from(200.0)
    together = renderer.render(only(hands=(hand,), objects=things), view, maps=True)
    assert together.maps.object_amodal.shape == (6, 96, 96)
    for k, thing in enumerate(things):
        alone = renderer.render(only(objects=(thing,)), view, maps=True)
        assert np.array_equal(together.maps.object_amodal[k], alone.segmentation == OBJECT_CODE)
        assert not ((together.segmentation == OBJECT_CODE + k) & ~together.maps.object_amodal[k]).any()
    bare = renderer.render(only(hands=(hand,)), view, maps=True)
    assert np.array_equal(together.maps.hand_amodal, bare.maps.hand_amodal)


def test_the_order_of_things_changes_their_numbers_alone(renderer):
    things = tuple(thing_at(name, at(x, 0.01, 0.45)) for name, x in (("mug", -0.05), ("can", 0.0), ("box", 0.06)))
    view = seen_from(150.0)
    first, second = (renderer.render(only(objects=order), view) for order in (things, things[::-1]))
    assert np.array_equal(first.image, second.image)
    assert [thing.object_id for thing in second.objects] == [thing.object_id for thing in first.objects][::-1]
    swapped = np.where(first.segmentation > 0, 2 * OBJECT_CODE + 2 - first.segmentation.astype(int), 0)
    assert (swapped == second.segmentation).mean() > 0.999


def test_a_scene_of_very_many_triangles_leaves_the_next_one_as_it_was(renderer):
    view, small = seen_from(150.0), busy_scene()
    before = renderer.render(small, view)
    names = sorted(catalogue())
    crowd = tuple(thing_at(names[k % len(names)], at(0.02 * (k % 8 - 4), 0.02 * (k // 8), 0.6)) for k in range(60))
    assert len(stage(only(clutter=crowd), [view]).geometry.vertices) > 60_000  # more than is kept ready
    full = renderer.render(only(clutter=crowd), view)
    assert (full.segmentation == OTHER_CODE).mean() > 0.1
    assert np.array_equal(renderer.render(small, view).image, before.image)


def test_where_nothing_is_there_is_the_background_alone(renderer):
    sample = renderer.render(only(), seen_from(100.0, (40, 30)), maps=True)
    assert not sample.segmentation.any() and not sample.maps.depth_m.any() and not sample.maps.normals.any()
    assert np.array_equal(sample.image, sample.maps.deoccluded) and sample.image.any()
    assert sample.hands == sample.objects == () and sample.maps.hand_amodal.shape == (0, 30, 40)


def test_more_light_is_a_brighter_thing_before_the_same_background(renderer):
    ball, view = ball_at((0, 0, 0.4), 0.05), seen_from(200.0)
    dim, bright = (
        renderer.render(only(objects=(ball,), lighting=even_light(around=level)), view) for level in (0.2, 0.8)
    )
    inner = cv2.erode((dim.segmentation > 0).astype(np.uint8), np.ones((5, 5))) > 0
    outer = cv2.dilate((dim.segmentation > 0).astype(np.uint8), np.ones((9, 9))) == 0
    ratio = (bright.image[inner].astype(float).mean() / dim.image[inner].mean()) ** 2
    assert ratio == pytest.approx(4, rel=0.1) and np.array_equal(dim.image[outer], bright.image[outer])
