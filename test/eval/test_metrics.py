import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from prehend.conventions import MIRROR
from prehend.errors import InvalidInput
from prehend.eval.metrics import (
    PCK_THRESHOLDS_M,
    aligned,
    auc,
    classification,
    diameter,
    f_scores,
    hit,
    pck,
    point_errors,
    pose_errors,
    root_relative,
)
from prehend.geometry.rotations import matrix_from_axis_angle

coordinates = st.floats(-0.1, 0.1).map(lambda x: round(x, 4))
hands = arrays(np.float64, (21, 3), elements=coordinates)
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=40, deadline=None)


def rng_hand(seed=0, points=21):
    return np.random.default_rng(seed).normal(0, 0.04, (points, 3))


def pose(rng, near=0.6):
    T = np.eye(4)
    T[:3, :3] = matrix_from_axis_angle(rng.normal(size=3))
    T[:3, 3] = rng.normal(0, 0.1, 3) + np.array([0, 0, near])
    return T


def official_aligned(source, target):
    """What the released scripts do, written from its description: unit norm, orthogonal Procrustes, no determinant."""
    a, b = source - source.mean(0), target - target.mean(0)
    size_a, size_b = np.linalg.norm(a), np.linalg.norm(b)
    u, spread, vt = np.linalg.svd((b / size_b).T @ (a / size_a))
    return (a / size_a) @ (u @ vt).T * spread.sum() * size_b + target.mean(0)


@given(hands, arrays(np.float64, 3, elements=coordinates))
@few
def test_a_shift_is_an_absolute_error_and_no_relative_one(joints, shift):
    moved = joints + shift
    np.testing.assert_allclose(point_errors(moved, joints), np.linalg.norm(shift), atol=1e-12)
    relative = point_errors(root_relative(moved, moved[0]), root_relative(joints, joints[0]))
    np.testing.assert_allclose(relative, 0, atol=1e-12)


def test_a_known_rigid_error_gives_that_number():
    # all joints but the wrist lie 10 cm from it, and turn by 60 degrees about it: each is off by its own distance
    joints = np.zeros((21, 3))
    angles = np.linspace(0, 1, 20)
    joints[1:] = 0.1 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1)
    turned = joints @ matrix_from_axis_angle(np.array([0, 0, np.pi / 3])).T
    errors = point_errors(turned, joints)
    np.testing.assert_allclose(errors[1:], 0.1)
    assert errors.mean() == pytest.approx(0.1 * 20 / 21)
    np.testing.assert_allclose(point_errors(aligned(turned, joints), joints), 0, atol=1e-12)


@given(seeds, st.floats(0.2, 5))
@few
def test_alignment_undoes_every_similarity_and_nothing_is_better(seed, scale):
    rng = np.random.default_rng(seed)
    truth, said = rng_hand(seed), rng_hand(seed + 1)
    T = pose(rng)
    moved = scale * said @ T[:3, :3].T + T[:3, 3]
    np.testing.assert_allclose(aligned(moved, truth), aligned(said, truth), atol=1e-9)
    assert (point_errors(aligned(said, truth), truth) ** 2).sum() <= (point_errors(said, truth) ** 2).sum() + 1e-12


def test_a_mirrored_hand_is_no_match_although_the_official_scripts_say_so():
    truth = rng_hand()
    mirrored = truth @ MIRROR
    official = point_errors(official_aligned(mirrored, truth), truth)
    ours = point_errors(aligned(mirrored, truth), truth)
    np.testing.assert_allclose(official, 0, atol=1e-12)
    assert ours.mean() > 0.01
    # on a hand that is roughly right both agree
    rough = truth + np.random.default_rng(1).normal(0, 0.005, truth.shape)
    np.testing.assert_allclose(aligned(rough, truth), official_aligned(rough, truth), atol=1e-9)


def test_leading_axes_are_one_after_the_other():
    said, truth = (np.stack([[rng_hand(k + 10 * j) for k in range(3)] for j in range(2)]) + off for off in (0, 0.003))
    truth = truth[:, ::-1]
    errors = point_errors(aligned(said, truth), truth)
    assert errors.shape == (2, 3, 21) and f_scores(said, truth).shape == (2, 3, 2)
    assert pck(errors).shape == (2, 3, 100) and auc(pck(errors)).shape == (2, 3)
    for j in range(2):
        for k in range(3):
            one, other = said[j, k], truth[j, k]
            np.testing.assert_allclose(errors[j, k], point_errors(aligned(one, other), other), atol=1e-12)
            np.testing.assert_allclose(f_scores(said, truth)[j, k], f_scores(one, other))


@given(st.floats(0, 0.05))
@few
def test_the_area_of_a_constant_error_is_what_is_left_of_the_range(error):
    step = PCK_THRESHOLDS_M[1] - PCK_THRESHOLDS_M[0]
    area = auc(pck(np.full(21, error)))
    assert abs(area - (1 - error / 0.05)) <= step / 0.05 / 2 + 1e-9


