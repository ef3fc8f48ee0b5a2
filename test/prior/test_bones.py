"""Guidance lowers its own error."""

import numpy as np
import pytest
import torch
from prior_work import CAMERA, network, posed, seen

from prehend.hand_model import load_hand_model
from prehend.prior.bones import BoneLooseness, Bones, Placement, hat, rigid
from prehend.prior.conditions import Conditions
from prehend.prior.pulls import Pulls

BONES = Bones(load_hand_model())
HAND = posed()


def mask():
    import cv2

    drawn = np.zeros((480, 640), np.uint8)
    for triangle in seen(HAND.vertices)[load_hand_model().faces].round().astype(np.int32):
        cv2.fillConvexPoly(drawn, triangle, 1)
    return drawn.astype(bool)


def plane():
    """A board that the fingers of the mean hand go into, facing the hand."""
    across = np.stack(np.meshgrid(np.linspace(-0.15, 0.15, 40), np.linspace(-0.15, 0.15, 40)), -1).reshape(-1, 2)
    points = np.concatenate([across, np.zeros((len(across), 1))], 1) + HAND.vertices.mean(0) + [0, 0, 0.015]
    return {"object_points_m": points, "object_normals": np.tile([0.0, 0, -1], (len(points), 1))}


KNOWN = {
    "joints": {"joints_m": HAND.joints},
    "keypoints": {"keypoints_px": seen(HAND.joints), "camera": CAMERA},
    "mesh": {"vertices_m": HAND.vertices},
    "depth": {"joints_m": HAND.joints, "points_m": HAND.vertices[::7], "joints_std_m": 0.05},
    "mask": {"joints_m": HAND.joints, "mask": mask(), "camera": CAMERA, "joints_std_m": 0.05},
    "object": {"joints_m": HAND.joints, "joints_std_m": 0.05, **plane(), "contact": ("index", "middle")},
}


def cost(pulls):
    return sum(float((pull.error.square().sum(2) * pull.weight).sum()) for pull in pulls)


@pytest.mark.parametrize("name", KNOWN)
def test_a_step_lowers_what_is_left_of_what_is_known(name):
    pulls = Pulls(Conditions(**KNOWN[name]), BONES)
    mean = network().mesh.mean.reshape(1, -1, 3)
    place = pulls.placed(mean, Placement(torch.eye(3)[None], torch.tensor([[0.0, 0.0, 0.5]])))
    mesh = place.apply(mean)
    costs = [cost(pulls.of(mesh, 1.0))]
    for _ in range(3):
        mesh, place = BONES.moved(mesh, pulls.of(mesh, 1.0), place, BoneLooseness())
        costs.append(cost(pulls.of(mesh, 1.0)))
    assert costs[1] < costs[0] and costs[-1] < 0.7 * costs[0]


def test_a_step_towards_nothing_is_none():
    mesh = torch.from_numpy(HAND.vertices)[None].float()
    place = Placement(torch.eye(3)[None], torch.zeros(1, 3))
    moved, there = BONES.moved(mesh, [], place, BoneLooseness())
    torch.testing.assert_close(moved, mesh)
    torch.testing.assert_close(there.R, place.R)


def test_bones_stay_together():
    """A pull at the tips alone bends the fingers and does not draw them out."""
    wanted = HAND.joints + np.where(np.isin(np.arange(21), [8, 12])[:, None], [0.0, 0.0, -0.03], 0)
    pulls = Pulls(Conditions(joints_m=wanted), BONES)
    mesh = torch.from_numpy(HAND.vertices)[None].float()
    place = Placement(torch.eye(3)[None], torch.zeros(1, 3))
    before = np.linalg.norm(np.diff(HAND.joints[5:9], axis=0), axis=1)
    for _ in range(4):
        mesh, place = BONES.moved(mesh, pulls.of(mesh, 1.0), place, BoneLooseness())
    joints = BONES.joints(mesh)[0].numpy()
    assert np.linalg.norm(joints[8] - wanted[8]) < 0.012
    np.testing.assert_allclose(np.linalg.norm(np.diff(joints[5:9], axis=0), axis=1), before, atol=0.004)


def test_rigid_finds_a_motion():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn((2, 9, 3), generator=generator)
    turn = torch.linalg.matrix_exp(hat(torch.randn((2, 3), generator=generator)))
    place = Placement(turn, torch.randn((2, 3), generator=generator))
    found = rigid(points, place.apply(points), torch.ones(9))
    torch.testing.assert_close(found.R, turn, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.undo(place.apply(points)), points, rtol=1e-4, atol=1e-5)
