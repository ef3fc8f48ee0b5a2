from dataclasses import replace

import pytest
import torch

from prehend.models.hand_object.unihope_lite import LITE, UniHOPELite, build_unihope_lite

SIZE = 64
TINY = replace(LITE, size=SIZE, channels=8, heads=1, body=8, code=16, hidden=(16,))
BOX = torch.tensor([[10.0, 12.0, 50.0, 52.0], [14.0, 8.0, 54.0, 40.0]])


@pytest.fixture(scope="module")
def network() -> UniHOPELite:
    torch.manual_seed(0)
    return build_unihope_lite(TINY).eval()


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def test_the_stages_one_by_one_give_what_the_whole_gives(network: UniHOPELite, image: torch.Tensor) -> None:
    kind = torch.rand(2, 10)
    grasp = torch.ones(2, 1)
    with torch.no_grad():
        whole = network(image, BOX, BOX + 3, grasp, None, kind)
        encoded = network.encode(image)
        thing = network.object_(encoded.object_source, encoded.hand_map, BOX, BOX + 3, encoded.places, kind)
        hand = network.hand(encoded.hand_map, BOX, thing.object_roi, grasp, encoded.places)
    for one, other in zip(whole.hand, hand, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(whole.thing.object_match, thing.object_match)
    stages = network.stages()
    assert list(stages["encode"].outputs) == list(encoded._fields)
    assert list(stages["object"].outputs) == list(thing._fields) and list(stages["hand"].outputs) == list(hand._fields)


def test_fresh_heads_leave_the_keypoints_where_the_trunk_sees_them(network: UniHOPELite, image: torch.Tensor) -> None:
    with torch.no_grad():
        out = network(image, BOX, BOX, torch.zeros(2, 1))
    size = (BOX[:, 2:] - BOX[:, :2])[:, None]
    px = BOX[:, None, :2] + out.hand.keypoints * size
    seen = out.encoded.places * SIZE - 0.5
    assert (px - seen).abs().max() < 0.03 * SIZE  # a sigmoid of -4 of the way to the heatmaps' places


def test_without_a_grasp_the_object_changes_nothing(network: UniHOPELite, image: torch.Tensor) -> None:
    with torch.no_grad():
        encoded = network.encode(image)
        one, other = (
            network.hand(encoded.hand_map, BOX, roi, torch.zeros(2, 1), encoded.places)
            for roi in (torch.zeros(2, 8, 16, 16), torch.rand(2, 8, 16, 16))
        )
    torch.testing.assert_close(one.rotations, other.rotations)


def test_the_pose_does_not_move_the_places(image: torch.Tensor) -> None:
    torch.manual_seed(0)
    network = build_unihope_lite(TINY).train()
    network(image, BOX, BOX, torch.zeros(2, 1)).hand.rotations.square().sum().backward()
    assert network.places.weight.grad is None and network.correction.weight.grad is None


def test_the_code_is_left_out_in_training_alone(image: torch.Tensor) -> None:
    network = build_unihope_lite(TINY)
    network.code_dropout = 1.0
    code = torch.rand(4, 16)
    assert not network.train().code_for_pose(code).any()
    torch.testing.assert_close(network.eval().code_for_pose(code), code)


def test_extents_are_read_without_the_description(network: UniHOPELite, image: torch.Tensor) -> None:
    with torch.no_grad():
        encoded = network.encode(image)
        kinds = (torch.zeros(2, 10), torch.rand(2, 10))
        given = encoded.object_source, encoded.hand_map, BOX, BOX, encoded.places
        one, other = (network.object_(*given, kind) for kind in kinds)
    torch.testing.assert_close(one.object_extents, other.object_extents)
    assert (one.object_match - other.object_match).abs().max() > 1e-6
    assert (one.object_extents > 0).all()


def test_the_object_stream_starts_as_a_copy_that_is_its_own() -> None:
    network = build_unihope_lite(TINY)
    network.streams.copy_middle()
    own, hand = network.streams.object_middle[0], network.trunk.stages[1]
    for a, b in zip(own.parameters(), hand.parameters(), strict=True):
        torch.testing.assert_close(a, b)
        assert a is not b
