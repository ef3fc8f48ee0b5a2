from types import SimpleNamespace

import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.io.cameras.camera_info import CameraStream, camera_from_info, is_rectified

K = np.array([[554.0, 0, 319.5], [0, 554, 239.5], [0, 0, 1]])


def info(k=K, size=(640, 480), d=(), model="plumb_bob", binning=0, roi=(0, 0, 0, 0), p=None):
    p = np.hstack([np.reshape(k, (3, 3)), np.zeros((3, 1))]) if p is None else p
    region = dict(zip(("x_offset", "y_offset", "width", "height"), roi, strict=True))
    return SimpleNamespace(
        width=size[0], height=size[1], distortion_model=model, d=np.array(d, float), k=np.ravel(k), p=np.ravel(p),
        binning_x=binning, binning_y=binning, roi=SimpleNamespace(**region),
    )  # fmt: skip


def zoomed(factor):
    return info(K * [[factor, 1, 1], [1, factor, 1], [1, 1, 1]])


def test_each_image_gets_the_message_of_its_stamp_or_the_newest_before():
    stream = CameraStream()
    for stamp, factor in ((10.0, 1), (11.0, 2), (12.0, 3)):
        stream.add(zoomed(factor), stamp)
    focal = [stream.camera(stamp, 640, 480).K[0, 0] / 554 for stamp in (10.0, 10.9, 11.0, 11.5, 12.0, 99.0, 9.9)]
    assert focal == [1, 1, 2, 2, 3, 3, 1]


def test_messages_may_come_in_any_order():
    stream = CameraStream()
    for stamp, factor in ((12.0, 3), (10.0, 1), (11.0, 2), (11.2, 2)):
        stream.add(zoomed(factor), stamp)
    assert [stream.camera(stamp, 640, 480).K[0, 0] / 554 for stamp in (10.5, 11.1, 13.0)] == [1, 2, 3]


def test_zeros_are_not_yet():
    stream = CameraStream()
    stream.add(info(np.zeros(9)), 1.0)
    assert stream.camera(1.0, 640, 480) is None and "not calibrated" in stream.reason
    stream.add(info(), 2.0)
    stream.add(info(np.zeros(9)), 3.0)
    assert stream.camera(3.0, 640, 480) is not None and stream.reason == ""


def test_what_is_wrong_is_a_reason_and_what_comes_later_counts():
    stream = CameraStream()
    stream.add(info(K.T), 1.0)
    assert stream.camera(1.0, 640, 480) is None and "transposed" in stream.reason
    stream.add(info(), 2.0)
    assert stream.camera(2.5, 640, 480) is not None
    assert stream.camera(2.5, 640, 470) is None and "the image is 640 x 470" in stream.reason


def test_messages_of_another_clock_count_as_the_newest():
    stream = CameraStream()
    stream.add(zoomed(1), 1e9)
    stream.add(zoomed(2), 1e9 + 1)
    assert stream.camera(5.0, 640, 480).K[0, 0] == 2 * 554


@pytest.mark.parametrize(
    ("message", "image", "center"),
    [
        (info(size=(0, 0)), (640, 480), (319.5, 239.5)),
        (info(binning=2), (320, 240), (159.5, 119.5)),
        (info(binning=2), (640, 480), (319.5, 239.5)),
        (info(roi=(100, 50, 200, 200)), (200, 200), (219.5, 189.5)),
        (info(roi=(100, 50, 200, 200)), (640, 480), (319.5, 239.5)),
        (info(roi=(0, 0, 640, 480)), (640, 480), (319.5, 239.5)),
    ],
    ids=["no size", "binned", "binning of an image that is whole", "cut", "region of an image that is whole", "whole"],
)
def test_the_image_tells_what_its_driver_meant(message, image, center):
    camera = camera_from_info(message, image_size=image)
    assert (camera.width, camera.height) == image and camera.K[:2, 2].tolist() == list(center)


def test_a_cut_image_may_have_its_principal_point_outside():
    camera = camera_from_info(info(roi=(0, 0, 200, 200)), image_size=(200, 200))
    assert camera.K[0, 2] == 319.5
    with pytest.raises(InvalidInput, match="outside"):
        camera_from_info(info(size=(200, 200)))


def test_a_rectified_image_takes_p_or_k_where_p_was_left_out():
    p = np.hstack([K * [[0.9, 1, 1], [1, 0.9, 1], [1, 1, 1]], np.zeros((3, 1))])
    assert camera_from_info(info(p=p, d=[0.1, 0, 0, 0]), True).K[0, 0] == pytest.approx(0.9 * 554)
    assert camera_from_info(info(p=np.zeros(12)), True).K[0, 0] == 554
    assert camera_from_info(info(p=np.zeros(12), d=[0.1, 0, 0, 0]), True) is None


@pytest.mark.parametrize(
    ("topic", "rectified"),
    [
        ("/a/image_rect", True),
        ("/a/image_rect_color/compressed", True),
        ("/rect/image_raw", False),
        ("/a/image", False),
        ("/zed/zed_node/rgb/color/rect/image", True),
        ("/a/rectified/image", True),
        ("/a/undistorted/image_raw", True),
        ("/a/image_undistorted/compressed", True),
        ("/a/rect/image_raw", False),
    ],
)
def test_rectified_topics_are_told_by_their_names(topic, rectified):
    assert is_rectified(topic) == rectified
