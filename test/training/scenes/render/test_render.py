from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import pytest

from prehend.geometry.camera import plane_from_pixels, project
from prehend.types import Camera
from prehend_training.objects import catalogue
from prehend_training.sample import HAND_CODE, OBJECT_CODE, FrameId
from prehend_training.scenes.appearance.lighting import sample_lighting
from prehend_training.scenes.appearance.patterns import Gallery
from prehend_training.scenes.camera.effects import CameraEffects
from prehend_training.scenes.layout.posing import place_hand, pose_hand
from prehend_training.scenes.layout.sampling import sample_scene, sample_view
from prehend_training.scenes.layout.scene import Scene, SceneCamera, Table, plain_thing
from prehend_training.scenes.people.body import Arm
from prehend_training.scenes.people.clothing import sample_outfit
from prehend_training.scenes.people.gestures import gesture_angles
from prehend_training.scenes.render.render import SceneRenderer, crop_sample
from prehend_training.scenes.render.timing import PARTS, time_parts
from prehend_training.transforms import rigid

SIZE = 128
CLEAN = CameraEffects()
BENT = (
    ("plumb_bob", [-0.32, 0.12, 0.004, -0.003, -0.01]),
    ("rational_polynomial", [0.3, -0.15, 0.001, 0.002, 0.01, 0.6, -0.1, 0.01]),
    ("equidistant", [-0.05, 0.02, -0.01, 0.003]),
)


@pytest.fixture(scope="module")
def crops(renderer):
    return [crop_sample(renderer, 7, index, SIZE, maps=True) for index in range(16)]


def camera(focal=110.0, model="plumb_bob", distortion=()):
    K = np.array([[focal, 0, SIZE / 2 - 3], [0, focal, SIZE / 2 + 2], [0, 0, 1.0]])
    return Camera(K, SIZE, SIZE, np.array(distortion), model)


def seen_by(camera):
    return SceneCamera(camera, np.eye(4), CLEAN)


def empty_scene(**parts):
    nothing = Scene((), (), (), (), (), None, sample_lighting(np.random.default_rng(1)), 3)
    return replace(nothing, **parts)


def placed(x, y, z):
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def slanted_table(half_m=0.7):
    pose = placed(0.05, 0.1, 0.7)
    pose[:3, :3] = cv2.Rodrigues(np.array([2.2, 0.3, 0.1]))[0]
    return Table(pose, half_m, -1, 1.0, np.full(3, 0.5))


