"""The kinematics against the hand model's own skinning, and its derivative against differences."""

import numpy as np
import pytest

from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.skeleton import NUM_PARAMETERS, Posture, Skeleton, moved
from prehend.hand_model.skinning import skin


@pytest.fixture(params=["left", "right"])
def posed(request):
    rng = np.random.default_rng(3)
    skeleton = Skeleton(load_hand_model(side=request.param).without_forearm())
    rotations = matrix_from_axis_angle(rng.normal(0, 0.4, (16, 3)))
    return skeleton, Posture(rotations, rng.normal(size=10), np.array([0.1, -0.2, 0.5]))


def test_joints_are_those_of_the_skin(posed):
    skeleton, posture = posed
    skeleton.settle(posture)
    exact = skin(skeleton.model, posture.rotations, posture.betas, posture.translation_m).joints
    assert np.abs(skeleton.joints(posture) - exact).max() < 1e-5


def test_the_derivative_is_that_of_small_steps(posed):
    skeleton, posture = posed
    skeleton.settle(posture)
    joints, derivative, spins = skeleton.with_derivative(posture)
    assert derivative.shape == (21, 3, NUM_PARAMETERS)
    for k in range(NUM_PARAMETERS):
        step = np.zeros(NUM_PARAMETERS)
        step[k] = 1e-5
        turn = matrix_from_axis_angle(step[3:51].reshape(16, 3))
        there = skeleton.joints(moved(posture, step, spins, turn))
        assert np.abs((there - joints) / 1e-5 - derivative[..., k]).max() < 1e-4
