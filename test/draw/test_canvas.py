import numpy as np
import pytest

from prehend.draw import canvas


@pytest.mark.parametrize("hershey", [False, True], ids=["the font at hand", "the font before OpenCV 5"])
@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("size", [12, 20, 40])
def test_text_stays_in_the_room_it_asks_for(monkeypatch, hershey, bold, size):
    if hershey:
        monkeypatch.setattr(canvas, "_FONT", None)
    image = np.zeros((120, 900, 3), np.uint8)
    width, height = canvas.text_size("Right 12 (size assumed)", size, bold)
    canvas.draw_text(image, "Right 12 (size assumed)", 20, 80, size, canvas.WHITE, bold)
    rows, columns = np.nonzero(image.any(-1))
    assert columns.min() >= 20 and columns.max() <= 20 + width + 2
    assert columns.max() > 20 + 0.9 * width
    assert 80 - height <= rows.min() and rows.max() <= 80 + 0.45 * height


def test_a_layer_is_cut_at_the_border_and_its_mask_is_its_weight():
    image = np.full((10, 10, 3), 100, np.uint8)
    layer = np.full((4, 4, 3), 200, np.uint8)
    canvas.blend(image, -2, 8, layer, np.full((4, 4), 255, np.uint8), 0.5)
    assert (image[8:, :2] == 150).all()
    image[8:, :2] = 100
    assert (image == 100).all()
    canvas.blend(image, 50, 50, layer, np.full((4, 4), 255, np.uint8), 1)
    canvas.blend(image, 3, 3, layer, np.zeros((4, 4), np.uint8), 1)
    assert (image == 100).all()


def test_a_plate_covers_its_box_but_for_the_corners():
    image = np.zeros((40, 60, 3), np.uint8)
    canvas.fill_rounded(image, (10, 5, 50, 35), canvas.WHITE, 6, 1.0)
    assert image[20, 10].min() == image[5, 30].min() == image[34, 49 - 8].min() == 255
    assert image[5, 10].max() < 128 and image[:5].max() == 0 and image[:, 50:].max() == 0


@pytest.mark.parametrize("far", [np.nan, np.inf, 1e9])
def test_what_lies_too_far_away_is_left_out(far):
    image = np.zeros((20, 20, 3), np.uint8)
    canvas.draw_polyline(image, np.array([[5, 5], [far, 5]]), canvas.WHITE, 2, rim=1)
    canvas.draw_dot(image, np.array([far, 5]), 3, canvas.WHITE, 1)
    canvas.draw_ring(image, np.array([5, far]), 3, canvas.WHITE, 1)
    assert image.max() == 0
