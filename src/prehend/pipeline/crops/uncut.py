"""Crops of an image, cut at once on the processor or later where the network runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from prehend.backends.base import IMAGE, Array, Backend, DeviceImage, Window, cutting
from prehend.pipeline.crops.crop import Crop, CropSpec, cut, window_of


@dataclass(frozen=True)
class UncutCrop:
    """A crop that a device cuts: a `backends.base.Uncut`.

    Attributes:
        spec: where it comes from.
        frame: the image, on its way to the device.
    """

    spec: CropSpec
    frame: DeviceImage

    @property
    def uncut(self) -> "UncutCrop":
        """What a device cuts: this."""
        return self

    @property
    def window(self) -> Window:
        """See `crop.window_of`."""
        height, width = self.frame.pixels.shape[:2]
        return window_of(self.spec, (width, height))

    @property
    def size(self) -> int:
        """Its side [px]."""
        return self.spec.size

    @property
    def image(self) -> NDArray[np.float32]:
        """(3, size, size) float32 RGB in [0, 1], cut on the processor: where the device failed."""
        return cut(self.frame.pixels, self.spec).image

    def for_other_side(self) -> "UncutCrop":
        """The same for a hand of the other side."""
        return UncutCrop(self.spec.for_other_side(), self.frame)


AnyCrop: TypeAlias = Crop | UncutCrop


class CropSource:
    """An image of which crops are cut.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        on_device: leave the cutting to the backend.
    """

    def __init__(self, pixels: NDArray[Any], on_device: bool = False):
        self.pixels = pixels
        self._frame = DeviceImage(pixels) if on_device else None

    @property
    def size(self) -> tuple[int, int]:
        """Width, height [px]."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def cut(self, spec: CropSpec) -> AnyCrop:
        """A crop of it."""
        return cut(self.pixels, spec) if self._frame is None else UncutCrop(spec, self._frame)


def infer_crops(backend: Backend, stage: str, crops: Sequence[AnyCrop]) -> dict[str, Array]:
    """Run a stage that looks at crops, which the backend cuts itself where it can and they are not cut yet."""
    device, uncut = cutting(backend), [one for crop in crops if (one := crop.uncut) is not None]
    if device is not None and len(uncut) == len(crops):
        return device.infer_crops(stage, uncut)
    return backend.infer(stage, {IMAGE: np.stack([crop.image for crop in crops])})
