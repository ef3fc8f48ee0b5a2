"""The training loop: a budget of minutes or steps, one schedule over it, checkpoints, a log of every loss term.

RUN/run.json        preset, data, seed, commit
RUN/log.jsonl       one line every `LOG_EVERY` steps
RUN/events/         the same for TensorBoard
RUN/checkpoint/     latest state; RUN resumes from here
"""

import json
import logging
import math
import resource
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from prehend.documents import read_json
from prehend.errors import AssetError, InvalidInput
from prehend.files import replace_text
from prehend_training.data.loader import prefetched
from prehend_training.data.open import DataSource, describe_data, renders
from prehend_training.losses.crop import Terms, total
from prehend_training.pretrained.files import provenance
from prehend_training.storage.shards import commit
from prehend_training.train.checkpoint import Averaged, Progress, load, load_start, save, settle
from prehend_training.train.distributed import Group, run_group
from prehend_training.train.heads import pretrained_parameters
from prehend_training.train.optimisers import make_optimisers
from prehend_training.train.presets import RENAMED, Optimisation, Preset, describe
from prehend_training.train.tasks import Task, open_task

LOG_EVERY = 20
SAVE_EVERY_S = 180.0
_STALL_S = 30.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Budget:
    """When training ends: after minutes of training or after steps. The schedule follows the share used up, so that a
    run ends with its lowest learning rate however fast the machine is."""

    minutes: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None) or (self.minutes or self.steps or 0) <= 0:
            raise InvalidInput("give a positive number of either minutes or steps")

    def used(self, progress: Progress) -> float:
        """Share of the budget that is used up; 1 or more at the end."""
        if self.steps is not None:
            return progress.step / self.steps
        assert self.minutes is not None
        return progress.elapsed_s / (60 * self.minutes)


Precision = Literal["fp32", "bf16", "fp16"]
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """What to train with.

    Attributes:
        processes: that share each batch.
        threads: torch threads of each; 0 for torch's choice.
        workers: processes of each that make batches; 0 is a thread.
        device: of torch, `cpu` or `cuda`.
        precision: of products and convolutions; weights, losses and sums stay float32.
    """

    processes: int = 1
    threads: int = 0
    workers: int = 0
    device: str = "cpu"
    precision: Precision = "fp32"


def autocast(device: str, precision: Precision) -> torch.autocast:
    """Products and convolutions on a device in a precision."""
    return torch.autocast(device.split(":")[0], _DTYPES[precision], enabled=precision != "fp32")


STEPS_DOWN, STEP_DOWN = 7, 0.7
"""The paper's schedule: times 0.7 after every 10 of its 70 epochs."""


def learning_rate(used: float, optimisation: Optimisation) -> float:
    """Linear rise, then the schedule's fall, over the share of the budget in [0, 1]."""
    if used < optimisation.warmup:
        # at least a hundredth, for the first step of all
        return optimisation.lr * max(used / optimisation.warmup, 0.01)
    if optimisation.schedule == "steps":
        return optimisation.lr * STEP_DOWN ** math.floor(min(used, 1.0) * STEPS_DOWN)
    along = min((used - optimisation.warmup) / (1 - optimisation.warmup), 1.0)
    low = optimisation.final_lr
    return optimisation.lr * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * along)))


def to_tensors(batch: Mapping[str, NDArray[Any] | Tensor], device: str) -> dict[str, Tensor]:
    """Arrays to tensors; `image...` (B, S, S, 3) uint8 become (B, 3, S, S) float in [0, 1], channels last in memory;
    what are tensors on the device already stay as they are."""
    tensors = {name: torch.as_tensor(array).to(device, non_blocking=True) for name, array in batch.items()}
    for name in tensors.keys() & {"image", "image_deoccluded"}:
        if tensors[name].dtype == torch.uint8:
            tensors[name] = tensors[name].permute(0, 3, 1, 2).float().div_(255)
    return tensors


