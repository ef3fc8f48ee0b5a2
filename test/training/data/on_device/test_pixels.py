from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from prehend_training.data import pixels as augment
from prehend_training.data.augment_presets import PAPER_CROPS, STRONG_CROPS
from prehend_training.data.on_device.degrade import blur_kernels, degrade, draw_degrading, jpeg
from prehend_training.data.on_device.draws import BackgroundDraws, ColourDraws, draw_colours, draw_patches
from prehend_training.data.on_device.pixels import background_pieces, change_colour, erase, paste, sample
from prehend_training.data.on_device.views import inverse_affines
from prehend_training.data.pixels import PhotometricConfig
from prehend_training.losses.distillation import laid_out_anew

SIZE = 64
Rng = np.random.default_rng
NOTHING = PhotometricConfig(coarse_p=0.0, blur_p=0.0, noise_p=0.0, jpeg_p=0.0, erase_p=0.0)


@pytest.fixture
def picture():
    coarse = Rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    return cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def to_tensor(*pictures):
    """(1, V, 3, S, S)."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()[None]


def to_array(pictures):
    return pictures[0, 0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("config", [PhotometricConfig(), STRONG_CROPS.photometric, PAPER_CROPS.photometric])
def test_light_and_colour_change_as_those_of_one_picture(picture, config):
    for seed in range(6):
        coloured = replace(config, grey_p=0.0)
        want = augment.change_colour(picture, coloured, Rng(seed))
        got = to_array(change_colour(to_tensor(picture), draw_colours(coloured, 1, Rng(seed))))
        # whole grey values there, cut off after every step
        assert np.abs(got - want).max() < 6 and np.abs(got - want).mean() < 2
    grey = to_array(change_colour(to_tensor(picture), draw_colours(PhotometricConfig(grey_p=1.0), 1, Rng(0))))
    assert np.ptp(grey, 2).max() < 0.01 < np.ptp(grey)


def test_many_pictures_change_as_each_of_them(picture):
    config = PAPER_CROPS.photometric  # whose steps come in an order by chance
    draws = draw_colours(config, 5, Rng(3))
    many = change_colour(to_tensor(picture).repeat(5, 1, 1, 1, 1), draws)
    for row in range(5):
        one = ColourDraws(**{name: value[row : row + 1] for name, value in vars(draws).items()})
        assert torch.allclose(many[row : row + 1], change_colour(to_tensor(picture), one), atol=1e-2)
    assert len(np.unique(draws.order, axis=0)) > 1


def test_another_background_has_the_same_edge(picture):
    keep = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(keep, (20, 30), 14, 1, -1)
    background = picture[::-1].copy()
    want = augment.paste(picture, keep, background)
    rows = torch.tensor([True])
    kept = torch.from_numpy(keep)[None, None] > 0
    got = to_array(paste(to_tensor(picture), kept, to_tensor(background)[0], rows))
    assert np.abs(got - want).max() < 2
    assert np.array_equal(to_array(paste(to_tensor(picture), kept, to_tensor(background)[0], ~rows)), picture)


@pytest.mark.parametrize("quality", [30, 75])
def test_jpeg_leaves_what_the_encoder_leaves(picture, quality):
    noisy = cv2.add(picture, Rng(1).integers(0, 30, picture.shape, np.uint8))
    packed = cv2.imencode(".jpg", noisy[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    want = cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1].astype(float)
    got = jpeg(to_tensor(noisy)[0], torch.tensor([quality]))[0].permute(1, 2, 0).numpy()
    assert np.abs(got - want).mean() < 1.5 < np.abs(noisy - want).mean()


def test_blur_is_that_of_its_kernel(picture):
    config = replace(NOTHING, blur_p=1.0, blur_sigma_px=3.0)
    draws = draw_degrading(config, SIZE, 3, Rng(0))
    assert draws.kernels.shape[0] == 3 and np.allclose(draws.kernels.sum((1, 2)), 1)
    pictures = degrade(to_tensor(picture).repeat(3, 1, 1, 1, 1), draws, torch.Generator())
    for row in range(3):
        want = cv2.filter2D(picture.astype(np.float32), -1, draws.kernels[row])
        assert np.abs(to_array(pictures[row : row + 1]) - want).max() < 0.1
    assert blur_kernels(np.zeros(0), 0.5, Rng(0)).shape == (0, 1, 1)


def test_coarse_and_noise_change_the_rows_they_are_drawn_for(picture):
    config = replace(NOTHING, coarse_p=0.5, noise_p=0.5, coarse_min=0.5)
    draws = draw_degrading(config, SIZE, 8, Rng(4))
    before = to_tensor(picture, picture).repeat(8, 1, 1, 1, 1)
    after = degrade(before.clone(), draws, torch.Generator().manual_seed(0))
    changed = (after != before).flatten(1).any(1).numpy()
    coarse_rows = draws.coarse_rows[draws.coarse_px < SIZE]
    assert set(np.flatnonzero(changed)) == {*coarse_rows, *draws.noise_rows} and 0 < changed.sum() < 8
    assert torch.equal(after[:, 0], after[:, 1])  # the twin is seen by the same camera
    row = next(row for row in coarse_rows if row not in draws.noise_rows)
    resolution = int(draws.coarse_px[list(draws.coarse_rows).index(row)])
    small = cv2.resize(picture, (resolution, resolution), interpolation=cv2.INTER_AREA)
    want = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    assert np.abs(to_array(after[row : row + 1]) - want).mean() < 2
    noise = next(row for row in draws.noise_rows if row not in draws.coarse_rows)
    sigma = draws.sigma[list(draws.noise_rows).index(noise)]
    assert (after - before)[noise].std() == pytest.approx(sigma, rel=0.1)


def test_shot_noise_grows_with_the_light_and_blocks_are_blocks():
    flat = torch.tensor([16.0, 144.0]).view(2, 1, 1, 1, 1).repeat(1, 1, 3, SIZE, SIZE)
    config = replace(NOTHING, noise_p=1.0, noise_sigma=0.0, shot_noise=8.0)
    draws = draw_degrading(config, SIZE, 2, Rng(0))
    draws.shot[:] = 8.0
    dark, light = (degrade(flat.clone(), draws, torch.Generator().manual_seed(0)) - flat).flatten(1).std(1)
    assert light == pytest.approx(6.0, rel=0.05) and dark == pytest.approx(2.0, rel=0.05)
    ramp = torch.arange(float(SIZE)).expand(1, 1, 3, SIZE, SIZE).clone()
    coarse = replace(NOTHING, coarse_p=1.0, coarse_min=0.25, coarse_blocks_p=1.0)
    draws = draw_degrading(coarse, SIZE, 1, Rng(0))
    draws.coarse_px[:] = 16
    assert len(degrade(ramp, draws, torch.Generator()).round(decimals=2).unique()) == 16


def test_erased_is_what_changed(picture):
    draws = draw_patches(replace(NOTHING, erase_p=0.6), SIZE, 12, Rng(0))
    before = to_tensor(picture).repeat(12, 1, 1, 1, 1)
    after = before.clone()
    hidden = erase(after, draws)
    changed = (after != before).any(2)[:, 0]
    assert 0 < len(draws.rows) < 12 and set(hidden.flatten(1).any(1).nonzero()[:, 0].tolist()) == set(draws.rows)
    assert not (changed & ~hidden).any() and changed.sum() > 0.95 * hidden.sum()


def test_pieces_of_backgrounds_are_turned_by_quarters(picture):
    backgrounds = torch.from_numpy(picture)[None]
    zeros, ones = np.zeros(4), np.ones(4)
    pieces = background_pieces(backgrounds, BackgroundDraws(zeros, ones, np.zeros((4, 2)), np.arange(4)), SIZE)
    turned = {quarter: np.rot90(picture, quarter) for quarter in range(4)}
    found = {
        next(q for q, want in turned.items() if np.abs(piece.permute(1, 2, 0).numpy() - want).max() < 1e-2)
        for piece in pieces
    }
    assert found == set(range(4))
    part = background_pieces(
        backgrounds, BackgroundDraws(zeros[:1], np.array([0.5]), np.full((1, 2), 0.99), np.zeros(1, int)), SIZE // 2
    )
    assert np.abs(part[0].permute(1, 2, 0).numpy() - picture[SIZE // 2 :, SIZE // 2 :]).max() < 1e-2


def test_pictures_end_black_or_smeared(picture):
    away = torch.tensor([[[1.0, 0.0, 40.0], [0.0, 1.0, 0.0]]], dtype=torch.float64)
    source = to_tensor(picture)[0]
    black = sample(source, away, SIZE, torch.tensor([False]))[0]
    smeared = sample(source, away, SIZE, torch.tensor([True]))[0]
    assert torch.allclose(black[..., : SIZE - 40], source[0, ..., 40:], atol=0.01) and not black[..., -20:].any()
    assert torch.allclose(smeared[..., -20:], source[0, ..., -1:].expand(-1, -1, 20), atol=0.01)
    back = inverse_affines(inverse_affines(away))
    assert torch.allclose(back, away)


def test_maps_laid_out_anew_keep_their_place():
    torch.manual_seed(0)
    middle = torch.tensor([[9.0, 14.0]])
    steps = torch.arange(32.0)
    bump = torch.softmax(-((steps - middle[:, :, None]) ** 2) / 8, -1)
    maps = (bump[:, 1, :, None] * bump[:, 0, None, :])[:, None]
    region, wanted = torch.tensor([[10.0, 20.0, 74.0, 84.0]]), torch.tensor([[0.0, 0.0, 100.0, 120.0]])
    anew = laid_out_anew(maps, region, wanted, 16)
    assert anew.shape == (1, 1, 16, 16) and anew.sum() == pytest.approx(1, abs=1e-5)
    cells = torch.arange(16.0) + 0.5
    x, y = (anew[0, 0].sum(0) * cells).sum() / 16 * 100, (anew[0, 0].sum(1) * cells).sum() / 16 * 120
    assert x == pytest.approx(10 + (9.5 / 32) * 64, abs=0.5) and y == pytest.approx(20 + (14.5 / 32) * 64, abs=0.5)
