from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import ParameterError
from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.skinning import skin
from prehend.pipeline.networks.decode import DecodedHand
from prehend.pipeline.smoothing.smooth import HAND_LENGTH_M, SMOOTHERS, HandSmoother, SmoothConfig, one_euro

DT = 1 / 30
CONFIG = SmoothConfig(min_cutoff_hz=1.5, beta=4.0)
KALMAN = SmoothConfig(min_cutoff_hz=1.5, smoother="kalman")
EITHER = pytest.mark.parametrize("smoother", SMOOTHERS)
MODEL = load_hand_model().without_forearm()


def filtered(signal: np.ndarray, config: SmoothConfig = CONFIG, dt: float = DT, unit: float = 1.0) -> np.ndarray:
    state, out = None, []
    for measured in signal:
        state = one_euro(state, measured, dt, config, unit)
        out.append(state.value)
    return np.stack(out)


def hand(rotations: np.ndarray, root: np.ndarray, betas: np.ndarray | None = None) -> DecodedHand:
    betas = np.zeros(10) if betas is None else betas
    posed = skin(MODEL, rotations, betas)
    shift = root - posed.joints[0]
    joints = posed.joints + shift
    keypoints = 500 * joints[:, :2] / joints[:, 2:] + [320, 240]
    return DecodedHand(keypoints, joints, posed.vertices + shift, rotations, betas, np.ones(21, bool), 1.0, 0.02)


def bent(seed: int = 0, spread: float = 0.3) -> np.ndarray:
    return matrix_from_axis_angle(np.random.default_rng(seed).normal(0, spread, (16, 3)))


def test_what_rests_stays_exactly() -> None:
    still = np.tile(np.random.default_rng(0).normal(size=(21, 3)), (20, 1, 1))
    np.testing.assert_array_equal(filtered(still), still)


@pytest.mark.parametrize("cutoff", [0.5, 1.5, 4.0])
def test_noise_shrinks_the_more_the_lower_the_cutoff(cutoff) -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, (600, 21, 3))
    smooth = filtered(noise, SmoothConfig(cutoff, 0.0))[60:]
    share = 2 * np.pi * cutoff * DT / (1 + 2 * np.pi * cutoff * DT)
    expected = np.sqrt(share / (2 - share))  # of white noise after a first-order low pass
    assert smooth.std() / noise.std() == pytest.approx(expected, rel=0.1)
    assert filtered(noise)[60:].std() < 0.75 * noise.std(), "with the speed term on"


def test_a_step_is_followed_within_a_tenth_of_a_second_and_never_overshot() -> None:
    step = np.zeros((30, 1, 3))
    step[10:] = [1.0, 0, 0]
    out = filtered(step)[:, 0, 0]
    assert (out[:10] == 0).all()
    assert out[10 + 3] > 0.9
    assert (np.diff(out) >= 0).all() and out[-1] <= 1


@pytest.mark.parametrize("speed", [0.25, 1.0, 4.0])
def test_the_delay_at_constant_speed_is_the_one_that_is_told(speed) -> None:
    times = np.arange(150) * DT
    out = filtered((speed * times)[:, None, None] * [[1.0, 0, 0]])[:, 0, 0]
    delay = times[-1] - out[-1] / speed
    assert delay == pytest.approx(1 / (2 * np.pi * (CONFIG.min_cutoff_hz + CONFIG.beta * speed)), rel=0.1)


def test_it_commutes_with_turns_shifts_and_scales() -> None:
    walk = np.random.default_rng(2).normal(0, 0.05, (60, 21, 3)).cumsum(0)
    R, t = matrix_from_axis_angle(np.array([0.4, -1.0, 0.7])), np.array([3.0, -2.0, 1.0])
    moved = filtered(2.5 * walk @ R.T + t, unit=2.5)
    np.testing.assert_allclose(moved, 2.5 * filtered(walk) @ R.T + t, atol=1e-12)


def test_frame_rate_hardly_matters() -> None:
    def at(rate: int) -> np.ndarray:
        times = np.arange(2 * rate) / rate
        return filtered(np.sin(4 * times)[:, None, None] * [[1.0, 0, 0]], dt=1 / rate)[-1]

    np.testing.assert_allclose(at(30), at(120), atol=0.06)


def test_the_same_moment_twice_changes_nothing() -> None:
    state = one_euro(None, np.zeros((1, 3)), DT, CONFIG, 1.0)
    assert one_euro(state, np.ones((1, 3)), 0.0, CONFIG, 1.0) is state


def test_off_hands_everything_through() -> None:
    smoother, given = HandSmoother(SmoothConfig(0.0)), hand(bent(), np.array([0, 0, 0.5]))
    for _ in range(3):
        smoother.start_frame(DT)
        assert smoother.smooth(given, MODEL) is given


@EITHER
def test_a_resting_hand_keeps_its_numbers(smoother) -> None:
    smoother, given = HandSmoother(SmoothConfig(1.5, smoother=smoother)), hand(bent(), np.array([0.1, 0, 0.5]))
    for _ in range(5):
        smoother.start_frame(DT)
        out = smoother.smooth(given, MODEL)
    np.testing.assert_allclose(out.joints_m, given.joints_m, atol=1e-6)
    np.testing.assert_allclose(out.vertices_m, given.vertices_m, atol=1e-6)
    np.testing.assert_allclose(out.rotations, given.rotations, atol=1e-9)
    np.testing.assert_allclose(out.keypoints_px, given.keypoints_px, atol=1e-9)


