import io
import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import SourceError
from prehend.io.pixels.images import decode_image, image_from_message, read_image

RNG = np.random.default_rng(0)
COLOURED = RNG.integers(0, 256, (24, 36, 3), dtype=np.uint8)


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def jpeg(image):
    return cv2.imencode(".jpg", image)[1].tobytes()


def message(pixels, encoding, padding=0, **fields):
    rows = pixels.reshape(len(pixels), -1)
    raw = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
    data = np.pad(raw, ((0, 0), (0, padding)))
    given = {"height": pixels.shape[0], "width": pixels.shape[1], "encoding": encoding, "is_bigendian": 0}
    return SimpleNamespace(**{**given, "step": data.shape[1], "data": data.ravel(), **fields})


def test_colours_come_in_the_order_rgb(tmp_path):
    (tmp_path / "a.png").write_bytes(png(COLOURED[..., ::-1]))
    assert np.array_equal(read_image(tmp_path / "a.png"), COLOURED)


def test_every_depth_and_channel_count_becomes_8_bit_rgb():
    grey16 = RNG.integers(0, 65536, (5, 7), dtype=np.uint16)
    assert np.array_equal(decode_image(png(grey16), "x"), np.repeat((grey16 >> 8).astype(np.uint8)[..., None], 3, -1))
    with_alpha = np.dstack([COLOURED[..., ::-1], np.zeros((24, 36), np.uint8)])
    assert np.array_equal(decode_image(png(with_alpha), "x"), COLOURED)


def test_exif_orientation_is_applied():
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:, :16] = 255
    tag = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6: turn clockwise
    data = jpeg(upright)
    turned = decode_image(data[:2] + b"\xff\xe1" + (len(tag) + 2).to_bytes(2, "big") + tag + data[2:], "x")
    assert turned.shape == (32, 16, 3)
    assert turned[:12].min() > 200 and turned[20:].max() < 50


TURNED = {
    1: ["RG", ".."], 2: ["GR", ".."], 3: ["..", "GR"], 4: ["..", "RG"], 5: ["R.", "G."], 6: [".R", ".G"],
    7: [".G", ".R"], 8: ["G.", "R."],
}  # fmt: skip


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_every_kind_that_can_be_turned_comes_upright(kind, orientation):
    """Pillow writes AVIF's own boxes for it (irot, imir), which OpenCV leaves alone."""
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    features = pytest.importorskip("PIL.features")
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    stored = np.full((48, 64, 3), 40, np.uint8)
    stored[:24, :32], stored[:24, 32:] = (230, 30, 30), (30, 230, 30)
    exif, data = pillow.Exif(), io.BytesIO()
    exif[274] = orientation
    more = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif}
    pillow.fromarray(stored).save(data, kind, **more)
    image = decode_image(data.getvalue(), "x")
    height, width = image.shape[:2]
    pixels = [[image[y, x] for x in (width // 4, 3 * width // 4)] for y in (height // 4, 3 * height // 4)]
    shown = ["".join("RG"[int(pixel.argmax())] if pixel.max() > 150 else "." for pixel in row) for row in pixels]
    assert shown == TURNED[orientation]


@pytest.mark.parametrize("white", [1, 100, 255, 1023, 4095])
def test_netpbm_says_what_is_white(white):
    grey = np.linspace(0, 255, 24 * 36).reshape(24, 36)
    values = np.round(grey * white / 255)
    data = f"P5 36 24 {white}\n".encode() + values.astype(np.uint8 if white < 256 else ">u2").tobytes()
    shown = decode_image(data, "x")[..., 0]
    assert np.abs(shown - values * (255 / white)).max() <= (1 if white < 256 else 1.5)


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 0.98), encode=st.sampled_from([png, jpeg]))
def test_a_file_that_is_cut_off_is_refused_by_name(share, encode):
    data = encode(COLOURED)
    with pytest.raises(SourceError, match=r"^photo\.x: "):
        decode_image(data[: int(share * len(data))], "photo.x")


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_no_image(data):
    with pytest.raises(SourceError):
        decode_image(data, "x")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"gone\.png: no such file"):
        read_image(tmp_path / "gone.png")


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "order"), [("rgb8", [0, 1, 2]), ("bgr8", [2, 1, 0]), ("rgba8", [0, 1, 2, 0]), ("bgra8", [2, 1, 0, 0])]
)
def test_messages_give_the_same_pixels_in_every_order(encoding, order, padding):
    assert np.array_equal(image_from_message(message(COLOURED[..., order], encoding, padding), "x"), COLOURED)


