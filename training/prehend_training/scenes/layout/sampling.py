"""Random scenes of single images: who is there, where, how lit. Numbers only; nothing is drawn here."""

from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, SIDES, Side
from prehend_training.assets.forearm import MAX_TWIST_RAD
from prehend_training.grasps.library import HeldGrasp
from prehend_training.grasps.near import near_miss
from prehend_training.objects import Solid
from prehend_training.scenes.appearance.lighting import sample_lighting
from prehend_training.scenes.camera.cameras import sample_camera
from prehend_training.scenes.camera.effects import sample_effects
from prehend_training.scenes.layout.planning import opened_hand
from prehend_training.scenes.layout.posing import (
    FOREARM_M,
    NO_CONTACT,
    PosedHand,
    about,
    aimed_arm,
    bare_hand,
    forearm_direction,
    gap,
    held_grasp,
    nearest_skin,
    place_hand,
    pose_hand,
    to_object,
)
from prehend_training.scenes.layout.scene import (
    Hand,
    Scene,
    SceneCamera,
    Table,
    Thing,
    mirror_thing_pose,
    plain_thing,
    true_points,
)
from prehend_training.scenes.layout.surroundings import (
    dress_thing,
    far_things,
    loose_thing,
    paper_before,
    person,
    resting_rotation,
    sample_near,
    scattered,
    table_below,
)
from prehend_training.scenes.layout.two_hands import other_hand, second_hand
from prehend_training.scenes.layout.viewpoints import SHOULDER_M, Viewpoint, sample_hand_rotation, sample_viewpoint
from prehend_training.scenes.people.body import cross, drawn_hand, shoulder
from prehend_training.scenes.people.clothing import Outfit, sample_outfit
from prehend_training.transforms import rigid

Array = NDArray[np.floating]
Rng = np.random.Generator
Kind = Literal["crop", "frame"]

_GRASP_SHARE, _NEAR_SHARE = 0.45, 0.2
_STRANGER_SHARE, _PAPER_SHARE, _STANDING_SHARE = 0.16, 0.05, 0.45
_BOTH_SHARES: dict[Kind, float] = {"crop": 0.18, "frame": 0.9}
"""Of hands that hold something: how often a second one is asked to help, for which there often is no room."""
_NEAREST_M = 0.12
"""No joint comes closer to the camera."""
_BESIDE_M = 0.003
"""What belongs to another hand is no nearer to a hand's skin."""
_REACH_M = 0.6
"""From the shoulder to the wrist."""
_ARM_TRIES = 6


class _Placed(NamedTuple):
    """A hand with what belongs to it.

    Attributes:
        hand: placed, without the numbers of its object.
        thing: with a label, None for none.
        held: the hand holds it.
        stands: it stands on a table.
        clutter: near it, without labels.
    """

    hand: Hand
    thing: Thing | None
    held: bool
    stands: bool
    clutter: list[Thing]


def sample_view(rng: Rng, width: int | None = None, height: int | None = None) -> SceneCamera:
    """A camera whose optical frame is the world.

    Without a size it is what crops are cut from, undistorted; whole images have their lens's distortion.
    """
    camera = sample_camera(rng, width, height, straight=width is None or height is None)
    return SceneCamera(camera, np.eye(4), sample_effects(rng))


