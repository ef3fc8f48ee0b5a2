"""Sequences: hands that reach, touch, grasp, lift, turn, put down and let go on a table, seen by many cameras.

The world's z axis points up, the table top is at z = 0. A sequence is made of tracks, so any frame is had at once.
"""

from collections.abc import Sequence as Many
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, SIDES, Side
from prehend_training.datasets.grasp_labels import displaced
from prehend_training.sample import FrameId
from prehend_training.scenes.appearance.lighting import Lighting, sample_lighting
from prehend_training.scenes.camera.cameras import camera_of
from prehend_training.scenes.camera.effects import sample_effects
from prehend_training.scenes.camera.lens import pixels
from prehend_training.scenes.layout.hand_tracks import HandTrack, arms_fit, leaning, leant
from prehend_training.scenes.layout.manipulation import Course, Outcome, alive, fits, handled, passed, still_course
from prehend_training.scenes.layout.planning import UP, GraspPlan, plan_grasp, waiting_hand
from prehend_training.scenes.layout.posing import to_object
from prehend_training.scenes.layout.rig import CENTRE_M, head_track, table_rig
from prehend_training.scenes.layout.scene import (
    Scene,
    SceneCamera,
    Table,
    Thing,
    mirror_thing_pose,
    plain_thing,
)
from prehend_training.scenes.layout.surroundings import dress_thing, person, scattered, table_look
from prehend_training.scenes.people.clothing import Outfit, sample_outfit
from prehend_training.scenes.people.gestures import sample_bare, sample_betas

Array = NDArray[np.floating]
Rng = np.random.Generator

RATE_HZ = 30.0
_OUTCOMES: tuple[tuple[Outcome, float], ...] = (("lift", 0.68), ("touch", 0.12), ("near", 0.1), ("pass", 0.1))
_SECOND_SHARE = 0.35
_SHOULDERS, _HEAD = 2, 4
"""Parts of `person`."""
_SHOULDER_M = 0.115
"""From the neck to where an upper arm ends, inside the shoulders' round."""
_SHUTTER = (1 / 8, 1 / 2)
"""Share of the time between two frames for which a camera takes in light."""
_SIGHT_M = 0.03
"""How far the person's own chest and face keep out of what the camera on the head looks at."""
_NEAREST_M = 0.1
"""What is nearer to a camera does not count for its motion blur."""
_LONGEST_STREAK_PX = 10.0
"""Of the motion blur, in an image 160 px wide."""
_DRAWN_TIMES = 20
"""Hands whose arms fit neither person nor table are drawn anew, at most so often."""
_EDGE_M = 0.33
"""How far the table reaches towards the person from its middle."""
_STREAM = 2
"""Tells the random numbers of sequences from those of crops (0) and frames (1)."""


