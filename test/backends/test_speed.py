"""The budget of unihope-s: a hand with its object takes no longer than a ResNet-18 trunk on the same crop."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from prehend.backends import open_backend
from prehend.models.backbone import basic_layer
from prehend.models.blocks import conv_bn
from prehend.weights import Bundle

THREADS, ROUNDS = 2, 25


def resnet18_trunk(path: Path) -> Callable[[np.ndarray], None]:
    """Stem and four layers of He et al. on ONNX Runtime, set up as the backend sets up its own sessions."""
    layers = [basic_layer(64, 64, 2, stride=1), *(basic_layer(n, 2 * n, 2) for n in (64, 128, 256))]
    trunk = nn.Sequential(conv_bn(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1), *layers).eval()
    torch.onnx.export(trunk, (torch.rand(1, 3, 128, 128),), path, input_names=["image"], dynamo=False)
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})


def milliseconds(jobs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Least wall time of each job, the jobs taking turns so that a busy machine is busy for all of them."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            taken[name].append((time.perf_counter() - start) * 1e3)
    return {name: min(times) for name, times in taken.items()}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_cheaper_than_a_resnet18_trunk(hand_bundle: Bundle, tmp_path: Path) -> None:
    reference = resnet18_trunk(tmp_path / "resnet18.onnx")
    backend = open_backend("onnx", hand_bundle, threads=THREADS)
    image = np.random.default_rng(0).random((1, 3, 128, 128), np.float32)
    boxes = {"hand_box": np.array([[24, 24, 104, 104]], np.float32)}
    encoded = backend.infer("encode", {"image": image})
    maps = {name: encoded[name].copy() for name in ("object_source", "hand_map")}
    thing = {**maps, **boxes, "object_box": boxes["hand_box"] + 10}
    roi = backend.infer("object", thing)["object_roi"].copy()
    hand = {"hand_map": maps["hand_map"], **boxes, "object_roi": roi, "grasp": np.ones((1, 1), np.float32)}
    took = milliseconds(
        {
            "encode": lambda: backend.infer("encode", {"image": image}),
            "object": lambda: backend.infer("object", thing),
            "hand": lambda: backend.infer("hand", hand),
            "resnet18": lambda: reference(image),
        }
    )
    print({name: round(value, 2) for name, value in took.items()}, "ms")  # shown by pytest -rP
    whole = took["encode"] + took["object"] + took["hand"]
    assert whole <= took["resnet18"]
    assert whole - took["object"] <= 0.8 * took["resnet18"]
