"""camera_info as a stream, without a node."""

import threading
import time

import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.ros.conversion import convert, images
from prehend.ros.inputs.calibration import Calibration
from prehend.types import Camera

SIZE = (64, 48)
K = np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]])


def info(focal: float = 60.0, stamp_s: float = 0.0, K=K, size=SIZE, frame="cam"):
    K = np.array(K, float)
    K[:2, :2] *= focal / 60
    message = images.camera_message(convert.header_message(stamp_s, frame), Camera(np.eye(3), *size), *size)
    message.k, message.p = K.ravel(), np.hstack([K, np.zeros((3, 1))]).ravel()
    return message


@pytest.fixture
def stream() -> Calibration:
    return Calibration(fov_deg=60.0, timeout_s=5.0, rectified=False)


def focal(camera: Camera | None) -> float:
    assert camera is not None and not camera.estimated
    return float(camera.K[0, 0])


def test_each_image_gets_the_camera_of_its_stamp_or_the_newest_before(stream):
    for stamp in (3.0, 1.0, 2.0):  # in whatever order they come
        stream.update(info(50 + stamp, stamp))
    for stamp, wanted in ((1.0, 51), (2.0, 52), (2.5, 52), (3.0, 53), (9.0, 53)):
        assert focal(stream.camera(*SIZE, 0.0, stamp)) == wanted
    assert focal(stream.camera(*SIZE, 0.0, 0.5)) == 51, "older than all: the first after"
    assert focal(stream.camera(*SIZE, 0.0, None)) == 52, "without a stamp: what came last"


def test_sizes_that_change_find_their_own_calibration(stream):
    stream.update(info(60, 1.0))
    stream.update(info(90, 2.0, size=(128, 96)))
    assert focal(stream.camera(*SIZE, 0.0, 3.0)) == 60
    assert focal(stream.camera(128, 96, 0.0, 3.0)) == 90
    with pytest.raises(InvalidInput, match="128 x 96"):
        stream.camera(320, 240, 0.0, 3.0)


@pytest.mark.parametrize("without", [info(0.0, 2.0), info(60, 2.0, K=np.ones((3, 3)))])
def test_zeros_and_nonsense_do_not_displace_a_calibration_at_once(stream, without):
    stream.update(info(60, 1.0), now_s=100.0)
    stream.update(without, now_s=101.0)
    assert focal(stream.camera(*SIZE, 101.1, 2.0)) == 60
    assert stream.reason == "" and "camera_info" in stream.note
    assert stream.camera(*SIZE, 107.0, 3.0).estimated, "but when no other comes for seconds"
    assert "camera_info" in stream.reason
    stream.update(info(70, 4.0), now_s=108.0)
    assert focal(stream.camera(*SIZE, 108.0, 4.0)) == 70
    assert (stream.reason, stream.note) == ("", "")


def test_zeros_for_another_size_are_no_misfit(stream):
    stream.update(info(60, 1.0, size=(128, 96)))
    stream.update(info(0.0, 2.0))
    assert stream.camera(*SIZE, 0.0, 2.0).estimated
    assert "not calibrated" in stream.reason


def test_zeros_before_the_first_are_not_yet(stream):
    stream.update(info(0.0))
    assert stream.camera(*SIZE, 0.0).estimated
    assert "not calibrated" in stream.reason
    stream.update(info(60))
    assert focal(stream.camera(*SIZE, 0.1)) == 60


@pytest.mark.parametrize(
    "wrong",
    [
        K.T,
        [[1, 1, 32], [1, 1, 24], [0, 0, 1]],
        K * 2,
        K * [[1e300], [1e300], [1]],
        K * [[1e-300], [1e-300], [1]],
        [[60, 0, 500], [0, 60, 24], [0, 0, 1]],
        [[60, 0, 32], [0, 1, 24], [0, 0, 1]],
        [[np.nan, 0, 32], [0, 60, 24], [0, 0, 1]],
        [[-60, 0, 32], [0, 60, 24], [0, 0, 1]],
    ],
)
def test_what_no_camera_has_is_refused_and_told(stream, wrong):
    stream.update(info(60, K=wrong))
    assert stream.camera(*SIZE, 0.0).estimated
    assert stream.reason.startswith("camera_info is wrong: ")


def test_a_camera_info_without_a_size_has_the_images(stream):
    message = info(60)
    message.width = message.height = 0
    stream.update(message)
    camera = stream.camera(*SIZE, 0.0)
    assert focal(camera) == 60 and (camera.width, camera.height) == SIZE


def test_the_calibration_of_another_frame_is_told_and_used(stream):
    stream.update(info(60, frame="left_optical"))
    assert focal(stream.camera(*SIZE, 0.0, None, "right_optical")) == 60
    assert "left_optical" in stream.note and "right_optical" in stream.note
    stream.camera(*SIZE, 0.0, None, "left_optical")
    assert stream.note == ""


def later(stream, message, seconds: float = 0.03) -> None:
    threading.Timer(seconds, stream.update, [message]).start()


def test_an_image_that_overtakes_its_calibration_waits_a_moment(stream, monkeypatch):
    monkeypatch.setattr("prehend.ros.inputs.calibration._OVERTAKEN_S", 20.0)
    monkeypatch.setattr("prehend.ros.inputs.calibration._MISFIT_S", 20.0)
    for stamp in (1.0, 2.0):  # they change, and have the stamps of their images
        stream.update(info(60 + stamp, stamp))
        stream.camera(*SIZE, 0.0, stamp)
    later(stream, info(70, 3.0))
    stream.wait(*SIZE, 3.0)
    assert focal(stream.camera(*SIZE, 0.0, 3.0)) == 70
    later(stream, info(90, 3.5, size=(128, 96)), 0.5)
    stream.wait(128, 96, 3.5)
    assert focal(stream.camera(128, 96, 0.0, 3.5)) == 90


def test_nobody_waits_for_what_does_not_come(stream, monkeypatch):
    monkeypatch.setattr("prehend.ros.inputs.calibration._OVERTAKEN_S", 20.0)
    began = time.monotonic()
    for n in range(20):  # without a calibration, with one that is sent now and then, with one that does not change
        if n > 10:
            stream.update(info(60, 1.0 + n % 2))
        stream.wait(*SIZE, 2.0 + n)
        stream.camera(*SIZE, 0.0, 2.0 + n)
    assert time.monotonic() - began < 10


def test_a_calibration_of_another_size_is_waited_for_once(stream, monkeypatch):
    def waited(size, stamp_s: float, longest_s: float) -> float:
        monkeypatch.setattr("prehend.ros.inputs.calibration._MISFIT_S", longest_s)
        began = time.monotonic()
        stream.wait(*size, stamp_s)
        return time.monotonic() - began

    stream.update(info(60, 1.0))
    assert waited((128, 96), 2.0, 0.1) >= 0.1
    assert all(waited((128, 96), 3.0 + n, 600.0) < 300 for n in range(4)), "for the first of five images"
    stream.update(info(60, 7.0, size=(128, 96)))
    assert waited((128, 96), 7.0, 600.0) < 300
    assert waited((320, 240), 8.0, 0.1) >= 0.1, "and again once one fitted"


def test_a_principal_point_of_another_image_is_told_and_used(stream):
    stream.update(info(K=[[60.0, 0, 8], [0, 60.0, 6], [0, 0, 1]], stamp_s=1.0))
    assert focal(stream.camera(*SIZE, 0.0, 1.0)) == 60
    assert "for another image" in stream.note
    stream.update(info(stamp_s=2.0))
    assert focal(stream.camera(*SIZE, 0.0, 2.0)) == 60 and stream.note == ""
