"""Plans to take something from a table, and what the hand then does: near it, touching it, lifting it, or past it."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.geometry.rotations import geodesic_angle
from prehend_training.scenes.layout.manipulation import alive, away, fits, handled, passed, still_course
from prehend_training.scenes.layout.planning import UP, opened_hand, plan_grasp, waiting_hand
from prehend_training.scenes.layout.posing import about, aimed_arm, contact_of, forearm_direction, pose_hand
from prehend_training.scenes.layout.posing import skin_distances as distances
from prehend_training.scenes.people.body import bend_wrist, drawn_hand
from prehend_training.scenes.people.gestures import gesture_angles
from prehend_training.transforms import inverse, rigid

RATE_HZ = 30.0
PLACE_M, SHOULDER_M = np.array([0.03, 0.02]), np.array([0.45, 0.15, 0.35])
DOWN = -UP
OUTCOMES = ("lift", "touch", "near")


@pytest.fixture(scope="module")
def plans():
    found = [plan_grasp(np.random.default_rng(seed), PLACE_M, SHOULDER_M) for seed in range(5)]
    assert all(found) and len({plan.grasp.solid.object_id for plan in found}) > 2
    return found


@pytest.fixture(scope="module")
def courses(plans):
    return {
        (k, name): handled(np.random.default_rng(k), plan, name, RATE_HZ)
        for k, plan in enumerate(plans)
        for name in OUTCOMES
    }


def skin(posed, T):
    return posed.vertices[drawn_hand().hand_mask] @ T[:3, :3].T + T[:3, 3]


def lowest(plan, pose):
    return float((plan.grasp.solid.mesh().vertices @ pose[2, :3] + pose[2, 3]).min())


def test_what_will_be_taken_rests_on_the_table_where_it_was_asked_for(plans):
    for plan in plans:
        solid = plan.grasp.solid
        assert lowest(plan, plan.resting) == pytest.approx(0, abs=1e-9)
        assert (plan.resting[:3, :3] @ solid.center_m + plan.resting[:3, 3])[:2] == pytest.approx(PLACE_M)
        assert np.linalg.det(plan.resting[:3, :3]) == pytest.approx(1)


def test_the_hand_of_a_plan_holds_its_object_and_is_over_the_table_with_its_arm(plans):
    for plan in plans:
        hand = plan.hand_at(plan.resting)
        assert np.allclose(inverse(hand) @ plan.resting, plan.grasp.T_hand_object)
        assert contact_of(plan.posed, plan.grasp.solid, plan.grasp.T_hand_object).sum() >= 2
        arm = aimed_arm(hand, plan.shoulder_m, DOWN)
        drawn = bend_wrist(plan.posed.vertices, arm) @ hand[:3, :3].T + hand[:3, 3]
        assert drawn[:, 2].min() > 0 and skin(plan.posed, hand)[:, 2].min() > 0
        assert forearm_direction(hand[:3, :3], arm.bend) @ (plan.shoulder_m - hand[:3, 3]) > 0
        many = plan.hand_at(np.stack([plan.resting, plan.resting]))
        assert many.shape == (2, 4, 4) and np.array_equal(many[1], hand)


def test_opened_the_hand_is_out_of_the_way_and_comes_from_outside(plans):
    for plan in plans:
        closed, wide = plan.posed, pose_hand(plan.open_angles, plan.grasp.betas)
        span = [np.linalg.norm(hand.joints[4] - hand.joints[8]) for hand in (closed, wide)]
        assert span[1] > span[0]
        assert np.linalg.norm(plan.out) == pytest.approx(1) and 0 < plan.arrival <= 1
        far = away(plan.hand_at(plan.resting), 0.06 * plan.out)
        apart = distances(wide, plan.grasp.solid, inverse(far) @ plan.resting)[0].min()
        assert apart > distances(closed, plan.grasp.solid, plan.grasp.T_hand_object)[0].min()


def test_opened_fingers_are_straighter_and_stay_within_what_they_can():
    limits = drawn_hand().limits_rad
    for name in ("fist", "relaxed", "spread", "point", "ok"):
        angles = gesture_angles(name)
        opened = opened_hand(angles)
        assert (opened[:12, 0] <= angles[:12, 0] + 1e-9).all()
        assert (opened >= limits[..., 0] - 0.02).all() and (opened <= limits[..., 1] + 0.02).all()
        assert np.array_equal(opened[:12, 1:], angles[:12, 1:])


@pytest.mark.parametrize("angle", [0.7, -2.4])
def test_a_turned_table_is_a_turned_plan(angle):
    """Where the person sits matters to nothing but where the person sits."""
    turn = rigid(about(UP, angle), np.zeros(3))
    place, shoulder = (turn[:3, :3] @ [*PLACE_M, 0.0])[:2], turn[:3, :3] @ SHOULDER_M
    one = plan_grasp(np.random.default_rng(2), PLACE_M, SHOULDER_M)
    other = plan_grasp(np.random.default_rng(2), place, shoulder)
    assert np.allclose(other.resting, turn @ one.resting, atol=1e-9)
    assert np.allclose(other.out, turn[:3, :3] @ one.out) and other.arrival == one.arrival
    assert np.array_equal(other.posed.angles, one.posed.angles)


def test_without_tries_there_is_no_plan():
    assert plan_grasp(np.random.default_rng(0), PLACE_M, SHOULDER_M, tries=0) is None


@pytest.mark.parametrize("seed", range(6))
def test_a_waiting_hand_lies_over_the_table_and_its_arm_comes_from_the_person(seed):
    pose, angles = waiting_hand(np.random.default_rng(seed), PLACE_M, SHOULDER_M, np.zeros(10))
    posed = pose_hand(angles, np.zeros(10))
    assert np.linalg.norm(pose[:2, 3] - PLACE_M) < 1e-9
    assert 0.003 < skin(posed, pose)[:, 2].min() < 0.2
    assert pose[:2, 0] @ (SHOULDER_M[:2] - PLACE_M) > 0 and np.linalg.det(pose[:3, :3]) == pytest.approx(1)


def test_courses_begin_and_end_without_touching_and_last_some_seconds(courses):
    for course in courses.values():
        frames = len(course.angles)
        assert all(len(values) == frames for values in course[:5]) and 1.5 < frames / RATE_HZ < 12
        assert not course.contact[[0, -1]].any() and not course.attached[[0, -1]].any()
        first, last = course.reach
        assert 0 < first < last < frames and not course.attached[:last].any()
        waiting = course.T_world_hand[:first, :3, 3]
        assert np.ptp(waiting, axis=0).max() < 1e-9  # it waits until it reaches


def test_who_comes_near_touches_nothing_and_who_touches_moves_nothing(plans, courses):
    for (k, name), course in courses.items():
        if name == "near":
            assert not course.contact.any() and not course.attached.any()
        if name != "lift":
            assert np.allclose(course.T_world_object, plans[k].resting)
        if name == "touch":
            assert course.attached.any() and course.contact[course.attached].any(1).all()


def test_what_is_lifted_is_held_as_the_grasp_holds_it_and_put_down_upright(plans, courses):
    for k, plan in enumerate(plans):
        course = courses[k, "lift"]
        held = course.attached
        relation = inverse_many(course.T_world_hand[held]) @ course.T_world_object[held]
        assert np.allclose(relation, plan.grasp.T_hand_object, atol=1e-9)
        assert np.allclose(course.angles[held], plan.posed.angles)
        heights = np.array([lowest(plan, pose) for pose in course.T_world_object])
        assert heights.max() > 0.04 and heights.min() > -0.0011
        assert heights[[0, -1]] == pytest.approx(0, abs=1e-6)
        first, last = course.T_world_object[[0, -1]]
        assert last[2, :3] == pytest.approx(first[2, :3], abs=1e-9)  # turned about the vertical alone
        moving = np.abs(np.diff(course.T_world_object, axis=0)).max((1, 2)) > 1e-9
        assert held[1:][moving].all()


def test_some_hands_stay_about_what_they_take_and_some_take_it_again(plans):
    plan, still_s, takes = plans[0], [], []
    for seed in range(24):
        course = handled(np.random.default_rng(seed), plan, "lift", RATE_HZ)
        begins, ends = (np.flatnonzero(np.diff(course.attached.astype(int)) == step) + 1 for step in (1, -1))
        takes.append(len(begins))
        for end, begin in zip(ends[:-1], begins[1:], strict=True):  # opened in between, where it put the object down
            opened = np.abs(course.angles[end:begin] - plan.posed.angles).max((1, 2))
            assert opened.max() > 0.05 and opened[-1] < 1e-9
            assert np.allclose(course.T_world_object[end:begin], course.T_world_object[end - 1])
        closed = np.abs(course.angles - plan.posed.angles).max((1, 2)) < 1e-9
        still_s.append((closed & ~course.attached).sum() / RATE_HZ)
    assert set(takes) == {1, 2} and 0 < takes.count(2) < 12
    assert min(still_s) < 0.1 and max(still_s) > 0.3


def inverse_many(T):
    return np.stack([inverse(one) for one in T])


def test_nothing_jumps(courses):
    for course in courses.values():
        places = course.T_world_hand[:, :3, 3]
        assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() * RATE_HZ < 2.0
        turns = geodesic_angle(course.T_world_hand[1:, :3, :3], course.T_world_hand[:-1, :3, :3])
        assert np.degrees(turns).max() < 15
        assert np.degrees(np.abs(np.diff(course.angles, axis=0)).max()) < 30


def test_at_twice_the_rate_it_is_the_same_course_in_twice_the_frames(plans, courses):
    for name in OUTCOMES:
        slow, fast = courses[0, name], handled(np.random.default_rng(0), plans[0], name, 2 * RATE_HZ)
        assert abs(len(fast.angles) - 2 * len(slow.angles)) <= 12
        for one, other in ((slow.T_world_hand, fast.T_world_hand), (slow.T_world_object, fast.T_world_object)):
            assert np.allclose(one[0], other[0], atol=1e-9) and np.allclose(one[-1], other[-1], atol=1e-3)


def test_the_same_numbers_give_the_same_course(plans, courses):
    again = handled(np.random.default_rng(1), plans[1], "lift", RATE_HZ)
    assert all(np.array_equal(a, b) for a, b in zip(again[:5], courses[1, "lift"][:5], strict=True))


def test_a_course_through_the_table_or_the_object_does_not_fit(plans, courses):
    fitting = [(plans[k], course) for (k, _), course in courses.items() if fits(plans[k], course)]
    assert fitting
    for plan, course in fitting[:3]:
        down = course.T_world_hand.copy()
        down[:, 2, 3] -= 0.3
        assert not fits(plan, course._replace(T_world_hand=down))
        inside = course.T_world_object.copy()
        inside[:, :3, 3] += course.T_world_hand[0, :3, 3] - inside[0, :3, 3] + course.T_world_hand[0, :3, 0] * -0.08
        assert not fits(plan, course._replace(T_world_object=inside))


def test_living_hands_are_never_quite_still_but_where_they_touch(courses):
    for course in courses.values():
        moved = alive(np.random.default_rng(3), course, RATE_HZ)
        busy = course.contact.any(1) | course.attached
        shift = moved.T_world_hand[:, :3, 3] - course.T_world_hand[:, :3, 3]
        assert not shift[busy].any() and np.array_equal(moved.angles[busy], course.angles[busy])
        assert np.abs(shift).max() < 0.01 and (shift[:, 2] >= 0).all()  # never down, where the table may be
        assert np.abs(shift[:5]).max() > 0 and np.abs(moved.angles - course.angles).max() < np.radians(8)
        assert np.array_equal(moved.T_world_hand[:, :3, :3], course.T_world_hand[:, :3, :3])


@pytest.mark.parametrize("seed", range(4))
def test_who_passes_goes_from_one_place_to_another_over_the_table(seed):
    course = passed(np.random.default_rng(seed), SHOULDER_M, np.zeros(10), RATE_HZ)
    first, last = course.reach
    places = course.T_world_hand[:, :3, 3]
    assert np.ptp(places[:first], axis=0).max() < 1e-9 and np.ptp(places[last:], axis=0).max() < 1e-9
    assert not course.contact.any() and not course.attached.any()
    heights = [
        skin(pose_hand(course.angles[k], np.zeros(10)), course.T_world_hand[k])[:, 2].min()
        for k in range(0, len(places), 6)
    ]
    assert min(heights) > 0


def test_a_resting_hand_goes_from_gesture_to_gesture():
    pose, start = away(np.eye(4), np.array([0.1, 0.2, 0.1])), gesture_angles("relaxed")
    stops = np.stack([gesture_angles(name) for name in ("fist", "spread")])
    course = still_course(pose, start, stops, 120, RATE_HZ)
    assert (course.T_world_hand == pose).all() and not course.contact.any()
    assert np.allclose(course.angles[0], start) and np.allclose(course.angles[-1], stops[-1])
    assert np.abs(course.angles - stops[0]).max((1, 2)).min() < 1e-6  # it gets to the first on its way
    assert np.degrees(np.abs(np.diff(course.angles, axis=0)).max()) < 25
    still = still_course(pose, start, np.zeros((0, 15, 3)), 40, RATE_HZ)
    assert (still.angles == start).all() and len(still.angles) == 40


def test_a_shift_is_a_shift(plans):
    pose = plans[0].resting
    moved = away(pose, np.array([0.1, -0.2, 0.3]))
    assert np.allclose(moved[:3, 3] - pose[:3, 3], [0.1, -0.2, 0.3]) and np.array_equal(moved[:3, :3], pose[:3, :3])
    assert np.array_equal(pose, replace(plans[0]).resting)  # the first is as it was
