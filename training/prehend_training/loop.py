"""The training loop: a budget of minutes or steps, one schedule over it, checkpoints, a log of every loss term.

RUN/run.json        preset, data, seed, commit
RUN/log.jsonl       one line every `LOG_EVERY` steps
RUN/checkpoint/     latest state; RUN resumes from here
"""

import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from prehend.errors import InvalidInput
from prehend_training.checkpoint import Averaged, Progress, load, load_start, save
from prehend_training.feed import prefetched
from prehend_training.losses import Terms, total
from prehend_training.presets import Optimisation, Preset, describe
from prehend_training.shards import commit
from prehend_training.sources import DataSource, describe_data, renders
from prehend_training.targets import Arrays
from prehend_training.tasks import Task, open_task
from prehend_training.team import Team, run_team

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


@dataclass(frozen=True)
class Machine:
    """What to train with.

    Attributes:
        processes: that share each batch.
        threads: torch threads of each; 0 for torch's choice.
        workers: processes of each that make batches; 0 is a thread.
        device: of torch.
    """

    processes: int = 1
    threads: int = 0
    workers: int = 0
    device: str = "cpu"


def learning_rate(used: float, optimisation: Optimisation) -> float:
    """Linear rise, then a cosine down to `final_lr` of the highest, over the share of the budget in [0, 1]."""
    if used < optimisation.warmup:
        # at least a hundredth, for the first step of all
        return optimisation.lr * max(used / optimisation.warmup, 0.01)
    along = min((used - optimisation.warmup) / (1 - optimisation.warmup), 1.0)
    low = optimisation.final_lr
    return optimisation.lr * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * along)))


def make_optimiser(network: nn.Module, optimisation: Optimisation) -> torch.optim.Optimizer:
    """AdamW, without decay of biases and normalisation."""
    trained = [p for p in network.parameters() if p.requires_grad]
    weights, others = [p for p in trained if p.dim() > 1], [p for p in trained if p.dim() <= 1]
    groups = [{"params": weights, "weight_decay": optimisation.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=optimisation.lr, betas=(0.9, 0.99), fused=True)


def to_tensors(batch: Arrays, device: str) -> dict[str, Tensor]:
    """Arrays to tensors; `image...` (B, S, S, 3) uint8 become (B, 3, S, S) float in [0, 1], channels last in memory."""
    tensors = {name: torch.from_numpy(array).to(device, non_blocking=True) for name, array in batch.items()}
    for name in tensors.keys() & {"image", "image_deoccluded"}:
        tensors[name] = tensors[name].permute(0, 3, 1, 2).float().div_(255)
    return tensors


class Trainer:
    """A run: made fresh, or as its checkpoint left it.

    Args:
        task: what to train.
        run: folder of the run.
        machine: what to train with.
        team: the processes of the run; only the first one writes.
        start: a run whose averaged weights a fresh run starts from.
    """

    def __init__(self, task: Task, run: Path, machine: Machine, team: Team | None = None, start: Path | None = None):
        self.task, self.run, self.machine, self.team = task, run, machine, team or Team()
        self.optimisation = task.preset.optimisation
        if machine.threads:
            torch.set_num_threads(machine.threads)
        torch.manual_seed(task.preset.seed)
        self.network = task.network().to(machine.device)
        if start is not None:
            load_start(start, self.network)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.train()
        self.optimiser = make_optimiser(self.network, self.optimisation)
        self.averaged = Averaged(self.network, self.optimisation.ema)
        self.progress = Progress()
        if (run / "checkpoint").exists():
            self.progress = load(run / "checkpoint", self.network, self.averaged, self.optimiser)
            logger.info("resuming at step %d", self.progress.step)

    def step(self, batch: Arrays, lr: float) -> Terms:
        """One step of the optimiser; a loss or gradient that is not finite is left out and counted."""
        tensors = to_tensors(batch, self.machine.device)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        terms = self.task.terms(self.network, tensors)
        loss = total(terms, self.task.preset.loss)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if not bool(torch.isfinite(loss)):  # its gradient may be finite all the same; make every process leave it out
            for parameter in filter(_is_trained, self.network.parameters()):
                parameter.grad = torch.full_like(parameter, torch.nan)
        self.team.average_gradients(self.network)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.optimisation.clip)
        if bool(torch.isfinite(norm)):
            self.optimiser.step()
            self.averaged.update(self.network, self.progress.step)
        else:
            self.progress.skipped += 1
        return {"loss": loss.detach(), "gradient": norm.detach(), **{k: v.detach() for k, v in terms.items()}}

    def train(self, budget: Budget) -> Progress:
        """Train until the budget is used up, then save."""
        first, size = self.team.rank == 0, self.team.size
        log = _Log(self.run / "log.jsonl")
        part = (self.team.rank, size)
        batches = prefetched(self.task.source, self.progress.step, budget.steps, self.machine.workers, part)
        saved = time.monotonic()
        with tqdm(total=budget.steps, initial=self.progress.step, unit="step", disable=not first) as bar:
            while (used := self.team.told_by_first(budget.used(self.progress))) < 1:
                start = time.monotonic()
                batch = next(batches)
                waited = time.monotonic() - start
                terms = self.step(batch, learning_rate(used, self.optimisation))
                taken = time.monotonic() - start
                self.progress.step += 1
                self.progress.samples += self.optimisation.batch_size
                # a machine that was asleep has not trained
                self.progress.elapsed_s += min(taken, _STALL_S)
                log.add(terms, taken, waited, self.optimisation.batch_size)
                if first and self.progress.step % LOG_EVERY == 0:
                    line = log.write(self.progress, self.optimiser.param_groups[0]["lr"], used)
                    bar.set_postfix_str(f"loss {line['loss']:.3f} {line['samples_per_s']:.0f}/s", refresh=False)
                bar.update()
                if first and time.monotonic() - saved > SAVE_EVERY_S:
                    self.save()
                    saved = time.monotonic()
        batches.close()
        if first:
            self.save()
        return self.progress

    def save(self) -> None:
        """Write the checkpoint."""
        save(self.run / "checkpoint", self.network, self.averaged, self.optimiser, self.progress)