def sample_scene(rng: Rng, kind: Kind, view: SceneCamera) -> Scene:
    """A scene for a camera: `crop` has one hand well in view, `frame` none, one or two, some of them partly outside."""
    viewpoint = sample_viewpoint(rng)
    count = 1 if kind == "crop" else int(rng.choice([0, 1, 2], p=[0.08, 0.47, 0.45]))
    if count == 0:
        loose = tuple(loose_thing(rng, view) for _ in range(int(rng.integers(0, 4))))
        seed = int(rng.integers(2**32))
        return Scene((), (), (), loose, (), None, sample_lighting(rng, viewpoint.up), seed)
    side = SIDES[int(rng.integers(2))]
    first = _in_reach(rng, sample_outfit(rng), kind, view, side, viewpoint)
    body = _neck(viewpoint, first.hand)
    viewpoint = viewpoint if viewpoint.kind == "free" else replace(viewpoint, neck_m=body)
    placed = [first]
    strangers: tuple[Hand, ...] = ()
    extra: list[Thing] = list(first.clutter)
    other = _second_hand(rng, replace(viewpoint, neck_m=body), first) if rng.random() < _BOTH_SHARES[kind] else None
    if other is not None:
        count = 1 if kind == "crop" else 2
    elif count == 2 or rng.random() < _STRANGER_SHARE:
        other = _second(rng, kind, view, viewpoint, first)
    if other is not None and count == 2:
        placed.append(other)
        extra += other.clutter
    elif other is not None:
        strangers = (other.hand,)
        extra += other.clutter + ([] if other.thing is None or other.thing is first.thing else [other.thing])
    hands, objects = _numbered(placed)
    everyone = [*hands, *strangers]
    table = _table(rng, viewpoint, placed, everyone, [*objects, *extra])
    around = _around(rng, table, everyone, objects, extra)
    if rng.random() < _PAPER_SHARE and (paper := paper_before(rng, hands[0])) is not None:
        extra.append(paper)
    return Scene(
        hands=tuple(hands),
        objects=tuple(objects),
        strangers=strangers,
        clutter=tuple(extra + (around if table is not None else [])),
        scenery=tuple(_people(rng, view, viewpoint, everyone) + (around if table is None else [])),
        table=table,
        lighting=sample_lighting(rng, viewpoint.up, true_points(hands[0], hands[0].wrist_m)),
        background_seed=int(rng.integers(2**32)),
    )


def _numbered(placed: list[_Placed]) -> tuple[list[Hand], list[Thing]]:
    """The hands with the numbers of their objects, and the objects."""
    hands, objects = [], list[Thing]()
    for one in placed:
        number = None
        if one.thing is not None:
            same = [k for k, thing in enumerate(objects) if thing is one.thing]
            number = same[0] if same else len(objects)
            objects += [] if same else [one.thing]
        touches = one.held or bool(one.hand.contact.any())
        hands.append(replace(one.hand, object_index=number if touches else None))
    return hands, objects


def _second(rng: Rng, kind: Kind, view: SceneCamera, viewpoint: Viewpoint, first: _Placed) -> _Placed | None:
    """Another hand: the same person's at work with the first one, or anybody's anywhere; None where they would meet."""
    side = SIDES[1 - SIDES.index(first.hand.side)]
    outfit = first.hand.outfit.other_hand()
    if rng.random() < (0.5 if kind == "frame" else 0.9):
        pair = other_hand(rng, first.hand, side, outfit, viewpoint)
        return None if pair is None or _pierced(pair, first) else _Placed(pair, None, False, False, [])
    if rng.random() < 0.15:
        side, outfit = SIDES[int(rng.integers(2))], sample_outfit(rng)
    other = _in_reach(rng, outfit, kind, view, side, viewpoint)
    far = np.linalg.norm(other.hand.wrist_m - viewpoint.seen_by(side).shoulder(other.hand.wrist_m)) > _REACH_M
    if far or other.stands or first.stands or not apart(first.hand, other.hand):
        return None
    if _pierced(other.hand, first) or _pierced(first.hand, other):
        return None
    return other


def _second_hand(rng: Rng, viewpoint: Viewpoint, first: _Placed) -> _Placed | None:
    """The person's other hand on what the first one holds; None where it holds nothing or there is no room."""
    if not first.held or first.thing is None:
        return None
    side = SIDES[1 - SIDES.index(first.hand.side)]
    lowest = _lowest(viewpoint.up, first.thing) if first.stands else -np.inf
    outfit = first.hand.outfit.other_hand()
    for _ in range(2):
        hand = second_hand(rng, first.hand, first.thing, side, outfit, viewpoint, lowest)
        if hand is not None:
            return _Placed(hand, first.thing, True, first.stands, [])
    return None


