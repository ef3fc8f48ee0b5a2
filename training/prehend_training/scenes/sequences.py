"""Sequences: hands that reach, touch, grasp, lift, turn, put down and let go on a table, seen by many cameras.

The world's z axis points up, the table top is at z = 0. A sequence is made of tracks, so any frame is had at once.
"""

from collections.abc import Sequence as Many
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, SIDES, Side
from prehend_training.datasets.grasp_labels import displaced
from prehend_training.scenes.body import Arm, turn
from prehend_training.scenes.camera_look import sample_look
from prehend_training.scenes.cameras import camera_of
from prehend_training.scenes.environment import Lighting, sample_lighting
from prehend_training.scenes.gestures import sample_bare, sample_betas
from prehend_training.scenes.handling import Course, Outcome, alive, fits, handled, passed, still_course
from prehend_training.scenes.planning import DOWN, UP, Plan, plan_grasp, waiting_hand
from prehend_training.scenes.posing import FOREARM_M, UPPER_ARM_M, aimed_arm, forearm_direction, place_hand, pose_hand
from prehend_training.scenes.rig import head_track, table_rig
from prehend_training.scenes.sample import FrameId
from prehend_training.scenes.scene import Hand, Scene, Table, Thing, View, mirror_thing_pose, moved_thing, plain_thing
from prehend_training.scenes.surroundings import dress_thing, person, scattered, table_look
from prehend_training.scenes.wear import Outfit, sample_outfit

Array = NDArray[np.floating]
Rng = np.random.Generator

RATE_HZ = 30.0
_OUTCOMES: tuple[tuple[Outcome, float], ...] = (("lift", 0.68), ("touch", 0.12), ("near", 0.1), ("pass", 0.1))
_SECOND_SHARE = 0.35
_FOLLOW = 9
"""Frames before and after over which shoulders take up what the arms do."""
_EDGE_M = 0.33
"""How far the table reaches towards the person from its middle."""
_STREAM = 2
"""Tells the random numbers of sequences from those of crops (0) and frames (1)."""


@dataclass(frozen=True)
class HandTrack:
    """One hand through a sequence.

    Attributes:
        side: which hand.
        betas: (10,).
        outfit: what it wears.
        course: in its own world, which for a left hand is the mirror of the true one.
        shoulder_m: (3,) in that world.
        twist_rad: of the forearm.
        thing: number in `Scene.objects` of what it handles, None for nothing.
        displaced: (F,) bool, that thing has left its first pose (papers' rule).
    """

    side: Side
    betas: Array
    outfit: Outfit
    course: Course
    shoulder_m: Array
    twist_rad: float
    thing: int | None
    displaced: NDArray[np.bool_]

    def hand(self, frame: int) -> Hand:
        """The hand at a frame. It touches its thing where `contact` says so; else `object_index` is None."""
        T = self.course.T_world_hand[frame]
        hand = place_hand(pose_hand(self.course.angles[frame], self.betas), self.side, T, self.arm(frame), self.outfit)
        contact = self.course.contact[frame]
        touches = bool(contact.any())
        return replace(
            hand,
            object_index=self.thing if touches else None,
            grasp=touches and bool(self.displaced[frame]),
            displaced=bool(self.displaced[frame]),
            contact=contact,
        )

    def arm(self, frame: int) -> Arm:
        """The arm behind it at a frame."""
        return aimed_arm(self.course.T_world_hand[frame], self.shoulder_m, DOWN, self.twist_rad)

    def arm_end(self, frame: int) -> Array:
        """(3,) where the upper arm ends at a frame, in the hand's own world."""
        T, arm = self.course.T_world_hand[frame], self.arm(frame)
        ahead = forearm_direction(T[:3, :3], arm.bend)
        return np.asarray(T[:3, 3] + FOREARM_M * ahead + UPPER_ARM_M * (turn(arm.elbow) @ ahead))

    def swept(self, step: int = 4) -> Array:
        """(N, 3) places in the true world where hand and forearm come by."""
        places = []
        for k in range(0, len(self.course.angles), step):
            T = self.course.T_world_hand[k]
            joints = pose_hand(self.course.angles[k], self.betas).joints @ T[:3, :3].T + T[:3, 3]
            ahead = forearm_direction(T[:3, :3], self.arm(k).bend)
            places += [joints, T[:3, 3] + np.linspace(0.04, 0.26, 5)[:, None] * ahead]
        points = np.concatenate(places)
        return points @ MIRROR if self.side == "left" else points