class Trainer:
    """A run: made fresh, or as its checkpoint left it.

    Args:
        task: what to train.
        run: folder of the run.
        machine: what to train with.
        group: the processes of the run; only the first one writes.
        start: runs whose averaged weights a fresh run starts from, see `load_start`.
    """

    def __init__(self, task: Task, run: Path, machine: Machine, group: Group | None = None, start: Sequence[Path] = ()):
        self.task, self.run, self.group = task, run, group or Group()
        several_gpus = machine.device == "cuda" and self.group.size > 1
        self.machine = replace(machine, device=f"cuda:{self.group.local_rank}") if several_gpus else machine
        self.optimisation = task.preset.optimisation
        if machine.threads:
            torch.set_num_threads(machine.threads)
        torch.manual_seed(task.preset.seed)
        self.network = task.network().to(self.machine.device)
        if start:
            load_start(start, self.network)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.train()
        chosen = self.optimisation
        slow = pretrained_parameters(self.network)
        self.optimiser = make_optimisers(
            self.network, chosen.method, chosen.lr, chosen.weight_decay, slow, chosen.pretrained_share
        )
        # half precision alone underflows
        self._scaler = torch.amp.GradScaler(self.machine.device.split(":")[0], enabled=machine.precision == "fp16")
        self.averaged = Averaged(self.network, self.optimisation.ema)
        self.progress = Progress()
        if (run / "checkpoint").exists():
            self.progress = load(run / "checkpoint", self.network, self.averaged, self.optimiser)
            logger.info("resuming at step %d", self.progress.step)

    def step(self, batch: Mapping[str, NDArray[Any] | Tensor], lr: float, used: float) -> Terms:
        """One step of the optimiser; a loss or gradient that is not finite is left out and counted.

        Args:
            batch: see `Task.terms`; pictures as `to_tensors` takes them.
            lr: learning rate.
            used: share of the budget that is used up.
        """
        tensors = to_tensors(batch, self.machine.device)
        self.optimiser.set_lr(lr)
        with autocast(self.machine.device, self.machine.precision):
            terms = self.task.terms(self.network, tensors, used)
            loss = total(terms, self.task.preset.loss)
        self.optimiser.zero_grad()
        self._scaler.scale(loss).backward()
        if self.group.size > 1 and not bool(torch.isfinite(loss)):  # make every process leave it out
            for parameter in filter(_is_trained, self.network.parameters()):
                parameter.grad = torch.full_like(parameter, torch.nan)
        self.group.average_gradients(self.network)
        for part in self.optimiser.parts:
            self._scaler.unscale_(part)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.optimisation.clip)
        # the gradient of a loss that is not finite may be finite
        if bool(torch.isfinite(norm if self.group.size > 1 else norm + loss.detach())):
            for part in self.optimiser.parts:
                self._scaler.step(part)
            self.averaged.update(self.network, self.progress.step)
        else:
            self.progress.skipped += 1
        self._scaler.update()
        return {"loss": loss.detach(), "gradient": norm.detach(), **{k: v.detach() for k, v in terms.items()}}

    def batches(self, stop: int | None) -> Generator[Mapping[str, NDArray[Any] | Tensor], None, None]:
        """This process's parts of the batches from the next step on, up to `stop`."""
        part = (self.group.rank, self.group.size)
        return prefetched(self.task.source, self.progress.step, stop, self.machine.workers, part)

    def train(self, budget: Budget, until_s: float = math.inf) -> Progress:
        """Train until the budget is used up, then save.

        Args:
            budget: of the whole run.
            until_s: reading of `time.monotonic` at which to save and leave, to go on later.
        """
        first = self.group.rank == 0
        log = _Log(self.run) if first else None
        batches = self.batches(budget.steps)
        saved = time.monotonic()
        with tqdm(total=budget.steps, initial=self.progress.step, unit="step", disable=not first) as bar:
            while (used := self.group.told_by_first(self._used(budget, until_s))) < 1:
                start = time.monotonic()
                batch = next(batches)
                waited = time.monotonic() - start
                terms = self.step(batch, learning_rate(used, self.optimisation), used)
                taken = time.monotonic() - start
                self.progress.step += 1
                self.progress.samples += self.optimisation.batch_size
                # a machine that was asleep has not trained
                self.progress.elapsed_s += min(taken, _STALL_S)
                if log is not None:
                    log.add(terms, taken, waited, self.optimisation.batch_size)
                if log is not None and self.progress.step % LOG_EVERY == 0:
                    line = log.write(self.progress, self.optimiser.param_groups[0]["lr"], used, self.machine.device)
                    bar.set_postfix_str(f"loss {line['loss']:.3f} {line['samples_per_s']:.0f}/s", refresh=False)
                bar.update()
                if first and time.monotonic() - saved > SAVE_EVERY_S:
                    self.save()
                    saved = time.monotonic()
        batches.close()
        if first:
            self.save()
        return self.progress

    def _used(self, budget: Budget, until_s: float) -> float:
        return budget.used(self.progress) if time.monotonic() < until_s else math.inf

    def save(self) -> None:
        """Write the checkpoint."""
        save(self.run / "checkpoint", self.network, self.averaged, self.optimiser, self.progress)


def _is_trained(parameter: Tensor) -> bool:
    return parameter.requires_grad


