"""`prehend node` with an estimator whose answer can be read off the image: run as a script by the tests.

The first pixel's red channel says what to do: 0 no hand, 1 a right hand, 2 both hands and an object, 12 the same
of an operator, 253 a GPU that
fails, 254 a `PrehendError`, 255 an error that nobody expects, which loading the model "crash" ends with, too.
"""

import sys
from dataclasses import replace

import numpy as np

from prehend.conventions import SIDES
from prehend.errors import DeviceError, InvalidInput
from prehend.pipeline.depth.register import Depth, UnalignedDepth
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.tracking.events import EventTeller
from prehend.ros.conversion.convert import ModelFacts
from prehend.ros.nodes.estimator import Loaded
from prehend.ros.params import NodeParams
from prehend.types import Box, Camera, FrameResult, GraspEstimate, HandEstimate, HandHypotheses, ObjectEstimate

VERTICES = 50
OPEN_MS = 6.0
"""What the toy says that hypotheses took it, where they are wanted."""

FACTS = ModelFacts(
    faces={
        "right": np.arange(60, dtype=np.int32).reshape(20, 3) % VERTICES,
        "left": np.arange(60, dtype=np.int32).reshape(20, 3)[:, ::-1] % VERTICES,
    },
    num_vertices=VERTICES,
    hand_model=("toy-hand", "ab" * 32, "CC0-1.0"),
    weights=("toy", "cd" * 32, "Apache-2.0"),
    backend="toy",
    objects={"mug": np.random.default_rng(3).normal(size=(21, 3))},
)


def rotation(rng: np.random.Generator) -> np.ndarray:
    """A random rotation."""
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def hand(index: int, side: str, vertices: int = VERTICES, holds: bool = False) -> HandEstimate:
    """A hand with a different number in every field; the same for the same arguments."""
    rng = np.random.default_rng(index)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation(rng), rng.normal(size=3)
    held = ObjectEstimate("mug", 0.75, rng.normal(size=(21, 2)) * 100, Box(1, 2, 3, 4), T)
    return HandEstimate(
        track_id=index,
        side=side,  # type: ignore[arg-type]
        score=float(rng.uniform()),
        box_px=Box(*rng.uniform(0, 100, 4)),
        keypoints_px=rng.normal(size=(21, 2)) * 100,
        joints_m=rng.normal(size=(21, 3)),
        vertices_m=rng.normal(size=(vertices, 3)).astype(np.float32),
        rotations=np.stack([rotation(rng) for _ in range(16)]),
        betas=rng.normal(size=10),
        visible=rng.uniform(size=21) > 0.5,
        grasp=GraspEstimate("grasping" if holds else "not_grasping", 0.9, 1700000000.25),
        held_object=held if holds else None,
        fit_error_px=1.5,
        position_std_m=0.02,
        hypotheses=hypotheses(rng) if holds else None,
    )


def middle(depth: Depth, camera: Camera) -> float:
    """Depth of the pixel in the middle of the image."""
    if isinstance(depth, UnalignedDepth):
        depth = depth.around(np.array([[0.0, 0.0, 0.6]]), 0.2, camera)
    return float(depth[camera.height // 2, camera.width // 2])


def hypotheses(rng: np.random.Generator) -> HandHypotheses:
    """Three of them."""
    root = rng.normal(size=(21, 3, 3))
    turns = np.stack([rotation(rng) for _ in range(48)]).reshape(3, 16, 3, 3)
    return HandHypotheses(rng.normal(size=(3, 21, 3)), turns, root @ np.swapaxes(root, 1, 2), 2, 5)


class ToyEstimator:
    """See the module's text."""

    notes = ()

    def __init__(self) -> None:
        self._events = EventTeller()
        self._most = 16

    def estimate(
        self,
        image_rgb: np.ndarray,
        camera: Camera | None = None,
        stamp: float | None = None,
        depth: Depth | None = None,
        hypotheses: bool = True,
    ) -> FrameResult:
        order = int(image_rgb[0, 0, 0])
        if order == 253:
            raise DeviceError("the image orders a GPU to fail")
        if order == 254:
            raise InvalidInput("the image orders a failure")
        if order == 255:
            raise ZeroDivisionError("the image orders a crash")
        hands = tuple(hand(n + 1, SIDES[1 - n], holds=n == 1) for n in range(min(order % 10, self._most)))
        hands = tuple(replace(one, is_operator=order > 10) for one in hands)
        assert camera is not None
        if depth is not None:
            hands = tuple(replace(one, position_std_m=middle(depth, camera)) for one in hands)
        events = self._events.step(hands, (camera.width, camera.height), stamp)
        times = {"find": 1.0, "infer": 2.0, "total": 3.5}
        if hypotheses:
            times["hypotheses"] = OPEN_MS
        else:
            hands = tuple(replace(one, hypotheses=None) for one in hands)
        return FrameResult(camera, hands, stamp, times, found=True, events=events)

    def change(self, options: EstimatorOptions) -> None:
        """The most hands are heeded."""
        self._most = options.max_hands

    def reset(self) -> None:
        """Only the events remember something."""
        self._events.reset()

    def close(self) -> None:
        """Nothing is held."""


def load(params: NodeParams) -> Loaded:
    if params.model == "crash":
        raise ZeroDivisionError("the model orders a crash")
    return Loaded(ToyEstimator(), FACTS)


if __name__ == "__main__":
    from prehend.ros.node import run_node

    sys.exit(run_node(sys.argv[1:], load))
