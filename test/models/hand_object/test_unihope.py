from dataclasses import replace

import pytest
import torch

from prehend.models.hand_object.outputs import Output
from prehend.models.hand_object.unihope import PAPER, SMALL, UniHOPE, build_unihope
from prehend.models.stage import sizes

HAND_BOX = torch.tensor([[24.0, 30.0, 104.0, 98.0], [40.0, 24.0, 90.0, 104.0]])
OBJECT_BOX = torch.tensor([[50.0, 40.0, 120.0, 110.0], [10.0, 60.0, 70.0, 126.0]])


TOY = replace(
    SMALL,
    size=64,
    widths=(8, 16, 24, 32),
    blocks=(1, 1, 1, 1),
    object_width=24,
    channels=16,
    code=32,
    hidden=(32,),
)
"""The small preset's parts with few channels."""


@pytest.fixture
def toy() -> UniHOPE:
    return build_unihope(TOY).train()


def run_toy(network: UniHOPE) -> Output:
    image = torch.rand(4, 3, 64, 64)
    return network(image, HAND_BOX.repeat(2, 1) / 2, OBJECT_BOX.repeat(2, 1) / 2, torch.ones(4, 1))


@pytest.fixture(scope="module")
def network() -> UniHOPE:
    torch.manual_seed(0)
    return build_unihope(SMALL).eval()


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(2, 3, 128, 128)


@torch.no_grad()
def test_stages_have_the_shapes_they_state(network: UniHOPE) -> None:
    for stage in network.stages().values():
        inputs = [torch.rand(sizes(shape, 2)) for shape in stage.inputs.values()]
        answers = getattr(network, stage.method)(*inputs)
        assert answers._fields == tuple(stage.outputs)
        assert [list(a.shape) for a in answers] == [sizes(shape, 2) for shape in stage.outputs.values()]


@torch.no_grad()
def test_stage_outputs_feed_the_next_stages(network: UniHOPE) -> None:
    stages = network.stages()
    known = dict(stages["encode"].outputs) | stages["object"].outputs
    for name in ("object", "hand"):
        for key, shape in stages[name].inputs.items():
            if key in known:
                assert known[key] == shape
            else:
                assert key in ("hand_box", "object_box", "grasp")


@torch.no_grad()
def test_training_runs_the_same_stages(network: UniHOPE, image: torch.Tensor) -> None:
    out = network(image, HAND_BOX, OBJECT_BOX, torch.ones(2, 1))
    encoded = network.encode(image)
    thing = network.object_(encoded.object_source, encoded.hand_map, HAND_BOX, OBJECT_BOX)
    hand = network.hand(encoded.hand_map, HAND_BOX, thing.object_roi, torch.ones(2, 1))
    for one, other in zip(
        (*out.encoded, *out.hand, out.object_points), (*encoded, *hand, thing.object_points), strict=True
    ):
        torch.testing.assert_close(one, other)


@torch.no_grad()
def test_without_grasp_the_hand_feature_is_there_twice(network: UniHOPE, image: torch.Tensor) -> None:
    """Eq. (3) with s = 0: whatever the object's feature is, the answer is that of the hand's feature in its place."""
    hand_map = network.encode(image).hand_map
    none = torch.zeros(2, 1)
    reference, hand_roi, _ = network._hand(hand_map, HAND_BOX, torch.zeros(2, 64, 16, 16), none)
    noise = network.hand(hand_map, HAND_BOX, torch.rand(2, 64, 16, 16), none)
    doubled = network.hand(hand_map, HAND_BOX, hand_roi, torch.ones(2, 1))
    for one, two, three in zip(reference, noise, doubled, strict=True):
        torch.testing.assert_close(one, two)
        torch.testing.assert_close(one, three)


@torch.no_grad()
def test_with_grasp_the_object_feature_counts(network: UniHOPE, image: torch.Tensor) -> None:
    hand_map = network.encode(image).hand_map
    roi = torch.rand(2, 64, 16, 16)
    grasp = torch.tensor([[0.0], [1.0]])
    one, other = (network.hand(hand_map, HAND_BOX, r, grasp).code for r in (roi, roi * 2))
    torch.testing.assert_close(one[0], other[0])
    assert not torch.allclose(one[1], other[1])


@torch.no_grad()
def test_only_the_given_rows_compute_their_object(network: UniHOPE, image: torch.Tensor) -> None:
    every = network(image, HAND_BOX, OBJECT_BOX, torch.ones(2, 1))
    second = network(image, HAND_BOX, OBJECT_BOX, torch.ones(2, 1), torch.tensor([False, True]))
    none = network(image, HAND_BOX, OBJECT_BOX, torch.ones(2, 1), torch.tensor([False, False]))
    assert second.object_rows.tolist() == [1]
    torch.testing.assert_close(second.object_points[0], every.object_points[1])
    torch.testing.assert_close(second.hand.code[1], every.hand.code[1])
    torch.testing.assert_close(second.hand.code[0], none.hand.code[0])  # s is 0 where no object was computed
    assert none.object_points.shape == (0, 21, 256, 3)


