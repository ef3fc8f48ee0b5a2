from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.torch_ import HandLayer
from prehend.models.hand_object.outputs import EncodeOutput, HandOutput, Output
from prehend.models.registry import create
from prehend_training.data.crop_targets import from_box
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.losses.crop import (
    CropLossWeights,
    SampledHand,
    bump,
    hand_terms,
    heatmap_terms,
    map_terms,
    mean_of_rows,
    object_terms,
    rotation_distance,
    switch_terms,
    total,
)
from prehend_training.losses.paper import PaperLossWeights, paper_hand_terms, paper_object_terms
from prehend_training.train.loop.machine import to_tensors

SURE = 30.0
MAPS = {"heatmaps", "dense_heatmaps", "segments", "coarse_joints"}
PAIRS = {"initial_enhancement", "roi_enhancement", "code_enhancement"}


def crop_terms(output, batch, hand):
    return switch_terms(output.encoded, batch) | hand_terms(output.hand, batch, hand) | object_terms(output, batch)


def paper_terms(output, batch, hand):
    return (
        switch_terms(output.encoded, batch)
        | paper_hand_terms(output.hand, batch, hand)
        | paper_object_terms(output, batch)
    )


@pytest.fixture(scope="module")
def hand():
    return SampledHand(load_hand_model(), count=30)


@pytest.fixture(scope="module")
def batch(crops):
    return to_tensors(CropBatches(ShardDataset([crops], "crops"), CropDataConfig(absent_p=0.3), 0, 12).batch(0), "cpu")


def perfect(batch):
    """The network's output if it knew the labels."""
    rows = torch.nonzero(batch["has_points"]).flatten()
    points = batch["object_points"][rows][:, 0][:, :, None].expand(-1, -1, 256, -1)
    confidence = batch["object_mask"][rows][:, None, :, None].expand(-1, 21, -1, -1)

    def sure(x):
        return (2 * x - 1) * SURE

    hand = HandOutput(batch["keypoints"], batch["rotations"], batch["betas"], sure(batch["visible"]), torch.zeros(1))
    switches = (sure(batch[name])[:, None] for name in ("grasp", "presence", "right"))
    encoded = EncodeOutput(*switches, torch.zeros(1), torch.zeros(1))
    return Output(encoded, hand, torch.cat([points, confidence], -1), rows, *[torch.zeros(1)] * 4)


@pytest.mark.parametrize(
    ("terms_of", "weights", "elsewhere"),
    [(crop_terms, CropLossWeights, MAPS | PAIRS), (paper_terms, PaperLossWeights, PAIRS)],
)
def test_every_term_is_zero_at_the_truth(batch, hand, terms_of, weights, elsewhere):
    terms = terms_of(perfect(batch), batch, hand)
    assert terms.keys() == {field.name for field in fields(weights)} - elsewhere
    for name, value in terms.items():
        assert value.item() == pytest.approx(0, abs=2e-5), name


@pytest.mark.parametrize("terms_of", [crop_terms, paper_terms])
@pytest.mark.parametrize("label", ["pose", "joints", "grasp", "visible"])
def test_a_label_that_is_not_there_costs_nothing(batch, hand, terms_of, label):
    void = {"pose": "rotations", "joints": "joints", "grasp": "grasp", "visible": "visible"}[label]
    garbled = batch | {void: torch.full_like(batch[void], torch.nan), f"has_{label}": torch.zeros(len(batch["grasp"]))}
    if label == "pose":
        garbled["betas"] = torch.full_like(batch["betas"], torch.nan)
    whole, partly = terms_of(perfect(batch), batch, hand), terms_of(perfect(batch), garbled, hand)
    for name, value in partly.items():
        assert value.item() == pytest.approx(whole[name].item(), abs=2e-5), name


def test_a_left_hand_teaches_its_side_and_what_is_seen_but_no_pose(batch, hand):
    output = perfect(batch)
    turned = torch.eye(3).expand_as(output.hand.rotations)
    wrong = output.hand._replace(keypoints=output.hand.keypoints + 1, rotations=turned, betas=output.hand.betas + 1)
    terms = crop_terms(output._replace(hand=wrong), batch | {"right": torch.zeros_like(batch["right"])}, hand)
    assert terms["keypoints"] > 0.5 and terms["side"] > SURE / 4
    assert all(terms[name] == 0 for name in ("joints", "vertices", "global_rotation", "finger_rotation", "betas"))


def test_squared_errors_are_those_of_the_paper(batch, hand):
    output = perfect(batch)
    wrong = output.hand._replace(keypoints=output.hand.keypoints + 0.1)
    terms = paper_terms(output._replace(hand=wrong), batch, hand)
    assert terms["keypoints"].item() == pytest.approx(0.01, rel=1e-4)


