"""Records, their mirror images and their views: 2D and 3D labels tell of the same, whatever is done to them."""

from dataclasses import replace

import numpy as np
import pytest
from fake import fake_film, fake_moment, fake_sample, project

from prehend.conventions import MIRROR
from prehend.geometry.camera import project as library_project
from prehend.types import Box, Camera
from prehend_training.data.records import CROP_HANDS, FRAME_HANDS, of_hand, record_of
from prehend_training.data.views import (
    ViewConfig,
    apply_affine,
    crop_projection,
    draw_box,
    draw_turn,
    mirror,
    mirror_left,
    mirror_right,
    view_of,
)
from prehend_training.sample import HAND_CODE, OBJECT_CODE

SAMPLES = {
    "crop": fake_sample(3, 0),
    "crop with object": next(s for s in (fake_sample(3, k) for k in range(20)) if s.hands[0].grasp),
    "frame": next(s for s in (fake_sample(3, k, "frames") for k in range(20)) if len(s.hands) == 2),
    "film": next(iter(fake_film(3, 1, 4))),
    "moment": next(iter(fake_moment(3, 0))),
}


def of(name, hands=FRAME_HANDS):
    return record_of(SAMPLES[name], hands)


def check_projections(record):
    """Labels in space, projected, are those in the image."""
    for row in range(int(record["hand_count"])):
        np.testing.assert_allclose(
            project(record["joints_m"][row], record["K"]), record["keypoints_px"][row], atol=0.05
        )
        if record["has_object"][row]:
            points = project(record["object_points_m"][row], record["K"])
            np.testing.assert_allclose(points, record["object_keypoints_px"][row], atol=0.1)


@pytest.mark.parametrize("name", SAMPLES)
def test_labels_in_space_project_on_those_in_the_image(name):
    check_projections(of(name))


@pytest.mark.parametrize(
    ("model", "distortion"),
    [("plumb_bob", [-0.3, 0.1, 1e-3, -1e-3, 0.0]), ("equidistant", [-0.1, 0.02, 0.0, 0.0]), ("plumb_bob", [])],
)
def test_a_lens_bends_what_is_held_as_it_bends_the_hand(model, distortion):
    """As wide cameras of whole images do: all labels lie where the image shows them."""
    sample = SAMPLES["crop with object"]
    K = np.array([[300.0, 0, 30], [0, 300, 20], [0, 0, 1]])
    camera = Camera(K, 160, 160, np.array(distortion), model)
    (thing,) = sample.objects
    bent = replace(thing, keypoints_px=library_project(thing.control_points_m, camera))
    record = record_of(replace(sample, camera=camera, objects=(bent,)), 1)
    np.testing.assert_allclose(record["object_keypoints_px"][0, 0], bent.keypoints_px, atol=1e-3)
    assert not distortion or np.abs(project(thing.control_points_m, K) - bent.keypoints_px).max() > 0.5


@pytest.mark.parametrize("name", SAMPLES)
def test_so_do_those_of_the_mirror_image(name):
    record = of(name)
    mirrored = mirror(record)
    check_projections(mirrored)
    count = int(record["hand_count"])
    assert (mirrored["side"][:count] != record["side"][:count]).all()
    assert np.array_equal(mirrored["image"], record["image"][:, ::-1])
    for row in range(count):  # the drawn joint is where the label says, in the mirror too
        x, y = np.rint(mirrored["keypoints_px"][row]).astype(int).T
        inside = (x > 1) & (y > 1) & (x < record["image"].shape[1] - 2) & (y < record["image"].shape[0] - 2)
        assert (mirrored["segmentation"][y[inside], x[inside]] > 0).all()


@pytest.mark.parametrize("name", SAMPLES)
def test_mirroring_does_not_touch_the_record_itself(name):
    record = of(name)
    kept = {key: np.array(value) for key, value in record.items()}
    mirror(record)
    assert all(np.array_equal(record[key], value) for key, value in kept.items())


def test_one_side_is_mirrored_and_the_other_left():
    for seed in range(6):
        record = record_of(fake_sample(4, seed), CROP_HANDS)
        right, left = mirror_left(record), mirror_right(record)
        assert right["side"][0] == 1 and left["side"][0] == 0
        assert (right is record) != (left is record)


def test_rotations_of_the_mirror_image_are_rotations_that_pose_its_joints():
    record = of("frame")
    mirrored = mirror(record)
    np.testing.assert_allclose(np.linalg.det(mirrored["rotations"][:2]), 1, atol=1e-5)
    np.testing.assert_allclose(mirrored["rotations"], MIRROR @ record["rotations"] @ MIRROR, atol=1e-6)


