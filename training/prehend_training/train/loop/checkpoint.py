"""Checkpoints: tensors as safetensors, the rest as JSON; a folder appears only when it is complete."""

import ctypes
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from prehend.documents import read_json
from prehend.errors import AssetError, one_line
from prehend.files import replace_text, sync_folder
from prehend_training.pretrained.shipped import bundle_at, load_weights, own_fusion
from prehend_training.pretrained.start import load_trunk
from prehend_training.storage.tensors import write_tensors
from prehend_training.train.loop.optimisers import Optimisers

_TENSORS = ("network.safetensors", "averaged.safetensors", "optimiser.safetensors")
_KEPT = "network."
_HEAD = "network.mano_head."
_NEW_OBJECT_LAYERS = ("scale", "moments", "placed", "mask", "silhouette")
_LATER = tuple(f"network.object_head.{layer}." for layer in _NEW_OBJECT_LAYERS)
"""Layers that runs from before they existed lack; they start fresh."""


@dataclass
class Progress:
    """How far a run is: steps, samples seen, seconds of training, steps left out because a gradient was not finite."""

    step: int = 0
    samples: int = 0
    elapsed_s: float = 0.0
    skipped: int = 0


class Averaged:
    """Exponential average of a network's weights and statistics; its counters are the network's.

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
        average = get_ema_multi_avg_fn(decay)
        average([self.state[name] for name in floating], [now[name] for name in floating], step)
        for name in now.keys() - set(floating):
            self.state[name].copy_(now[name])


def settle(folder: Path) -> None:
    """Finish what a save that was killed left: the newest whole checkpoint stands under its name, and nothing else.

    `progress.json` is written last, so a folder with one is whole.
    """
    partial, old = (folder.with_name(folder.name + ending) for ending in (".partial", ".old"))
    for other in (partial, old):
        if not _is_whole(folder) and _is_whole(other):
            shutil.rmtree(folder, ignore_errors=True)
            other.rename(folder)
    for other in (partial, old):
        shutil.rmtree(other, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (*_TENSORS, "progress.json"))


def _exchange(a: Path, b: Path) -> bool:
    """Swap two folders in one step, so that neither name is ever missing; False where the system cannot (Linux can)."""
    try:
        swap = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of renameat2(2)
    return bool(swap(here, os.fsencode(a), here, os.fsencode(b), exchange) == 0)


def save(folder: Path, network: nn.Module, averaged: Averaged, optimiser: Optimisers, progress: Progress) -> None:
    """Write a checkpoint, replacing the one before only when the new one is complete; there is one at every moment."""
    settle(folder)
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True)
    write_tensors(partial / "network.safetensors", _whole(network.state_dict()))
    write_tensors(partial / "averaged.safetensors", _whole(averaged.state))
    write_tensors(partial / "optimiser.safetensors", _whole(_moments(network, optimiser)))
    replace_text(partial / "progress.json", json.dumps(asdict(progress)) + "\n")
    sync_folder(partial)
    old = folder.with_name(folder.name + ".old")
    if folder.exists() and _exchange(partial, folder):
        old = partial
    else:
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def load(folder: Path, network: nn.Module, averaged: Averaged, optimiser: Optimisers) -> Progress:
    """Read a checkpoint into objects made for the same preset.

    Raises:
        AssetError: there is none, or it belongs to another network.
    """
    path = folder / "network.safetensors"
    _load_state(path, network, _tensors(path))
    averaged.state = _tensors(folder / "averaged.safetensors", str(next(network.parameters()).device))
    states: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, value in _tensors(folder / "optimiser.safetensors").items():
        parameter_name, key = name.rsplit(".", 1)
        states[parameter_name][key] = value
    for name, parameter in network.named_parameters():
        if name in states:
            state = states[name].items()
            optimiser.set_state(parameter, {key: _like(value, parameter) for key, value in state})
    note = read_json(folder / "progress.json", AssetError)
    if not isinstance(note, dict) or note.keys() != asdict(Progress()).keys():
        raise AssetError(f"{folder / 'progress.json'} is no note of progress: take the checkpoint from a copy")
    return Progress(**note)


def _tensors(path: Path, device: str = "cpu") -> dict[str, Tensor]:
    try:
        return load_file(path, device=device)
    except (SafetensorError, OSError, ValueError) as error:
        raise AssetError(f"{path} cannot be read ({error}): take the checkpoint from a copy") from error


def load_start(runs: Sequence[Path], network: nn.Module) -> None:
    """Read the averaged weights of runs into a network in training; a file is one of `prehend-train trunk`, a name or
    folder of weights is as `prehend` loads them (`pretrained.shipped`).

    Of a run that trained the pose head alone only that is taken; so one run may give the trunk and another the head.
    The sizes of their images may differ, and so may the layers that only training has: what no run has stays fresh. A
    network that learns a part alone names it by a prefix, `starts_with`, and takes no more: the rest is its own. One
    that learns what several frames add names that by prefixes, `fusion`: where a run has another kind of it, it starts
    fresh.

    Raises:
        AssetError: a run has no weights or is one of another network.
    """
    for run in runs:
        if run.is_file():
            load_trunk(run, network)
            continue
        if (weights := bundle_at(run)) is not None:
            load_weights(weights, network)
            continue
        path = run / "checkpoint" / "averaged.safetensors"
        if not path.exists():
            raise AssetError(f"{path} does not exist: train {run} first")
        given, here = _tensors(path), network.state_dict()
        note = read_json(run / "run.json", AssetError)
        numbers = note.get("numbers") if isinstance(note, dict) else None
        if not isinstance(numbers, dict):
            raise AssetError(f"{run / 'run.json'} is no note of a run: take it from a copy")
        if numbers.get("trains") == "lift":
            given = {name: value for name, value in given.items() if name.startswith(_HEAD)}
            here_only = here.keys() - given.keys()
        else:
            missing = here.keys() - given.keys()
            here_only = {name for name in missing if not name.startswith(_KEPT) or name.startswith(_LATER)}
        if learns := getattr(network, "starts_with", ""):
            given = {name: value for name, value in given.items() if name.startswith(learns)}
            here_only |= {name for name in here if not name.startswith(learns)}
        fusion: tuple[str, ...] = getattr(network, "fusion", ())
        if own := own_fusion(given, here, fusion):
            given = {name: value for name, value in given.items() if not name.startswith(fusion)}
            here_only |= own
        taken = {name: value for name, value in given.items() if name in here or name.startswith(_KEPT)}
        _load_state(path, network, taken | {name: here[name] for name in here_only})


def load_result(path: Path, network: nn.Module) -> None:
    """Read weights that were saved in training into the network alone, without what only training has.

    Raises:
        AssetError: the file is missing or belongs to another network.
    """
    if not path.exists():
        raise AssetError(f"{path} does not exist: train first")
    tensors = _tensors(path)
    kept = {name[len(_KEPT) :]: value for name, value in tensors.items() if name.startswith(_KEPT)}
    _load_state(path, network, kept or tensors)


def _load_state(path: Path, network: nn.Module, tensors: dict[str, Tensor]) -> None:
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise AssetError(f"{path} belongs to another network: {one_line(error)}") from error


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
