"""Laws of the graph network on the mesh pyramid."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from prehend.errors import WeightsMismatch
from prehend.hand_model import load_hand_model
from prehend.hand_model.meshes.pyramid import MeshPyramid
from prehend.models.meshes.graph import LARGEST_ROW, Rows
from prehend.models.meshes.h2onet import mean_hand
from prehend.models.meshes.hhmr import HHMR, HHMR_PAPER, HHMR_SMALL, HHMR_TINY, build_hhmr, normalised_places
from prehend.models.registry import create
from prehend_training.assets.mesh_pyramid import hand_pyramid

TINY = replace(HHMR_TINY, channels=(16, 8, 8, 8), blocks=1, tokens=16, heads=2)


@pytest.fixture(scope="module")
def pyramid():
    return hand_pyramid(load_hand_model(), len(TINY.levels))


def with_hand(config, pyramid, stirred=True, mean=None) -> HHMR:
    torch.manual_seed(0)
    network = build_hhmr(config).eval()
    network.mesh.fill(pyramid, np.asarray(mean_hand(load_hand_model()) if mean is None else mean, np.float32))
    if stirred:  # as trained: no layer answers with nothing
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
    return network


def told(network, count=2, noise=1.0):
    torch.manual_seed(1)
    noisy = noise * torch.randn(count, network.config.levels[network.config.top], 3)
    known = network.unknown(count)
    return noisy, torch.full((count, 1), 0.3), known


def answer(network, noisy, time, known):
    with torch.no_grad():
        return network.denoise(noisy, time, *(part for part in known if part is not None))[0]


def test_a_fresh_network_answers_with_the_mean_hand(pyramid):
    network = with_hand(TINY, pyramid, stirred=False)
    assert answer(network, *told(network)).abs().max() < 1e-4


def shuffled(pyramid: MeshPyramid, order: np.ndarray) -> MeshPyramid:
    """The same pyramid whose finest level numbers its vertices otherwise."""
    new = np.empty_like(order)
    new[order] = np.arange(len(order))
    return MeshPyramid(
        spirals=(*pyramid.spirals[:-1], new[pyramid.spirals[-1]][order]),
        up_vertices=(*pyramid.up_vertices[:-1], pyramid.up_vertices[-1][order]),
        up_weights=(*pyramid.up_weights[:-1], pyramid.up_weights[-1][order]),
        kept=(*(new[rows] for rows in pyramid.kept[:-1]), pyramid.kept[-1]),
        parts=pyramid.parts[order],
    )


def test_the_order_of_a_levels_vertices_does_not_matter(pyramid):
    config = replace(TINY, top=5, channels=(16, 8, 8, 8, 8, 8))
    order = np.random.default_rng(0).permutation(config.levels[-1])
    one = with_hand(config, pyramid)
    other = with_hand(config, shuffled(pyramid, order), mean=mean_hand(load_hand_model())[order])
    noisy, time, known = told(one)
    there = answer(one, noisy, time, known)[:, order]
    assert there.std() > 0.05
    torch.testing.assert_close(answer(other, noisy[:, order], time, known), there, rtol=1e-4, atol=1e-4)


def test_what_is_hidden_leaves_no_trace_and_what_is_told_does(pyramid):
    network = with_hand(TINY, pyramid)
    noisy, time, known = told(network)
    before = answer(network, noisy, time, known)
    for name in ("places", "joints", "part"):
        value, there = torch.randn_like(getattr(known, name)), torch.ones_like(getattr(known, f"{name}_known"))
        hidden = known._replace(**{name: value})
        torch.testing.assert_close(answer(network, noisy, time, hidden), before)
        assert (answer(network, noisy, time, hidden._replace(**{f"{name}_known": there})) - before).abs().max() > 1e-4


def test_frames_that_move_alike_move_the_whole_hand(pyramid):
    mesh = with_hand(TINY, pyramid).mesh
    angle = torch.tensor(0.7)
    turn = torch.tensor([[angle.cos(), -angle.sin(), 0], [angle.sin(), angle.cos(), 0], [0, 0, 1]])
    shifts = mesh.template(0) @ (turn - torch.eye(3)).T
    moved = mesh.carried(shifts, (turn - torch.eye(3)).flatten().expand(1, TINY.levels[0], 9))
    torch.testing.assert_close(moved, mesh.template(5) @ turn.T, rtol=1e-4, atol=1e-6)


def test_a_mesh_is_carried_from_level_to_level(pyramid):
    """One product gives what Sumner's sum over three frames gives when each level hangs on the one before."""
    mesh = with_hand(TINY, pyramid).mesh
    shifts, turns = torch.randn(2, TINY.levels[0], 3) * 0.02, torch.randn(2, TINY.levels[0], 9) * 0.3
    places, frames = mesh.template(0) + shifts, torch.eye(3) + turns.unflatten(2, (3, 3))
    for k, up in enumerate(mesh.ups):
        rows, shares = up.sources.values.long(), up.shares()
        arms = mesh.template(k + 1)[0, :, None] - mesh.template(k)[0][rows]
        places = ((places[:, rows] + (frames[:, rows] @ arms[..., None])[..., 0]) * shares).sum(2)
        frames = (frames[:, rows] * shares[..., None]).sum(2)
    torch.testing.assert_close(mesh.carried(shifts, turns), places, rtol=1e-4, atol=1e-6)
    mesh.train()
    torch.testing.assert_close(mesh.carried(shifts, turns), places, rtol=1e-4, atol=1e-6)


def test_meshes_that_do_not_fit_are_refused(pyramid):
    with pytest.raises(WeightsMismatch, match="the pyramid has"):
        with_hand(TINY, hand_pyramid(load_hand_model(), 3))
    with pytest.raises(WeightsMismatch, match="takes up to"):
        Rows(1, 1).fill(np.array([[LARGEST_ROW + 1]]))


def test_rows_are_exact_in_half_precision():
    numbers = np.arange(LARGEST_ROW + 1)[:, None]
    rows = Rows(*numbers.shape)
    rows.fill(numbers)
    assert np.array_equal(rows.values.half().long().numpy(), numbers)


def test_places_are_told_without_size_and_shift():
    places = torch.rand(3, 21, 2)
    known = (torch.rand(3, 21) > 0.3).float()
    one = normalised_places(places, known)
    torch.testing.assert_close(normalised_places(places * 300 + 40, known), one, rtol=1e-3, atol=1e-4)
    assert one.abs().max() < 1 + 1e-4 and one[known == 0].abs().max() == 0


def test_sizes():
    """The small one stays below five million numbers beside its trunk; the names of the registry are these."""
    with torch.device("meta"):
        beside = sum(p.numel() for name, p in create("hhmr-s").named_parameters() if ".trunk." not in name)
        tiny = sum(p.numel() for p in create("hhmr-xs").parameters())
    assert beside < 5e6 and tiny < 0.25e6
    assert HHMR_PAPER.image == "resnet50" and HHMR_SMALL.image == "hand" and HHMR_TINY.image == "none"


def test_pictures_become_tokens_once_and_a_pretrained_trunk_stays():
    network = build_hhmr(replace(TINY, size=64, image="hand", image_layers=1)).train()
    assert not any(p.requires_grad for p in network.image_in.trunk.parameters())
    (tokens,) = network.look(torch.rand(2, 3, 64, 64))
    assert tokens.shape == (2, network.patches, TINY.tokens) == (2, 5, 16)
    noisy, time, known = told(network)
    shown = known._replace(patches=tokens.detach(), patches_known=torch.ones(2, network.patches))
    assert network.denoise(noisy, time, *shown)[0].shape == (2, 1596, 3)
