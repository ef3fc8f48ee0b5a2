"""A ROS topic as a source of frames, from another process over DDS."""

import cv2
import numpy as np
import pytest

from prehend.errors import ParameterError


@pytest.fixture
def folder(tmp_path):
    for n in range(4):
        cv2.imwrite(str(tmp_path / f"{n}.png"), np.full((48, 64, 3), 40 * n, np.uint8))
    return tmp_path


def opened(name, **options):
    from prehend.ros.inputs.source import RosTopic

    return RosTopic(name, **options)


@pytest.mark.parametrize("compressed", [False, True])
def test_images_come_with_their_camera_and_their_stamps(domain, start, folder, compressed):
    extra = ["--compressed"] if compressed else []
    start("prehend", "play", str(folder), "--topic", "/cam/image", "--rate", "20", "--fov", "60", "--loop", *extra)
    frames = []
    name = "ros:/cam/image/compressed" if compressed else "ros:/cam/image"
    with opened(name, on_error=lambda error: None) as source:  # the player may take long to start
        assert source.kind == "camera" and source.is_sequence
        for frame in source:
            frames.append(frame)
            if len(frames) == 5:
                break
    assert {frame.image_rgb.shape for frame in frames} == {(48, 64, 3)}
    assert (np.diff([frame.stamp for frame in frames]) > 0).all()
    assert frames[-1].camera is not None and not frames[-1].camera.estimated
    assert 2 * np.degrees(np.arctan(32 / frames[-1].camera.K[0, 0])) == pytest.approx(60)
    assert len({int(frame.image_rgb[0, 0, 0]) for frame in frames}) > 1


def test_a_topic_that_is_silent_is_told(domain, monkeypatch):
    monkeypatch.setattr("prehend.ros.inputs.source._PATIENCE_S", 0.1)
    told = []

    class Enough(Exception):
        pass

    def tell(error):
        told.append(str(error))
        raise Enough

    with opened("ros:/nobody/image", on_error=tell) as source, pytest.raises(Enough):
        next(iter(source))
    assert "no image yet" in told[0] and "sensor_msgs/msg/Image" in told[0]


def test_a_name_that_ros_refuses_is_told(domain):
    with pytest.raises(ParameterError, match="ROS refuses the topic"):
        opened("ros:/not a topic")
