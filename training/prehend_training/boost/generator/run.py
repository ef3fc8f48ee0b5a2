"""Runs of the generator: trained by the loop of all networks, and opened to make images."""

import math
from pathlib import Path

import torch

from prehend.documents import read_json
from prehend.errors import AssetError, DeviceError, InvalidInput
from prehend.hand_model.asset import load_hand_model
from prehend.weights import file_sha256
from prehend_training.boost.generator.network import Booster, is_out_of_memory
from prehend_training.boost.generator.preset import BOOSTERS
from prehend_training.boost.generator.task import BoosterPreset
from prehend_training.data.stores.open import Mixture
from prehend_training.train.loop.checkpoint import load_result
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.runs import RESULT, Training, train_run


def train_booster(
    preset: BoosterPreset,
    data: Mixture,
    run: Path,
    budget: Budget,
    machine: Machine,
    until_s: float = math.inf,
) -> None:
    """Begin a run, or go on with one; the folder is that of every run (run.json, log.jsonl, checkpoint).

    Args:
        preset: what to train.
        data: folders of crops with weights.
        run: the folder.
        budget: of the whole run.
        machine: what to train with.
        until_s: see `train_run`.

    Raises:
        InvalidInput: the folder holds another run, or the data are no folders of crops.
        AssetError: a folder of crops is of another kind or another hand model.
        DeviceError: there is not enough memory; the last checkpoint is kept.
    """
    try:
        train_run(Training(preset, data, run, budget), machine, until_s)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceError(
            f"no memory for {preset.optimisation.batch_size} images a step on {machine.device}: begin a run with a "
            f"smaller --batch; the last checkpoint of {run} is kept"
        ) from error


def open_booster(run: Path, device: str = "cpu") -> Booster:
    """The averaged network of a run, to ask and not to train.

    Raises:
        AssetError: the run has no weights, or learnt the conditions of another hand model.
        InvalidInput: it is not one of a generator.
    """
    note = read_json(run / "run.json", AssetError)
    name = note.get("preset") if isinstance(note, dict) else None
    if name not in BOOSTERS:
        raise InvalidInput(f"{run} is no run of a generator (preset {name}): make one with `prehend-train boost train`")
    if note["numbers"].get("hand") != load_hand_model().sha256:
        raise AssetError(
            f"{run} learnt conditions of another hand model: train it with fits and conditions of this one"
        )
    network = BOOSTERS[str(name)].build()
    load_result(run / RESULT, network)
    network.requires_grad_(False).eval()
    return network.to(torch.device(device))


def weights_sha256(run: Path) -> str:
    """Of the weights that `open_booster` reads.

    Raises:
        AssetError: there are none.
    """
    if not (run / RESULT).is_file():
        raise AssetError(f"{run / RESULT} does not exist: train with `prehend-train boost train` first")
    return file_sha256(run / RESULT)
