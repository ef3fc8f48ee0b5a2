"""What is around the hands: objects near them, a table, people, clutter. Numbers only."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prehend_training.objects import Solid, catalogue, sample_solid
from prehend_training.objects.materials import dress
from prehend_training.objects.shapes.parts_round import Revolve
from prehend_training.objects.solid import Form
from prehend_training.scenes.layout.posing import to_object
from prehend_training.scenes.layout.scene import Hand, SceneCamera, Table, Thing, plain_thing, true_points
from prehend_training.scenes.people.body import cross, turn
from prehend_training.scenes.people.clothing import Outfit
from prehend_training.scenes.people.skin import skin_tone

Array = NDArray[np.floating]
Rng = np.random.Generator

_PAPER_GAP_M = 0.004
"""Vertices of the skin are further apart than paper is thick."""
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
    """Give each surface of an object the colours, prints and shine that it may have."""
    look = dress(rng, thing.solid, TEXTURES)
    return replace(thing, colours=look.colours, layers=look.layers, tiling=look.tiling, gloss=look.gloss)


def _plain_thing(rng: Rng, pose: Array) -> Thing:
    return dress_thing(rng, plain_thing(sample_solid(rng), pose, np.ones(3)))


def sample_near(rng: Rng, hand: Hand) -> list[Thing]:
    """One or two objects beside, behind or in front of a hand that holds nothing; none touches it or the other."""
    vertices = true_points(hand, hand.vertices_m)
    centre = true_points(hand, hand.joints_m).mean(0)
    line = centre / np.linalg.norm(centre)
    things: list[Thing] = []
    for _ in range(int(rng.integers(1, 3))):
        for _ in range(6):
            aside = cross(line, rng.standard_normal(3))
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
            free = pose[2, 3] > 0.12 and not any(_meet(thing, other) for other in things)
            if free and thing.solid.nearest(to_object(pose, vertices[::3])) > 0.006:
                things.append(thing)
                break
    return things


def _meet(first: Thing, second: Thing) -> bool:
    """Whether two objects go into each other, as far as every other vertex of their meshes tells."""
    for one, other in ((first, second), (second, first)):
        points = other.solid.mesh().vertices[::2] @ other.pose[:3, :3].T + other.pose[:3, 3]
        if one.solid.nearest(to_object(one.pose, points)) < 0:
            return True
    return False


def loose_thing(rng: Rng, view: SceneCamera) -> Thing:
    """An object somewhere in view."""
    pose = np.eye(4)
    pose[:3, :3] = random_rotation(rng)
    pixel = np.array([*(rng.uniform(0, 1, 2) * (view.camera.width, view.camera.height)), 1.0])
    pose[:3, 3] = np.linalg.inv(view.camera.K) @ pixel * rng.uniform(0.3, 1.2)
    return _plain_thing(rng, pose)


def table_below(
    rng: Rng, up: Array, toward: Array, touching: Array, lowest_m: float | None, away_m: float
) -> Table | None:
    """A table below hands and objects, in a camera's frame; None where the camera would be under it.

    Args:
        rng: source of randomness.
        up, toward: (3,) unit vectors, out of its top and horizontally to the person.
        touching: (N, 3) what must not be below it.
        lowest_m: height along `up` of what stands on it, None where nothing has to.
        away_m: how far the person is; the table ends before.
    """
    height = float((touching @ up).min())
    if lowest_m is not None:
        if height < lowest_m - 0.002:
            return None
        height = lowest_m
    else:
        height -= rng.uniform(0, 0.01) if rng.random() < 0.6 else rng.uniform(0.01, 0.12)
    if height > -0.06:
        return None
    half = float(rng.uniform(0.4, 1.2))
    edge = min(max(away_m - 0.12, 0.06), 0.4)
    aside = cross(up, toward)
    centre = touching[: len(touching) // 2].mean(0)
    centre = centre + (height - centre @ up) * up + (edge - half) * toward + rng.normal(0, 0.3) * (half - 0.3) * aside
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.stack([toward, aside, up], 1), centre
    return Table(pose, half, *table_look(rng))


def person(rng: Rng, neck_m: Array, ahead: Array, up: Array, outfit: Outfit) -> list[Thing]:
    """Trunk, head and hair of somebody.

    Args:
        rng: source of randomness.
        neck_m: (3,) between the shoulders.
        ahead: (3,) unit vector, horizontal, where the person faces.
        up: (3,) unit vector.
        outfit: skin and clothes.
    """
    ahead = ahead + rng.normal(0, 0.12, 3)
    x = cross(ahead, up)
    x = x / np.linalg.norm(x)
    frame = np.stack([x, up, cross(x, up)], 1)  # right, up, back of the person
    lean = frame @ turn(rng.normal(0, [0.15, 0.1, 0.08]))
    sleeve = outfit.sleeve
    layer = int(rng.integers(-TEXTURES // 2, TEXTURES)) if sleeve is None else -1
    colour = np.clip(rng.uniform(0.02, 0.8, 3), 0, 1) if sleeve is None else sleeve.colour
    skin, hair = skin_tone(outfit.skin), rng.uniform(0.005, 0.3) * np.array([1.0, 0.75, 0.5])
    parts = [
        ((0, -0.3, 0.04), (0.19, 0.37, 0.12), max(layer, -1), colour),
        ((0, -0.95, 0.04), (0.17, 0.55, 0.13), -1, rng.uniform(0.01, 0.4) * np.array([0.9, 0.95, 1.1])),
        ((0, -0.04, 0.02), (0.19, 0.075, 0.085), max(layer, -1), colour),
        ((0, 0.04, 0.0), (0.055, 0.09, 0.055), -1, skin),
        ((0, 0.2, -0.02), (0.078, 0.115, 0.095), -1, skin),
        ((0, 0.235, 0.015), (0.088, 0.105, 0.095), -1, hair),
    ]
    ball = _body_ball()
    things = []
    for centre, radii, texture, shade in parts:
        solid = ball.stretched(2 * np.array(radii) / ball.extents_m)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = lean, neck_m + lean @ np.array(centre)
        things.append(plain_thing(solid, pose, shade, texture, 3.5))
    return things


@lru_cache(maxsize=1)
def _body_ball() -> Solid:
    """A ball of half as many faces as the catalogue's: those of people are seldom near and never sharp."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 13)
    profile = catalogue()["ball"].extents_m[0] / 2 * np.stack([np.cos(angle), np.sin(angle)], 1)
    profile[[0, -1], 0] = 0
    body = Revolve(np.eye(3), np.zeros(3), np.ones(3), "body", "ball", profile, False, (), 18)
    return replace(catalogue()["ball"], form=Form((body,)))


