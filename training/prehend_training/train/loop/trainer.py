"""The training loop: one schedule over a budget of minutes or steps, checkpoints, a log of every loss term.

RUN/log.jsonl       one line every `LOG_EVERY` steps
RUN/events/         the same for TensorBoard
RUN/checkpoint/     latest state; RUN resumes from here
"""

import json
import logging
import math
import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from prehend.errors import InvalidInput
from prehend.files import append_line
from prehend_training.data.batch import MadeBatch
from prehend_training.data.loader import prefetched
from prehend_training.data.stores.memory import Memory
from prehend_training.losses.crop import Terms, total
from prehend_training.losses.heads import InTraining
from prehend_training.train.loop.checkpoint import Averaged, Progress, load, load_start, save
from prehend_training.train.loop.distributed import Group
from prehend_training.train.loop.machine import Budget, Machine, autocast, peak_memory_mb, to_tensors
from prehend_training.train.loop.optimisers import make_optimisers
from prehend_training.train.loop.preset import Optimisation, Prepares, Starts, Task

LOG_EVERY = 20
LOST_OF = 40
"""Of so many steps in a row at least half count, or the run ends: it would learn nothing for hours."""

SAVE_EVERY_S = 180.0
_STALL_S = 30.0

logger = logging.getLogger(__name__)


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


class _Losses(nn.Module):
    """A task's loss of a batch as the forward pass of a module, which is what DDP listens to."""

    def __init__(self, task: Task, network: nn.Module):
        super().__init__()
        self.network = network
        self._task = task

    def forward(self, batch: Mapping[str, Any], used: float) -> tuple[Tensor, Terms]:
        """The loss, and the terms that it is of, without their graph."""
        terms = self._task.terms(self.network, batch, used)
        return total(terms, self._task.preset.loss), {name: value.detach() for name, value in terms.items()}


class Trainer:
    """A run: made fresh, or as its checkpoint left it.

    Args:
        task: what to train.
        run: folder of the run.
        machine: what to train with.
        group: the processes of the run; only the first one writes.
        start: runs whose averaged weights a fresh run starts from, see `load_start`.

    Attributes:
        making_s: time that a device took for the pixels of batches of images in its memory.
    """

    making_s = 0.0

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
            if isinstance(task, Starts) and not (run / "checkpoint").exists():
                task.started(self.network, start, self.machine.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.train()
        slow = []
        if isinstance(self.network, InTraining):
            slow = self.network.pretrained()
            if self.machine.compiled:
                self.network.compile_trunk()
        chosen = self.optimisation
        self.optimiser = make_optimisers(
            self.network, chosen.method, chosen.lr, chosen.weight_decay, slow, chosen.pretrained_share
        )
        # half precision alone underflows
        self._scaler = torch.amp.GradScaler(self.machine.device.split(":")[0], enabled=machine.precision == "fp16")
        self._losses = self.group.parallel(_Losses(task, self.network), self.machine.device)
        self.averaged = Averaged(self.network, self.optimisation.ema)
        self.progress = Progress()
        self._counted: deque[bool] = deque(maxlen=LOST_OF)
        if (run / "checkpoint").exists():
            self.progress = load(run / "checkpoint", self.network, self.averaged, self.optimiser)
            logger.info("resuming at step %d", self.progress.step)
        if isinstance(task, Prepares):
            task.prepare(self.network)

    def step(self, batch: Mapping[str, NDArray[Any] | Tensor], lr: float, used: float) -> Terms:
        """One step of the optimiser; a loss or gradient that is not finite is left out and counted.

        Args:
            batch: see `Task.terms`; images as `to_tensors` takes them.
            lr: learning rate.
            used: share of the budget that is used up.

        Raises:
            InvalidInput: most of the last `LOST_OF` steps were left out.
        """
        tensors = to_tensors(batch, self.machine.device)
        self.optimiser.set_lr(lr)
        with autocast(self.machine.device, self.machine.precision):
            loss, terms = self._losses(tensors, used)
        self.optimiser.zero_grad()
        self._scaler.scale(loss).backward()  # of several processes, DDP averages the gradients meanwhile
        for part in self.optimiser.parts:
            self._scaler.unscale_(part)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.optimisation.clip)
        # the gradient of a loss that is not finite may be finite, and all processes have to leave a step out together
        counts = bool(torch.isfinite(norm + self.group.mean(loss.detach())))
        if counts:
            for part in self.optimiser.parts:
                self._scaler.step(part)
            self.averaged.update(self.network, self.progress.step)
        else:
            self.progress.skipped += 1
        self._scaler.update()
        self._note(counts, terms)
        return {"loss": loss.detach(), "gradient": norm.detach(), **terms}

    def _note(self, counts: bool, terms: Terms) -> None:
        """Whether a step counted; ends a run in which most did not, before hours are gone."""
        self._counted.append(counts)
        if len(self._counted) < LOST_OF or sum(self._counted) >= LOST_OF / 2:
            return
        lost = [name for name, value in terms.items() if not bool(torch.isfinite(value).all())]
        cause = f"no finite {', '.join(lost)}" if lost else "no finite gradient"
        raise InvalidInput(
            f"{LOST_OF - sum(self._counted)} of the last {LOST_OF} steps taught nothing ({cause}): look at the data "
            "with prehend-train show, or give a lower --lr"
        )

    def batches(self, stop: int | None) -> Generator[MadeBatch, None, None]:
        """This process's parts of the batches from the next step on, up to `stop`."""
        part = (self.group.rank, self.group.size)
        batches = prefetched(self.task.source, self.progress.step, stop, self.machine.workers, part)
        return batches if self.task.memory is None else self._finished(batches, self.task.memory)

    def _finished(self, batches: Generator[MadeBatch, None, None], memory: Memory) -> Generator[MadeBatch, None, None]:
        """Batches whose pixels the device makes itself, each when it is asked for."""
        with closing(batches):
            for batch in batches:
                began = _mark(self.machine.device)
                made = memory.finished(batch)
                ended = _mark(self.machine.device)
                yield made
                # by now the step has waited for the device, and the marks are behind it
                self.making_s += _seconds_between(began, ended)

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


def _mark(device: str) -> Any:
    """A place in the device's queue, or a time."""
    if not device.startswith("cuda"):
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _seconds_between(began: Any, ended: Any) -> float:
    if isinstance(began, float):
        return float(ended - began)
    ended.synchronize()
    return float(began.elapsed_time(ended)) / 1000


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
        append_line(self.path, json.dumps(line))
        for name, value in line.items():
            if name not in ("step", "samples"):
                group = "loss" if name in means else "run"
                self._events.add_scalar(f"{group}/{name}", value, progress.samples)
        self._clear()
        return line
