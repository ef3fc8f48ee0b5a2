"""The few vertices that grasps feel with are those of the whole hand, and the kinds of grasp fit to it."""

import numpy as np
import pytest

from prehend.hand_model import skin
from prehend_training.assets.contact import fit_balls, penetration
from prehend_training.assets.poses import MAX_PENETRATION_M, pose_from_angles
from prehend_training.grasps.closing import Hands, felt
from prehend_training.grasps.field import ExactField
from prehend_training.grasps.hand import DIGIT_ROWS, FINGERS, hand_model, probe, vertex_normals
from prehend_training.grasps.kinds import KINDS, kind_of
from prehend_training.objects import catalogue

FLAT = np.zeros((15, 3))


def whole(angles, betas):
    """The hand's vertices and joints, its wrist at the origin."""
    posed = skin(hand_model(), pose_from_angles(hand_model(), *angles.T), betas)
    return posed.vertices - posed.joints[0], posed.joints16 - posed.joints[0]


@pytest.fixture(scope="module")
def rows():
    """Which vertices of the hand the probe has."""
    template = hand_model().v_template
    chosen = probe().model.v_template[: probe().felt]
    away = np.linalg.norm(chosen[:, None] - template, axis=2)
    assert away.min(1).max() == 0
    return away.argmin(1)


@pytest.mark.parametrize("seed", range(3))
def test_every_vertex_of_the_probe_goes_where_the_hand_takes_it(rows, seed):
    rng = np.random.default_rng(seed)
    low, high = np.moveaxis(hand_model().limits_rad, 2, 0)
    angles, betas = rng.uniform(low, high), rng.normal(size=10)
    points = probe().points(angles[None], betas[None])[0]
    np.testing.assert_allclose(points, whole(angles, betas)[0][rows], atol=1e-5)


def test_hands_of_a_batch_are_each_their_own(rows):
    rng = np.random.default_rng(3)
    angles, betas = rng.normal(0, 0.3, (4, 15, 3)), rng.normal(size=(4, 10))
    together = probe().points(angles, betas)
    for k in range(4):
        np.testing.assert_allclose(probe().points(angles[k : k + 1], betas[k : k + 1])[0], together[k], atol=1e-6)


def test_no_hands_have_no_points_and_feel_nothing():
    """As where an object is too thick for every hand that was tried."""
    none = Hands(np.zeros((0, 10)), np.zeros((0, 15, 3)), np.zeros((0, 4, 4)), np.zeros((0, 3)))
    assert probe().points(none.angles, none.betas).shape == (0, probe().felt, 3)
    assert felt(none, ExactField(catalogue()["ball"], filled=True)).shape == (0, probe().felt)


def test_balls_and_joints_ride_on_the_probe():
    hand, balls = probe(), fit_balls(hand_model())
    posed = skin(hand.model, pose_from_angles(hand.model, *FLAT.T), np.zeros(10))
    carried = posed.vertices[hand.felt :]
    np.testing.assert_allclose(carried[:-16], balls.centers, atol=1e-6)
    np.testing.assert_allclose(carried[-16:], posed.joints16, atol=1e-6)
    assert len(hand.radii) == len(carried) - 16 and hand.pairs.max() < len(hand.radii)


def test_the_probe_covers_the_hand(rows):
    """No place of the hand is far from a vertex that feels; nearer on the pads than on the back."""
    assert len(set(rows)) == len(rows) == probe().felt
    points = hand_model().v_template
    gap = np.linalg.norm(points[:, None] - points[rows], axis=2).min(1)
    assert gap.max() < 0.015
    pads = np.concatenate([probe().patches[f"{name}_tip"] for name in DIGIT_ROWS])
    own = points[rows[pads]]
    apart = np.linalg.norm(own[:, None] - own, axis=2) + np.eye(len(own))
    assert apart.min(1).mean() < 0.006