def scattered(rng: Rng, count: int, keep_out_m: Array, table: Table, spread_m: float) -> list[Thing]:
    """Objects that stand or lie on a table and touch neither one another nor what moves there.

    Args:
        rng: source of randomness.
        count: how many are tried.
        keep_out_m: (N, 3) world, places of hands, arms and other objects; what is lower by 4 cm may lie below.
        table: in the world.
        spread_m: how far from the world's origin, or from the middle of what is kept out, they are.
    """
    things: list[Thing] = []
    taken: list[tuple[Array, float]] = []
    R_table, t_table = table.pose[:3, :3], table.pose[:3, 3]
    above = (keep_out_m - t_table) @ R_table
    centre = above[:, :2].mean(0) if len(above) else np.zeros(2)
    for _ in range(3 * count):
        if len(things) == count:
            break
        solid = sample_solid(rng)
        R = turn(np.array([0, 0, rng.uniform(-np.pi, np.pi)])) @ resting_rotation(rng, solid)
        pose = resting_pose(solid, R, centre + rng.uniform(-spread_m, spread_m, 2))
        points = solid.mesh().vertices[::4] @ R.T + pose[:3, 3]
        middle = (points[:, :2].max(0) + points[:, :2].min(0)) / 2
        radius = float(np.linalg.norm(points[:, :2] - middle, axis=1).max())
        low = above[above[:, 2] < points[:, 2].max() + 0.04]
        free = not len(low) or np.linalg.norm(low[:, :2] - middle, axis=1).min() > radius + 0.04
        free &= bool(np.abs(middle).max() < table.half_m - radius)
        if free and all(np.linalg.norm(other - middle) > radius + r + 0.008 for other, r in taken):
            taken.append((middle, radius))
            T = np.eye(4)
            T[:3, :3], T[:3, 3] = R_table @ R, R_table @ pose[:3, 3] + t_table
            things.append(dress_thing(rng, plain_thing(solid, T, np.ones(3))))
    return things


