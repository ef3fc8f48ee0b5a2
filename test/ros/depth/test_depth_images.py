"""Depth messages become metres, and what is none of them is refused with the way out."""

import struct

import cv2
import numpy as np
import pytest

from prehend.errors import SourceError
from prehend.io.pixels.images import ImageReader
from prehend.ros.depth.images import compressed_depth_image, depth_image


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("pad", [0, 6])
def test_millimetres_and_metres_are_read_with_what_is_invalid(depth_message, big: bool, pad: int) -> None:
    values = np.arange(12).reshape(3, 4) * 250
    np.testing.assert_allclose(depth_image(depth_message(values, pad=pad, big=big)), values / 1000)
    metres = np.array([[0.5, np.nan], [np.inf, 0.0]])
    np.testing.assert_array_equal(depth_image(depth_message(metres, encoding="32FC1", big=big)), metres)


def test_what_is_no_depth_is_refused(depth_message) -> None:
    with pytest.raises(SourceError, match="encoding 'mono8', known: 16UC1"):
        depth_image(depth_message(np.zeros((3, 4)), encoding="mono8"))
    short = depth_message(np.zeros((3, 4)))
    short.data = short.data[:10]
    with pytest.raises(SourceError, match="depth"):
        depth_image(short)


def test_compressed_millimetres_come_back_exactly(compressed_depth_message) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (48, 64)).astype(np.uint16)
    found = compressed_depth_image(compressed_depth_message(values), ImageReader())
    np.testing.assert_allclose(found, values * np.float32(1e-3))
    old = compressed_depth_message(values)
    old.format = "16UC1"  # as it was before the codec was named
    np.testing.assert_allclose(compressed_depth_image(old, ImageReader()), values * np.float32(1e-3))


def test_compressed_metres_come_back_as_well_as_inverse_depth_tells_them(compressed_depth_message) -> None:
    """With its defaults, 100 and 10 m, a step at distance z is z^2 / (100 * 101) metres."""
    true_m = np.linspace(0.3, 9.0, 48 * 64).reshape(48, 64)
    true_m[0, :5] = np.nan, np.inf, 0.0, 12.0, -1.0
    found = compressed_depth_image(compressed_depth_message(true_m), ImageReader())
    assert np.isnan(found[0, :5]).all()
    np.testing.assert_array_less(np.abs(found - true_m).ravel()[5:], 1.01 * true_m.ravel()[5:] ** 2 / (100 * 101))


def test_what_is_no_compressed_depth_is_refused_with_the_way_out(compressed_depth_message) -> None:
    values, reader = np.full((3, 4), 500, np.uint16), ImageReader(max_pixels=1000)
    other = compressed_depth_message(values)
    other.format = "16UC1; compressedDepth rvl"
    with pytest.raises(SourceError, match=r"set the publisher's compressedDepth\.format to png"):
        compressed_depth_image(other, reader)
    other.format = "bgr8; jpeg compressed bgr8"
    with pytest.raises(SourceError, match="encoding 'bgr8', known"):
        compressed_depth_image(other, reader)
    short = compressed_depth_message(values)
    short.data = short.data[:12]
    with pytest.raises(SourceError, match="12 bytes, too few"):
        compressed_depth_image(short, reader)
    cut = compressed_depth_message(values)
    cut.data = cut.data[:-9]
    with pytest.raises(SourceError, match="compressedDepth"):
        compressed_depth_image(cut, reader)
    with pytest.raises(SourceError, match="megapixels"):
        compressed_depth_image(compressed_depth_message(np.zeros((40, 40), np.uint16)), reader)
    colours = compressed_depth_message(values)
    _, png = cv2.imencode(".png", np.zeros((3, 4, 3), np.uint8))
    colours.data = np.frombuffer(struct.pack("<iff", 0, 0, 0) + png.tobytes(), np.uint8)
    with pytest.raises(SourceError, match="one channel of 16 bits"):
        compressed_depth_image(colours, reader)
