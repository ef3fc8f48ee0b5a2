from dataclasses import replace

import cv2
import numpy as np
import pytest

from prehend.conventions import MIRROR
from prehend.hand_model import load_hand_model, skin
from prehend.types import Camera
from prehend_training.inspect.samples import contact_sheet
from prehend_training.objects import catalogue
from prehend_training.sample import HAND_CODE, OBJECT_CODE, OTHER_CODE
from prehend_training.scenes.appearance.lighting import sample_lighting
from prehend_training.scenes.camera.effects import sample_effects
from prehend_training.scenes.camera.lens import pixels
from prehend_training.scenes.layout.sampling import sample_scene, sample_view
from prehend_training.scenes.layout.scene import Scene, SceneCamera, plain_thing
from prehend_training.scenes.layout.surroundings import random_rotation
from prehend_training.scenes.people.clothing import Outfit
from prehend_training.scenes.render.render import SceneRenderer, crop_sample, frame_sample

SIZE = 128


@pytest.fixture(scope="module")
def crops(renderer):
    return [crop_sample(renderer, 7, index, SIZE) for index in range(24)]


def bare_scene(seed, side="right"):
    """One empty hand and nothing else, seen by the camera it was made for."""
    for k in range(50):
        rng = np.random.default_rng([seed, k])
        view = sample_view(rng, SIZE, SIZE)
        scene = sample_scene(rng, "crop", view)
        if scene.hands[0].object_index is None:
            hand = replace(scene.hands[0], side=side, outfit=Outfit(scene.hands[0].outfit.skin))
            return replace(scene, hands=(hand,), objects=(), strangers=(), clutter=(), scenery=(), table=None), view
    raise AssertionError("no bare hand in 50 scenes")


def thing_scene(object_id, seed):
    rng = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = random_rotation(rng), (0.02, -0.01, 0.6)
    thing = plain_thing(catalogue()[object_id], pose, np.full(3, 0.5))
    return Scene((), (), (), (thing,), (), None, sample_lighting(rng), seed)


def centred(focal=300.0, size=SIZE):
    K = np.array([[focal, 0, (size - 1) / 2], [0, focal, (size - 1) / 2], [0, 0, 1.0]])
    return SceneCamera(Camera(K, size, size), np.eye(4), sample_effects(np.random.default_rng(0)))


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def test_joints_of_a_bare_hand_lie_on_its_skin(renderer):
    for seed in range(6):
        scene, view = bare_scene(seed, ("left", "right")[seed % 2])
        sample = renderer.render(scene, view)
        around = cv2.dilate((sample.segmentation == HAND_CODE).astype(np.uint8), np.ones((3, 3), np.uint8))
        places = np.round(sample.hands[0].keypoints_px).astype(int)
        inside = (places >= 0).all(1) & (places < SIZE).all(1)
        assert inside.sum() > 5
        assert around[places[inside, 1], places[inside, 0]].all()


def test_labels_are_the_hand_model_in_the_camera_frame(crops):
    for sample in crops:
        hand = sample.hands[0]
        model = load_hand_model(side=hand.side)
        posed = skin(model, hand.rotations, hand.betas)
        shift = hand.joints_m[0] - posed.joints[0]
        assert np.allclose(posed.joints + shift, hand.joints_m, atol=1e-5)
        assert np.allclose(posed.vertices + shift, hand.vertices_m, atol=1e-5)
        assert np.allclose(np.linalg.det(hand.rotations), 1, atol=1e-4)


def test_keypoints_are_the_projected_joints_and_the_crop_is_of_the_promised_size(crops):
    for sample in crops:
        hand = sample.hands[0]
        assert np.allclose(pixels(hand.joints_m, sample.camera), hand.keypoints_px, atol=1e-6)
        longer = max(hand.box_px[2:] - hand.box_px[:2])
        assert 1.55 < SIZE / longer < 2.15
        assert sample.image.shape == (SIZE, SIZE, 3)
        assert sample.camera.K[0, 0] == pytest.approx(sample.camera.K[1, 1], rel=0.03)


def test_visible_joints_are_in_the_picture_and_on_the_hand(crops):
    for sample in crops:
        hand = sample.hands[0]
        places = np.floor(hand.keypoints_px[hand.visible] + 0.5).astype(int)
        assert ((places >= 0) & (places < SIZE)).all()
        around = cv2.dilate((sample.segmentation == HAND_CODE).astype(np.uint8), np.ones((3, 3), np.uint8))
        assert around[places[:, 1], places[:, 0]].all()
    assert 0.3 < np.mean([hand.visible.mean() for sample in crops for hand in sample.hands]) < 0.99


