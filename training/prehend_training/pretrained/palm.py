"""MediaPipe's palm_detection_full as `PalmDetector`; answers that it does not have stay nought."""

import numpy as np
import torch

from prehend.errors import WeightsMismatch
from prehend.models.detectors.palm import BOX_NUMBERS, PALM_ANCHORS, PalmAnswers, PalmDetector
from prehend_training.pretrained.filling import fill, layers_of
from prehend_training.pretrained.tflite_file import Layer, read_layers

_ANSWERS = 2 * len(PALM_ANCHORS)
"""Convolutions of the file that answer: scores and boxes of each map."""


def convert_palm(content: bytes) -> PalmDetector:
    """The network with the file's numbers.

    Raises:
        MissingDependency: `tflite` is not installed.
        WeightsMismatch: the file holds another network.
    """
    network = PalmDetector()
    layers = read_layers(content)
    # the file answers from the map of 16 pixels as soon as it has it, before that of 8; its two are last in ours
    is_answer = [layer.kind == "conv" and _is_answer(layer) for layer in layers]
    answers = [layer for layer, yes in zip(layers, is_answer, strict=True) if yes]
    if len(answers) != _ANSWERS:
        raise WeightsMismatch(f"the file has {len(answers)} answering layers, expected {_ANSWERS}")
    body = [layer for layer, yes in zip(layers, is_answer, strict=True) if not yes]
    fill(layers_of(network.stem, network.layers, network.merge_16, network.merge_8), body)
    for target, (scores, boxes) in zip(network.answers, (answers[2:], answers[:2]), strict=True):
        assert isinstance(target, PalmAnswers)
        _fill_answers(target, scores, boxes)
    return network.eval()


def _is_answer(layer: Layer) -> bool:
    return len(layer.weight) in {n * size for n in PALM_ANCHORS for size in (1, BOX_NUMBERS)}


@torch.no_grad()
def _fill_answers(target: PalmAnswers, scores: Layer, boxes: Layer) -> None:
    """Scores and boxes, anchor by anchor."""
    anchors = len(scores.weight)
    for parameter, score, box in (
        (target.known.weight, scores.weight, boxes.weight),
        (target.known.bias, scores.bias, boxes.bias),
    ):
        assert score is not None and box is not None and parameter is not None
        both = np.concatenate([score.reshape(anchors, 1, -1), box.reshape(anchors, BOX_NUMBERS, -1)], 1)
        parameter.copy_(torch.from_numpy(both).reshape(parameter.shape))
