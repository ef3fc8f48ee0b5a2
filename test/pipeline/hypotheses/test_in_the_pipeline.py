"""The shipped weights and the shipped prior, from images to hypotheses."""

import cv2
import numpy as np
import pytest

from prehend.backends import BackendSettings, open_backend
from prehend.errors import ParameterError, WeightsMismatch
from prehend.pipeline.cameras import CameraFrame, load_cameras
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.hypotheses.follow import is_open
from prehend.pipeline.load import load_estimator
from prehend.pipeline.options import EstimatorOptions
from prehend.resources import resource
from prehend.rig.estimator import load_rig
from prehend.weights import load_bundle

COUNT = 3


@pytest.fixture(scope="module")
def picture():
    """Of the demo clip: hands with hidden joints."""
    frame = cv2.VideoCapture(str(resource("hands.mp4"))).read()[1]
    return cv2.cvtColor(cv2.resize(frame, (640, 480)), cv2.COLOR_BGR2RGB)


def test_an_image_gets_them_and_its_joints_stay_as_they_are(picture):
    with load_estimator(threads=1, tracking=False) as plain:
        before = plain.estimate(picture)
    with load_estimator(threads=1, tracking=False, hypotheses=COUNT) as estimator:
        estimator.warm_up()
        after = estimator.estimate(picture)
    assert after.hands and "hypotheses" in after.timing_ms and "hypotheses" not in before.timing_ms
    assert any(is_open(hand) for hand in after.hands)
    for old, new in zip(before.hands, after.hands, strict=True):
        assert np.array_equal(old.joints_m, new.joints_m) and old.hypotheses is None
        assert (new.hypotheses is not None) == is_open(new)
        if new.hypotheses is not None:
            assert np.isfinite(new.hypotheses.joints_m).all() and len(new.hypotheses.joints_m) == COUNT
            assert (np.linalg.eigvalsh(new.hypotheses.joint_covariance_m2[1:]) > 0).all()


def test_several_cameras_share_the_time(picture):
    options = EstimatorOptions(threads=1, hypotheses=COUNT, hypothesis_budget_ms=1000.0)
    cameras = load_cameras(["front", "left"], options)
    cameras.warm_up()
    for number in range(40):
        frames = {name: CameraFrame(picture, stamp=number / 30) for name in cameras.cameras}
        found = cameras.estimate(frames)
        if all(any(hand.hypotheses for hand in result.hands) for result in found.values()):
            break
    assert all(any(hand.hypotheses for hand in result.hands) for result in found.values())
    cameras.reset()
    cameras.close()


def test_where_nobody_asks_none_are_made_and_nothing_else_depends_on_them(picture):
    """They have covariances of their own: how sure a hand is in itself does not come from them."""
    with load_estimator(threads=1, hypotheses=COUNT, hypothesis_budget_ms=1000.0) as estimator:
        estimator.warm_up()
        asked = [estimator.estimate(picture, stamp=k / 30) for k in range(4)]
        estimator.reset()
        unasked = [estimator.estimate(picture, stamp=9 + k / 30, hypotheses=False) for k in range(4)]
        again = estimator.estimate(picture, stamp=9 + 4 / 30)
    assert all("hypotheses" in one.timing_ms for one in asked)
    assert not any("hypotheses" in one.timing_ms or hand.hypotheses for one in unasked for hand in one.hands)
    assert all(hand.hypotheses is not None for hand in asked[-1].hands if is_open(hand))
    for old, new in zip(asked[-1].hands, unasked[-1].hands, strict=True):
        for name in ("joints_m", "vertices_m", "rotations", "position_std_m", "joint_std_m", "validity"):
            np.testing.assert_array_equal(getattr(old, name), getattr(new, name), err_msg=name)
    steps = [[hand.hypotheses.steps for hand in one.hands if hand.hypotheses] for one in (asked[-1], again)]
    assert min(steps[0]) > 1 and set(steps[1]) == {1}, "they begin anew"


def test_a_camera_that_nobody_asks_about_leaves_its_time_to_others(picture):
    options = EstimatorOptions(threads=1, hypotheses=COUNT, hypothesis_budget_ms=1000.0)
    cameras = load_cameras(["front", "left"], options)
    cameras.warm_up()
    for number in range(4):
        frames = {name: CameraFrame(picture, stamp=number / 30, hypotheses=name == "front") for name in cameras.cameras}
        found = cameras.estimate(frames)
    assert any(hand.hypotheses for hand in found["front"].hands)
    assert not any(hand.hypotheses for hand in found["left"].hands)
    nobody = {name: CameraFrame(picture, stamp=4 / 30, hypotheses=False) for name in cameras.cameras}
    assert not any("hypotheses" in result.timing_ms for result in cameras.estimate(nobody).values())
    cameras.close()


def test_what_cannot_be_is_named():
    onnx = [open_backend("onnx", load_bundle(name), BackendSettings(threads=1)) for name in ("unihope-s", "palm")]
    with pytest.raises(ParameterError, match="option hypotheses needs a prior"):
        Estimator(*onnx, config=EstimatorOptions(hypotheses=COUNT))
    with pytest.raises(WeightsMismatch, match="'palm' are no prior"):
        Estimator(*onnx, config=EstimatorOptions(hypotheses=COUNT), prior=onnx[1])
    with pytest.raises(ParameterError, match="goes with no rig"):
        load_rig(["front", "left"], EstimatorOptions(hypotheses=COUNT))
    with load_estimator(threads=1) as estimator, pytest.raises(ParameterError, match="counts from the start"):
        estimator.change(EstimatorOptions(threads=1, hypotheses=COUNT))
