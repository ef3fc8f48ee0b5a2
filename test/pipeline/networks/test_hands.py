from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from prehend.errors import WeightsMismatch
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.skinning import skin
from prehend.pipeline.networks.hands import HandModels

SHIPPED = load_hand_model()
BETAS = np.random.default_rng(0).normal(0, 1, 10).astype(np.float32)


def bundle(**manifest) -> SimpleNamespace:
    return SimpleNamespace(name="weights", manifest=manifest)


def other_model(sha256: str = "other"):
    """A model that turns and scales the shape space: the same hands, written differently."""
    mix = np.linalg.qr(np.random.default_rng(1).normal(size=(10, 10)))[0].astype(np.float32) * 2
    return replace(SHIPPED, shapedirs=SHIPPED.shapedirs @ mix, sha256=sha256, name="other")


def test_the_shipped_model_takes_betas_as_they_are() -> None:
    hands = HandModels(bundle(hand_model={"name": SHIPPED.name, "sha256": SHIPPED.sha256}))
    np.testing.assert_array_equal(hands.shape(BETAS), BETAS)
    assert {side: model.side for side, model in hands.by_side.items()} == {"left": "left", "right": "right"}
    assert hands.by_side["left"].num_vertices == SHIPPED.num_vertices


def test_another_model_gets_the_shape_with_the_same_joints() -> None:
    hands = HandModels(bundle(hand_model={"name": SHIPPED.name, "sha256": SHIPPED.sha256}), other_model())
    rest = np.broadcast_to(np.eye(3), (16, 3, 3))
    betas = hands.shape(BETAS)
    assert np.abs(betas - BETAS).max() > 0.1
    expected = skin(SHIPPED, rest, BETAS).joints16
    assert np.abs(skin(hands.by_side["right"], rest, betas).joints16 - expected).max() < 1e-3


def test_weights_of_the_wanted_model_need_no_change() -> None:
    hands = HandModels(bundle(hand_model={"name": "other", "sha256": "other"}), other_model())
    np.testing.assert_array_equal(hands.shape(BETAS), BETAS)


def test_weights_of_a_model_that_is_not_there_are_refused() -> None:
    with pytest.raises(WeightsMismatch, match="'MANO'"):
        HandModels(bundle(hand_model={"name": "MANO", "sha256": "elsewhere"}))
