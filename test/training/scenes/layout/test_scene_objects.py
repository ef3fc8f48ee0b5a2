import numpy as np
import pytest

from prehend_training.objects import catalogue
from prehend_training.scenes.layout.sampling import sample_scene, sample_view
from prehend_training.scenes.layout.scene import mirror_rotation, mirror_thing_pose, true_points
from prehend_training.scenes.layout.surroundings import random_rotation


def test_the_mirror_is_rigid_and_undoes_itself():
    rng = np.random.default_rng(1)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = random_rotation(rng), rng.normal(size=3)
    mirrored = mirror_thing_pose(pose)
    assert np.linalg.det(mirrored[:3, :3]) == pytest.approx(1)
    assert np.allclose(mirror_thing_pose(mirrored), pose)
    assert np.allclose(mirror_rotation(mirror_rotation(pose[:3, :3])), pose[:3, :3])
    mug = catalogue()["mug"]  # what lies on it still does in the mirror
    points = rng.normal(0, 0.05, (50, 3))
    places = points @ pose[:3, :3].T + pose[:3, 3]
    seen = (places * [-1, 1, 1] - mirrored[:3, 3]) @ mirrored[:3, :3]
    assert np.allclose(mug.distance(seen), mug.distance(points))


def test_near_things_touch_no_empty_hand():
    checked = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        scene = sample_scene(rng, "crop", sample_view(rng))
        hand = scene.hands[0]
        if scene.strangers or hand.object_index is not None:  # what strangers hold is clutter too
            continue
        for thing in scene.clutter:
            points = (true_points(hand, hand.vertices_m) - thing.pose[:3, 3]) @ thing.pose[:3, :3]
            assert thing.solid.distance(points).min() > 0
            checked += 1
    assert checked > 0
