"""Axes, limits, tips and knuckles of a hand, on a body whose geometry is known."""

import numpy as np
import pytest

from prehend_training.assets.hand_knuckles import knuckle_weights
from prehend_training.assets.hand_rig import (
    back_directions,
    four_influences,
    joint_axes,
    joint_limits,
    joint_regressor,
    shape_space,
    tip_vertices,
    triangulate,
    vertex_normals,
)
from prehend_training.assets.hand_shapes import average_hand, bone_directions, chain_joints

UP = np.array([0.0, 1.0, 0.0])


@pytest.fixture(scope="module")
def rest(source):
    return average_hand(source)


@pytest.fixture(scope="module")
def faces(source, rest):
    return triangulate(source.quads, source.quad_uv, rest.vertices)[0]


@pytest.fixture(scope="module")
def weights(source):
    return source.weights[:, :16] + source.weights[:, 16:] * np.eye(1, 16)


@pytest.fixture(scope="module")
def backs(source, rest, faces, weights):
    return back_directions(rest, faces, weights, source.nail_weight())


def test_backs_of_fingers_are_where_their_nails_are(rest, backs):
    np.testing.assert_allclose(np.linalg.norm(backs, axis=1), 1)
    lasts = [chain_joints(chain)[2] for chain in range(5)]
    np.testing.assert_allclose((backs * bone_directions(rest)[lasts]).sum(1), 0, atol=1e-9)
    assert (backs @ UP > 0.95).all()  # all nails of this body look up


def test_fingers_are_rolled_alike_until_they_bend_square_to_the_palm(source, rest, faces, weights):
    """A body whose nails are all painted a little to one side still bends its fingers in the plane of its palm."""
    one_sided = source.nail_weight() * (rest.vertices[:, 2] > np.median(rest.vertices[:, 2]))
    backs = back_directions(rest, faces, weights, np.where(one_sided > 0, one_sided, source.nail_weight()))
    sideways = np.cross(bone_directions(rest)[[3, 6, 9, 12]], backs[:4])
    assert abs((sideways @ UP).mean()) < 0.02


