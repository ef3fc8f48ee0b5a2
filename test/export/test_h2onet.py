"""H2ONet as a bundle: its tables of the mesh travel with the weights, and both backends agree to a tenth of a
millimetre on windows of real answers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from prehend.backends.base import Array, Backend
from prehend.backends.onnx_ import OnnxBackend
from prehend.backends.settings import BackendSettings
from prehend.backends.torch_ import TorchBackend, load_network
from prehend.export.bundle import save_bundle
from prehend.hand_model import load_hand_model
from prehend.models.meshes.h2onet import FRAMES, H2ONET_LITE, KEPT, H2ONet, build_h2onet
from prehend.models.registry import config_from_manifest
from prehend.weights import Bundle
from prehend_training.assets.mesh_pyramid import own_pyramid

SIZE = 64
_TINY = {"size": SIZE, "orientation": (16,), "offset": (16,), "vertex_offset": (8,), "occlusion": (16, 8)}
CONFIGS = {
    "hand": replace(H2ONET_LITE, **_TINY, channels=(8, 8, 8, 8, 8)),
    "chosen": replace(H2ONET_LITE, **_TINY, channels=(8, 8, 8, 8, 8), turns="chosen"),
    "dense": replace(H2ONET_LITE, **_TINY, channels=(16, 8, 8, 8, 8), trunk="dense", aware=False, turns="chosen"),
}
KNOWN = np.array([[[1, 0, 0]] * 2, [[1, 1, 1]] * 2], np.float32)


@pytest.fixture(scope="module", params=CONFIGS)
def network(request: pytest.FixtureRequest) -> H2ONet:
    torch.manual_seed(0)
    network = build_h2onet(CONFIGS[request.param])
    network.set_hand(load_hand_model(), own_pyramid())
    with torch.no_grad():
        for parameter in network.fusion_parts():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for module in network.modules():  # fresh layers lose the image on the way
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                module.weight.mul_(2)
    return network.eval()


@pytest.fixture(scope="module")
def bundle(network: H2ONet, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return save_bundle(network, tmp_path_factory.mktemp("weights") / "h2onet", "h2onet-s", {"licence": "none"})


@pytest.fixture(scope="module")
def backends(bundle: Bundle) -> tuple[Backend, Backend]:
    return TorchBackend(bundle, BackendSettings(threads=1)), OnnxBackend(bundle, BackendSettings(threads=1))


def window(backend: Backend, items: int = 2) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(FRAMES):
        answer = backend.infer("encode", {"image": rng.random((items, 3, SIZE, SIZE), np.float32)})
        frames.append({name: answer[name].copy() for name in KEPT})
    stacked = {f"window_{name}": np.stack([frame[name] for frame in frames], 1) for name in KEPT}
    stacked["window_turn"] = np.broadcast_to(np.eye(3, dtype=np.float32), (items, FRAMES, 3, 3)).copy()
    return stacked | {"window_known": np.array([[1, 1, 1], [1, 0, 0]] * items, np.float32)[:items]}


@pytest.mark.parametrize("items", [1, 3])
def test_backends_agree_on_windows_of_their_own_answers(backends: tuple[Backend, Backend], items: int) -> None:
    """Whatever the batch; graphs are traced with two."""
    one, other = (backend.infer("decode", window(backend, items)) for backend in backends)
    for name in ("vertices", "joints"):
        off_mm = np.linalg.norm(one[name] - other[name], axis=-1).max() * 1e3
        assert off_mm < 0.1, name
    for name in ("frame_weights", "turned_by", "rotation"):
        np.testing.assert_allclose(one[name], other[name], atol=1e-4)


def test_the_same_frame_three_times_is_the_single_frame_in_every_runtime(backends: tuple[Backend, Backend]) -> None:
    for backend in backends:
        given = window(backend)
        thrice = {
            name: value if name == "window_known" else value[:, :1].repeat(FRAMES, 1) for name, value in given.items()
        }
        alone, same = (backend.infer("decode", thrice | {"window_known": known}) for known in KNOWN)
        for name in ("joints", "rotation"):
            np.testing.assert_allclose(alone[name], same[name], atol=1e-6)


def test_weights_from_before_look_up_one_frame(network: H2ONet, bundle: Bundle) -> None:
    numbers = {name: value for name, value in bundle.manifest["config"].items() if name != "turns"}
    older = config_from_manifest({**bundle.manifest, "config": numbers})
    assert older == replace(network.config, turns="chosen")


def test_the_manifest_names_the_stages(bundle: Bundle) -> None:
    assert list(bundle.stages) == ["encode", "decode"]
    kept = {spec.name: spec.shape for spec in bundle.stages["encode"].outputs if spec.name in KEPT}
    taken = {spec.name: spec.shape for spec in bundle.stages["decode"].inputs}
    for name, (batch, *shape) in kept.items():
        assert taken[f"window_{name}"] == (batch, FRAMES, *shape)


def test_the_tables_come_back_to_the_bit(network: H2ONet, bundle: Bundle) -> None:
    """Weights are stored in half precision, which would round row numbers above 2048 and the triangles' shares."""
    stored = load_network(bundle).state_dict()
    tables = [name for name in network.state_dict() if name.endswith(".values")]
    assert len(tables) > 10
    for name in tables:
        assert torch.equal(stored[name], network.state_dict()[name]), name