def _lowest(up: Array, thing: Thing) -> float:
    """Height [m] along a direction of an object's lowest point."""
    return float((thing.solid.mesh().vertices @ thing.pose[:3, :3].T @ up).min() + thing.pose[:3, 3] @ up)


def _in_reach(rng: Rng, outfit: Outfit, kind: Kind, view: SceneCamera, side: Side, viewpoint: Viewpoint) -> _Placed:
    """A hand that its arm reaches, and in a whole image one whose arm is not seen to end in the air."""
    own = viewpoint.seen_by(side)
    for _ in range(8):
        one = _sample_hand(rng, outfit, kind, view, side, viewpoint)
        hand = one.hand
        if np.linalg.norm(hand.wrist_m - own.shoulder(hand.wrist_m)) > _REACH_M:
            continue
        if kind == "crop" or not _stump_seen(view, hand) or _has_room(viewpoint, [hand]):
            break
    return one


def _sample_hand(rng: Rng, outfit: Outfit, kind: Kind, view: SceneCamera, side: Side, viewpoint: Viewpoint) -> _Placed:
    own = viewpoint.seen_by(side)
    mode = rng.random()
    grasp = held_grasp(rng) if mode < _GRASP_SHARE + 0.6 * _NEAR_SHARE else None
    held, stands, contact = mode < _GRASP_SHARE, False, NO_CONTACT
    posed = bare_hand(rng) if grasp is None else pose_hand(grasp.angles, grasp.betas)
    T_hand_object: Array = np.eye(4) if grasp is None else grasp.T_hand_object
    if grasp is not None and not held:
        missed = _near(rng, grasp)
        posed, T_hand_object, contact = missed if missed is not None else (bare_hand(rng), np.eye(4), NO_CONTACT)
        grasp = grasp if missed is not None else None
    elif grasp is not None:
        contact = grasp.contact
    R = _rotation(rng, own)
    if grasp is not None and own.kind not in ("free", "raised") and rng.random() < _STANDING_SHARE:
        standing = _standing_rotation(rng, own, posed, grasp.solid, T_hand_object)
        R, stands = (R, False) if standing is None else (standing, True)
    T = rigid(R, _sample_wrist(rng, kind, view, side, R, posed, own.kind == "ego"))
    twist = float(np.clip(rng.normal(0, 0.4), -0.9, 0.9) * MAX_TWIST_RAD)
    arm = aimed_arm(T, own.shoulder(T[:3, 3]), own.elbow, twist)
    hand = place_hand(posed, side, T, arm, outfit)
    hand = replace(hand, grasp=held, displaced=held, contact=contact)
    thing = None
    if grasp is not None:
        pose: Array = T @ T_hand_object
        pose = pose if side == "right" else mirror_thing_pose(pose)
        thing = dress_thing(rng, plain_thing(grasp.solid, pose, np.ones(3)))
    near = sample_near(rng, hand) if thing is None and mode < _GRASP_SHARE + _NEAR_SHARE else []
    return _Placed(hand, thing, held, stands, near)


def _near(rng: Rng, grasp: HeldGrasp) -> tuple[PosedHand, Array, NDArray[np.bool_]] | None:
    if rng.random() < 0.5:
        return backed_off(rng, grasp)
    state = near_miss(rng, grasp)
    return pose_hand(state.angles, state.betas), state.T_hand_object, state.contact


def backed_off(rng: Rng, grasp: HeldGrasp) -> tuple[PosedHand, Array, NDArray[np.bool_]] | None:
    """A hand about to take an object, or just off it: (hand, T_hand_object, contact); None where they would meet."""
    share = rng.uniform(0.15, 1.0)
    posed = pose_hand(grasp.angles + share * (opened_hand(grasp.angles) - grasp.angles), grasp.betas)
    middle = grasp.T_hand_object[:3, :3] @ grasp.solid.center_m + grasp.T_hand_object[:3, 3]
    away = middle / np.linalg.norm(middle) + rng.normal(0, 0.4, 3)
    away /= np.linalg.norm(away)
    for distance in rng.uniform(0.004, 0.03) + np.array([0.0, 0.02, 0.04, 0.07]):
        T = grasp.T_hand_object.copy()
        T[:3, 3] += distance * away
        if nearest_skin(posed, grasp.solid, T, 2) > 0.0045:
            return posed, T, NO_CONTACT
    return None


