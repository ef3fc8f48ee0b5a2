"""What a hand's motion tells of what it holds: patches through the network `grasp-motion`."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from prehend.backends import Backend, open_backend
from prehend.pipeline.frames.hand_motion import LAYERS, SIZE, MotionPatch
from prehend.pipeline.networks.stage_check import require_stage
from prehend.weights import load_bundle

STAGE = "watch"
WEIGHTS = "grasp-motion"
LIMIT = 6.0
"""Log-odds beyond are alike."""


class MotionAnswer(NamedTuple):
    """Log-odds that something moves with the hand, and that the hand touches it."""

    holds: float
    touches: float


UNSEEN = MotionAnswer(0.0, 0.0)
"""Where nothing was seen to move."""


class GraspMotionNetwork:
    """The network on a backend.

    Args:
        backend: of weights of `grasp-motion`.

    Raises:
        WeightsMismatch: the weights are of another network, or of patches that this version does not make.
    """

    def __init__(self, backend: Backend):
        require_stage(backend, STAGE, {"patch": (LAYERS, SIZE, SIZE)}, "watch hands", WEIGHTS)
        self._backend = backend

    def tell(self, patch: MotionPatch) -> MotionAnswer:
        """What a patch tells."""
        told = self._backend.infer(STAGE, {"patch": patch.layers[None], "speeds": patch.speeds[None]})
        holds, touches = (float(told[name][0, 0]) for name in ("holds_logit", "touches_logit"))
        return MotionAnswer(*np.clip([holds, touches], -LIMIT, LIMIT).tolist())


@lru_cache(maxsize=1)
def load_grasp_motion() -> GraspMotionNetwork:
    """The weights that ship, opened once a process on one thread of the processor.

    Raises:
        AssetError: they are missing or damaged.
    """
    return GraspMotionNetwork(open_backend("onnx", load_bundle(WEIGHTS), threads=1))