class _Log:
    """Means of the steps since the last line, as a line of JSON and as TensorBoard's scalars."""

    def __init__(self, run: Path):
        # a dozen packages that only a run that is logged needs
        from torch.utils.tensorboard import SummaryWriter

        self.path = run / "log.jsonl"
        self._events = SummaryWriter(str(run / "events"))
        self._clear()

    def _clear(self) -> None:
        self._terms: list[Terms] = []
        self._taken, self._waited, self._samples = 0.0, 0.0, 0

    def add(self, terms: Terms, taken_s: float, waited_s: float, samples: int) -> None:
        self._terms.append(terms)
        self._taken, self._waited, self._samples = (
            self._taken + taken_s, self._waited + waited_s, self._samples + samples,
        )  # fmt: skip

    def write(self, progress: Progress, lr: float, used: float, device: str) -> dict[str, Any]:
        means = {name: float(torch.stack([t[name] for t in self._terms]).mean()) for name in self._terms[0]}
        line = {
            "step": progress.step, "samples": progress.samples, "elapsed_s": round(progress.elapsed_s, 1),
            "used": round(used, 4), "lr": lr, "samples_per_s": self._samples / self._taken,
            "waited": self._waited / self._taken, "peak_memory_mb": round(peak_memory_mb(device)),
            "skipped": progress.skipped, **means,
        }  # fmt: skip
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        for name, value in line.items():
            if name not in ("step", "samples"):
                group = "loss" if name in means else "run"
                self._events.add_scalar(f"{group}/{name}", value, progress.samples)
        self._clear()
        return line


def peak_memory_mb(device: str) -> float:
    """Most memory that was in use so far: the GPU's, or this process's own."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def claim_run(chosen: Preset, data: DataSource, run: Path, start: Sequence[Path] = ()) -> None:
    """Note in the folder of a run what it is, and from which runs' weights it starts.

    Raises:
        InvalidInput: the folder holds a run of another preset, seed or data.
    """
    description = {
        "preset": chosen.name,
        "seed": chosen.seed,
        "numbers": json.loads(json.dumps(describe(chosen))),
        "data": describe_data(data),
        "start": [begun(other) for other in start],
    }
    note = run / "run.json"
    run.mkdir(parents=True, exist_ok=True)
    settle(run / "checkpoint")
    if note.exists():
        noted = read_note(run)
        differ = [key for key in description if noted.get(key) != description[key]]
        if differ:
            raise InvalidInput(f"{run} holds a run that differs in {', '.join(differ)}: choose another folder")
    else:
        replace_text(note, json.dumps({**description, "commit": commit()}, indent=1) + "\n")


def read_note(run: Path) -> dict[str, Any]:
    """What a run's folder says that it is.

    Raises:
        AssetError: its note is missing, cut off or no object.
    """
    content = read_json(
        run / "run.json", lambda text: AssetError(f"{text}: take it from a copy, or choose another folder")
    )
    if not isinstance(content, dict):
        raise AssetError(f"{run / 'run.json'} holds no object: take it from a copy, or choose another folder")
    if (
        now := RENAMED.get(content.get("preset", ""))
    ) is not None:  # a run of before, whose preset is called otherwise now
        content = content | {"preset": now, "numbers": content["numbers"] | {"name": now}}
    return content


def begun(run: Path) -> dict[str, Any]:
    """What another run is, and how far it came; of a file of pretrained weights, where they come from."""
    if run.is_file():
        return {"pretrained": provenance(run)}
    progress = read_json(run / "checkpoint" / "progress.json", AssetError)
    return read_note(run) | {"samples": progress["samples"]}


def train_run(
    chosen: Preset, data: DataSource, run: Path, machine: Machine, budget: Budget, start: Sequence[Path] = ()
) -> None:
    """Begin a run, or go on with one from its checkpoint, until the budget is used up.

    Args:
        chosen: preset.
        data: what to learn from.
        run: folder of the run.
        machine: what to train with.
        budget: when to end.
        start: runs of the same network, perhaps on smaller pictures or of a part, to start from, see `load_start`.

    Raises:
        InvalidInput: the folder holds another run, or scenes shall be rendered without a worker.
        AssetError: the data are not what the preset trains on.
    """
    if renders(data) and machine.workers < 1:
        raise InvalidInput("scenes are rendered in worker processes: give one worker at least")
    claim_run(chosen, data, run, start)
    if start:  # fail here, not in the processes
        load_start(start, open_task(chosen, data).network())
    run_group(_train_part, (chosen, data, run, machine, budget, start), machine.processes, machine.device)


def _train_part(
    group: Group, chosen: Preset, data: DataSource, run: Path, machine: Machine, budget: Budget, start: Sequence[Path]
) -> None:
    Trainer(open_task(chosen, data), run, machine, group, start).train(budget)


def log_lines(run: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's log."""
    for line in (run / "log.jsonl").read_text().splitlines():
        yield json.loads(line)