@pytest.mark.parametrize("row", [0, 1])
def test_a_record_of_one_hand_is_that_of_a_sample_with_this_hand_alone(row):
    sample = SAMPLES["frame"]
    one = of_hand(of("frame"), row)
    alone = record_of(replace(sample, hands=(sample.hands[row],), maps=None), 1)
    assert one["hand_count"] == 1
    for name in (
        "side",
        "rotations",
        "joints_m",
        "keypoints_px",
        "visible",
        "grasp",
        "object_keypoints_px",
        "has_pose",
    ):
        assert np.array_equal(one[name], alone[name]), name
    shown = sample.segmentation == HAND_CODE + row
    assert np.array_equal(one["segmentation"] == HAND_CODE, shown)
    if sample.held(sample.hands[row]) is not None:
        held = sample.segmentation == OBJECT_CODE + sample.hands[row].object_index
        assert np.array_equal(one["segmentation"] == OBJECT_CODE, held)


def test_more_hands_than_there_is_room_for_are_left_out():
    record = of("frame", 1)
    assert record["hand_count"] == 1 and len(record["joints_m"]) == 1


def test_an_image_without_hands_is_a_record():
    record = record_of(replace(SAMPLES["frame"], hands=()), FRAME_HANDS)
    assert record["hand_count"] == 0 and not record["joints_m"].any() and not record["has_pose"].any()
    mirror(record)


def test_what_is_not_known_is_zero_and_said_so():
    bare = replace(SAMPLES["crop"].hands[0], rotations=None, betas=None, grasp=None)
    record = record_of(replace(SAMPLES["crop"], hands=(bare,)), 1)
    assert not record["has_pose"][0] and not record["rotations"].any() and not record["betas"].any()
    assert not record["has_grasp"][0] and not record["grasp"].any()


WIDE = ViewConfig(turn_p=1.0)


def drawn_view(seed, size_px=96):
    """A view of a random camera's image of points around a place, and those points."""
    rng = np.random.default_rng(seed)
    size = (160, 120)
    K = np.array([[rng.uniform(100, 400), 0, rng.uniform(-50, 200)], [0, 0, rng.uniform(-50, 200)], [0, 0, 1]])
    K[1, 1] = K[0, 0]
    middle = np.linalg.solve(K, [*rng.uniform((30, 30), (130, 90)), 1.0]) * 0.6
    points = middle + rng.uniform(-0.05, 0.05, (21, 3))
    turn = draw_turn(size, WIDE, rng)
    box = draw_box(Box.around(apply_affine(turn, project(points, K))), WIDE, rng)
    return view_of(turn, box, None, size, K, size_px), K, points


@pytest.mark.parametrize("seed", range(12))
def test_a_view_shows_points_where_its_frame_projects_them(seed):
    view, K, points = drawn_view(seed)
    in_crop = points @ view.R_crop_camera.T
    told = project(in_crop, crop_projection(K, view))
    np.testing.assert_allclose(told, apply_affine(view.affine, project(points, K)), atol=1e-6)
    np.testing.assert_allclose(view.R_crop_camera @ view.R_crop_camera.T, np.eye(3), atol=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_the_crop_frame_looks_at_the_middle_of_the_crop(seed):
    view, K, _ = drawn_view(seed)
    ahead = project(np.array([0, 0, 1.0]), crop_projection(K, view))
    np.testing.assert_allclose(ahead, (view.spec.size - 1) / 2, atol=1.0)


@pytest.mark.parametrize("seed", range(6))
def test_a_turn_about_the_middle_keeps_the_middle_and_all_distances(seed):
    size = (161, 121)
    turn = draw_turn(size, WIDE, np.random.default_rng(seed))
    points = np.random.default_rng(seed).uniform(0, 100, (8, 2))
    moved = apply_affine(turn, points)
    np.testing.assert_allclose(apply_affine(turn, np.array([80.0, 60])), [80, 60], atol=1e-9)
    apart = [np.linalg.norm(some[1:] - some[:-1], axis=1) for some in (points, moved)]
    np.testing.assert_allclose(*apart)


@pytest.mark.parametrize("direction", [-2.0, 0.0, 0.7])
def test_an_upright_view_turns_the_hand_up(direction):
    config = ViewConfig(turn_p=0.0, turn_rad=0.0, upright=True)
    turn = draw_turn((100, 100), config, np.random.default_rng(0), direction)
    along = np.array([np.sin(direction), -np.cos(direction)])  # as the pipeline has it: 0 points up
    np.testing.assert_allclose(turn[:, :2] @ along, [0, -1], atol=1e-9)


def test_the_size_of_boxes_is_cut_off_at_its_limits():
    config = ViewConfig(scale=(0.9, 1.1), scale_sigma=5.0, center=0.0, aspect=0.0)
    sizes = [draw_box(Box(0.0, 0, 10, 20), config, np.random.default_rng(seed)).width for seed in range(40)]
    assert min(sizes) == pytest.approx(9) and max(sizes) == pytest.approx(11)
