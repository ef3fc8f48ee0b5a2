"""Runs: what is noted of them in their folder, and how they are begun and gone on with.

RUN/run.json        preset and all that differs from it, data, seed, memory, teacher, commit
RUN/speed.jsonl     a line each call: how fast it was
"""

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from prehend.errors import AssetError, InvalidInput
from prehend.files import append_line, replace_text
from prehend.models.hand_object.unihope import UniHOPE
from prehend.weights import file_sha256
from prehend_training.data.stores.memory import Memory
from prehend_training.data.stores.open import DataSource, describe_data, renders
from prehend_training.storage.shards import commit
from prehend_training.train.loop.checkpoint import Progress, load_result, load_start, settle
from prehend_training.train.loop.distributed import Group, run_group
from prehend_training.train.loop.machine import Budget, Machine, device_name, peak_memory_mb
from prehend_training.train.loop.notes import begun, read_note
from prehend_training.train.loop.preset import Preset, Teacher, describe
from prehend_training.train.loop.trainer import Trainer
from prehend_training.train.presets import PRESETS, preset_of_run

RESULT = Path("checkpoint") / "averaged.safetensors"


@dataclass(frozen=True)
class Training:
    """One run.

    Attributes:
        preset: what to train, perhaps with other numbers than the preset of its name, see `changed_preset`.
        data: what to learn from.
        run: folder of the run.
        budget: of the whole run, however many calls it takes.
        start: runs of the same network, perhaps on smaller images or of a part, to start from, see `load_start`.
        teacher: run to learn from beside the labels.
    """

    preset: Preset
    data: DataSource
    run: Path
    budget: Budget
    start: Sequence[Path] = ()
    teacher: Path | None = None

    @property
    def done(self) -> bool:
        """Whether the run has used up its budget."""
        progress = self.run / "checkpoint" / "progress.json"
        return progress.exists() and self.budget.used(Progress(**json.loads(progress.read_text()))) >= 1


def train_run(training: Training, machine: Machine, until_s: float = math.inf, memory: Memory | None = None) -> None:
    """Begin a run, or go on with one from its checkpoint, until the budget is used up or the time is over.

    Args:
        training: what to train.
        machine: what to train with.
        until_s: reading of `time.monotonic` at which to save and leave.
        memory: the images, where they are in the device's memory already; None to load them if `machine` wants it.

    Raises:
        InvalidInput: the folder holds another run, the preset cannot be trained so, or scenes shall be rendered without
            a worker.
        AssetError: the data are not what the preset trains on, or there are no weights to learn or to start from.
    """
    if renders(training.data) and machine.workers < 1:
        raise InvalidInput("scenes are rendered in worker processes: give one worker at least")
    samples = training.preset.optimisation.batch_size
    if machine.processes > samples:
        raise InvalidInput(f"--processes {machine.processes} cannot share batches of {samples} samples")
    if training.preset.needs_teacher and training.teacher is None:
        raise InvalidInput(f"'{training.preset.name}' learns from a teacher: give --teacher RUN")
    claim_run(training, machine.in_memory)
    if training.start:  # fail here, not in the processes
        load_start(training.start, training.preset.task(training.data).network())
    if machine.in_memory is not None and memory is None:
        memory = training.preset.load(training.data, machine.device, machine.in_memory, machine.workers)
    if machine.processes == 1:
        run_group(_train_part, (training, machine, until_s, memory), 1, machine.device)
    else:
        run_group(_train_part, (training, machine, until_s, None), machine.processes, machine.device)


def _train_part(group: Group, training: Training, machine: Machine, until_s: float, memory: Memory | None) -> None:
    teacher = None
    if training.teacher is not None:
        kind = training.preset.teacher_kind or UniHOPE
        teacher = Teacher(load_teacher(training.teacher, machine.device, kind), machine.precision)
    trainer = Trainer(
        training.preset.task(training.data, memory, teacher), training.run, machine, group, training.start
    )
    before, began = trainer.progress.samples, time.monotonic()
    progress = trainer.train(training.budget, until_s)
    seconds = max(time.monotonic() - began, 1e-9)
    if group.rank:
        return
    report = {
        "preset": training.preset.name,
        "done": training.budget.used(progress) >= 1,
        "steps": progress.step,
        "samples": progress.samples,
        "in_memory": None if memory is None else len(memory),
        "device": device_name(machine.device),
        "precision": machine.precision,
        "processes": group.size,
        "seconds": round(seconds, 1),
        "samples_per_s": round((progress.samples - before) / seconds, 1),
        "making_batches": round(trainer.making_s / seconds, 4),
        "peak_memory_mb": round(peak_memory_mb(machine.device)),
        "skipped": progress.skipped,
    }
    append_line(training.run / "speed.jsonl", json.dumps(report))


def claim_run(training: Training, in_memory: int | None = None) -> None:
    """Note in the folder of a run what it is, and from which runs' weights it starts.

    Raises:
        InvalidInput: the folder holds a run of another preset, seed or data.
        AssetError: there are no weights to learn or to start from.
    """
    chosen, run = training.preset, training.run
    description = {
        "preset": chosen.name,
        "seed": chosen.seed,
        "numbers": json.loads(json.dumps(describe(chosen))),
        "data": describe_data(training.data),
        "start": [begun(other) for other in training.start],
        "in_memory": in_memory,
        "teacher": None if training.teacher is None else _taught_by(training.teacher),
    }
    note = run / "run.json"
    run.mkdir(parents=True, exist_ok=True)
    settle(run / "checkpoint")
    if note.exists():
        noted = read_note(run)
        known = {key: value for key, value in description.items() if key in noted or value is not None}
        if differ := [key for key, value in known.items() if noted.get(key) != value]:
            raise InvalidInput(f"{run} holds a run that differs in {', '.join(differ)}: choose another folder")
    else:
        told = {**description, "differs_from_preset": differences(chosen), "commit": commit()}
        replace_text(note, json.dumps(told, indent=1) + "\n")


def differences(chosen: Preset) -> dict[str, list[Any]]:
    """What differs from the preset of the same name: its number and the one that is used, by place."""
    if chosen.name not in PRESETS:
        return {}
    return dict(_differences(describe(PRESETS[chosen.name]), describe(chosen), ""))


def _differences(one: Any, other: Any, place: str) -> Iterator[tuple[str, list[Any]]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            yield from _differences(one.get(key), other.get(key), f"{place}.{key}" if place else key)
    elif one != other:
        yield place, [one, other]


def _taught_by(run: Path) -> dict[str, str]:
    if not (run / RESULT).exists():
        raise AssetError(f"{run / RESULT} does not exist: train {run} first")
    return {"run": run.name, "sha256": file_sha256(run / RESULT)}


def load_teacher(run: Path, device: str, kind: type[nn.Module] = UniHOPE) -> nn.Module:
    """The averaged network of a run, to ask and not to train.

    Args:
        run: its folder.
        device: of torch.
        kind: what it has to be.

    Raises:
        AssetError: the run has no weights.
        InvalidInput: it is not one of such a network.
    """
    network = preset_of_run(run).build()
    if not isinstance(network, kind):
        wanted = "a crop network" if kind is UniHOPE else "a network of several views (sima-s-views)"
        raise InvalidInput(f"{run} is no run of {wanted}")
    load_result(run / RESULT, network)
    network.requires_grad_(False).eval()
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def log_lines(run: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's log; one that a kill cut off is left out."""
    for line in (run / "log.jsonl").read_text().splitlines():
        try:
            content = json.loads(line)
        except ValueError:
            continue
        yield content
