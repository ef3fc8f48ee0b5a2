import numpy as np
import pytest
import yaml

from prehend.errors import AssetError
from prehend_training.scenes.grasp import (
    DEEPEST_M,
    TOUCH_M,
    digits_in_touch,
    holds,
    pooled_grasp,
    vertex_distances,
)
from prehend_training.scenes.objects import CATALOGUE, catalogue, random_bottle, read_solid
from prehend_training.scenes.sampling import sample_scene, sample_view
from prehend_training.scenes.scene import mirror_rotation, mirror_thing_pose, true_points
from prehend_training.scenes.surroundings import random_rotation


@pytest.mark.parametrize("object_id", sorted(catalogue()))
def test_the_catalogue_tells_the_truth_about_sizes(object_id):
    solid = catalogue()[object_id].stretched(np.array([1.2, 1.2, 0.8]))
    vertices = solid.mesh().vertices
    low, high = vertices.min(0), vertices.max(0)
    assert np.allclose(high - low, solid.extents_m, atol=1e-3)
    assert np.allclose((high + low) / 2, solid.center_m, atol=1e-3)


@pytest.mark.parametrize("object_id", sorted(catalogue()))
def test_distance_is_signed_and_grows_like_distance(object_id):
    solid = catalogue()[object_id]
    mesh = solid.mesh()
    surface = solid.distance(mesh.vertices)
    assert surface.max() < 1e-3  # nothing drawn lies outside of what is felt
    assert (solid.distance(mesh.vertices + 0.5 * np.sign(mesh.vertices + 1e-9)) > 0.3).all()
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 0.06, (2, 500, 3))
    assert (np.abs(solid.distance(a) - solid.distance(b)) <= np.linalg.norm(a - b, axis=1) + 1e-9).all()
    assert solid.distance(np.zeros((1, 3)))[0] < 0


def test_random_bottles_are_turned_bodies_of_their_size():
    for seed in range(5):
        solid = random_bottle(np.random.default_rng(seed))
        vertices = solid.mesh().vertices
        assert np.allclose(np.ptp(vertices, axis=0), solid.extents_m, atol=1e-3)
        assert np.abs(solid.distance(vertices)).max() < 1e-9
        turned = vertices @ np.array([[0.6, 0.8, 0], [-0.8, 0.6, 0], [0, 0, 1]])
        assert np.abs(solid.distance(turned)).max() < 1e-9


def test_a_file_without_its_keys_is_refused(tmp_path):
    entry = yaml.safe_load((CATALOGUE / "box.yaml").read_text())
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in entry.items() if key != "extents_m"}))
    with pytest.raises(AssetError, match="extents_m"):
        read_solid(path)
    path.write_text(yaml.safe_dump(entry | {"parts": [{"kind": "teapot"}]}))
    with pytest.raises(AssetError, match="teapot"):
        read_solid(path)


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


def test_grasps_touch_and_do_not_pierce():
    found = [pooled_grasp(number) for number in range(12)]
    assert sum(entry is not None for entry in found) >= 10
    for entry in found:
        if entry is None:
            continue
        _, grasp = entry
        assert holds(grasp)
        assert vertex_distances(grasp).min() >= -DEEPEST_M
        assert sum(distance < TOUCH_M for distance in digits_in_touch(grasp).values()) >= 2


def test_near_things_touch_no_empty_hand():
    checked = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        scene = sample_scene(rng, "crop", sample_view(rng))
        hand = scene.hands[0]
        assert hand.object_index is None or not scene.clutter
        for thing in scene.clutter:
            points = (true_points(hand, hand.vertices_m) - thing.pose[:3, 3]) @ thing.pose[:3, :3]
            assert thing.solid.distance(points).min() > 0
            checked += 1
    assert checked > 0
