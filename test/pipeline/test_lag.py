"""Results that wait for later images, of an estimator whose answers tremble about a known truth."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import ParameterError
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.io.frames import Frame
from prehend.io.results.prediction_records import frame_record, frame_result
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.lag import FASTEST_HZ, FixedLag
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.smoothing.held import wrist_pose

HZ = 30.0


@pytest.fixture
def play(oracle, finder, brick, camera, image):
    """play(scenes, lag_s, stamps, **options): what comes out, with what image it came, and what still waited."""

    def run(scenes, lag_s=0.0, stamps=None, **options):
        options = EstimatorOptions(smooth_min_cutoff_hz=1.5, smoother="kalman", temporal_lag_s=lag_s, **options)
        estimator = Estimator(oracle, finder, config=options, object_model=brick)
        lag = FixedLag(options, estimator.hand_models) if lag_s else None
        told, came, most = [], [], 0
        for k, scene in enumerate(scenes):
            oracle.scene = scene
            result = estimator.estimate(image, camera, stamp=50 + k / HZ if stamps is None else stamps[k])
            out = [(k, result)] if lag is None else lag.add(k, result)
            told, came = told + out, came + [k] * len(out)
            most = max(most, 0 if lag is None else len(lag))
        return (told if lag is None else told + lag.flush()), came, most

    return run


@pytest.fixture
def trembling(new_hand):
    """A hand that waves, as it is and as it is seen."""
    rng, still, frames = np.random.default_rng(0), new_hand("right", x=0.0, grasp=True), 45
    waved, seen = [], []
    for k in range(frames):
        turn = np.tile(np.eye(3), (16, 1, 1))
        turn[0] = matrix_from_axis_angle(np.array([0, 0, 0.3 * np.sin(k / 8)]))
        truth = replace(still, rotations=turn @ still.rotations)
        noise = matrix_from_axis_angle(rng.normal(0, 0.06, (16, 3)))
        waved.append(truth)
        seen.append(replace(truth, rotations=truth.rotations @ noise))
    return waved, seen


def test_every_result_comes_once_in_order_with_its_image_once_the_lag_is_over(play, new_hand) -> None:
    hand = new_hand("right", x=0.0)
    told, came, most = play([[hand]] * 20, lag_s=0.1)
    assert [k for k, _ in told] == list(range(20))
    assert came == list(range(3, 20)) and most == 3, "0.1 s are three images at 30 Hz"
    assert [round(result.lag_s * HZ) for _, result in told] == [3] * 17 + [2, 1, 0]
    assert [result.stamp for _, result in told] == [50 + k / HZ for k in range(20)]


def test_numbers_sides_grasps_and_events_are_those_that_are_told_at_once(play, new_hand) -> None:
    left, right = new_hand("left", x=-0.13, seed=1, grasp=True), new_hand("right", x=0.13, seed=2)
    scenes = [[left]] * 8 + [[left, right]] * 10 + [[right]] * 6 + [[left, right]] * 8 + [[]] * 20
    for lost in ("drop", "hold"):
        at_once, _, _ = play(scenes, lost=lost)
        later, _, _ = play(scenes, lag_s=0.2, lost=lost)
        for (_, one), (_, other) in zip(at_once, later, strict=True):
            told = [[(hand.track_id, hand.side, hand.state, hand.grasp, hand.is_operator) for hand in result.hands]
                    for result in (one, other)]  # fmt: skip
            assert told[0] == told[1] and one.events == other.events and one.lost == other.lost
            assert all(np.array_equal(a.validity, b.validity) for a, b in zip(one.hands, other.hands, strict=True))


def test_hands_are_steadier_and_nearer_to_the_truth_than_at_once(play, trembling) -> None:
    waved, seen = trembling
    off, jitter = [], []
    for lag_s in (0.0, 0.1, 0.2):
        told, _, _ = play([[hand] for hand in seen], lag_s=lag_s)
        joints = np.array([result.hands[0].joints_m - result.hands[0].joints_m[0] for _, result in told])
        truth = np.array([hand.joints - hand.joints[0] for hand in waved])
        off.append(np.linalg.norm(joints - truth, axis=-1)[8:-8].mean())
        jitter.append(np.linalg.norm(np.diff(joints - truth, 2, axis=0), axis=-1)[8:-8].mean())
    assert off[1] < 0.9 * off[0] and jitter[1] < 0.8 * jitter[0] and jitter[2] < 1.05 * jitter[1]


def test_what_is_held_moves_with_the_wrist(oracle, finder, brick, camera, image, trembling) -> None:
    options = EstimatorOptions(smooth_min_cutoff_hz=1.5, temporal_lag_s=0.1)
    estimator, before, told = Estimator(oracle, finder, config=options, object_model=brick), [], []
    lag = FixedLag(options, estimator.hand_models)
    for k, hand in enumerate(trembling[1]):
        oracle.scene = [hand]
        before.append(estimator.estimate(image, camera, stamp=50 + k / HZ))
        told += lag.add(k, before[-1])
    checked = 0
    for k, result in told:
        (was,), (now,) = before[k].hands, result.hands
        if was.held_object is not None and was.held_object.T_camera_object is not None:
            grips = [
                np.linalg.inv(wrist_pose(one.rotations, one.joints_m)) @ one.held_object.T_camera_object
                for one in (was, now)
            ]
            np.testing.assert_allclose(grips[0], grips[1], atol=1e-6)
            checked += np.abs(was.held_object.T_camera_object - now.held_object.T_camera_object).max() > 1e-3
    assert checked > 20


def test_a_hand_that_rests_stays_where_it_is(play, new_hand) -> None:
    hand = new_hand("left", x=0.05)
    at_once, later = (play([[hand]] * 15, lag_s=lag_s)[0] for lag_s in (0.0, 0.2))
    for (_, one), (_, other) in zip(at_once, later, strict=True):
        np.testing.assert_allclose(one.hands[0].joints_m, other.hands[0].joints_m, atol=1e-4)
        np.testing.assert_allclose(one.hands[0].vertices_m, other.hands[0].vertices_m, atol=1e-4)


def test_nothing_of_before_a_jump_or_of_another_hand_gets_in(play, new_hand) -> None:
    here, there = new_hand("right", x=-0.12, seed=1), new_hand("right", x=0.12, seed=2)
    stamps = [50 + k / HZ for k in range(10)] + [10 + k / HZ for k in range(10)]
    told, came, _ = play([[here]] * 10 + [[there]] * 10, 0.2, stamps)
    assert [k for k, _ in told] == list(range(20)) and came[9] == 10, "the jump lets out what waited"
    alone, _, _ = play([[there]] * 10, 0.2, stamps[10:])
    for (_, one), (_, other) in zip(told[10:], alone, strict=True):
        np.testing.assert_allclose(one.hands[0].joints_m, other.hands[0].joints_m, atol=1e-9)


@pytest.mark.parametrize("back_s", [0.3, 0.1])
def test_a_short_jump_back_lets_out_what_waited_too(play, new_hand, back_s) -> None:
    """More than two images: no images that were swapped, but a bag that was set back."""
    stamps = [50 + k / HZ for k in range(10)] + [50 + (9 + k) / HZ - back_s for k in range(12)]
    told, came, most = play([[new_hand("right", x=0.0)]] * 22, 0.2, stamps)
    assert [k for k, _ in told] == list(range(22)) and came[9] == 10 and most <= 7
    assert [round(result.lag_s * HZ) for _, result in told[10:]] == [6] * 6 + [5, 4, 3, 2, 1, 0]


def test_time_that_stands_still_and_swapped_images_let_no_images_pile_up(play, new_hand) -> None:
    hand = new_hand("right", x=0.0)
    told, _, most = play([[hand]] * 60, 0.1, [50.0] * 60)
    assert len(told) == 60 and most <= 0.1 * FASTEST_HZ + 1
    swapped = [50 + k / HZ for k in (0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10)]
    told, _, most = play([[hand]] * 12, 0.1, swapped)
    assert [result.stamp for _, result in told] == swapped and most <= 5
    assert len({hand.track_id for _, result in told for hand in result.hands}) == 1


def test_the_lag_is_told_in_json_and_off_nothing_is_added(play, new_hand, image) -> None:
    hand = new_hand("right", x=0.0)
    (_, held), (_, at_once) = (play([[hand]] * 8, lag_s=lag_s)[0][2] for lag_s in (0.1, 0.0))
    record = frame_record(Frame(image, "clip", 2, held.stamp), held)
    assert record["lag_s"] == pytest.approx(0.1, abs=1e-6) and frame_result(record).lag_s == record["lag_s"]
    record = frame_record(Frame(image, "clip", 2, held.stamp), at_once)
    assert "lag_s" not in record and frame_result(record).lag_s == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"temporal_lag_s": 0.1},
        {"temporal_lag_s": 0.1, "smooth_min_cutoff_hz": 1.5, "tracking": False},
        {"temporal_lag_s": -0.1, "smooth_min_cutoff_hz": 1.5},
        {"temporal_lag_s": 3.0, "smooth_min_cutoff_hz": 1.5},
        {"temporal_lag_s": float("nan"), "smooth_min_cutoff_hz": 1.5},
    ],
)
def test_what_contradicts_is_named_with_the_way_out(wrong) -> None:
    with pytest.raises(ParameterError, match="temporal_lag_s"):
        EstimatorOptions(**wrong)