@pytest.mark.parametrize("part", ["keypoints", "rotations", "betas", "visibility_logit"])
def test_a_wrong_answer_costs_and_its_gradient_is_finite(batch, hand, part):
    output = perfect(batch)
    wrong = getattr(output.hand, part).clone()
    wrong = torch.linalg.qr(torch.randn_like(wrong))[0] if part == "rotations" else wrong + torch.randn_like(wrong) * 60
    wrong.requires_grad_()
    terms = crop_terms(output._replace(hand=output.hand._replace(**{part: wrong})), batch, hand)
    loss = total(terms, CropLossWeights())
    loss.backward()
    assert loss > 0.1
    assert torch.isfinite(wrong.grad).all()
    # crops without a hand teach the hand's heads nothing, those with a left one no pose
    taught = batch["presence"] * (batch["right"] if part in ("rotations", "betas") else 1) == 1
    assert not wrong.grad[~taught].any() and wrong.grad[taught].any()


def test_a_gradient_at_the_truth_is_finite(batch, hand):
    output = perfect(batch)
    rotations = output.hand.rotations.clone().requires_grad_()
    total(
        crop_terms(output._replace(hand=output.hand._replace(rotations=rotations)), batch, hand), CropLossWeights()
    ).backward()
    assert torch.isfinite(rotations.grad).all()


def test_dense_terms_are_zero_where_the_maps_are_right(batch):
    network = create("unihope-xs")
    pixels = torch.stack([from_box(p, b) for p, b in zip(batch["keypoints"], batch["hand_box"], strict=True)])
    region = network.hand_region(batch["hand_box"])[:, None]
    in_region = (pixels - region[..., :2]) / (region[..., 2:] - region[..., :2])
    maps = bump(in_region * 16 - 0.5, 16).clamp(min=1e-12).log()
    dense_maps = bump((pixels + 0.5) / 4 - 0.5, 32).clamp(min=1e-12).log()
    segments = torch.nn.functional.one_hot(batch["segments"].long(), 3).permute(0, 3, 1, 2) * SURE
    read = {"dense": torch.cat([segments, dense_maps], 1), "coarse": batch["joints"]}
    terms = map_terms(read, batch) | heatmap_terms(network, maps, batch)
    assert terms.keys() == MAPS
    for name, value in terms.items():
        assert value.item() == pytest.approx(0, abs=1e-3), name
    worse = map_terms({"dense": -read["dense"], "coarse": batch["joints"] + 0.1}, batch)
    assert worse["segments"] > 1 and worse["dense_heatmaps"] > 1
    assert worse["coarse_joints"].item() == pytest.approx(0.1, rel=1e-4)


def test_bumps_stand_on_their_place():
    maps = bump(torch.tensor([[[3.0, 5.0], [0.5, 2.0]]]), 8)
    assert torch.allclose(maps.sum((2, 3)), torch.ones(1, 2))
    assert maps[0, 0].flatten().argmax() == 5 * 8 + 3  # row 5, column 3
    assert torch.allclose(maps[0, 1, 2, 0], maps[0, 1, 2, 1])


def test_confidence_recovers_from_no_confidence(batch, hand):
    output = perfect(batch)
    logit = torch.full_like(output.object_points[..., 2], -12.0).requires_grad_()
    points = torch.cat([output.object_points[..., :2], torch.sigmoid(logit)[..., None]], -1)
    crop_terms(output._replace(object_points=points), batch, hand)["object_confidence"].backward()
    on = batch["object_mask"][output.object_rows][:, None].expand_as(logit) > 0
    assert logit.grad[on].max() < -1e-6


def test_any_equivalent_pose_of_the_object_is_right(batch, hand):
    rows = torch.nonzero(batch["has_points"]).flatten()
    for pose in range(4):
        points = batch["object_points"][rows][:, pose][:, :, None].expand(-1, -1, 256, -1)
        output = perfect(batch)
        answer = torch.cat([points, output.object_points[..., 2:]], -1)
        assert crop_terms(output._replace(object_points=answer), batch, hand)["object_points"].item() < 1e-6


def test_rotation_distance_is_the_angle_for_small_turns():
    for angle in (0.01, 0.1, 0.3):
        cos, sin = np.cos(angle), np.sin(angle)
        turned = torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])
        assert rotation_distance(turned, torch.eye(3).double()).item() == pytest.approx(angle, rel=0.12)


def test_rows_that_do_not_count_may_hold_anything():
    values = torch.tensor([[1.0, 3.0], [float("nan"), 1.0]])
    assert mean_of_rows(values, torch.tensor([1.0, 0.0])).item() == 2.0
    assert mean_of_rows(values, torch.zeros(2)).item() == 0.0


def test_sampled_skinning_is_a_part_of_the_whole(hand):
    whole = HandLayer(load_hand_model())
    rotations = torch.linalg.qr(torch.randn(3, 16, 3, 3))[0]
    betas = torch.randn(3, 10)
    part, all_ = hand(rotations, betas), whole(rotations, betas)
    assert torch.allclose(part.joints, all_.joints, atol=1e-5)
    assert torch.cdist(part.vertices, all_.vertices).min(-1).values.max() < 2e-4  # of cdist itself
    assert 30 <= part.vertices.shape[1] <= 35


def test_weights_scale_their_terms():
    terms = {field.name: torch.tensor(1.0) for field in fields(CropLossWeights)}
    weights = CropLossWeights()
    more = total(terms, replace(weights, joints=weights.joints + 1)) - total(terms, weights)
    assert more.item() == pytest.approx(1.0)
