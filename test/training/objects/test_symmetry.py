"""Poses that look the same: what the object's symmetry makes equal comes out equal, and nothing else does."""

import numpy as np
import pytest

from prehend.geometry.control_points import control_points
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.object_catalogue import OWN_OBJECTS, Symmetry
from prehend_training.objects import catalogue
from prehend_training.objects.symmetry import MAX_EQUIVALENT, equivalent_points, symmetry_of
from prehend_training.sample import ObjectLabel
from prehend_training.transforms import rigid

OBJECTS = sorted(catalogue())
AXES = dict(zip("xyz", np.eye(3), strict=True))


def pose(seed=0):
    """Any turn, half a metre in front of the camera and a little aside."""
    rng = np.random.default_rng(seed)
    return rigid(matrix_from_axis_angle(rng.normal(size=3)), rng.normal([0, 0, 0.6], 0.1))


def label(object_id, T, extents=None, center=None):
    if extents is None:
        extents, center = catalogue()[object_id].extents_m, catalogue()[object_id].center_m
    extents, center = np.asarray(extents, float), np.asarray(center, float)
    points = control_points(extents, center) @ T[:3, :3].T + T[:3, 3]
    return ObjectLabel(object_id, T, extents, center, points, np.zeros((21, 2)), np.zeros(4))


def about(axis, angle, center):
    """The turn about an axis through the centre of the box, in the object's frame."""
    R = matrix_from_axis_angle(AXES[axis] * angle)
    return rigid(R, center - R @ center)


def same_set(first, second, atol=1e-9):
    """Whether two sets of poses hold the same ones, in any order and number."""
    gap = np.abs(first[:, None] - second[None]).max((2, 3))
    return bool((gap.min(1) < atol).all() and (gap.min(0) < atol).all())


@pytest.mark.parametrize("object_id", OBJECTS)
def test_a_turn_that_changes_nothing_changes_no_target(object_id):
    solid, T = catalogue()[object_id], pose()
    known = equivalent_points(label(object_id, T))
    turns = [about(axis, np.pi, solid.center_m) for axis in solid.symmetry.half_turns]
    if solid.symmetry.continuous:
        turns += [about(solid.symmetry.continuous, angle, solid.center_m) for angle in (0.4, 2.0, -1.1)]
    for turn in turns:
        assert same_set(equivalent_points(label(object_id, T @ turn)), known)


@pytest.mark.parametrize("object_id", OBJECTS)
def test_a_turn_that_shows_changes_the_targets(object_id):
    solid, T = catalogue()[object_id], pose()
    known = equivalent_points(label(object_id, T))
    assert not same_set(equivalent_points(label(object_id, T @ about("x", 0.3, solid.center_m))), known, 1e-3)
    if solid.symmetry.continuous is None:
        assert not same_set(equivalent_points(label(object_id, T @ about("z", 0.3, solid.center_m))), known, 1e-3)


@pytest.mark.parametrize("object_id", OBJECTS)
def test_each_pose_is_the_box_of_the_object_turned_about_its_centre(object_id):
    solid, T = catalogue()[object_id], pose(1)
    found = equivalent_points(label(object_id, T))
    assert found.shape == (MAX_EQUIVALENT, 21, 3)
    plain = control_points(solid.extents_m)
    center = T[:3, :3] @ solid.center_m + T[:3, 3]
    for points in found:
        local = points - center
        np.testing.assert_allclose(local @ local.T, plain @ plain.T, atol=1e-9)  # lengths and angles
        np.testing.assert_allclose(
            np.sort(local[:, None] @ local[:, :, None], 0), np.sort(plain[:, None] @ plain[:, :, None], 0), atol=1e-9
        )
    turned = np.stack([np.linalg.det(np.linalg.lstsq(plain, points - center, rcond=None)[0]) for points in found])
    np.testing.assert_allclose(turned, 1, atol=1e-6)  # no mirror image


@pytest.mark.parametrize("object_id", OBJECTS)
def test_the_pose_itself_is_among_those_of_things_without_an_axis(object_id):
    solid = catalogue()[object_id]
    thing = label(object_id, pose(2))
    found = equivalent_points(thing)
    if solid.symmetry.continuous is None:
        np.testing.assert_allclose(found[0], thing.control_points_m, atol=1e-12)
    count = len({tuple(points.round(7).ravel()) for points in found})
    assert count == 1 + len(solid.symmetry.half_turns)


def test_objects_that_nobody_knows_have_one_pose():
    thing = label("teapot_of_another_house", pose(3), [0.1, 0.2, 0.05], [0.01, 0, 0.02])
    assert symmetry_of("teapot_of_another_house") == Symmetry()
    np.testing.assert_allclose(equivalent_points(thing), np.tile(thing.control_points_m, (MAX_EQUIVALENT, 1, 1)))


@pytest.mark.parametrize("axis", "xyz")
def test_objects_of_ones_own_may_be_round_about_any_axis(tmp_path, monkeypatch, axis):
    (tmp_path / "rod.yaml").write_text(
        "id: own_rod\nname: rod\nextents_m: [0.1, 0.12, 0.14]\ncenter_m: [0, 0.01, 0.02]\n"
        f"symmetry: {{half_turns: [], continuous: {axis}}}\n"
    )
    monkeypatch.setenv(OWN_OBJECTS, str(tmp_path))
    extents, center, T = [0.1, 0.12, 0.14], np.array([0, 0.01, 0.02]), pose(4)
    known = equivalent_points(label("own_rod", T, extents, center))
    for angle in (0.5, -2.0, np.pi):
        turned = equivalent_points(label("own_rod", T @ about(axis, angle, center), extents, center))
        np.testing.assert_allclose(turned, known, atol=1e-9)
    other = next(name for name in "xyz" if name != axis)
    moved = equivalent_points(label("own_rod", T @ about(other, 0.5, center), extents, center))
    assert np.abs(moved - known).max() > 0.01


def test_the_target_of_a_round_thing_changes_steadily_with_the_view():
    """Half a degree of the view moves no control point by more than the object turns."""
    solid = catalogue()["can"]
    assert solid.symmetry.continuous == "z"
    before = None
    for angle in np.linspace(0, 2 * np.pi, 180):
        lean = matrix_from_axis_angle(np.array([0.5, 0, 0])) @ matrix_from_axis_angle(np.array([0, 0, angle]))
        points = equivalent_points(label("can", rigid(lean, [0.1 * np.cos(angle), 0.05, 0.5])))[0]
        if before is not None:
            assert np.abs(points - before).max() < 0.012
        before = points


def test_a_round_thing_seen_along_its_axis_still_has_a_pose():
    found = equivalent_points(label("can", rigid(np.eye(3), np.array([0, 0, 0.5]) - catalogue()["can"].center_m)))
    assert np.isfinite(found).all()
