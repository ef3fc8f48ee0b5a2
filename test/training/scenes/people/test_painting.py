"""Painted textures: where lines, spots and hair may be, cloth that goes around an arm, colours that are as said."""

import cv2
import numpy as np
import pytest

from prehend_training.scenes.people.clothing_textures import (
    CLOTH_KINDS,
    CLOTHS,
    DIAL_COUNT,
    DIAL_GRID,
    THIN_GLOVES,
    WORK_GLOVES,
    paint_cloth,
    paint_dials,
    paint_glove,
)
from prehend_training.scenes.people.hand_atlas import atlas_uv
from prehend_training.scenes.people.skin import HEIGHT_M, SKINS, SkinMaterial, coded, paint_skin, skin_tone
from prehend_training.scenes.people.skin_lines import freckles, hair, palm_creases, veins
from prehend_training.scenes.people.skin_map import BANDS_M, TILE_PX, forearm_chart, skin_map, smooth_step, tile_uv


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def layout():
    return skin_map()


@pytest.fixture(scope="module")
def cloths():
    return [paint_cloth(number) for number in range(CLOTHS)]


def linear(tile):
    return (tile[..., :3] / 255.0) ** 2


def test_colours_and_heights_are_coded_and_come_back():
    albedo, height = rng().uniform(0.01, 0.9, (500, 3)), rng(1).uniform(-0.0014, 0.0014, 500)
    texture = coded(albedo, height)
    assert np.abs((texture[:, :3] / 255.0) ** 2 - albedo).max() < 0.009
    assert np.abs((texture[:, 3] / 255.0 - 0.5) * HEIGHT_M - height).max() < HEIGHT_M / 254
    extreme = coded(np.array([[-1.0, 0, 2]]), np.array([1.0]))
    assert extreme[0, 3] == 255 and extreme[0, 2] < 255 and extreme[0, 0] > 0  # neither black nor all white


@pytest.mark.parametrize("draw", [palm_creases, veins])
def test_lines_are_shares_and_those_of_their_seed(draw):
    first, again, other = draw(rng(1)), draw(rng(1)), draw(rng(2))
    assert first.shape == skin_map().texels.shape and first.min() >= 0 and first.max() <= 1
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert 0.001 < (first > 0.1).mean() < 0.3


def test_creases_are_in_the_palm_and_veins_mostly_on_the_back(layout):
    for seed in range(3):
        crease, vein = palm_creases(rng(seed)), veins(rng(seed))
        assert layout.facing[crease > 0.15].max() < 0.3 and np.mean(layout.facing[crease > 0.15]) < -0.5
        assert (layout.digit[crease > 0.15] > 0.9).mean() < 0.2
        assert (layout.facing[vein > 0.15] > 0).mean() > 0.6


def test_more_freckles_cover_more_and_none_where_there_is_no_pigment(layout):
    pigment = (layout.facing > 0).astype(np.float32)
    cover = [freckles(rng(3), count, pigment) for count in (0, 20, 200)]
    assert not cover[0].any() and 0 < (cover[1] > 0.1).sum() < (cover[2] > 0.1).sum()
    # a spot may reach over the edge of its field
    assert (layout.facing[cover[2] > 0.3] > -0.35).mean() > 0.99
    assert not freckles(rng(3), 50, 0 * pigment).any()


def test_hair_grows_on_the_outside_and_not_in_the_palm(layout):
    strands = hair(rng(4), 1.0, layout)
    arm, palm = layout.arm > 0.9, (layout.arm < 0.1) & (layout.facing < -0.6)
    assert strands.min() >= 0 and strands[arm & (layout.facing > 0.5)].mean() > 20 * max(strands[palm].mean(), 1e-6)
    assert hair(rng(4), 0.3, layout).sum() < 0.6 * strands.sum()


def test_every_texel_of_a_tile_gets_the_colour_of_the_nearest_on_the_skin(layout):
    assert np.array_equal(layout.fill.ravel()[layout.texels], np.arange(len(layout.texels)))
    at = rng(5).integers(0, TILE_PX, (40, 2))
    for x, y in at:
        nearest = np.linalg.norm(layout.xy - [x, y], axis=1)
        # the distance transform works on a grid of a few directions
        assert nearest[layout.fill[y, x]] <= 1.06 * nearest.min() + 1.0
    colours = rng(6).integers(0, 256, (len(layout.texels), 4)).astype(np.uint8)
    tile = layout.spread(colours)
    assert np.array_equal(tile.reshape(-1, 4)[layout.texels], colours) and tile.shape == (TILE_PX, TILE_PX, 4)


def test_the_map_knows_its_places(layout):
    assert layout.facing.min() >= -1.05 and layout.facing.max() <= 1.05
    for name in ("arm", "digit", "tip", "knuckle", "nail"):
        values = getattr(layout, name)
        assert values.shape == layout.texels.shape and values.min() >= -1e-6 and values.max() <= 1 + 1e-6, name
    assert (layout.places[layout.arm > 0.99, 0] > 0).all() and (layout.places[layout.tip > 0.9, 0] < -0.07).all()
    assert not (layout.nail > 0.5)[layout.arm > 0].any() and (layout.facing[layout.nail > 0.5] > 0).mean() > 0.95
    # neighbours in the texture are neighbours on the hand
    step = np.diff(layout.texels) == 1
    assert np.quantile(np.linalg.norm(np.diff(layout.places, axis=0)[step], axis=1), 0.99) < 0.003


