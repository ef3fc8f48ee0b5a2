"""What a grasp is checked for: flat things in closed form, mirror images, thresholds on both of their sides."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.conventions import MIRROR
from prehend.documents import read_arrays
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import skin
from prehend_training.assets.poses import MAX_PENETRATION_M, pose_from_angles
from prehend_training.grasps.checks import (
    CHECKS,
    DEEPEST_M,
    MAX_RESIDUAL,
    MAX_VOLUME_CM3,
    TOUCH_M,
    Report,
    check,
    closure_residual,
    shared_volume_cm3,
    suits,
)
from prehend_training.grasps.hand import hand_model
from prehend_training.grasps.kinds import KINDS
from prehend_training.grasps.library import HAND_ARRAYS, SHIPPED, library_ids, load_grasps, restored, sample_grasp
from prehend_training.grasps.search.fresh import POOL
from prehend_training.objects import catalogue
from prehend_training.transforms import inverse

FLAT = np.zeros((15, 3))
Y_MIRROR = np.diag([1.0, -1, 1, 1])


def good(**changes):
    """A report that passes, with changes."""
    contact = np.array([True, True, True, False, False, False])
    report = Report(contact, 0.1, 0.0, 0.001, 1.0, 0.0)
    return replace(report, **changes)


def digits(*names):
    order = ("thumb", "index", "middle", "ring", "little", "palm")
    return np.array([name in names for name in order])


@pytest.mark.parametrize(
    ("name", "passing", "failing"),
    [
        ("contact", {"contact": digits("ring")}, {"contact": digits()}),
        ("volume", {"volume_cm3": MAX_VOLUME_CM3}, {"volume_cm3": MAX_VOLUME_CM3 + 0.01}),
        ("self_penetration", {"self_penetration_m": MAX_PENETRATION_M}, {"self_penetration_m": 0.004}),
        ("depth", {"deepest_m": DEEPEST_M}, {"deepest_m": DEEPEST_M + 1e-4}),
        ("depth", {"bone": 0.41}, {"bone": 0.39}),
        ("opposed", {"contact": digits("thumb", "little")}, {"contact": digits("index", "middle", "ring")}),
        ("opposed", {"contact": digits("palm", "index", "ring")}, {"contact": digits("palm", "index")}),
        ("opposed", {"contact": digits("thumb", "middle", "palm")}, {"contact": digits("thumb", "palm")}),
        ("closure", {"residual": MAX_RESIDUAL}, {"residual": np.inf}),
    ],
)  # fmt: skip
def test_each_check_has_two_sides(name, passing, failing):
    assert good().valid and set(good().passed) == set(CHECKS)
    assert good(**passing).passed[name] and not good(**failing).passed[name]
    assert not good(**failing).valid


@pytest.mark.parametrize(
    ("kind", "touching", "fits"),
    [
        ("power", ("thumb", "index", "middle", "ring"), True),
        ("power", ("palm", "index", "middle", "ring"), True),
        ("power", ("thumb", "index", "middle"), False),
        ("precision", ("thumb", "middle", "little"), True),
        ("precision", ("palm", "middle", "little"), False),
        ("pinch", ("thumb", "index"), True),
        ("pinch", ("thumb", "middle"), False),
        ("lateral", ("thumb", "index"), True),
        ("lateral", ("thumb", "ring"), False),
        ("rim", ("index", "middle"), False),
    ],
)
def test_a_kind_needs_its_digits(kind, touching, fits):
    assert suits(good(contact=digits(*touching)), KINDS[kind]) == fits


@pytest.fixture(scope="module")
def slab():
    """A table top, half a metre wide; its upper side is at z = 0.05."""
    box = catalogue()["box"]
    return box.stretched(np.array([0.5, 0.5, 0.1]) / box.extents_m)


def above(slab, deep_m):
    """A flat hand, palm down, whose lowest vertex is so deep in the table."""
    posed = skin(hand_model(), pose_from_angles(hand_model(), *FLAT.T), np.zeros(10))
    R = matrix_from_axis_angle(np.array([np.pi / 2, 0, 0]))  # the back (y) looks up (z)
    points = (posed.vertices - posed.joints[0]) @ R.T
    T = np.eye(4)
    T[:3, :3] = R
    top = slab.center_m[2] + slab.extents_m[2] / 2
    T[:3, 3] = [0.08, 0, top - deep_m - points[:, 2].min()]
    return T, points + T[:3, 3]


@pytest.mark.parametrize("deep_m", [-0.02, -TOUCH_M - 1e-4, -TOUCH_M + 1e-4, 0.001, 0.003, 0.008])
def test_depth_and_touch_of_a_flat_hand_are_those_of_a_plane(slab, deep_m):
    T, points = above(slab, deep_m)
    report = check(slab, np.zeros(10), FLAT, T)
    assert report.deepest_m == pytest.approx(max(deep_m, 0), abs=1e-6)
    assert report.contact.any() == (deep_m > -TOUCH_M)
    assert report.passed["depth"] <= (deep_m <= DEEPEST_M)
    assert report.passed["closure"] is False or deep_m > 0.02  # a table pushes from one side alone
    lowest = points[:, 2].min()
    assert lowest == pytest.approx(slab.center_m[2] + slab.extents_m[2] / 2 - deep_m)


def test_the_volume_that_a_hand_sinks_in_grows_to_its_own(slab):
    volumes = [shared_volume_cm3(slab, above(slab, deep)[1]) for deep in (-0.01, 0.004, 0.012, 0.06)]
    assert volumes[0] == 0 and volumes == sorted(volumes) and volumes[1] < volumes[2]
    aside = above(slab, 0.06)[1] + [5.0, 0, 0]
    assert shared_volume_cm3(slab, aside) == 0


def test_the_shared_volume_does_not_hang_on_the_size_of_the_voxels(slab):
    """A flat cut along rows of voxels is their worst case."""
    points = above(slab, 0.02)[1]
    coarse, fine = (shared_volume_cm3(slab, points, step_m=step) for step in (0.003, 0.0015))
    assert coarse == pytest.approx(fine, rel=0.2)


@pytest.mark.parametrize("seed", range(4))
def test_the_mirror_image_of_a_grasp_touches_as_the_grasp_does(seed):
    """A left hand at the mirrored pose: each vertex is as far from the object as that of the right hand."""
    grasp = sample_grasp(np.random.default_rng(seed))
    right = skin(hand_model(), grasp.rotations, grasp.betas)
    left = skin(hand_model().mirrored(), MIRROR @ grasp.rotations @ MIRROR, grasp.betas)
    both = np.eye(4)
    both[:3, :3] = MIRROR
    T_left = both @ grasp.T_hand_object @ Y_MIRROR  # things are their own mirror image at y = 0
    assert np.linalg.det(T_left[:3, :3]) == pytest.approx(1)
    distances = []
    for posed, T_hand_object in ((right, grasp.T_hand_object), (left, T_left)):
        T = inverse(T_hand_object)
        distances.append(grasp.solid.distance((posed.vertices - posed.joints[0]) @ T[:3, :3].T + T[:3, 3]))
    np.testing.assert_allclose(distances[0], distances[1], atol=3e-4)


def test_one_contact_is_off_balance_by_its_own_press():
    """Whatever the friction: the nearest wrench of its cone is the press along the normal, of length one."""
    normal = np.array([[0.36, 0.48, 0.8]])
    for friction in (0.0, 0.3, 1.0):
        assert closure_residual(np.array([[0.01, 0.02, 0.03]]), normal, friction) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("angle", [0.3, np.pi / 2, 2.5])
def test_two_presses_without_friction_add_up_as_forces_do(angle):
    """Contacts on a line through both: half of the sum of two unit vectors, and no torque."""
    normals = np.array([[1.0, 0, 0], [np.cos(angle), np.sin(angle), 0]])
    expected = np.linalg.norm(normals.sum(0)) / 2
    assert closure_residual(np.zeros((2, 3)), normals, 0.0, steps=500) == pytest.approx(expected, abs=1e-3)


def test_three_fingers_around_a_can_hold_it():
    angle = np.arange(3) * 2 * np.pi / 3
    normals = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
    assert closure_residual(0.03 * normals, normals, steps=600) < 0.02
    assert closure_residual(0.03 * normals[:2], normals[:2], 0.2, steps=600) > 0.2


def test_all_shipped_grasps_are_within_the_limits_of_the_joints():
    limits = hand_model().limits_rad
    for name in library_ids():
        angles = load_grasps(name).hands.angles
        assert (angles >= limits[..., 0] - 2e-4).all() and (angles <= limits[..., 1] + 2e-4).all(), name


def test_all_grasps_of_the_pool_are_within_the_limits_of_the_joints():
    limits = hand_model().limits_rad
    arrays = read_arrays(SHIPPED / POOL)
    angles = restored({name: arrays[name] for name in HAND_ARRAYS}).angles
    assert (angles >= limits[..., 0] - 2e-4).all() and (angles <= limits[..., 1] + 2e-4).all()


@pytest.mark.parametrize("name", library_ids()[::6])
def test_a_shipped_grasp_is_no_deeper_than_flesh_gives_way(name):
    grasps, solid = load_grasps(name), catalogue()[name]
    for k in (0, len(grasps) - 1):
        hands, kind = grasps.hands, KINDS[grasps.kinds[k]]
        report = check(
            solid.stretched(hands.scale[k]), hands.betas[k], hands.angles[k], hands.T_object_hand[k], filled=kind.filled
        )
        assert report.deepest_m <= DEEPEST_M and report.volume_cm3 <= MAX_VOLUME_CM3 and report.contact.any()
        np.testing.assert_array_equal(report.contact, grasps.contact[k])
