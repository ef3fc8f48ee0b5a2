"""Everything that a camera can see becomes triangles, its outsides outwards, in the order the rasteriser asks for."""

from dataclasses import replace

import numpy as np
import pytest
from scene_work import BARE, PALM_TO_CAMERA, at, ball_at, hand_at, only, seen_from, thing_at

from prehend_training.objects import sample_solid
from prehend_training.sample import HAND_CODE, OBJECT_CODE, OTHER_CODE
from prehend_training.scenes.camera.lens import pixels
from prehend_training.scenes.geometry import VERTEX, Geometry, join
from prehend_training.scenes.layout.scene import Table, plain_thing
from prehend_training.scenes.layout.surroundings import random_rotation
from prehend_training.scenes.people.body import PARTS, drawn_hand, hand_face_count
from prehend_training.scenes.people.clothing import sample_outfit
from prehend_training.scenes.render.build import skin_geometry, stage, table_geometry, thing_geometry

VIEW = seen_from(150.0)
TABLE = Table(at(0, 0.2, 0.7), 0.6, -1, 2.0, np.full(3, 0.5))


def entities(staged, span):
    """Numbers of what a span of faces belongs to."""
    rows = staged.geometry.faces[span.first : span.first + span.size, 2]
    return set((staged.geometry.vertices["code"][rows] // PARTS).astype(int).tolist())


def corners(geometry):
    """(F, 3, 3)."""
    return geometry.vertices["position"][geometry.faces].astype(float)


def outwards(geometry):
    """Share of the faces whose corners turn as their normals say."""
    a, b, c = corners(geometry).transpose(1, 0, 2)
    across = np.cross(b - a, c - a)
    real = np.linalg.norm(across, axis=1) > 1e-12
    return ((across * geometry.vertices["normal"][geometry.faces].mean(1)).sum(1) > 0)[real].mean()


def triangles(count, start=0.0, tiles=()):
    vertices = np.zeros(3 * count, VERTEX)
    vertices["position"] = start + np.arange(9 * count).reshape(-1, 3)
    vertices["code"] = start
    return Geometry(vertices, np.arange(3 * count, dtype=np.int32).reshape(-1, 3), tiles)


def test_joined_geometry_has_the_triangles_of_its_parts_in_their_order():
    parts = [triangles(2, 0.0, (5, 1)), triangles(1, 100.0), triangles(3, 200.0, (1, 2))]
    whole = join(parts)
    assert np.array_equal(corners(whole), np.concatenate([corners(part) for part in parts]))
    assert whole.tiles == (1, 2, 5) and whole.faces.dtype == np.int32 and whole.vertices.dtype == VERTEX
    for name in VERTEX.names:
        assert np.array_equal(whole.vertices[name], np.concatenate([part.vertices[name] for part in parts]))
    alone = join(parts[:1])
    assert np.array_equal(alone.vertices, parts[0].vertices) and np.array_equal(alone.faces, parts[0].faces)


@pytest.mark.parametrize("side", ["left", "right"])
def test_skin_faces_outwards_on_both_hands(side):
    whole = skin_geometry(hand_at((0, 0, 0.4), side=side), 1)
    skin = replace(whole, faces=whole.faces[: len(drawn_hand().faces)])  # backs of these are not drawn
    assert outwards(skin) > 0.99


def test_a_left_hand_is_its_own_mirror_image():
    left, right = (skin_geometry(hand_at((0, 0, 0.4), side=side), 1) for side in ("left", "right"))
    for name in ("position", "normal"):
        assert np.allclose(left.vertices[name], right.vertices[name] * [-1, 1, 1], atol=1e-6)
    assert np.array_equal(left.faces[:, 2], right.faces[:, 2])  # the corner whose code counts
    assert np.array_equal(left.vertices["uvw"], right.vertices["uvw"])


@pytest.mark.parametrize("name", ["mug", "bowl", "banana", "drill", "box"])
def test_a_thing_is_its_mesh_where_its_pose_puts_it(name):
    pose = at(0.1, -0.2, 0.5, random_rotation(np.random.default_rng(1)))
    thing = thing_at(name, pose)
    geometry = thing_geometry(thing, 7)
    own = (geometry.vertices["position"] - pose[:3, 3]) @ pose[:3, :3]
    off = thing.solid.distance(own)  # of parts that go into each other some vertices lie inside
    assert off.max() < 0.002 and np.median(np.abs(off)) < 0.001
    assert outwards(geometry) > 0.97 and set(geometry.vertices["code"].tolist()) == {7.0 * PARTS}
    assert np.allclose(geometry.vertices["colour"], 0.5)


def test_a_table_is_flat_and_as_large_as_it_says():
    pose = at(0.1, 0.2, 0.9, random_rotation(np.random.default_rng(2)))
    geometry = table_geometry(replace(TABLE, pose=pose))
    own = (geometry.vertices["position"] - pose[:3, 3]) @ pose[:3, :3]
    assert np.allclose(own[:, 2], 0, atol=1e-6) and np.allclose(np.abs(own[:, :2]).max(0), 0.6, atol=1e-6)
    a, b, c = corners(geometry).transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    assert area == pytest.approx(1.2**2, rel=1e-5)  # no gaps, and nothing twice
    # a texture lies on it in metres, so many times over a metre
    assert np.allclose(geometry.vertices["uvw"][:, :2], 2.0 * own[:, :2], atol=1e-5)


def everything():
    worn = replace(sample_outfit(np.random.default_rng(3)), skin=BARE.skin)
    return only(
        hands=(hand_at((0, 0, 0.4), outfit=worn), hand_at((0.15, 0, 0.45), side="left")),
        objects=(thing_at("mug", at(0, 0.05, 0.5)), thing_at("can", at(0.1, 0, 0.5))),
        strangers=(hand_at((-0.15, 0, 0.5)),),
        clutter=(thing_at("box", at(0, -0.1, 0.5)),),
        scenery=(ball_at((0, 0, 0.8)), ball_at((0, 0, 9.0), 0.5)),
        table=TABLE,
    )


def test_spans_hold_what_they_are_for():
    scene = everything()
    staged = stage(scene, [VIEW])
    spans = (staged.closed, staged.open, staged.objects)
    assert [span.first for span in spans] == [0, staged.closed.size, staged.closed.size + staged.open.size]
    assert sum(span.size for span in spans) == len(staged.geometry.faces)
    assert entities(staged, staged.objects) == {OBJECT_CODE, OBJECT_CODE + 1}
    assert entities(staged, staged.closed) == {HAND_CODE, HAND_CODE + 1, OTHER_CODE, 0}
    assert entities(staged, staged.open) <= {HAND_CODE, HAND_CODE + 1, OTHER_CODE, 0}
    alone = [entities(staged, span) for span in staged.alone]
    assert alone == [{HAND_CODE}, {HAND_CODE + 1}, {OBJECT_CODE}, {OBJECT_CODE + 1}]
    assert [span.size for span in staged.alone[:2]] == [hand_face_count()] * 2
    # what casts shadows comes first in both lists; a table and what is far behind it do not
    for casters, span in ((staged.closed_casters, staged.closed), (staged.open_casters, staged.open)):
        assert casters.first == span.first and casters.size <= span.size
    rest = staged.geometry.faces[staged.closed_casters.size : staged.closed.size]
    assert staged.geometry.vertices["position"][rest][..., 2].min() > 8
    table = len(table_geometry(TABLE).faces)
    assert staged.open.size - staged.open_casters.size == table


def test_no_triangle_is_lost_or_doubled_in_order():
    scene = everything()
    staged = stage(scene, [VIEW])
    parts = [skin_geometry(hand, 1) for hand in (*scene.hands, *scene.strangers)]
    parts += [thing_geometry(thing, 1) for thing in (*scene.objects, *scene.clutter, *scene.scenery)]
    parts.append(table_geometry(scene.table))
    ours, theirs = (np.sort(corners(whole).mean(1).round(5), axis=0) for whole in (staged.geometry, join(parts)))
    assert np.array_equal(ours, theirs)


def test_shadows_are_drawn_around_hands_and_objects():
    staged = stage(everything(), [VIEW])
    low, high = staged.focus_m.min(0), staged.focus_m.max(0)
    for hand in (hand_at((0, 0, 0.4)), hand_at((0.15, 0, 0.45), side="left")):
        assert (np.abs(np.clip(hand.joints_m[0] * [1, 1, 1], low - 0.3, high + 0.3) - hand.joints_m[0]) < 1e-9).all()
    assert high[2] < 0.7  # not around what is far behind
    assert np.isfinite(stage(only(), [VIEW]).focus_m).all() and not len(stage(only(), [VIEW]).geometry.faces)


LENSES = {
    "none": VIEW,
    "wide": seen_from(30.0, distortion=(-0.05, 0.002, 0, 0, 0)),
    "pincushion": seen_from(80.0, distortion=(0.25, 0.05, 0, 0, 0)),
    "fisheye": seen_from(25.0, distortion=(-0.02, 0.0, 0.0, 0.0), model="equidistant"),
}


@pytest.mark.parametrize("name", LENSES)
def test_what_a_camera_sees_is_kept_and_what_is_far_off_is_not(name):
    view, rng, kept, gone = LENSES[name], np.random.default_rng(4), 0, 0
    for _ in range(60):
        solid = sample_solid(rng)
        place = rng.uniform([-0.9, -0.9, -0.4], [0.9, 0.9, 1.2])
        thing = plain_thing(solid, at(*place, random_rotation(rng)), np.full(3, 0.5))
        points = thing_geometry(thing, 1).vertices["position"].astype(float)
        front = points[points[:, 2] > 0.03]
        u, v = pixels(front, view.camera).T if len(front) else np.zeros((2, 0))
        seen = ((u > -0.5) & (v > -0.5) & (u < 95.5) & (v < 95.5)).any()
        for part in ("clutter", "scenery"):
            staged = stage(only(**{part: (thing,)}), [view])
            assert len(staged.geometry.faces) or not seen
        kept += seen
        gone += not len(staged.geometry.faces)
    assert kept > 4 and gone > 8


def test_one_camera_that_sees_a_thing_is_enough():
    thing = thing_at("box", at(3.0, 0, 0.5))
    aside = replace(VIEW, T_camera_world=at(-3.0, 0, 0))
    assert not len(stage(only(clutter=(thing,)), [VIEW]).geometry.faces)
    assert len(stage(only(clutter=(thing,)), [VIEW, aside]).geometry.faces)
    assert len(stage(only(objects=(thing,)), [VIEW]).geometry.faces)  # what has a label is always there


def test_a_hand_that_is_turned_over_has_the_same_triangles_elsewhere():
    flat = hand_at((0, 0, 0.4))
    turned = hand_at((0, 0, 0.4), R=np.diag([1.0, -1, -1]) @ PALM_TO_CAMERA)
    first, second = (skin_geometry(hand, 1) for hand in (flat, turned))
    middle = np.array([0, 0, 0.4])
    assert np.array_equal(first.faces, second.faces)
    moved = (first.vertices["position"] - middle) * [1, -1, -1] + middle
    assert np.allclose(moved, second.vertices["position"], atol=1e-5)
