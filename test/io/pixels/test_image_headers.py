"""Whole or cut off, and how large, before anything is decoded."""

import resource
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import SourceError
from prehend.io.pixels.images import ImageReader, decode_image

RNG = np.random.default_rng(0)
SMOOTH = cv2.GaussianBlur(RNG.integers(0, 256, (96, 128, 3), dtype=np.uint8), (0, 0), 4)


def encoded(suffix, *options):
    return cv2.imencode(suffix, SMOOTH, list(options))[1].tobytes()


JPEGS = {
    "baseline": encoded(".jpg"),
    "progressive": encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": encoded(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
    "optimised": encoded(".jpg", cv2.IMWRITE_JPEG_OPTIMIZE, 1),
}


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize(
    "change",
    [
        lambda d: d[:-2],
        lambda d: d + bytes(500),
        lambda d: d[:-2] + bytes(500),
        lambda d: d + b"....ftypmp42\xff\xda" + bytes(range(256)) * 9 + b"\xff\xda\x01\x02",
        lambda d: d[:2] + b"\xff\xfe\x00\x08\xff\xd9\xff\xda!!" + d[2:],
        lambda d: d[:2] + b"\xff\xff" + d[2:],
    ],
    ids=["no end marker", "padded", "padded without end", "motion photo", "end marker in a comment", "fill bytes"],
)
def test_a_jpeg_ends_where_its_segments_say(kind, change):
    assert np.array_equal(decode_image(change(JPEGS[kind]), "x"), decode_image(JPEGS[kind], "x"))


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("tail", [b"", bytes(800), b"\xff\xd8\xff\xe0\x00\x10JFIF"], ids=["", "zeros", "another"])
def test_half_a_jpeg_is_cut_off_whatever_follows(kind, tail, capfd):
    with pytest.raises(SourceError, match="cut off"):
        decode_image(JPEGS[kind][: len(JPEGS[kind]) // 2] + tail, "x")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".png", ".webp", ".bmp", ".tiff", ".ppm", ".jpg"])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(share=st.floats(0, 0.97))
def test_every_kind_is_told_to_be_cut_off(suffix, share):
    data = encoded(suffix)
    with pytest.raises(SourceError, match=r"cut off|empty|not an image|damaged"):
        decode_image(data[: int(share * len(data))], "x")


def png_of(width, height, pixels=b""):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def jpeg_of(width, height):
    data = JPEGS["baseline"]
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


@pytest.mark.parametrize(
    "data",
    [
        png_of(30000, 30000),
        png_of(64, 48, b"")[:33] + struct.pack(">I", 0xFFFFFFF0) + png_of(64, 48)[37:],
        jpeg_of(32000, 32000),
        b"BM" + struct.pack("<I4xIIiiHHI", 100, 54, 40, 60000, 60000, 1, 24, 0) + bytes(40),
        b"P6 65000 65000 255\n" + bytes(50),
        b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + b"\xff\xff\xff" * 2,
        b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(20) + b";",
    ],
    ids=["png", "png chunk", "jpeg", "bmp", "ppm", "webp", "gif"],
)
def test_sizes_are_not_believed(data):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SourceError, match=r"cut off|damaged|megapixels"):
        decode_image(data, "x")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000 or sys.platform == "darwin"  # kB


def test_the_limit_is_a_parameter_and_told():
    data = encoded(".png")
    with pytest.raises(SourceError, match=r"128 x 96 pixels are more than .*--max-megapixels"):
        ImageReader(max_pixels=128 * 96 - 1).data(data, "x")
    assert ImageReader(max_pixels=128 * 96).data(data, "x").shape == (96, 128, 3)


def test_a_changed_pixel_of_a_png_is_damage():
    data = bytearray(encoded(".png"))
    data[len(data) // 2] ^= 0x55
    with pytest.raises(SourceError, match=r"damaged|not an image"):
        decode_image(bytes(data), "x")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(64), "HEIC .heif-convert.*JPEG"),
        (b"%PDF-1.7" + bytes(9), "PDF"),
        (b"\xff\x0a" + bytes(9), "JPEG XL"),
        (b"\x89PNG\n\x1a\n" + bytes(40), "changed as text on its way"),
        (encoded(".png").decode("latin1").encode(), "changed as text on its way"),
        (b"\0\0\0\x18ftypcrx " + bytes(20), "a camera raw .CR3., which is not read here"),
        (b"\x1a\x45\xdf\xa3" + bytes(20), "it is a video, which"),
        (b"\x1f\x8b\x08" + bytes(20), "packed with gzip: unpack it$"),
        (b"II+\0\x08\0" + bytes(20), "a BigTIFF"),
    ],
)
def test_other_kinds_are_named(data, says):
    with pytest.raises(SourceError, match=says):
        decode_image(data, "photo.jpg")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    base=st.sampled_from([*JPEGS.values(), *(encoded(s) for s in (".png", ".webp", ".bmp", ".tiff", ".ppm"))]),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    near_start=st.booleans(),
)
def test_damage_is_an_image_or_one_line(base, changes, near_start):
    data = bytearray(base)
    for share, value in changes:
        data[int(share * (min(200, len(data) - 1) if near_start else len(data) - 1))] = value
    try:
        image = decode_image(bytes(data), "x")
    except SourceError as error:
        assert "\n" not in str(error)
    else:
        assert image.dtype == np.uint8 and image.ndim == 3


def test_a_jpeg_of_a_webcam_may_lack_its_huffman_tables():
    """Motion JPEG leaves out the tables of T.81, annex K."""
    whole = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    place, kept = 2, whole[:2]
    while whole[place + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", whole, place + 2)
        kept += b"" if whole[place + 1] == 0xC4 else whole[place : place + 2 + length]
        place += 2 + length
    assert np.array_equal(decode_image(kept + whole[place:], "x"), decode_image(whole, "x"))
