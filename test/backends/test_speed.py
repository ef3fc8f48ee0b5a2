"""The budget of unihope-s, beside a ResNet-18 trunk on the same crop: a bare hand takes about as long, a hand with its
object at most 1.8 times (depthwise convolutions are slow for their number of products)."""

from pathlib import Path

import numpy as np
import pytest
from bench_jobs import resnet18_trunk, stage_jobs, taking_turns

from prehend.weights import Bundle


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_cheaper_than_a_resnet18_trunk(hand_bundle: Bundle, tmp_path: Path) -> None:
    side = int(hand_bundle.manifest["input"]["size"])
    trunk = resnet18_trunk(tmp_path / "resnet18.onnx", side)
    image = np.random.default_rng(0).random((1, 3, side, side), np.float32)
    taken = taking_turns({**stage_jobs(hand_bundle), "resnet18": lambda: trunk(image)}, rounds=80)
    took = {name: min(times) for name, times in taken.items()}
    print({name: round(value, 2) for name, value in took.items()}, "ms")  # shown by pytest -rP
    whole = took["encode"] + took["object"] + took["hand"]
    assert whole <= 1.8 * took["resnet18"]
    assert whole - took["object"] <= 1.15 * took["resnet18"]
