"""What several frames add, measured on answers whose errors are known."""

from dataclasses import replace

import numpy as np
import pytest
from fake import fake_film, write_fake
from scipy.spatial.transform import Rotation

from prehend.backends import open_backend
from prehend.errors import AssetError
from prehend.hand_model import load_hand_model
from prehend.weights import load_bundle
from prehend_training.evaluate.films.fused import (
    _acceleration,
    _by_hidden,
    _delay_ms,
    _kalman,
    _smoothed,
    _summary,
    compared,
    evaluate_fused,
    evaluate_steady,
    joints_of,
)
from prehend_training.fusion.answers import HandAnswers

RATE_HZ, FRAMES = 30.0, 12


def turned(radians):
    """(N, 3, 3) about a slanted axis."""
    return Rotation.from_rotvec(np.outer(radians, [0.6, 0.0, 0.8])).as_matrix()


def made(speed_rad_s=1.0, hands=2, seed=0):
    """Hands that turn evenly before a camera in crops that lie anyhow; what is said is the truth."""
    rng = np.random.default_rng(seed)
    count = hands * FRAMES
    times = np.tile(np.arange(FRAMES) / RATE_HZ, hands)
    fingers = np.tile(Rotation.from_rotvec(rng.normal(0, 0.2, (15, 3))).as_matrix(), (count, 1, 1, 1))
    to_camera = Rotation.random(count, rng).as_matrix()
    whole = np.swapaxes(to_camera, 1, 2) @ turned(speed_rad_s * times)
    rotations = np.concatenate([whole[:, None], fingers], 1)
    betas = np.tile(rng.normal(0, 0.5, 10), (count, 1))
    shown = np.ones((count, 6))
    return HandAnswers(
        {
            "rotations": rotations, "betas": betas, "true_rotations": rotations, "true_betas": betas,
            "true_joints": joints_of((rotations, betas)), "true_part_shown": shown, "true_has_parts": np.ones(count),
            "keypoint_log_std": np.full((count, 21), np.log(0.02)), "R_camera_crop": to_camera, "time_s": times,
            "film": np.repeat(np.arange(hands), FRAMES), "side": np.ones(count, np.int64),
        }
    )  # fmt: skip


def pose_of(answers):
    return answers.arrays["rotations"].copy(), answers.arrays["betas"].copy()


def test_joints_are_about_the_wrist_and_turn_with_the_hand():
    answers = made()
    rotations, betas = pose_of(answers)
    joints = joints_of((rotations, betas))
    np.testing.assert_allclose(joints[:, 0], 0, atol=1e-7)
    turn = turned(np.full(len(answers), 0.7))
    rotations[:, 0] = turn @ rotations[:, 0]
    np.testing.assert_allclose(joints_of((rotations, betas)), joints @ np.swapaxes(turn, 1, 2), atol=1e-6)
    assert len(joints) < 256
    many = (np.tile(rotations[:1], (260, 1, 1, 1)), np.tile(betas[:1], (260, 1)))
    np.testing.assert_allclose(np.ptp(joints_of(many), axis=0), 0, atol=1e-7)  # over the border of a batch


def test_the_truth_has_no_errors():
    answers = made()
    told = _summary(answers, pose_of(answers))
    by_hidden = told.pop("finger_joint_error_by_hidden")
    assert max(told.values()) < 1e-3
    assert by_hidden["0%-25%"] == {"fingers": 5 * len(answers), "joint_error_mm": pytest.approx(0, abs=1e-4)}


def test_a_turn_that_is_always_wrong_is_an_angle_and_goes_with_the_alignment():
    answers = made()
    rotations, betas = pose_of(answers)
    rotations[:, 0] = rotations[:, 0] @ turned(np.full(len(answers), 0.2))
    told = _summary(answers, (rotations, betas))
    assert told["rotation_error_deg"] == pytest.approx(np.degrees(0.2), abs=1e-3)
    assert told["joint_error_mm"] > 5 and told["aligned_joint_error_mm"] < 1e-3


def test_errors_do_not_depend_on_how_the_crops_lie():
    """The same answers in other crops: errors and second differences stay."""
    answers = made()
    rotations, betas = pose_of(answers)
    rng = np.random.default_rng(5)
    rotations[:, 0] = rotations[:, 0] @ turned(rng.normal(0, 0.1, len(answers)))
    first = _summary(answers, (rotations, betas))
    other = Rotation.random(len(answers), rng).as_matrix()
    arrays = dict(answers.arrays)
    arrays["R_camera_crop"] = arrays["R_camera_crop"] @ np.swapaxes(other, 1, 2)
    arrays["true_joints"] = arrays["true_joints"] @ np.swapaxes(other, 1, 2)
    whole = arrays["true_rotations"].copy()
    whole[:, 0] = other @ whole[:, 0]
    arrays["true_rotations"] = whole
    rotations[:, 0] = other @ rotations[:, 0]
    second = _summary(HandAnswers(arrays), (rotations, betas))
    for name in ("joint_error_mm", "aligned_joint_error_mm", "rotation_error_deg", "acceleration_error_mm_s2"):
        assert second[name] == pytest.approx(first[name], rel=1e-3), name


