"""Against LiteRT, on the file itself: set PREHEND_MEDIAPIPE_WHEEL to mediapipe-0.10.21 (pip download --no-deps)."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from prehend.errors import WeightsMismatch
from prehend.models.detectors.palm import BOX_NUMBERS
from prehend_training.pretrained.files import convert
from prehend_training.pretrained.palm import convert_palm
from prehend_training.pretrained.sources import read_published

WHEEL = os.environ.get("PREHEND_MEDIAPIPE_WHEEL", "")
needs_wheel = pytest.mark.skipif(not WHEEL, reason="PREHEND_MEDIAPIPE_WHEEL names no wheel of mediapipe 0.10.21")


@needs_wheel
def test_same_answers_as_the_file() -> None:
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    oracle = litert.Interpreter(model_content=read_published("palm", Path(WHEEL)), num_threads=1)
    oracle.allocate_tensors()
    network = convert("palm", Path(WHEEL))
    rng = np.random.default_rng(0)
    blots = [np.kron(rng.random((8, 8, 3)), np.ones((24, 24, 1))) for _ in range(3)]
    for image in (rng.random((192, 192, 3)), *blots, np.ones((192, 192, 3))):
        oracle.set_tensor(oracle.get_input_details()[0]["index"], image[None].astype(np.float32))
        oracle.invoke()
        said = {o["name"]: oracle.get_tensor(o["index"])[0] for o in oracle.get_output_details()}
        with torch.no_grad():
            found = network(torch.from_numpy(image.transpose(2, 0, 1)[None]).float())
        assert np.abs(found.scores[0].numpy() - said["Identity_1"]).max() < 2e-3
        assert np.abs(found.boxes[0, :, :BOX_NUMBERS].numpy() - said["Identity"]).max() < 5e-3  # [px of 192]
        assert (found.boxes[..., BOX_NUMBERS:] == 0).all()


@needs_wheel
def test_another_network_of_the_same_wheel_is_refused() -> None:
    with pytest.raises(WeightsMismatch, match="layers"):
        convert_palm(read_published("hand", Path(WHEEL)))
