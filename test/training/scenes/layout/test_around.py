"""What is around hands: points of view and people, tables and what lies on them, paper, second hands."""

import numpy as np
import pytest
from scene_work import hand_at, seen_from

from prehend.conventions import MIRROR
from prehend_training.objects import catalogue, sample_solid
from prehend_training.scenes.layout.posing import gap, to_object
from prehend_training.scenes.layout.scene import Table, mirror_thing_pose, plain_thing, true_points
from prehend_training.scenes.layout.surroundings import (
    TEXTURES,
    far_things,
    loose_thing,
    paper_before,
    person,
    random_rotation,
    resting_pose,
    resting_rotation,
    sample_near,
    scattered,
    table_below,
    table_look,
)
from prehend_training.scenes.layout.two_hands import other_hand
from prehend_training.scenes.layout.viewpoints import SHOULDER_M, Viewpoint, sample_hand_rotation, sample_viewpoint
from prehend_training.scenes.people.clothing import sample_outfit
from prehend_training.transforms import rigid

UP, TOWARD = np.array([0, -1.0, 0]), np.array([0, 0, -1.0])
EGO = Viewpoint("ego", UP, TOWARD, 0.2, 0.35, np.array([0, -0.25, 0.05]))
HANDS = [hand_at((0, 0, 0.4), name, side) for name in ("relaxed", "fist") for side in ("left", "right")]


def places(thing):
    """(V, 3) of an object's mesh in the world."""
    return thing.solid.mesh().vertices @ thing.pose[:3, :3].T + thing.pose[:3, 3]


def off(thing, points):
    return thing.solid.distance(to_object(thing.pose, points), filled=True)


def viewpoints(count=150):
    rng = np.random.default_rng(1)
    return [sample_viewpoint(rng) for _ in range(count)]


def test_random_rotations_are_rotations_and_favour_no_direction():
    rng = np.random.default_rng(0)
    R = np.stack([random_rotation(rng) for _ in range(3000)])
    assert np.allclose(R @ R.transpose(0, 2, 1), np.eye(3), atol=1e-12) and np.allclose(np.linalg.det(R), 1)
    assert np.abs(R.mean(0)).max() < 0.04
    assert np.allclose((R**2).mean(0), 1 / 3, atol=0.03)


def test_cameras_stand_to_people_as_their_kind_says():
    for view in viewpoints():
        assert np.linalg.norm(view.up) == pytest.approx(1) and np.linalg.norm(view.toward) == pytest.approx(1)
        assert abs(view.up @ view.toward) < 1e-9 and np.linalg.norm(view.elbow) == pytest.approx(1)
        assert view.elbow @ view.up < 0 and 0 <= view.table_share <= 1
        pitch = np.degrees(np.arcsin(-view.up[2]))  # how far the camera looks down
        low, high = {"ego": (20, 65), "overhead": (62, 90), "raised": (-15, 25)}.get(view.kind, (-10, 80))
        assert low - 1e-6 <= pitch <= high + 1e-6 or view.kind == "free"
        if view.kind == "ego":  # one's own neck is behind and under the camera
            assert view.neck_m @ view.up < 0 and view.toward[2] < 0
        elif view.kind in ("opposite", "raised"):
            assert view.toward[2] > 0 and view.neck_m is None


def test_a_person_has_two_shoulders():
    for view in [EGO, *viewpoints(20)]:
        settled = view if view.neck_m is not None else None
        right, left = (view.seen_by(side).shoulder(np.array([0.1, 0.2, 0.5])) for side in ("right", "left"))
        if settled is not None:
            assert np.linalg.norm(right - left @ MIRROR) == pytest.approx(2 * SHOULDER_M)
            assert (right + left @ MIRROR) / 2 == pytest.approx(view.neck_m)
            assert (right - left @ MIRROR) @ view.right > 0
        assert np.allclose(view.seen_by("left").elbow @ MIRROR, view.elbow - 2 * (view.elbow @ view.right) * view.right)


def test_hands_turn_as_the_view_lets_them():
    rng = np.random.default_rng(2)
    for view in viewpoints(60):
        for side in ("left", "right"):
            R = sample_hand_rotation(rng, view.seen_by(side))
            assert np.allclose(R.T @ R, np.eye(3)) and np.linalg.det(R) == pytest.approx(1)
    raised = [view for view in viewpoints() if view.kind == "raised"]
    assert np.mean([sample_hand_rotation(rng, view)[:, 0] @ view.up < 0 for view in raised]) > 0.9  # fingers up


