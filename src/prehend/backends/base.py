"""What a backend is: named arrays in, named arrays out, one stage of a network at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.errors import InvalidInput, UnknownName
from prehend.types import FloatArray
from prehend.weights import Bundle, TensorSpec

__all__ = [
    "Array",
    "Backend",
    "CuttingBackend",
    "DeviceImage",
    "TensorSpec",
    "Uncut",
    "Window",
    "calls_at_once",
    "check_crops",
    "cutting",
    "ordered_inputs",
]

Array = NDArray[np.float32]

IMAGE = "image"
"""Name of the input that shows crops."""


class Backend(Protocol):
    """Runs the stages of one bundle."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def bundle(self) -> Bundle:
        """The weights."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how it runs: that it is not what was asked for, say."""
        ...

    def infer(self, stage: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run a stage.

        Args:
            stage: one of `bundle.stages`.
            inputs: its inputs by name, float32, with the shapes of the manifest.

        Returns:
            Its outputs by name, float32; valid until the next call.

        Raises:
            UnknownName: there is no such stage.
            InvalidInput: the inputs are not those of the stage.
            DeviceError: the device that it runs on failed.
        """
        ...

    def close(self) -> None:
        """Let go of memory and threads; the backend is of no use afterwards."""
        ...


class Window(NamedTuple):
    """What a crop is made of, whoever cuts it.

    Attributes:
        rows, columns: pixels of the frame; none where the crop shows nothing of it and is black.
        shrink: side of the blocks of pixels that are averaged first; the last ones repeat the pixels at the edge.
        affine: (2, 3) float64, pixels of the shrunk part -> pixels of the crop; black beyond the part.
    """

    rows: slice
    columns: slice
    shrink: int
    affine: FloatArray


@dataclass
class DeviceImage:
    """An image that goes to a device once, when the first crop of it is wanted there. Made anew for each image: the
    memory of one may hold the next.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        on_device: the same on the device; its backend's affair.
    """

    pixels: NDArray[np.uint8]
    on_device: Any = None


class Uncut(Protocol):
    """A crop that is not cut yet."""

    @property
    def frame(self) -> DeviceImage:
        """What it is cut out of."""
        ...

    @property
    def window(self) -> Window:
        """Where, and how."""
        ...

    @property
    def size(self) -> int:
        """Its side [px]."""
        ...

    @property
    def image(self) -> Array:
        """(3, size, size) RGB in [0, 1], cut on the processor."""
        ...


class CuttingBackend(Backend, Protocol):
    """A backend that cuts crops where its network runs, as long as its attribute `cuts` is true."""

    @property
    def cuts(self) -> bool:
        """Whether it does."""
        ...

    def infer_crops(self, stage: str, crops: Sequence[Uncut]) -> dict[str, Array]:
        """Run a stage whose one input is `image` on crops of one or more frames; answers and errors as of `infer`."""
        ...


def cutting(backend: Backend) -> CuttingBackend | None:
    """The backend, if it cuts crops itself; None where the processor has to."""
    return cast(CuttingBackend, backend) if getattr(backend, "cuts", False) else None


def check_crops(bundle: Bundle, stage: str, crops: Sequence[Uncut]) -> None:
    """See that crops are what a stage takes.

    Raises:
        UnknownName: there is no such stage.
        InvalidInput: it takes something else than images of their size, or there are none.
    """
    if stage not in bundle.stages:
        raise UnknownName(f"stage of '{bundle.name}'", stage, bundle.stages)
    specs = bundle.stages[stage].inputs
    if [spec.name for spec in specs] != [IMAGE]:
        names = ", ".join(sorted(spec.name for spec in specs))
        raise InvalidInput(f"stage '{stage}' of '{bundle.name}' takes {names}, not crops alone")
    sides = {crop.size for crop in crops}
    if sides != {specs[0].shape[-1]}:
        raise InvalidInput(f"crops have the sides {sorted(sides)}, expected some of {specs[0].shape[-1]} px")


def calls_at_once(backend: Backend) -> int:
    """How many threads may call `Backend.infer` at the same time, and had better: its attribute `at_once`, 1 where it
    has none. With more than 1 outputs stay valid."""
    return int(getattr(backend, "at_once", 1))


def ordered_inputs(bundle: Bundle, stage: str, inputs: Mapping[str, Array]) -> list[Array]:
    """The inputs of a stage in the manifest's order, checked, contiguous and float32.

    Raises:
        UnknownName: there is no such stage.
        InvalidInput: a name is missing or not known, or a shape is not the manifest's.
    """
    if stage not in bundle.stages:
        raise UnknownName(f"stage of '{bundle.name}'", stage, bundle.stages)
    specs = bundle.stages[stage].inputs
    names = {spec.name for spec in specs}
    if inputs.keys() != names:
        raise InvalidInput(
            f"stage '{stage}' of '{bundle.name}' takes {', '.join(sorted(names))}; "
            f"given: {', '.join(sorted(inputs)) or 'nothing'}"
        )
    arrays = [np.ascontiguousarray(inputs[spec.name], np.float32) for spec in specs]
    for spec, array in zip(specs, arrays, strict=True):
        check_shape(spec.name, array, spec.shape)
    batches = {len(array) for array in arrays}
    if len(batches) > 1 or 0 in batches:
        raise InvalidInput(f"inputs of stage '{stage}' have batch sizes {sorted(batches)}, expected one, not 0")
    return arrays
