"""Samples with true labels but no rendering: a skeleton on noise, and a box's outline."""

import dataclasses

import cv2
import numpy as np

from prehend.conventions import JOINT_PARENTS
from prehend.geometry.control_points import control_points
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.skinning import skin
from prehend.types import Camera
from prehend_training.engine.scenes import SceneConfig, write_scenes
from prehend_training.sample import HAND_CODE, OBJECT_CODE, FrameId, HandLabel, Maps, ObjectLabel, Sample
from prehend_training.storage.codec import Packing


def project(points, K):
    pixels = points @ K.T
    return pixels[..., :2] / pixels[..., 2:]


def box_of(points):
    return np.concatenate([points.min(-2), points.max(-2)])


def fake_object(rng, near, K):
    T = np.eye(4)
    T[:3, :3] = matrix_from_axis_angle(rng.normal(size=3))
    T[:3, 3] = near + np.array([0.02, 0.02, 0.0])
    extents = rng.uniform(0.03, 0.1, 3)
    points = control_points(extents) @ T[:3, :3].T + T[:3, 3]
    pixels = project(points, K)
    return ObjectLabel("box", T, extents, np.zeros(3), points, pixels, box_of(pixels))


def fake_hand(rng, side, at, K, object_index):
    model = load_hand_model(side=side)
    rotations = matrix_from_axis_angle(rng.normal(size=(16, 3)) * 0.25)
    rotations[0] = matrix_from_axis_angle(rng.normal(size=3) * 1.5)
    betas = rng.normal(size=10) * 0.5
    posed = skin(model, rotations, betas)
    move = at - posed.joints.mean(0)
    joints = posed.joints + move
    pixels = project(joints, K)
    return HandLabel(
        side,
        rotations,
        betas,
        joints,
        posed.vertices + move,
        pixels,
        box_of(pixels),
        np.ones(21, bool),
        1.0,
        np.full(6, 100),
        np.full(6, 60),
        object_index is not None,
        object_index is not None,
        np.full(6, object_index is not None),
        object_index,
    )


def draw_hand(image, segmentation, hand, code):
    points = np.rint(hand.keypoints_px).astype(int)
    for joint, parent in enumerate(JOINT_PARENTS):
        if parent >= 0:
            cv2.line(image, points[joint].tolist(), points[parent].tolist(), (230, 160, 130), 5)
            cv2.line(segmentation, points[joint].tolist(), points[parent].tolist(), code, 5)


def draw_object(image, segmentation, thing, code):
    hull = cv2.convexHull(np.rint(thing.keypoints_px).astype(np.int32))
    cv2.polylines(image, [hull], True, (60, 80, 200), 4)
    cv2.polylines(segmentation, [hull], True, code, 4)


def fake_sample(seed, index, kind="crops", size_px=160):
    rng = np.random.default_rng([seed, index])
    focal = 900.0 if kind == "crops" else 300.0
    # off the centre, as in a crop of a larger image
    K = np.array(
        [[focal, 0, size_px * rng.uniform(-0.5, 1.5)], [0, focal, size_px * rng.uniform(-0.5, 1.5)], [0, 0, 1]]
    )
    image = rng.integers(0, 60, (size_px, size_px, 3), np.uint8)
    twin, alone = image.copy(), []
    segmentation = np.zeros((size_px, size_px), np.uint8)
    hands, objects = [], []
    for row in range(1 if kind == "crops" else int(rng.integers(0, 3))):
        middle = np.array([size_px * (0.5 if kind == "crops" else (0.3, 0.7)[row]), size_px / 2, 1.0])
        at = np.linalg.solve(K, middle) * (1.8 if kind == "crops" else 0.9)
        side = ("left", "right")[int(rng.integers(2))]
        held = len(objects) if rng.integers(2) else None
        hands.append(fake_hand(rng, side, at, K, held))
        draw_hand(image, segmentation, hands[-1], HAND_CODE + row)
        alone.append(np.zeros_like(segmentation))
        draw_hand(twin, alone[-1], hands[-1], 1)
        if held is not None:
            objects.append(fake_object(rng, hands[-1].joints_m.mean(0), K))
            draw_object(image, segmentation, objects[-1], OBJECT_CODE + held)
    # a pinhole: labels above are projected without a lens
    camera, frame_id = Camera(K, size_px, size_px, 0 * rng.normal(size=5)), FrameId("fake", seed, index)
    maps = fake_maps(rng, twin, alone, segmentation, len(objects))
    return Sample(image, segmentation, camera, np.eye(4), tuple(hands), tuple(objects), maps, frame_id)


