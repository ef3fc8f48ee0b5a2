"""Random scenes: who is there, where, how lit. Numbers only; nothing is drawn here."""

from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, SIDES, Side
from prehend.hand_model import skin
from prehend_training.assets.forearm import MAX_DEVIATION_RAD, MAX_FLEXION_RAD, MAX_TWIST_RAD
from prehend_training.scenes.body import Arm, bend_wrist, drawn_hand, turn
from prehend_training.scenes.camera_look import sample_look
from prehend_training.scenes.cameras import sample_camera
from prehend_training.scenes.environment import sample_lighting
from prehend_training.scenes.gestures import sample_bare
from prehend_training.scenes.grasp import POOL_SIZE, TOUCH_M, digits_in_touch, pooled_grasp
from prehend_training.scenes.sample import HAND_PARTS
from prehend_training.scenes.scene import (
    Hand,
    Scene,
    Thing,
    View,
    mirror_thing_pose,
    moved,
    moved_thing,
    plain_thing,
    true_points,
)
from prehend_training.scenes.surroundings import (
    dress_thing,
    loose_thing,
    random_rotation,
    sample_near,
    sample_scenery,
    sample_table,
)
from prehend_training.scenes.wear import Outfit, sample_outfit

Array = NDArray[np.floating]
Rng = np.random.Generator
Kind = Literal["crop", "frame"]

_GRASP_SHARE, _NEAR_SHARE, _STRANGER_SHARE = 0.42, 0.13, 0.12
_NEAREST_M = 0.12
"""No joint comes closer to the camera."""


class _Posed(NamedTuple):
    """A right hand in its own frame, wrist at the origin."""

    rotations: Array
    betas: Array
    vertices: Array
    joints: Array
    held: Thing | None
    contact: NDArray[np.bool_] | None


def sample_view(rng: Rng, width: int | None = None, height: int | None = None) -> View:
    """A camera whose optical frame is the world.

    Without a size it is what crops are cut from, undistorted; whole pictures have their lens's distortion.
    """
    camera = sample_camera(rng, width, height, straight=width is None or height is None)
    return View(camera, np.eye(4), sample_look(rng))


def sample_scene(rng: Rng, kind: Kind, view: View) -> Scene:
    """A scene for a camera: `crop` has one hand well in view, `frame` none, one or two, some of them partly outside."""
    count = 1 if kind == "crop" else int(rng.choice([0, 1, 2], p=[0.08, 0.47, 0.45]))
    hands: list[Hand] = []
    objects: list[Thing] = []
    clutter: list[Thing] = []
    first_side = int(rng.integers(2))
    for k in range(count):
        side = SIDES[first_side if k == 0 or rng.random() < 0.12 else 1 - first_side]
        same_person = k > 0 and rng.random() < 0.85
        outfit = hands[0].outfit.other_hand() if same_person and hands else sample_outfit(rng)
        hand, held, near = _sample_hand(rng, outfit, kind, view, side)
        if k and not _apart(hands[0], hand):
            continue
        if held is not None:
            hand = replace(hand, object_index=len(objects))
            objects.append(held)
        hands.append(hand)
        clutter += near
    if not hands:
        clutter += [loose_thing(rng, view) for _ in range(int(rng.integers(0, 4)))]
    strangers: tuple[Hand, ...] = ()
    if kind == "crop" and rng.random() < _STRANGER_SHARE:
        strangers, theirs = _sample_stranger(rng, view, hands[0])
        clutter += theirs
    everyone = [*hands, *strangers]
    table = sample_table(rng, everyone, objects) if hands and rng.random() < 0.3 else None
    return Scene(
        hands=tuple(hands),
        objects=tuple(objects),
        strangers=strangers,
        clutter=tuple(clutter),
        scenery=tuple(sample_scenery(rng, everyone, table)),
        table=table,
        lighting=sample_lighting(rng),
        background_seed=int(rng.integers(2**32)),
    )


def _sample_stranger(rng: Rng, view: View, hand: Hand) -> tuple[tuple[Hand, ...], list[Thing]]:
    """The other hand, near the first one, and what it holds; none where they would meet."""
    side = SIDES[1 - SIDES.index(hand.side)] if rng.random() < 0.85 else hand.side
    other, held, _ = _sample_hand(rng, hand.outfit.other_hand(), "crop", view, side)
    aside = rng.normal(0, [1.0, 1.0, 0.4])
    place = true_points(hand, hand.joints_m).mean(0) + aside / np.linalg.norm(aside) * rng.uniform(0.07, 0.22)
    shift = place - true_points(other, other.joints_m).mean(0)
    if (other.joints_m[:, 2] + shift[2]).min() < _NEAREST_M:
        return (), []
    other = moved(other, shift)
    if not _apart(hand, other):
        return (), []
    return (other,), [] if held is None else [moved_thing(held, shift)]


