from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.hand_model import betas_for_joints


def relative(model, betas):
    joints = model.joints_template + model.joints_shapedirs @ betas
    return joints - joints[0]


def test_the_same_model_gives_the_same_joints(rich):
    betas = np.random.default_rng(0).normal(0, 1, 10)
    found = betas_for_joints(rich, rich, betas, ridge_m=1e-6)
    np.testing.assert_allclose(relative(rich, found), relative(rich, betas), atol=2e-5)


def test_another_basis_and_place_of_the_same_shapes_is_undone(hand):
    rng = np.random.default_rng(1)
    mix = np.linalg.qr(rng.normal(size=(10, 10)))[0].astype(np.float32)
    target = replace(hand, shapedirs=hand.shapedirs @ mix, v_template=hand.v_template + np.float32([0.1, 0.2, 0.3]))
    betas = rng.normal(0, 1, 10)
    found = betas_for_joints(target, hand, betas, ridge_m=1e-6)
    np.testing.assert_allclose(relative(target, found), relative(hand, betas), atol=5e-5)


def test_a_mirrored_pair_takes_the_same_shape(hand):
    betas = np.random.default_rng(2).normal(0, 1, 10)
    right = betas_for_joints(hand, hand, betas)
    left = betas_for_joints(hand.mirrored(), hand.mirrored(), betas)
    np.testing.assert_allclose(right, left, atol=1e-4)


def test_a_larger_hand_is_met_as_well_as_the_shapes_allow(hand):
    larger = replace(hand, v_template=hand.v_template * np.float32(1.1))
    found = betas_for_joints(hand, larger, np.zeros(10))
    before = np.linalg.norm(relative(hand, np.zeros(10)) - relative(larger, np.zeros(10)), axis=1).mean()
    after = np.linalg.norm(relative(hand, found) - relative(larger, np.zeros(10)), axis=1).mean()
    assert after < 0.2 * before
    strong = betas_for_joints(hand, larger, np.zeros(10), ridge_m=10.0)
    assert np.abs(strong).max() < 1e-3, "a strong ridge stays at the mean"


def test_wrong_shape_is_named(hand):
    with pytest.raises(InvalidInput, match="betas"):
        betas_for_joints(hand, hand, np.zeros(3))