@torch.no_grad()
def test_own_switch_is_the_sign_of_the_logit(network: UniHOPE, image: torch.Tensor) -> None:
    logit = network.encode(image).grasp_logit
    own = network(image, HAND_BOX, OBJECT_BOX)
    told = network(image, HAND_BOX, OBJECT_BOX, (logit > 0).float())
    torch.testing.assert_close(own.hand.code, told.hand.code)


@torch.no_grad()
def test_keypoints_are_in_units_of_the_box(network: UniHOPE, image: torch.Tensor) -> None:
    """They lie within the hand's square region, wherever the box is; the mean place is the middle of the box."""
    hand_map = network.encode(image).hand_map
    answer = network.hand(hand_map, HAND_BOX, torch.zeros(2, 64, 16, 16), torch.zeros(2, 1))
    size = HAND_BOX[:, 2:] - HAND_BOX[:, :2]
    pixels = HAND_BOX[:, None, :2] + answer.keypoints * size[:, None]
    center, half = (HAND_BOX[:, :2] + HAND_BOX[:, 2:]) / 2, size.amax(1, keepdim=True) * SMALL.hand_margin / 2
    assert ((pixels - center[:, None]).abs() <= half[:, None]).all()
    network_free = network.keypoint_head.soft_argmax(torch.zeros(2, 21, 16, 16))
    torch.testing.assert_close(network_free, torch.full((2, 21, 2), 0.5))


def test_gradients_reach_every_parameter(toy: UniHOPE) -> None:
    out = run_toy(toy)
    loss = sum(t.square().mean() for t in (*out.encoded, *out.hand, out.object_points))
    loss.backward()
    dead = [name for name, p in toy.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert not dead


def test_hand_and_object_do_not_train_each_other(toy: UniHOPE) -> None:
    """Hand losses stop at the object's feature, object losses at the hand's map (docs/PAPERS.md 1.1)."""
    out = run_toy(toy)
    sum(t.square().mean() for t in out.hand).backward(retain_graph=True)
    assert all(p.grad is None for p in toy.streams.object_fpn.parameters())
    toy.zero_grad(set_to_none=True)
    out.object_points.square().mean().backward()
    assert all(p.grad is None for p in toy.streams.hand_fpn.parameters())
    assert any(p.grad is not None for p in toy.streams.trunk.parameters())


def test_learns(toy: UniHOPE) -> None:
    """A few steps on four images bring pose and joints nearer: the parts hang together."""
    target = torch.linalg.qr(torch.randn(4, 16, 3, 3))[0]
    optimiser = torch.optim.AdamW(toy.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        torch.manual_seed(1)  # the same images each time
        hand = run_toy(toy).hand
        loss = (hand.rotations - target).square().mean() + (hand.keypoints - 0.2).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@torch.no_grad()
def test_golden(network: UniHOPE) -> None:
    """Numbers of this version with seed 0: a change here makes all trained weights worthless."""
    ramp = torch.linspace(0, 1, 3 * 128 * 128).reshape(1, 3, 128, 128)
    out = network(ramp, HAND_BOX[:1], OBJECT_BOX[:1], torch.ones(1, 1))
    got = [
        out.encoded.grasp_logit.item(),
        out.encoded.hand_map.mean().item(),
        out.hand.keypoints.mean().item(),
        out.hand.code.mean().item(),
        out.hand.rotations[0, 3, 0, 1].item() * 100,
        out.object_points[..., 2].mean().item(),
    ]
    assert got == pytest.approx(GOLDEN, abs=1e-4)


GOLDEN = [0.010972, 0.031033, 0.500306, 0.008045, 0.014830, 0.503194]


def test_paper_preset_has_the_papers_sizes() -> None:
    stages = build_unihope(PAPER).to("meta").stages()
    assert stages["encode"].outputs["hand_map"] == ("B", 256, 32, 32)
    assert stages["object"].outputs["object_points"] == ("B", 21, 1024, 3)
    assert stages["hand"].outputs["code"] == ("B", 1024)


def test_paper_preset_runs_stage_by_stage() -> None:
    network = build_unihope(PAPER).to("meta").eval()
    for stage in network.stages().values():
        inputs = [torch.empty(sizes(shape, 2), device="meta") for shape in stage.inputs.values()]
        answers = getattr(network, stage.method)(*inputs)
        assert [list(a.shape) for a in answers] == [sizes(shape, 2) for shape in stage.outputs.values()]
