"""Nothing in a scene goes into anything else, and the cameras of a moment see one world."""

import numpy as np
import pytest

from prehend.geometry.camera import plane_from_pixels
from prehend_training.scenes.camera.lens import pixels
from prehend_training.scenes.layout.posing import gap, to_object
from prehend_training.scenes.layout.sampling import apart, sample_scene, sample_view
from prehend_training.scenes.layout.scene import true_points
from prehend_training.scenes.layout.sequences import sample_sequence
from prehend_training.scenes.render.labels import hand_points, in_camera

CROWDED = {"crop": (83, 123, 207, 225, 231, 234, 248), "frame": (9, 51, 99)}
"""Seeds of scenes in which a second hand is near what the first one has."""


def scene_of(kind, seed):
    rng = np.random.default_rng([77, seed])
    view = sample_view(rng) if kind == "crop" else sample_view(rng, 320, 240)
    return sample_scene(rng, kind, view), view


@pytest.fixture(scope="module")
def scenes():
    return [scene_of(kind, seed) for kind, seeds in CROWDED.items() for seed in (*range(14), *seeds)]


def skin_of(hand, step=2):
    return true_points(hand, hand.vertices_m[::step])


def mesh_of(thing, step=1):
    return thing.solid.mesh().vertices[::step] @ thing.pose[:3, :3].T + thing.pose[:3, 3]


def test_no_hand_and_no_arm_is_in_what_it_does_not_hold(scenes):
    looked = 0
    for scene, _ in scenes:
        for hand in (*scene.hands, *scene.strangers):
            own = None if hand.object_index is None else scene.objects[hand.object_index]
            for thing in (*scene.objects, *scene.clutter):
                if thing is own or (hand.grasp and own is None):  # a stranger's own is among the clutter
                    continue
                looked += 1
                assert thing.solid.distance(to_object(thing.pose, skin_of(hand)), filled=True).min() > -0.002
    assert looked > 30


def test_hands_that_hold_something_touch_it_and_are_not_deep_in_its_walls(scenes):
    held = 0
    for scene, _ in scenes:
        for hand in scene.hands:
            if not hand.grasp:
                continue
            thing = scene.objects[hand.object_index]
            own = to_object(thing.pose, true_points(hand, hand.model_m))
            assert -0.0065 < thing.solid.distance(own).min() < 0.004
            held += 1
    assert held > 10


def test_people_do_not_pierce_each_other(scenes):
    for scene, _ in scenes:
        everyone = [*scene.hands, *scene.strangers]
        for k, hand in enumerate(everyone):
            for other in everyone[:k]:
                assert gap(skin_of(hand, 3), skin_of(other, 3)) > 0.002
                assert apart(hand, other) == apart(other, hand)


def test_what_lies_on_a_table_lies_there_alone(scenes):
    pairs = 0
    for scene, _ in scenes:
        if scene.table is None:
            continue
        lying = [thing for thing in scene.clutter if abs(thing.pose[:3, 2] @ scene.table.pose[:3, 2]) > 0.999]
        for k, thing in enumerate(lying):
            for other in lying[:k]:
                pairs += 1
                assert gap(mesh_of(thing, 3), mesh_of(other, 3)) > 0.001
    assert pairs > 1


def test_no_elbow_bends_further_than_elbows_do_and_no_hand_is_at_the_lens(scenes):
    for scene, _ in scenes:
        for hand in (*scene.hands, *scene.strangers):
            assert np.isfinite(hand.arm.elbow).all() and np.linalg.norm(hand.arm.elbow) <= 2.2 + 1e-9
            assert hand.joints_m[:, 2].min() > 0.1


def test_scenes_hold_as_many_hands_as_their_kind_may(scenes):
    counts = {len(scene.hands) for scene, view in scenes if view.camera.distortion.any()}
    assert {1, 2} <= counts <= {0, 1, 2}
    for scene, view in scenes:
        crop = not view.camera.distortion.any()
        assert len(scene.hands) == 1 if crop else len(scene.hands) <= 2
        assert len(scene.objects) <= len(scene.hands)
        assert sorted({hand.object_index for hand in scene.hands} - {None}) == list(
            range(len({hand.object_index for hand in scene.hands} - {None}))
        )
        if len(scene.hands) == 2 and np.array_equal(scene.hands[0].betas, scene.hands[1].betas):
            first, second = scene.hands
            assert first.side != second.side and first.outfit.skin == second.outfit.skin


