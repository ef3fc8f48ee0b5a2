from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from prehend_training.data.augment_presets import PAPER_CROPS, STRONG_CROPS
from prehend_training.data.pixels import opencv
from prehend_training.data.pixels.draws import (
    Degrading,
    Noise,
    PhotometricConfig,
    draw_changes,
    draw_colours,
    draw_degrading,
    hidden_by,
)
from prehend_training.data.pixels.plans import Background
from prehend_training.data.pixels.torch_ import Pool, backgrounds, change_colour, changed, erase, inverse_affines, paste
from prehend_training.data.pixels.torch_degrade import blur_kernels, degrade, jpeg
from prehend_training.losses.distillation import laid_out_anew

SIZE = 64
Rng = np.random.default_rng
ALWAYS = dict.fromkeys(("coarse_p", "blur_p", "noise_p", "jpeg_p", "erase_p"), 1.0)
NOTHING = Degrading(None, False, None, None, None, None, None)
WHOLE = (0, 0, SIZE, SIZE)


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
def test_light_and_colour_change_as_on_the_cpu(picture, config):
    for seed in range(6):
        draws = draw_colours(config, Rng(seed))
        want, got = opencv.change_colour(picture, draws), to_array(change_colour(to_tensor(picture), [draws]))
        # whole grey values there, cut off after every step
        assert np.abs(got - want).max() < 6 and np.abs(got - want).mean() < 2


def test_many_images_change_as_each_of_them(picture):
    config = PAPER_CROPS.photometric  # whose steps come in an order by chance
    draws = [draw_colours(config, Rng(seed)) for seed in range(5)]
    many = change_colour(to_tensor(picture).repeat(5, 1, 1, 1, 1), draws)
    for row in range(5):
        assert torch.allclose(many[row : row + 1], change_colour(to_tensor(picture), [draws[row]]), atol=1e-2)
    assert len({one.order for one in draws}) > 1


def test_another_background_has_the_same_edge(picture):
    keep = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(keep, (20, 30), 14, 1, -1)
    background = picture[::-1].copy()
    want = opencv.paste(picture, keep, background)
    kept = torch.from_numpy(keep)[None, None] > 0
    got = to_array(paste(to_tensor(picture), kept, to_tensor(background)[0]))
    assert np.abs(got - want).max() < 2


WORSE = {
    "coarse": Degrading((40, 33), False, None, None, None, None, None),
    "blocks": Degrading((20, 20), True, None, None, None, None, None),
    "out of focus": Degrading(None, False, 1.4, None, None, None, None),
    "moved": Degrading(None, False, 2.2, 0.7, None, None, None),
    "noise": Degrading(None, False, None, None, Noise((3, 700), 6.0), None, None),
    "shot noise": Degrading(None, False, None, None, Noise((3, 700), 2.0), Noise((9, 5), 9.0), None),
    "JPEG": Degrading(None, False, None, None, None, None, 40),
}


@pytest.mark.parametrize("way", WORSE)
def test_each_worse_camera_is_that_of_the_cpu(way, picture):
    """Of rows that are told; the others, and what the twin shows beside, stay."""
    before = to_tensor(picture, picture).repeat(3, 1, 1, 1, 1)
    after = degrade(before.clone(), [NOTHING, WORSE[way], NOTHING], [WHOLE] * 3)
    assert torch.equal(after[[0, 2]], before[[0, 2]]) and torch.equal(after[1, 0], after[1, 1])
    want = opencv.degrade(picture, WORSE[way])
    assert np.abs(to_array(after[1:2]) - want).mean() < 1.5 < np.abs(picture.astype(float) - want).mean() + 1


def test_all_changes_together_are_those_of_the_cpu(picture):
    config = replace(STRONG_CROPS.photometric, **ALWAYS)
    drawn = [draw_changes(config, (SIZE, SIZE), Rng(seed)) for seed in range(6)]
    got = changed(to_tensor(picture).repeat(6, 1, 1, 1, 1), drawn)
    for row, one in enumerate(drawn):
        off = np.abs(to_array(got[row : row + 1]) - opencv.changed(picture, one))
        assert off.mean() < 6  # JPEG at low quality shows every rounding


