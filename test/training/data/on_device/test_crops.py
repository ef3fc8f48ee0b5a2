import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from prehend.errors import AssetError
from prehend.types import Box
from prehend_training.data.crop_targets import absent_targets, hand_targets, object_targets, warp_segments
from prehend_training.data.crops import CropBatches, CropDataConfig, exact
from prehend_training.data.datasets import ShardCorpus
from prehend_training.data.on_device.crops import ResidentCropBatches
from prehend_training.data.on_device.draws import BESIDE, EMPTY, HELD_ALONE, PRESENT, draw_views
from prehend_training.data.on_device.store import BACKGROUND_EVERY, load_resident
from prehend_training.data.views import (
    ViewConfig,
    apply_affine,
    draw_box,
    draw_turn,
    mirror_left,
    mirror_right,
    view_of,
)

CONFIG = CropDataConfig()
MAPS = {"segments", "object_mask"}
"""Read at the nearest pixel, which is another one where two are equally near."""


class Told:
    """A random generator that gives the numbers it is told."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def _next(self, *_):
        return self.numbers.pop(0)

    uniform = normal = random = _next


@pytest.fixture(scope="module")
def resident(crops):
    return load_resident([crops], "cpu")


def assert_like(got, want, row):
    assert want.keys() <= got.keys()
    for name, value in want.items():
        mine = got[name][row].numpy()
        assert mine.shape == np.shape(value) and mine.dtype == np.asarray(value).dtype, name
        if name in MAPS:
            assert (mine == value).mean() > 0.98, name
        else:
            assert np.allclose(mine, value, atol=1e-4), name


def test_without_changes_the_batch_is_that_of_the_arrays(crops, resident):
    config = exact(replace(CONFIG, absent_p=0.0))
    batches = CropBatches(ShardCorpus([crops], "crops"), config, 0, 24)
    got = ResidentCropBatches(resident, config, 0, 24).examples(np.arange(24), np.random.default_rng(0))
    hands, sides = 0, set()
    for row in range(24):
        want = batches.example(row, np.random.default_rng(0))
        assert got.keys() == want.keys()
        for name in ("image", "image_deoccluded"):
            mine = 255 * got[name][row].permute(1, 2, 0).numpy()
            assert np.abs(mine - want.pop(name)).mean() < 1.5, name
        assert_like(got, want, row)
        hands += want["has_points"]
        sides.add(int(batches.corpus[row]["side"][0]))
    assert 0 < hands < 24 and sides == {0, 1}  # the law was tried on all kinds


def view_as_drawn(record, draws, row):
    """The view that the functions of one sample make of the numbers drawn for a batch."""
    size, shape = CONFIG.size_px, record["image"].shape[1::-1]
    turn_config = ViewConfig(turn_p=0.0, turn_rad=1.0)
    turn = draw_turn(shape, turn_config, Told(1.0, draws.turn_rad[row]))

    def box(points, drawn):
        told = Told(drawn.shift[row], drawn.scale[row], np.log(drawn.stretch[row]))
        return draw_box(Box.around(apply_affine(turn, points)), ViewConfig(), told)

    hand, thing = box(record["keypoints_px"][0], draws.hand), None
    if record["has_object"][0] and not draws.whole[row]:
        thing = box(record["object_keypoints_px"][0, 0], draws.thing)
    return view_of(turn, hand, thing, shape, record["K"], size)


def test_labels_of_a_drawn_view_are_those_of_one_sample_given_the_same_numbers(crops, resident):
    view = ViewConfig(scale_sigma=0.2, turn_limit_rad=0.4, still_p=0.2)
    config = replace(CONFIG, view=view, photometric=None, wrong_side_p=0.4, absent_p=0.4)
    corpus = ShardCorpus([crops], "crops")
    batches = CropBatches(corpus, config, 0, 1)
    got = ResidentCropBatches(resident, config, 0, 24).examples(np.arange(24), np.random.default_rng(5))
    draws = draw_views(config, 24, np.random.default_rng(5))
    for row in range(24):
        record = (mirror_right if draws.wrong_side[row] else mirror_left)(corpus[row])
        if draws.kind[row] == BESIDE:
            view = batches._view_beside(record, Told(*draws.beside[row]))
        else:
            view = view_as_drawn(record, draws, row)
        if draws.kind[row] == PRESENT:
            segments = warp_segments(record["segmentation"], view, config.size_px, 0)
            want = hand_targets(record, view) | object_targets(record, view, segments, config.object_grid)
        else:
            nothing = np.zeros((config.size_px, config.size_px), np.uint8)
            bare = {**record, "grasp": np.zeros(1, np.bool_)}
            want = absent_targets(view) | object_targets(bare, view, nothing, config.object_grid)
        assert_like(got, want, row)
    assert set(draws.kind) == {PRESENT, BESIDE, HELD_ALONE, EMPTY} and draws.wrong_side.any()


def test_crops_without_the_hand_do_not_show_it(resident):
    config = replace(exact(CONFIG), absent_p=1.0)
    rng, n = np.random.default_rng(1), len(resident)
    batch = ResidentCropBatches(resident, config, 0, n).examples(np.arange(n), rng)
    kinds = draw_views(config, n, np.random.default_rng(1)).kind
    assert batch["presence"].sum() == 0 and batch["has_twin"].sum() == 0
    assert not (batch["segments"][torch.from_numpy(kinds == HELD_ALONE)] == 1).any()
    assert not batch["segments"][torch.from_numpy(kinds == EMPTY)].any()
    assert torch.equal(batch["image"], batch["image_deoccluded"])


def test_a_picture_and_its_twin_are_changed_alike(resident):
    config = replace(CONFIG, absent_p=0.0)
    batch = ResidentCropBatches(resident, config, 0, 24).examples(np.arange(24), np.random.default_rng(2))
    same = (resident.image == resident.twin).flatten(1).all(1)
    assert 0 < same.sum() < 24
    assert torch.equal(batch["image"][same], batch["image_deoccluded"][same])
    assert not torch.equal(batch["image"][~same], batch["image_deoccluded"][~same])
    assert all(bool(torch.isfinite(value).all()) for value in batch.values())
    assert batch["image"].min() >= 0 and batch["image"].max() <= 1


def test_a_step_makes_the_same_batch_again_and_parts_share_it(resident):
    batches = ResidentCropBatches(resident, CONFIG, 3, 6)
    first, again, other = batches.batch(1), batches.batch(1), batches.batch(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["image"], other["image"])
    assert len(batches.batch(1, (0, 2))["image"]) == len(batches.batch(1, (1, 2))["image"]) == 3
    # in an epoch every crop comes once
    betas = torch.cat(
        [replace(batches, config=replace(exact(CONFIG), absent_p=0.0)).batch(k)["betas"] for k in range(4)]
    )
    assert len(torch.unique(betas, dim=0)) == 24


def test_fewer_crops_are_taken_where_memory_is_short(crops, resident, caplog):
    assert len(resident.backgrounds) == -(-24 // BACKGROUND_EVERY)
    with caplog.at_level(logging.WARNING):
        part = load_resident([crops], "cpu", limit=12)
    assert len(part) == 12 and not caplog.records
    assert torch.equal(part.image[1], resident.image[2])  # evenly from all
    with pytest.raises(AssetError, match="too few"):
        load_resident([crops], "cpu", memory=5 * part.nbytes // 12)
    assert load_resident([crops], "cpu", twins=False).twin is None