def test_the_same_numbers_give_the_same_scene():
    for kind in CROWDED:
        (one, view), (again, other) = (scene_of(kind, 3) for _ in range(2))
        assert np.array_equal(view.camera.K, other.camera.K) and one.background_seed == again.background_seed
        assert len(one.clutter) == len(again.clutter) and len(one.hands) == len(again.hands)
        for first, second in zip((*one.objects, *one.clutter), (*again.objects, *again.clutter), strict=True):
            assert np.array_equal(first.pose, second.pose) and np.array_equal(first.colours, second.colours)
        for first, second in zip(one.hands, again.hands, strict=True):
            assert np.array_equal(first.vertices_m, second.vertices_m)


@pytest.fixture(scope="module")
def sequence():
    return sample_sequence(5, 1, 3, (64, 48))


def triangulated(views, places_px):
    """(N, 3) world points from pixels (V, N, 2) of cameras whose lenses are taken out first."""
    rows = []
    for view, px in zip(views, places_px, strict=True):
        x, y = plane_from_pixels(px, view.camera).T[..., None]
        P = view.T_camera_world[:3]
        rows += [x * P[2] - P[0], y * P[2] - P[1]]
    found = np.linalg.svd(np.stack(rows, 1))[2][:, -1]
    return found[:, :3] / found[:, 3:]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_cameras_of_a_moment_meet_in_the_hands_joints(sequence, share):
    frame = int(share * sequence.frames)
    views, scene = sequence.views(frame), sequence.scene(frame)
    for hand in scene.hands:
        joints = true_points(hand, hand.joints_m)
        seen = np.stack([pixels(in_camera(view, joints), view.camera) for view in views])
        inside = np.all((seen > 0) & (seen < [64, 48]), axis=(0, 2))
        assert np.abs(triangulated(views, seen)[inside] - joints[inside]).max(initial=0) < 2e-4
        for view in views:
            assert np.allclose(hand_points(hand, view), in_camera(view, true_points(hand, hand.model_m)))


def test_no_two_images_of_a_sequence_have_the_same_name_or_the_same_noise(sequence):
    frames = range(0, sequence.frames, 9)
    names = {sequence.frame_id(frame, view.name) for frame in frames for view in sequence.views(frame)}
    seeds = {view.effects.seed for frame in frames for view in sequence.views(frame)}
    assert len(names) == len(seeds) == 4 * len(frames)
    assert {name.sequence for name in names} == {"5-1"}
    for first, second in zip(sequence.views(0), sequence.views(30), strict=True):
        assert np.array_equal(first.camera.K, second.camera.K)
        for setting in ("contrast", "gamma", "read_noise", "quality"):
            assert getattr(first.effects, setting) == getattr(second.effects, setting)


def test_people_and_what_lies_about_stay_themselves_through_a_sequence(sequence):
    first, last = sequence.scene(0), sequence.scene(sequence.frames - 1)
    assert first.clutter == last.clutter and first.lighting is last.lighting and first.table is last.table
    for hand, later in zip(first.hands, last.hands, strict=True):
        assert np.array_equal(hand.betas, later.betas) and hand.outfit is later.outfit and hand.side == later.side
    for thing, later in zip(first.objects, last.objects, strict=True):
        assert thing.solid is later.solid and np.array_equal(thing.colours, later.colours)
    assert len(first.scenery) == len(last.scenery) and len(sequence.shutter) == 4


def test_joints_move_no_faster_than_hands_do(sequence):
    """Every joint, from frame to frame, in the true world; also what is carried."""
    joints = np.stack(
        [
            [true_points(hand, hand.joints_m) for hand in sequence.scene(frame).hands]
            for frame in range(0, sequence.frames, 2)
        ]
    )
    speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1) * 15
    assert 0.1 < speed.max() < 4.0 and np.quantile(speed, 0.5) < 1.0
    steps = np.linalg.norm(np.diff(sequence.T_world_things[..., :3, 3], axis=1), axis=-1) * 30
    assert steps.max(initial=0) < 2.0
