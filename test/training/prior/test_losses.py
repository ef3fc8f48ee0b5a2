"""The losses of HHMR, section 4.4: nought for the truth, in the units that they say, of known hands alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from prehend.hand_model import load_hand_model, skin
from prehend.hand_model.meshes.joints import joints_of_mesh
from prehend_training.prior.losses import MeshCriteria, prior_terms
from prehend_training.prior.poses import natural_poses

SPREAD_M = 0.02
NAMES = {"data", "vertices", "joints", "normals", "edges"}


@pytest.fixture(scope="module")
def hands():
    """What compares meshes, and (4, V, 3) differences of four hands from the mean one."""
    model = load_hand_model().without_forearm()
    poses = natural_poses(np.random.default_rng(0), 4)
    posed = skin(model, poses.rotations, poses.betas)
    mean = torch.from_numpy(np.asarray(model.v_template, np.float32) - np.float32(posed.joints[:, 0].mean(0)))
    faces = torch.from_numpy(model.faces.astype("int64"))
    faces = faces[(faces < len(mean)).all(1)]
    surface = MeshCriteria(SPREAD_M, mean, torch.from_numpy(joints_of_mesh(load_hand_model()).copy()), faces, rows=3)
    meshes = torch.from_numpy(np.asarray(posed.vertices - posed.joints[:, :1], np.float32))
    return surface, (meshes - mean) / SPREAD_M


def terms(hands, found, rows=None):
    surface, truth = hands
    known = torch.ones(len(truth)) if rows is None else torch.tensor(rows)
    return {name: float(value) for name, value in prior_terms(found, truth, known, surface).items()}


def test_the_truth_costs_nothing(hands):
    found = terms(hands, hands[1])
    assert found.keys() == NAMES and found["normals"] < 1e-4
    assert max(value for name, value in found.items() if name != "normals") < 1e-6


def test_a_shift_of_the_whole_hand_is_an_error_of_the_answer_and_not_of_the_hand(hands):
    shift = torch.tensor([0.003, 0.0, 0.0]) / SPREAD_M
    found = terms(hands, hands[1] + shift)
    assert found["data"] == pytest.approx(0.003 / SPREAD_M / 3, rel=1e-4)  # mean over x, y and z
    assert max(found["vertices"], found["joints"], found["edges"]) < 1e-6


def test_a_larger_hand_is_off_in_metres_and_its_surface_lies_as_it_did(hands):
    surface, truth = hands
    larger = 1.1 * (truth * SPREAD_M + surface.mean_m) - surface.mean_m
    found = terms(hands, larger / SPREAD_M)
    meshes = truth * SPREAD_M + surface.mean_m
    edges = (meshes[:3, surface.faces.roll(-1, 1)] - meshes[:3, surface.faces]).norm(dim=-1).mean()
    assert found["edges"] == pytest.approx(0.1 * float(edges), rel=1e-3)
    assert found["normals"] < 1e-3 and 0.001 < found["joints"] < 0.02


def test_hands_of_unknown_pose_cost_nothing_however_wrong(hands):
    _, truth = hands
    wrong = truth.clone()
    wrong[1] += torch.randn(truth[1].shape, generator=torch.Generator().manual_seed(0))
    assert max(value for name, value in terms(hands, wrong, [1.0, 0, 1, 1]).items() if name != "normals") < 1e-6
    assert terms(hands, wrong)["vertices"] > 1e-3
    nothing = terms(hands, wrong, [0.0] * 4)
    assert nothing == dict.fromkeys(NAMES, 0.0)


def test_known_hands_have_the_same_weight_however_many_are_unknown(hands):
    _, truth = hands
    wrong = truth.clone()
    wrong[0] += 0.1
    alone, among = terms(hands, wrong, [1.0, 0, 0, 0]), terms(hands, wrong, [1.0, 1, 0, 0])
    assert alone["data"] == pytest.approx(0.1, rel=1e-4) and among["data"] == pytest.approx(0.05, rel=1e-4)


def test_the_costly_terms_are_asked_of_the_first_hands_alone(hands):
    surface, truth = hands
    wrong = truth.clone()
    wrong[3] *= 1.5  # the fourth of three
    assert terms(hands, wrong)["edges"] < 1e-6 < terms((replace(surface, rows=4), truth), wrong)["edges"]


def test_a_step_down_the_slope_is_a_better_hand(hands):
    surface, truth = hands
    found = (truth + 0.2 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))).requires_grad_()
    loss = sum(prior_terms(found, truth, torch.ones(4), surface).values())
    loss.backward()
    assert torch.isfinite(found.grad).all()
    better = prior_terms((found - 1e-3 * found.grad / found.grad.norm()).detach(), truth, torch.ones(4), surface)
    assert float(sum(better.values())) < float(loss)
