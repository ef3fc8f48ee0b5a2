"""Networks on torch, on the processor: what the ONNX graphs are compared with."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from prehend.backends.base import Array, ordered_inputs
from prehend.errors import WeightsMismatch
from prehend.models.registry import create_from_manifest
from prehend.models.stage import Staged
from prehend.weights import Bundle


class TorchBackend:
    """The network of a bundle in evaluation mode.

    Args:
        bundle: the weights.
        threads: of the processor, 0 for what torch is set to.

    Raises:
        AssetError: the numbers cannot be read.
        WeightsMismatch: numbers and network do not belong together.
    """

    name = "torch"

    def __init__(self, bundle: Bundle, *, threads: int = 0):
        self.bundle, self._threads = bundle, threads
        self._network = load_network(bundle)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a fifth faster
        self._stages = self._network.stages()

    def infer(self, stage: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Backend.infer`."""
        arrays = ordered_inputs(self.bundle, stage, inputs)
        run = getattr(self._network, self._stages[stage].method)
        with torch.inference_mode(), _thread_count(self._threads):
            answers = run(*(torch.from_numpy(array) for array in arrays))
        names = (spec.name for spec in self.bundle.stages[stage].outputs)
        return {name: answer.contiguous().numpy() for name, answer in zip(names, answers, strict=True)}

    def close(self) -> None:
        """Let go of the network."""
        del self._network


def load_network(bundle: Bundle) -> Staged:
    """The network of a bundle with its numbers, in evaluation mode.

    Raises:
        AssetError: the numbers cannot be read.
        UnknownName: this version has no such network.
        WeightsMismatch: numbers and network do not belong together.
    """
    network = create_from_manifest(bundle.manifest)
    own = {name: tensor.shape for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
    arrays = bundle.load_arrays()
    given = {name: torch.Size(array.shape) for name, array in arrays.items()}
    if own != given:
        name = min(name for name in own.keys() | given.keys() if own.get(name) != given.get(name))
        raise WeightsMismatch(
            f"weights '{bundle.name}' do not fit network '{bundle.network}': '{name}' is {given.get(name)}, "
            f"expected {own.get(name)}: use the weights that came with this version"
        )
    # only the counters of training, which are whole numbers, stay as they are
    network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, strict=False)
    return network.eval()


@contextmanager
def _thread_count(threads: int) -> Iterator[None]:
    """Let torch use `threads` threads (0: leave it), and what it used before afterwards."""
    before = torch.get_num_threads()
    if threads in (0, before):
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