def test_a_part_of_an_image_is_degraded_as_if_alone(picture):
    """Noise and fewer pixels of a window; beside it nothing changes its resolution."""
    x0, y0, x1, y1 = window = (8, 0, 56, SIZE)
    for way in ("coarse", "noise"):
        got = to_array(degrade(to_tensor(picture), [WORSE[way]], [window]))
        want = opencv.degrade(np.ascontiguousarray(picture[y0:y1, x0:x1]), WORSE[way])
        assert np.abs(got[y0:y1, x0:x1] - want).mean() < 1


def test_what_is_drawn_stays_in_its_limits():
    draws = [draw_degrading(STRONG_CROPS.photometric, (SIZE, SIZE), Rng(seed)) for seed in range(200)]
    coarse = [one.coarse_px for one in draws if one.coarse_px is not None]
    least = STRONG_CROPS.photometric.coarse_min * SIZE
    assert 40 < len(coarse) < 100 and all(least - 1 <= side <= SIZE for size in coarse for side in size)
    assert all(one.shot is not None for one in draws if one.noise is not None)
    low, high = STRONG_CROPS.photometric.jpeg_quality
    assert {low <= one.quality < high for one in draws if one.quality is not None} == {True}
    assert blur_kernels([]).shape == (0, 1, 1)


def test_erased_is_what_changed(picture):
    config = PhotometricConfig(erase_p=0.6)
    drawn = [draw_changes(config, (SIZE, SIZE), Rng(seed)) for seed in range(12)]
    before = to_tensor(picture).repeat(12, 1, 1, 1, 1)
    after = before.clone()
    erase(after, drawn)
    different = (after != before).any(2)[:, 0].numpy()
    hidden = np.stack([hidden_by(one.patches, (SIZE, SIZE)) for one in drawn])
    assert not (different & ~hidden).any() and different.sum() > 0.95 * hidden.sum() > 0
    for row, one in enumerate(drawn):
        assert np.array_equal(to_array(after[row : row + 1]), opencv.erase(picture, one.patches))
    assert 0 < sum(bool(one.patches) for one in drawn) < 12


def pool_of(picture, codes=None):
    """A pool of one image, which is its own background."""
    codes = np.zeros(picture.shape[:2], np.uint8) if codes is None else codes
    pixels = torch.from_numpy(np.dstack([picture, codes])).reshape(-1, 4)
    one = np.zeros(1, np.int64)
    return Pool(pixels, torch.zeros(1, dtype=torch.int64), torch.tensor([picture.shape[1::-1]]), one, one, one)


@pytest.mark.parametrize("quarters", range(4))
def test_pieces_of_backgrounds_are_those_of_the_cpu(quarters, picture):
    source = {"image": picture, "segmentation": np.zeros((SIZE, SIZE), np.uint8), "slot": np.int64(0)}
    for side, corner in ((SIZE, (0, 0)), (40, (20, 3))):
        chosen = Background(source, side, corner, quarters)
        got = backgrounds(pool_of(picture), [chosen], SIZE)[0].permute(1, 2, 0).numpy()
        assert np.abs(got - opencv.background(chosen, SIZE)).mean() < 1


@pytest.mark.parametrize("smear", [True, False])
def test_images_through_maps_are_those_of_the_cpu(smear, picture):
    picture = picture[:50]  # wider than high
    codes = (picture[..., 0] > 128).astype(np.uint8)
    affine = np.array([[0.9, -0.5, 20.0], [0.5, 0.9, -12.0]])
    pool, one = pool_of(picture, codes), np.zeros(1, np.int64)
    to_source = inverse_affines(affine[None])
    assert np.allclose(inverse_affines(to_source), affine)
    got = pool.seen(one, to_source, SIZE, np.array([smear]))[0].permute(1, 2, 0).numpy()
    assert np.abs(got - opencv.warp(picture, affine, SIZE, smear)).mean() < 1
    nearest = pool.codes(one, to_source, SIZE)[0].numpy()
    assert (nearest == opencv.warp_segments(codes, affine, SIZE, 0)).mean() > 0.98


@pytest.mark.parametrize("quality", [30, 75])
def test_jpeg_leaves_what_the_encoder_leaves(picture, quality):
    noisy = cv2.add(picture, Rng(1).integers(0, 30, picture.shape, np.uint8))
    packed = cv2.imencode(".jpg", noisy[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    want = cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1].astype(float)
    got = jpeg(to_tensor(noisy)[0], torch.tensor([quality]))[0].permute(1, 2, 0).numpy()
    assert np.abs(got - want).mean() < 1.5 < np.abs(noisy - want).mean()


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