def test_the_last_row_may_lack_its_padding():
    sent = message(COLOURED, "rgb8", 7)
    sent.data = sent.data[:-7]
    assert np.array_equal(image_from_message(sent, "x"), COLOURED)


@pytest.mark.parametrize("bigendian", [0, 1])
def test_sixteen_bits_keep_their_upper_byte(bigendian):
    grey = RNG.integers(0, 65536, (4, 6)).astype(">u2" if bigendian else "<u2")
    read = image_from_message(message(grey, "mono16", is_bigendian=bigendian), "x")
    assert np.array_equal(read, np.repeat((grey // 256).astype(np.uint8)[..., None], 3, -1))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_mosaic_of_one_colour_is_that_colour(pattern):
    colour = {"r": 200, "g": 120, "b": 30}
    cell = np.array([colour[letter] for letter in pattern], np.uint8).reshape(2, 2)
    read = image_from_message(message(np.tile(cell, (6, 6)), f"bayer_{pattern}8"), "x")
    assert np.abs(read.astype(int) - list(colour.values())).max() <= 1


@pytest.mark.parametrize(("encoding", "luma"), [("uyvy", 1), ("yuv422", 1), ("yuyv", 0), ("yuv422_yuy2", 0)])
def test_yuv_without_colour_is_grey(encoding, luma):
    pixels = np.full((4, 8, 2), 128, np.uint8)
    pixels[..., luma] = np.linspace(40, 200, 8)
    read = image_from_message(message(pixels, encoding), "x").astype(int)
    assert np.ptp(read, axis=-1).max() <= 2
    assert (np.diff(read[0, :, 0]) > 0).all()


def test_depth_images_and_short_data_are_refused():
    with pytest.raises(SourceError, match="'32FC1'"):
        image_from_message(message(np.zeros((4, 4), np.float32), "32FC1"), "x")
    with pytest.raises(SourceError, match="too few"):
        image_from_message(message(COLOURED, "rgb8", data=np.zeros(100, np.uint8)), "x")


def tiff(pixels, *tags):
    """A TIFF 6.0 file of one strip: grey, or RGB with alpha; tags are (number, value)."""
    height, width = pixels.shape[:2]
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    entries = {256: width, 257: height, 259: 1, 277: samples, 278: height, **dict(tags)}
    if samples == 1:
        entries[258] = 8 * pixels.itemsize
    rows = {tag: (3, 1, struct.pack("<HH", value, 0)) for tag, value in entries.items()}
    end = 8 + 2 + 12 * (len(rows) + 2 + (samples > 1)) + 4
    if samples > 1:
        rows[258] = (3, samples, struct.pack("<I", end))
    extra = struct.pack(f"<{samples}H", *[8] * samples) if samples > 1 else b""
    rows[273] = (4, 1, struct.pack("<I", end + len(extra)))
    rows[279] = (4, 1, struct.pack("<I", pixels.nbytes))
    body = b"".join(struct.pack("<HHI", tag, form, n) + value for tag, (form, n, value) in sorted(rows.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(rows)) + body + struct.pack("<I", 0) + extra + pixels.tobytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.float32])
def test_a_tiff_says_whether_zero_is_white(dtype):
    """WhiteIsZero: OpenCV turns pixels of 8 bits alone."""
    grey = np.tile(np.linspace(0, 1, 64), (48, 1))
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max
    pixels = (grey * top).astype(dtype)
    form = [(339, 3)] if dtype == np.float32 else []
    black, white = (decode_image(tiff(pixels, (262, zero), *form), "x")[0, :, 0].astype(int) for zero in (1, 0))
    assert np.abs(black - 255 * grey[0]).max() <= 3 and np.abs(white - (255 - 255 * grey[0])).max() <= 3


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_the_alpha_of_a_tiff_darkens_nothing(kind):
    """Masks come as alpha (ExtraSamples 0 to 2), which is dropped as that of any other kind."""
    alpha = np.tile(np.arange(36, dtype=np.uint8) * 7, (24, 1))
    data = tiff(np.dstack([COLOURED, alpha]), (262, 2), (338, kind))
    assert np.array_equal(decode_image(data, "x"), COLOURED)


@pytest.mark.parametrize("encoding", ["RGB8", "Rgb8", " rgb8"])
def test_the_letters_of_an_encoding_do_not_matter(encoding):
    assert np.array_equal(image_from_message(message(COLOURED, encoding), "x"), COLOURED)


def test_infrared_that_is_sent_as_depth_is_told_what_it_should_be_called():
    with pytest.raises(SourceError, match=r"'16UC1' is that of depth.*mono16"):
        image_from_message(message(np.zeros((4, 6), np.uint16), "16UC1"), "x")
