"""One frame written and read: what comes back is what went in, up to the decimals."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput
from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle, matrix_from_quaternion
from prehend.io.frames import Frame
from prehend.io.results.hypothesis_records import hypotheses_of, hypotheses_record
from prehend.io.results.prediction_records import event_record, frame_record, frame_result
from prehend.types import Camera, HandEvent, HandHypotheses, HandMotion

few = settings(max_examples=25, deadline=None, derandomize=True)
PICTURE = np.zeros((48, 64, 3), np.uint8)
FULL = {
    "visible": np.arange(21) % 3 > 0,
    "keypoint_std_px": np.linspace(0.5, 4, 21),
    "joint_std_m": np.linspace(0.001, 0.02, 21),
    "validity": (np.arange(21) % 3).astype(np.uint8),
    "motion": HandMotion(np.arange(63.0).reshape(21, 3) / 10, np.array([0.1, -2.0, 0.3])),
    "side_score": 0.875,
    "state": "coasting",
    "is_operator": True,
    "fit_error_px": 1.25,
    "position_std_m": 0.031,
}


def there_and_back(result, mesh=False, version=2):
    record = json.loads(
        json.dumps(frame_record(Frame(PICTURE, "a.png", 3, 1.5), result, version, mesh), allow_nan=False)
    )
    return frame_result(record), record


def same(one, other, decimals):
    np.testing.assert_allclose(one, other, atol=0.51 * 10.0**-decimals)


@pytest.mark.parametrize("mesh", [False, True])
def test_a_whole_hand_comes_back(make_result, mesh):
    result = make_result(64, 48, {"side": "left", **FULL}, holds=True)
    (hand,), (read,) = result.hands, there_and_back(result, mesh)[0].hands
    for name in ("track_id", "side", "side_score", "state", "is_operator", "fit_error_px", "position_std_m"):
        assert getattr(read, name) == getattr(hand, name), name
    for name, decimals in (
        ("joints_m", 5), ("keypoints_px", 2), ("rotations", 6), ("betas", 4), ("keypoint_std_px", 2),
        ("joint_std_m", 5),
    ):  # fmt: skip
        same(getattr(read, name), getattr(hand, name), decimals)
    np.testing.assert_array_equal(read.visible, hand.visible)
    np.testing.assert_array_equal(read.validity, hand.validity)
    same(read.motion.joints_m_s, hand.motion.joints_m_s, 5)
    same(read.held_object.T_camera_object, hand.held_object.T_camera_object, 5)
    assert len(read.vertices_m) == (len(hand.vertices_m) if mesh else 0)


def test_writing_what_was_read_writes_the_same_again(make_result):
    result = make_result(64, 48, {**FULL}, {"side": "left", "wrist_m": (0.1, 0, 0.5)}, holds=False)
    read, record = there_and_back(result)
    assert there_and_back(read)[1] == record


@pytest.mark.parametrize("seed", range(4))
def test_the_wrists_quaternion_is_its_rotation(make_result, seed):
    rotations = matrix_from_axis_angle(np.random.default_rng(seed).normal(0, 1.5, (16, 3)))
    _, record = there_and_back(make_result(64, 48, {"rotations": rotations}))
    wrist = record["hands"][0]["wrist"]
    assert geodesic_angle(matrix_from_quaternion(np.array(wrist["quaternion_xyzw"])), rotations[0]) < 1e-5
    assert wrist["position_m"] == record["hands"][0]["joints_m"][0] and wrist["quaternion_xyzw"][3] >= 0


@pytest.mark.parametrize("model", ["plumb_bob", "rational_polynomial", "equidistant"])
def test_the_camera_comes_back_with_its_distortion(make_result, model):
    count = {"plumb_bob": 5, "rational_polynomial": 8, "equidistant": 4}[model]
    K = np.array([[61.25, 0, 30.5], [0, 60.75, 22.25], [0, 0, 1]])
    camera = Camera(K, 64, 48, np.linspace(-0.1, 0.1, count), model, True)
    read = there_and_back(replace(make_result(64, 48), camera=camera))[0].camera
    for field in fields(Camera):
        np.testing.assert_array_equal(getattr(read, field.name), getattr(camera, field.name))


def test_numbers_that_are_none_are_null_and_nan_again(make_result):
    unknown = {
        "joints_m": np.full((21, 3), np.nan), "keypoints_px": np.full((21, 2), np.inf), "score": float("nan"),
        "position_std_m": float("inf"),
    }  # fmt: skip
    read, record = there_and_back(make_result(64, 48, unknown))
    assert record["hands"][0]["score"] is None and record["hands"][0]["joints_m"][3] == [None] * 3
    assert (
        np.isnan(read.hands[0].joints_m).all() and np.isnan([read.hands[0].score, read.hands[0].position_std_m]).all()
    )


def test_a_hand_whose_turn_is_unknown_can_be_written(make_result):
    """Schema 1 has no rotations: what is read of it can be written as schema 2, as `prehend eval` does."""
    read, _ = there_and_back(make_result(64, 48, {}, holds=True), version=1)
    assert np.isnan(read.hands[0].rotations).all()
    again, record = there_and_back(read)
    assert record["hands"][0]["wrist"]["quaternion_xyzw"] == [None] * 4 and np.isnan(again.hands[0].rotations).all()


@few
@given(
    st.sampled_from(["found", "lost", "regained", "left_view", "grasped", "released", "object_changed"]),
    st.one_of(st.none(), st.floats(0, 1e6)), st.floats(0, 10), st.one_of(st.just(float("nan")), st.floats(0, 1)),
)  # fmt: skip
def test_events_come_back(kind, stamp, late_s, confidence):
    event = HandEvent(kind, 7, "left", stamp, late_s, confidence, "mug")
    record = {"K": np.diag([50.0, 50, 1]).tolist(), "estimated": False}
    frame = {"camera": record, "width": 64, "height": 48, "hands": [], "events": [event_record(event)]}
    (read,) = frame_result(frame).events
    assert (read.kind, read.track_id, read.side, read.object_id) == (kind, 7, "left", "mug")
    assert read.stamp is stamp is None or read.stamp == pytest.approx(stamp, abs=1e-8)
    np.testing.assert_allclose(read.confidence, confidence, atol=1e-4)


@pytest.mark.parametrize("count", [1, 8])
def test_hypotheses_come_back_with_whole_covariances(count):
    rng = np.random.default_rng(count)
    roots = rng.normal(0, 0.01, (21, 3, 3))
    given_hands = HandHypotheses(
        rng.normal(0, 0.1, (count, 21, 3)), matrix_from_axis_angle(rng.normal(0, 1, (count, 16, 3))),
        roots @ roots.transpose(0, 2, 1), count - 1, 4,
    )  # fmt: skip
    read = hypotheses_of(json.loads(json.dumps(hypotheses_record(given_hands))))
    same(read.joints_m, given_hands.joints_m, 5)
    same(read.rotations, given_hands.rotations, 5)
    same(read.joint_covariance_m2, given_hands.joint_covariance_m2, 10)
    np.testing.assert_array_equal(read.joint_covariance_m2, read.joint_covariance_m2.transpose(0, 2, 1))
    assert (read.consistent, read.steps) == (count - 1, 4)


@pytest.mark.parametrize(
    ("key", "value"),
    [("side", "up"), ("side", None), ("keypoints_px", [[1, 2]]), ("visible", [True]), ("grasp", {"state": "maybe"}),
     ("hypotheses", {}), ("validity", [300] * 21), ("box_px", [1, 2, 3]), ("track_id", float("inf"))],
)  # fmt: skip
def test_a_hand_that_is_none_says_so(make_result, key, value):
    _, record = there_and_back(make_result(64, 48, {}))
    record["hands"][0][key] = value
    with pytest.raises(InvalidInput, match="no frame of a predictions file"):
        frame_result(record)
