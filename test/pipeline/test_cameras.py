"""Several cameras with one set of networks: each gets what an estimator of its own would give it."""

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest

from prehend.errors import InvalidInput, ParameterError, UnknownName
from prehend.pipeline.cameras import CameraFrame, CamerasEstimator, load_cameras
from prehend.pipeline.load import load_estimator
from prehend.pipeline.options import EstimatorOptions, changed
from prehend.resources import resource


class Counting:
    """A backend that counts calls and rows of each stage."""

    def __init__(self, backend):
        self._backend, self.calls = backend, Counter()

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def infer(self, stage, inputs):
        self.calls[stage] += 1
        return self._backend.infer(stage, inputs)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Images of the demo clip, 640 x 480."""
    clip, found = cv2.VideoCapture(str(resource("hands.mp4"))), []
    while len(found) < 8 and (frame := clip.read()[1]) is not None:
        found.append(cv2.cvtColor(cv2.resize(frame, (640, 480)), cv2.COLOR_BGR2RGB))
    return found


def test_each_camera_gets_what_it_would_get_alone(pictures):
    options = EstimatorOptions(threads=1)
    shifted = [np.ascontiguousarray(np.roll(image, 40, axis=1)) for image in pictures]
    with load_estimator(options) as first, load_estimator(options) as second:
        alone = [
            (first.estimate(a, stamp=k / 30), second.estimate(b, stamp=k / 30))
            for k, (a, b) in enumerate(zip(pictures, shifted, strict=True))
        ]
    several = load_cameras(["front", "left"], options)
    for k, (a, b) in enumerate(zip(pictures, shifted, strict=True)):
        found = several.estimate({"front": CameraFrame(a, stamp=k / 30), "left": CameraFrame(b, stamp=k / 30)})
        for name, expected in zip(("front", "left"), alone[k], strict=True):
            assert [hand.track_id for hand in found[name].hands] == [hand.track_id for hand in expected.hands]
            assert found[name].found == expected.found and found[name].events == expected.events
            for one, other in zip(found[name].hands, expected.hands, strict=True):
                assert one.side == other.side and np.abs(one.joints_m - other.joints_m).max() < 1e-4
    several.close()
    assert sum(len(result.hands) for pair in alone for result in pair) > 8


def test_crops_of_all_cameras_go_through_the_network_at_once(pictures):
    parts = load_cameras(["a"], EstimatorOptions(threads=1))
    backend = Counting(parts._backend)
    several = CamerasEstimator(["a", "b", "c"], backend, parts._detector._backend)
    for k, image in enumerate(pictures):
        backend.calls.clear()
        several.estimate({name: CameraFrame(image, stamp=k / 30) for name in "abc"})
        if k > 2:
            assert backend.calls["hand"] == 1 and backend.calls["encode"] <= 3, "once, for second looks and for sides"
    several.close()


def test_a_camera_without_an_image_and_one_of_another_size_are_no_matter_to_the_others(pictures):
    several = load_cameras(["a", "b"], EstimatorOptions(threads=1))
    small = cv2.resize(pictures[0], (320, 240))
    assert set(several.estimate({"a": CameraFrame(pictures[0], stamp=0.0)})) == {"a"}
    found = several.estimate({"a": CameraFrame(pictures[1], stamp=0.03), "b": CameraFrame(small, stamp=7.0)})
    assert (found["b"].camera.width, found["a"].camera.width) == (320, 640)
    assert [hand.track_id for hand in found["a"].hands] == [hand.track_id for hand in found["b"].hands]
    several.reset("a")
    again = several.estimate({"a": CameraFrame(pictures[1], stamp=0.06), "b": CameraFrame(small, stamp=7.03)})
    assert [hand.track_id for hand in again["b"].hands] == [hand.track_id for hand in found["b"].hands]
    assert not {hand.track_id for hand in again["a"].hands} & {hand.track_id for hand in found["a"].hands}
    with pytest.raises(UnknownName, match="a, b"):
        several.estimate({"c": CameraFrame(small)})
    with pytest.raises(InvalidInput):
        several.estimate({"a": CameraFrame(pictures[0], replace(found["b"].camera, height=100))})
    several.close()


def test_options_that_may_change_do_for_all_cameras(pictures):
    options = EstimatorOptions(threads=1)
    several = load_cameras(["a", "b"], options)
    frames = [{name: CameraFrame(image, stamp=k / 30) for name in "ab"} for k, image in enumerate(pictures[:4])]
    assert all(len(result.hands) == 2 for result in several.estimate(frames[0]).values())
    several.change(changed(options, max_hands=1))
    several.estimate(frames[1])
    assert all(len(result.hands) == 1 for result in several.estimate(frames[2]).values())
    with pytest.raises(ParameterError, match="counts from the start"):
        several.change(changed(options, fov_deg=70.0))
    several.close()


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_names_are_needed(names, oracle, finder):
    with pytest.raises(ParameterError, match="name of its own"):
        CamerasEstimator(names, oracle, finder)


def test_looks_beside_are_answered_later_for_each_camera(pictures):
    options = EstimatorOptions(threads=1, detector_beside=True, find_interval_s=0.1)
    several = load_cameras(["front", "left"], options)
    looks = {"front": 0, "left": 0}
    for k in range(400):
        image = pictures[k % len(pictures)]
        found = several.estimate({name: CameraFrame(image, stamp=k / 30) for name in looks})
        assert all(len(result.hands) > 0 for result in found.values())
        looks = {name: count + found[name].found for name, count in looks.items()}
        if min(looks.values()) > 1:  # the first is waited for
            break
    several.close()
    assert min(looks.values()) > 1
