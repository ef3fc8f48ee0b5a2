"""From nothing to trained weights on one machine with a GPU: render, keep in memory, train, measure, carry home.

Every stage finds what earlier calls left in the folder WORK and goes on from it:

WORK/crops, crops-test    rendered crops, for a detector frames, frames-test
WORK/teacher, student     runs as `prehend-train train` makes them, and speed.jsonl
WORK/home                 what is worth taking to another machine
"""

import importlib.util
import logging
import math
import os
import platform
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch

from prehend.errors import InvalidInput, PrehendError
from prehend_training.data.stores.memory import Memory, free_memory
from prehend_training.engine.scenes import SHARD_UNITS, SIZES_PX, Kind, OpenMaker, SceneConfig, open_maker
from prehend_training.engine.timed import Rendering, render
from prehend_training.evaluate.network import note_measured
from prehend_training.storage.codec import Packing
from prehend_training.train.export import export_slim_run
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import Changes, changed_preset, preset
from prehend_training.train.runs import Training, train_run

TEST_SEED = 1_000_000
"""Added to the seed of crops that are measured on."""

_SAVING_S = 20.0
"""Kept back at the end of a call, to save and to write what goes home."""
_WORTH_S = 20.0
"""A stage with less time than this left is not begun."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MachinePlan:
    """What is wanted.

    Attributes:
        work: folder WORK.
        data: folders of crops (for a detector frames) that exist; none for rendering.
        test: folder of them to measure on; None to render `test_count`.
        render_minutes: time for rendering; it ends earlier once there are `count` images.
        count: most images to render and to keep in memory.
        seed: of the scenes, and of the training.
        photos: photographs for backgrounds, None for none.
        size_px: width of a rendered image; None for the usual one.
        preset: of the student, the network that is wanted.
        budget: of training it, over all calls; the schedule follows it.
        teacher_preset, teacher_budget: of a network that is trained first to teach it; no budget for none.
        teacher: a run that teaches it in place of that.
        start: runs whose weights the student starts from.
        changes: numbers in place of the presets'; batch size and rate are the student's alone. Twins are rendered
            where pairs are learnt from.
        machine: device, precision, compiled or not.
        workers: processes that render and decode.
        shard_units: images a shard; None for the usual number.
        make: what renders, importable from its module.
    """

    work: Path
    data: tuple[Path, ...] = ()
    test: Path | None = None
    render_minutes: float = 6.0
    count: int = 150_000
    test_count: int = 1024
    seed: int = 51
    photos: Path | None = None
    size_px: int | None = None
    preset: str = "unihope-xs"
    budget: Budget = field(default_factory=lambda: Budget(minutes=10))
    teacher_preset: str = "unihope-b"
    teacher_budget: Budget | None = None
    teacher: Path | None = None
    start: tuple[Path, ...] = ()
    changes: Changes = field(default_factory=lambda: Changes(large_batches=True))
    machine: Machine = field(default_factory=lambda: Machine(device="cuda", precision="bf16"))
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    shard_units: int | None = None
    make: OpenMaker = open_maker

    def __post_init__(self) -> None:
        if self.teacher is not None and self.teacher_budget is not None:
            raise InvalidInput("give either a teacher or a budget to train one")

    @property
    def kind(self) -> Kind:
        """What the preset trains on."""
        return preset(self.preset).pictures

    def scenes(self, seed: int) -> SceneConfig:
        """Images of a seed, with as much of their maps as training needs."""
        packing = Packing("twin" if self.changes.twins and self.kind == "crops" else "none")
        return SceneConfig(self.kind, seed, self.size_px or SIZES_PX[self.kind], packing, self.photos)


@dataclass
class Call:
    """One call of a plan: `until_s` is the reading of `time.monotonic` at which it ends."""

    plan: MachinePlan
    until_s: float = math.inf

    def run(self) -> bool:
        """Go through the stages; False where the time ended before they did."""
        trainings = [*self.teacher_training, self.student_training]
        if not self._rendered() or not all(self._trained(training) for training in trainings):
            return False
        for training in trainings:
            if not (training.run / "measured.json").exists():
                if self._left_s() < _WORTH_S:
                    return False
                measure(training.run, self.test)
            self._take_home(training)
        return True

    def _left_s(self) -> float:
        return self.until_s - time.monotonic() - _SAVING_S

    @property
    def data(self) -> tuple[Path, ...]:
        """Folders to learn from."""
        return self.plan.data or (self.plan.work / self.plan.kind,)

    @property
    def test(self) -> Path:
        """Folder to measure on."""
        return self.plan.test or self.plan.work / f"{self.plan.kind}-test"

    @property
    def teacher_training(self) -> list[Training]:
        """The network that teaches, none where there is no budget for it."""
        plan = self.plan
        if plan.teacher_budget is None:
            return []
        chosen = changed_preset(preset(plan.teacher_preset), replace(plan.changes, batch_size=None, lr=None))
        return [Training(chosen, self.data, plan.work / "teacher", plan.teacher_budget)]

    @property
    def student_training(self) -> Training:
        """The network that is wanted."""
        plan = self.plan
        teacher = next((training.run for training in self.teacher_training), plan.teacher)
        chosen = changed_preset(preset(plan.preset), replace(plan.changes, taught=teacher is not None))
        return Training(chosen, self.data, plan.work / "student", plan.budget, plan.start, teacher)

    def _rendered(self) -> bool:
        plan = self.plan
        wanted = []
        if plan.test is None:
            wanted.append((self.test, plan.scenes(plan.seed + TEST_SEED), plan.test_count, math.inf))
        if not plan.data:
            wanted.append((self.data[0], plan.scenes(plan.seed), plan.count, plan.render_minutes))
        for out, config, count, minutes in wanted:
            units = plan.shard_units or SHARD_UNITS[plan.kind]
            rendering = Rendering(out, config, count, minutes, plan.workers, units, plan.make)
            if not render(rendering, self.until_s - _SAVING_S):
                return False
        return True

    @cached_property
    def memory(self) -> Memory:
        """The images, decoded when they are first needed."""
        began, machine = time.monotonic(), self.machine
        presets = [training.preset for training in (*self.teacher_training, self.student_training)]
        # both learn from the same images, with twins where one of the two learns from pairs
        wanted = max(presets, key=lambda one: getattr(one, "twins", None) is not None)
        memory = wanted.load(self.data, machine.device, machine.in_memory, machine.workers)
        logger.info("%d images on %s in %.0f s", len(memory), machine.device, time.monotonic() - began)
        return memory

    @property
    def machine(self) -> Machine:
        """That of the plan, with as many images in memory as there are to be."""
        return replace(self.plan.machine, in_memory=self.plan.count, workers=self.plan.workers)

    def _trained(self, training: Training) -> bool:
        if training.done:
            return True
        if self._left_s() < _WORTH_S:
            return False
        train_run(training, self.machine, self.until_s - _SAVING_S, self.memory)
        logger.info("%s", (training.run / "speed.jsonl").read_text().splitlines()[-1])
        (training.run / "measured.json").unlink(missing_ok=True)
        self._take_home(training)
        return training.done

    def _take_home(self, training: Training) -> None:
        home = self.plan.work / "home" / training.run.name
        size = export_slim_run(training.run, home)
        logger.info("%s: %.1f MB", home, size / 1e6)


def measure(run: Path, test: Path) -> None:
    """`prehend-train evaluate` where what it needs is installed; otherwise the log says that it is left for later."""
    if importlib.util.find_spec("onnxruntime") is None:
        logger.warning(
            "%s is not measured here: onnxruntime is missing; `prehend-train evaluate` can be run later", run
        )
        return
    from prehend_training.evaluate.reports import evaluate_run

    try:
        note_measured(run, evaluate_run(run, test))
    except PrehendError as error:
        logger.warning("%s could not be measured here: %s", run, error)


def describe_machine(device: str) -> str:
    """A line for each thing that decides how fast it will be: Python, torch, the device, OpenGL, cores."""
    lines = [
        f"python {platform.python_version()}, torch {torch.__version__}, {os.cpu_count()} cores",
        f"free memory of the host for crops: {free_memory('cpu') / 1e9:.0f} GB",
    ]
    if not torch.cuda.is_available():
        lines.append("CUDA: torch sees no device")
    else:
        name, room = torch.cuda.get_device_name(device), free_memory(device) / 1e9
        lines.append(f"CUDA: {name}, {room:.0f} GB for crops, bf16 {torch.cuda.is_bf16_supported()}")
    lines.append(f"OpenGL through EGL: {_opengl()}")
    return "\n".join(lines)


def _opengl() -> str:
    """The name of what draws: a GPU, or llvmpipe where Mesa draws on the CPU."""
    try:
        import moderngl

        context = moderngl.create_context(standalone=True, backend="egl")  # type: ignore[arg-type]
    except ImportError:
        return "moderngl is missing"
    except Exception as error:  # noqa: BLE001 - moderngl raises nothing narrower
        return f"none ({error})"
    name = str(context.info["GL_RENDERER"])
    context.release()
    return name