def resting_rotation(rng: Rng, solid: Solid) -> Array:
    """(3, 3) of an object that lies or stands on a table: upright where it is broad enough, else on its side."""
    size = solid.extents_m
    if min(size[0], size[1]) > 0.22 * size[2] and rng.random() < 0.8:
        return np.eye(3)
    if solid.is_round:
        return turn(np.array([0.0, np.pi / 2, 0]))
    flat = int(np.argmin(size))
    return turn(np.array([[0.0, -np.pi / 2, 0], [np.pi / 2, 0, 0], [0, 0, 0]])[flat])


def resting_pose(solid: Solid, R: Array, place_m: Array) -> NDArray[np.float64]:
    """(4, 4) of an object so turned whose box has its middle over (2,) and whose lowest point is on the table."""
    points = solid.mesh().vertices @ R.T
    middle = R @ solid.center_m
    pose = np.eye(4)
    pose[:3, :3], pose[:2, 3], pose[2, 3] = R, place_m - middle[:2], -float(points[:, 2].min())
    return pose


def table_look(rng: Rng) -> tuple[int, float, Array]:
    """Texture, tiling and linear colour (3,) of a table top."""
    layer = int(rng.integers(TEXTURES)) if rng.random() < 0.75 else -1
    plain = np.clip(rng.uniform(0.02, 0.9) * np.exp(rng.normal(0, 0.15, 3)), 0.01, 0.95)
    return layer, float(rng.uniform(0.8, 5)), np.full(3, 0.9) if layer >= 0 else plain


def far_things(rng: Rng, hands: list[Hand]) -> list[Thing]:
    """Objects of many sizes behind the hands, as a camera sees them."""
    vertices = np.concatenate([true_points(hand, hand.vertices_m[::16]) for hand in hands])
    centre = true_points(hands[0], hands[0].joints_m).mean(0)
    deepest = float(vertices[:, 2].max())
    things = []
    for _ in range(int(rng.integers(1, 7))):
        solid = sample_solid(rng)
        solid = solid.stretched(np.exp(rng.uniform(-0.2, 1.0)) * np.ones(3))
        depth = deepest + np.linalg.norm(solid.extents_m) / 2 + rng.uniform(0.03, 1.0)
        pose = np.eye(4)
        pose[:3, :3] = turn(rng.normal(0, [0.2, 1.5, 0.2])) @ turn(np.array([np.pi / 2, 0, 0]))
        pose[:3, 3] = centre * (depth / centre[2]) + rng.normal(0, 0.3, 3) * [1, 0.8, 0]
        things.append(dress_thing(rng, plain_thing(solid, pose, np.ones(3))))
    return things


def paper_before(rng: Rng, hand: Hand) -> Thing | None:
    """A sheet of paper or a card that hides part of a hand from the camera; None where hand or arm would pierce it."""
    middle = true_points(hand, hand.joints_m).mean(0)
    size = np.array([0.21, 0.297, 0.0008]) * rng.choice([0.4, 0.7, 1.0])
    solid = catalogue()["box"]
    solid = solid.stretched(size / solid.extents_m)
    aside = turn(np.array([0, 0, rng.uniform(-np.pi, np.pi)]))[:, 0]
    pose = np.eye(4)
    pose[:3, :3] = turn(np.array([0, 0, rng.uniform(-np.pi, np.pi)])) @ turn(rng.normal(0, [0.35, 0.35, 0]))
    nearer = middle * (1 - 0.12 / np.linalg.norm(middle))
    pose[:3, 3] = nearer + aside * (rng.uniform(0.02, 0.06) + size[0] / 2)
    layer = int(rng.integers(TEXTURES)) if rng.random() < 0.5 else -1
    thing = plain_thing(solid, pose, np.full(3, rng.uniform(0.5, 0.95)), layer)
    return thing if solid.nearest(to_object(pose, true_points(hand, hand.vertices_m))) > _PAPER_GAP_M else None
