import numpy as np
import pytest

from prehend_training.objects import catalogue
from prehend_training.objects.materials import MATERIALS, dress
from prehend_training.objects.prints import KINDS, LABEL_LAYERS, PRINTS, label_textures, layers_of

OBJECTS = sorted(catalogue())


@pytest.fixture(scope="module")
def pictures():
    return label_textures(2 * len(KINDS), 64)


def test_prints_are_the_same_every_time_and_for_any_count(pictures):
    assert np.array_equal(label_textures(3, 64), pictures[:3])
    assert not np.array_equal(label_textures(3, 64, seed=6), pictures[:3])
    assert pictures.shape == (2 * len(KINDS), 64, 64, 3)
    assert pictures.dtype == np.uint8


def test_no_two_layers_are_alike(pictures):
    flat = pictures.reshape(len(pictures), -1).astype(float)
    for first in range(len(flat)):
        gaps = np.abs(flat[first + 1 :] - flat[first]).mean(1)
        assert (gaps > 0.2).all()


def test_tones_are_light_and_nearly_grey_so_that_paint_shows(pictures):
    for k, picture in enumerate(pictures):
        kind = KINDS[k % len(KINDS)]
        assert picture.std() > 0.5 or kind in ("mug", "screen", "stripe")
        if kind in ("metal", "foam", "knurl", "grip", "pages", "paper", "scale", "fruit", "banana", "tennis"):
            assert kind not in PRINTS
            assert picture.mean() > 150
            assert np.ptp(picture.reshape(-1, 3).mean(0)) < 40


def test_every_kind_that_a_thing_asks_for_is_drawn():
    asked = {surface.label for solid in catalogue().values() for surface in solid.surfaces} - {None}
    assert asked <= set(KINDS)
    assert {material.grain for material in MATERIALS.values()} - {None} <= set(KINDS)
    for kind in KINDS:
        assert {KINDS[k % len(KINDS)] for k in layers_of(kind)} == {kind}
    assert sum(len(layers_of(kind)) for kind in set(KINDS)) == LABEL_LAYERS


@pytest.mark.parametrize("object_id", OBJECTS)
def test_things_are_dressed_as_their_surfaces_ask(object_id):
    solid = catalogue()[object_id]
    count, first = len(solid.surfaces), 72
    assert {paint.material for paint in solid.paints.values()} <= set(MATERIALS)
    right = 0
    for seed in range(24):
        look = dress(np.random.default_rng(seed), solid, first)
        again = dress(np.random.default_rng(seed), solid, first)
        assert np.array_equal(look.colours, again.colours)
        assert np.array_equal(look.layers, again.layers)
        assert look.colours.shape == (count, 3)
        assert look.layers.shape == (count,)
        assert look.tiling.shape == look.gloss.shape == (count, 2)
        assert 0 < look.colours.min() <= look.colours.max() <= 1
        assert look.layers.max() < first + LABEL_LAYERS
        assert look.tiling.min() > 0
        right += all(
            surface.label is None or (layer >= first and KINDS[(layer - first) % len(KINDS)] == surface.label)
            for surface, layer in zip(solid.surfaces, look.layers, strict=True)
        )
    assert right >= 15  # the others are dressed wildly


def test_some_things_wear_what_does_not_belong_to_them():
    solid, first = catalogue()["soup_can"], 72
    looks = [dress(np.random.default_rng(seed), solid, first) for seed in range(200)]
    wild = sum(not ({*look.layers.tolist()} <= {-1, *range(first, first + LABEL_LAYERS)}) for look in looks)
    assert 2 <= wild <= 40
