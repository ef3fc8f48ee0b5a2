"""The training loop: a budget of minutes or steps, one schedule over it, checkpoints, a log of every loss term.

RUN/run.json        preset, data, seed, commit
RUN/log.jsonl       one line every `LOG_EVERY` steps
RUN/checkpoint/     latest state; RUN resumes from here
"""

import json
import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from prehend.errors import InvalidInput
from prehend_training.checkpoint import Averaged, Progress, load, save
from prehend_training.data import prefetched
from prehend_training.losses import Terms, total
from prehend_training.presets import Optimisation, describe, preset
from prehend_training.shards import commit
from prehend_training.targets import Arrays
from prehend_training.tasks import Task, open_task

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
    """What to train with: torch threads (0: torch's choice), workers that make batches, device."""

    threads: int = 0
    workers: int = 1
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
    weights = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    groups = [{"params": weights, "weight_decay": optimisation.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=optimisation.lr, betas=(0.9, 0.99), fused=True)


def to_tensors(batch: Arrays, device: str) -> dict[str, Tensor]:
    """Arrays to tensors; `image` (B, S, S, 3) uint8 becomes (B, 3, S, S) float in [0, 1], channels last in memory."""
    tensors = {name: torch.from_numpy(array).to(device, non_blocking=True) for name, array in batch.items()}
    tensors["image"] = tensors["image"].permute(0, 3, 1, 2).float().div_(255)
    return tensors


class Trainer:
    """A run: made fresh, or as its checkpoint left it.

    Args:
        task: what to train.
        run: folder of the run.
        machine: what to train with.
    """

    def __init__(self, task: Task, run: Path, machine: Machine):
        self.task, self.run, self.machine = task, run, machine
        self.optimisation = task.preset.optimisation
        if machine.threads:
            torch.set_num_threads(machine.threads)
        torch.manual_seed(task.preset.seed)
        self.network = task.network().to(machine.device)
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
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.optimisation.clip)
        if bool(torch.isfinite(loss) & torch.isfinite(norm)):
            self.optimiser.step()
            self.averaged.update(self.network, self.progress.step)
        else:
            self.progress.skipped += 1
        return {"loss": loss.detach(), "gradient": norm.detach(), **{k: v.detach() for k, v in terms.items()}}

    def train(self, budget: Budget) -> Progress:
        """Train until the budget is used up, then save."""
        log = _Log(self.run / "log.jsonl")
        batches = prefetched(self.task.source, self.progress.step, budget.steps, self.machine.workers)
        saved = time.monotonic()
        with tqdm(total=budget.steps, initial=self.progress.step, unit="step") as bar:
            while budget.used(self.progress) < 1:
                start = time.monotonic()
                batch = next(batches)
                waited = time.monotonic() - start
                lr = learning_rate(budget.used(self.progress), self.optimisation)
                terms = self.step(batch, lr)
                taken = time.monotonic() - start
                self.progress.step += 1
                self.progress.samples += len(batch["image"])
                # a machine that was asleep has not trained
                self.progress.elapsed_s += min(taken, _STALL_S)
                log.add(terms, taken, waited, len(batch["image"]))
                if self.progress.step % LOG_EVERY == 0:
                    line = log.write(self.progress, lr, budget.used(self.progress))
                    bar.set_postfix_str(f"loss {line['loss']:.3f} {line['samples_per_s']:.0f}/s", refresh=False)
                bar.update()
                if time.monotonic() - saved > SAVE_EVERY_S:
                    self.save()
                    saved = time.monotonic()
        batches.close()
        self.save()
        return self.progress

    def save(self) -> None:
        """Write the checkpoint."""
        save(self.run / "checkpoint", self.network, self.averaged, self.optimiser, self.progress)


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


def start_run(name: str, data: Sequence[Path], run: Path, machine: Machine, seed: int | None = None) -> Trainer:
    """Begin a run, or go on with one.

    Args:
        name: of the preset.
        data: folders of shards.
        run: folder of the run; where it holds a checkpoint, training goes on from there.
        machine: what to train with.
        seed: in place of the preset's.

    Raises:
        InvalidInput: the folder holds a run of another preset, seed or data.
    """
    chosen = preset(name)
    if seed is not None:
        chosen = replace(chosen, seed=seed)
    task = open_task(chosen, data)
    description = {
        "preset": name,
        "seed": chosen.seed,
        "numbers": json.loads(json.dumps(describe(chosen))),
        "data": [
            {"path": str(path), "commit": json.loads((path / "index.json").read_text())["commit"]} for path in data
        ],
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
    return Trainer(task, run, machine)


def log_lines(run: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's log."""
    for line in (run / "log.jsonl").read_text().splitlines():
        yield json.loads(line)
