"""A hand by a depth image: its skin is as far away as the image says where the hand is seen.

From one camera a hand's distance is only as good as its size is known. A depth camera measures it. What is compared is
skin with skin: of the posed mesh what faces the camera, each point with the depth at its own pixel. Joints lie below
the skin, by as much as the model says. First the hand moves along its viewing ray to where most of its skin agrees;
from there on `fit` turns and resizes it, too, and `fingers` bends its fingers. Where too little agrees for that, the
distance alone is taken from the middle of what was measured.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.errors import InvalidInput
from prehend.geometry.camera import project
from prehend.hand_model.model import HandModel
from prehend.pipeline.depth.fingers import Bent, HandInDepth, Posed, bend
from prehend.pipeline.depth.fit import REACHES_M, Lie, at_rest, lie, places_of
from prehend.pipeline.depth.layers import own_depth
from prehend.pipeline.depth.register import Depth, UnalignedDepth
from prehend.pipeline.depth.skin import Skin, measured, measured_at, visible_skin
from prehend.pipeline.networks.decode import DecodedHand
from prehend.types import Camera, FloatArray

MIN_JOINTS, MIN_POINTS = 3, 3
"""Fewer joints that agree, or fewer points of the skin around one, say nothing."""

MOST_POINTS, MOST_BENT = 200, 130
"""So many points of the skin are fitted at most, of a hand as a whole and while its fingers are bent."""

GATE_STDS, LEAST_GATE_M, MOST_GATE = 4.0, 0.06, 0.6
"""Depths further than so many standard deviations from where the hand is expected are those of something else; the last
is in units of the hand's distance."""

ROUGH_M = 0.012
"""Where half of the depths around a joint spread more than this there is an edge [m]."""

TOGETHER_M = 0.03
"""Joints whose depths are off by the same, within this, agree; of what lies before or behind the hand fewer do [m]."""

NEAR_WRIST_M, FAR_WEIGHT = 0.04, 1e-3
"""Joints count by their distance to the wrist, because an error of the pose tilts the hand: width of that bell [m], and
what those far away count for."""

FLOOR_M, FLOOR_SHARE, TILT = 0.006, 0.01, 0.15
"""Standard deviations: of the model's skin [m]; of the depth camera in units of the depth; of the pose's tilt, in units
of the distance between the wrist and the joints that tell [m/m]."""

LEAST_ROUGH, ROUGHLY_M = 8, 0.07
"""So many depths that may be the hand's tell roughly how far it is, and the standard deviation of that [m]."""

ALONG_FACTOR, JOINT_FACTOR = 1.2, 1.3
""".68 of the errors of the wrist along its ray, and of joints about the wrist, are below so many times what the fit
says: of 472 rendered hands of seeds 201 and 202, see training/RUNS.md."""

SENSOR_SHARE = 0.003
"""Standard deviation of the depth camera, in units of the depth, where many points are fitted."""

AGREES_M = 0.01
"""Skin that is measured this near to where it lies agrees [m]."""

KEYPOINT_STD = 0.06
"""Standard deviation of keypoints whose network tells none, in units of the hand's longer side in the image."""


def checked_depth(depth: Depth | None, size: tuple[int, int]) -> Depth | None:
    """A depth image that belongs to an image of this width and height [px], or to a camera of its own.

    Raises:
        InvalidInput: it has another size, or holds no floating numbers, or the transform is none.
    """
    if depth is None:
        return None
    values, name = depth, "depth (aligned to the image)"
    if isinstance(depth, UnalignedDepth):
        check_shape("T_image_depth", depth.T_image_depth, [4, 4])
        if not np.isfinite(depth.T_image_depth).all():
            raise InvalidInput("T_image_depth is not finite")
        values, name = depth.depth_m, "depth (of its own camera)"
        size = (depth.camera.width, depth.camera.height)
    if not isinstance(values, np.ndarray) or not np.issubdtype(values.dtype, np.floating):
        kind = getattr(values, "dtype", type(values).__name__)
        raise InvalidInput(f"depth is {kind}, expected floating numbers in metres (millimetres: divide by 1000)")
    check_shape(name, values, [size[1], size[0]])
    return depth


