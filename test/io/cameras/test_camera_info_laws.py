"""camera_info as drivers fill it in: cut, binned and resized images show the same rays."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput
from prehend.geometry.camera import plane_from_pixels
from prehend.io.cameras.camera_info import CameraStream, camera_from_info, is_rectified

K = [520.0, 0, 310.5, 0, 505.0, 251.25, 0, 0, 1]
few = settings(max_examples=30, deadline=None, derandomize=True)


def info(k=K, d=(), width=640, height=480, roi=(0, 0, 0, 0), binning=(0, 0), model="plumb_bob", p=()):
    region = SimpleNamespace(x_offset=roi[0], y_offset=roi[1], width=roi[2], height=roi[3])
    return SimpleNamespace(
        k=np.array(k, float), d=np.array(d, float), p=np.array(p, float), width=width, height=height, roi=region,
        binning_x=binning[0], binning_y=binning[1], distortion_model=model,
    )  # fmt: skip


@few
@given(st.integers(0, 200), st.integers(0, 150), st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4]))
def test_a_pixel_of_the_cut_and_binned_image_sees_what_its_pixels_of_the_sensor_see(x0, y0, bx, by):
    whole = camera_from_info(info(d=(0.1, -0.05, 0.001, 0, 0)))
    cut = camera_from_info(info(d=(0.1, -0.05, 0.001, 0, 0), roi=(x0, y0, 400, 320), binning=(bx, by)))
    assert (cut.width, cut.height) == (400 // bx, 320 // by)
    pixel = np.array([[3.0, 5.0], [40.0, 31.0]])
    # the middle of the sensor's pixels that a binned one covers
    on_sensor = (pixel + 0.5) * [bx, by] - 0.5 + [x0, y0]
    np.testing.assert_allclose(plane_from_pixels(pixel, cut), plane_from_pixels(on_sensor, whole), atol=1e-6)


@pytest.mark.parametrize("binning", [(0, 0), (1, 1), (0, 1)])
def test_no_binning_has_two_names(binning):
    np.testing.assert_allclose(camera_from_info(info(binning=binning)).K.ravel(), K)


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({"roi": (100, 80, 320, 240)}, (640, 480)),
        ({"binning": (2, 2)}, (640, 480)),
        ({"roi": (100, 80, 320, 240), "binning": (2, 2)}, (320, 240)),
        ({"width": 0, "height": 0}, (640, 480)),
    ],
)
def test_what_drivers_fill_in_for_an_image_that_is_whole_is_told_by_the_images_size(changes, size):
    camera = camera_from_info(info(**changes), image_size=size)
    assert (camera.width, camera.height) == size
    if size == (640, 480):
        np.testing.assert_allclose(camera.K.ravel(), K)


def test_an_image_of_another_size_is_refused_with_both():
    with pytest.raises(InvalidInput, match="camera_info is for 640 x 480, the image is 333 x 222"):
        camera_from_info(info(), image_size=(333, 222))


@pytest.mark.parametrize(
    "changes", [{"k": [0.0] * 9}, {"k": [0.0, 0, 3, 0, 0, 4, 0, 0, 1]}, {"k": [0.0] * 9, "d": (0.1, 0, 0, 0, 0)}]
)
def test_zeros_say_not_calibrated_and_are_no_camera(changes):
    assert camera_from_info(info(**changes)) is None


P = [500.0, 0, 300, -20, 0, 500, 240, 0, 0, 0, 1, 0]


def test_a_rectified_image_has_the_intrinsics_of_p_and_no_distortion():
    camera = camera_from_info(info(d=(0.2, 0, 0, 0, 0), p=P), rectified=True)
    np.testing.assert_allclose(camera.K, [[500, 0, 300], [0, 500, 240], [0, 0, 1]])
    assert camera.distortion.size == 0
    assert camera_from_info(info(d=(0.2, 0, 0, 0, 0)), rectified=True) is None, "P was left out"
    assert camera_from_info(info(), rectified=True).K[0, 0] == 520, "without distortion both are one"


@pytest.mark.parametrize(
    ("topic", "rectified"),
    [
        ("/cam/image_rect", True),
        ("/cam/image_rect_color/compressed", True),
        ("/rect/image_raw", False),
        ("image", False),
    ],
)
def test_rectified_images_are_told_by_the_last_word_of_their_topic(topic, rectified):
    assert is_rectified(topic) == rectified


def focal(stream, stamp):
    camera = stream.camera(stamp, 640, 480)
    return None if camera is None else camera.K[0, 0]


def test_an_image_gets_the_message_of_its_time_whatever_their_order():
    stream = CameraStream()
    assert focal(stream, 0.0) is None and "there is no camera_info" in stream.reason
    for stamp in (3.0, 1.0, 2.0):
        stream.add(info([500 + stamp, *K[1:]]), stamp)
    assert [focal(stream, stamp) for stamp in (1.0, 1.5, 2.0, 9.0, None)] == [501, 501, 502, 503, 503]
    assert focal(stream, 0.5) == 501, "a little older than every message"
    assert focal(stream, -1e6) == 503, "of another clock"
    assert stream.newest == 3.0


def test_zeros_change_nothing_and_say_why_where_there_is_nothing_else():
    stream = CameraStream()
    stream.add(info([0.0] * 9), 1.0)
    assert focal(stream, 1.0) is None and "not calibrated" in stream.reason
    stream.add(info(), 2.0)
    stream.add(info([0.0] * 9), 3.0)
    assert focal(stream, 3.0) == 520 and stream.reason == ""


def test_a_message_that_is_no_camera_is_a_reason_and_a_better_one_takes_over():
    stream = CameraStream()
    stream.add(info(model="magic", d=(0.1, 0, 0, 0)), 1.0)
    assert focal(stream, 1.0) is None and "magic" in stream.reason
    stream.add(info(), 2.0)
    assert focal(stream, 2.0) == 520 and focal(stream, 1.0) is None


def test_the_same_camera_is_judged_once(monkeypatch):
    from prehend.io.cameras import camera_info

    judged = []
    judge = camera_info.camera_from_info
    monkeypatch.setattr(camera_info, "camera_from_info", lambda *args: judged.append(1) or judge(*args))
    stream = CameraStream()
    for stamp in range(5):
        stream.add(info(), float(stamp))
        assert focal(stream, float(stamp)) == 520
    assert len(judged) == 1
