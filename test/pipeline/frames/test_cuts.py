"""Photographs in a loop are no video: what is remembered of one must not hide a hand of the next."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from prehend.pipeline.frames.cuts import Cuts
from prehend.pipeline.load import load_estimator
from prehend.resources import resource


@pytest.fixture(scope="module")
def clip() -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(resource("hands.mp4"))), []
    while (read := capture.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    return frames


def scene(seed: int) -> np.ndarray:
    """Another place: smooth colours."""
    coarse = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)


def test_a_video_is_never_cut(clip: list[np.ndarray]) -> None:
    cuts = Cuts()
    assert not any(cuts.step(frame) for frame in clip)


def test_other_places_are() -> None:
    cuts = Cuts()
    assert [cuts.step(scene(seed)) for seed in range(5)] == [False, True, True, True, True]


@pytest.mark.parametrize("change", [
    lambda image: cv2.convertScaleAbs(image, alpha=0.4),
    lambda image: cv2.convertScaleAbs(image, beta=60),
    lambda image: cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA),
    lambda image: np.roll(image, 12, axis=1),
])  # fmt: skip
def test_light_size_and_a_small_movement_are_no_cut(
    clip: list[np.ndarray], change: Callable[[np.ndarray], np.ndarray]
) -> None:
    cuts = Cuts()
    cuts.step(clip[0])
    assert not cuts.step(np.ascontiguousarray(change(clip[0])))


def test_darkness_says_nothing(clip: list[np.ndarray]) -> None:
    cuts, dark = Cuts(), np.random.default_rng(0).integers(0, 3, (480, 640, 3), dtype=np.uint8)
    assert not any(cuts.step(image) for image in (clip[0], dark, clip[0], dark))


def test_tiny_images_are_compared_too() -> None:
    cuts = Cuts()
    assert not cuts.step(scene(0)[:3, :2])
    assert cuts.step(scene(1)[:5, :7]) in (True, False)


def test_hands_of_photographs_in_a_loop_are_all_found(clip: list[np.ndarray]) -> None:
    here, there = clip[10], clip[40][:, ::-1].copy()
    with load_estimator() as estimator:
        alone = []
        for image in (here, there):
            estimator.reset()
            alone.append(len(estimator.estimate(image).hands))
        estimator.reset()
        loop = [estimator.estimate(image) for image in (here, scene(1), there, scene(2), here)]
    assert [len(result.hands) for result in loop] == [alone[0], 0, alone[1], 0, alone[0]]
    assert alone[0] and alone[1]
    assert all(result.found for result in loop), "each is looked at anew"
