import pytest
import torch

from prehend.backends.torch_ import load_network
from prehend.models.hand_object.time_fusion import LITE_TIME, FusedPose, TimeFusion, build_unihope_time
from prehend.models.hand_object.unihope_lite import build_unihope_lite
from prehend.weights import load_bundle
from prehend_training.losses.crop import rotation_distance

FRAMES, CODE = 3, 32


@pytest.fixture(scope="module", params=[False, True], ids=["shares", "changes"])
def fusion(request: pytest.FixtureRequest) -> TimeFusion:
    torch.manual_seed(0)
    fusion = TimeFusion(CODE, told=8, token=24, frames=FRAMES, changes=request.param)
    moving = [fusion.share.weight, fusion.share.bias, *([fusion.change.weight] if request.param else [])]
    with torch.no_grad():  # as trained: older frames weigh in, and in weights from before differences move the pose
        for parameter in moving:
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return fusion.eval()


def turns(*shape: int) -> torch.Tensor:
    q, r = torch.linalg.qr(torch.randn(*shape, 3, 3))
    q = q * torch.sign(torch.diagonal(r, dim1=-2, dim2=-1))[..., None, :]
    return q * torch.linalg.det(q)[..., None, None]


def frames(batch: int = 2) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {
        "rotations": turns(batch, FRAMES, 16),
        "betas": torch.randn(batch, FRAMES, 10),
        "visibility_logit": torch.randn(batch, FRAMES, 21),
        "log_std": torch.randn(batch, FRAMES, 21) - 3,
        "code": torch.randn(batch, FRAMES, CODE),
        "turn": torch.eye(3).repeat(batch, FRAMES, 1, 1),
        "known": torch.ones(batch, FRAMES),
    }


def fused(fusion: TimeFusion, given: dict[str, torch.Tensor]) -> FusedPose:
    with torch.no_grad():
        return fusion(**given)


def test_the_same_frame_again_and_again_gives_what_it_said_alone(fusion: TimeFusion) -> None:
    """Whatever was learnt."""
    given = {name: value[:, :1].expand_as(value).clone() for name, value in frames().items()}
    said = fused(fusion, given)
    torch.testing.assert_close(said.rotations, given["rotations"][:, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(said.betas, given["betas"][:, 0], atol=1e-6, rtol=0)


def test_frames_that_are_not_there_change_nothing(fusion: TimeFusion) -> None:
    given = frames()
    given["known"][:, 1:] = 0
    said = fused(fusion, given)
    torch.testing.assert_close(said.rotations, given["rotations"][:, 0], atol=1e-5, rtol=0)
    other = {name: value.clone() for name, value in given.items()}
    other["code"][:, 1:] += 3
    other["rotations"][:, 1:] = turns(2, 2, 16)
    assert torch.equal(fused(fusion, other).rotations, said.rotations)
    other["known"][:, 0] = 0  # that the current one is there cannot be denied
    assert torch.equal(fused(fusion, other).rotations, said.rotations)


def test_older_frames_have_a_say(fusion: TimeFusion) -> None:
    given = frames()
    said = fused(fusion, given)
    assert rotation_distance(said.rotations, given["rotations"][:, 0]).min() > 1e-3
    unit = said.rotations @ said.rotations.transpose(-1, -2)
    torch.testing.assert_close(unit, torch.eye(3).expand_as(unit), atol=1e-5, rtol=0)
    assert (torch.linalg.det(said.rotations) > 0).all()


def test_an_older_wrist_is_turned_into_the_current_crop(fusion: TimeFusion) -> None:
    """A hand at rest in crops that lie otherwise is a hand at rest."""
    given = {name: value[:, :1].expand_as(value).clone() for name, value in frames().items()}
    alone = given["rotations"][:, 0].clone()
    given["turn"][:, 1:] = turns(2, 2)
    given["rotations"][:, :, 0] = given["turn"].transpose(-1, -2) @ given["rotations"][:, :, 0]
    torch.testing.assert_close(fused(fusion, given).rotations, alone, atol=1e-5, rtol=0)


def test_a_finger_of_another_frame_moves_that_finger_alone(fusion: TimeFusion) -> None:
    given = frames()
    other = {name: value.clone() for name, value in given.items()}
    other["rotations"][:, 1, 4:7] = turns(2, 3)  # the middle finger's
    off = rotation_distance(fused(fusion, given).rotations, fused(fusion, other).rotations)
    assert off[:, 4:7].min() > 1e-3
    assert off[:, [k for k in range(16) if k not in (4, 5, 6)]].max() < 1e-4


def test_a_fresh_one_takes_surer_and_younger_frames_and_learns() -> None:
    torch.manual_seed(0)
    fusion, given = TimeFusion(CODE, 8, 24, FRAMES).eval(), frames()
    near = given["rotations"].clone()
    near[:, 1:] = near[:, :1]
    near[:, 1] = near[:, 1] @ torch.tensor([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    given |= {"rotations": near, "log_std": torch.full((2, FRAMES, 21), -3.0)}
    alike = fused(fusion, given).rotations
    given["log_std"][:, 1] = -4.0
    surer = fused(fusion, given).rotations
    for said, low, high in ((alike, 0.01, 0.2), (surer, 0.2, 0.45)):
        moved = rotation_distance(said, near[:, 0]) / rotation_distance(near[:, 1], near[:, 0])
        assert low < moved[:, 1:].mean() < high
    said = fusion(**given)
    (said.rotations - turns(2, 16)).abs().mean().backward()
    assert fusion.share.weight.grad is not None and fusion.share.weight.grad.abs().max() > 0


def test_parts_are_left_out_in_training_alone() -> None:
    torch.manual_seed(0)
    fusion, given = TimeFusion(CODE, 8, 24, FRAMES), frames()
    torch.nn.init.normal_(fusion.share.weight)
    one, other = (fused(fusion.train(), given).rotations for _ in range(2))
    assert not torch.equal(one, other)
    one, other = (fused(fusion.eval(), given).rotations for _ in range(2))
    assert torch.equal(one, other)


def test_what_is_learnt_is_how_much_frames_count() -> None:
    """So the answer lies between those of the frames."""
    torch.manual_seed(0)
    fusion, given = TimeFusion(CODE, 8, 24, FRAMES).eval(), frames()
    torch.nn.init.normal_(fusion.share.weight, std=3.0)
    near = given["rotations"][:, :1].expand(-1, FRAMES, -1, -1, -1).clone()
    near[:, 1] = near[:, 1] @ torch.tensor([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    near[:, 2] = near[:, 1]
    said = fused(fusion, given | {"rotations": near}).rotations
    whole = rotation_distance(near[:, 1], near[:, 0])
    assert (rotation_distance(said, near[:, 0]) < whole + 1e-3).all()
    assert (rotation_distance(said, near[:, 1]) < whole + 1e-3).all()


def test_the_other_stages_are_those_of_unihope_s() -> None:
    network, single = build_unihope_time(LITE_TIME), load_network(load_bundle("unihope-s"))
    stages = network.stages()
    assert list(stages) == ["encode", "object", "hand", "fuse_frames"]
    assert {name: stages[name] for name in stages if name != "fuse_frames"} == build_unihope_lite(
        single.config
    ).stages()
    missing = network.load_state_dict(single.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert all(name.startswith("time.") for name in missing.missing_keys)


def test_it_costs_little() -> None:
    count = sum(p.numel() for p in build_unihope_time(LITE_TIME).time.parameters())
    assert count < 100_000  # 0.2 MB in half precision
