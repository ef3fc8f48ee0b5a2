"""What the parts of `make bench` and the speed tests measure with."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from prehend.backends import Backend, open_backend
from prehend.weights import Bundle

CLIP = Path(__file__).parents[1] / "examples" / "hands.mp4"
THREADS = 1
"""Of each network: what it costs. Two calls of `onnx` run beside each other with two threads, so that one call has one
there too (`OnnxBackend`)."""


def resnet18_trunk(path: Path, side: int, threads: int = THREADS) -> Callable[[np.ndarray], Any]:
    """Stem and four layers of He et al. on ONNX Runtime, set up as the backend sets up its own sessions.

    For images of `side` px."""
    import torch
    from torch import nn

    from prehend.models.layers.blocks import conv_bn
    from prehend.models.trunks.backbone import basic_layer

    layers = [basic_layer(64, 64, 2, stride=1), *(basic_layer(n, 2 * n, 2) for n in (64, 128, 256))]
    trunk = nn.Sequential(conv_bn(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1), *layers).eval()
    torch.onnx.export(trunk, (torch.rand(1, 3, side, side),), path, input_names=["image"], dynamo=False)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})


def stage_jobs(
    bundle: Bundle, threads: int = THREADS, backend: Backend | None = None, items: int = 1
) -> dict[str, Callable[[], Any]]:
    """One call of each stage of a hand network, for some hands; its inputs are what the manifest says."""
    from prehend.export.parity import copied, fixed_crops, stage_inputs

    backend = backend or open_backend("onnx", bundle, threads=threads)
    side = int(bundle.manifest["input"]["size"])
    known = {"image": np.resize(fixed_crops(side), (items, 3, side, side))}
    jobs: dict[str, Callable[[], Any]] = {}
    for stage in bundle.stages:
        inputs = stage_inputs(bundle, stage, known, items, np.random.default_rng(0))
        known.update(copied(backend.infer(stage, inputs)))
        jobs[stage] = partial(backend.infer, stage, inputs)
    return jobs


def taking_turns(jobs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Wall times [ms] of each job; they take turns so that a busy machine is busy for all of them."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            taken[name].append((time.perf_counter() - start) * 1e3)
    return taken
