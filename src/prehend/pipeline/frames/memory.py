"""The frame buffer: what a track remembers of its last second for the frames to come; features, not images.

Frames are found again by their stamps. Small jitter and swapped stamps are no matter; where time stands still, jumps or
goes back for good, the memory begins anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from prehend.backends.base import Array
from prehend.errors import InvalidInput, ParameterError
from prehend.types import FloatArray

FRAMES, STRIDE_S = 3, 1 / 6
"""Frames of a window, and five images at 30 Hz between them as a time (H2ONet, section 4.1) [s]."""


@dataclass(frozen=True)
class MemoryOptions:
    """How long and how densely is remembered.

    Attributes:
        frames: of a window, the current one included; 1 remembers nothing.
        stride_s: time between the frames of a window [s].
        horizon_s: how far back is remembered [s].
        gap_s: a longer time without a frame, forwards or backwards, begins anew [s].

    Raises:
        ParameterError: numbers contradict each other.
    """

    frames: int = FRAMES
    stride_s: float = STRIDE_S
    horizon_s: float = 1.0
    gap_s: float = 0.5

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ParameterError(f"temporal_frames {self.frames}: a window has one frame at least")
        if not self.stride_s > 0:
            raise ParameterError(f"temporal_stride_s {self.stride_s}: the time between frames is positive")
        if not (self.frames - 1) * self.stride_s <= self.horizon_s:
            most = most_frames(self.stride_s, self.horizon_s)
            if most < 2:
                raise ParameterError(
                    f"temporal_stride_s is {self.stride_s:g}, expected up to {self.horizon_s:g}, the time that is "
                    "remembered [s]"
                )
            raise ParameterError(
                f"temporal_frames {self.frames} at temporal_stride_s {self.stride_s:g} reach back farther than the "
                f"{self.horizon_s:g} s that are remembered: take {most} frames at most, 0 for as many as the weights "
                "look at, or a shorter stride"
            )
        if not self.gap_s > 0:
            raise ParameterError(f"a gap of {self.gap_s} s is none")

    @classmethod
    def reaching_back(cls, stride_s: float) -> "MemoryOptions":
        """As many frames as can be remembered, two at least.

        Raises:
            ParameterError: a single stride reaches back too far.
        """
        plain = cls(frames=2, stride_s=stride_s)
        return replace(plain, frames=most_frames(stride_s, plain.horizon_s))


def most_frames(stride_s: float, horizon_s: float) -> int:
    """How many frames reach back no farther than is remembered; the current one is the first.

    Args:
        stride_s: time between two of them, above 0 [s].
        horizon_s: how far back is remembered [s].
    """
    strides = int(horizon_s / stride_s)
    return 1 + (strides if strides * stride_s <= horizon_s else strides - 1)


class Remembered(NamedTuple):
    """One frame of a track.

    Attributes:
        stamp_s: when its image was taken [s].
        arrays: what is kept of it, by name, without a batch axis.
        R_camera_crop: (3, 3) from its crop frame to the camera's, mirrored where the crop is.
    """

    stamp_s: float
    arrays: Mapping[str, Array]
    R_camera_crop: FloatArray


@dataclass
class FrameMemory:
    """The last second of one track.

    Attributes:
        options: how long and how densely.
    """

    options: MemoryOptions = field(default_factory=MemoryOptions)
    _frames: list[Remembered] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._frames)

    def copy(self) -> "FrameMemory":
        """Another one that remembers the same frames."""
        return replace(self, _frames=list(self._frames))

    def clear(self) -> None:
        """Forget everything: the track has another hand, side or number."""
        self._frames.clear()

    def add(self, frame: Remembered) -> None:
        """Remember a frame; frames may come in another order than they were taken in.

        A frame with the stamp of another one takes its place: a bag that was stopped shows the same image again.

        Raises:
            InvalidInput: its stamp is not finite.
        """
        if not np.isfinite(frame.stamp_s):
            raise InvalidInput(f"a frame with the stamp {frame.stamp_s} has no place in time")
        if self._frames and not -self.options.gap_s <= frame.stamp_s - self._frames[-1].stamp_s <= self.options.gap_s:
            self.clear()
        self._frames = [other for other in self._frames if other.stamp_s != frame.stamp_s]
        self._frames.append(frame)
        self._frames.sort(key=lambda other: other.stamp_s)
        oldest = self._frames[-1].stamp_s - self.options.horizon_s - self.options.stride_s / 2
        self._frames = [other for other in self._frames if other.stamp_s >= oldest]

    def window(self, stamp_s: float) -> list[Remembered | None]:
        """The frame of a stamp, then the nearest to one, two, ... strides before it; None where there is none near.

        Later frames are never looked at.

        Raises:
            InvalidInput: the frame itself is not remembered.
        """
        now = next((frame for frame in self._frames if frame.stamp_s == stamp_s), None)
        if now is None:
            raise InvalidInput(f"no frame of {stamp_s:.3f} s is remembered: add it first")
        found: list[Remembered | None] = [now]
        last = now
        for k in range(1, self.options.frames):
            wanted = stamp_s - k * self.options.stride_s
            before = [frame for frame in self._frames if frame.stamp_s < last.stamp_s]
            near = min(before, key=lambda frame: abs(frame.stamp_s - wanted), default=None)
            if near is None or abs(near.stamp_s - wanted) > self.options.stride_s / 2:
                found.append(None)
                continue
            found.append(near)
            last = near
        return found


class Moment(NamedTuple):
    """When and from where a crop is looked at, and what is remembered of its hand.

    Attributes:
        memory: of the track; is left as it is.
        stamp_s: when the image was taken [s].
        R_camera_crop: (3, 3), see `Remembered`.
    """

    memory: FrameMemory
    stamp_s: float
    R_camera_crop: FloatArray


NO_PAST = Moment(FrameMemory(MemoryOptions(frames=1)), 0.0, np.eye(3))
"""Of a crop on its own."""


def windows_of(
    moments: Sequence[Moment], kept: Sequence[Mapping[str, Array]], frames: int
) -> tuple[list[Remembered], dict[str, Array]]:
    """What is to be remembered of some crops, and the inputs of a network's stage for several frames of each.

    Args:
        moments: of the crops.
        kept: what the network tells of each crop that later frames need, without a batch axis.
        frames: of a window, as the network takes them; fewer may be remembered.
    """
    now = [
        Remembered(moment.stamp_s, arrays, moment.R_camera_crop) for moment, arrays in zip(moments, kept, strict=True)
    ]
    inputs = [window_arrays(_window(moment.memory, frame, frames)) for moment, frame in zip(moments, now, strict=True)]
    return now, {name: np.concatenate([one[name] for one in inputs]) for name in inputs[0]}


def _window(memory: FrameMemory, now: Remembered, frames: int) -> list[Remembered | None]:
    with_it = memory.copy()
    with_it.add(now)
    window = with_it.window(now.stamp_s)[:frames]
    return window + [None] * (frames - len(window))


def window_arrays(window: Sequence[Remembered | None]) -> dict[str, Array]:
    """Inputs of a network's stage for several frames, with a batch axis of one.

    Args:
        window: see `FrameMemory.window`; the first is there.

    Returns:
        window_<name>: (1, F, ...) of each array that is remembered; that of the current frame where one is not there.
        window_turn: (1, F, 3, 3) from each frame's crop frame to the current one's, as if the camera stood still.
        window_known: (1, F) 1 for frames that are there.
    """
    now = window[0]
    if now is None:
        raise InvalidInput("a window without its current frame is none")
    frames = [now if frame is None else frame for frame in window]
    stacked = {f"window_{name}": np.stack([frame.arrays[name] for frame in frames])[None] for name in now.arrays}
    turns = [now.R_camera_crop.T @ frame.R_camera_crop for frame in frames]
    stacked["window_turn"] = np.stack(turns)[None].astype(np.float32)
    stacked["window_known"] = np.array([[frame is not None for frame in window]], np.float32)
    return stacked