def test_axes_are_right_handed_triples_along_the_bones(rest, backs):
    axes = joint_axes(rest, backs)
    triple = np.stack([axes.flexion, axes.abduction, axes.twist], 1)
    np.testing.assert_allclose(triple @ triple.transpose(0, 2, 1), np.tile(np.eye(3), (15, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(triple[:, [0, 1, 2]]), np.linalg.det(triple[0]), atol=1e-9)
    np.testing.assert_allclose(axes.twist, bone_directions(rest)[1:], atol=1e-12)


def test_flexion_closes_and_abduction_goes_to_the_thumb(rest, backs):
    """Which way a small turn takes the end of a bone: down to the palm, and to +z, where the thumb is."""
    axes = joint_axes(rest, backs)
    bones = bone_directions(rest)[1:]
    closing, aside = np.cross(axes.flexion, bones), np.cross(axes.abduction, bones)
    fingers = np.arange(12)
    assert (closing[fingers] @ UP < -0.9).all()
    assert (aside[fingers, 2] > 0.9).all()


def test_limits_hold_the_zero_pose_and_close_more_than_they_open():
    limits = joint_limits()
    assert limits.shape == (15, 3, 2)
    assert (limits[..., 0] < 0).all() and (limits[..., 1] > 0).all()
    assert (limits[:, 0, 1] > -limits[:, 0, 0]).all()
    assert np.rad2deg(np.abs(limits)).max() <= 110 + 1e-9
    for finger in range(1, 4):
        np.testing.assert_array_equal(limits[3 * finger : 3 * finger + 3], limits[:3])
    hinges = [1, 2, 4, 5, 7, 8, 10, 11, 14]  # bend and hardly do anything else
    assert np.rad2deg(np.ptp(limits[hinges, 1:], axis=-1)).max() <= 4 + 1e-9


def test_tips_are_the_farthest_skin_of_their_digit(rest, weights):
    tips = tip_vertices(rest, weights)
    assert len(set(tips)) == 5
    for row, chain in enumerate((4, 0, 1, 3, 2)):  # thumb first
        last = chain_joints(chain)[2]
        assert weights[tips[row]].argmax() == last
        assert np.linalg.norm(rest.vertices[tips[row]] - rest.tips[row]) < 0.012
    outermost = rest.vertices[tips[1:], 0]
    assert (outermost < rest.joints[[3, 6, 12, 9], 0]).all()


def test_normals_of_the_skin_look_outwards(rest, faces):
    normals = vertex_normals(rest.vertices, faces)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    palm = (np.abs(rest.vertices[:, 0] + 0.04) < 0.03) & (np.abs(rest.vertices[:, 2]) < 0.02)
    assert palm.sum() > 10 and (normals[palm, 1] * rest.vertices[palm, 1] > 0).all()


@pytest.fixture(scope="module")
def bent(source, rest):
    return knuckle_weights(rest, source.quads, source.weights)


def test_knuckles_deal_out_only_what_wrist_and_first_bones_share(source, bent):
    firsts = [0, *(chain_joints(chain)[0] for chain in range(4))]
    others = np.setdiff1d(np.arange(17), firsts)
    np.testing.assert_array_equal(bent[:, others], source.weights[:, others])
    np.testing.assert_allclose(bent.sum(1), 1)
    assert bent.min() >= 0


def test_skin_bends_where_the_knuckle_is(rest, bent):
    """Half of the skin's turn at the knuckle, none near the wrist, all of it beyond."""
    for chain in range(4):
        first, second, _ = chain_joints(chain)
        bone = rest.joints[second] - rest.joints[first]
        local = rest.vertices - rest.joints[first]
        along = local @ bone / np.linalg.norm(bone)
        aside = np.linalg.norm(local - along[:, None] * bone / np.linalg.norm(bone), axis=1)
        near = aside < 0.016
        assert bent[near & (along < -0.03), first].max(initial=0) < 0.02
        beyond = near & (along > 0.02) & (along < 0.03) & (np.abs(rest.vertices[:, 1]) < 0.012)
        assert bent[beyond, 0].max(initial=0) < 1e-9
        assert beyond.any()


def test_skin_belongs_to_the_nearest_finger(rest, bent):
    firsts = np.array([chain_joints(chain)[0] for chain in range(4)])
    moving = bent[:, firsts].sum(1) > 0.3
    owner = bent[moving][:, firsts].argmax(1)
    start, bones = rest.joints[firsts], rest.joints[firsts + 2] - rest.joints[firsts]
    along = (rest.vertices[moving, None, 0] - start[:, 0]) / bones[:, 0]
    away = np.abs(rest.vertices[moving, None, 2] - start[:, 2] - along * bones[:, 2])
    sure = np.ptp(np.sort(away, 1)[:, :2], axis=1) > 0.004  # not on the border of two fingers
    assert sure.sum() > 10 and (owner == away.argmin(1))[sure].mean() > 0.95


def test_the_first_direction_of_shapes_goes_away_from_the_wrist():
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(40, 3))
    hands = mean * (1 + rng.normal(0, 0.1, 200))[:, None, None]
    _, directions, shares = shape_space(hands, np.ones(40), 2)
    assert (directions[..., 0] * mean).sum() > 0
    assert shares[0] > 0.999 and shares.sum() <= 1 + 1e-12


def test_what_has_no_emphasis_does_not_decide_the_shapes():
    rng = np.random.default_rng(1)
    mean = rng.normal(size=(40, 3))
    loud, quiet = np.zeros((40, 3)), np.zeros((40, 3))
    loud[:20], quiet[20:] = rng.normal(size=(2, 20, 3))
    hands = mean + rng.normal(0, 3, (300, 1, 1)) * loud + rng.normal(0, 1, (300, 1, 1)) * quiet
    _, directions, _ = shape_space(hands, np.where(np.arange(40) < 20, 1e-4, 1.0), 1)
    cosine = (directions[20:, :, 0] * quiet[20:]).sum() / np.linalg.norm(directions[20:, :, 0]) / np.linalg.norm(quiet)
    assert abs(cosine) > 0.95


def test_regressed_joints_follow_skin_that_is_turned_or_shifted(source, rest, weights):
    """Rows sum to one, so the joints of a moved hand are the moved joints."""
    hands = rest.vertices[None] * (1 + np.linspace(-0.1, 0.1, 5))[:, None, None]
    joints = rest.joints[None] * (1 + np.linspace(-0.1, 0.1, 5))[:, None, None]
    allowed = source.weights[:, 16] < 0.5
    regressor = joint_regressor(hands, joints, allowed)
    np.testing.assert_allclose(regressor.sum(1), 1)
    assert regressor.min() >= 0 and not regressor[:, ~allowed].any()
    assert np.linalg.norm(regressor @ rest.vertices - rest.joints, axis=1).max() < 3e-3
    shifted = rest.vertices @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]).T + [0.3, -0.2, 0.1]
    expected = (regressor @ rest.vertices) @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]).T + [0.3, -0.2, 0.1]
    np.testing.assert_allclose(regressor @ shifted, expected, atol=1e-12)


@pytest.mark.parametrize("count", [1, 3, 4, 16])
def test_weights_of_few_bones_are_left_as_they_are(count):
    weights = np.zeros((20, 16))
    rng = np.random.default_rng(count)
    for row in weights:
        row[rng.choice(16, min(count, 4), replace=False)] = rng.dirichlet(np.ones(min(count, 4)))
    np.testing.assert_allclose(four_influences(weights), weights, atol=1e-12)


def test_quads_become_faces_of_the_same_area_and_side(source, rest, faces):
    corners = rest.vertices[source.quads]
    quad_area = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]) / 2  # of its diagonals
    a, b, c = rest.vertices[faces].transpose(1, 0, 2)
    area = (np.cross(b - a, c - a) / 2).reshape(-1, 2, 3).sum(1)
    np.testing.assert_allclose(area, quad_area, atol=1e-12)