def fake_maps(rng, twin, alone, segmentation, objects):
    """Maps that agree with the image where a law asks for it, and are noise otherwise."""
    shape = segmentation.shape
    front = segmentation > 0
    return Maps(
        twin,
        np.array(alone, bool).reshape(-1, *shape),
        np.array([segmentation == OBJECT_CODE + k for k in range(objects)], bool).reshape(-1, *shape),
        (front * rng.uniform(0.2, 6.0, shape)).astype(np.float32),
        (front * rng.integers(0, 2000, shape)).astype(np.uint16),
        rng.integers(-127, 128, (*shape, 3)).astype(np.int8),
        rng.integers(0, 256, (*shape, 3)).astype(np.uint8),
    )


def open_fake(config):
    """A maker of fake units: sequences have three frames, instants two views."""
    length = {"sequences": 3, "views": 2}.get(config.kind, 1)
    kind = "crops" if config.kind == "crops" else "frames"
    return lambda unit: [fake_sample(config.seed, unit * length + k, kind, config.size_px) for k in range(length)]


def fake_film(seed, unit, frames, size_px=160, across=0.4):
    """A hand that goes across the image while its fingers stay: a left one in even units, a right one in odd ones.
    Its index finger is hidden in every other second of frames of 30 Hz."""
    K = np.array([[300.0, 0, size_px / 2], [0, 300, size_px / 2], [0, 0, 1]])
    background = np.random.default_rng([seed, unit, 1]).integers(0, 60, (size_px, size_px, 3), np.uint8)
    for frame in range(frames):
        rng = np.random.default_rng([seed, unit])
        x = size_px * (0.3 + across * frame / max(frames - 1, 1))
        at = np.linalg.solve(K, np.array([x, size_px / 2, 1.0])) * 0.5
        hand = fake_hand(rng, ("left", "right")[unit % 2], at, K, None)
        seen = np.full(6, 100)
        seen[1] = 100 * (frame // 15 % 2)
        hand = dataclasses.replace(hand, part_visible=seen)
        image, segmentation = background.copy(), np.zeros((size_px, size_px), np.uint8)
        draw_hand(image, segmentation, hand, HAND_CODE)
        name = FrameId("fake", seed, unit, f"{seed}-{unit}", frame)
        yield Sample(image, segmentation, Camera(K, size_px, size_px), np.eye(4), (hand,), (), None, name)


def open_still(config):
    """A maker of films in which nothing moves."""
    return lambda unit: fake_film(config.seed, unit, 14, config.size_px, across=0.0)


def open_films(config):
    """A maker of films of 16 and 20 frames by turns."""
    return lambda unit: fake_film(config.seed, unit, 16 + 4 * (unit % 2), config.size_px)


def write_fake(out, kind, count, seed=3, size_px=160, packing=None, shard_units=10, make=open_fake, **options):
    """A folder of fake scenes, lossless unless told otherwise."""
    config = SceneConfig(kind, seed, size_px, packing or Packing("all", "png"))
    return write_scenes(out, config, count, shard_units=shard_units, make=make, **options)


def fake_moment(seed, unit, cameras=5, size_px=160, posed=True):
    """One hand as several cameras see it, the same in one world: a left one in even units, a right one in odd ones.

    Of odd cameras half of the hand is hidden, by the labels. Without `posed` all cameras claim to stand at the origin.
    """
    K = np.array([[300.0, 0, size_px / 2], [0, 300, size_px / 2], [0, 0, 1]])
    hand = fake_hand(np.random.default_rng([seed, unit]), ("left", "right")[unit % 2], np.zeros(3), K, None)
    for number in range(cameras):
        rng = np.random.default_rng([seed, unit, number])
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = matrix_from_axis_angle(rng.normal(size=3)), (*rng.uniform(-0.03, 0.03, 2), 0.5)
        joints, vertices = (points @ T[:3, :3].T + T[:3, 3] for points in (hand.joints_m, hand.vertices_m))
        pixels = project(joints, K)
        seen = dataclasses.replace(
            hand,
            rotations=np.concatenate([T[None, :3, :3] @ hand.rotations[:1], hand.rotations[1:]]),
            joints_m=joints,
            vertices_m=vertices,
            keypoints_px=pixels,
            box_px=box_of(pixels),
            visible_ratio=0.4 if number % 2 else 1.0,
        )
        image = rng.integers(0, 60, (size_px, size_px, 3), np.uint8)
        segmentation = np.zeros((size_px, size_px), np.uint8)
        draw_hand(image, segmentation, seen, HAND_CODE)
        name = FrameId("fake", seed, unit, view=f"cam{number}")
        yield Sample(
            image, segmentation, Camera(K, size_px, size_px), T if posed else np.eye(4), (seen,), (), None, name
        )  # fmt: skip


def open_moments(config):
    """A maker of moments that five cameras see."""
    return lambda unit: fake_moment(config.seed, unit, 5, config.size_px)


def open_lost_moments(config):
    """The same with cameras whose poses nobody knows."""
    return lambda unit: fake_moment(config.seed, unit, 5, config.size_px, posed=False)


def open_one_camera(config):
    """The same with one camera alone."""
    return lambda unit: fake_moment(config.seed, unit, 1, config.size_px)
