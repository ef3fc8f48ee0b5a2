import numpy as np
import pytest

from prehend.backends import open_backend
from prehend.pipeline.detection.detect import DETECTOR_SCORE
from prehend.types import Box, FoundHand
from prehend.weights import load_bundle
from prehend_training.data.frames import SeenHand
from prehend_training.evaluate.detector import (
    EXCUSED_IOU,
    LOWEST_SCORE,
    MANY,
    JudgedDetection,
    answers_in,
    average_precision,
    best_threshold,
    detector_report,
    evaluate_detector,
)

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
    judged = [
        JudgedDetection(0.8, True),
        JudgedDetection(0.6, False),
        JudgedDetection(0.5, False),
        JudgedDetection(0.4, True),
        JudgedDetection(0.3, False),
    ]
    best = best_threshold(judged, 2)
    assert best == {"value": 0.4, "f2": pytest.approx(5 / 6, abs=1e-4), "recall": 1, "precision": 0.5}
    assert best_threshold([JudgedDetection(0.5, False)], 2) is None


def images(seed, count=30):
    """Hands on a line, answers near some of them and elsewhere, scores with ties."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        places = np.cumsum(rng.uniform(15, 40, int(rng.integers(0, 4))))
        hands = [seen(Box(x, 0, x + 10, 10), counts=rng.random() < 0.8) for x in places]
        near = [x + rng.normal(0, 3) for x in places if rng.random() < 0.7]
        answers = [
            found(Box(x, 0, x + 10, 10), float(rng.integers(1, 20) / 20)) for x in [*near, *rng.uniform(200, 400, 2)]
        ]
        yield answers, hands


def precision_and_recall(frames, threshold, iou=0.5):
    """By counting, with answers of a score or more alone."""
    hits = said = wanted = 0
    for answers, hands in frames:
        free = list(hands)
        wanted += sum(hand.counts for hand in hands)
        for answer in sorted((one for one in answers if one.score >= threshold), key=lambda one: -one.score):
            best = max(free, key=lambda hand: answer.box_px.iou(hand.box_px), default=None)
            if best is not None and answer.box_px.iou(best.box_px) >= iou:
                free.remove(best)
                hits, said = hits + best.counts, said + best.counts
            elif all(hand.counts or answer.box_px.iou(hand.box_px) <= EXCUSED_IOU for hand in hands):
                said += 1
    return hits / said if said else None, hits / wanted


@pytest.mark.parametrize("seed", range(4))
def test_precision_and_recall_are_those_that_are_counted(seed):
    frames = list(images(seed))
    for threshold in (0.1, 0.5, 0.75, 0.99):
        report = detector_report(frames, threshold)
        precision, recall = precision_and_recall(frames, threshold)
        assert report["recall"] == pytest.approx(recall, abs=1e-4)
        assert report["precision"] == (None if precision is None else pytest.approx(precision, abs=1e-4))


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_the_area_below_the_best_precision_of_each_recall(seed):
    """Without ties: one more answer at a time."""
    rng = np.random.default_rng([seed, 1])
    frames = [([found(one.box_px, float(rng.random())) for one in answers], hands) for answers, hands in images(seed)]
    scores = sorted((one.score for answers, _ in frames for one in answers), reverse=True)
    points = [precision_and_recall(frames, score) for score in scores]
    points = [(precision, recall) for precision, recall in points if precision is not None]
    area, before = 0.0, 0.0
    for row, (_, recall) in enumerate(points):
        area += (recall - before) * max(precision for precision, _ in points[row:])
        before = recall
    assert average_precision(frames, 0.5) == pytest.approx(area, abs=1e-4)


def test_the_order_of_images_and_answers_changes_nothing_where_scores_differ():
    frames = [
        ([found(BOX, 0.9), found(FAR, 0.3)], [seen()]),
        ([found(FAR, 0.8)], [seen(), seen(FAR)]),
        ([], [seen(FAR)]),
    ]
    mixed = [(answers[::-1], hands[::-1]) for answers, hands in frames[::-1]]
    assert detector_report(frames) == detector_report(mixed)


def test_a_stricter_overlap_finds_no_more():
    frames = list(images(9))
    precisions = [average_precision(frames, iou) for iou in (0.2, 0.4, 0.5, 0.7, 0.9)]
    assert (np.diff(precisions) <= 1e-9).all() and precisions[0] > precisions[-1]


def test_nothing_defines_numbers_without_images_hands_or_answers():
    empty = detector_report([])
    assert (empty["frames"], empty["hands"]) == (0, 0) and empty["recall"] is empty["precision"] is None
    assert empty["mean_best_iou"] is empty["best_threshold"] is None and empty["average_precision"] == {
        "0.5": None,
        "0.4": None,
    }
    bare = detector_report([([found()], [])])
    assert (bare["precision"], bare["recall"], bare["false_per_frame"]) == (0, None, 1)
    silent = detector_report([([], [seen()])])
    assert (silent["recall"], silent["precision"], silent["mean_best_iou"]) == (0, None, 0)


def test_a_detector_is_measured_on_as_many_frames_as_there_are(frames):
    backend = open_backend("onnx", load_bundle("palm"), threads=1)
    report = evaluate_detector(backend, [frames], 3)
    assert report["frames"] == 3 and report["threshold"] == DETECTOR_SCORE
    found_hands = answers_in(backend, np.zeros((80, 120, 3), np.uint8), LOWEST_SCORE)
    assert len(found_hands) <= MANY and sorted((one.score for one in found_hands), reverse=True) == [
        one.score for one in found_hands
    ]
