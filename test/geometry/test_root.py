import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput
from prehend.geometry.camera import project
from prehend.geometry.root import HAND_SIZE_STD, MIN_JOINTS, fit_root
from prehend.types import Camera

K = np.array([[600.0, 0, 310], [0, 620, 250], [0, 0, 1]])
PINHOLE = Camera(K, 640, 480)
DISTORTED = Camera(K, 640, 480, np.array([0.1, -0.2, 0.001, 0.002, 0.05]))
FISHEYE = Camera(K, 640, 480, np.array([0.05, -0.01, 0.003, 0]), "equidistant")


def hand(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Joints of the size of a hand, relative to the wrist, and where the wrist is."""
    rng = np.random.default_rng(seed)
    joints = rng.normal(0, 0.04, (21, 3))
    return joints - joints[0], rng.uniform([-0.15, -0.1, 0.35], [0.15, 0.1, 1.2])


@pytest.mark.parametrize("camera", [PINHOLE, DISTORTED, FISHEYE])
@pytest.mark.parametrize("seed", range(10))
def test_exact_keypoints_give_the_place_to_a_tenth_of_a_millimetre(camera: Camera, seed: int) -> None:
    joints, truth = hand(seed)
    fit = fit_root(joints, project(joints + truth, camera), camera)
    assert fit is not None
    np.testing.assert_allclose(fit.translation_m, truth, atol=1e-4)
    assert fit.residual_px < 1e-3
    assert HAND_SIZE_STD * truth[2] * 0.9 < fit.std_m < 0.1 * truth[2]


def test_one_pixel_of_noise_costs_little_and_what_it_says_it_costs() -> None:
    errors, stds = [], []
    for seed in range(200):
        joints, truth = hand(seed)
        noisy = project(joints + truth, DISTORTED) + np.random.default_rng(seed).normal(0, 1, (21, 2))
        fit = fit_root(joints, noisy, DISTORTED)
        assert fit is not None
        errors.append(np.linalg.norm(fit.translation_m - truth) / truth[2])
        stds.append(fit.std_m / np.linalg.norm((joints + fit.translation_m).mean(0)))
        assert 0.7 < fit.residual_px < 2.2
    assert np.median(errors) < 0.006
    assert np.max(errors) < 0.03
    # the size of hands dominates; noise of independent pixels is within it
    assert (np.array(stds) >= HAND_SIZE_STD).all()
    assert (np.array(stds) < 1.5 * HAND_SIZE_STD).all()


def test_a_larger_hand_is_reported_nearer_by_the_same_factor_which_is_why_there_is_a_size_term() -> None:
    joints, truth = hand(3)
    pixels = project(joints + truth, PINHOLE)
    small = fit_root(joints, pixels, PINHOLE)
    large = fit_root(joints * 1.06, pixels, PINHOLE)
    assert small is not None
    assert large is not None
    np.testing.assert_allclose(large.translation_m, small.translation_m * 1.06, atol=1e-6)
    assert abs(np.linalg.norm(large.translation_m - small.translation_m)) < 1.5 * small.std_m


def test_a_few_wrong_keypoints_are_resisted() -> None:
    joints, truth = hand(4)
    pixels = project(joints + truth, PINHOLE)
    pixels[[3, 11, 17]] += [[60, -40], [-80, 20], [30, 90]]
    robust = fit_root(joints, pixels, PINHOLE)
    assert robust is not None
    assert np.linalg.norm(robust.translation_m - truth) < 0.02 * truth[2]
    assert robust.residual_px > 10, "the residual shows them"


def test_keypoints_of_weight_zero_and_nan_do_not_count() -> None:
    joints, truth = hand(5)
    pixels = project(joints + truth, PINHOLE)
    pixels[2] = np.nan
    pixels[9] += 200
    weights = np.ones(21)
    weights[9] = 0
    fit = fit_root(joints, pixels, PINHOLE, weights)
    assert fit is not None
    np.testing.assert_allclose(fit.translation_m, truth, atol=1e-4)


@settings(deadline=None, max_examples=40)
@given(st.floats(0.3, 2), st.integers(0, 1000))
def test_resizing_the_image_changes_nothing(factor: float, seed: int) -> None:
    joints, truth = hand(seed)
    pixels = project(joints + truth, PINHOLE)
    resized = Camera(np.diag([factor, factor, 1]) @ K, 640, 480)
    fit = fit_root(joints, pixels * factor, resized)
    assert fit is not None
    np.testing.assert_allclose(fit.translation_m, truth, atol=1e-4)


def test_less_trust_and_fewer_keypoints_mean_more_doubt() -> None:
    joints, truth = hand(6)
    joints, truth = joints * 0.5, truth * 3
    pixels = project(joints + truth, PINHOLE)
    all_of_them = fit_root(joints, pixels, PINHOLE)
    some = fit_root(joints, pixels, PINHOLE, np.array([1.0] * 7 + [0.0] * 14))
    assert all_of_them is not None
    assert some is not None
    assert some.std_m > all_of_them.std_m


def test_known_certainty_makes_the_place_better_and_its_doubt_true() -> None:
    plain, informed, claimed = [], [], []
    for seed in range(200):
        joints, truth = hand(seed)
        rng = np.random.default_rng(seed)
        std = np.exp(rng.uniform(np.log(0.5), np.log(30), 21))
        noisy = project(joints + truth, PINHOLE) + rng.normal(0, 1, (21, 2)) * std[:, None]
        for errors, given_std in ((plain, None), (informed, std)):
            fit = fit_root(joints, noisy, PINHOLE, std_px=given_std)
            assert fit is not None
            errors.append(abs(fit.translation_m[2] / truth[2] - 1))
        claimed.append(fit.std_m / truth[2])
    assert np.median(informed) < 0.6 * np.median(plain)
    assert np.mean(np.array(informed) < 2 * np.array(claimed)) > 0.95


def test_certainty_that_is_the_same_everywhere_changes_little_and_weights_still_count() -> None:
    joints, truth = hand(11)
    pixels = project(joints + truth, PINHOLE) + np.random.default_rng(0).normal(0, 1, (21, 2))
    plain, same = fit_root(joints, pixels, PINHOLE), fit_root(joints, pixels, PINHOLE, std_px=np.full(21, 1.5))
    assert plain is not None
    assert same is not None
    np.testing.assert_allclose(same.translation_m, plain.translation_m, atol=1e-3)
    pixels[4] += 300
    weights = np.ones(21)
    weights[4] = 0
    without = fit_root(joints, pixels, PINHOLE, weights, np.full(21, 1.5))
    assert without is not None
    np.testing.assert_allclose(without.translation_m, truth, atol=0.02)
    unknown = fit_root(joints, pixels, PINHOLE, None, np.where(np.arange(21) == 4, np.nan, 1.5))
    assert unknown is not None
    np.testing.assert_allclose(unknown.translation_m, without.translation_m, atol=1e-9)


def test_the_size_of_a_hand_of_which_little_counts_is_in_doubt() -> None:
    joints, truth = hand(12)
    pixels = project(joints + truth, PINHOLE)
    stds = [
        fit.std_m
        for count in (21, 14, 7)
        if (fit := fit_root(joints, pixels, PINHOLE, np.where(np.arange(21) < count, 1.0, 0.1))) is not None
    ]
    assert stds[0] < stds[1] < stds[2]
    assert stds[2] > 1.3 * stds[0]


def test_degenerate_input_gives_none_and_never_a_number() -> None:
    joints, truth = hand(7)
    pixels = project(joints + truth, PINHOLE)
    assert fit_root(joints, np.tile(pixels[:1], (21, 1)), PINHOLE) is None, "all keypoints in one place"
    assert fit_root(np.zeros((21, 3)), pixels, PINHOLE) is None, "all joints in one place"
    assert fit_root(joints, np.full((21, 2), np.nan), PINHOLE) is None
    assert fit_root(np.full((21, 3), np.nan), pixels, PINHOLE) is None
    assert fit_root(joints, pixels, PINHOLE, np.zeros(21)) is None
    assert fit_root(joints, pixels, PINHOLE, np.full(21, np.nan)) is None
    few = np.array([1.0] * (MIN_JOINTS - 1) + [0.0] * (22 - MIN_JOINTS))
    assert fit_root(joints, pixels, PINHOLE, few) is None


def test_a_hand_behind_the_camera_is_refused() -> None:
    joints, truth = hand(8)
    flat = joints * [1, 1, 0]
    pixels = project(flat + truth, PINHOLE)
    assert fit_root(-flat, pixels, PINHOLE) is None, "only a hand behind the camera would look like this"


def test_wrong_shapes_are_named() -> None:
    joints, truth = hand(9)
    pixels = project(joints + truth, PINHOLE)
    with pytest.raises(InvalidInput, match="keypoints_px"):
        fit_root(joints, pixels[:20], PINHOLE)
    with pytest.raises(InvalidInput, match="weights"):
        fit_root(joints, pixels, PINHOLE, np.ones(3))
    with pytest.raises(InvalidInput, match="std_px"):
        fit_root(joints, pixels, PINHOLE, None, np.ones(3))
