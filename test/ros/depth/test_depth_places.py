"""Where a depth image lies: by its frame and size, its calibration and /tf; and what is told where nobody says so."""

import numpy as np
import pytest

from prehend.errors import SourceError
from prehend.pipeline.depth.register import UnalignedDepth
from prehend.ros import messages as m
from prehend.ros.conversion import convert
from prehend.ros.conversion.images import camera_message
from prehend.ros.depth.places import DepthPlaces, Place
from prehend.ros.frames.buffer import TransformBuffer
from prehend.types import Camera

CAMERA = Camera(np.array([[24.0, 0, 15.5], [0, 24.0, 11.5], [0, 0, 1]]), 32, 24)
DEPTH = np.full((24, 32), 0.5, np.float32)
IMAGE = Place(10.0, "colour", 64, 48)


def info(frame: str = "depth", width: int = 32, height: int = 24, camera: Camera | None = CAMERA) -> bytes:
    return m.encode(camera_message(convert.header_message(10.0, frame), camera, width, height))


def places(buffer: TransformBuffer | None = None, always: bool = False) -> DepthPlaces:
    return DepthPlaces("/depth/camera_info", False, buffer, always)


def test_the_same_frame_and_size_is_aligned_unless_somebody_says_no() -> None:
    depth, buffer = np.zeros((48, 64), np.float32), TransformBuffer()
    for frame in ("colour", ""):
        assert places(buffer).placed(depth, Place(10.0, frame, 64, 48), IMAGE) is depth
    always = places(buffer, always=True)
    own = Camera(CAMERA.K, 64, 48)
    always.update(info("colour", 64, 48, own))
    found = always.placed(depth, IMAGE, IMAGE)
    assert isinstance(found, UnalignedDepth)
    np.testing.assert_array_equal(found.T_image_depth, np.eye(4))
    np.testing.assert_array_equal(found.camera.K, own.K)


def test_what_is_said_to_be_aligned_needs_the_size_and_no_more() -> None:
    assert places().placed(np.zeros((48, 64), np.float32), Place(10.0, "depth", 64, 48), IMAGE) is not None
    with pytest.raises(SourceError, match=r"depth is 32 x 24, the image 64 x 48: set depth_alignment to auto, or let"):
        places().placed(DEPTH, Place(10.0, "depth", 32, 24), IMAGE)


def test_depth_of_another_camera_is_placed_by_calibration_and_transform(tf_bytes) -> None:
    buffer = TransformBuffer()
    T = np.eye(4)
    T[:3, 3] = 0.015, 0.0, -0.002
    buffer.add(tf_bytes(("colour", "depth", 0.0, T)), fixed=True)
    one = places(buffer)
    one.update(info(camera=None))  # zeros say "not yet"
    with pytest.raises(SourceError, match="no calibration of it came on /depth/camera_info"):
        one.placed(DEPTH, Place(10.0, "depth", 32, 24), IMAGE)
    one.update(info())
    found = one.placed(DEPTH, Place(10.0, "depth", 32, 24), IMAGE)
    assert isinstance(found, UnalignedDepth) and found.depth_m is DEPTH
    np.testing.assert_allclose(found.T_image_depth, T, atol=1e-9)
    np.testing.assert_array_equal(found.camera.K, CAMERA.K)


@pytest.mark.parametrize(
    ("calibration", "frame", "said"),
    [
        (info(width=64, height=50), "depth", "wrong: camera_info is for 64 x 50, the image is 32 x 24"),
        (info(frame="other"), "depth", "is the calibration of 'other', depth is of 'depth'"),
        (info(), "depth", "no transform from 'depth' to 'colour': nobody publishes 'colour'; publish it, or let"),
        (info(), "", "without a frame_id nobody can say how they lie: let the driver align it"),
    ],
)
def test_what_is_missing_is_told_with_both_ways_out(calibration: bytes, frame: str, said: str) -> None:
    one = places(TransformBuffer())
    one.update(calibration)
    with pytest.raises(SourceError, match=said):
        one.placed(DEPTH, Place(10.0, frame, 32, 24), IMAGE)


def test_a_smaller_depth_image_of_the_same_frame_needs_no_transform() -> None:
    one = places(TransformBuffer())
    one.update(info("colour"))
    found = one.placed(DEPTH, Place(10.0, "colour", 32, 24), IMAGE)
    assert isinstance(found, UnalignedDepth)
    np.testing.assert_array_equal(found.T_image_depth, np.eye(4))