@dataclass(frozen=True)
class Sequence:
    """Some seconds on a table.

    Attributes:
        seed, index: it comes from these two alone.
        hands: one or two.
        things: with labels, at their first poses.
        T_world_things: (K, F, 4, 4) where they are.
        clutter: things without labels.
        scenery: the person, upright.
        lean_m: (F, 3) how far the person's shoulders have followed the hands.
        table: they are on.
        lighting: of it.
        background_seed: of what is behind.
        rig: cameras that stand still.
        ego: camera on the head, at its first place.
        T_ego_world: (F, 4, 4).
    """

    seed: int
    index: int
    hands: tuple[HandTrack, ...]
    things: tuple[Thing, ...]
    T_world_things: Array
    clutter: tuple[Thing, ...]
    scenery: tuple[Thing, ...]
    lean_m: Array
    table: Table
    lighting: Lighting
    background_seed: int
    rig: tuple[View, ...]
    ego: View
    T_ego_world: Array

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self.T_ego_world)

    def scene(self, frame: int) -> Scene:
        """The world at a frame."""
        things = tuple(
            replace(thing, pose=track[frame]) for thing, track in zip(self.things, self.T_world_things, strict=True)
        )
        return Scene(
            hands=tuple(track.hand(frame) for track in self.hands),
            objects=things,
            strangers=(),
            clutter=self.clutter,
            scenery=tuple(_leaning(thing, self.lean_m[frame]) for thing in self.scenery),
            table=self.table,
            lighting=self.lighting,
            background_seed=self.background_seed,
        )

    def views(self, frame: int) -> tuple[View, ...]:
        """The cameras at a frame, that on the head last; only their noise and the head change."""
        ego = replace(self.ego, T_camera_world=self.T_ego_world[frame])
        return tuple(
            replace(view, look=replace(view.look, seed=(view.look.seed + 7919 * frame) % 2**32))
            for view in (*self.rig, ego)
        )

    def frame_id(self, frame: int, view: str) -> FrameId:
        """The name of a picture."""
        return FrameId("scenes", self.seed, self.index, f"{self.seed}-{self.index}", frame, view)


def sample_sequence(seed: int, index: int, views: int = 8, size: tuple[int, int] | None = None) -> Sequence:
    """A random sequence at `RATE_HZ`, 3 to 6 s; the same for the same numbers.

    Args:
        seed, index: where its random numbers come from.
        views: cameras around the table.
        size: width and height of all pictures, None for usual ones.
    """
    rng = np.random.default_rng([seed, index, _STREAM])
    azimuth = rng.uniform(-np.pi, np.pi)
    side = SIDES[int(rng.integers(2))]
    outfit = sample_outfit(rng)
    shoulder = _shoulder(azimuth, side)
    course, plan = _course(rng, shoulder)
    betas = sample_betas(rng) if plan is None else plan.grasp.betas
    main = HandTrack(
        side, betas, outfit, course, shoulder, rng.normal(0, 0.3), None, np.zeros(len(course.angles), bool)
    )
    things: list[Thing] = []
    tracks: list[Array] = []
    if plan is not None:
        poses = course.T_world_object
        true = poses if side == "right" else np.stack([mirror_thing_pose(pose) for pose in poses])
        things.append(dress_thing(rng, plain_thing(plan.grasp.solid, true[0], np.ones(3))))
        tracks.append(true)
        main = replace(main, thing=0, displaced=displaced(true, true[0]))
    second = _second(rng, main, azimuth) if rng.random() < _SECOND_SHARE else None
    hands = (main,) if second is None else (main, second)
    table = _table(rng, azimuth)
    around = scattered(rng, int(rng.integers(0, 8)), _keep_out(hands, things, tracks), table, _EDGE_M + 0.1)
    labelled = around[: int(rng.integers(0, 3))]
    things += labelled
    tracks += [np.repeat(thing.pose[None], len(course.angles), 0) for thing in labelled]
    frames = len(course.angles)
    lean = _lean(hands)
    ego, T_ego_world = _ego(rng, azimuth, hands[0], lean, size)
    return Sequence(
        seed=seed,
        index=index,
        hands=hands,
        things=tuple(things),
        T_world_things=np.stack(tracks) if tracks else np.zeros((0, frames, 4, 4)),
        clutter=tuple(around[len(labelled) :]),
        scenery=tuple(person(rng, _neck(azimuth), -_toward(azimuth), UP, outfit)),
        lean_m=lean,
        table=table,
        lighting=sample_lighting(rng, UP, np.array([0, 0, 0.1])),
        background_seed=int(rng.integers(2**32)),
        rig=table_rig(rng, views, size, azimuth),
        ego=ego,
        T_ego_world=T_ego_world,
    )


def _toward(azimuth: float) -> Array:
    """(3,) horizontal, from the middle of the table to the person."""
    return np.array([np.cos(azimuth), np.sin(azimuth), 0.0])


def _table(rng: Rng, azimuth: float) -> Table:
    """A square table whose edge is before the person's belly."""
    half, toward = float(rng.uniform(0.45, 0.8)), _toward(azimuth)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([toward, np.cross(UP, toward), UP], 1)
    pose[:3, 3] = (_EDGE_M - half) * toward + rng.normal(0, 0.3) * (half - 0.3) * pose[:3, 1]
    return Table(pose, half, *table_look(rng))


