"""Backgrounds and textures: of any size, the same for the same seed, of photographs where there are any."""

import cv2
import numpy as np
import pytest

from prehend.errors import SourceError
from prehend_training.scenes.appearance import rooms, surface_patterns
from prehend_training.scenes.appearance.patterns import Gallery, texture_bank

MAKERS = {
    **{name: getattr(rooms, name) for name in ("room", "desk", "shelf", "screen")},
    **{
        name: getattr(surface_patterns, name)
        for name in ("checks", "clouds", "gradient", "label", "stripes", "wood")
    },
}  # fmt: skip


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (7, 30)])
@pytest.mark.parametrize("name", MAKERS)
def test_made_up_pictures_have_their_size_and_something_on_them(name, size):
    made = [MAKERS[name](np.random.default_rng(seed), *size) for seed in range(4)]
    assert all(one.shape == (*size, 3) and one.dtype == np.uint8 for one in made)
    assert np.mean([one.std() for one in made]) > 2 and len({one.tobytes() for one in made}) == 4


@pytest.mark.parametrize("name", MAKERS)
def test_a_seed_decides_the_picture(name):
    one, again = (MAKERS[name](np.random.default_rng(9), 40, 50) for _ in range(2))
    assert np.array_equal(one, again)


@pytest.mark.parametrize("size", [(48, 64), (120, 160), (160, 90)])
def test_backgrounds_have_their_size_and_come_again(size):
    gallery = Gallery()
    for seed in range(4):
        one, again = (gallery.background(np.random.default_rng(seed), *size) for _ in range(2))
        assert one.shape == (*size, 3) and one.dtype == np.uint8 and np.array_equal(one, again)


def test_drawing_on_a_background_does_not_change_the_next_one():
    """What is kept is cut from, never drawn on."""
    gallery = Gallery()
    first = [gallery.background(np.random.default_rng(seed), 60, 80).copy() for seed in range(8)]
    for seed in range(8):
        gallery.background(np.random.default_rng(100 + seed), 60, 80)[:] = 0
    again = [gallery.background(np.random.default_rng(seed), 60, 80) for seed in range(8)]
    assert all(map(np.array_equal, first, again))


def test_textures_are_those_of_their_seed():
    one, again, other = (texture_bank(Gallery(), seed, 3, 32) for seed in (1, 1, 2))
    assert one.shape == (3, 32, 32, 3) and np.array_equal(one, again) and not np.array_equal(one, other)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two usable photographs, green and blue, one in a folder of its own; a small one, a broken one and a text."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "deep").mkdir()
    green, blue = np.zeros((400, 500, 3), np.uint8), np.zeros((700, 900, 3), np.uint8)
    green[..., 1], blue[..., 0] = 200, 200
    cv2.imwrite(str(folder / "a.png"), green)
    cv2.imwrite(str(folder / "deep" / "b.JPG"), blue)
    cv2.imwrite(str(folder / "small.png"), green[:299, :299])
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff none")
    (folder / "readme.txt").write_text("no picture")
    return folder


def test_usable_photographs_are_found_in_rgb_and_kept_small(photos):
    gallery = Gallery(photos, keep_px=350)
    assert [min(photo.shape[:2]) for photo in gallery.photos] == [350, 350]
    assert gallery.photos[0][0, 0].tolist() == [0, 200, 0] and gallery.photos[1][0, 0, 2] > 190


def test_backgrounds_come_from_photographs_in_their_share(photos):
    gallery = Gallery(photos, photo_share=0.5)
    found = [gallery.background(np.random.default_rng(seed), 40, 60) for seed in range(60)]
    plain = np.mean([np.ptp(one.reshape(-1, 3), axis=0).max() < 4 for one in found])
    assert 0.2 < plain < 0.6  # half, of which a quarter has things drawn on it


def test_without_photographs_there_are_none(photos):
    assert Gallery().photo_share == 0.0 and not Gallery().photos


def test_a_folder_without_usable_photographs_is_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"none")
    with pytest.raises(SourceError, match="no image can be read"):
        Gallery(tmp_path)