def test_acceleration_is_the_second_difference_over_time_squared():
    answers = made(hands=1)
    truth = answers.arrays["true_joints"]
    to_crop = answers.arrays["R_camera_crop"]
    way = 0.5 * 2.0 * answers.arrays["time_s"] ** 2  # 2 m/s2 to the right of the camera
    moved = truth + (way[:, None, None] * np.array([[[1.0, 0, 0]]])) @ to_crop
    assert _acceleration(answers, moved, truth) == pytest.approx(2000, rel=1e-6)
    steady = truth + (answers.arrays["time_s"][:, None, None] * np.array([[[1.0, 0, 0]]])) @ to_crop
    assert _acceleration(answers, steady, truth) == pytest.approx(0, abs=1e-6)
    two = HandAnswers({name: value[:2] for name, value in answers.arrays.items()})
    assert _acceleration(two, moved[:2], truth[:2]) is None


def test_frames_that_are_not_evenly_apart_tell_no_acceleration():
    answers = made(hands=1)
    arrays = dict(answers.arrays)
    arrays["time_s"] = np.cumsum(np.arange(FRAMES) + 1.0)
    truth = arrays["true_joints"]
    assert _acceleration(HandAnswers(arrays), truth + 0.1, truth) is None


def test_fingers_stand_in_the_bin_of_what_is_hidden_of_them():
    answers = made(hands=1)
    arrays = dict(answers.arrays)
    shown = np.ones((FRAMES, 6))
    shown[:, 0], shown[:, 1], shown[:, 2], shown[:, 3] = 0.75, 0.5, 0.0, 0.1
    arrays["true_part_shown"] = shown
    errors = np.zeros((FRAMES, 21))
    errors[:, 1:5], errors[:, 5:9], errors[:, 9:13], errors[:, 13:17] = 1, 2, 3, 5
    told = _by_hidden(arrays, errors)
    assert [told[name]["fingers"] for name in told] == [FRAMES, FRAMES, FRAMES, 2 * FRAMES]
    assert [told[name]["joint_error_mm"] for name in told] == [0, 1, 2, 4]
    arrays["true_has_parts"] = np.zeros(FRAMES)
    assert all(group == {"fingers": 0, "joint_error_mm": None} for group in _by_hidden(arrays, errors).values())


def test_filters_leave_a_hand_that_holds_still_as_it_is():
    answers = made(speed_rad_s=0.0)
    pose = pose_of(answers)
    smooth = _smoothed(answers, pose)
    np.testing.assert_allclose(smooth[0], pose[0], atol=1e-6)
    np.testing.assert_allclose(smooth[1], pose[1], atol=1e-9)
    np.testing.assert_array_equal(pose[0], answers.arrays["rotations"])  # what is given stays
    steady = _kalman(answers, pose[0], 0.1)
    np.testing.assert_allclose(steady, pose[0], atol=1e-5)
    assert _delay_ms(answers, joints_of((steady, pose[1])) - answers.arrays["true_joints"]) is None


def test_a_filter_comes_later_than_what_it_filters_and_a_wait_takes_that_back():
    answers = made(speed_rad_s=2.0)
    rotations, betas = pose_of(answers)
    first = joints_of((rotations, betas))

    def delay(turns):
        return _delay_ms(answers, joints_of((turns, betas)) - first)

    assert delay(rotations) == 0
    assert delay(_smoothed(answers, (rotations, betas))[0]) > 1
    now, later = (delay(_kalman(answers, rotations, lag)) for lag in (0.0, 0.1))
    assert now > 0.5 and later < now


def test_hands_are_filtered_each_on_its_own():
    both = made(speed_rad_s=2.0)
    rotations, betas = pose_of(both)
    alone = HandAnswers({name: value[FRAMES:] for name, value in both.arrays.items()})
    for work in (lambda a, r: _smoothed(a, (r, betas[: len(r)]))[0], lambda a, r: _kalman(a, r, 0.05)):
        np.testing.assert_allclose(work(both, rotations)[FRAMES:], work(alone, rotations[FRAMES:]), atol=1e-9)
    order = np.random.default_rng(1).permutation(len(both))
    mixed = HandAnswers({name: value[order] for name, value in both.arrays.items()})
    np.testing.assert_allclose(_kalman(mixed, rotations[order], 0.1), _kalman(both, rotations, 0.1)[order], atol=1e-9)


def test_fused_is_compared_with_single_as_a_share():
    def report(error, hidden):
        return {"joint_error_mm": error, "rotation_error_deg": None, "finger_joint_error_by_hidden": {
            "0%-25%": {"fingers": 5, "joint_error_mm": hidden}, "25%-50%": {"fingers": 0, "joint_error_mm": None},
        }}  # fmt: skip

    told = compared({"single": report(10.0, 20.0), "fused": report(9.0, 25.0)})
    assert told == {"joint_error_mm": -0.1, "hidden 0%-25%": 0.25}


def test_the_hand_that_is_measured_has_no_arm():
    assert joints_of((np.tile(np.eye(3), (1, 16, 1, 1)), np.zeros((1, 10)))).shape == (1, 21, 3)
    assert load_hand_model().without_forearm().faces.max() < len(load_hand_model().v_template)


def test_films_without_a_hand_are_named(tmp_path):
    def empty(config):
        return lambda unit: (replace(one, hands=()) for one in fake_film(config.seed, unit, 2, config.size_px))

    write_fake(tmp_path, "sequences", 1, make=empty)
    backend = open_backend("onnx", load_bundle("unihope-s"), threads=1)
    for work in (lambda: evaluate_fused(backend, backend, [tmp_path]), lambda: evaluate_steady(backend, [tmp_path])):
        with pytest.raises(AssetError, match="no hand"):
            work()
