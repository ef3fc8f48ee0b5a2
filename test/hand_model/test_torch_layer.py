from dataclasses import replace

import numpy as np
import pytest

from prehend.hand_model import skin

torch = pytest.importorskip("torch", reason="the torch layer needs torch")


@pytest.fixture
def layer_of():
    from prehend.hand_model.torch_ import HandLayer

    return HandLayer


def test_agrees_with_numpy_for_any_leading_dimensions(rich, layer_of, random_axis_angles, to_matrices):
    rng = np.random.default_rng(5)
    rotations = to_matrices(random_axis_angles(rng, 6)).astype(np.float32).reshape(2, 3, 16, 3, 3)
    betas = rng.normal(0, 1, (2, 3, 10)).astype(np.float32)
    ours = layer_of(rich)(torch.tensor(rotations), torch.tensor(betas))
    for a, b in zip(ours, skin(rich, rotations, betas), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a.numpy(), b, atol=2e-6)


def test_gradients(rich, layer_of, random_axis_angles, to_matrices):
    """On a hand of a few vertices, for speed."""
    few = np.concatenate([rich.tips, [0, 100, 500]])
    small = replace(
        rich,
        v_template=rich.v_template[few],
        weights=rich.weights[few],
        shapedirs=rich.shapedirs[few],
        posedirs=rich.posedirs[few],
        J_regressor=np.random.default_rng(1).dirichlet(np.ones(8), 16).astype(np.float32),
        tips=np.arange(5),
    )
    layer = layer_of(small).double()
    rng = np.random.default_rng(6)
    rotations = torch.tensor(to_matrices(random_axis_angles(rng, 1)), requires_grad=True)
    betas = torch.tensor(rng.normal(0, 1, (1, 10)), requires_grad=True)
    assert torch.autograd.gradcheck(layer, (rotations, betas), eps=1e-5, atol=1e-7)


def test_adds_nothing_to_a_state_dict(hand, layer_of):
    layer = layer_of(hand)
    assert not layer.state_dict()
    assert not list(layer.parameters())
