"""Where fingers stop, what balances, what lies inside: against closed forms."""

import numpy as np
import pytest

from prehend_training.grasps.checks import closure_residual
from prehend_training.grasps.closing import Hands, first_touch, to_object
from prehend_training.grasps.volume import inner_voxels
from prehend_training.objects.shapes.mesh import assemble
from prehend_training.objects.shapes.parts_flat import RoundedBox
from prehend_training.objects.shapes.parts_round import Torus

PRESSED_M = 0.0008


@pytest.mark.parametrize("meets", [0.1, 0.5, 0.93])
def test_a_finger_stops_where_it_is_pressed_in(meets):
    """A distance that falls evenly crosses the pressed depth at a known share of the way."""
    share = np.linspace(0, 1, 9)
    distance = (meets - share)[None] * 0.05 - PRESSED_M
    assert first_touch(distance, 0.3)[0] == pytest.approx(meets, abs=1e-9)


def test_a_finger_that_meets_nothing_goes_on_a_little():
    assert first_touch(np.full((2, 9), 0.01), 0.3).tolist() == [0.3, 0.3]


def test_a_finger_that_is_inside_already_stays():
    assert first_touch(np.linspace(-0.01, 0.05, 9)[None], 0.3)[0] == 0


def test_the_first_of_two_touches_counts():
    distance = np.array([[0.01, -0.01, 0.01, 0.01, -0.01]])
    assert 0 < first_touch(distance, 0.3)[0] <= 0.25


def test_each_row_is_as_alone():
    rng = np.random.default_rng(0)
    distance = rng.normal(0.005, 0.01, (30, 9))
    alone = [first_touch(row[None], 0.2)[0] for row in distance]
    np.testing.assert_array_equal(first_touch(distance, 0.2), alone)
    assert ((np.array(alone) >= 0) & (np.array(alone) <= 1)).all()


def test_hands_move_in_the_frame_of_the_object():
    rng = np.random.default_rng(1)
    T = np.tile(np.eye(4), (2, 1, 1))
    T[:, :3, :3] = np.linalg.qr(rng.normal(size=(2, 3, 3)))[0]
    hands = Hands(np.zeros((2, 10)), np.zeros((2, 15, 3)), T, np.ones((2, 3)))
    points, shift = rng.normal(size=(2, 5, 3)), np.array([[0.1, 0, 0], [0, 0.2, 0]])
    moved = to_object(hands.moved(shift).T_object_hand, points)
    np.testing.assert_allclose(moved, to_object(hands.T_object_hand, points) + shift[:, None])
    assert not hands.T_object_hand[:, :3, 3].any()  # the first ones stay where they were


UP, RIGHT = np.array([0, 0, 1.0]), np.array([1.0, 0, 0])


def test_two_opposed_contacts_balance_at_any_distance():
    for size in (0.01, 0.05, 0.2):
        points = size * np.array([UP, -UP])
        assert closure_residual(points, np.array([UP, -UP])) < 0.02


@pytest.mark.parametrize("friction", [0.2, 0.5, 0.9])
def test_contacts_at_an_angle_balance_up_to_the_angle_of_friction(friction):
    """Two contacts on a wedge: their normals are off the line between them by an angle on each side."""
    for share, holds in ((0.7, True), (1.5, False)):
        angle = share * np.arctan(friction)
        normals = np.array([[np.sin(angle), 0, np.cos(angle)], [np.sin(angle), 0, -np.cos(angle)]])
        residual = closure_residual(0.03 * np.array([UP, -UP]), normals, friction, steps=400)
        assert (residual < 0.03) == holds


@pytest.mark.parametrize("count", [1, 2, 5])
def test_contacts_from_one_side_alone_do_not_hold(count):
    points = 0.02 * np.random.default_rng(count).normal(size=(count, 3)) * [1, 1, 0]
    assert closure_residual(points, np.tile(UP, (count, 1))) > 0.9


def test_no_contact_holds_nothing():
    assert closure_residual(np.zeros((0, 3)), np.zeros((0, 3))) == np.inf


def test_more_contacts_never_hold_worse():
    rng = np.random.default_rng(3)
    normals = rng.normal(size=(8, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = 0.03 * normals
    opposed = np.concatenate([points, -points[:1]]), np.concatenate([normals, -normals[:1]])
    assert closure_residual(*opposed, steps=600) <= closure_residual(points, normals, steps=600) + 0.02


def test_balance_does_not_depend_on_where_the_object_is_or_how_it_lies():
    rng = np.random.default_rng(4)
    normals = rng.normal(size=(4, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    here = closure_residual(0.03 * normals, normals, steps=600)
    there = closure_residual(0.03 * normals @ turn.T + [1.0, -2, 3], normals @ turn.T, steps=600)
    assert there == pytest.approx(here, abs=0.06)  # the cones' edges turn otherwise


def mesh(part):
    whole = assemble(part.placed())[0]
    return whole.vertices, whole.faces


@pytest.mark.parametrize("step_m", [0.004, 0.002])
@pytest.mark.parametrize("turn_deg", [(0, 0, 0), (30, 50, 10)])
def test_voxels_of_a_box_fill_its_volume(turn_deg, step_m):
    vertices, faces = mesh(
        RoundedBox.read({"size_m": [0.03, 0.05, 0.04], "turn_deg": turn_deg, "at_m": [0.5, 0.1, -0.3]})
    )
    voxels = inner_voxels(vertices, faces, step_m)
    assert len(voxels) * step_m**3 == pytest.approx(6e-5, rel=50 * step_m)
    np.testing.assert_allclose(voxels.mean(0), [0.5, 0.1, -0.3], atol=step_m / 2)


def test_the_hole_of_a_ring_is_not_inside():
    vertices, faces = mesh(Torus.read({"ring_m": 0.03, "tube_m": 0.01}))
    voxels = inner_voxels(vertices, faces, 0.002)
    radius = np.hypot(np.hypot(voxels[:, 0], voxels[:, 1]) - 0.03, voxels[:, 2])
    assert radius.max() < 0.0105 and len(voxels) * 8e-9 == pytest.approx(2 * np.pi**2 * 0.03 * 1e-4, rel=0.06)


def test_an_open_mesh_is_closed_by_a_fan():
    vertices, faces = mesh(RoundedBox.read({"size_m": [0.04, 0.04, 0.04]}))
    lid = (vertices[faces][:, :, 2] > 0.0199).all(1)
    assert lid.any()
    whole, opened = (len(inner_voxels(*welded(vertices, kept), 0.002)) for kept in (faces, faces[~lid]))
    assert opened == pytest.approx(whole, rel=0.02)


def welded(vertices, faces):
    """The mesh with each place once."""
    places, number = np.unique(vertices.round(9), axis=0, return_inverse=True)
    return places, number.reshape(-1)[faces]


def test_where_two_bodies_overlap_is_counted_once():
    parts = [RoundedBox.read({"size_m": [0.04] * 3}), RoundedBox.read({"size_m": [0.04] * 3, "at_m": [0.02, 0, 0]})]
    both = assemble([patch for part in parts for patch in part.placed()])[0]
    assert len(inner_voxels(both.vertices, both.faces, 0.002)) * 8e-9 == pytest.approx(0.06 * 0.04**2, rel=0.06)
