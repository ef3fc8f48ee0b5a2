from dataclasses import replace

import pytest
import torch

from prehend.errors import WeightsMismatch
from prehend.hand_model import load_hand_model, skin
from prehend.hand_model.meshes.pyramid import NUM_PARTS
from prehend.models.meshes.h2onet import (
    FRAMES,
    H2ONET_LITE,
    H2ONET_PAPER,
    KEPT,
    FrameAnswer,
    H2ONet,
    H2ONetConfig,
    HandMesh,
    build_h2onet,
    chosen_frame,
)
from prehend.models.trunks.h2onet_trunks import fetched
from prehend_training.assets.mesh_pyramid import own_pyramid

SIZE = 64
TINY = replace(
    H2ONET_LITE, size=SIZE, channels=(8, 8, 8, 8, 8), orientation=(16,), offset=(16,), vertex_offset=(8,),
    occlusion=(16, 8),
)  # fmt: skip
CHOSEN = replace(TINY, turns="chosen")
PAPER = replace(
    CHOSEN, trunk="dense", aware=False, channels=(16, 8, 8, 8, 8)
)  # the paper's trunk and fusion, a narrow decoder


def with_hand(config: object, stirred: bool = True) -> H2ONet:
    torch.manual_seed(0)
    network = build_h2onet(config).eval()  # type: ignore[arg-type]
    network.set_hand(load_hand_model(), own_pyramid())
    if stirred:  # as trained: what several frames ask for is not nothing
        with torch.no_grad():
            for parameter in network.fusion_parts():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return network


@pytest.fixture(scope="module", params=[TINY, CHOSEN, PAPER], ids=["shared", "chosen", "dense"])
def network(request: pytest.FixtureRequest) -> H2ONet:
    return with_hand(request.param)


@pytest.fixture(scope="module")
def frames(network: H2ONet) -> list[FrameAnswer]:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        return [network.encode(torch.rand(2, 3, SIZE, SIZE, generator=generator)) for _ in range(FRAMES)]


def decoded(
    network: H2ONet, frames: list[FrameAnswer], known: list[float] | None = None, **changes: object
) -> HandMesh:
    window = {name: torch.stack([getattr(frame, name) for frame in frames], 1) for name in KEPT} | changes
    turn = window.get("turn", torch.eye(3).expand(2, FRAMES, 3, 3))
    with torch.no_grad():
        return network.decode(
            *(window[name] for name in KEPT), turn, torch.tensor([known or [1.0] * FRAMES]).expand(2, -1)
        )


def test_the_outputs_are_those_of_the_stages(network: H2ONet, frames: list[FrameAnswer]) -> None:
    stages = network.stages()
    for stage, answer in (("encode", frames[0]), ("decode", decoded(network, frames))):
        assert list(stages[stage].outputs) == list(answer._fields)
        for (name, shape), array in zip(stages[stage].outputs.items(), answer, strict=True):
            assert tuple(array.shape[1:]) == shape[1:], name
            assert array.isfinite().all()
    assert [name.removeprefix("window_") for name in list(stages["decode"].inputs)[:4]] == list(KEPT)


def test_the_same_frame_three_times_gives_what_it_gives_alone(network: H2ONet, frames: list[FrameAnswer]) -> None:
    alone = decoded(network, [frames[0], frames[1], frames[2]], [1, 0, 0])
    thrice = decoded(network, [frames[0]] * FRAMES)
    for name in ("vertices", "joints", "rotation"):
        torch.testing.assert_close(getattr(alone, name), getattr(thrice, name), atol=1e-6, rtol=1e-5)
        # what is shared are differences, which are nothing to the bit
        if network.config.turns == "shared":
            assert torch.equal(getattr(alone, name), getattr(thrice, name)), name
    assert torch.equal(alone.turned_by, torch.tensor([[1.0, 0.0, 0.0]]).expand(2, -1))
    if network.config.turns == "shared":
        torch.testing.assert_close(alone.rotation, frames[0].rotation, atol=1e-5, rtol=0)


def test_a_hand_at_rest_in_crops_that_turn_gives_what_one_frame_gives(
    network: H2ONet, frames: list[FrameAnswer]
) -> None:
    """The crop turns along the hand; turned into the current crop, equal orientations are no difference."""
    if network.config.turns != "shared":
        pytest.skip("the chosen frame's code is compared with the current one's, each in its own crop")
    angles = torch.tensor([0.0, 0.4, -0.7])
    turn = torch.eye(3).repeat(2, FRAMES, 1, 1)
    turn[..., 0, 0] = turn[..., 1, 1] = angles.cos()
    turn[..., 0, 1], turn[..., 1, 0] = -angles.sin(), angles.sin()
    rotation = turn.transpose(-1, -2) @ frames[0].rotation[:, None]
    at_rest = decoded(network, [frames[0]] * FRAMES, rotation=rotation, turn=turn)
    alone = decoded(network, frames, [1, 0, 0])
    assert at_rest.turned_by[:, 1:].min() > 1e-6  # though all of them count
    for name in ("vertices", "joints", "rotation"):
        torch.testing.assert_close(getattr(at_rest, name), getattr(alone, name), atol=1e-5, rtol=0)


