"""A prior that nobody trained, and hands that are known."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from prehend.geometry.camera import project
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin
from prehend.models.meshes.hhmr import HHMR, HHMR_TINY, build_hhmr
from prehend.prior.sampler import HandPrior
from prehend.types import Camera
from prehend_training.assets.mesh_pyramid import hand_pyramid

CAMERA = Camera(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)
CONFIG = replace(HHMR_TINY, channels=(16, 8, 8, 8), blocks=1, tokens=16, heads=2)


@lru_cache(maxsize=1)
def network(**changes: Any) -> HHMR:
    """Of the shipped hand, stirred: the noise moves its fingers a little. `changes` are of its numbers."""
    torch.manual_seed(0)
    made = build_hhmr(replace(CONFIG, **changes)).eval()
    model = load_hand_model()
    made.set_hand(model, hand_pyramid(model, len(CONFIG.levels)))
    with torch.no_grad():
        made.frames.weight[:3].add_(torch.randn(3, CONFIG.channels[0]) * 0.02)
        made.frames.bias[3:].add_(torch.randn(9) * 0.01)
    return made


@lru_cache(maxsize=1)
def prior() -> HandPrior:
    return HandPrior(network(), load_hand_model())


def posed(seed=0, side="right"):
    """A hand half a metre in front of the camera: vertices and joints [m]."""
    rng = np.random.default_rng(seed)
    pose = np.zeros((16, 3))
    pose[1:, 2] = rng.uniform(0, 0.7, 15)
    pose[0] = 0.2, 0.3, -1.2
    model = load_hand_model(side=side)
    rotations = matrix_from_axis_angle(pose if side == "right" else pose * [1, -1, -1])
    return skin(model, rotations, rng.normal(0, 0.5, 10), (0.02, 0.05, 0.5))


def seen(joints):
    return project(joints, CAMERA)
