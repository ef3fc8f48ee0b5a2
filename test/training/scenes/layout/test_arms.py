"""Hands in the world: shapes that keep their bones, distances to what is near, arms that lead to the person."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from prehend.conventions import JOINT_PARENTS, MIRROR
from prehend_training.assets.forearm import MAX_DEVIATION_RAD, MAX_FLEXION_RAD
from prehend_training.objects import catalogue
from prehend_training.sample import HAND_PARTS
from prehend_training.scenes.layout.posing import (
    FOREARM_M,
    UPPER_ARM_M,
    about,
    aimed_arm,
    bare_hand,
    contact_of,
    forearm_direction,
    gap,
    hand_frame,
    nearest_skin,
    place_hand,
    pose_hand,
    skin_distances,
    to_object,
)
from prehend_training.scenes.layout.scene import moved, true_points
from prehend_training.scenes.layout.surroundings import random_rotation
from prehend_training.scenes.people.body import Arm, bend_wrist, cross, drawn_hand, elbow_loop, shoulder, turn
from prehend_training.scenes.people.clothing import Outfit
from prehend_training.scenes.people.gestures import gesture_angles
from prehend_training.scenes.people.skin import sample_skin
from prehend_training.transforms import inverse, rigid

DOWN = np.array([0, 0, -1.0])
WORN = Outfit(sample_skin(np.random.default_rng(0)))
TIPS = {"thumb": 4, "index": 8, "middle": 12, "ring": 16, "little": 20}


def rotations(count, seed=0):
    rng = np.random.default_rng(seed)
    return [random_rotation(rng) for _ in range(count)]


def ball(radius_m):
    one = catalogue()["ball"]
    return one.stretched(2 * radius_m / one.extents_m)


def test_bones_keep_their_length_however_fingers_bend():
    flat = pose_hand(np.zeros((15, 3)), np.zeros(10)).joints
    bones = [(child, parent) for child, parent in enumerate(JOINT_PARENTS) if parent >= 0 and child % 4]
    for name in ("fist", "spread", "ok", "point"):
        posed = pose_hand(gesture_angles(name), np.zeros(10))
        assert np.allclose(posed.joints[0], 0, atol=1e-7) and np.allclose(posed.rotations[0], np.eye(3))
        for child, parent in bones:
            own, plain = (np.linalg.norm(joints[child] - joints[parent]) for joints in (posed.joints, flat))
            assert own == pytest.approx(plain, abs=1e-5), (name, child)
        assert np.allclose(np.linalg.det(posed.rotations), 1)


def test_flexion_bends_fingers_towards_the_palm():
    flat, bent = (pose_hand(np.full((15, 3), [a, 0, 0]), np.zeros(10)).joints for a in (0.0, 0.5))
    tips = [TIPS[name] for name in ("index", "middle", "ring", "little")]
    assert (bent[tips, 1] < flat[tips, 1] - 0.02).all()  # +y is the back of the hand
    assert (np.linalg.norm(bent[tips], axis=1) < np.linalg.norm(flat[tips], axis=1)).all()


@pytest.mark.parametrize("seed", range(4))
def test_distances_to_a_ball_are_those_to_its_middle_less_its_radius(seed):
    posed, solid = bare_hand(np.random.default_rng(seed)), ball(0.03)
    T = rigid(rotations(1, seed)[0], np.array([-0.05, -0.06, 0.01]))
    found, part = skin_distances(posed, solid, T)
    skin = posed.vertices[drawn_hand().hand_mask]
    middle = T[:3, :3] @ solid.center_m + T[:3, 3]
    assert np.allclose(found, np.linalg.norm(skin - middle, axis=1) - 0.03, atol=3e-4)
    assert nearest_skin(posed, solid, T) == pytest.approx(found.min(), abs=1e-9)
    some, parts = skin_distances(posed, solid, T, 5)
    assert np.array_equal(some, found[::5]) and np.array_equal(parts, part[::5])
    assert set(part) == set(range(len(HAND_PARTS)))


def test_points_in_an_objects_frame_come_back():
    rng = np.random.default_rng(1)
    pose, points = rigid(rotations(1)[0], rng.normal(size=3)), rng.normal(size=(4, 7, 3))
    own = to_object(pose, points)
    assert np.allclose(own @ pose[:3, :3].T + pose[:3, 3], points)
    assert np.allclose(inverse(pose) @ pose, np.eye(4)) and np.allclose(inverse(pose), np.linalg.inv(pose))


@pytest.mark.parametrize("name", HAND_PARTS)
def test_what_touches_one_part_touches_that_part_alone(name):
    posed, solid = pose_hand(gesture_angles("spread"), np.zeros(10)), ball(0.004)
    skin = posed.vertices[drawn_hand().hand_mask]
    part = skin_distances(posed, solid, np.eye(4))[1]
    own = skin[part == HAND_PARTS.index(name)]
    place = posed.joints[TIPS[name]] if name in TIPS else own.mean(0)
    at = own[np.linalg.norm(own - place, axis=1).argmin()]
    at = at + 0.004 * (at - place) / (np.linalg.norm(at - place) + 1e-9)
    touched = contact_of(posed, solid, rigid(np.eye(3), at))
    assert touched[HAND_PARTS.index(name)] and touched.sum() == 1
    assert not contact_of(posed, solid, rigid(np.eye(3), at + 0.1 * np.eye(3)[1])).any()


def test_the_gap_of_two_clouds_is_their_nearest_pair():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(40, 3)), rng.normal(size=(30, 3)) + 1
    expected = np.linalg.norm(first[:, None] - second, axis=2).min()
    assert gap(first, second) == gap(second, first) == pytest.approx(expected)


def test_a_frame_points_where_it_is_told_and_its_back_as_well_as_may_be():
    rng = np.random.default_rng(3)
    for _ in range(20):
        ahead, back = rng.normal(size=(2, 3))
        R = hand_frame(ahead, back)
        assert np.allclose(R.T @ R, np.eye(3)) and np.linalg.det(R) == pytest.approx(1)
        assert R[:, 0] == pytest.approx(ahead / np.linalg.norm(ahead)) and R[:, 1] @ back > 0
        assert abs(np.cross(R[:, 0], back) @ R[:, 1]) < 1e-9  # in the plane of both


def test_turns_are_those_of_a_library():
    rng = np.random.default_rng(4)
    for _ in range(10):
        axis, angle = rng.normal(size=3), rng.uniform(-3, 3)
        expected = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis)).as_matrix()
        assert np.allclose(about(axis, angle), expected) and np.allclose(
            turn(axis), Rotation.from_rotvec(axis).as_matrix()
        )
        assert np.array_equal(cross(axis, expected[0]), np.cross(axis, expected[0]))


def test_wrists_bend_no_further_than_wrists_do_wherever_the_shoulder_is():
    rng = np.random.default_rng(5)
    for k in range(60):
        T = rigid(rotations(1, k)[0], rng.normal(size=3))
        place = T[:3, 3] + rng.normal(size=3) * rng.choice([0.01, 0.3, 5.0])
        arm = aimed_arm(T, place, DOWN, 0.2)
        assert (
            abs(arm.bend[0]) <= MAX_FLEXION_RAD and abs(arm.bend[1]) <= MAX_DEVIATION_RAD + 1e-9 and arm.bend[2] == 0.2
        )
        assert np.linalg.norm(arm.elbow) <= 2.2 + 1e-9 and np.isfinite(arm.elbow).all()


@pytest.mark.parametrize("away_m", [0.3, 0.4, 0.5])
def test_where_the_wrist_can_bend_so_far_the_arm_ends_in_the_shoulder(away_m):
    """Forearm and upper arm with their lengths: a triangle whose elbow hangs down."""
    place = np.array([away_m, 0, 0])
    toward = np.sqrt(FOREARM_M**2 - ((away_m**2 + FOREARM_M**2 - UPPER_ARM_M**2) / (2 * away_m)) ** 2)
    elbow = np.array([(away_m**2 + FOREARM_M**2 - UPPER_ARM_M**2) / (2 * away_m), 0, -toward])
    T = rigid(hand_frame(elbow, np.array([0, 1.0, 0])), np.zeros(3))  # a straight wrist
    arm = aimed_arm(T, place, DOWN)
    assert arm.bend == pytest.approx([0, 0, 0], abs=1e-6)
    ahead = forearm_direction(T[:3, :3], arm.bend)
    assert FOREARM_M * ahead == pytest.approx(elbow)
    assert elbow + UPPER_ARM_M * turn(arm.elbow) @ ahead == pytest.approx(place, abs=1e-6)


def test_an_arm_turns_with_the_world():
    rng = np.random.default_rng(6)
    for k, W in enumerate(rotations(12, 7)):
        T, place = rigid(rotations(1, k)[0], rng.normal(size=3)), rng.normal(size=3)
        one = aimed_arm(T, place, DOWN)
        other = aimed_arm(rigid(W, [0, 0, 0]) @ T, W @ place, W @ DOWN)
        assert other.bend == pytest.approx(one.bend, abs=1e-9) and other.elbow == pytest.approx(W @ one.elbow, abs=1e-9)


@pytest.mark.parametrize("bend", [(0, 0, 0), (0.6, 0, 0), (-0.5, 0.3, 0), (0.2, -0.3, 0.8)])
def test_the_drawn_forearm_goes_where_the_arm_goes(bend):
    posed, arm = pose_hand(gesture_angles("relaxed"), np.zeros(10)), Arm(np.array(bend, float), np.zeros(3))
    drawn = bend_wrist(posed.vertices, arm)
    elbow = drawn[elbow_loop()].mean(0)
    ahead = forearm_direction(np.eye(3), arm.bend)
    assert elbow @ ahead / np.linalg.norm(elbow) > np.cos(np.radians(8))
    far_from_wrist = drawn_hand().v_template[:, 0] < -0.05  # the hand itself stays
    assert np.array_equal(
        drawn[far_from_wrist & drawn_hand().hand_mask], posed.vertices[far_from_wrist & drawn_hand().hand_mask]
    )
    end = shoulder(drawn, arm)
    assert np.linalg.norm(end - elbow) == pytest.approx(0.3, abs=0.01) and (end - elbow) @ ahead > 0.25


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_placed_hand_is_where_it_was_placed_on_its_side_of_the_mirror(side):
    posed, T = bare_hand(np.random.default_rng(1)), rigid(rotations(1, 3)[0], np.array([0.1, 0.2, 0.5]))
    hand = place_hand(posed, side, T, aimed_arm(T, np.ones(3), DOWN), WORN)
    assert hand.side == side and np.allclose(hand.joints_m, posed.joints @ T[:3, :3].T + T[:3, 3])
    expected = hand.joints_m @ MIRROR if side == "left" else hand.joints_m
    assert np.array_equal(true_points(hand, hand.joints_m), expected)
    assert not hand.grasp and hand.object_index is None and not hand.contact.any()
    shift = np.array([0.3, -0.1, 0.2])
    there = moved(hand, shift)
    for name in ("joints_m", "model_m", "vertices_m", "wrist_m"):
        before, after = (true_points(one, getattr(one, name)) for one in (hand, there))
        assert np.allclose(after, before + shift), name
    # the skin is a right hand's in its own world: thumbs of both sides lie beside the same palm
    assert np.allclose(hand.model_m, posed.vertices[drawn_hand().hand_mask] @ T[:3, :3].T + T[:3, 3])
