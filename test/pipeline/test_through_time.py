from dataclasses import replace

import numpy as np
import pytest
import torch

from prehend.backends import open_backend
from prehend.backends.base import Backend
from prehend.errors import WeightsMismatch
from prehend.export.bundle import save_bundle
from prehend.hand_model import load_hand_model
from prehend.models.h2onet import H2ONET_LITE, build_h2onet
from prehend.pipeline.memory import MemoryOptions
from prehend.pipeline.through_time import ThroughTime
from prehend.weights import load_bundle
from prehend_training.assets.mesh_pyramid import own_pyramid

SIZE = 64


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    torch.manual_seed(0)
    config = replace(
        H2ONET_LITE, size=SIZE, channels=(8, 8, 8, 8, 8), orientation=(16,), offset=(16,), vertex_offset=(8,),
        occlusion=(16, 8),
    )  # fmt: skip
    network = build_h2onet(config)
    network.set_hand(load_hand_model(), own_pyramid())
    with torch.no_grad():
        for parameter in network.fusion_parts():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for module in network.modules():  # fresh layers lose the image on the way
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                module.weight.mul_(2)
    folder = tmp_path_factory.mktemp("weights") / "h2onet"
    return open_backend("onnx", save_bundle(network, folder, "h2onet-s", {"licence": "none"}), threads=1)


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((3, SIZE, SIZE), np.float32)


def looks(backend: Backend, seeds, options: MemoryOptions | None = None, rate_hz: float = 30):
    hand = ThroughTime(backend, options)
    memory = hand.new_memory()
    return [hand.look(image(seed), np.eye(3), k / rate_hz, memory) for k, seed in enumerate(seeds)]


def test_the_same_image_again_and_again_gives_what_it_gives_once(backend: Backend) -> None:
    first, *_, last = looks(backend, [0] * 12)
    assert (first.frames, last.frames) == (1, 3)
    for name in ("vertices", "joints", "rotation"):
        np.testing.assert_allclose(first.answer[name], last.answer[name], atol=1e-5)


def test_earlier_images_have_a_say_and_only_those_of_the_window(backend: Backend) -> None:
    one = looks(backend, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])[-1]
    other = looks(backend, [90, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])[-1]  # t - 2k
    same = looks(backend, [0, 91, 92, 93, 94, 5, 96, 97, 98, 99, 10])[-1]
    assert np.abs(one.answer["joints"] - other.answer["joints"]).max() > 1e-5
    np.testing.assert_array_equal(one.answer["joints"], same.answer["joints"])


def test_one_frame_remembers_nothing(backend: Backend) -> None:
    alone = looks(backend, [5], MemoryOptions(frames=1))[0]
    after = looks(backend, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 5], MemoryOptions(frames=1))[-1]
    assert after.frames == 1
    np.testing.assert_array_equal(alone.answer["joints"], after.answer["joints"])


def test_what_cannot_be_is_refused_with_the_way_out(backend: Backend) -> None:
    with pytest.raises(WeightsMismatch, match="temporal_frames to 1"):
        ThroughTime(open_backend("onnx", load_bundle("unihope-s"), threads=1))
    with pytest.raises(WeightsMismatch, match="3 frames at most"):
        ThroughTime(backend, MemoryOptions(frames=4, stride_s=0.1))