def test_noise_has_unit_deviation_and_the_wavelength_of_its_band(layout):
    assert layout.noises.shape[0] == len(BANDS_M)
    assert layout.noises.std(axis=2) == pytest.approx(1, abs=0.35)
    pairs = rng(7).integers(0, len(layout.texels), 4000)
    near = np.linalg.norm(layout.places[pairs] - layout.places[np.roll(pairs, 1)], axis=1) < 0.01
    row = np.diff(layout.texels) == 1  # about 0.6 mm apart
    change = [np.diff(band[0])[row].std() for band in layout.noises]
    assert change == sorted(change) and near.sum() >= 0  # shorter waves change more from texel to texel


def test_charts_stay_inside_their_tile():
    uv = tile_uv()
    assert uv.min() >= 0 and uv.max() <= 1
    arm = forearm_chart(uv)
    assert 0.05 < arm.mean() < 0.6
    inside = atlas_uv(11, uv) * 8 - [3, 1]
    assert inside.min() > 0 and inside.max() < 1


def test_smooth_steps_rise_once_between_their_ends():
    x = np.linspace(-1, 2, 301)
    step = smooth_step(x, 0.0, 1.0)
    assert (step[x <= 0] == 0).all() and (step[x >= 1] == 1).all() and (np.diff(step) >= 0).all()
    assert np.allclose(step + smooth_step(1 - x, 0.0, 1.0), 1)


@pytest.mark.parametrize("number", [3, 20, 36])
def test_the_tone_that_faces_get_is_that_of_the_back_of_the_hand(layout, number):
    tile = paint_skin(number)
    back = (layout.facing > 0.5) & (layout.nail < 0.01)
    painted = linear(tile).reshape(-1, 3)[layout.texels[back]].mean(0)
    tone = skin_tone(SkinMaterial(number, np.ones(3), np.ones(3)))
    assert painted == pytest.approx(tone, rel=0.3) and 0 <= number < SKINS
    assert np.allclose(skin_tone(SkinMaterial(number, np.full(3, 0.5), np.ones(3))), 0.5 * tone)


def test_cloth_is_light_and_goes_around_the_arm_without_a_step(cloths):
    for number, tile in enumerate(cloths):
        assert tile.shape == (TILE_PX, TILE_PX, 4) and tile.dtype == np.uint8
        assert linear(tile).mean() > 0.2, number
        soft = cv2.blur(tile[..., :3].astype(np.float32), (1, 31))
        seam = np.abs(soft[:, 0] - soft[:, -1]).mean()
        inner = np.abs(soft[:, 0] - soft[:, TILE_PX // 2]).mean()
        step = np.abs(np.diff(soft, axis=1)).mean((0, 2))
        assert seam < max(4 * step.max(), inner), number
    assert len({tile.tobytes() for tile in cloths}) == CLOTHS
    assert sorted(number for numbers in CLOTH_KINDS.values() for number in numbers) == list(range(CLOTHS))


def test_only_striped_and_checked_cloth_has_colours_of_its_own(cloths):
    tinted = {number for number, tile in enumerate(cloths) if np.ptp(tile[..., :3].mean((0, 1))) > 2}
    assert tinted <= {*CLOTH_KINDS["striped"], *CLOTH_KINDS["checked"]} and tinted


def test_thin_gloves_are_white_and_work_gloves_have_their_colours(layout):
    thin = [paint_glove(WORK_GLOVES + k) for k in range(THIN_GLOVES)]
    assert all(np.ptp(tile[..., :3], axis=2).max() == 0 and linear(tile).mean() > 0.5 for tile in thin)
    work = [paint_glove(k) for k in range(WORK_GLOVES)]
    means = [linear(tile).reshape(-1, 3)[layout.texels].mean(0) for tile in work]
    gaps = [np.abs(a - b).max() for k, a in enumerate(means) for b in means[:k]]
    assert min(gaps) > 0.02
    dipped = linear(work[1]).reshape(-1, 3)[layout.texels]  # grey knit with a black palm
    assert dipped[layout.facing > 0.5].mean() > 3 * dipped[layout.facing < -0.5].mean()


def test_watch_faces_fill_their_cells_and_differ():
    tile, size = paint_dials(), TILE_PX // DIAL_GRID
    cells = tile.reshape(DIAL_GRID, size, DIAL_GRID, size, 4).swapaxes(1, 2).reshape(DIAL_COUNT, size, size, 4)
    assert len({cell.tobytes() for cell in cells}) == DIAL_COUNT and (tile[..., 3] == 128).all()
    assert all(cell[..., :3].std() > 5 for cell in cells)