def _is_trained(parameter: Tensor) -> bool:
    return parameter.requires_grad


class _Log:
    """Means of the steps since the last line."""

    def __init__(self, path: Path):
        self.path = path
        self._clear()

    def _clear(self) -> None:
        self._terms: list[Terms] = []
        self._taken, self._waited, self._samples = 0.0, 0.0, 0

    def add(self, terms: Terms, taken_s: float, waited_s: float, samples: int) -> None:
        self._terms.append(terms)
        self._taken, self._waited, self._samples = (
            self._taken + taken_s, self._waited + waited_s, self._samples + samples,
        )  # fmt: skip

    def write(self, progress: Progress, lr: float, used: float) -> dict[str, Any]:
        means = {name: float(torch.stack([t[name] for t in self._terms]).mean()) for name in self._terms[0]}
        line = {
            "step": progress.step, "samples": progress.samples, "elapsed_s": round(progress.elapsed_s, 1),
            "used": round(used, 4), "lr": lr, "samples_per_s": self._samples / self._taken,
            "waited": self._waited / self._taken, "skipped": progress.skipped, **means,
        }  # fmt: skip
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self._clear()
        return line


def claim_run(chosen: Preset, data: DataSource, run: Path, start: Path | None = None) -> None:
    """Note in the folder of a run what it is, and from which run's weights it starts.

    Raises:
        InvalidInput: the folder holds a run of another preset, seed or data.
    """
    description = {
        "preset": chosen.name,
        "seed": chosen.seed,
        "numbers": json.loads(json.dumps(describe(chosen))),
        "data": describe_data(data),
        "start": None if start is None else json.loads((start / "run.json").read_text()),
    }
    note = run / "run.json"
    run.mkdir(parents=True, exist_ok=True)
    if note.exists():
        begun = json.loads(note.read_text())
        differ = [key for key in description if begun.get(key) != description[key]]
        if differ:
            raise InvalidInput(f"{run} holds a run that differs in {', '.join(differ)}: choose another folder")
    else:
        note.write_text(json.dumps({**description, "commit": commit()}, indent=1) + "\n")


def train_run(
    chosen: Preset, data: DataSource, run: Path, machine: Machine, budget: Budget, start: Path | None = None
) -> None:
    """Begin a run, or go on with one from its checkpoint, until the budget is used up.

    Args:
        chosen: preset.
        data: what to learn from.
        run: folder of the run.
        machine: what to train with.
        budget: when to end.
        start: a run of the same network, perhaps on smaller pictures, whose averaged weights to start from.

    Raises:
        InvalidInput: the folder holds another run, or scenes shall be rendered without a worker.
        AssetError: the data are not what the preset trains on.
    """
    if renders(data) and machine.workers < 1:
        raise InvalidInput("scenes are rendered in worker processes: give one worker at least")
    claim_run(chosen, data, run, start)
    network = open_task(chosen, data).network()
    if start is not None:  # fail here, not in the processes
        load_start(start, network)
    numbers = sum(p.numel() for p in network.parameters())
    run_team(_train_part, (chosen, data, run, machine, budget, start), machine.processes, numbers)


def _train_part(
    team: Team, chosen: Preset, data: DataSource, run: Path, machine: Machine, budget: Budget, start: Path | None
) -> None:
    Trainer(open_task(chosen, data), run, machine, team, start).train(budget)


def log_lines(run: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's log."""
    for line in (run / "log.jsonl").read_text().splitlines():
        yield json.loads(line)
