"""SiMA-Hand's networks: views in any order and number, cameras against each other alone, one view in the end."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from prehend.errors import WeightsMismatch
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import load_hand_model
from prehend.models.sima.hand import SIMA_LITE, SimaHand, build_sima_hand
from prehend.models.sima.parts import SimaConfig
from prehend.models.sima.views import FusedFeatures, Rig, SimaViews, ViewAnswer, build_sima_views
from prehend_training.assets.mesh_pyramid import own_pyramid

SIZE, VIEWS = 64, 4
TINY = replace(
    SIMA_LITE, size=SIZE, channels=(8, 8, 8, 8, 8), width=16, heads=2, head_width=8, narrow=8, orientation=(16,)
)
DENSE = replace(TINY, trunk="dense", width=1024, heads=2, channels=(16, 8, 8, 8, 8))
SEVERAL = {
    "hand": replace(TINY, views=8, triangulates=True),
    "dense": replace(DENSE, views=8),
}


def with_hand(network: SimaHand | SimaViews) -> SimaHand | SimaViews:
    network.set_hand(load_hand_model(), own_pyramid())
    with torch.no_grad():  # as trained: fresh layers lose the picture on the way
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                module.weight.mul_(1.6)
    return network.eval()


@pytest.fixture(scope="module", params=SEVERAL)
def several(request: pytest.FixtureRequest) -> SimaViews:
    torch.manual_seed(0)
    network = with_hand(build_sima_views(SEVERAL[request.param]))
    assert isinstance(network, SimaViews)
    return network


@pytest.fixture(scope="module", params=[TINY, DENSE, replace(TINY, enhanced=False)], ids=["hand", "dense", "bare"])
def single(request: pytest.FixtureRequest) -> SimaHand:
    torch.manual_seed(0)
    network = with_hand(build_sima_hand(request.param))
    assert isinstance(network, SimaHand)
    return network


def told_of(network: SimaViews, views: int = VIEWS) -> ViewAnswer:
    """What `views` pictures of each of two moments tell."""
    image = torch.rand(2 * views, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        told = ViewAnswer(*(value.unflatten(0, (2, views)) for value in network.encode(image)))
    places = torch.rand(2, views, 21, 2, generator=torch.Generator().manual_seed(2))
    return told._replace(places=0.2 + 0.6 * places)


def rig_of(views: int = VIEWS, seed: int = 3) -> Rig:
    """Cameras around the origin that look at it."""
    rng = np.random.default_rng(seed)
    turn = matrix_from_axis_angle(rng.normal(size=(2, views, 3)))
    center = (turn @ np.array([[0], [0], [-0.6]]))[..., 0]
    ray = np.broadcast_to([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]], (2, views, 3, 3))
    arrays = (np.ones((2, views)), turn, center, ray)
    return Rig(*(torch.tensor(np.array(array), dtype=torch.float32) for array in arrays))


def picked(value: tuple[torch.Tensor, ...], rows: list[int]) -> list[torch.Tensor]:
    return [part[:, rows] for part in value]


def fused(network: SimaViews, told: ViewAnswer, rig: Rig) -> FusedFeatures:
    with torch.no_grad():
        return network.fused(told, rig)


def same(a: torch.Tensor, b: torch.Tensor, atol: float = 2e-5) -> None:
    torch.testing.assert_close(a, b, atol=atol, rtol=1e-3)


def test_the_order_of_the_views_does_not_matter(several: SimaViews) -> None:
    told, rig, order = told_of(several), rig_of(), [2, 0, 3, 1]
    one = fused(several, told, rig)
    other = fused(several, ViewAnswer(*picked(told, order)), Rig(*picked(rig, order)))
    for name in ("shape", "vertices", "joints", "points"):
        same(getattr(one, name), getattr(other, name))
    for name in ("rotation", "own_rotation", "shares"):
        same(getattr(one, name)[:, order], getattr(other, name))


def test_more_of_the_same_view_says_no_more(several: SimaViews) -> None:
    told, rig = told_of(several), rig_of()
    twice, often = ((ViewAnswer(*picked(told, [0] * n)), Rig(*picked(rig, [0] * n))) for n in (2, 5))
    one, other = fused(several, *twice), fused(several, *often)
    for name in ("shape", "vertices", "joints"):  # rays of one place hardly say how far they go
        same(getattr(one, name), getattr(other, name), 2e-3)
    same(one.rotation, one.own_rotation)  # nobody disagrees
    same(one.rotation[:, 0], other.rotation[:, 4])
    same(other.shares, torch.full((2, 5), 0.2))


def test_the_features_of_equal_views_are_those_of_one(several: SimaViews) -> None:
    told = told_of(several)
    equal = ViewAnswer(*picked(told, [1, 1, 1]))
    lifted = several.decoder.lifted(equal.joint_features.flatten(0, 1)).unflatten(0, (2, 3))
    with torch.no_grad():
        features, _ = several.fuse_vertices(lifted, torch.ones(2, 3))
    same(features, lifted[:, 0])


def test_where_the_world_begins_and_how_it_is_turned_changes_nothing(several: SimaViews) -> None:
    told, rig = told_of(several), rig_of()
    turn = torch.tensor(matrix_from_axis_angle(np.array([0.4, -1.1, 0.7])), dtype=torch.float32)
    moved = rig._replace(turn=turn @ rig.turn, center=rig.center @ turn.T + torch.tensor([1.0, -2, 0.5]))
    one, other = fused(several, told, rig), fused(several, told, moved)
    for name in ("shape", "vertices", "rotation", "points"):
        same(getattr(one, name), getattr(other, name), 1e-4)


def test_the_cameras_poses_count(several: SimaViews) -> None:
    told = told_of(several)
    one, other = fused(several, told, rig_of()), fused(several, told, rig_of(seed=4))
    assert (one.rotation - other.rotation).abs().max() > 1e-2
    shape_follows = several.config.triangulates
    assert ((one.vertices - other.vertices).abs().max() > 1e-4) == shape_follows


def test_views_that_are_not_there_change_nothing(several: SimaViews) -> None:
    told, rig = told_of(several), rig_of()
    known = torch.tensor([1.0, 1, 0, 0]).expand(2, -1)
    one = fused(several, told, rig._replace(known=known))
    noise = ViewAnswer(*(torch.cat([value[:, :2], torch.rand_like(value[:, 2:])], 1) for value in told))
    other = fused(several, noise, rig._replace(known=known))
    two = fused(several, ViewAnswer(*picked(told, [0, 1])), Rig(*picked(rig, [0, 1])))
    for name in ("shape", "vertices", "joints"):
        same(getattr(one, name), getattr(other, name))
        same(getattr(one, name), getattr(two, name))
    same(one.rotation[:, :2], two.rotation)
    assert one.shares[:, 2:].max() < 1e-6


def test_all_views_agree_on_one_rotation(several: SimaViews) -> None:
    rig = rig_of()
    shared = rig.turn @ fused(several, told_of(several), rig).rotation
    same(shared, shared[:, :1].expand_as(shared))
    same(shared @ shared.transpose(2, 3), torch.eye(3).expand(2, VIEWS, 3, 3))


def test_outputs_are_those_of_the_stages(several: SimaViews, single: SimaHand) -> None:
    views = several.config.views
    told = told_of(several, views)
    with torch.no_grad():
        answers = {
            "encode": several.encode(torch.rand(2, 3, SIZE, SIZE)),
            "fuse": several.fuse(*told, *rig_of(views)),
            "reconstruct": single.reconstruct(torch.rand(2, 3, SIZE, SIZE)),
        }
    for name, stage in (several.stages() | single.stages()).items():
        assert list(stage.outputs) == list(answers[name]._fields)
        for (label, shape), array in zip(stage.outputs.items(), answers[name], strict=True):
            assert tuple(array.shape[1:]) == shape[1:], label
            assert array.isfinite().all(), label


def test_one_view_turns_the_mesh_about_the_wrist(single: SimaHand) -> None:
    with torch.no_grad():
        image = torch.rand(2, 3, SIZE, SIZE)
        mesh, features = single.reconstruct(image), single.features(image)
    assert mesh.joints[:, 0].abs().max() == 0
    same(mesh.vertices @ mesh.rotation, features.vertices)
    same(mesh.rotation @ mesh.rotation.transpose(1, 2), torch.eye(3).expand(2, 3, 3))


def test_the_orientation_does_not_teach_the_shape(single: SimaHand) -> None:
    single.zero_grad()
    single.reconstruct(torch.rand(2, 3, SIZE, SIZE)).rotation.sum().backward()
    taught = {name.split(".")[0] for name, value in single.named_parameters() if value.grad is not None}
    asking = {"joint_tokens", "joint_mapper"} if single.config.enhanced else set()
    assert taught == {"eyes", "image_mapper", "orient"} | asking
    assert all(parameter.grad is None for parameter in single.decoder.parameters())
    latent = single.eyes.pyramid if single.config.trunk == "hand" else single.eyes.latent
    assert all(parameter.grad is None for parameter in latent.parameters())


def test_configurations_of_the_other_network_are_refused() -> None:
    with pytest.raises(WeightsMismatch, match="sima-s-views"):
        build_sima_hand(SEVERAL["hand"])
    with pytest.raises(WeightsMismatch, match="one view"):
        build_sima_views(TINY)
    with pytest.raises(WeightsMismatch, match="1024"):
        build_sima_hand(SimaConfig(trunk="dense"))
