from dataclasses import fields

import pytest
import torch

from prehend.models.detectors.centers import CenterMaps
from prehend.types import Box
from prehend_training.data.frames import SeenHand, detector_targets
from prehend_training.losses.crop import total
from prehend_training.losses.detector import DetectorLossWeights, detector_terms, giou_loss, heat_loss

SURE = 30.0


def test_finder_terms_are_zero_at_the_truth_and_only_there():
    hands = [
        SeenHand(0, Box(20, 30, 80, 90), None, True, (50, 60)),
        SeenHand(1, Box(90, 40, 120, 110), Box(80, 20, 125, 60), True, (105, 75)),
    ]
    target = {name: torch.from_numpy(value)[None] for name, value in detector_targets(hands, 128, 8).items()}
    heat = torch.logit(target["heat"], eps=1e-6)[:, None]
    side, held = ((2 * target[name] - 1)[:, None] * SURE for name in ("side", "held"))
    truth = CenterMaps(heat, side, target["hand_box"], held, target["object_box"])
    terms = detector_terms(truth, target)
    assert terms.keys() == {field.name for field in fields(DetectorLossWeights)} - {"segments"}
    assert total(terms, DetectorLossWeights()).item() == pytest.approx(0, abs=1e-5)
    for name in CenterMaps._fields:
        moved = truth._replace(**{name: getattr(truth, name) * 0.5 if "box" in name else -getattr(truth, name)})
        assert total(detector_terms(moved, target), DetectorLossWeights()) > 0.01, name


def test_cells_that_may_be_hands_or_not_cost_nothing():
    hidden = SeenHand(0, Box(20, 30, 80, 90), None, False, (50, 60))
    target = {name: torch.from_numpy(value)[None] for name, value in detector_targets([hidden], 128, 8).items()}
    sure = torch.where(target["heat_weight"] > 0, -SURE, SURE)
    assert heat_loss(sure, target["heat"], target["heat_weight"]).item() == pytest.approx(0, abs=1e-6)
    assert heat_loss(-sure, target["heat"], target["heat_weight"]) > 1


def test_giou_is_that_of_the_boxes():
    a, b = torch.tensor([[1.0, 1, 1, 1]]), torch.tensor([[1.0, 1, 3, 1]])
    assert giou_loss(a, a).item() == 0
    assert giou_loss(a, b).item() == pytest.approx(0.5)
