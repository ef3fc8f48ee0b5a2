"""Images whose grey and colours lie in planes of their own."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from prehend.errors import SourceError
from prehend.io.pixels.encodings import COLOURED, encoding_name
from prehend.io.pixels.images import MAX_PIXELS, image_from_message
from prehend.io.pixels.planes import PLANES

HEIGHT, WIDTH = 48, 64
_X, _Y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
SMOOTH = np.stack([40 + 180 * _X, 200 - 150 * _Y, 60 + 120 * _X * _Y], -1).astype(np.uint8)


def grey_and_colours(rgb: np.ndarray, shared: int) -> tuple[np.ndarray, np.ndarray]:
    """Y (H, W), and pairs of U and V, by ITU-R BT.601 with the footroom that cameras send; a pair is a block's mean."""
    weights = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
    yuv = rgb.astype(float) @ weights.T + [16, 128, 128]
    height, width = rgb.shape[:2]
    pairs = yuv[..., 1:].reshape(height // shared, shared, width // shared, shared, 2).mean((1, 3))
    return np.rint(yuv[..., 0]).astype(np.uint8), np.rint(pairs).astype(np.uint8)


def sent(rgb: np.ndarray, encoding: str, padding: int = 0, **fields) -> SimpleNamespace:
    """A message whose rows of grey have `padding` bytes more than pixels."""
    height, width = rgb.shape[:2]
    shared = PLANES[encoding].shared
    grey, pairs = grey_and_colours(rgb, shared)
    if encoding == "nv21":
        pairs = pairs[..., ::-1]
    colours = pairs.reshape(len(pairs), -1)
    rows = [np.pad(grey, ((0, 0), (0, padding)), constant_values=9).ravel()]
    rows.append(np.pad(colours, ((0, 0), (0, 2 * padding // shared)), constant_values=9).ravel())
    given = {"height": height, "width": width, "encoding": encoding, "is_bigendian": 0, "step": width + padding}
    return SimpleNamespace(**{**given, "data": np.concatenate(rows), **fields})


def apart(rgb: np.ndarray, read: np.ndarray) -> int:
    return int(np.abs(rgb.astype(int) - read).max())


@pytest.mark.parametrize("padding", [0, 32])
@pytest.mark.parametrize("encoding", sorted(PLANES))
def test_there_and_back_is_near_the_original(encoding, padding):
    assert apart(SMOOTH, image_from_message(sent(SMOOTH, encoding, padding), "x")) <= 6


@pytest.mark.parametrize(
    ("encoding", "pack", "unpack"),
    [
        ("nv12", cv2.COLOR_RGB2YUV_I420, cv2.COLOR_YUV2RGB_I420),
        ("nv21", cv2.COLOR_RGB2YUV_YV12, cv2.COLOR_YUV2RGB_YV12),
    ],
)
def test_what_lies_in_three_planes_reads_the_same_from_two(encoding, pack, unpack):
    """I420 has all U, then all V; NV12 has them in turns. NV21 is the same of YV12."""
    noise = np.random.default_rng(0).integers(0, 256, SMOOTH.shape, dtype=np.uint8)
    packed = cv2.cvtColor(noise, pack)
    expected = cv2.cvtColor(packed, unpack)
    grey, first, second = np.split(packed.ravel(), [HEIGHT * WIDTH, HEIGHT * WIDTH * 5 // 4])
    data = np.concatenate([grey, np.stack([first, second], -1).ravel()])
    assert np.array_equal(expected, image_from_message(sent(SMOOTH, encoding, data=data), "x"))


def test_a_pixel_of_nv24_keeps_its_own_colour():
    rng = np.random.default_rng(0)
    noise = rng.integers(60, 190, (9, 7, 3)).astype(np.uint8)  # of any size, odd ones too
    assert apart(noise, image_from_message(sent(noise, "nv24"), "x")) <= 3
    blocks = noise[:8, :6].repeat(2, 0).repeat(2, 1)
    assert apart(blocks, image_from_message(sent(blocks, "nv12"), "x")) <= 3, "colours of blocks of 2 x 2 survive"


@pytest.mark.parametrize("step", [0, WIDTH * 3 // 2, 2 * WIDTH, 2**32 - 1])
def test_planes_without_padding_are_told_by_their_size(step):
    """Drivers write the bytes of a row of the whole message as step, those of two channels, or nothing."""
    assert apart(SMOOTH, image_from_message(sent(SMOOTH, "nv12", step=step), "x")) <= 6


@pytest.mark.parametrize("encoding", sorted(PLANES))
def test_the_last_row_may_lack_its_padding_and_pages_may_be_filled(encoding):
    message = sent(SMOOTH, encoding, 32)
    whole = message.data
    for data in (whole[:-32], np.pad(whole, (0, 4096))):
        message.data = data
        assert apart(SMOOTH, image_from_message(message, "x")) <= 6


@pytest.mark.parametrize(("height", "width"), [(48, 63), (47, 64), (1, 1)])
@pytest.mark.parametrize("encoding", ["nv12", "nv21"])
def test_an_odd_size_is_refused_and_named(encoding, height, width):
    message = sent(SMOOTH, encoding, height=height, width=width)
    with pytest.raises(SourceError, match=rf"x: {width} x {height} cannot be {encoding}: 2 x 2 pixels share"):
        image_from_message(message, "x")


@pytest.mark.parametrize("encoding", sorted(PLANES))
@pytest.mark.parametrize("fields", [{"data": np.zeros(10, np.uint8)}, {"height": 50}, {"step": 2**31}])
def test_too_few_bytes_are_refused(encoding, fields):
    message = sent(SMOOTH, encoding, 32, **fields)
    with pytest.raises(SourceError, match="too few"):
        image_from_message(message, "x")


@pytest.mark.parametrize(("height", "width"), [(2**16, 2**16), (0, 64), (2, MAX_PIXELS)])
def test_sizes_are_bounded_before_anything_is_made(height, width):
    message = sent(SMOOTH, "nv12", height=height, width=width, step=width)
    with pytest.raises(SourceError, match="pixels"):
        image_from_message(message, "x")


@pytest.mark.parametrize("name", ["nv12", "NV12", "nv21", "nv24"])
def test_they_are_colours_to_a_bag(name):
    assert encoding_name(name) in COLOURED


@pytest.mark.parametrize("name", ["rgb565", "RGB565", "i420", "mjpeg"])
def test_what_ros_has_no_name_for_is_told_with_the_way_out(name):
    message = sent(SMOOTH, "nv12")
    message.encoding = name
    with pytest.raises(SourceError, match=rf"'{name}' is none of ROS.*rgb8"):
        image_from_message(message, "x")
