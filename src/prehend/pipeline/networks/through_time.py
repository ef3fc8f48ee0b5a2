"""Stages that draw on several frames at the price of one: what a frame tells is kept, not seen again."""

from collections.abc import Mapping, Sequence

from prehend.backends import Backend
from prehend.backends.base import Array
from prehend.errors import FramesMismatch
from prehend.pipeline.frames.memory import Moment, Remembered, windows_of
from prehend.weights import Bundle

ENCODE, DECODE, FUSE = "encode", "decode", "fuse_frames"
"""Stages: of one image; of the kept answers of several, which give a mesh (`h2onet`), or give a pose that one image
told already (`unihope-s-time`)."""

_WINDOW = "window_"
_MADE_HERE = ("turn", "known")


class TimeStage:
    """A stage whose inputs are what was told of a hand in several frames.

    Args:
        backend: of weights that have the stage.
        stage: its name.

    Attributes:
        frames: of a window, at most.
        kept: names of what later frames need.
    """

    def __init__(self, backend: Backend, stage: str):
        self._backend, self._stage = backend, stage
        taken = {spec.name: spec.shape for spec in backend.bundle.stages[stage].inputs}
        self.frames = int(taken[f"{_WINDOW}known"][1])
        self.kept = tuple(name for name in (key.removeprefix(_WINDOW) for key in taken) if name not in _MADE_HERE)

    def run(self, told: Mapping[str, Array], moments: Sequence[Moment]) -> tuple[list[Remembered], dict[str, Array]]:
        """Look at some crops and at what is remembered of their hands.

        Args:
            told: (B, ...) of these crops, at least what is `kept`.
            moments: of the crops.

        Returns:
            What is to be remembered of each crop, and the stage's outputs.
        """
        kept = [{name: told[name][row].copy() for name in self.kept} for row in range(len(moments))]
        now, inputs = windows_of(moments, kept, self.frames)
        answer = self._backend.infer(self._stage, inputs)
        return now, {name: array.copy() for name, array in answer.items()}


def stage_through_time(bundle: Bundle) -> str | None:
    """Name of the stage of these weights that draws on several frames; None where they have none."""
    for name in (DECODE, FUSE):
        if name in bundle.stages and any(spec.name == f"{_WINDOW}known" for spec in bundle.stages[name].inputs):
            return name
    return None


def time_stage(backend: Backend, temporal_frames: int) -> TimeStage | None:
    """The stage that draws on several frames, None where the weights have none or can do without it.

    Args:
        backend: of the weights.
        temporal_frames: how many are wanted; 1: no stage `fuse_frames`; 0: as many as the weights look at.

    Raises:
        FramesMismatch: the weights look at fewer frames.
    """
    name = stage_through_time(backend.bundle)
    if name is None:
        if temporal_frames > 1:
            raise FramesMismatch(
                f"weights '{backend.bundle.name}' have no stage for several frames: set temporal_frames to 1, or take "
                "weights of unihope-s-time or h2onet",
                most=1,
            )
        return None
    if name == FUSE and temporal_frames == 1:
        return None
    stage = TimeStage(backend, name)
    if temporal_frames > stage.frames:
        raise FramesMismatch(
            f"weights '{backend.bundle.name}' look at {stage.frames} frames at most, temporal_frames is "
            f"{temporal_frames}",
            most=stage.frames,
        )
    return stage