def test_what_is_covered_is_not_visible(renderer):
    scene, view = bare_scene(3)
    bare = renderer.render(scene, view).hands[0]
    assert bare.visible_ratio > 0.7 and bare.visible.any()
    middle = bare.joints_m.mean(0)
    pose = np.eye(4)
    pose[:3, 3] = middle * (0.5 + 0.01 / middle[2])
    wall = catalogue()["box"].stretched(np.array([20.0, 20.0, 0.05]))
    thing = plain_thing(wall, pose, np.full(3, 0.5))
    covered = renderer.render(replace(scene, clutter=(thing,)), view)
    assert not covered.hands[0].visible.any()
    assert covered.hands[0].visible_ratio == 0
    assert (covered.segmentation == OTHER_CODE).mean() > 0.5


@pytest.mark.parametrize("object_id", ["box", "can", "phone", "ball"])
def test_a_convex_thing_covers_its_projected_hull(renderer, object_id):
    scene, view = thing_scene(object_id, 5), centred(500.0)
    mask = renderer.render(scene, view).segmentation == OTHER_CODE
    thing = scene.clutter[0]
    points = pixels(thing.solid.mesh().vertices @ thing.pose[:3, :3].T + thing.pose[:3, 3], view.camera)
    hull = np.zeros((SIZE, SIZE), np.uint8)
    outline = cv2.convexHull(points.astype(np.float32))
    cv2.fillConvexPoly(hull, np.round(outline * 16).astype(np.int32), 1, shift=4)
    assert overlap(mask, hull > 0) > 0.93


def test_a_left_hand_is_a_right_hand_in_the_mirror(renderer):
    scene, _ = bare_scene(11)
    view = centred(150.0)
    other = replace(scene, hands=(replace(scene.hands[0], side="left"),))
    right, left = (renderer.render(s, view) for s in (scene, other))
    assert np.allclose(left.hands[0].joints_m, right.hands[0].joints_m @ MIRROR)
    assert np.allclose(left.hands[0].keypoints_px[:, 0], SIZE - 1 - right.hands[0].keypoints_px[:, 0])
    assert overlap(left.segmentation[:, ::-1] == HAND_CODE, right.segmentation == HAND_CODE) > 0.97
    assert (left.hands[0].visible == right.hands[0].visible).mean() > 0.9


def test_same_numbers_same_sample(renderer):
    for make in (crop_sample, frame_sample):
        first, second = (make(r, 4, 9) for r in (renderer, SceneRenderer()))
        assert np.array_equal(first.image, second.image)
        assert np.array_equal(first.segmentation, second.segmentation)
        assert len(first.hands) == len(second.hands)
        assert not np.array_equal(first.image, make(renderer, 4, 10).image)


def test_held_things_touch_and_are_in_the_segmentation(crops):
    held = [(sample, sample.hands[0]) for sample in crops if sample.hands[0].grasp]
    assert 4 < len(held) < 20
    solids = catalogue()
    for sample, hand in held:
        label = sample.held(hand)
        assert np.linalg.det(label.T_camera_object[:3, :3]) == pytest.approx(1)
        if label.object_id != "bottle":  # some bottles have a form of their own
            solid = solids[label.object_id]
            solid = solid.stretched(label.extents_m / solid.extents_m)
            local = (hand.vertices_m - label.T_camera_object[:3, 3]) @ label.T_camera_object[:3, :3]
            assert -0.0051 < solid.distance(local, filled=True).min() < 0.003
        assert np.allclose(pixels(label.control_points_m, sample.camera), label.keypoints_px)
    assert np.mean([(sample.segmentation == OBJECT_CODE).any() for sample, _ in held]) > 0.8
    assert all(sample.held(hand) is None for sample in crops for hand in sample.hands if not hand.grasp)


def test_frames_have_up_to_two_hands_and_sheets_show_them(renderer):
    frames = [frame_sample(renderer, 2, index, 160) for index in range(12)]
    counts = [len(frame.hands) for frame in frames]
    assert set(counts) <= {0, 1, 2} and len(set(counts)) > 1
    assert all(frame.image.shape == (120, 160, 3) for frame in frames)
    sheet = contact_sheet(frames, 5)
    assert sheet.shape == (3 * 240, 5 * 320, 3)
    assert not np.array_equal(sheet[:240, :320], contact_sheet(frames[:1], 1, labels=())) or not counts[0]
