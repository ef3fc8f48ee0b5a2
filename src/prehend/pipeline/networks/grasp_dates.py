"""When grasps begin and end: windows of a hand through the network `grasp-dates`."""

from functools import lru_cache

import numpy as np

from prehend.backends import Backend, open_backend
from prehend.pipeline.networks.stage_check import require_stage
from prehend.types import FloatArray
from prehend.weights import load_bundle

STAGE = "date"
WEIGHTS = "grasp-dates"
SIGNALS, BEFORE, AHEAD, HERTZ = 9, 24, 7, 15
"""What a window tells, and at which times: so many before its moment and after it, so many a second."""

TIMES_S = np.arange(-BEFORE, AHEAD + 1) / HERTZ
"""Of a window about its moment [s]."""

_SAID = ("begins_logit", "ends_logit", "holds_logit")


class GraspDatesNetwork:
    """The network on a backend.

    Args:
        backend: of weights of `grasp-dates`.

    Raises:
        WeightsMismatch: the weights are of another network, or of windows that this version does not make.
    """

    def __init__(self, backend: Backend):
        require_stage(backend, STAGE, {"window": (SIGNALS, len(TIMES_S))}, "date grasps", WEIGHTS)
        self._backend = backend

    def tell(self, windows: FloatArray) -> FloatArray:
        """(N, SIGNALS, T) windows -> (N, 3) log-odds that a grasp begins, that it ends, that something is held."""
        told = self._backend.infer(STAGE, {"window": windows.astype(np.float32)})
        return np.concatenate([told[name] for name in _SAID], 1).astype(np.float64)


@lru_cache(maxsize=1)
def load_grasp_dates() -> GraspDatesNetwork:
    """The weights that ship, opened once a process on one thread of the processor.

    Raises:
        AssetError: they are missing or damaged.
    """
    return GraspDatesNetwork(open_backend("onnx", load_bundle(WEIGHTS), threads=1))
