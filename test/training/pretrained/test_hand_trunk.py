"""Against LiteRT, on the file itself: set PREHEND_MEDIAPIPE_WHEEL to mediapipe-0.10.21 (pip download --no-deps)."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from prehend_training.pretrained.files import convert
from prehend_training.pretrained.sources import read_published
from prehend_training.scenes.render.render import crop_sample

WHEEL = os.environ.get("PREHEND_MEDIAPIPE_WHEEL", "")
needs_wheel = pytest.mark.skipif(not WHEEL, reason="PREHEND_MEDIAPIPE_WHEEL names no wheel of mediapipe 0.10.21")


@pytest.fixture(scope="module")
def oracle():
    """The published file on LiteRT: outputs by name."""
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = litert.Interpreter(model_content=read_published("hand", Path(WHEEL)), num_threads=1)
    interpreter.allocate_tensors()

    def run(image: np.ndarray) -> dict[str, np.ndarray]:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None].astype(np.float32))
        interpreter.invoke()
        return {o["name"]: interpreter.get_tensor(o["index"])[0] for o in interpreter.get_output_details()}

    return run


def check(oracle, image: np.ndarray) -> None:
    with torch.no_grad():
        found = convert_once()(torch.from_numpy(image.transpose(2, 0, 1)[None]).float())
    said = oracle(image)
    # x, y are pixels of the crop; the file's two scores are behind a logistic function
    assert np.abs(found.landmarks[0].numpy() - said["Identity"]).max() < 1e-3
    assert np.abs(found.presence[0].sigmoid().numpy() - said["Identity_1"]).max() < 1e-4
    assert np.abs(found.handedness[0].sigmoid().numpy() - said["Identity_2"]).max() < 1e-4
    assert np.abs(found.world[0].numpy() - said["Identity_3"]).max() < 1e-5


def convert_once(known: dict = {}):  # noqa: B006 - read once for all tests
    if "network" not in known:
        known["network"] = convert("hand", Path(WHEEL))
    return known["network"]


@needs_wheel
def test_same_answers_as_the_file_on_anything(oracle) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.random((224, 224, 3)) for _ in range(3)]
    blots = [np.kron(rng.random((7, 7, 3)), np.ones((32, 32, 1))) for _ in range(3)]
    for image in (*noise, *blots, np.zeros((224, 224, 3)), np.ones((224, 224, 3))):
        check(oracle, image)


@needs_wheel
def test_same_answers_as_the_file_on_rendered_hands(oracle, renderer) -> None:
    for index in range(3):
        check(oracle, crop_sample(renderer, 7, index, 224).image / 255)
