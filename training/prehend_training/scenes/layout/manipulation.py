"""What a hand does at a table, frame by frame.

All is a right hand's; for a left hand the world here is the mirror image of the true one.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend_training.scenes.layout.planning import UP, GraspPlan, waiting_hand
from prehend_training.scenes.layout.posing import NO_CONTACT, about, contact_of, pose_hand, skin_distances
from prehend_training.scenes.layout.surroundings import resting_pose
from prehend_training.scenes.motion import (
    aperture_course,
    between,
    curve,
    least_jerk,
    mixed_angles,
    poses,
    reach_course,
    sway,
)
from prehend_training.scenes.people.body import drawn_hand
from prehend_training.transforms import inverse

Array = NDArray[np.floating]
Rng = np.random.Generator
Outcome = Literal["lift", "touch", "near", "pass"]

_STAYS_P, _AGAIN_P = 0.25, 0.2
"""How often a hand stays about its object between what it does with it, and how often it takes it once more."""


class Course(NamedTuple):
    """A hand and its object over F frames, in the hand's own world.

    Attributes:
        T_world_hand: (F, 4, 4).
        angles: (F, 15, 3).
        T_world_object: (F, 4, 4).
        contact: (F, 6) bool.
        attached: (F,) bool, the object is carried.
        reach: (2,) first frame of the reach and that of its end.
    """

    T_world_hand: Array
    angles: Array
    T_world_object: Array
    contact: NDArray[np.bool_]
    attached: NDArray[np.bool_]
    reach: tuple[int, int]


def still_course(T_world_hand: Array, angles: Array, gestures: Array, frames: int, rate_hz: float) -> Course:
    """A hand that stays where it is and goes from one pose of its fingers to the next.

    Args:
        T_world_hand: (4, 4).
        angles: (15, 3) to begin with.
        gestures: (G, 15, 3) what follows, at even times.
        frames, rate_hz: how long.
    """
    stops = np.concatenate([angles[None], gestures])
    course = np.repeat(angles[None], frames, 0)
    for k in range(len(stops) - 1):
        middle = (k + 0.5) * frames / max(len(stops) - 1, 1)
        share = least_jerk((np.arange(frames) - middle) / (0.5 * rate_hz) + 0.5)
        course += share[:, None, None] * (stops[k + 1] - stops[k])
    nothing = np.zeros((frames, 6), np.bool_)
    return Course(
        np.repeat(T_world_hand[None], frames, 0),
        course,
        np.repeat(np.eye(4)[None], frames, 0),
        nothing,
        np.zeros(frames, np.bool_),
        (0, 0),
    )


def handled(rng: Rng, plan: GraspPlan, outcome: Outcome, rate_hz: float) -> Course:
    """The whole course: wait, reach, close, lift, move, put down, release, withdraw; or only part of it.

    A hand may rest about its object before it lifts it and once it has put it down, stay there opened, and take it
    again.
    """
    start, relaxed = _waiting(rng, plan, plan.resting)
    hand: Array = plan.hand_at(plan.resting)
    pieces = [_wait(start, relaxed, plan, _frames(rng, 0.15, 0.5, rate_hz))]
    seconds = rng.uniform(0.55, 0.8) + 0.8 * np.linalg.norm(start[:3, 3] - hand[:3, 3])
    if outcome == "near":
        hand = away(hand, plan.out * rng.uniform(0.02, 0.06))
    closed = plan.posed.angles
    ready: Array = closed + plan.arrival * (plan.open_angles - closed)
    if outcome == "near":
        ready = plan.open_angles
    reach = _reach(plan, start, hand, relaxed, ready, round(seconds * rate_hz))
    first = len(pieces[0][0])
    pieces.append(reach)
    last = plan.resting
    if outcome == "near":
        pieces.append(_wait(hand, ready, plan, _frames(rng, 0.4, 1.0, rate_hz)))
    for _ in range(_times(rng, outcome)):
        pieces.append(_fingers(rng, plan, last, ready, closed, _frames(rng, 0.15, 0.3, rate_hz)))
        if outcome == "lift":
            pieces += _resting(rng, plan, last, closed, rate_hz)
            carried = _carry(rng, plan, last, rate_hz)
            last = carried[-1]
            pieces += [_held(plan, carried), *_resting(rng, plan, last, closed, rate_hz)]
        else:
            pieces.append(_held(plan, np.repeat(last[None], _frames(rng, 0.3, 1.0, rate_hz), 0)))
        pieces.append(_fingers(rng, plan, last, closed, ready, _frames(rng, 0.18, 0.3, rate_hz)))
        pieces += _resting(rng, plan, last, ready, rate_hz)
        hand = plan.hand_at(last)
    end, relaxed_after = _waiting(rng, plan, last)
    back = _reach(plan, end, hand, relaxed_after, ready, round(seconds * rate_hz), last)
    pieces.append(tuple(part[::-1] for part in back))
    pieces.append(_wait(end, relaxed_after, plan, _frames(rng, 0.1, 1.2, rate_hz), last))
    hands, angles, things, contact, attached = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    return Course(hands, angles, things, contact, attached, (first, first + len(reach[0])))


def fits(plan: GraspPlan, course: Course) -> bool:
    """Whether the hand goes neither into the object nor into the table, looked at in every frame: fingers are fast."""
    mask = drawn_hand().hand_mask
    for k in range(len(course.angles)):
        if course.attached[k] and k % 4:  # only the table can be met, slowly
            continue
        hand = course.T_world_hand[k]
        posed = pose_hand(course.angles[k], plan.grasp.betas)
        if float((posed.vertices[mask] @ hand[2, :3]).min()) + hand[2, 3] < 0:
            return False
        if course.attached[k]:
            continue
        T_hand_object = inverse(hand) @ course.T_world_object[k]
        if skin_distances(posed, plan.grasp.solid, T_hand_object, 3)[0].min() < -0.005:
            return False
    return True


def passed(rng: Rng, shoulder_m: Array, betas: Array, rate_hz: float) -> Course:
    """A hand that goes over the table from one place to another, its fingers changing, and takes nothing."""
    line = -shoulder_m[:2] / np.linalg.norm(shoulder_m[:2])
    places = [rng.normal(0, 0.1, 2) + rng.uniform(-0.15, 0.12) * line for _ in range(2)]
    (start, first), (end, second) = (waiting_hand(rng, place, shoulder_m, betas) for place in places)
    count = _frames(rng, 1.0, 1.6, rate_hz)
    before, after = (_frames(rng, 1.05, 1.5, rate_hz) for _ in range(2))
    time = np.clip((np.arange(before + count + after) - before) / count, 0, 1)
    control = (start[:3, 3] + end[:3, 3]) / 2 + rng.uniform(0.06, 0.2) * UP
    track = poses(
        between(start[:3, :3], end[:3, :3], least_jerk(time)),
        curve(start[:3, 3], control, end[:3, 3], reach_course(time)),
    )
    angles = mixed_angles(first, second, least_jerk(time * 1.3 - 0.15))
    frames = len(time)
    nothing = np.zeros((frames, 6), np.bool_), np.zeros(frames, np.bool_)
    return Course(track, angles, np.repeat(np.eye(4)[None], frames, 0), *nothing, (before, before + count))


def alive(rng: Rng, course: Course, rate_hz: float) -> Course:
    """The course with the small movements that no hand is free of, where it touches nothing."""
    frames = len(course.angles)
    busy = course.contact.any(1) | course.attached
    near = np.convolve(busy, np.ones(2 * int(0.3 * rate_hz) + 1), "same") > 0
    free = np.convolve(~near, np.hanning(int(0.6 * rate_hz) | 1), "same")
    free = np.where(busy, 0.0, free / max(free.max(), 1.0))
    hands = course.T_world_hand.copy()
    shift = sway(rng, frames, rate_hz, 0.0015, (0.3, 3.0)) * free[:, None]
    hands[:, :3, 3] += np.stack([shift[:, 0], shift[:, 1], np.abs(shift[:, 2])], 1)
    bent = np.repeat(sway(rng, frames, rate_hz, 0.02, (0.2, 2.0)).repeat(2, 1)[:, :5], 3, 1)
    angles = course.angles.copy()
    angles[..., 0] += bent * free[:, None]
    return course._replace(T_world_hand=hands, angles=angles)


Piece = tuple[NDArray[Any], ...]


def away(pose: Array, shift_m: Array) -> NDArray[np.float64]:
    """The pose (4, 4) shifted by (3,)."""
    moved = pose.astype(np.float64)
    moved[:3, 3] += shift_m
    return moved


def _frames(rng: Rng, low_s: float, high_s: float, rate_hz: float) -> int:
    return round(rng.uniform(low_s, high_s) * rate_hz)


def _waiting(rng: Rng, plan: GraspPlan, T_world_object: Array) -> tuple[Array, Array]:
    """Somewhere between the object and the shoulder."""
    middle = (T_world_object[:3, :3] @ plan.grasp.solid.center_m + T_world_object[:3, 3])[:2]
    line = plan.shoulder_m[:2] - middle
    line = line / np.linalg.norm(line)
    aside = np.array([-line[1], line[0]])
    beyond = 0.1 + float(np.linalg.norm(plan.grasp.solid.extents_m)) / 2
    beyond = min(beyond, 0.2)
    place = middle + rng.uniform(beyond, beyond + 0.1) * line + rng.normal(0.05, 0.07) * aside
    toward = plan.shoulder_m[:2] / np.linalg.norm(plan.shoulder_m[:2])
    place -= max(float(place @ toward) - 0.2, 0.0) * toward  # not in the person's lap
    return waiting_hand(rng, place, plan.shoulder_m, plan.grasp.betas)


def _wait(hand: Array, angles: Array, plan: GraspPlan, count: int, T_world_object: Array | None = None) -> Piece:
    thing = plan.resting if T_world_object is None else T_world_object
    stay = [np.repeat(part[None], count, 0) for part in (hand, angles, thing)]
    return (*stay, np.repeat(NO_CONTACT[None], count, 0), np.zeros(count, np.bool_))


def _reach(
    plan: GraspPlan, start: Array, hand: Array, relaxed: Array, ready: Array, count: int, thing: Array | None = None
) -> Piece:
    """From the waiting hand to the opened hand at the object: a curved path that ends along the way in."""
    thing = plan.resting if thing is None else thing
    time = np.arange(1, count + 1) / count
    travelled = reach_course(time)
    distance = float(np.linalg.norm(start[:3, 3] - hand[:3, 3]))
    control = hand[:3, 3] + plan.out * max(0.45 * distance, 0.07) + 0.03 * UP
    places = curve(start[:3, 3], control, hand[:3, 3], travelled)
    rotations = between(start[:3, :3], hand[:3, :3], least_jerk(time / 0.8))
    closed = plan.posed.angles
    whole = plan.open_angles - closed
    reached = float(np.abs(ready - closed).sum() / max(np.abs(whole).sum(), 1e-9))
    opening = aperture_course(time, 0.5, reached)
    shaped = closed + opening[:, None, None] * whole
    angles = shaped + (1 - least_jerk(time / 0.6))[:, None, None] * (relaxed - shaped[0])
    still = np.repeat(thing[None], count, 0)
    course = poses(rotations, places)
    contact = _felt(plan, course, angles, still, range(max(count - 6, 0), count))
    return course, angles, still, contact, np.zeros(count, np.bool_)


def _fingers(rng: Rng, plan: GraspPlan, thing: Array, first: Array, last: Array, count: int) -> Piece:
    """The fingers close or open around an object at rest, not all at the same moment."""
    late = rng.uniform(0, 0.25, 5)
    time = np.arange(1, count + 1)[:, None] / count
    share = least_jerk((time - late) / (1 - late))
    angles = mixed_angles(first, last, share)
    still = np.repeat(thing[None], count, 0)
    hand = np.repeat(plan.hand_at(thing)[None], count, 0)
    return hand, angles, still, _felt(plan, hand, angles, still, range(count)), np.zeros(count, np.bool_)


def _times(rng: Rng, outcome: Outcome) -> int:
    """How often it takes the object."""
    again = rng.random() < _AGAIN_P
    return 0 if outcome == "near" else 1 + (again and outcome == "lift")


def _resting(rng: Rng, plan: GraspPlan, thing: Array, angles: Array, rate_hz: float) -> list[Piece]:
    """Perhaps the hand stays about an object at rest, its fingers (15, 3) as they are."""
    stays, count = rng.random() < _STAYS_P, _frames(rng, 0.15, 1.0, rate_hz)
    if not stays:
        return []
    hand = plan.hand_at(thing)
    contact = _felt(plan, hand[None], angles[None], thing[None], range(1))
    still = [np.repeat(part[None], count, 0) for part in (hand, angles, thing)]
    return [(*still, np.repeat(contact, count, 0), np.zeros(count, np.bool_))]


def _held(plan: GraspPlan, things: Array) -> Piece:
    count = len(things)
    contact = contact_of(plan.posed, plan.grasp.solid, plan.grasp.T_hand_object)
    angles = np.repeat(plan.posed.angles[None], count, 0)
    return plan.hand_at(things), angles, things, np.repeat(contact[None], count, 0), np.ones(count, np.bool_)


def _felt(plan: GraspPlan, hands: Array, angles: Array, things: Array, rows: range) -> NDArray[np.bool_]:
    contact = np.repeat(NO_CONTACT[None], len(hands), 0)
    for k in rows:
        posed = pose_hand(angles[k], plan.grasp.betas)
        contact[k] = contact_of(posed, plan.grasp.solid, inverse(hands[k]) @ things[k])
    return contact


def _carry(rng: Rng, plan: GraspPlan, start: Array, rate_hz: float) -> NDArray[np.float64]:
    """(F, 4, 4) of an object that is lifted from (4, 4), moved, turned, perhaps held still, and put down near to where
    it was at first."""
    solid = plan.grasp.solid
    height = rng.uniform(0.07, 0.2)
    turn = about(rng.standard_normal(3), rng.uniform(0.2, 1.0))
    shift = rng.uniform(-0.1, 0.1, 2)
    spin = about(UP, rng.normal(0, 0.35))
    first = plan.resting  # not from where it lies now: it would go out of the arm's reach
    end = resting_pose(solid, spin @ first[:3, :3], first[:2, 3] + (first[:3, :3] @ solid.center_m)[:2] + shift)
    for shrink in (1.0, 0.6, 0.3, 0.0):
        axis_angle = shrink * (np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
        partly = about(_axis(turn), axis_angle) if axis_angle > 1e-6 else np.eye(3)
        course = _carried(rng, start, end, partly, height, rate_hz)
        if _lowest(plan, course) > -0.001:
            return course
        height += 0.03
    return course


def _axis(R: Array) -> Array:
    return np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])


def _carried(rng: Rng, start: Array, end: Array, turn: Array, height: float, rate_hz: float) -> NDArray[np.float64]:
    lift, move, down = (rng.uniform(*span) for span in ((0.5, 0.8), (0.6, 1.2), (0.5, 0.8)))
    pause = rng.uniform(0.1, 0.5) if rng.random() < 0.4 else 0.0
    total = lift + move + pause + down
    t = np.arange(1, round(total * rate_hz) + 1) / rate_hz
    rise = least_jerk(t / (lift + 0.3 * move))
    sink = least_jerk((t - (lift + 0.75 * move + pause)) / (0.25 * move + down))
    across = least_jerk((t - 0.5 * lift) / (0.5 * lift + move + 0.4 * pause))
    turned = least_jerk((t - 0.6 * lift) / (0.4 * lift + 0.5 * move))
    back = least_jerk((t - (lift + 0.6 * move + pause)) / (0.4 * move + 0.45 * down))
    places = start[:3, 3] + across[:, None] * (end[:3, 3] - start[:3, 3])
    aloft = rise * (1 - sink)
    places[:, 2] += height * aloft
    places += sway(rng, len(t), rate_hz, 0.0015, (0.3, 3.0)) * aloft[:, None]
    base = between(start[:3, :3], end[:3, :3], across)
    tilt = between(np.eye(3), turn, turned * (1 - back))
    course = poses(tilt @ base, places)
    course[-1] = end
    return course


def _lowest(plan: GraspPlan, course: Array) -> float:
    """How low [m] hand or object get."""
    corners = plan.grasp.solid.mesh().vertices[::3]
    skin = plan.posed.vertices[drawn_hand().hand_mask][::4]
    lowest = 0.0
    for points, track in ((corners, course), (skin, plan.hand_at(course))):
        lowest = min(lowest, float((points @ track[:, 2, :3].T + track[:, 2, 3]).min()))
    return lowest
