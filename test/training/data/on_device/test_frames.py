from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from prehend_training.data.datasets import ShardCorpus
from prehend_training.data.frames import (
    DetectorDataConfig,
    coarse_frame_segments,
    detector_targets,
    draw_affine,
    seen_hands,
    warp_frame,
)
from prehend_training.data.on_device.frames import ResidentDetectorBatches, draw_frames, load_frames

CONFIG = DetectorDataConfig(size_px=128, hand_px=(20.0, 120.0), photometric=None, flip_p=0.4)


class Told:
    """A random generator that gives the numbers it is told."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def _next(self, *_):
        return self.numbers.pop(0)

    uniform = normal = random = integers = _next


@pytest.fixture(scope="module")
def batches(frames):
    return ResidentDetectorBatches(load_frames([frames], "cpu"), CONFIG, 0, 6)


def affine_as_drawn(record, draws, row, config=CONFIG):
    """What the function of one sample makes of the numbers drawn for a batch."""
    hands = max(int(record["hand_count"]), 1)
    told = Told(
        draws.kind[row],
        int(draws.row[row] * hands),
        draws.ratio[row],
        draws.place[row] + 0.5,
        np.log(draws.hand_px[row]),
        np.log(draws.scale[row]),
        draws.turn_rad[row],
        1.0,
    )
    return draw_affine(record, replace(config, turn_rad=1.0, quarter_p=0.0), draws.flip[row], told)


@pytest.mark.parametrize("seed", range(3))
def test_maps_and_pictures_are_those_of_one_frame_given_the_same_numbers(frames, batches, seed):
    corpus = ShardCorpus([frames], "frames", twins=False)
    got = batches.examples(np.arange(12), np.random.default_rng(seed))
    draws = draw_frames(CONFIG, 12, np.random.default_rng(seed))
    size, stride, compared, hands = CONFIG.size_px, CONFIG.stride_px, 0, 0
    for row in range(12):
        record = corpus[row]
        affine, window = affine_as_drawn(record, draws, row), tuple(int(edge) for edge in draws.window[row])
        seen = seen_hands(record, affine, window, bool(draws.flip[row]))
        hands += len(seen)
        want = detector_targets(seen, size, stride)
        assert want.keys() | {"image", "segments"} == got.keys()
        for name, value in want.items():
            mine = got[name][row].numpy()
            assert mine.shape == value.shape and mine.dtype == value.dtype, name
            assert np.allclose(mine, value, atol=1e-3), name
        segments = coarse_frame_segments(record["segmentation"], affine, window, size, stride)
        assert (got["segments"][row].numpy() == segments).mean() > 0.98
        image = 255 * got["image"][row].permute(1, 2, 0).numpy()
        outside = np.ones((size, size), bool)
        outside[window[1] : window[3], window[0] : window[2]] = False
        assert not image[outside].any()
        if np.sqrt(abs(np.linalg.det(affine[:, :2]))) >= 0.75:  # smaller ones are averaged in another way
            assert np.abs(image - warp_frame(record["image"], affine, window, size)).mean() < 1.5
            compared += 1
    assert compared and hands


@pytest.mark.parametrize("scale", [0.2, 0.45, 0.65])
def test_small_frames_are_averaged_without_moving(batches, scale):
    rough = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    picture = cv2.resize(rough, (192, 192), interpolation=cv2.INTER_CUBIC)
    smooth = replace(batches.frames, image=torch.from_numpy(np.tile(picture, (12, 1, 1, 1))))
    whole = {"hand_p": 0.0, "place_p": 0.0, "turn_rad": 0.0, "quarter_p": 0.0}
    config = replace(CONFIG, scale=(1.5 * scale, 1.5 * scale), **whole)
    got = ResidentDetectorBatches(smooth, config, 0, 4).examples(np.arange(4), np.random.default_rng(1))
    draws = draw_frames(config, 4, np.random.default_rng(1))
    for row in range(4):
        affine = affine_as_drawn({"image": picture, "hand_count": 0}, draws, row, config)
        assert np.sqrt(abs(np.linalg.det(affine[:, :2]))) == pytest.approx(scale)
        want = warp_frame(picture, affine, tuple(int(edge) for edge in draws.window[row]), config.size_px)
        assert np.abs(255 * got["image"][row].permute(1, 2, 0).numpy() - want).mean() < 2


def test_changed_frames_are_black_outside_and_the_same_again(batches):
    changed = replace(batches, config=DetectorDataConfig(size_px=128, hand_px=(20.0, 120.0)))
    first, again = changed.batch(3), changed.batch(3)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert first["image"].min() >= 0 and first["image"].max() <= 1
    assert len(changed.batch(3, (1, 2))["image"]) == 3