def refine_depth(hand: DecodedHand, model: HandModel, depth: Depth | None, camera: Camera) -> DecodedHand:
    """The hand where the depth image has its skin: moved, turned and resized as a whole.

    Args:
        hand: as one image shows it.
        model: of its side; its faces turn outwards.
        depth: (H, W) along the optical axis, aligned to the image [m]; 0, NaN and infinity where nothing was
            measured. That of another camera is registered around the hand. None leaves the hand alone.
        camera: of the image.

    Returns:
        The same hand where depth says nothing of it: too little is visible or measured, or what was measured lies too
        far from where the hand can be. Fingers stay bent as they are, and keypoints where they are.
    """
    if depth is None:
        return hand
    most_m = MOST_GATE * float(hand.joints_m[0, 2])
    gate_m = float(np.clip(GATE_STDS * np.nan_to_num(hand.position_std_m, nan=most_m), LEAST_GATE_M, most_m))
    depth_m = depth.around(hand.vertices_m, gate_m, camera) if isinstance(depth, UnalignedDepth) else depth
    skin = visible_skin(hand.vertices_m, model.faces, hand.joints_m, hand.visible)
    pixels = project(skin.points_m, camera)
    away_m = measured_at(depth_m, pixels) - skin.points_m[:, 2]
    own_m = own_depth(depth_m, skin, pixels, away_m, camera, gate_m)
    if own_m is not depth_m:
        depth_m, away_m = own_m, measured_at(own_m, pixels) - skin.points_m[:, 2]
    step = _step(hand, _joint_steps(skin, away_m, gate_m))
    if step is None:
        return _roughly(hand, away_m[np.abs(away_m) < gate_m], model)  # NaN is not
    return _fitted(hand, _along(hand, step.along_m), step.std_m, skin, model, depth_m, camera)


def agreement(hand: DecodedHand, model: HandModel, depth: Depth, camera: Camera) -> float:
    """Share of a hand's skin, of all that faces the camera, that was measured where it lies: 0 to 1.

    The arguments are those of `refine_depth`, with the hand that it returned.
    """
    skin = visible_skin(hand.vertices_m, model.faces, hand.joints_m, np.ones(len(hand.joints_m), np.bool_))
    if not len(skin.points_m):
        return 0.0
    depth_m = depth.around(skin.points_m, TOGETHER_M, camera) if isinstance(depth, UnalignedDepth) else depth
    away_m = measured(depth_m, skin.points_m, camera) - skin.points_m[:, 2]
    return float((np.abs(away_m) < AGREES_M).mean())  # NaN is not


def _along(hand: DecodedHand, along_m: float) -> Lie:
    """The hand farther away by this [m], along the viewing ray of its wrist."""
    wrist = np.asarray(hand.joints_m[0], np.float64)
    return at_rest(wrist * (1 + along_m / wrist[2]))


class _Step(NamedTuple):
    """How far a hand is to go along the optical axis, and how sure that is [m]."""

    along_m: float
    std_m: float


def _step(hand: DecodedHand, told: tuple[NDArray[np.intp], FloatArray]) -> _Step | None:
    """What most joints ask for, those near the wrist above all; None where too few agree."""
    joints, steps = told
    kept = _agreeing(steps)
    if kept.sum() < MIN_JOINTS:
        return None
    wrist, steps = hand.joints_m[0], steps[kept]
    apart = np.linalg.norm(hand.joints_m[joints[kept]] - wrist, axis=-1)
    weights = np.exp(-0.5 * (apart / NEAR_WRIST_M) ** 2) + FAR_WEIGHT
    weights /= weights.sum()
    step = float(weights @ steps)
    away = float(wrist[2]) + step
    spread = float(np.sqrt(weights @ (steps - step) ** 2 * (weights**2).sum()))
    return _Step(step, float(np.linalg.norm([FLOOR_M, FLOOR_SHARE * away, TILT * float(weights @ apart), spread])))


def _roughly(hand: DecodedHand, steps_m: FloatArray, model: HandModel) -> DecodedHand:
    """The hand nearer to where most of its skin may be, where nothing finer can be said: as much nearer as the image
    alone is less sure than that."""
    own = hand.position_std_m
    if len(steps_m) < LEAST_ROUGH or not np.isfinite(own):
        return hand
    share = own**2 / (own**2 + ROUGHLY_M**2)
    return _lying(hand, _along(hand, share * float(np.median(steps_m))), np.sqrt(share) * ROUGHLY_M, model, False)


