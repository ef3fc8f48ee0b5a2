"""What a backend is: named arrays in, named arrays out, one stage of a network at a time."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.errors import InvalidInput, UnknownName
from prehend.weights import Bundle, TensorSpec

__all__ = ["Array", "Backend", "TensorSpec", "calls_at_once", "ordered_inputs"]

Array = NDArray[np.float32]


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