def test_every_frame_that_is_there_has_a_share_of_the_turn(frames: list[FrameAnswer], network: H2ONet) -> None:
    shares = decoded(network, frames).turned_by
    torch.testing.assert_close(shares.sum(1), torch.ones(2))
    if network.config.turns == "shared":
        assert ((shares > 0) & (shares < 1)).all()
        assert not decoded(network, frames, [1, 1, 0]).turned_by[:, 2].any()
        rotation = torch.stack([frame.rotation for frame in frames], 1)
        rotation[:, 1:] = torch.eye(3)
        alone = decoded(network, frames, [1, 0, 0], rotation=rotation).rotation
        assert not torch.equal(decoded(network, frames, rotation=rotation).rotation, alone)
    else:
        assert ((shares == 0) | (shares == 1)).all()


def test_what_one_kind_of_fusion_needs_the_other_has_not() -> None:
    shared, chosen = (set(dict(with_hand(config).named_parameters())) for config in (TINY, CHOSEN))
    assert {name.split(".")[0] for name in shared ^ chosen} == {"shared_turn", "turn_by"}
    assert {name for name in shared if name.startswith("turn_by")} == set()


def test_frames_that_are_not_there_change_nothing(network: H2ONet, frames: list[FrameAnswer]) -> None:
    one = decoded(network, frames, [1, 0, 0])
    other = decoded(network, [frames[0], frames[2], frames[1]], [1, 0, 0])
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    # that the current one is there cannot be denied
    assert torch.equal(decoded(network, frames, [0, 0, 0]).vertices, one.vertices)


def test_a_part_comes_from_where_it_is_seen(network: H2ONet, frames: list[FrameAnswer]) -> None:
    logits = torch.zeros(2, FRAMES, NUM_PARTS)
    logits[:, :, 2] = torch.tensor([-8.0, 8.0, -8.0])
    weights = decoded(network, frames, part_logit=logits).frame_weights
    torch.testing.assert_close(weights.sum(1), torch.ones(2, NUM_PARTS))
    assert (weights[:, 1, 2] > 0.99).all()
    if network.age is None:  # the paper's
        torch.testing.assert_close(weights[:, :, 3], torch.full((2, FRAMES), 1 / FRAMES))


def test_only_the_vertices_of_a_part_follow_it(network: H2ONet, frames: list[FrameAnswer]) -> None:
    """Features of another frame reach the canonical mesh in the parts alone in which that frame counts."""
    logits = torch.full((2, FRAMES, NUM_PARTS), -20.0)
    logits[:, 0] = 20.0
    logits[:, 0, 1], logits[:, 1, 1] = -20.0, 20.0
    window = {name: torch.stack([getattr(frame, name) for frame in frames], 1) for name in KEPT}
    moved = window["features"].clone()
    moved[:, 1] += 1
    one, other = (decoded(network, frames, part_logit=logits, features=f) for f in (window["features"], moved))
    off = ((one.vertices - other.vertices) - (one.vertices - other.vertices).mean(1, keepdim=True)).norm(dim=-1)
    index = network.parts.rows() == 1
    # the wrist, from which all is measured, may move as one
    assert off[:, ~index].std() < 1e-3 * off[:, index].max().clamp(min=1e-3)
    assert off[:, index].max() > 1e-3


@pytest.mark.parametrize(
    ("seen", "known", "expected"),
    [
        ((1, 1, 1), (1, 1, 1), 0),
        ((0, 1, 1), (1, 1, 1), 1),
        ((0, 0, 1), (1, 1, 1), 2),
        ((0, 0, 0), (1, 1, 1), 0),
        ((0, 1, 1), (1, 0, 1), 2),
        ((0, 1, 1), (1, 0, 0), 0),
        ((1, 1, 1), (0, 1, 1), 0),
    ],
)
def test_the_orientation_is_looked_up_in_the_nearest_frame_that_shows_the_hand(seen, known, expected) -> None:
    """Equation (6); a hand is occluded where all five fingers are, whatever the palm."""
    logits = torch.full((1, FRAMES, NUM_PARTS), -3.0)
    logits[..., -1] = 3.0
    logits[0, :, 2] = 6 * torch.tensor(seen, dtype=torch.float32) - 3
    chosen = chosen_frame(logits, torch.tensor([known], dtype=torch.float32))
    assert chosen.tolist() == [[float(k == expected) for k in range(FRAMES)]]