def test_curves_count_errors_up_to_and_with_the_threshold():
    curve = pck(np.array([0.0, PCK_THRESHOLDS_M[50], 1.0, np.nextafter(PCK_THRESHOLDS_M[50], 1)]))
    assert (curve[0], curve[49], curve[50], curve[51], curve[-1]) == (0.25, 0.25, 0.5, 0.75, 0.75)
    assert auc(np.ones(100)) == 1 and auc(pck(np.full(21, 9.0))) == 0


def test_f_of_the_truth_is_one_and_of_something_far_zero():
    mesh = rng_hand(points=400)
    np.testing.assert_array_equal(f_scores(mesh, mesh), [1, 1])
    np.testing.assert_array_equal(f_scores(mesh + 1, mesh), [0, 0])


@given(seeds)
@few
def test_f_is_symmetric_unordered_and_that_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    said, truth = rng.normal(0, 0.02, (60, 3)), rng.normal(0, 0.02, (45, 3))
    found = f_scores(said, truth)
    np.testing.assert_allclose(found, f_scores(truth, said))
    np.testing.assert_allclose(found, f_scores(rng.permutation(said), rng.permutation(truth)))
    distance = np.linalg.norm(said[:, None] - truth, axis=-1)
    for value, threshold in zip(found, (0.005, 0.015), strict=True):
        precision, recall = (distance.min(1) < threshold).mean(), (distance.min(0) < threshold).mean()
        assert value == pytest.approx(2 * precision * recall / (precision + recall) if precision + recall else 0)


def test_f_counts_distances_below_the_threshold_alone():
    line = np.array([[0.0, 0, 0], [1, 0, 0]])
    off = line + np.array([0, 0.25, 0])  # exact in binary
    assert f_scores(off, line, [0.25])[0] == 0 and f_scores(off, line, [0.2500001])[0] == 1


def test_add_of_a_shift_and_of_half_a_turn():
    rng = np.random.default_rng(3)
    points = rng.normal(0, 0.05, (300, 3))
    points = np.concatenate([points, points * [-1, -1, 1]])  # looks the same after half a turn about z
    truth, K = pose(rng), np.diag([500.0, 500, 1])
    shifted = truth.copy()
    shifted[:3, 3] += [0.003, 0.004, 0]
    assert pose_errors(shifted, truth, points, K).add_m == pytest.approx(0.005)
    assert pose_errors(truth, truth, points, K) == (0, 0, 0)
    turned = truth @ np.diag([-1.0, -1, 1, 1])
    errors = pose_errors(turned, truth, points, K)
    assert errors.adds_m == pytest.approx(0, abs=1e-9) and errors.add_m > 0.05


@given(seeds)
@few
def test_the_nearest_point_is_never_farther_than_the_corresponding_one(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 0.05, (40, 3))
    said, truth, K = pose(rng), pose(rng), np.diag([500.0, 500, 1])
    errors = pose_errors(said, truth, points, K)
    assert 0 <= errors.adds_m <= errors.add_m
    order = rng.permutation(40)
    np.testing.assert_allclose(pose_errors(said, truth, points[order], K), errors)


def test_reprojection_is_in_pixels_and_endless_behind_the_camera():
    points, K = rng_hand(points=50), np.array([[600.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    truth, flat = np.eye(4), points * [1, 1, 0]
    truth[2, 3] = 0.5
    shifted = truth.copy()
    shifted[0, 3] = 0.01
    assert pose_errors(shifted, truth, flat, K).reprojection_px == pytest.approx(600 * 0.01 / 0.5)
    shifted[2, 3] = -0.5
    assert pose_errors(shifted, truth, flat, K).reprojection_px == np.inf


def test_the_diameter_is_the_diagonal_of_the_box_and_a_hit_may_touch_the_limit():
    box = np.array([[0, 0, 0], [0.03, 0, 0], [0, 0.04, 0], [0.03, 0.04, 0.12]])
    assert diameter(box) == pytest.approx(0.13)
    np.testing.assert_array_equal(hit([0.05, 0.0500001, np.inf, np.nan], [0.1] * 4, 0.5), [True, False, False, False])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
@few
def test_rates_of_answers(pairs):
    truth, said = np.array(pairs).T
    rates = classification(truth, said)
    assert rates["accuracy"] == pytest.approx(1 - np.mean(truth != said))
    assert (rates["recall"] is None) == (not truth.any()) and (rates["precision"] is None) == (not said.any())
    if rates["precision"] and rates["recall"]:
        harmonic = 2 / (1 / rates["precision"] + 1 / rates["recall"])
        assert rates["f1"] == pytest.approx(harmonic)


@pytest.mark.parametrize(
    "call",
    [
        lambda: point_errors(np.zeros((21, 3)), np.zeros((20, 3))),
        lambda: root_relative(np.zeros((21, 3)), np.zeros(2)),
        lambda: auc(np.zeros(99)),
        lambda: f_scores(np.zeros((2, 9, 3)), np.zeros((9, 3))),
        lambda: pose_errors(np.eye(3), np.eye(4), np.zeros((5, 3)), np.eye(3)),
        lambda: classification(np.zeros(3, bool), np.zeros(4, bool)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call):
    with pytest.raises(InvalidInput):
        call()