@pytest.mark.parametrize("seed", range(8))
def test_things_rest_with_their_lowest_point_on_the_table(seed):
    rng = np.random.default_rng(seed)
    solid = sample_solid(rng)
    R, place = resting_rotation(rng, solid), rng.normal(size=2)
    pose = resting_pose(solid, R, place)
    points = solid.mesh().vertices @ pose[:3, :3].T + pose[:3, 3]
    assert points[:, 2].min() == pytest.approx(0, abs=1e-12) and np.linalg.det(R) == pytest.approx(1)
    assert (points[:, :2].max(0) + points[:, :2].min(0)) / 2 == pytest.approx(place, abs=0.02)


def test_tall_and_thin_things_lie():
    for name, solid in catalogue().items():
        size = solid.extents_m
        if min(size[:2]) > 0.22 * size[2]:
            continue
        for seed in range(3):
            R = resting_rotation(np.random.default_rng(seed), solid)
            height = np.ptp(solid.mesh().vertices @ R[2])
            assert height <= np.sort(size)[1] + 1e-6, name


def test_a_table_is_under_all_that_must_not_be_below_it_and_ends_before_the_person():
    rng, tables = np.random.default_rng(3), 0
    for view in viewpoints(60):
        touching = rng.normal([0, 0.1, 0.5], 0.06, (40, 3))
        stands = float((touching @ view.up).min()) if rng.random() < 0.5 else None
        table = table_below(rng, view.up, view.toward, touching, stands, view.away_m)
        if table is None:
            continue
        tables += 1
        R, t = table.pose[:3, :3], table.pose[:3, 3]
        assert (
            np.allclose(R.T @ R, np.eye(3)) and np.linalg.det(R) == pytest.approx(1) and np.allclose(R[:, 2], view.up)
        )
        height = (touching - t) @ view.up
        assert height.min() > -1e-9 and (stands is None or height.min() == pytest.approx(0, abs=1e-9))
        assert t @ view.up < 0  # the camera is above it
        edge = (t - touching[:20].mean(0)) @ view.toward + table.half_m
        assert edge <= max(view.away_m - 0.12, 0.06) + 1e-6
    assert tables > 10


def test_nothing_may_hang_below_what_stands_on_a_table():
    low = np.array([[0, 0.3, 0.5], [0, 0.1, 0.5]])
    assert table_below(np.random.default_rng(0), UP, TOWARD, low, -0.2, 0.4) is None
    above = np.array([[0, -0.3, 0.5]])  # the camera would look at a table from below
    assert table_below(np.random.default_rng(0), UP, TOWARD, above, None, 0.4) is None


@pytest.mark.parametrize("turned", [False, True])
def test_scattered_things_stand_on_the_table_apart_from_all(turned):
    pose = rigid(random_rotation(np.random.default_rng(5)), [0.2, -0.1, 0.8]) if turned else np.eye(4)
    table, rng = Table(pose, 0.5, -1, 1.0, np.full(3, 0.5)), np.random.default_rng(6)
    own = rng.uniform([-0.1, -0.1, 0.0], [0.1, 0.1, 0.15], (200, 3))
    kept = own @ pose[:3, :3].T + pose[:3, 3]
    things = scattered(rng, 6, kept, table, 0.35)
    assert 2 <= len(things) <= 6
    clouds = [(places(thing) - pose[:3, 3]) @ pose[:3, :3] for thing in things]
    for k, cloud in enumerate(clouds):
        assert cloud[:, 2].min() == pytest.approx(0, abs=1e-9) and np.abs(cloud[:, :2]).max() < table.half_m
        assert off(things[k], kept).min() > 0.02
        assert all(gap(cloud[:, :2], other[:, :2]) > 0.003 for other in clouds[:k])
    assert scattered(rng, 0, kept, table, 0.35) == []
    crowded = np.random.default_rng(7).uniform([-0.6, -0.6, 0], [0.6, 0.6, 0.02], (4000, 3))
    assert not scattered(rng, 4, crowded @ pose[:3, :3].T + pose[:3, 3], table, 0.35)


def test_a_loose_thing_is_in_view():
    for seed in range(20):
        view = seen_from(120.0, (96, 72))
        place = loose_thing(np.random.default_rng(seed), view).pose[:3, 3]
        u, v, _ = view.camera.K @ place / place[2]
        assert 0.3 <= place[2] <= 1.2 and -0.5 <= u <= 96.5 and -0.5 <= v <= 72.5