def _neck(azimuth: float) -> Array:
    return 0.5 * _toward(azimuth) + np.array([0, 0, 0.4])


def _shoulder(azimuth: float, side: Side) -> Array:
    """(3,) in the hand's own world, in which the hand is a right one."""
    toward = _toward(azimuth if side == "right" else np.pi - azimuth)
    return 0.43 * toward + 0.17 * np.array([-toward[1], toward[0], 0.0]) + np.array([0, 0, 0.36])


def _lean(hands: Many[HandTrack]) -> Array:
    """(F, 3) in the true world: shoulders follow the upper ends of the arms."""
    shifts = []
    for track in hands:
        own = np.stack([track.arm_end(frame) for frame in range(len(track.displaced))]) - track.shoulder_m
        shifts.append(own @ MIRROR if track.side == "left" else own)
    mean = np.mean(shifts, axis=0)
    window = np.hanning(2 * _FOLLOW + 1) / np.hanning(2 * _FOLLOW + 1).sum()
    padded = np.pad(mean, ((_FOLLOW, _FOLLOW), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, axis], window, "valid") for axis in range(3)], 1)


def _leaning(thing: Thing, lean_m: Array) -> Thing:
    """A part of the person, moved the more the higher it is."""
    return moved_thing(thing, float(np.clip((thing.pose[2, 3] + 0.55) / 0.9, 0, 1)) * lean_m)


def _course(rng: Rng, shoulder_m: Array) -> tuple[Course, Plan | None]:
    names, shares = zip(*_OUTCOMES, strict=True)
    outcome: Outcome = names[int(rng.choice(len(names), p=shares))]
    for _ in range(12 if outcome != "pass" else 0):
        place = rng.uniform(-0.09, 0.09, 2) + 0.1 * shoulder_m[:2]
        plan = plan_grasp(rng, place, shoulder_m)
        if plan is None:
            continue
        course = handled(rng, plan, outcome, RATE_HZ)
        if 3 * RATE_HZ <= len(course.angles) <= 6 * RATE_HZ and fits(plan, course):
            return alive(rng, course, RATE_HZ), plan
    return alive(rng, passed(rng, shoulder_m, np.zeros(10), RATE_HZ), RATE_HZ), None


def _second(rng: Rng, main: HandTrack, azimuth: float) -> HandTrack | None:
    """The person's other hand, which rests, or makes gestures; None where it would be in the way."""
    side = SIDES[1 - SIDES.index(main.side)]
    shoulder = _shoulder(azimuth, side)
    line = shoulder[:2] / np.linalg.norm(shoulder[:2])
    place = rng.uniform(0.1, 0.25) * line + rng.uniform(0.08, 0.25) * np.array([-line[1], line[0]])
    hand, angles = waiting_hand(rng, place, shoulder, main.betas)
    frames = len(main.course.angles)
    gestures = [sample_bare(rng)[0] for _ in range(int(rng.integers(0, 4)))] if hand[2, 3] > 0.1 else []
    course = still_course(hand, angles, np.array(gestures).reshape(-1, 15, 3), frames, RATE_HZ)
    course = alive(rng, course, RATE_HZ)
    outfit = main.outfit.other_hand()
    track = HandTrack(side, main.betas, outfit, course, shoulder, rng.normal(0, 0.3), None, np.zeros(frames, bool))
    other, own = main.swept(8), track.swept(16)
    if np.linalg.norm(other[:, None] - own, axis=2).min() < 0.06 or own[:, 2].min() < 0.003:
        return None
    return track


def _keep_out(hands: Many[HandTrack], things: Many[Thing], tracks: Many[Array]) -> Array:
    places = [track.swept() for track in hands]
    for thing, track in zip(things, tracks, strict=True):
        points = thing.solid.mesh().vertices[::16]
        places += [points @ pose[:3, :3].T + pose[:3, 3] for pose in track[::6]]
    return np.concatenate(places)


def _ego(rng: Rng, azimuth: float, hand: HandTrack, lean_m: Array, size: tuple[int, int] | None) -> tuple[View, Array]:
    """A camera on the person's forehead, and where it is."""
    width, height = (640, 480) if size is None else size
    wrist = hand.course.T_world_hand[:, :3, 3]
    wrist = wrist @ MIRROR if hand.side == "left" else wrist
    eye = _neck(azimuth) + np.array([0, 0, 0.26]) - rng.uniform(0.15, 0.18) * _toward(azimuth)
    T = head_track(rng, eye + 0.6 * lean_m, 0.6 * wrist + np.array([0, 0, 0.03]), RATE_HZ)
    camera = camera_of(rng, "webcam" if rng.random() < 0.6 else "d455", width, height)
    return View(camera, T[0], sample_look(rng, 0.55), "ego"), T