@dataclass(frozen=True)
class Sequence:
    """Some seconds on a table.

    Attributes:
        seed, index: it comes from these two alone.
        hands: one or two.
        things: with labels, at their first poses.
        T_world_things: (K, F, 4, 4) where they are.
        clutter: objects without labels.
        scenery: the person, upright.
        lean_m: (F, 3) how far the person's shoulders have followed the hands.
        shutter: (V + 1,) share of the time between frames for which each camera, the head's last, takes in light.
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
    shutter: Array
    table: Table
    lighting: Lighting
    background_seed: int
    rig: tuple[SceneCamera, ...]
    ego: SceneCamera
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
            scenery=tuple(leaning(thing, self.lean_m[frame]) for thing in self.scenery),
            table=self.table,
            lighting=self.lighting,
            background_seed=self.background_seed,
        )

    def views(self, frame: int) -> tuple[SceneCamera, ...]:
        """The cameras at a frame, that on the head last; only their noise, their motion blur and the head change."""
        before, after = max(frame - 1, 0), min(frame + 1, self.frames - 1)
        views = []
        for k, view in enumerate((*self.rig, self.ego)):
            T = self.T_ego_world[[before, frame, after]] if view is self.ego else [view.T_camera_world] * 3
            shift = self._shift_px(view, before, T[0], after, T[2])
            motion = self.shutter[k] * shift / (after - before) * 160 / view.camera.width
            motion = motion * min(1.0, _LONGEST_STREAK_PX / max(float(np.hypot(*motion)), 1e-9))
            effects = replace(view.effects, seed=(view.effects.seed + 7919 * frame) % 2**32, motion_px=motion)
            views.append(replace(view, T_camera_world=T[1], effects=effects))
        return tuple(views)

    def _shift_px(self, view: SceneCamera, before: int, T_before: Array, after: int, T_after: Array) -> Array:
        """(2,) mean movement in an image of the hands before the camera, from one frame to another."""
        shifts = []
        for track in self.hands:
            places = np.stack(
                [T[:3, :3] @ track.middle(k) + T[:3, 3] for k, T in ((before, T_before), (after, T_after))]
            )
            if (places[:, 2] > _NEAREST_M).all():
                shifts.append(np.subtract(*pixels(places, view.camera)[::-1]))
        return np.mean(shifts, axis=0) if shifts else np.zeros(2)

    def frame_id(self, frame: int, view: str) -> FrameId:
        """The name of an image."""
        return FrameId("scenes", self.seed, self.index, f"{self.seed}-{self.index}", frame, view)


def sample_sequence(seed: int, index: int, views: int = 8, size: tuple[int, int] | None = None) -> Sequence:
    """A random sequence at `RATE_HZ`, 3 to 9 s; the same for the same numbers.

    Args:
        seed, index: where its random numbers come from.
        views: cameras around the table.
        size: width and height of all images, None for usual ones.
    """
    rng = np.random.default_rng([seed, index, _STREAM])
    azimuth = rng.uniform(-np.pi, np.pi)
    side = SIDES[int(rng.integers(2))]
    outfit = sample_outfit(rng)
    scenery, eye = _person(rng, azimuth, outfit)
    for _ in range(_DRAWN_TIMES):
        hands, things, tracks = _at_work(rng, scenery, side, outfit)
        hands, lean = leant(hands)
        if arms_fit(hands, scenery, lean):
            break
    table = _table(rng, azimuth)
    around = scattered(rng, int(rng.integers(0, 8)), _keep_out(hands, things, tracks), table, _EDGE_M + 0.1)
    labelled = around[: int(rng.integers(0, 3))]
    things += labelled
    tracks += [np.repeat(thing.pose[None], len(lean), 0) for thing in labelled]
    frames = len(lean)
    ego, T_ego_world = _ego(rng, eye + lean, hands[0], size)
    return Sequence(
        seed=seed,
        index=index,
        hands=hands,
        things=tuple(things),
        T_world_things=np.stack(tracks) if tracks else np.zeros((0, frames, 4, 4)),
        clutter=tuple(around[len(labelled) :]),
        scenery=scenery,
        lean_m=lean,
        shutter=rng.uniform(*_SHUTTER, views + 1),
        table=table,
        lighting=sample_lighting(rng, UP, np.array([0, 0, 0.1])),
        background_seed=int(rng.integers(2**32)),
        rig=table_rig(rng, views, size, azimuth),
        ego=ego,
        T_ego_world=T_ego_world,
    )


def _at_work(
    rng: Rng, scenery: Many[Thing], side: Side, outfit: Outfit
) -> tuple[tuple[HandTrack, ...], list[Thing], list[Array]]:
    """What hands of an upright person do, their object, and its poses (F, 4, 4)."""
    shoulder_m = _shoulder(scenery, side)
    course, plan = _course(rng, shoulder_m)
    betas = sample_betas(rng) if plan is None else plan.grasp.betas
    main = _track(rng, side, betas, outfit, course, shoulder_m)
    things: list[Thing] = []
    tracks: list[Array] = []
    if plan is not None:
        poses = course.T_world_object
        true = poses if side == "right" else np.stack([mirror_thing_pose(pose) for pose in poses])
        things.append(dress_thing(rng, plain_thing(plan.grasp.solid, true[0], np.ones(3))))
        tracks.append(true)
        main = replace(main, thing=0, displaced=displaced(true, true[0]))
    other = _shoulder(scenery, SIDES[1 - SIDES.index(side)])
    second = _second(rng, main, other) if rng.random() < _SECOND_SHARE else None
    return (main,) if second is None else (main, second), things, tracks


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


def _person(rng: Rng, azimuth: float, outfit: Outfit) -> tuple[tuple[Thing, ...], Array]:
    """Somebody at the table, and (3,) a camera before the forehead past whose chest the table is seen."""
    toward = _toward(azimuth)
    targets = np.stack([CENTRE_M, 0.12 * toward + [0, 0, 0.05]])
    for ahead in np.arange(0, 0.3, 0.01):  # who leans back has the camera on a longer arm
        parts = tuple(person(rng, _neck(azimuth), -toward, UP, outfit))
        head = parts[_HEAD].pose
        eye = head[:3, :3] @ np.array([0, 0.05, -rng.uniform(0.14, 0.17)]) + head[:3, 3] - ahead * toward
        sight = eye + np.linspace(0, 0.9, 12)[:, None, None] * (targets - eye)
        if all(part.solid.distance(to_object(part.pose, sight)).min() > _SIGHT_M for part in parts):
            break
    return parts, eye


def _shoulder(scenery: Many[Thing], side: Side) -> Array:
    """(3,) where the upper arm ends in an upright person, in the hand's own world, in which the hand is a right one."""
    pose = scenery[_SHOULDERS].pose
    true = pose[:3, 3] + (_SHOULDER_M if side == "right" else -_SHOULDER_M) * pose[:3, 0]
    return np.asarray(true @ MIRROR if side == "left" else true)