@EITHER
def test_a_trembling_hand_becomes_steadier_and_stays_a_hand(smoother) -> None:
    rng, smoother, pose = np.random.default_rng(5), HandSmoother(SmoothConfig(1.5, smoother=smoother)), bent()
    still = hand(pose, np.array([0, 0, 0.5]))
    before, after, turns = [], [], []
    for _ in range(90):
        turn = matrix_from_axis_angle(rng.normal(0, 0.05, (16, 3)))
        noisy = hand(pose @ turn, rng.normal([0, 0, 0.5], 0.004))
        noisy = replace(noisy, keypoints_px=still.keypoints_px + rng.normal(0, 1.5, (21, 2)))
        smoother.start_frame(DT)
        out = smoother.smooth(noisy, MODEL)
        before.append((noisy.joints_m, noisy.keypoints_px))
        after.append((out.joints_m, out.keypoints_px))
        turns.append(geodesic_angle(out.rotations, pose).max())
        posed = skin(MODEL, out.rotations, out.betas)
        np.testing.assert_allclose(out.joints_m - out.joints_m[0], posed.joints - posed.joints[0], atol=1e-6)
        np.testing.assert_allclose(out.vertices_m - out.joints_m[0], posed.vertices - posed.joints[0], atol=1e-6)
    for one, two in zip(zip(*before, strict=True), zip(*after, strict=True), strict=True):
        jitter = [np.linalg.norm(np.diff(np.stack(rows)[30:], 2, axis=0), axis=-1).mean() for rows in (one, two)]
        assert jitter[1] < 0.5 * jitter[0]
    assert max(turns[30:]) < 0.15


def test_fast_hands_are_followed_closely() -> None:
    smoother, speed = HandSmoother(CONFIG), 1.0
    for k in range(60):
        smoother.start_frame(DT)
        root = np.array([-1 + speed * k * DT, 0, 1.0])
        out = smoother.smooth(hand(bent(), root), MODEL)
    late = (root[0] - out.joints_m[0, 0]) / speed
    cutoff = CONFIG.min_cutoff_hz + CONFIG.beta * speed / HAND_LENGTH_M
    assert late == pytest.approx(1 / (2 * np.pi * cutoff), rel=0.2)
    assert late < 0.01


def test_at_constant_speed_the_kalman_filter_is_hardly_late_from_the_first_tenths_on() -> None:
    for speed in (0.25, 1.0):
        smoother, late = HandSmoother(KALMAN), []
        for k in range(40):
            smoother.start_frame(DT)
            root = np.array([-0.5 + speed * max(k - 10, 0) * DT, 0, 1.0])
            late.append((root[0] - smoother.smooth(hand(bent(), root), MODEL).joints_m[0, 0]) / speed)
        assert max(np.abs(late[22:])) < 0.02 and max(late) < 0.06


def test_a_hand_that_flips_for_a_frame_is_not_followed_but_one_that_turned_is() -> None:
    flip = matrix_from_axis_angle(np.array([0, 0, np.pi / 2]))
    turned = bent()
    turned[0] = flip @ turned[0]
    off = {}
    for frames in (1, 30):
        smoother = HandSmoother(KALMAN)
        for k in range(30 + frames):
            smoother.start_frame(DT)
            pose = turned if k >= 30 else bent()
            out = smoother.smooth(hand(pose, np.array([0, 0, 0.5])), MODEL)
        off[frames] = np.rad2deg(geodesic_angle(out.rotations[0], bent()[0]))
    assert off[1] < 20 and off[30] == pytest.approx(90, abs=2)


def test_what_the_network_is_unsure_of_counts_for_less() -> None:
    """Of two fingers that bend by as much, the one that it says it does not see bends less."""
    bent_now = bent().copy()
    for first in (1, 4):
        bent_now[first] = bent_now[first] @ matrix_from_axis_angle(np.array([0, 0, 0.06]))
    std = np.full(21, 3.0)
    std[5:9] = 20.0  # index
    smoother = HandSmoother(KALMAN)
    for pose in [bent()] * 20 + [bent_now]:
        smoother.start_frame(DT)
        out = smoother.smooth(replace(hand(pose, np.array([0, 0, 0.5])), keypoint_std_px=std), MODEL)
    index, middle = (geodesic_angle(out.rotations[k], bent()[k]) for k in (1, 4))
    assert index < 0.7 * middle


@EITHER
def test_after_a_reset_nothing_of_before_is_left(smoother) -> None:
    smoother = HandSmoother(SmoothConfig(1.5, smoother=smoother))
    for root in ([0.0, 0, 0.5], [0.3, 0.1, 0.8]):
        given = hand(bent(), np.array(root))
        smoother.reset()
        smoother.start_frame(DT)
        np.testing.assert_allclose(smoother.smooth(given, MODEL).joints_m, given.joints_m, atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_cutoff_hz": -1.0},
        {"min_cutoff_hz": 30.1},
        {"min_cutoff_hz": float("nan")},
        {"beta": -0.1},
        {"beta": float("inf")},
        {"smoother": "median"},
    ],
)
def test_values_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        SmoothConfig(**wrong)