def _fitted(
    hand: DecodedHand,
    start: Lie,
    start_std_m: float,
    skin: Skin,
    model: HandModel,
    depth_m: FloatArray,
    camera: Camera,
) -> DecodedHand:
    """The hand turned, sized and bent from where it starts. Its skin is looked for once more on the way, as it is seen
    from there. Where that would go beyond reason it is better moved alone."""
    std_px = hand.keypoint_std_px
    if std_px is None:
        std_px = np.full(len(hand.joints_m), KEYPOINT_STD * np.ptp(hand.keypoints_px, axis=0).max())
    places = places_of(hand.joints_m, hand.keypoints_px, std_px, hand.visible, camera)
    wrist, second = places.joints_m[0], REACHES_M[1]
    first: tuple[float, ...] = REACHES_M[0]
    if len(skin.points_m) < MIN_JOINTS * MIN_POINTS:
        return _lying(hand, start, start_std_m, model)
    if hand.prior is not None:  # from a rough place on its fingers are bent, which moves it too
        skin, first = skin.some(MOST_BENT), first[:2]
    now = lie(start, skin.some(MOST_POINTS), places, depth_m, camera, SENSOR_SHARE, first)
    if now is None:
        return _lying(hand, start, start_std_m, model)
    joints, vertices = (now.arms(points, wrist) + now.wrist_m for points in (hand.joints_m, hand.vertices_m))
    seen = visible_skin(vertices, model.faces, joints, hand.visible)
    if len(seen.points_m) < MIN_JOINTS * MIN_POINTS:
        return _lying(hand, start, start_std_m, model)
    if hand.prior is not None:
        lies = Posed(_turned(hand.rotations, now.turn), float(np.log(now.scale)), joints, vertices)
        sight = HandInDepth(seen.some(MOST_BENT), places, depth_m, camera, SENSOR_SHARE)
        bent = bend(lies, hand.betas, model, hand.prior, sight, second)
        if bent is not None:
            return _bent(hand, bent)
    found = lie(now, now.before(seen.some(MOST_POINTS), wrist), places, depth_m, camera, SENSOR_SHARE, second)
    if found is None:
        return _lying(hand, start, start_std_m, model)
    return _lying(hand, found, _std(found.wrist_m, np.linalg.inv(found.normal)), model)


def _turned(rotations: FloatArray, turn: FloatArray) -> FloatArray:
    return np.concatenate([(turn @ rotations[0])[None], rotations[1:]])


def _std(wrist_m: FloatArray, covariance: FloatArray) -> float:
    """Standard deviation of the wrist along its viewing ray [m]."""
    ray = wrist_m / np.linalg.norm(wrist_m)
    return float(np.sqrt(ray @ covariance[:3, :3] @ ray))


def _lying(hand: DecodedHand, now: Lie, std_m: float, model: HandModel, measured: bool = True) -> DecodedHand:
    wrist = np.asarray(hand.joints_m[0], np.float64)
    return replace(
        hand,
        joints_m=now.arms(hand.joints_m, wrist) + now.wrist_m,
        vertices_m=(now.arms(hand.vertices_m, wrist) + now.wrist_m).astype(np.float32),
        rotations=_turned(hand.rotations, now.turn),
        betas=model.grown(hand.betas, now.scale),
        measured=measured,
        position_std_m=std_m if np.isfinite(hand.position_std_m) else hand.position_std_m,
    )


def _bent(hand: DecodedHand, now: Bent) -> DecodedHand:
    std_m = ALONG_FACTOR * _std(now.joints_m[0], now.wrist_covariance)
    return replace(
        hand,
        joints_m=now.joints_m,
        vertices_m=now.vertices_m.astype(np.float32),
        rotations=now.rotations,
        betas=now.betas,
        measured=True,
        position_std_m=std_m if np.isfinite(hand.position_std_m) else hand.position_std_m,
        joint_std_m=JOINT_FACTOR * np.sqrt(now.joint_variance),
    )


def _agreeing(steps: FloatArray) -> NDArray[np.bool_]:
    """(N,) the largest group of steps that are alike; of equal ones that which asks for the smallest step."""
    if not len(steps):
        return np.zeros(0, np.bool_)
    alike = np.abs(steps[:, None] - steps[None]) < TOGETHER_M
    best = int(np.lexsort((np.abs(steps), -alike.sum(1)))[0])
    return np.asarray(alike[best])


def _joint_steps(skin: Skin, away_m: FloatArray, gate_m: float) -> tuple[NDArray[np.intp], FloatArray]:
    """The joints that depth tells of (N,), and by how much the skin around each is farther away than the hand says (N,)
    [m]; (P,) `away_m` is that of each point, NaN where nothing was measured."""
    usable = np.abs(np.nan_to_num(away_m, nan=np.inf)) < gate_m
    joints, away = skin.joints[usable], away_m[usable]
    found = []
    for joint in np.unique(joints):
        around = np.sort(away[joints == joint])
        count = len(around)
        if count >= MIN_POINTS and around[(3 * count - 1) // 4] - around[count // 4] < ROUGH_M:
            found.append((joint, float(around[count // 2] + around[(count - 1) // 2]) / 2))
    return np.array([joint for joint, _ in found], np.intp), np.array([step for _, step in found])