def test_a_fresh_network_answers_with_the_mean_hand() -> None:
    network = with_hand(TINY, stirred=False)
    network.mesh.linear.weight.data.zero_()
    network.mesh.linear.bias.data.zero_()
    frame = network.encode(torch.rand(2, 3, SIZE, SIZE))
    mesh = decoded(network, [frame] * FRAMES)
    model = load_hand_model()
    untouched = mesh.joints @ mesh.rotation  # back to the canonical pose
    bones = lambda joints: (joints[:, 1:] - joints[:, :1]).norm(dim=-1)  # noqa: E731
    rest = torch.from_numpy(skin(model, torch.eye(3).expand(16, 3, 3).numpy(), torch.zeros(10).numpy()).joints)[None]
    assert (bones(untouched) - bones(rest.float())).abs().max() < 0.06  # a hand's size, fingers a little bent
    torch.testing.assert_close(mesh.rotation, frame.rotation)


def test_joints_are_those_of_the_hand_model_at_first() -> None:
    network, model = with_hand(TINY), load_hand_model()
    pose = torch.eye(3).expand(16, 3, 3).numpy()
    posed = skin(model, pose, torch.zeros(10).numpy())
    joints = network.joints_of(torch.from_numpy(posed.vertices).float()[None])
    torch.testing.assert_close(joints[0], torch.from_numpy(posed.joints).float(), atol=1e-5, rtol=0)


def test_rotations_turn_the_mesh_about_the_wrist(network: H2ONet, frames: list[FrameAnswer]) -> None:
    mesh = decoded(network, frames)
    assert mesh.joints[:, 0].abs().max() == 0
    unit = mesh.rotation @ mesh.rotation.transpose(1, 2)
    torch.testing.assert_close(unit, torch.eye(3).expand(2, 3, 3), atol=1e-5, rtol=0)


def test_the_orientation_does_not_teach_the_rest(network: H2ONet) -> None:
    network.zero_grad()
    network.encode(torch.rand(2, 3, SIZE, SIZE)).rotation.sum().backward()
    own = {id(parameter) for parameter in network.orientation_parts()}
    for name, parameter in network.named_parameters():
        assert (parameter.grad is None or not parameter.grad.any()) or id(parameter) in own, name


@pytest.mark.parametrize("config", [TINY, CHOSEN], ids=["shared", "chosen"])
def test_learning_to_fuse_begins_gently(config: H2ONetConfig) -> None:
    """What answers with nothing at first has a gradient of the size of the others, not one that is beyond all."""
    network = with_hand(config, stirred=False)
    frame = network.encode(torch.rand(2, 3, SIZE, SIZE))
    window = [
        getattr(frame, name)[:, None].detach().expand(-1, FRAMES, *getattr(frame, name).shape[1:]) for name in KEPT
    ]
    window[3] = window[3].clone()
    window[3][:, 1:] = torch.eye(3)  # a hand that moved
    window[2] = torch.randn_like(window[2])
    mesh = network.decode(*window, torch.eye(3).expand(2, FRAMES, 3, 3), torch.ones(2, FRAMES))
    (mesh.rotation - torch.eye(3)).abs().mean().backward()
    last = network.shared_turn.change.weight if config.turns == "shared" else network.turn_by[-1].bias
    assert 0 < last.grad.norm() < 10


def test_what_several_frames_need_has_no_part_in_one(network: H2ONet) -> None:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    fusion = {names[id(parameter)].split(".")[0] for parameter in network.fusion_parts()}
    turn = "shared_turn" if network.config.turns == "shared" else "turn_by"
    assert fusion - {"age"} == {turn, "move_by"}
    assert ("age" in fusion) == (network.config != PAPER)


def test_features_are_fetched_where_the_joint_is() -> None:
    """A map that is linear along both axes gives its value at the place; outside the border goes on."""
    cells = 8
    middle = (torch.arange(cells) + 0.5) / cells
    latent = torch.stack([middle.expand(cells, cells), middle[:, None].expand(cells, cells)])[None]
    places = torch.tensor([[[0.3, 0.6], [0.5, 0.5], [-1.0, 2.0]]])
    got = fetched(latent, places)
    torch.testing.assert_close(got[0, :2], places[0, :2])
    torch.testing.assert_close(got[0, 2], torch.tensor([middle[0], middle[-1]]))


def test_a_pyramid_of_another_mesh_is_refused() -> None:
    network = build_h2onet(replace(TINY, levels=(10, 20, 40, 80, 160)))
    with pytest.raises(WeightsMismatch, match="meshes of"):
        network.set_hand(load_hand_model(), own_pyramid())


def test_the_presets_are_for_the_shipped_hand() -> None:
    assert H2ONET_LITE.levels == H2ONET_PAPER.levels == own_pyramid().sizes
