"""`prehend node` with several cameras around true hands: what each camera would say of them, and the real fusion.

The first pixel's red channel says how many hands there are; with `--dead NAME` that camera never sees any. Run as a
script by the tests.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np

from prehend.hand_model.asset import load_hand_model
from prehend.pipeline.cameras import CameraFrame
from prehend.pipeline.options import EstimatorOptions
from prehend.rig.estimator import RigEstimator
from prehend.ros.conversion.convert import ModelFacts
from prehend.ros.nodes.estimator import LoadedCameras
from prehend.ros.params import NodeParams
from prehend.types import Camera, FrameResult

HERE = Path(__file__).parent


def scene():
    """The module test/rig/conftest.py: hands and cameras in a ring."""
    spec = importlib.util.spec_from_file_location("rig_scene", HERE.parent / "rig" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["rig_scene"] = module
    spec.loader.exec_module(module)
    return module


SCENE = scene()
NAMES = ("front", "left", "right")
POSES = dict(zip(NAMES, SCENE.ring(3), strict=True))
HANDS = (SCENE.make_hand("right", 1, (0.08, 0.0, 0.0)), SCENE.make_hand("left", 2, (-0.08, 0.0, 0.0)))


class ToyCameras:
    """What the cameras see, instead of networks."""

    notes = ()

    def __init__(self, cameras: tuple[str, ...]) -> None:
        self.cameras = cameras
        self.hand_models = {side: load_hand_model(side=side).without_forearm() for side in ("left", "right")}
        self.batches: list[int] = []
        self.most = 16

    def estimate(self, frames: dict[str, CameraFrame]) -> dict[str, FrameResult]:
        found = {}
        for name, frame in frames.items():
            assert isinstance(frame.camera, Camera)
            errors = SCENE.Errors(px=0.4, depth=0.05, turn=0.1, rng=np.random.default_rng(7))
            shown = HANDS[: min(int(frame.image[0, 0, 0]), self.most)]
            seen = [SCENE.seen(hand, POSES[name], errors, k, frame.camera) for k, hand in enumerate(shown, 1)]
            times = {"find": 1.0, "infer": 2.0, "total": 3.0} | ({"hypotheses": 6.0} if frame.hypotheses else {})
            found[name] = FrameResult(frame.camera, tuple(seen), frame.stamp, times, found=True)
        return found

    def change(self, options: EstimatorOptions) -> None:
        """The most hands are heeded."""
        self.most = options.max_hands

    def reset(self, camera: str | None = None) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is held."""


def load(params: NodeParams) -> LoadedCameras:
    cameras = ToyCameras(params.camera_names())
    model = cameras.hand_models["right"]
    facts = ModelFacts(
        {side: one.faces for side, one in cameras.hand_models.items()},
        model.num_vertices,
        (model.name, model.sha256, "CC0-1.0"),
        ("toy", "cd" * 32, "Apache-2.0"),
        "toy",
    )
    return LoadedCameras(cameras, RigEstimator(cameras, params.options()) if params.rig else None, facts)


if __name__ == "__main__":
    from prehend.ros.node import run_node

    sys.exit(run_node(sys.argv[1:], load_cameras=load))
