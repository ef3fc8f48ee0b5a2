import numpy as np
import pytest

from prehend.types import Box, FoundHand
from prehend_training.data.frames import SeenHand
from prehend_training.evaluate.detector import Judged, average_precision, best_threshold, detector_report

BOX, FAR = Box(0, 0, 10, 10), Box(50, 50, 60, 60)


def seen(box=BOX, counts=True):
    return SeenHand(1, box, None, counts, box.center)


def found(box=BOX, score=0.9, side="right"):
    return FoundHand(box, side, score)


def test_what_was_found_is_counted_once():
    box, far = Box(0, 0, 10, 10), Box(50, 50, 60, 60)
    right = FoundHand(box, "right", 0.9)
    seen = [SeenHand(1, box, None, True, box.center)]
    assert detector_report([([right], seen)])["recall"] == 1
    twice = detector_report([([right, FoundHand(box, "left", 0.5)], seen)])
    assert (twice["recall"], twice["precision"], twice["side_accuracy"]) == (1, 0.5, 1)
    missed = detector_report([([FoundHand(far, "right", 0.9)], seen)])
    assert (missed["recall"], missed["precision"]) == (0, 0)
    # a hand that need not be found is neither a miss nor a false alarm
    ignored = detector_report(
        [([FoundHand(far, "right", 0.9), right], [*seen, SeenHand(0, far, None, False, far.center)])]
    )
    assert (ignored["hands"], ignored["recall"], ignored["precision"]) == (1, 1, 1)


def test_false_boxes_and_the_best_overlap():
    half = Box(0, 0, 10, 5)  # IoU 0.5 with the hand
    report = detector_report([([found(half), found(FAR, 0.8)], [seen()]), ([], [seen()])], threshold=0.5)
    assert report["false_per_frame"] == 0.5 and report["mean_best_iou"] == 0.25
    strict = detector_report([([found(half), found(FAR, 0.8)], [seen()])], threshold=0.85)
    assert (strict["false_per_frame"], strict["precision"]) == (0, 1)


def test_average_precision_of_known_answers():
    """Hits at ranks 1 and 3 of 3 answers, of 4 hands: (1 + 2/3) / 4."""
    frames = [([found(score=0.9)], [seen()]), ([found(FAR, 0.8)], [seen()]), ([found(score=0.7)], [seen(), seen(FAR)])]
    assert average_precision(frames, 0.5) == pytest.approx((1 + 2 / 3) / 4, abs=1e-4)
    assert average_precision([([found()], [])], 0.5) is None
    assert average_precision([([], [seen()])], 0.5) == 0


def test_average_precision_depends_on_the_order_of_scores_alone():
    rng = np.random.default_rng(0)
    frames = [
        ([found(BOX if rng.random() < 0.6 else FAR, float(score)) for score in rng.random(3)], [seen()])
        for _ in range(40)
    ]
    squeezed = [([found(one.box_px, one.score**3) for one in answers], hands) for answers, hands in frames]
    assert average_precision(frames, 0.5) == average_precision(squeezed, 0.5)
    assert 0 < average_precision(frames, 0.5) < 1


def test_the_best_threshold_weighs_recall_twice():
    """At 0.8: P 1, R 1/2, F2 5/9; at 0.4 with two false ones more: P 1/2, R 1, F2 5/6."""
    judged = [Judged(0.8, True), Judged(0.6, False), Judged(0.5, False), Judged(0.4, True), Judged(0.3, False)]
    best = best_threshold(judged, 2)
    assert best == {"value": 0.4, "f2": pytest.approx(5 / 6, abs=1e-4), "recall": 1, "precision": 0.5}
    assert best_threshold([Judged(0.5, False)], 2) is None
