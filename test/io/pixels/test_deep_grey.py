import cv2
import numpy as np
import pytest

from prehend.io.pixels.deep_grey import DeepGrey
from prehend.io.pixels.images import ImageReader, decode_image

GREY = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (48, 64), dtype=np.uint8), (0, 0), 3)
GREY = cv2.normalize(GREY, None, 0, 255, cv2.NORM_MINMAX)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_the_same_at_every_depth(bits, channels):
    deep = GREY.astype(np.uint16) << (bits - 8)
    deep = deep if channels == 1 else np.repeat(deep[..., None], 3, -1)
    notes = []
    reader = ImageReader(note=notes.append)
    read = reader.data(cv2.imencode(".png", deep)[1].tobytes(), "x")
    assert np.array_equal(read, np.repeat(GREY[..., None], 3, -1))
    assert notes == [] if bits == 16 else f"{bits} bits" in notes[0]


def test_a_dead_pixel_does_not_decide():
    deep = GREY.astype(np.uint16) << 2
    deep[3, 4] = 65535
    scaled = DeepGrey().scale(deep)
    assert np.array_equal(np.delete(scaled.ravel(), 3 * 64 + 4), np.delete(GREY.ravel(), 3 * 64 + 4))


def test_brightness_does_not_flicker_over_a_sequence():
    grey = DeepGrey()
    bright = grey.scale(GREY.astype(np.uint16) << 4)
    dark = grey.scale(GREY.astype(np.uint16))
    assert np.array_equal(bright, GREY) and dark.max() <= 16


def test_a_narrow_band_far_from_zero_is_stretched():
    thermal = 7000 + GREY.astype(np.uint16) * 4
    scaled = DeepGrey().scale(thermal)
    assert scaled.min() == 0 and scaled.max() == 255
    assert np.abs(scaled.astype(int) - GREY).mean() < 4


def test_floating_pixels_are_shares_of_white():
    data = cv2.imencode(".tiff", (GREY / 255).astype(np.float32))[1].tobytes()
    assert np.abs(decode_image(data, "x")[..., 0].astype(int) - GREY).max() <= 1


@pytest.mark.parametrize("kind", [np.int32, np.uint32, np.int16])
def test_whole_numbers_of_other_kinds_are_pictures_too(kind):
    """TIFF holds them (microscopes, depth); below zero there is black."""
    pixels = GREY.astype(kind) * 100
    scaled = DeepGrey().scale(pixels)
    assert np.corrcoef(scaled.ravel(), GREY.ravel())[0, 1] > 0.99 and scaled.max() > 80
    if np.dtype(kind).kind == "i":
        pixels[0, 0] = -5
        assert DeepGrey().scale(pixels)[0, 0] < 5