def _sample_hand(
    rng: Rng, outfit: Outfit, kind: Kind, view: View, side: Side
) -> tuple[Hand, Thing | None, list[Thing]]:
    mode = rng.random()
    posed = _grasping(rng) if mode < _GRASP_SHARE else None
    if posed is None:
        posed = _bare(rng)
    limits = np.array([0.9 * MAX_FLEXION_RAD, MAX_DEVIATION_RAD, MAX_TWIST_RAD])
    bend = np.clip(rng.normal(0, [0.35, 0.16, 0.45]), -limits, limits)
    arm = Arm(bend, rng.normal(0, 1, 3) * np.array([0.3, 0.6, 0.6]))
    R = sample_orientation(rng)
    centre = _sample_place(rng, kind, view, side)
    wrist = centre - R @ posed.joints.mean(0)
    nearest = float((posed.joints @ R[2] + wrist[2]).min())
    if nearest < _NEAREST_M:
        wrist = wrist + centre / centre[2] * (_NEAREST_M - nearest)
    rotations = posed.rotations.astype(np.float64).copy()
    rotations[0] = R
    T_camera_hand = np.eye(4)
    T_camera_hand[:3, :3], T_camera_hand[:3, 3] = R, wrist
    held = None
    if posed.held is not None:
        pose = T_camera_hand @ posed.held.pose
        held = replace(posed.held, pose=pose if side == "right" else mirror_thing_pose(pose))
    hand = Hand(
        side=side,
        rotations=rotations,
        betas=posed.betas,
        wrist_m=wrist,
        joints_m=posed.joints @ R.T + wrist,
        model_m=posed.vertices[drawn_hand().hand_mask] @ R.T + wrist,
        vertices_m=bend_wrist(posed.vertices, arm) @ R.T + wrist,
        arm=arm,
        outfit=outfit,
        grasp=held is not None,
        displaced=held is not None,
        contact=np.zeros(6, np.bool_) if posed.contact is None else posed.contact,
    )
    near = [] if held is not None or mode > _GRASP_SHARE + _NEAR_SHARE else sample_near(rng, hand)
    return hand, held, near


def _bare(rng: Rng) -> _Posed:
    betas = rng.standard_normal(10)
    _, rotations = sample_bare(rng)
    posed = skin(drawn_hand(), rotations, betas)
    return _Posed(rotations, betas, posed.vertices - posed.joints[0], posed.joints - posed.joints[0], None, None)


def _grasping(rng: Rng) -> _Posed | None:
    found = pooled_grasp(int(rng.integers(POOL_SIZE)))
    if found is None:
        return None
    betas, grasp = found
    wrist = grasp.skinned.joints[0]
    nearest = digits_in_touch(grasp)
    touched = np.array([nearest[part] < TOUCH_M for part in HAND_PARTS])
    held = dress_thing(rng, plain_thing(grasp.solid, grasp.T_hand_object, np.ones(3)))
    return _Posed(grasp.rotations, betas, grasp.skinned.vertices - wrist, grasp.skinned.joints - wrist, held, touched)


# columns: where x (to the wrist), y (out of the back) and z (to the thumb) of a right hand point, in a camera frame
_PALM = np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]])
_BACK = np.array([[0, 0, -1.0], [1, 0, 0], [0, -1, 0]])


def sample_orientation(rng: Rng) -> Array:
    """(3, 3) rotation from a right hand to the camera, weighted to what cameras see."""
    kind = rng.choice(5, p=[0.29, 0.24, 0.16, 0.15, 0.16])
    if kind == 4:
        return random_rotation(rng)
    if kind == 3:  # egocentric: the back or the thumb's side seen, fingers away from the camera and up
        base = _turn("x", rng.uniform(-80, -25)) @ _turn("y", rng.normal(-20, 45)) @ _BACK
        return _turn("z", rng.normal(-15, 35)) @ base
    base = {0: _PALM, 1: _BACK, 2: _turn("y", rng.choice([-90, 90])) @ _PALM}[int(kind)]
    roll = rng.uniform(-180, 180) if rng.random() < 0.25 else rng.normal(0, 40)
    return _turn("z", roll) @ _turn("x", rng.normal(0, 28)) @ _turn("y", rng.normal(0, 28)) @ base


def _turn(axis: str, degrees: float) -> Array:
    return turn(np.eye(3)["xyz".index(axis)] * np.deg2rad(degrees))


def _sample_place(rng: Rng, kind: Kind, view: View, side: Side) -> Array:
    """Where the middle of the hand is; in the mirrored camera frame for a left hand."""
    if kind == "crop":
        depth, share = np.exp(rng.uniform(np.log(0.25), np.log(1.2))), rng.uniform(0.15, 0.85, 2)
    else:
        depth = np.exp(rng.uniform(np.log(0.17), np.log(1.6)))
        share = rng.uniform(-0.02, 1.02, 2) if rng.random() < 0.15 else rng.uniform(0.1, 0.9, 2)
    ray = np.linalg.inv(view.camera.K) @ np.array([share[0] * view.camera.width, share[1] * view.camera.height, 1.0])
    place = depth * ray
    return place if side == "right" else MIRROR @ place


def _apart(first: Hand, second: Hand) -> bool:
    a, b = (hand.vertices_m[::12] * (MIRROR.diagonal() if hand.side == "left" else 1.0) for hand in (first, second))
    return bool(np.linalg.norm(a[:, None] - b, axis=2).min() > 0.02)
