import numpy as np
import pytest

from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle
from prehend.object_catalogue import ObjectModel, Symmetry
from prehend.pipeline.smoothing.held import FORGET_S, HeldSmoother, nearest_turn
from prehend.pipeline.smoothing.smooth import SmoothConfig

HZ = 30
THING = ObjectModel("thing", "a thing", np.array([0.06, 0.08, 0.2]), np.array([0.01, 0.0, 0.03]))


def pose(axis_angle, place) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = matrix_from_axis_angle(np.asarray(axis_angle, float)), place
    return T


def hand_at(k: int) -> np.ndarray:
    """A hand that waves and turns."""
    t = k / HZ
    return pose([0.5 * np.sin(t), t, 0.2], [0.2 * np.sin(2 * t), 0.1 * np.cos(t), 0.6])


GRIP = pose([0.3, -1.0, 0.4], [-0.08, 0.02, 0.01])


def run(config: SmoothConfig, poses, hands, model: ObjectModel = THING) -> list[np.ndarray]:
    smoother, out = HeldSmoother(config), []
    for T, hand in zip(poses, hands, strict=True):
        smoother.start_frame(1 / HZ)
        out.append(smoother.smooth(T, hand, hand, model))
    return out


def noisy(rng, T: np.ndarray, degrees: float = 4.0, metres: float = 0.008) -> np.ndarray:
    error = pose(rng.normal(0, np.radians(degrees), 3), rng.normal(0, metres, 3))
    return np.concatenate([np.column_stack([error[:3, :3] @ T[:3, :3], T[:3, 3] + error[:3, 3]]), T[3:]])


def test_a_thing_held_still_in_a_hand_that_moves_is_followed_without_delay() -> None:
    hands = [hand_at(k) for k in range(60)]
    for got, hand in zip(run(SmoothConfig(1.5), [hand @ GRIP for hand in hands], hands), hands, strict=True):
        np.testing.assert_allclose(got, hand @ GRIP, atol=1e-6)


def test_errors_of_the_pose_are_averaged() -> None:
    rng = np.random.default_rng(0)
    hands = [hand_at(k) for k in range(150)]
    truth = [hand @ GRIP for hand in hands]
    measured = [noisy(rng, T) for T in truth]
    smooth = run(SmoothConfig(1.5), measured, hands)
    errors = [
        [np.degrees(geodesic_angle(got[:3, :3], T[:3, :3])) for got, T in zip(some[20:], truth[20:], strict=True)]
        for some in (measured, smooth)
    ]
    assert np.mean(errors[1]) < 0.5 * np.mean(errors[0])
    places = [np.linalg.norm(got[:3, 3] - T[:3, 3]) for got, T in zip(smooth[20:], truth[20:], strict=True)]
    assert np.mean(places) < 0.5 * 0.008 * np.sqrt(3)


def test_it_goes_with_the_hand_as_it_is_shown() -> None:
    smoother = HeldSmoother(SmoothConfig(1.5))
    measured, shown = hand_at(0), hand_at(9)
    np.testing.assert_allclose(smoother.smooth(measured @ GRIP, measured, shown, THING), shown @ GRIP, atol=1e-6)


def test_off_it_hands_everything_through() -> None:
    rng = np.random.default_rng(0)
    poses = [noisy(rng, GRIP) for _ in range(5)]
    for got, T in zip(run(SmoothConfig(0.0), poses, [hand_at(k) for k in range(5)]), poses, strict=True):
        np.testing.assert_array_equal(got, T)


def test_let_go_or_long_unseen_it_begins_anew() -> None:
    smoother, hand = HeldSmoother(SmoothConfig(0.5)), hand_at(0)
    other = pose([2.0, 0, 0], [0.05, 0, 0])
    smoother.smooth(hand @ GRIP, hand, hand, THING)
    smoother.start_frame(1 / HZ)
    assert np.abs(smoother.smooth(hand @ other, hand, hand, THING) - hand @ other).max() > 0.1
    smoother.start_frame(FORGET_S + 0.1)
    np.testing.assert_allclose(smoother.smooth(hand @ other, hand, hand, THING), hand @ other, atol=1e-9)
    smoother.start_frame(1 / HZ)
    smoother.reset()
    np.testing.assert_allclose(smoother.smooth(hand @ GRIP, hand, hand, THING), hand @ GRIP, atol=1e-9)


SYMMETRIES = [Symmetry(("x",)), Symmetry(("z",)), Symmetry(("x", "y", "z")), Symmetry((), "z"), Symmetry(("x",), "z")]


@pytest.mark.parametrize("symmetry", [*SYMMETRIES, Symmetry((), "x"), Symmetry((), "y")])
def test_poses_that_look_the_same_do_not_pull_at_each_other(symmetry: Symmetry) -> None:
    rng = np.random.default_rng(1)
    half = {"x": np.diag([1.0, -1, -1]), "y": np.diag([-1.0, 1, -1]), "z": np.diag([-1.0, -1, 1])}
    model = ObjectModel("thing", "a thing", THING.extents_m, THING.center_m, symmetry)
    poses = []
    for _ in range(40):
        turn = half[str(rng.choice(symmetry.half_turns))] if symmetry.half_turns and rng.random() < 0.5 else np.eye(3)
        if symmetry.continuous is not None:
            turn = turn @ matrix_from_axis_angle(rng.uniform(-3, 3) * np.eye(3)["xyz".index(symmetry.continuous)])
        T = GRIP.copy()
        T[:3, :3] = GRIP[:3, :3] @ turn
        T[:3, 3] = GRIP[:3, :3] @ model.center_m + GRIP[:3, 3] - T[:3, :3] @ model.center_m
        poses.append(T)
    for got in run(SmoothConfig(1.0), poses, [np.eye(4)] * 40, model):
        np.testing.assert_allclose(got, poses[0], atol=1e-6)


def test_of_a_thing_without_symmetry_the_pose_is_the_pose() -> None:
    R = matrix_from_axis_angle(np.array([0.1, 3.0, 0.2]))
    np.testing.assert_array_equal(nearest_turn(R, np.eye(3), Symmetry()), R)