@lru_cache
def held_scenes(count):
    """Scenes in which the only hand holds something, without strangers, seen by a camera without noise."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng([9, seed])
        view = sample_view(rng, SIZE, SIZE)
        scene = sample_scene(rng, "crop", view)
        if scene.hands[0].object_index is not None and len(scene.objects) == 1:
            distance = float(np.linalg.norm(scene.hands[0].joints_m.mean(0)))
            K = view.camera.K.copy()
            K[:2, :2] *= 2.2 * distance / (K[0, 0] / SIZE)
            place = scene.hands[0].joints_m.mean(0) * [1 if scene.hands[0].side == "right" else -1, 1, 1]
            K[:2, 2] = SIZE / 2 - (K[:2, :2] @ place[:2]) / place[2]
            noisy = CameraEffects(read_noise=0.01, shot_noise=0.02, blur_px=0.3, seed=seed)
            found.append((replace(scene, strangers=()), SceneCamera(Camera(K, SIZE, SIZE), np.eye(4), noisy)))
        if len(found) == count:
            return found
    raise AssertionError("too few grasps")


def test_the_twin_is_the_picture_without_the_objects(renderer):
    for scene, view in held_scenes(5):
        sample = renderer.render(scene, view, maps=True)
        bare = renderer.render(replace(scene, objects=(), hands=(replace(scene.hands[0], object_index=None),)), view)
        twin, image = sample.maps.deoccluded.astype(int), sample.image.astype(int)
        assert np.abs(twin - bare.image).mean() < 1.5
        thing = sample.maps.object_amodal[0]
        assert np.abs(twin - image)[thing].max() > 30
        hidden = thing & (sample.segmentation == OBJECT_CODE) & (bare.segmentation == HAND_CODE)
        if hidden.sum() > 20:
            assert np.abs(twin - bare.image)[hidden].mean() < 4


def test_where_neither_an_object_nor_its_shadow_is_the_twin_is_the_same_to_the_bit(renderer):
    for scene, view in held_scenes(5):
        lit = replace(scene.lighting, sun_colour=np.zeros(3))  # no shadows
        sample = renderer.render(replace(scene, lighting=lit), view, maps=True)
        depth_px = float(view.camera.K[0, 0]) / sample.maps.depth_m[sample.maps.object_amodal[0]].min()
        reach = int(0.12 * depth_px) + 4  # corners it makes darker, blur
        near = cv2.dilate(sample.maps.object_amodal[0].astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0
        assert np.array_equal(sample.image[~near], sample.maps.deoccluded[~near])


def test_without_objects_twin_and_picture_are_one(crops):
    bare = [sample for sample in crops if not sample.objects]
    assert bare
    for sample in bare:
        assert np.array_equal(sample.image, sample.maps.deoccluded)


def test_outlines_of_things_alone_hold_what_is_seen_of_them(crops):
    for sample in crops:
        for k, alone in enumerate(sample.maps.object_amodal):
            assert not ((sample.segmentation == OBJECT_CODE + k) & ~alone).any()
        alone = sample.maps.hand_amodal[0]
        assert (alone & (sample.segmentation == HAND_CODE)).sum() >= sample.hands[0].visible_ratio * alone.sum() * 0.97
    hidden = [
        (sample.maps.object_amodal[0] & (sample.segmentation == HAND_CODE)).any() for sample in crops if sample.objects
    ]
    assert any(hidden)


@pytest.mark.parametrize(("model", "distortion"), [("plumb_bob", []), *BENT])
def test_depth_and_normals_are_those_of_the_plane_that_rays_meet(renderer, model, distortion):
    view = seen_by(camera(model=model, distortion=distortion))
    table = slanted_table()
    maps = renderer.render(empty_scene(table=table), view, maps=True).maps
    normal, point = table.pose[:3, 2], table.pose[:3, 3]
    y, x = np.mgrid[4:SIZE:9, 4:SIZE:9]
    rays = np.concatenate(
        [plane_from_pixels(np.stack([x, y], -1).astype(float), view.camera), np.ones((*x.shape, 1))], -1
    )
    depth = (point @ normal) / (rays @ normal)
    seen = (maps.depth_m[y, x] > 0) & (depth > 0) & (depth < 1.5)
    assert seen.mean() > 0.4
    # between vertices a bent plane is drawn straight
    assert np.abs(maps.depth_m[y, x] / depth - 1)[seen].max() < (0.015 if distortion else 0.0005)
    facing = normal if normal[2] < 0 else -normal
    assert np.abs(maps.normals[y, x][seen] / 127 - facing).max() < 0.02


def test_depth_of_a_box_is_its_front(renderer):
    box = plain_thing(catalogue()["box"], placed(0, 0, 0.5), np.full(3, 0.5))
    sample = renderer.render(empty_scene(objects=(box,)), seen_by(camera(400.0)), maps=True)
    solid = box.solid
    front = 0.5 + solid.center_m[2] - solid.extents_m[2] / 2
    inside = cv2.erode(sample.maps.object_amodal[0].astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    assert inside.any()
    assert np.abs(sample.maps.depth_m[inside] - front).max() < 0.002
    assert (np.abs(sample.maps.normals[inside] - [0, 0, -127]) <= 3).all()


@pytest.mark.parametrize(("model", "distortion"), BENT)
def test_pixels_are_where_a_distorted_camera_projects_them(renderer, model, distortion):
    bent = camera(90.0, model, distortion)
    ball = catalogue()["ball"]
    small = ball.stretched(0.02 / ball.extents_m)
    straight = replace(bent, distortion=np.zeros(0))
    moved = []
    for x in (-0.3, -0.1, 0.15, 0.3):
        for y in (-0.28, 0.02, 0.27):
            place = np.array([x, y, 0.6])
            scene = empty_scene(objects=(plain_thing(small, placed(*place), np.ones(3)),))
            mask = renderer.render(scene, seen_by(bent), maps=True).maps.object_amodal[0]
            expected = project(place - small.center_m * 0, bent)
            middle = np.argwhere(mask).mean(0)[::-1]
            assert np.linalg.norm(middle - expected) < 0.5
            moved.append(np.linalg.norm(expected - project(place, straight)))
    assert max(moved) > 3


def test_labels_of_a_distorted_camera_are_its_projections(renderer):
    scene, view = held_scenes(5)[0]
    bent = replace(view, camera=replace(view.camera, distortion=np.array([-0.2, 0.05, 0.001, 0.001, 0.0])))
    label = renderer.render(scene, bent).hands[0]
    assert np.allclose(label.keypoints_px, project(label.joints_m, bent.camera), atol=1e-6)


def test_vertices_of_a_part_are_counted_and_what_hides_them_takes_them_away(renderer, crops):
    for sample in crops:
        hand = sample.hands[0]
        assert (hand.part_visible <= hand.part_vertices).all()
        assert hand.part_vertices.sum() == len(hand.vertices_m)
    shares = [sample.hands[0].part_visible / sample.hands[0].part_vertices for sample in crops]
    assert 0.4 < np.mean(shares) < 0.95 and np.max(shares) > 0.97
    scene, view = held_scenes(5)[0]
    scene = replace(scene, clutter=())
    free = renderer.render(scene, view).hands[0]
    joints = free.joints_m
    near = joints[:, 2].min() - 0.08
    wall = catalogue()["box"].stretched(np.array([4.0, 4.0, 0.02]))
    edge = joints.mean(0) / joints[:, 2].mean() * near
    half = plain_thing(wall, placed(edge[0] + wall.extents_m[0] / 2, edge[1], near), np.full(3, 0.4))
    covered = renderer.render(replace(scene, clutter=(half,)), view).hands[0]
    assert 0 < covered.part_visible.sum() < 0.8 * free.part_visible.sum()
    assert covered.visible_ratio < free.visible_ratio


def test_a_flat_hand_shows_every_part_and_a_fist_seen_from_the_back_hides_its_fingertips(renderer):
    facing = np.array([[0, 0, -1.0], [1, 0, 0], [0, -1, 0]])
    shown = {}
    for name in ("spread", "fist"):
        posed = pose_hand(gesture_angles(name), np.zeros(10))
        pose = rigid(facing, np.array([0, 0, 0.35]) - facing @ posed.joints.mean(0))
        hand = place_hand(posed, "right", pose, Arm(np.zeros(3), np.zeros(3)), sample_outfit(np.random.default_rng(4)))
        shown[name] = renderer.render(empty_scene(hands=(hand,)), seen_by(camera(150.0))).hands[0]
    flat = shown["spread"].part_visible / shown["spread"].part_vertices
    assert flat.min() > 0.93 and not shown["spread"].occluded_parts("paper").any()
    fist = shown["fist"].part_visible / shown["fist"].part_vertices
    assert fist[:5].max() < flat[:5].min() and shown["fist"].occluded_parts("paper")[:5].sum() >= 3
    assert shown["fist"].visible_ratio > 0.99  # nothing but the hand itself hides it


def test_same_numbers_same_maps(renderer):
    first, second = (crop_sample(r, 4, 9, SIZE, maps=True) for r in (renderer, SceneRenderer()))
    for name in ("deoccluded", "hand_amodal", "object_amodal", "depth_m", "sensor_depth_mm", "normals", "albedo"):
        assert np.array_equal(getattr(first.maps, name), getattr(second.maps, name)), name
    plain = crop_sample(renderer, 4, 9, SIZE)
    assert plain.maps is None
    assert np.array_equal(plain.image, first.image)
    assert plain.hands[0].visible_ratio == first.hands[0].visible_ratio


def test_cameras_of_one_instant_agree_about_the_world(renderer):
    scene, view = held_scenes(5)[0]
    middle = scene.objects[0].pose[:3, 3]
    around = np.eye(4)
    around[:3, :3] = cv2.Rodrigues(np.array([0.0, 0.6, 0.0]))[0]
    around[:3, 3] = middle - around[:3, :3] @ middle
    views = [view, replace(view, T_camera_world=around, name="side")]
    samples = renderer.render_views(scene, views, FrameId("scenes", 1, 2), maps=True)
    assert [sample.frame_id.view for sample in samples] == ["cam0", "side"]
    alone = renderer.render(scene, view, FrameId("scenes", 1, 2), maps=True)
    assert np.array_equal(alone.image, samples[0].image)
    worlds = []
    for sample in samples:
        back = np.linalg.inv(sample.T_camera_world)
        worlds.append(sample.hands[0].joints_m @ back[:3, :3].T + back[:3, 3])
        assert (sample.segmentation == OBJECT_CODE).any()
    assert np.allclose(*worlds)


def test_a_thing_casts_a_shadow_on_the_table(renderer):
    table = Table(placed(0, 0, 0.8), 2.0, -1, 1.0, np.full(3, 0.6))
    table.pose[:3, :3] = np.diag([1.0, -1.0, -1.0])
    light = sample_lighting(np.random.default_rng(2))
    light = replace(
        light, sun=np.array([-0.5, 0, -0.866]), sun_colour=np.ones(3), ambient=0.2 * light.ambient, follow=0.0
    )
    ball = plain_thing(catalogue()["ball"], placed(0, 0, 0.6), np.full(3, 0.5))
    sample = renderer.render(
        empty_scene(objects=(ball,), table=table, lighting=light), seen_by(camera(200.0)), maps=True
    )
    brightness = sample.image.mean(2)
    shade = project(np.array([0.2 * 0.5 / 0.866, 0, 0.8]), sample.camera).astype(int)
    across = SIZE - 1 - shade[0]
    assert brightness[shade[1], shade[0]] < 0.7 * brightness[shade[1], across]
    assert sample.maps.deoccluded.mean(2)[shade[1], shade[0]] > 0.9 * brightness[shade[1], across]


def test_every_part_of_the_work_is_timed(renderer):
    table = time_parts(renderer, 2, SIZE)
    assert set(table) == {*PARTS, "whole"}
    assert table["draw"] > 0 and table["geometry"] > 0 and table["whole"] > table["draw"]
    assert not renderer.clock.running


def test_backgrounds_are_the_same_for_the_same_numbers_and_differ_else():
    gallery = Gallery()
    pictures = [gallery.background(np.random.default_rng(seed), 48, 64) for seed in (*range(6), 0)]
    assert all(picture.shape == (48, 64, 3) and picture.dtype == np.uint8 for picture in pictures)
    assert np.array_equal(pictures[0], pictures[-1])
    assert len({picture.tobytes() for picture in pictures}) == 6
