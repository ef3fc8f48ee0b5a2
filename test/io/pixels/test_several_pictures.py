"""Files that hold more pictures than the one that is read: told, and what only looks like that is not."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from prehend.io.pixels.headers import read_header
from prehend.io.pixels.several_pictures import holds_several
from prehend.io.sources import open_source

PICTURES = [Image.fromarray(np.full((20, 30, 3), grey, np.uint8)) for grey in (10, 90, 200)]


def written(path, count, **more):
    PICTURES[0].save(path, save_all=True, append_images=PICTURES[1:count], **more)
    return path


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_animations_and_pages_are_told_from_single_pictures(tmp_path, suffix, count):
    path = written(tmp_path / f"a.{suffix}", count)
    data = path.read_bytes()
    assert holds_several(read_header(data).kind, data) == (count > 1)
    with open_source(str(path)) as source:
        (frame,) = source
        notes = list(source.notes)
    assert frame.image_rgb.shape == (20, 30, 3) and abs(int(frame.image_rgb[0, 0, 0]) - 10) < 4
    assert len(notes) == (count > 1) and all("only the first image of such a file is read" in note for note in notes)


def test_a_folder_tells_it_once(tmp_path):
    for number in range(3):
        written(tmp_path / f"{number}.gif", 2)
    cv2.imwrite(str(tmp_path / "4.png"), np.zeros((20, 30, 3), np.uint8))
    with open_source(str(tmp_path)) as source:
        assert len(list(source)) == 4
        assert len(source.notes) == 1 and "0.gif" in source.notes[0]


def test_a_smaller_copy_in_a_tiff_is_no_page(tmp_path):
    """As scanners and maps have them: NewSubfileType says so (TIFF 6.0)."""
    path = tmp_path / "a.tif"
    PICTURES[0].save(path, save_all=True, append_images=[PICTURES[1]])
    assert holds_several("tiff", path.read_bytes())
    data = bytearray(path.read_bytes())
    order = "<" if data[:2] == b"II" else ">"
    (first,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, first)
    (second,) = struct.unpack_from(f"{order}I", data, first + 2 + 12 * count)
    struct.pack_into(f"{order}HHII", data, second + 2, 254, 4, 1, 1)
    assert not holds_several("tiff", bytes(data))


def test_a_png_of_one_frame_and_a_word_in_its_pixels_are_no_animation():
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0abc")) + chunk(b"IEND", b"")
    assert not holds_several("png", head + chunk(b"acTL", struct.pack(">II", 1, 0)) + body)
    assert holds_several("png", head + chunk(b"acTL", struct.pack(">II", 2, 0)) + body)
    assert not holds_several("png", head + body + b"acTL\0\0\0\x09")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(["gif", "png", "webp", "tiff", "avif", "bmp"]), st.binary(max_size=200), st.integers(0, 3))
def test_no_bytes_are_too_odd(kind, tail, start):
    heads = (b"GIF89a", b"II\x2a\0\x08\0\0\0", b"RIFF\0\0\0\0WEBPVP8X", b"\x89PNG\r\n\x1a\n")
    assert holds_several(kind, heads[start] + tail) in (True, False)
