"""Hands that are posed, mirrored, moved, fitted and cut into levels: what stays the same."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.conventions import JOINT_PARENTS, MIRROR, NUM_BETAS, SIDES
from prehend.errors import InvalidInput
from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin
from prehend.hand_model.meshes.fit import pose_of_mesh
from prehend.hand_model.meshes.joints import joints_of_mesh
from prehend.hand_model.meshes.pyramid import halved_sizes, spirals_of
from prehend.hand_model.retarget import betas_for_joints

RIGHT, LEFT = (load_hand_model(side=side) for side in ("right", "left"))
few = settings(max_examples=12, deadline=None, derandomize=True)
seeds = st.integers(0, 1000)


def posture(seed, bend=0.4):
    rng = np.random.default_rng(seed)
    turns = rng.normal(0, bend, (16, 3))
    turns[0] = rng.normal(0, 1.5, 3)
    return matrix_from_axis_angle(turns), rng.normal(0, 1, NUM_BETAS)


@few
@given(seeds)
def test_a_hand_that_is_turned_as_a_whole_is_turned_about_its_wrist(seed):
    rotations, betas = posture(seed)
    turn = matrix_from_axis_angle(np.random.default_rng(seed + 1).normal(0, 1, 3))
    turned = np.concatenate([(turn @ rotations[0])[None], rotations[1:]])
    one, other = skin(RIGHT, rotations, betas), skin(RIGHT, turned, betas)
    np.testing.assert_allclose(other.joints - other.joints[0], (one.joints - one.joints[0]) @ turn.T, atol=2e-6)
    np.testing.assert_allclose(other.vertices - other.joints[0], (one.vertices - one.joints[0]) @ turn.T, atol=2e-6)


@few
@given(seeds)
def test_bending_changes_no_bone_and_a_shape_changes_no_direction(seed):
    rotations, betas = posture(seed)
    parents = np.array(JOINT_PARENTS[1:])

    def bones(found):
        return found.joints[1:] - found.joints[parents]

    bent, flat = (bones(skin(RIGHT, turns, betas)) for turns in (rotations, posture(seed, 0.0)[0]))
    inner = [row for row, joint in enumerate(range(1, 21)) if joint % 4]  # tips lie on skin, which bending moves
    np.testing.assert_allclose(np.linalg.norm(bent, axis=1)[inner], np.linalg.norm(flat, axis=1)[inner], atol=1e-5)


@few
@given(seeds)
def test_several_hands_at_once_are_the_hands_one_by_one(seed):
    postures = [posture(seed + n) for n in range(3)]
    together = skin(
        RIGHT, np.stack([one for one, _ in postures]), np.stack([two for _, two in postures]), [0, 0.1, 0.5]
    )
    for row, (rotations, betas) in enumerate(postures):
        alone = skin(RIGHT, rotations, betas, [0, 0.1, 0.5])
        np.testing.assert_allclose(together.vertices[row], alone.vertices, atol=1e-6)
        bare = skin(RIGHT, rotations, betas, [0, 0.1, 0.5], mesh=False)
        np.testing.assert_allclose(bare.joints, alone.joints, atol=1e-6)
        assert bare.vertices.shape == (0, 3)


@few
@given(seeds)
def test_joints_of_a_mesh_move_with_it_and_are_near_the_models(seed):
    found = skin(RIGHT, *posture(seed, 0.3))
    regressor = joints_of_mesh(RIGHT)
    np.testing.assert_allclose(regressor.sum(1), 1, atol=1e-5)
    joints = regressor @ found.vertices
    assert np.linalg.norm(joints - found.joints, axis=1).max() < 0.008
    np.testing.assert_allclose(
        regressor @ (found.vertices + np.float32([1, 2, 3])), joints + np.array([1, 2, 3]), atol=1e-4
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_fit_does_not_depend_on_where_the_hand_is_or_how_it_lies(seed):
    rotations, betas = posture(seed, 0.3)
    mesh = skin(RIGHT, rotations, 0.5 * betas).vertices.astype(float)
    turn = matrix_from_axis_angle(np.array([0.5, -1.0, 2.0]))
    one, other = pose_of_mesh(RIGHT, mesh), pose_of_mesh(RIGHT, mesh @ turn.T + np.array([1.0, -2, 3]))
    np.testing.assert_allclose(other.betas, one.betas, atol=0.02)
    np.testing.assert_allclose(geodesic_angle(other.rotations[0], turn @ one.rotations[0]), 0, atol=2e-3)
    np.testing.assert_allclose(other.rotations[1:], one.rotations[1:], atol=5e-3)
    np.testing.assert_allclose(
        one.rotations @ np.swapaxes(one.rotations, -1, -2), np.tile(np.eye(3), (16, 1, 1)), atol=1e-9
    )


@pytest.mark.parametrize("seed", range(2))
def test_a_left_hand_is_fitted_as_the_right_one_in_the_mirror(seed):
    mesh = skin(RIGHT, *posture(seed, 0.3)).vertices.astype(float)
    one, other = pose_of_mesh(RIGHT, mesh), pose_of_mesh(LEFT, mesh @ MIRROR)
    np.testing.assert_allclose(other.rotations, MIRROR @ one.rotations @ MIRROR, atol=1e-4)
    np.testing.assert_allclose(other.betas, one.betas, atol=1e-3)


@few
@given(seeds)
def test_shapes_of_the_same_model_come_back_up_to_the_pull(seed):
    betas = np.random.default_rng(seed).normal(0, 0.7, NUM_BETAS)
    found = betas_for_joints(RIGHT, RIGHT, betas, ridge_m=1e-7)
    wanted, had = (skin(RIGHT, np.tile(np.eye(3), (16, 1, 1)), shape).joints16 for shape in (betas, found))
    np.testing.assert_allclose(had - had[0], wanted - wanted[0], atol=2e-4)
    pulled = betas_for_joints(RIGHT, RIGHT, betas, ridge_m=1.0)
    assert np.linalg.norm(pulled) < 0.1 * max(np.linalg.norm(betas), 0.1), "a strong pull is to the mean"


def test_the_other_hand_has_the_same_numbers_in_the_mirror():
    np.testing.assert_array_equal(LEFT.v_template, RIGHT.v_template * MIRROR.diagonal().astype(np.float32))
    assert (LEFT.side, RIGHT.side) == SIDES and LEFT.sha256 == RIGHT.sha256
    again = LEFT.mirrored()
    np.testing.assert_array_equal(again.v_template, RIGHT.v_template)
    np.testing.assert_array_equal(again.posedirs, RIGHT.posedirs)
    np.testing.assert_array_equal(again.faces, RIGHT.faces)


@pytest.mark.parametrize("name", ["v_template", "faces", "weights", "shapedirs"])
def test_a_model_that_all_share_cannot_be_changed(name):
    whole = load_hand_model(forearm=True)
    with pytest.raises(ValueError, match="read-only"):
        getattr(whole, name)[0] = 0


@few
@given(st.integers(1, 5000), st.integers(1, 6))
def test_levels_halve_up_to_the_whole_mesh(vertices, levels):
    sizes = halved_sizes(vertices, levels)
    assert len(sizes) == levels and sizes[-1] == vertices and list(sizes) == sorted(sizes)
    assert all(coarse == -(-fine // 2) for coarse, fine in pairwise(sizes))


def test_spirals_turn_with_the_mesh_and_renumber_with_its_vertices():
    vertices, faces = RIGHT.v_template[:], RIGHT.faces
    spirals = spirals_of(vertices, faces, 9)
    assert (spirals[:, 0] == np.arange(len(vertices))).all()
    turn = matrix_from_axis_angle(np.array([0.3, 1.0, -2.0]))
    assert (spirals_of(vertices @ turn.T.astype(np.float32), faces, 9) == spirals).all(1).mean() > 0.99, "but for ties"
    order = np.random.default_rng(0).permutation(len(vertices))
    renumbered = spirals_of(vertices[order], np.argsort(order)[faces], 9)
    np.testing.assert_array_equal(order[renumbered], spirals[order])


@pytest.mark.parametrize("shape", [(777, 3), (778, 2), (3,)])
def test_a_mesh_of_another_form_is_refused_with_its_shape(shape):
    with pytest.raises(InvalidInput, match="vertices has shape"):
        pose_of_mesh(RIGHT, np.zeros(shape))
