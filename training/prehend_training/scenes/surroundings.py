"""What is around the hands: things near them, a table, people, clutter, light. Numbers only."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from prehend_training.objects import catalogue, sample_solid
from prehend_training.scenes.body import drawn_hand, shoulder, turn
from prehend_training.scenes.grasp import to_object
from prehend_training.scenes.scene import Hand, Table, Thing, View, plain_thing, true_points
from prehend_training.scenes.skin import skin_tone

Array = NDArray[np.floating]
Rng = np.random.Generator

TEXTURES = 72
"""Layers of the texture bank that scenes refer to."""


def random_rotation(rng: Rng) -> Array:
    """(3, 3) uniformly random rotation (a random quaternion's)."""
    w, x, y, z = (q := rng.standard_normal(4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def dress_thing(rng: Rng, thing: Thing) -> Thing:
    """Give each surface of a thing colours, textures, a shine."""
    count = len(thing.solid.surfaces)
    shades = rng.uniform(0.0, 1.0, (count, 1)) ** 1.5 * np.exp(rng.normal(0, 0.5, (count, 3)))
    layers = np.where(rng.random(count) < 0.5, rng.integers(TEXTURES, size=count), -1)
    prints = 0.9 * np.exp(rng.normal(0, 0.2, (count, 3)))
    colours = np.clip(np.where(layers[:, None] >= 0, prints, shades), 0.01, 0.95)
    sharpness = np.exp(rng.uniform(np.log(4), np.log(80), count))
    gloss = np.stack([rng.uniform(0, 2.5, count), sharpness], 1)
    return replace(thing, colours=colours, layers=layers, tiling=rng.uniform(0.5, 2.5, (count, 2)), gloss=gloss)


def _plain_thing(rng: Rng, pose: Array) -> Thing:
    return dress_thing(rng, plain_thing(sample_solid(rng), pose, np.ones(3)))


def sample_near(rng: Rng, hand: Hand) -> list[Thing]:
    """One or two things beside, behind or in front of a hand that holds nothing; none touches it."""
    vertices = true_points(hand, hand.vertices_m)
    centre = true_points(hand, hand.joints_m).mean(0)
    line = centre / np.linalg.norm(centre)
    things = []
    for _ in range(int(rng.integers(1, 3))):
        for _ in range(6):
            aside = np.cross(line, rng.standard_normal(3))
            aside /= np.linalg.norm(aside)
            kind = rng.choice(["beside", "behind", "front"], p=[0.45, 0.35, 0.2])
            shift = {
                "beside": aside * rng.uniform(0.05, 0.13) + line * rng.normal(0, 0.04),
                "behind": aside * rng.uniform(0, 0.06) + line * rng.uniform(0.06, 0.25),
                "front": aside * rng.uniform(0.04, 0.1) - line * rng.uniform(0.07, 0.14),
            }[str(kind)]
            pose = np.eye(4)
            pose[:3, :3] = random_rotation(rng)
            pose[:3, 3] = centre + shift
            thing = _plain_thing(rng, pose)
            near_enough = pose[2, 3] > 0.12
            if near_enough and thing.solid.distance(to_object(pose, vertices[::3])).min() > 0.006:
                things.append(thing)
                break
    return things


def loose_thing(rng: Rng, view: View) -> Thing:
    """A thing somewhere in view."""
    pose = np.eye(4)
    pose[:3, :3] = random_rotation(rng)
    pixel = np.array([*(rng.uniform(0, 1, 2) * (view.camera.width, view.camera.height)), 1.0])
    pose[:3, 3] = np.linalg.inv(view.camera.K) @ pixel * rng.uniform(0.3, 1.2)
    return _plain_thing(rng, pose)


def sample_table(rng: Rng, hands: list[Hand], objects: list[Thing]) -> Table:
    """A plane that faces the camera, below or behind everything."""
    tilt = np.deg2rad(rng.uniform(15, 90))
    normal = np.array([rng.normal(0, 0.15), -np.cos(tilt), -np.sin(tilt)])
    normal /= np.linalg.norm(normal)
    model = drawn_hand()
    points = [true_points(hand, hand.vertices_m[model.v_template[:, 0] < 0.1]) for hand in hands]
    for thing in objects:
        solid, pose = thing.solid, thing.pose
        corners = solid.center_m + solid.extents_m / 2 * (np.indices((2, 2, 2)).reshape(3, -1).T * 2 - 1)
        points.append(corners @ pose[:3, :3].T + pose[:3, 3])
    everything = np.concatenate(points)
    lowest = float((everything @ normal).min()) - (
        rng.uniform(0, 0.01) if rng.random() < 0.6 else rng.uniform(0.01, 0.12)
    )
    across = np.cross([0.0, 0.0, 1.0], normal) if abs(normal[2]) < 0.95 else np.array([1.0, 0.0, 0.0])
    across = turn(normal * rng.uniform(0, 2 * np.pi)) @ (across / np.linalg.norm(across))
    across -= (across @ normal) * normal
    across /= np.linalg.norm(across)
    centre = everything.mean(0)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([across, np.cross(normal, across), normal], 1)
    pose[:3, 3] = centre - (centre @ normal - lowest) * normal
    layer = int(rng.integers(TEXTURES)) if rng.random() < 0.75 else -1
    colour = (
        np.full(3, 0.9) if layer >= 0 else np.clip(rng.uniform(0.02, 0.9) * np.exp(rng.normal(0, 0.15, 3)), 0.01, 0.95)
    )
    return Table(pose, float(rng.uniform(0.5, 2.5)), layer, float(rng.uniform(0.8, 5)), colour)


def sample_scenery(rng: Rng, hands: list[Hand], table: Table | None) -> list[Thing]:
    """People behind their hands, and clutter behind everything or on the table."""
    scenery: list[Thing] = []
    for hand in hands:
        if rng.random() < 0.6:
            scenery += _person(rng, hand)
    if hands and rng.random() < 0.35:
        scenery += _clutter(rng, hands, table)
    return scenery


def _person(rng: Rng, hand: Hand) -> list[Thing]:
    """Trunk, head and hair at the end of an arm; nothing where the arm comes from behind the camera."""
    end = true_points(hand, shoulder(hand.vertices_m, hand.arm))
    deepest = float(hand.vertices_m[drawn_hand().hand_mask, 2].max())
    if end[2] < deepest - 0.1:
        return []
    trunk = end + np.array([rng.choice([-1.0, 1.0]) * 0.17, 0.24, 0.05])
    trunk[2] = max(trunk[2], deepest + 0.17)
    lean = turn(rng.normal(0, 0.2, 3))
    head = trunk + lean @ np.array([0, -0.47, rng.uniform(-0.05, 0.02)])
    skin = skin_tone(hand.outfit.skin)
    hair = rng.uniform(0.005, 0.3) * np.array([1.0, 0.75, 0.5])
    sleeve = hand.outfit.sleeve
    layer = int(rng.integers(-TEXTURES // 2, TEXTURES)) if sleeve is None else -1
    colour = np.clip(rng.uniform(0.02, 0.8, 3), 0, 1) if sleeve is None else sleeve.colour
    parts = [
        (trunk, np.array([0.2, 0.32, 0.13]), max(layer, -1), colour),
        (head, np.array([0.078, 0.115, 0.095]), -1, skin),
        (head + lean @ np.array([0, -0.03, 0.035]), np.array([0.088, 0.105, 0.095]), -1, hair),
    ]
    ball = catalogue()["ball"]
    things = []
    for centre, radii, texture, shade in parts:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = lean, centre
        solid = ball.stretched(2 * radii / ball.extents_m)
        things.append(plain_thing(solid, pose, shade, texture, 3.5))
    return things


def _clutter(rng: Rng, hands: list[Hand], table: Table | None) -> list[Thing]:
    """Things of many sizes behind the hands, or upright on the table around them."""
    vertices = np.concatenate([true_points(hand, hand.vertices_m[::4]) for hand in hands])
    centre = true_points(hands[0], hands[0].joints_m).mean(0)
    deepest = float(vertices[:, 2].max())
    clutter = []
    for _ in range(int(rng.integers(2, 9))):
        solid = sample_solid(rng)
        pose = np.eye(4)
        if table is None:
            solid = solid.stretched(np.exp(rng.uniform(-0.2, 1.3)) * np.exp(rng.normal(0, 0.2)) * np.ones(3))
            depth = deepest + np.linalg.norm(solid.extents_m) / 2 + rng.uniform(0.03, 1.0)
            pose[:3, :3] = turn(rng.normal(0, [0.2, 1.5, 0.2])) @ turn(np.array([np.pi / 2, 0, 0]))
            pose[:3, 3] = centre * (depth / centre[2]) + rng.normal(0, 0.3, 3) * [1, 0.8, 0]
        else:
            spin = turn(np.array([0, 0, rng.uniform(-np.pi, np.pi)]))
            base = rng.uniform(-0.4, 0.4, 2)
            pose[:3, :3] = table.pose[:3, :3] @ spin
            local = np.array([*base, solid.extents_m[2] / 2]) - spin @ (solid.center_m * [1, 1, 0])
            pose[:3, 3] = table.pose[:3, :3] @ local + table.pose[:3, 3]
        in_view = pose[2, 3] > 0.15
        clear = solid.distance(to_object(pose, vertices)).min() > 0.008
        behind = pose[2, 3] > centre[2] or table is None
        if in_view and clear and behind:
            clutter.append(dress_thing(rng, plain_thing(solid, pose, np.ones(3))))
    return clutter
