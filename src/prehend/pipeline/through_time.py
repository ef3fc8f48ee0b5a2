"""A network whose answers draw on several frames at the price of one: what a frame tells is kept, not seen again."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.backends import Backend
from prehend.backends.base import Array
from prehend.errors import WeightsMismatch
from prehend.pipeline.memory import FrameMemory, MemoryOptions, Remembered, window_arrays
from prehend.types import FloatArray

ENCODE, DECODE = "encode", "decode"
"""Stages: of one image, and of the kept answers of several."""

_WINDOW = "window_"
_MADE_HERE = ("turn", "known")


class Look(NamedTuple):
    """What came of a frame.

    Attributes:
        frame: outputs of `encode`, of this image alone.
        answer: outputs of `decode`, of this image and those before it.
        frames: how many images took part.
    """

    frame: dict[str, Array]
    answer: dict[str, Array]
    frames: int


class ThroughTime:
    """Looks at a hand frame by frame.

    Args:
        backend: of weights whose stage `decode` takes what `encode` gives, of several frames (`h2onet`).
        options: how the frames of a window are chosen; with one frame nothing is remembered.

    Raises:
        WeightsMismatch: the weights have no such stages, or take fewer frames than are asked for.
    """

    def __init__(self, backend: Backend, options: MemoryOptions | None = None):
        self._backend, self.options = backend, options or MemoryOptions()
        bundle = backend.bundle
        stages = bundle.stages
        taken = {spec.name: spec.shape for spec in stages[DECODE].inputs} if DECODE in stages else {}
        if ENCODE not in stages or f"{_WINDOW}known" not in taken:
            raise WeightsMismatch(
                f"weights '{bundle.name}' of network '{bundle.network}' have no stage for several frames: set "
                "temporal_frames to 1, or take weights of h2onet"
            )
        self._size = int(taken[f"{_WINDOW}known"][1])
        if self.options.frames > self._size:
            raise WeightsMismatch(
                f"weights '{bundle.name}' look at {self._size} frames at most, temporal_frames is {self.options.frames}"
            )
        self._kept = [name for name in (key.removeprefix(_WINDOW) for key in taken) if name not in _MADE_HERE]

    def new_memory(self) -> FrameMemory:
        """What a new track remembers: nothing yet."""
        return FrameMemory(self.options)

    def look(self, image: NDArray[np.float32], R_camera_crop: FloatArray, stamp_s: float, memory: FrameMemory) -> Look:
        """Look at the next image of a track.

        Args:
            image: (3, S, S) RGB in [0, 1], a crop.
            R_camera_crop: (3, 3) from the crop frame to the camera's.
            stamp_s: when the image was taken [s].
            memory: of the track; takes the frame in.

        Raises:
            InvalidInput: the image has another size, or the stamp is not finite.
        """
        told = self._backend.infer(ENCODE, {"image": image[None]})
        frame = {name: array.copy() for name, array in told.items()}  # outputs are valid until the next call
        memory.add(Remembered(stamp_s, {name: frame[name][0] for name in self._kept}, R_camera_crop))
        window = memory.window(stamp_s)
        window += [None] * (self._size - len(window))
        answer = self._backend.infer(DECODE, window_arrays(window))
        count = sum(one is not None for one in window)
        return Look(frame, {name: array.copy() for name, array in answer.items()}, count)
