from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from prehend_training.grasps.library import sample_grasp
from prehend_training.scenes.layout.bimanual import GAP_M, WantedHand, second_grasp
from prehend_training.scenes.layout.posing import aimed_arm, place_hand, pose_hand
from prehend_training.scenes.layout.sampling import sample_scene, sample_view
from prehend_training.scenes.layout.scene import mirror_thing_pose, plain_thing, true_points
from prehend_training.scenes.layout.two_hands import second_hand
from prehend_training.scenes.layout.viewpoints import Viewpoint
from prehend_training.scenes.people.clothing import sample_outfit
from prehend_training.transforms import inverse

UP, TOWARD = np.array([0, -1.0, 0]), np.array([0, 0, -1.0])
THINGS = ("box", "cracker_box", "book", "plate", "bowl", "pitcher", "ball", "wood_block")


def holding(rng, object_id):
    """A right hand that holds a thing before the camera, and the person seen from behind."""
    grasp = sample_grasp(rng, object_id)
    viewpoint = Viewpoint("ego", UP, TOWARD, 0.2, 0.35, np.array([0, -0.25, 0.05]))
    pose = np.eye(4)
    pose[:3, 3] = 0.02, 0.1, 0.42
    R = np.stack([TOWARD, UP, np.cross(TOWARD, UP)], 1)
    pose[:3, :3] = R @ grasp.T_hand_object[:3, :3]
    T = pose @ inverse(grasp.T_hand_object)
    arm = aimed_arm(T, viewpoint.shoulder(T[:3, 3]), viewpoint.elbow)
    first = place_hand(pose_hand(grasp.angles, grasp.betas), "right", T, arm, sample_outfit(rng))
    return first, plain_thing(grasp.solid, pose, np.ones(3)), viewpoint


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(12)
    found = []
    for k in range(40):
        first, thing, viewpoint = holding(rng, THINGS[k % len(THINGS)])
        second = second_hand(rng, first, thing, "left", first.outfit.other_hand(), viewpoint, -np.inf)
        if second is not None:
            found.append((first, second, thing))
    return found


def test_a_second_hand_often_finds_room_on_a_thing(pairs):
    assert len(pairs) >= 6
    assert len({thing.solid.object_id for _, _, thing in pairs}) >= 3


def test_two_hands_on_a_thing_are_one_persons_and_apart(pairs):
    for first, second, _ in pairs:
        assert first.side != second.side and np.array_equal(first.betas, second.betas)
        a, b = (true_points(hand, hand.model_m) for hand in (first, second))
        assert cKDTree(a).query(b)[0].min() > GAP_M - 0.002
        arms = [true_points(hand, hand.vertices_m[::3]) for hand in (first, second)]
        assert cKDTree(arms[0]).query(arms[1])[0].min() > 0.002


def test_the_second_hand_touches_the_thing_and_is_not_in_it(pairs):
    for _, second, thing in pairs:
        distance = thing.solid.distance(
            (true_points(second, second.model_m) - thing.pose[:3, 3]) @ thing.pose[:3, :3], filled=True
        )
        assert -0.0046 < distance.min() < 0.003
        assert second.grasp and second.displaced and second.contact.sum() >= 2


def test_a_thing_without_grasps_or_beyond_the_arm_gets_no_second_hand():
    rng = np.random.default_rng(3)
    first, thing, _ = holding(rng, "box")
    far = WantedHand("left", mirror_thing_pose(thing.pose), np.array([0, -3.0, 0]), UP, -np.inf)
    assert second_grasp(rng, first, thing.solid, far) is None
    near = far._replace(shoulder_m=mirror_thing_pose(thing.pose)[:3, 3] + 0.4 * TOWARD)
    unknown = replace(thing.solid, object_id="thing of nobody")
    assert second_grasp(rng, first, unknown, near) is None


def test_frames_label_both_hands_on_one_thing_and_crops_the_first_alone():
    seen = {"frame": 0, "crop": 0}
    for kind in seen:
        for index in range(300):
            rng = np.random.default_rng([8, index])
            view = sample_view(rng, 320, 240) if kind == "frame" else sample_view(rng)
            scene = sample_scene(rng, kind, view)
            holds = [hand for hand in (*scene.hands, *scene.strangers) if hand.grasp]
            if len(holds) < 2 or not np.array_equal(holds[0].betas, holds[1].betas):
                continue  # not one person's
            seen[kind] += 1
            assert len(scene.hands) == (2 if kind == "frame" else 1)
            assert len(scene.objects) == 1 and {hand.object_index for hand in scene.hands} == {0}
            assert all(not hand.grasp or hand.contact.any() for hand in holds)
            if seen[kind] == 1:
                break
    assert min(seen.values()) >= 1
