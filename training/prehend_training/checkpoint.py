"""Checkpoints: tensors as safetensors, the rest as JSON; a folder appears only when it is complete."""

import json
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from prehend.errors import AssetError
from prehend_training.optimisers import Optimisers
from prehend_training.pretrained.start import load_trunk

_KEPT = "network."
_HEAD = "network.mano_head."


@dataclass
class Progress:
    """How far a run is: steps, samples seen, seconds of training, steps left out because a gradient was not finite."""

    step: int = 0
    samples: int = 0
    elapsed_s: float = 0.0
    skipped: int = 0


class Averaged:
    """Exponential average of a network's weights; its counters and statistics are the network's.

    Args:
        network: to follow.
        decay: highest; early averages forget faster, so that the start does not linger.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        now = network.state_dict()
        floating = [name for name, value in now.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.state[name] for name in floating], [now[name] for name in floating], 1 - decay)
        for name in now.keys() - set(floating):
            self.state[name].copy_(now[name])


def save(folder: Path, network: nn.Module, averaged: Averaged, optimiser: Optimisers, progress: Progress) -> None:
    """Write a checkpoint, replacing the one before only when the new one is complete."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(_whole(network.state_dict()), partial / "network.safetensors")
    save_file(_whole(averaged.state), partial / "averaged.safetensors")
    save_file(_whole(_moments(network, optimiser)), partial / "optimiser.safetensors")
    (partial / "progress.json").write_text(json.dumps(asdict(progress)) + "\n")
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load(folder: Path, network: nn.Module, averaged: Averaged, optimiser: Optimisers) -> Progress:
    """Read a checkpoint into objects made for the same preset.

    Raises:
        AssetError: there is none, or it belongs to another network.
    """
    path = folder / "network.safetensors"
    _load_state(path, network, load_file(path))
    averaged.state = load_file(folder / "averaged.safetensors", device=str(next(network.parameters()).device))
    states: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, value in load_file(folder / "optimiser.safetensors").items():
        parameter_name, key = name.rsplit(".", 1)
        states[parameter_name][key] = value
    for name, parameter in network.named_parameters():
        if name in states:
            state = states[name].items()
            optimiser.set_state(parameter, {key: _like(value, parameter) for key, value in state})
    return Progress(**json.loads((folder / "progress.json").read_text()))


def load_start(runs: Sequence[Path], network: nn.Module) -> None:
    """Read the averaged weights of runs into a network in training; a file is one of `prehend-train trunk`.

    Of a run that trained the pose head alone only that is taken; so one run may give the trunk and another the head.
    The sizes of their pictures may differ, and so may the layers that only training has: what no run has stays fresh.

    Raises:
        AssetError: a run has no weights or is one of another network.
    """
    for run in runs:
        if run.is_file():
            load_trunk(run, network)
            continue
        path = run / "checkpoint" / "averaged.safetensors"
        if not path.exists():
            raise AssetError(f"{path} does not exist: train {run} first")
        given, here = load_file(path), network.state_dict()
        if json.loads((run / "run.json").read_text())["numbers"].get("trains") == "lift":
            given = {name: value for name, value in given.items() if name.startswith(_HEAD)}
            here_only = here.keys() - given.keys()
        else:
            here_only = {name for name in here.keys() - given.keys() if not name.startswith(_KEPT)}
        taken = {name: value for name, value in given.items() if name in here or name.startswith(_KEPT)}
        _load_state(path, network, taken | {name: here[name] for name in here_only})


def load_result(path: Path, network: nn.Module) -> None:
    """Read weights that were saved in training into the network alone, without what only training has.

    Raises:
        AssetError: the file is missing or belongs to another network.
    """
    if not path.exists():
        raise AssetError(f"{path} does not exist: train first")
    tensors = load_file(path)
    kept = {name[len(_KEPT) :]: value for name, value in tensors.items() if name.startswith(_KEPT)}
    _load_state(path, network, kept or tensors)


def _load_state(path: Path, network: nn.Module, tensors: dict[str, Tensor]) -> None:
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise AssetError(f"{path} belongs to another network: {str(error).splitlines()[0]}") from error


def _moments(network: nn.Module, optimiser: Optimisers) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value
        for name, parameter in network.named_parameters()
        for key, value in optimiser.state_of(parameter).items()
    }


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """On the parameter's device, and in its memory order where it has its shape (a count of steps has not)."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter).copy_(value)


def _whole(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies in the plain memory order, on the CPU, that share nothing."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous(memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }
