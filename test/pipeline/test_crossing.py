"""Rendered hands that cross, one before the other, with the weights that ship: each keeps its number and its side."""

import cv2
import numpy as np
import pytest

from prehend.pipeline.load import load_estimator
from prehend.resources import resource

STILL_S, CROSSING_S, AFTER_S = 0.8, 1.07, 0.35
APART_PX = 320


def crossing(hz: int) -> list[np.ndarray]:
    """The two hands of the clip's first picture, cut out, past each other: 320 px in 1.1 s, the right half in front."""
    still, moving, after = (round(hz * seconds) for seconds in (STILL_S, CROSSING_S, AFTER_S))
    picture = cv2.VideoCapture(str(resource("hands.mp4"))).read()[1][:, :, ::-1]
    warm = (picture[..., 0].astype(int) > picture[..., 2].astype(int) + 12).astype(np.uint8)
    hands = cv2.morphologyEx(warm, cv2.MORPH_CLOSE, np.ones((7, 7))).astype(bool)
    frames = []
    for k in range(still + moving + after):
        way = round(APART_PX * min(max((k - still) / moving, 0), 1))
        frame = np.full_like(picture, (120, 130, 140))
        for first, shift in ((0, way), (APART_PX, -way)):
            ys, xs = np.nonzero(hands[:, first : first + APART_PX])
            inside = (xs + first + shift >= 0) & (xs + first + shift < picture.shape[1])
            ys, xs = ys[inside], xs[inside] + first
            frame[ys, xs + shift] = picture[ys, xs]
        frames.append(frame)
    return frames


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("hz", [5, 15, 30])
def test_hands_that_cross_keep_numbers_and_sides(hz, mirrored) -> None:
    pictures = [np.ascontiguousarray(frame[:, ::-1] if mirrored else frame) for frame in crossing(hz)]
    with load_estimator(threads=1) as estimator:
        results = [estimator.estimate(picture, stamp=k / hz) for k, picture in enumerate(pictures)]
    before, after = results[round(hz * STILL_S) - 1].hands, results[-1].hands
    by_place = [sorted(hands, key=lambda hand: hand.box_px.center[0]) for hands in (before, after)]
    assert [len(hands) for hands in by_place] == [2, 2]
    numbers = [[(hand.track_id, hand.side) for hand in hands] for hands in by_place]
    assert numbers[0] == numbers[1][::-1], "the one that was left is right now, under its number"
    assert {hand.side for hand in after} == {"left", "right"}
    assert {hand.track_id for result in results for hand in result.hands} == {1, 2}
    assert any(len(result.hands) == 1 for result in results), "one hides the other meanwhile"