def test_far_things_are_behind_the_hands():
    for seed, hand in enumerate(HANDS * 3):
        deepest = true_points(hand, hand.vertices_m)[:, 2].max()
        things = far_things(np.random.default_rng(seed), [hand])
        assert 1 <= len(things) <= 6 and all(places(thing)[:, 2].min() > deepest - 0.02 for thing in things)


def test_near_things_are_near_and_touch_neither_skin_nor_each_other():
    near = []
    for seed, hand in enumerate(HANDS * 12):
        skin = true_points(hand, hand.vertices_m)
        things = sample_near(np.random.default_rng(seed), hand)
        for one, other in ((things[0], things[1]), (things[1], things[0])) if len(things) == 2 else ():
            assert one.solid.distance(to_object(one.pose, places(other))).min() > -0.002
        for thing in things:
            near.append(off(thing, skin).min())
            assert thing.pose[2, 3] > 0.12
    assert len(near) > 8 and min(near) > 0.001 and np.median(near) < 0.1


def test_paper_is_between_camera_and_hand_and_pierces_neither_hand_nor_arm():
    found, covered = 0, []
    for seed in range(60):
        hand = HANDS[seed % len(HANDS)]
        paper = paper_before(np.random.default_rng(seed), hand)
        if paper is None:
            continue
        found += 1
        skin = true_points(hand, hand.vertices_m)
        assert off(paper, skin).min() > 0.004
        assert paper.pose[2, 3] < true_points(hand, hand.joints_m).mean(0)[2]
        corners = places(paper)
        (u0, v0), (u1, v1) = (corners[:, :2] / corners[:, 2:]).min(0), (corners[:, :2] / corners[:, 2:]).max(0)
        u, v = (skin[:, :2] / skin[:, 2:]).T
        covered.append(((u > u0) & (u < u1) & (v > v0) & (v < v1)).mean())
    assert found > 40 and np.mean(np.array(covered) > 0.02) > 0.8


def test_people_stand_upright_with_their_heads_on_and_face_ahead():
    outfit = sample_outfit(np.random.default_rng(0))
    for seed in range(6):
        neck = np.array([0.3, -0.2, 1.0])
        parts = person(np.random.default_rng(seed), neck, -TOWARD, UP, outfit)
        heights = [(places(part) @ UP).mean() for part in parts]
        trunk, legs, shoulders, throat, head, hair = heights
        assert legs < trunk < shoulders < throat < head < hair
        assert abs(shoulders - neck @ UP) < 0.12
        clouds = [places(part) for part in parts]
        assert gap(clouds[4], clouds[3]) < 0.05 and gap(clouds[0], clouds[2]) < 0.05  # nothing floats
        face = clouds[4].mean(0) - clouds[5].mean(0)
        assert face @ -TOWARD > 0  # the hair is at the back


def test_looks_of_tables_are_possible():
    for seed in range(30):
        layer, tiling, colour = table_look(np.random.default_rng(seed))
        assert -1 <= layer < TEXTURES and 0.5 < tiling < 6 and colour.shape == (3,)
        assert (colour > 0).all() and (colour < 1).all()


def test_a_mirrored_thing_has_mirrored_points():
    pose = rigid(random_rotation(np.random.default_rng(2)), [0.1, 0.2, 0.5])
    for name in ("box", "can", "plate", "ball"):
        thing, other = (plain_thing(catalogue()[name], p, np.ones(3)) for p in (pose, mirror_thing_pose(pose)))
        assert gap(places(thing) * [-1, 1, 1], places(other)) < 1e-6
        mirrored = other.solid.distance(to_object(other.pose, places(thing) * [-1, 1, 1]))
        assert np.abs(mirrored).max() < 0.002, name


def test_the_other_hand_is_the_same_persons_and_near_and_touches_nothing():
    found = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        side = ("left", "right")[seed % 2]
        first = hand_at((0.0, 0.05, 0.4), "relaxed", ("right", "left")[seed % 2])
        other = other_hand(rng, first, side, first.outfit, EGO)
        if other is None:
            continue
        found += 1
        assert other.side == side != first.side and np.array_equal(other.betas, first.betas)
        assert not other.grasp and other.object_index is None and not other.contact.any()
        clouds = [true_points(hand, hand.vertices_m) for hand in (first, other)]
        assert 0.003 < gap(*clouds) < 0.25 and true_points(other, other.joints_m)[:, 2].min() > 0.11
        assert np.linalg.norm(other.wrist_m - EGO.seen_by(side).shoulder(other.wrist_m)) <= 0.6
    assert found >= 4