def _rotation(rng: Rng, own: Viewpoint) -> Array:
    """A rotation to which an arm can bring the hand."""
    for _ in range(_ARM_TRIES):
        R = sample_hand_rotation(rng, own)
        if own.kind == "free" or _reachable(R, own):
            break
    return R


def _usual_shoulder(own: Viewpoint) -> Array:
    """(3,) seen from a hand that is not placed yet."""
    return replace(own, neck_m=None).shoulder(np.zeros(3))


def _reachable(R: Array, own: Viewpoint) -> bool:
    toward = _usual_shoulder(own)
    arm = aimed_arm(rigid(R, np.zeros(3)), toward, own.elbow)
    return bool(forearm_direction(R, arm.bend) @ toward > 0.35 * np.linalg.norm(toward))


def _standing_rotation(rng: Rng, own: Viewpoint, posed: PosedHand, solid: Solid, T_hand_object: Array) -> Array | None:
    """(3, 3) of the hand whose object stands or lies on a table; None where hand or arm would be in the table."""
    level = np.stack([own.toward, cross(own.up, own.toward), own.up], 1)
    skin = posed.vertices[drawn_hand().hand_mask][::4]
    mesh = solid.mesh().vertices @ T_hand_object[:3, :3].T + T_hand_object[:3, 3]
    for _ in range(_ARM_TRIES):
        R = resting_rotation(rng, solid) @ T_hand_object[:3, :3].T
        spin = -np.arctan2(R[1, 0], R[0, 0]) + rng.normal(0, 0.4)
        R = level @ about(np.array([0, 0, 1.0]), spin) @ R
        arm = aimed_arm(rigid(R, np.zeros(3)), _usual_shoulder(own), own.elbow)
        above = R.T @ own.up
        table = float((mesh @ above).min())
        elbow = FOREARM_M * float(forearm_direction(R, arm.bend) @ own.up) - 0.04
        if R[:, 1] @ own.up > -0.5 and (skin @ above).min() > table and elbow > table and _reachable(R, own):
            return R
    return None


def _sample_wrist(rng: Rng, kind: Kind, view: SceneCamera, side: Side, R: Array, posed: PosedHand, ego: bool) -> Array:
    """(3,) of a hand whose middle is somewhere in the image; in the mirrored camera frame for a left hand."""
    if kind == "crop":
        depth, share = np.exp(rng.uniform(np.log(0.25), np.log(1.2))), rng.uniform(0.15, 0.85, 2)
    else:
        depth = np.exp(rng.uniform(np.log(0.17), np.log(1.6)))
        share = rng.uniform(-0.02, 1.02, 2) if rng.random() < 0.15 else rng.uniform(0.1, 0.9, 2)
    if ego:
        depth = min(depth, rng.uniform(0.25, 0.6))
    ray = np.linalg.inv(view.camera.K) @ np.array([share[0] * view.camera.width, share[1] * view.camera.height, 1.0])
    centre = depth * ray
    centre = centre if side == "right" else MIRROR @ centre
    wrist = centre - R @ posed.joints.mean(0)
    nearest = float((posed.joints @ R[2] + wrist[2]).min())
    return wrist + centre / centre[2] * max(_NEAREST_M - nearest, 0.0)


def apart(first: Hand, second: Hand) -> bool:
    """Whether two hands and their arms are at least 2 cm from each other."""
    return gap(*(true_points(hand, hand.vertices_m[::12]) for hand in (first, second))) > 0.02


