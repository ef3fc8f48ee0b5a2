import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from prehend_training.scenes.people import hand_atlas
from prehend_training.scenes.people.hand_atlas import (
    ATLAS_TILES,
    LEVELS,
    atlas_uv,
    paint_tile,
    tile_corner,
    tile_levels,
)
from prehend_training.scenes.people.limb import drawn_hand
from prehend_training.scenes.people.skin import SKINS, paint_skin, sample_skin, skin_tone
from prehend_training.scenes.people.skin_map import TILE_PX, skin_map, tile_uv

LIGHT, MIDDLE, DARK = 2, SKINS // 2, SKINS - 2


@pytest.fixture(scope="module")
def skins() -> dict[int, np.ndarray]:
    return {number: paint_skin(number) for number in (LIGHT, MIDDLE, DARK)}


def albedo(tile: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(3,) mean linear albedo of some of the skin's texels."""
    return ((tile.reshape(-1, 4)[skin_map().texels[chosen], :3] / 255.0) ** 2).mean(0)


@pytest.mark.parametrize("number", [7, hand_atlas.FIRST_GLOVE + 2, hand_atlas.FIRST_CLOTH + 5, hand_atlas.DIALS])
def test_a_tile_is_the_same_for_the_same_number_and_only_for_it(number):
    assert (paint_tile(number) == paint_tile(number)).all()
    if number < hand_atlas.DIALS:
        assert (paint_tile(number) != paint_tile(number + 1)).mean() > 0.2


def test_all_tiles_fit_in_the_atlas_and_do_not_overlap():
    corners = {tile_corner(number) for number in range(hand_atlas.DIALS + 1)}
    assert len(corners) == hand_atlas.DIALS + 1
    assert all(0 <= column < ATLAS_TILES and 0 <= row < ATLAS_TILES for column, row in corners)
    uv = atlas_uv(9, np.array([[0.0, 0.0], [1.0, 1.0], [0.3, 0.8]]))
    assert (np.floor(uv * ATLAS_TILES) == tile_corner(9)).all()


def test_mip_levels_halve_and_keep_the_mean():
    levels = tile_levels(MIDDLE)
    assert [len(level) for level in levels] == [TILE_PX >> k for k in range(LEVELS)]
    assert np.abs(levels[-1].mean((0, 1)) - levels[0].mean((0, 1))).max() < 3


def test_skins_span_light_and_dark_in_order(skins):
    layout = skin_map()
    back = (layout.facing > 0.5) & (layout.nail < 0.01)
    light, middle, dark = (albedo(skins[number], back) @ [0.2126, 0.7152, 0.0722] for number in (LIGHT, MIDDLE, DARK))
    assert light > 1.5 * middle > 2.5 * dark
    assert light / dark > 8


def test_palms_of_dark_hands_are_lighter_than_their_backs_but_no_pinker(skins):
    layout = skin_map()
    hand = (layout.arm < 0.01) & (layout.nail < 0.01)
    palm, back = (albedo(skins[DARK], hand & side) for side in (layout.facing < -0.6, layout.facing > 0.6))
    assert (palm > 2 * back).all()
    assert palm[0] / palm[1] < 1.25 * back[0] / back[1]


def test_light_hands_differ_less_between_palm_and_back(skins):
    layout = skin_map()
    hand = (layout.arm < 0.01) & (layout.nail < 0.01)
    ratios = []
    for number in (LIGHT, DARK):
        palm, back = (albedo(skins[number], hand & side) for side in (layout.facing < -0.6, layout.facing > 0.6))
        ratios.append(palm.mean() / back.mean())
    assert 0.7 < ratios[0] < 1.3 < ratios[1]


def test_nails_are_painted_where_the_model_has_them_and_nowhere_else(skins):
    model, layout = drawn_hand(), skin_map()
    uv = np.zeros((model.num_vertices, 2))
    uv[model.faces.ravel()] = tile_uv()[model.uv_faces.ravel()]
    column, row = np.clip((uv * TILE_PX).astype(int), 0, TILE_PX - 1).T
    nail = np.zeros(TILE_PX * TILE_PX)
    nail[layout.texels] = layout.nail
    at_vertices = nail.reshape(TILE_PX, TILE_PX)[row, column]
    assert (at_vertices[model.nail_weights > 0.9] > 0.5).mean() > 0.95
    far = cKDTree(model.v_template[model.nail_weights > 0.5]).query(layout.places)[0]
    assert far[layout.nail > 0.1].max() < 0.009
    plate, around = layout.nail > 0.9, (layout.nail < 0.01) & (far < 0.012) & (layout.facing > 0)
    assert albedo(skins[DARK], plate).mean() > 1.5 * albedo(skins[DARK], around).mean()


def test_five_nails_have_human_sizes():
    layout, model = skin_map(), drawn_hand()
    digit = np.linalg.norm(layout.places[:, None] - model.joints_template[3::3], axis=2).argmin(1)
    for k in range(5):
        own = layout.places[(layout.nail > 0.5) & (digit == k)]
        extent = np.sort(
            np.ptp((own - own.mean(0)) @ np.linalg.svd(own - own.mean(0), full_matrices=False)[2].T, axis=0)
        )
        assert 0.006 < extent[1] < 0.016 and 0.008 < extent[2] < 0.018


def test_texture_knows_no_seams():
    """On both sides of a cut of the texture lies the same skin, so the fields that paint it must agree there."""
    model, layout = drawn_hand(), skin_map()
    uv = tile_uv()
    rows = np.zeros(len(uv), int)
    rows[model.uv_faces.ravel()] = model.faces.ravel()
    tile = cv2.GaussianBlur(paint_skin(MIDDLE)[..., :3].astype(np.float32), (0, 0), 2)
    column, row = np.clip((uv * TILE_PX).astype(int), 0, TILE_PX - 1).T
    seen = tile[row, column]
    twins = [np.flatnonzero(rows == vertex) for vertex in np.flatnonzero(np.bincount(rows) > 1)]
    steps = np.array([np.abs(seen[pair[0]] - seen[pair[-1]]).max() for pair in twins])
    assert np.median(steps) < 0.06 * np.ptp(seen)
    assert layout.fill.shape == (TILE_PX, TILE_PX)


def test_people_have_light_and_dark_skin_alike():
    rng = np.random.default_rng(0)
    drawn = [sample_skin(rng) for _ in range(600)]
    shares = np.histogram([one.painting for one in drawn], 6, (0, SKINS))[0] / len(drawn)
    assert shares.min() > 0.1
    assert skin_tone(drawn[0]).shape == (3,)
    assert all((one.gloss > 0).all() for one in drawn)