def test_patches_are_of_their_digit_and_face_the_palms_side(rows):
    hand = probe()
    normals = vertex_normals(hand_model().v_template, hand_model().faces)[rows]
    seen = set()
    for name, first in DIGIT_ROWS.items():
        for k, part in enumerate(("base", "mid", "tip")):
            patch = hand.patches[f"{name}_{part}"]
            assert (hand.digit[patch] == first).all() and (hand.segment[patch] == k).all()
            assert not seen & set(patch)
            seen |= set(patch)
            if name != "thumb":
                assert (normals[patch, 1] < 0).all()
    palm = hand.patches["palm"]
    assert (hand.digit[palm] == -1).all() and (normals[palm, 1] < 0).all() and not seen & set(palm)


def test_the_side_of_the_index_finger_looks_to_the_thumb(rows):
    side = probe().patches["index_side"]
    normals = vertex_normals(hand_model().v_template, hand_model().faces)[rows]
    assert (probe().digit[side] == DIGIT_ROWS["index"]).all() and (normals[side, 2] > 0).all()


def test_normals_of_a_hand_lead_out_of_it():
    """The winding number a little outside of the skin is none, a little inside it is one."""
    from prehend_training.grasps.volume import inner_voxels

    model = hand_model()
    inside = inner_voxels(model.v_template, model.faces, 0.004)
    normals = vertex_normals(model.v_template, model.faces)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    rows = np.flatnonzero(model.weights.argmax(1) == 0)[::7]
    nearest = inside[np.linalg.norm(model.v_template[rows][:, None] - inside, axis=2).argmin(1)]
    towards = ((nearest - model.v_template[rows]) * normals[rows]).sum(1)
    assert (towards < 0.001).mean() > 0.97


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kind_asks_for_what_a_hand_has(name):
    kind, limits = kind_of(name), hand_model().limits_rad
    assert set(kind.fingers) <= set(FINGERS)
    assert {*kind.side_a, *kind.side_b} <= set(probe().patches)
    assert not set(kind.side_a) & set(kind.side_b)
    assert kind.needed[0] <= len(kind.side_a) and kind.needed[1] <= len(kind.side_b)
    for angles in (kind.opened, kind.closed):
        assert (angles >= limits[..., 0] - 1e-9).all() and (angles <= limits[..., 1] + 1e-9).all()
    depth = penetration(hand_model(), pose_from_angles(hand_model(), *kind.opened.T)[None])
    assert depth[0] <= MAX_PENETRATION_M


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kind_closes_around_what_is_between(name):
    """The sides come nearer to each other from opened to closed."""
    kind = kind_of(name)
    points = probe().points(np.stack([kind.opened, kind.closed]), np.zeros(10))
    sides = [np.concatenate([probe().patches[patch] for patch in side]) for side in (kind.side_a, kind.side_b)]
    first, second = (points[:, rows].mean(1) for rows in sides)
    gap = np.linalg.norm(first - second, axis=1)
    assert gap[1] < gap[0]


def test_what_a_hand_feels_is_the_distance_of_its_skin():
    solid = catalogue()["ball"]
    rng = np.random.default_rng(0)
    T = np.tile(np.eye(4), (3, 1, 1))
    T[:, :3, 3] = rng.normal(0, 0.1, (3, 3))
    T[:, :3, :3] = np.linalg.qr(rng.normal(size=(3, 3, 3)))[0]
    hands = Hands(rng.normal(size=(3, 10)), rng.normal(0, 0.2, (3, 15, 3)), T, np.ones((3, 3)))
    found = felt(hands, ExactField(solid, filled=True))
    radius = solid.extents_m[0] / 2
    for k in range(3):
        points = probe().points(hands.angles[k : k + 1], hands.betas[k : k + 1])[0] @ T[k, :3, :3].T + T[k, :3, 3]
        np.testing.assert_allclose(
            found[k], np.linalg.norm(points - solid.center_m, axis=1) - radius, atol=1.5e-3
        )  # the ball is turned from a profile of straight pieces