def _pierced(hand: Hand, other: _Placed) -> bool:
    """Whether a hand or its arm goes into what belongs to another one."""
    skin = true_points(hand, hand.vertices_m[::2])
    things = [*other.clutter, *([] if other.thing is None else [other.thing])]
    return any(thing.solid.nearest(to_object(thing.pose, skin), filled=True) < _BESIDE_M for thing in things)


def _table(
    rng: Rng, viewpoint: Viewpoint, placed: list[_Placed], hands: list[Hand], things: list[Thing]
) -> Table | None:
    stands = next((one.thing for one in placed if one.stands), None)
    if stands is None and rng.random() > viewpoint.table_share:
        return None
    points = [true_points(hand, hand.vertices_m[::3]) for hand in hands]
    points += [thing.solid.mesh().vertices[::4] @ thing.pose[:3, :3].T + thing.pose[:3, 3] for thing in things]
    lowest = None if stands is None else _lowest(viewpoint.up, stands)
    return table_below(rng, viewpoint.up, viewpoint.toward, np.concatenate(points), lowest, viewpoint.away_m)


def _around(rng: Rng, table: Table | None, hands: list[Hand], objects: list[Thing], others: list[Thing]) -> list[Thing]:
    """Clutter on the table, or far behind."""
    if table is None:
        return far_things(rng, hands) if rng.random() < 0.4 else []
    points = [true_points(hand, hand.vertices_m[::24]) for hand in hands]
    for thing in (*objects, *others):
        points.append(thing.solid.mesh().vertices[::12] @ thing.pose[:3, :3].T + thing.pose[:3, 3])
    count = int(rng.integers(1, 6)) if rng.random() < 0.7 else 0
    things = scattered(rng, count, np.concatenate(points), table, 0.35)
    return [thing for thing in things if thing.pose[2, 3] > 0.2]


def _neck(viewpoint: Viewpoint, hand: Hand) -> Array:
    """(3,) of the person to whom an arm belongs."""
    if viewpoint.neck_m is not None:
        return viewpoint.neck_m
    end = true_points(hand, shoulder(hand.vertices_m, hand.arm))
    right = viewpoint.right * (1 if hand.side == "right" else -1)
    return np.asarray(end - SHOULDER_M * right + 0.04 * viewpoint.up + 0.04 * viewpoint.toward)


def _stump_seen(view: SceneCamera, hand: Hand) -> bool:
    """Whether the upper end of an arm is in the image."""
    end = true_points(hand, shoulder(hand.vertices_m, hand.arm))
    if end[2] < 0.05:
        return False
    u, v, _ = view.camera.K @ end / end[2]
    margin = 0.1 * view.camera.K[0, 0] / end[2]
    return bool(-margin < u < view.camera.width + margin and -margin < v < view.camera.height + margin)


def _has_room(viewpoint: Viewpoint, hands: list[Hand]) -> bool:
    """Whether a body can be drawn that neither holds the camera nor hides the hands."""
    if viewpoint.kind in ("ego", "free"):
        return False
    neck = _neck(viewpoint, hands[0])
    trunk = neck + np.linspace(0.3, -0.65, 14)[:, None] * viewpoint.up
    if np.linalg.norm(trunk, axis=1).min() < 0.35:
        return False
    sights = [true_points(hand, hand.joints_m)[:, None] * np.linspace(0.3, 1, 8)[:, None] for hand in hands]
    gaps = np.linalg.norm(np.concatenate(sights).reshape(-1, 1, 3) - trunk, axis=2)
    return bool(gaps.min() > 0.22)


def _people(rng: Rng, view: SceneCamera, viewpoint: Viewpoint, hands: list[Hand]) -> list[Thing]:
    """The person whose hands are in the image, where one can be seen."""
    if not _has_room(viewpoint, hands) or (rng.random() < 0.2 and not _stump_seen(view, hands[0])):
        return []
    return person(rng, _neck(viewpoint, hands[0]), -viewpoint.toward, viewpoint.up, hands[0].outfit)
