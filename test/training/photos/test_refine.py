"""A hand is moved onto its labelled joints, and not farther than it must be."""

import numpy as np
import pytest

from prehend.geometry.camera import estimated_camera, project
from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin
from prehend_training.photos.refine import refine_hand

CAMERA = estimated_camera(640, 480)


def a_hand(seed, side):
    rng = np.random.default_rng(seed)
    rotations = matrix_from_axis_angle(rng.normal(size=(16, 3)) * 0.2)
    rotations[0] = matrix_from_axis_angle(rng.normal(size=3))
    betas = rng.normal(size=10) * 0.5
    joints = skin(load_hand_model(side=side), rotations, betas).joints
    return rotations, betas, project(joints - joints.mean(0) + [0.05, 0.02, 0.5], CAMERA)


def residual(found, side, keypoints):
    joints = skin(load_hand_model(side=side), found.rotations, found.betas).joints
    away = np.linalg.norm(project(joints - joints[0] + found.wrist_m, CAMERA) - keypoints, axis=1)
    return float(np.sqrt((away**2).mean())) / np.ptp(keypoints, 0).max()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_a_network_saw_nearly_right_falls_on_its_labels(seed, side):
    rotations, _, keypoints = a_hand(seed, side)
    turns = matrix_from_axis_angle(np.random.default_rng(seed + 9).normal(size=(16, 3)) * 0.12)
    found = refine_hand(rotations @ turns, np.zeros(10), side, keypoints, CAMERA)
    assert residual(found, side, keypoints) < 0.015
    assert geodesic_angle(found.rotations, rotations @ turns).mean() < 0.25  # near what was said


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_is_right_stays(side):
    rotations, betas, keypoints = a_hand(3, side)
    found = refine_hand(rotations, betas, side, keypoints, CAMERA)
    assert np.abs(found.rotations - rotations).max() < 0.02 and np.abs(found.betas - betas).max() < 0.05
    assert residual(found, side, keypoints) < 0.002


def test_no_sound_answer_is_none():
    rotations, betas, keypoints = a_hand(4, "right")
    assert refine_hand(rotations, betas, "right", np.zeros_like(keypoints), CAMERA) is None
    assert refine_hand(rotations, betas, "right", np.full_like(keypoints, np.nan), CAMERA) is None
