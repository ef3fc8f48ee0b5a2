"""Networks on torch, on the processor or a GPU: what engines and ONNX graphs are compared with."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prehend.backends.base import Array, ordered_inputs
from prehend.backends.engine_files import load_engine
from prehend.backends.settings import FULL, BackendSettings
from prehend.errors import DeviceError, WeightsMismatch, one_line
from prehend.models.registry import create_from_manifest
from prehend.models.stage import Staged
from prehend.weights import Bundle

PROVIDERS = ("cpu", "cuda")
PRECISIONS = ("float32", "float16", "bfloat16")


class TorchBackend:
    """The network of a bundle in evaluation mode, in the layout that convolutions like best (channels last).

    With `precision` float16 or bfloat16 it runs under torch's autocast; float32 is float32 on a GPU too (no TF32).
    With `compiled` each stage goes through `torch.compile`, on a GPU with CUDA graphs ("reduce-overhead"); batches are
    filled up to powers of two then, because every other size would be compiled again.

    Args:
        bundle: the weights.
        settings: threads (0 for what torch is set to), provider, precision, compiled.
        measured: whether a precision below float32 wants the engine that says what it costs; False while that is
            measured.

    Raises:
        AssetError: the numbers cannot be read.
        EngineMismatch: the precision was not measured here for these weights.
        DeviceError: there is no GPU.
        ParameterError: there is no such provider or precision.
        WeightsMismatch: numbers and network do not belong together.
    """

    name = "torch"
    notes: tuple[str, ...] = ()

    def __init__(self, bundle: Bundle, settings: BackendSettings | None = None, measured: bool = True):
        self.bundle = bundle
        settings = settings or BackendSettings()
        self._device = settings.only(self.name, PROVIDERS, PRECISIONS)
        self._threads, self._compiled = settings.threads, settings.compiled
        self._type = None if settings.precision == FULL else getattr(torch, settings.precision)
        self.check_device(self._device)
        if measured and settings.precision != FULL:
            load_engine(bundle, self.name, self._device, settings, running_on(self._device))
        self._network = load_network(bundle)
        with _failures_told(self._device):
            self._network.to(device=self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._run = {
            name: self._prepared(getattr(self._network, stage.method)) for name, stage in self._network.stages().items()
        }

    @staticmethod
    def check_device(provider: str) -> None:
        """Raise `DeviceError` where torch has not the device of a provider."""
        if provider == "cuda" and not torch.cuda.is_available():
            said = "sees no GPU" if torch.version.cuda else "was built without CUDA: install torch with CUDA"
            raise DeviceError(f"backend 'torch' on provider 'cuda': this torch {torch.__version__} {said}")

    def infer(self, stage: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Backend.infer`."""
        arrays = ordered_inputs(self.bundle, stage, inputs)
        items = len(arrays[0])
        if self._compiled:
            arrays = [_filled_up(array) for array in arrays]
        with torch.inference_mode(), _thread_count(self._threads), _failures_told(self._device), self._autocast():
            answers = [answer[:items].float().cpu() for answer in self._run[stage](*map(self._sent, arrays))]
        names = (spec.name for spec in self.bundle.stages[stage].outputs)
        return {name: answer.contiguous().numpy() for name, answer in zip(names, answers, strict=True)}

    @contextmanager
    def watched(self) -> Iterator[dict[str, str]]:
        """The precision of what each layer gives, by the layer's name, while answers are made."""
        seen: dict[str, str] = {}

        def note(name: str) -> Callable[..., None]:
            def hook(_module: Any, _inputs: Any, output: Any) -> None:
                if isinstance(output, Tensor):
                    seen[name] = str(output.dtype).removeprefix("torch.")

            return hook

        leaves = [(name, module) for name, module in self._network.named_modules() if not any(module.children())]
        hooks = [module.register_forward_hook(note(name)) for name, module in leaves]
        try:
            yield seen
        finally:
            for hook in hooks:
                hook.remove()

    def close(self) -> None:
        """Let go of the network."""
        self._run.clear()
        del self._network
        if self._device == "cuda":
            torch.cuda.empty_cache()

    def _prepared(self, method: Callable[..., Any]) -> Callable[..., Any]:
        if not self._compiled:
            return method
        mode = "reduce-overhead" if self._device == "cuda" else "default"
        return torch.compile(method, dynamic=False, mode=mode)

    def _sent(self, array: Array) -> Tensor:
        tensor = torch.from_numpy(array)
        return tensor if self._device == "cpu" else tensor.pin_memory().to(self._device, non_blocking=True)

    def _autocast(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._type is None else torch.autocast(self._device, self._type)


def running_on(provider: str) -> dict[str, str]:
    """What a measurement of torch is bound to: its version and the device."""
    found = {"torch": torch.__version__, "provider": provider}
    if provider == "cuda":
        major, minor = torch.cuda.get_device_capability()
        found |= {"device": torch.cuda.get_device_name(), "compute_capability": f"{major}.{minor}"}
    return found


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


def _filled_up(array: Array) -> Array:
    """A batch with its last item repeated, up to a power of two."""
    wanted = 1 << (len(array) - 1).bit_length()
    return array if wanted == len(array) else np.concatenate([array, np.repeat(array[-1:], wanted - len(array), 0)])


@contextmanager
def _failures_told(device: str) -> Iterator[None]:
    """A GPU's failures leave as `DeviceError`; the processor's own errors are none."""
    try:
        yield
    except (torch.OutOfMemoryError, torch.AcceleratorError) as error:
        line = one_line(error, 200)
        raise DeviceError(f"backend 'torch' on provider '{device}': {line}") from error


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
