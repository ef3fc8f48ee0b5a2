from dataclasses import replace

import pytest
import torch

from prehend.models.registry import create
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.losses.heads import ModelWithHeads
from prehend_training.losses.pairs import LEVELS, TwinConfig, enhancement_terms, twin_rows, twin_target
from prehend_training.train.loop.machine import to_tensors
from prehend_training.train.presets import preset


@pytest.fixture(scope="module")
def batch(crops):
    config = CropDataConfig(absent_p=0.2, wrong_side_p=0.2)
    return to_tensors(CropBatches(ShardDataset([crops], "crops"), config, 0, 12).batch(0), "cpu")


@pytest.fixture(scope="module")
def answers(batch):
    torch.manual_seed(0)
    network = ModelWithHeads(create("unihope-xs"), twins=TwinConfig()).train()
    return network, network(batch)


def test_pairs_show_a_right_hand_that_holds_something(batch):
    rows = twin_rows(batch)
    assert len(rows) > 0
    for name in ("has_twin", "presence", "right", "grasp"):
        assert batch[name][rows].all()
    target = twin_target(batch, rows)
    assert not target["grasp"].any() and not target["has_points"].any()
    assert torch.equal(target["rotations"], batch["rotations"][rows])


def test_pictures_and_twins_come_back_apart(batch, answers):
    _, both = answers
    assert both.output.hand.code.shape[0] == len(batch["image"]) and both.twin.hand.code.shape[0] == len(both.twin_rows)
    assert (both.output.object_rows < len(batch["image"])).all() and len(both.twin.object_rows) == 0
    assert torch.equal(both.output.object_rows, batch["grasp_gate"].nonzero()[:, 0])


def test_equal_features_cost_nothing_and_the_twin_is_not_taught(answers):
    network, both = answers
    rows = both.twin_rows
    hidden = torch.zeros(len(both.output.hand.code))  # all hidden
    terms = enhancement_terms(TwinConfig(), both.output, both.twin, rows, hidden, network.mapper)
    assert all(value > 0 for value in terms.values())
    twin_code, code = both.twin.hand.code.detach().requires_grad_(), both.output.hand.code.detach().requires_grad_()
    twin = both.twin._replace(hand=both.twin.hand._replace(code=twin_code))
    output = both.output._replace(hand=both.output.hand._replace(code=code))
    enhancement_terms(TwinConfig(), output, twin, rows, hidden, network.mapper)["code_enhancement"].backward()
    assert twin_code.grad is None and code.grad[rows].any()
    same = both.output._replace(initial=both.output.initial.clone(), hand_roi=both.output.hand_roi.clone())
    same.initial[rows], same.hand_roi[rows] = both.twin.initial, both.twin.hand_roi
    equal = enhancement_terms(TwinConfig(), same, both.twin, rows, hidden, network.mapper)
    assert equal["initial_enhancement"] == 0 and equal["roi_enhancement"] == 0


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_that_is_not_wanted_and_a_hand_that_is_seen_cost_nothing(answers, level):
    network, both = answers
    hidden, seen = torch.zeros(len(both.output.hand.code)), torch.full((len(both.output.hand.code),), 0.95)
    only = TwinConfig(levels=(level,))
    terms = enhancement_terms(only, both.output, both.twin, both.twin_rows, hidden, network.mapper)
    assert {name for name, value in terms.items() if value > 0} == {f"{level}_enhancement"}
    assert not any(enhancement_terms(only, both.output, both.twin, both.twin_rows, seen, network.mapper).values())
    unfiltered = replace(only, least_hidden=None)
    terms = enhancement_terms(unfiltered, both.output, both.twin, both.twin_rows, seen, network.mapper)
    assert terms[f"{level}_enhancement"] > 0


def test_features_are_compared_in_the_second_stage_alone(crops):
    chosen = preset("debug-unihope")
    task = replace(chosen, data=replace(chosen.data, absent_p=0.0, wrong_side_p=0.0)).task([crops])
    network = task.network()
    batches = (to_tensors(task.source.batch(step), "cpu") for step in range(20))
    batch = next(batch for batch in batches if len(twin_rows(batch)))
    hidden = batch | {"visible_ratio": torch.zeros_like(batch["visible_ratio"])}
    terms = {used: task.terms(network, hidden, used) for used in (0.4, 0.6)}
    assert terms[0.4].keys() == terms[0.6].keys()
    assert all(terms[0.4][f"{level}_enhancement"] == 0 < terms[0.6][f"{level}_enhancement"] for level in LEVELS)
