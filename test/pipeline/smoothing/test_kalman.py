"""The Kalman filter and its look back, against the textbook's matrices and by laws."""

import math

import numpy as np
import pytest

from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.pipeline.smoothing.kalman import CALM_S, FRAME_S, PAUSE_S, Dynamics, kalman, looked_back

DYNAMICS = Dynamics(3.0, 0.01)
STD = 0.01


def states_of(signal, dt=FRAME_S, std=STD, dynamics=DYNAMICS):
    states, state = [], None
    for measured in signal:
        state = kalman(state, measured, dt, dynamics, std)
        states.append(state)
    return states


def walk(seed: int, frames: int, groups: int = 4) -> np.ndarray:
    """A smooth way (T, G, 3)."""
    pushes = np.random.default_rng(seed).normal(0, 0.002, (frames, groups, 3))
    return np.cumsum(np.cumsum(pushes, 0) * 0.3, 0)


def textbook(signal: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """One coordinate, filtered and smoothed over all of it, by matrices of 2 x 2 (Rauch, Tung and Striebel)."""
    decay = math.exp(-dt / CALM_S)
    F, q = np.array([[1, CALM_S * (1 - decay)], [0, decay]]), float(DYNAMICS.drive(np.zeros((1, 3)))[0])
    Q, H = q * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]]), np.array([1.0, 0.0])
    x, P = np.array([signal[0], 0.0]), np.diag([STD**2, q * CALM_S / 2])
    kept = [(x, P, x, P)]
    for measured in signal[1:]:
        ahead, spread = F @ x, F @ P @ F.T + Q
        gain = spread @ H / (H @ spread @ H + STD**2)
        x, P = ahead + gain * (measured - H @ ahead), spread - np.outer(gain, H @ spread)
        kept.append((x, P, ahead, spread))
    smooth = [kept[-1][0]]
    for (x, P, _, _), (_, _, ahead, spread) in zip(kept[-2::-1], kept[:0:-1], strict=True):
        smooth.append(x + P @ F.T @ np.linalg.inv(spread) @ (smooth[-1] - ahead))
    return np.array([x[0] for x, *_ in kept]), np.array([x[0] for x in smooth[::-1]])


@pytest.mark.parametrize("hz", [10, 30])
def test_it_is_the_filter_and_the_smoother_of_the_textbook(hz) -> None:
    signal = walk(3, 30)[:, :1, :1] + np.random.default_rng(1).normal(0, 0.003, (30, 1, 1))
    states = states_of(signal, 1 / hz)
    filtered, smoothed = textbook(signal[:, 0, 0], 1 / hz)
    np.testing.assert_allclose([state.value[0, 0] for state in states], filtered, atol=1e-12)
    looked = [looked_back(states[k:])[0, 0] for k in range(30)]
    np.testing.assert_allclose(looked, smoothed, atol=1e-9)


def test_later_frames_bring_it_nearer_to_the_truth_the_more_of_them() -> None:
    truth = walk(0, 400)
    states = states_of(truth + np.random.default_rng(1).normal(0, STD, truth.shape))
    errors = []
    for ahead in (0, 1, 3):
        said = np.array([looked_back(states[k : k + ahead + 1]) for k in range(390)])
        errors.append(np.linalg.norm(said - truth[:390], axis=-1)[30:].mean())
    assert errors[0] > 1.1 * errors[1] > 1.1 * 1.02 * errors[2]


def test_no_later_frame_is_what_is_known_at_once_and_what_rests_stays() -> None:
    states = states_of(walk(2, 20))
    assert looked_back(states[-1:]) is states[-1].value
    still = np.tile(np.random.default_rng(0).normal(size=(4, 3)), (20, 1, 1))
    for k, state in enumerate(rest := states_of(still)):
        np.testing.assert_allclose(state.value, still[0], atol=1e-12)
        np.testing.assert_allclose(looked_back(rest[k:]), still[0], atol=1e-9)


def test_it_commutes_with_turns_shifts_and_scales() -> None:
    way = walk(4, 60)
    R, t = matrix_from_axis_angle(np.array([0.4, -1.0, 0.7])), np.array([3.0, -2.0, 1.0])
    here = states_of(way)
    there = states_of(2.5 * way @ R.T + t, std=2.5 * STD, dynamics=Dynamics(3.0, 0.025))
    np.testing.assert_allclose(there[-1].value, 2.5 * here[-1].value @ R.T + t, atol=1e-9)
    np.testing.assert_allclose(looked_back(there[50:]), 2.5 * looked_back(here[50:]) @ R.T + t, atol=1e-9)


def test_frame_rate_hardly_matters() -> None:
    def at(rate: int) -> np.ndarray:
        times = np.arange(2 * rate) / rate
        return states_of(0.1 * np.sin(4 * times)[:, None, None] * [[1.0, 0, 0]], 1 / rate)[-1].value

    np.testing.assert_allclose(at(30), at(120), atol=0.004)


def test_what_rests_is_held_stiller_than_what_moves() -> None:
    """The same noise, on points at rest and on points that go on at a hand length a second."""
    noise, dynamics = np.random.default_rng(7).normal(0, STD, (120, 4, 3)), Dynamics(2.0, STD, 1.0, 1.0)
    left = []
    for speed in (0.0, 1.0):
        way = speed * np.arange(120)[:, None, None] * FRAME_S * np.array([1.0, 0, 0])
        said = np.array([state.value for state in states_of(way + noise, dynamics=dynamics)])
        left.append(np.linalg.norm(np.diff(said, 2, axis=0)[40:], axis=-1).mean())
    assert left[0] < 0.8 * left[1]


def test_the_same_moment_twice_changes_nothing() -> None:
    state = states_of(walk(5, 5))[-1]
    assert kalman(state, state.value + 1, 0.0, DYNAMICS, STD) is state


def test_after_a_pause_it_begins_anew_and_what_came_then_tells_nothing_of_before() -> None:
    before = states_of(walk(6, 30))
    anew = kalman(before[-1], np.full((4, 3), 5.0), PAUSE_S + 0.1, DYNAMICS, STD)
    np.testing.assert_array_equal(anew.value, 5.0)
    np.testing.assert_array_equal(looked_back([*before[-3:], anew]), looked_back(before[-3:]))


def test_outliers_that_agree_are_followed_within_some_frames_and_one_alone_is_not() -> None:
    for frames, followed in ((1, False), (8, True)):
        signal = np.zeros((20 + frames, 1, 3))
        signal[20:] = 30 * STD
        assert (states_of(signal)[-1].value[0, 0] > 20 * STD) == followed