def _track(rng: Rng, side: Side, betas: Array, outfit: Outfit, course: Course, shoulder_m: Array) -> HandTrack:
    """A hand that handles nothing yet, of a person who sits upright."""
    frames = len(course.angles)
    shoulders = np.repeat(shoulder_m[None], frames, 0)
    return HandTrack(side, betas, outfit, course, shoulders, rng.normal(0, 0.3), None, np.zeros(frames, bool))


def _course(rng: Rng, shoulder_m: Array) -> tuple[Course, GraspPlan | None]:
    names, shares = zip(*_OUTCOMES, strict=True)
    outcome: Outcome = names[int(rng.choice(len(names), p=shares))]
    for _ in range(12 if outcome != "pass" else 0):
        place = rng.uniform(-0.09, 0.09, 2) + 0.1 * shoulder_m[:2]
        plan = plan_grasp(rng, place, shoulder_m)
        if plan is None:
            continue
        course = handled(rng, plan, outcome, RATE_HZ)
        if 3 * RATE_HZ <= len(course.angles) <= 9 * RATE_HZ and fits(plan, course):
            return alive(rng, course, RATE_HZ), plan
    return alive(rng, passed(rng, shoulder_m, np.zeros(10), RATE_HZ), RATE_HZ), None


def _second(rng: Rng, main: HandTrack, shoulder: Array) -> HandTrack | None:
    """The person's other hand, which rests, or makes gestures; None where it would be in the way."""
    side = SIDES[1 - SIDES.index(main.side)]
    line = shoulder[:2] / np.linalg.norm(shoulder[:2])
    place = rng.uniform(0.1, 0.25) * line + rng.uniform(0.08, 0.25) * np.array([-line[1], line[0]])
    hand, angles = waiting_hand(rng, place, shoulder, main.betas)
    frames = len(main.course.angles)
    gestures = [sample_bare(rng)[0] for _ in range(int(rng.integers(0, 4)))] if hand[2, 3] > 0.1 else []
    course = still_course(hand, angles, np.array(gestures).reshape(-1, 15, 3), frames, RATE_HZ)
    course = alive(rng, course, RATE_HZ)
    track = _track(rng, side, main.betas, main.outfit.other_hand(), course, shoulder)
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


def _ego(rng: Rng, eye_m: Array, hand: HandTrack, size: tuple[int, int] | None) -> tuple[SceneCamera, Array]:
    """A camera before the person's forehead, (F, 3), and where it is."""
    wrist = hand.true(hand.course.T_world_hand[:, :3, 3])
    T = head_track(rng, eye_m, 0.6 * wrist + np.array([0, 0, 0.03]), RATE_HZ)
    camera = camera_of(rng, "webcam" if rng.random() < 0.6 else "d455", *(size or (640, 480)))
    return SceneCamera(camera, T[0], sample_effects(rng, 0.55), "ego"), T
