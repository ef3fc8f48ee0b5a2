"""Training on pictures that lie in the device's memory, with a larger network as a teacher where there is one."""

import json
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from prehend.errors import InvalidInput
from prehend.files import replace_text
from prehend.models.unihope import Output, UniHOPE
from prehend.weights import file_sha256
from prehend_training.data.augment_presets import STRONG_CROPS
from prehend_training.data.on_device.crops import ResidentCropBatches
from prehend_training.data.on_device.frames import ResidentDetectorBatches, ResidentFrames
from prehend_training.data.on_device.store import ResidentCrops
from prehend_training.data.records import Record
from prehend_training.losses.crop import (
    CropLossWeights,
    Terms,
    hand_rows,
    heatmap_divergence,
    mean_of_rows,
    rotation_distance,
)
from prehend_training.train.checkpoint import Progress, load_result
from prehend_training.train.heads import Batch, ModelWithHeads
from prehend_training.train.loop import Budget, Machine, Precision, Trainer, autocast, claim_run, peak_memory_mb
from prehend_training.train.presets import CropPreset, DetectorPreset, Optimisation, Preset, preset
from prehend_training.train.tasks import MEAN_POSE_SAMPLES, CropTask, DetectorTask, Task, network_of

Resident = ResidentCrops | ResidentFrames

RECIPES: dict[str, Optimisation] = {
    "unihope-xs": Optimisation(method="muon", batch_size=512, lr=3e-3, ema=0.998),
    "unihope-b": Optimisation(method="muon", batch_size=256, lr=2e-3, ema=0.998),
    "detector": Optimisation(batch_size=128, lr=2e-3, ema=0.998),
}
"""How networks are trained with large batches; presets without an entry keep their own numbers."""


@dataclass(frozen=True)
class TaughtLossWeights(CropLossWeights):
    """Weights of `teacher_terms` beside those of the labels."""

    teacher_keypoints: float = 10.0
    teacher_rotations: float = 1.0
    teacher_heatmaps: float = 0.5


def chosen_preset(
    name: str,
    batch_size: int | None = None,
    lr: float | None = None,
    taught: bool = False,
    twins: bool = True,
    strong: bool = False,
) -> Preset:
    """A preset with the numbers of its recipe.

    The paper's losses are replaced by ours, which teach a network that starts from nothing in fewer samples.

    Args:
        name: of the preset.
        batch_size, lr: in place of the recipe's.
        taught: add the terms of a teacher.
        twins: learn from pairs where the preset does.
        strong: change crops as `recipes.STRONG_CROPS` does.

    Raises:
        UnknownName: there is no such preset.
        InvalidInput: the preset trains a part of a network, or a detector shall have a teacher.
    """
    chosen = preset(name)
    numbers = RECIPES.get(name, chosen.optimisation)
    numbers = replace(numbers, batch_size=batch_size or numbers.batch_size, lr=lr or numbers.lr)
    if isinstance(chosen, DetectorPreset) and not taught:
        return replace(chosen, optimisation=numbers)
    if not isinstance(chosen, CropPreset) or chosen.trains != "all":
        raise InvalidInput(f"{name} is no preset of a whole crop network")
    loss = chosen.loss if isinstance(chosen.loss, CropLossWeights) else CropLossWeights()
    if taught:
        loss = TaughtLossWeights(**asdict(loss))
    data = chosen.data
    if strong:
        data = replace(STRONG_CROPS, size_px=data.size_px, object_grid=data.object_grid)
    return replace(chosen, data=data, optimisation=numbers, loss=loss, twins=chosen.twins if twins else None)


def load_teacher(run: Path, device: str) -> UniHOPE:
    """The averaged network of a run, to ask and not to train.

    Raises:
        AssetError: the run has no weights.
        InvalidInput: it is not one of a crop network.
    """
    network = network_of(preset(json.loads((run / "run.json").read_text())["preset"]))
    if not isinstance(network, UniHOPE):
        raise InvalidInput(f"{run} is no run of a crop network")
    load_result(run / "checkpoint" / "averaged.safetensors", network)
    network.requires_grad_(False).eval()
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def teacher_terms(
    student: UniHOPE, said: Output, teacher: UniHOPE, taught: Output, target: Mapping[str, Tensor]
) -> Terms:
    """How far a network is from its teacher, in rows that show a right hand.

    Args:
        student, teacher: for their RoIs.
        said, taught: what they answered to the same batch; the heatmaps of the teacher are laid out anew over the
            student's RoI.
        target: the batch.
    """
    rows = hand_rows(target)
    box_size = target["hand_box"][:, 2:] - target["hand_box"][:, :2]
    aspect = (box_size / box_size.amax(1, keepdim=True))[:, None]
    turned = rotation_distance(said.hand.rotations, taught.hand.rotations)
    region, wanted_region = (network.hand_region(target["hand_box"]) for network in (teacher, student))
    maps = torch.softmax(taught.heatmaps.float().flatten(2), -1).view_as(taught.heatmaps)
    wanted = laid_out_anew(maps, region, wanted_region, said.heatmaps.shape[-1])
    return {
        "teacher_keypoints": mean_of_rows(((said.hand.keypoints - taught.hand.keypoints) * aspect).abs(), rows),
        "teacher_rotations": mean_of_rows(turned[:, 0] + turned[:, 1:].mean(1), rows),
        "teacher_heatmaps": mean_of_rows(heatmap_divergence(said.heatmaps.float(), wanted), rows),
    }


def laid_out_anew(maps: Tensor, region: Tensor, wanted: Tensor, cells: int, fine: int = 4) -> Tensor:
    """Probabilities over one region as probabilities over another.

    Args:
        maps: (B, N, R, R) of sum 1 over `region`.
        region, wanted: (B, 4) boxes [crop px].
        cells: of the result along a side.
        fine: points along each axis of a cell at which the density is read.

    Returns:
        (B, N, cells, cells) of sum 1; what lies beyond `wanted` is left out.
    """
    steps = (torch.arange(cells * fine, device=maps.device, dtype=maps.dtype) + 0.5) / (cells * fine)
    places = wanted[:, None, :2] + steps[:, None] * (wanted[:, None, 2:] - wanted[:, None, :2])
    unit = 2 * (places - region[:, None, :2]) / (region[:, None, 2:] - region[:, None, :2]) - 1
    x, y = unit.unbind(2)
    count = len(steps)
    grid = torch.stack([x[:, None].expand(-1, count, -1), y[:, :, None].expand(-1, -1, count)], -1)
    density = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    shares = F.avg_pool2d(density, fine)
    return shares / shares.sum((2, 3), keepdim=True).clamp(min=1e-9)


class _Poses:
    """The poses of the first resident crops as records, for the mean pose; reading shards for it takes seconds."""

    def __init__(self, crops: ResidentCrops):
        names = ("side", "rotations", "has_pose")
        self._labels = {name: crops.labels[name][:MEAN_POSE_SAMPLES].cpu().numpy() for name in names}

    def first(self, count: int) -> list[int]:
        """See `prehend_training.data.crops.Corpus`."""
        return list(range(min(count, len(self._labels["side"]))))

    def __getitem__(self, index: int) -> Record:
        return {name: value[index][None] for name, value in self._labels.items()}


class ResidentCropTask(CropTask):
    """Training of a crop network on resident crops.

    Args:
        preset: from `chosen_preset`.
        data: the folders that the crops are from.
        crops: on the device that trains.
        teacher: see `load_teacher`; the preset's loss has its weights.
        precision: in which the teacher answers.
    """

    def __init__(
        self,
        preset: CropPreset,
        data: Sequence[Path],
        crops: ResidentCrops,
        teacher: UniHOPE | None = None,
        precision: Precision = "fp32",
    ):
        super().__init__(preset, data)
        chosen = preset.optimisation
        self.source = ResidentCropBatches(crops, preset.data, preset.seed, chosen.batch_size)  # type: ignore[assignment]  # tensors, no arrays
        self.corpus = _Poses(crops)  # type: ignore[assignment]  # all that is asked of it
        self.teacher, self.precision = teacher, precision

    def _sample_terms(self, network: UniHOPE, output: Output, batch: Batch, read: Batch) -> Terms:
        terms = super()._sample_terms(network, output, batch, read)
        if self.teacher is None:
            return terms
        told, kind = batch["grasp_gate"], batch["image"].device.type
        with torch.no_grad(), autocast(kind, self.precision):
            taught = self.teacher(batch["image"], batch["hand_box"], batch["object_box"], told[:, None], told > 0.5)
        with autocast(kind, "fp32"):
            return terms | teacher_terms(network, output, self.teacher, taught, batch)


class ResidentDetectorTask(DetectorTask):
    """Training of a detector on resident frames.

    Args:
        preset: from `chosen_preset`.
        data: the folders that the frames are from.
        frames: on the device that trains.
    """

    def __init__(self, preset: DetectorPreset, data: Sequence[Path], frames: ResidentFrames):
        super().__init__(preset, data)
        self.source = ResidentDetectorBatches(frames, preset.data, preset.seed, preset.optimisation.batch_size)  # type: ignore[assignment]  # tensors, no arrays


class ResidentTrainer(Trainer):
    """The loop over batches that the device makes itself. `making_s` is the time that this took the device."""

    making_s = 0.0

    def batches(self, stop: int | None) -> Generator[Mapping[str, NDArray[Any] | Tensor], None, None]:
        """Batches from the next step on, each made when it is asked for."""
        step = self.progress.step
        part = (self.group.rank, self.group.size)
        while stop is None or step < stop:
            began = _mark(self.machine.device)
            batch = self.task.source.batch(step, part)
            ended = _mark(self.machine.device)
            yield batch
            # by now the step has waited for the device, and the marks are behind it
            self.making_s += _seconds_between(began, ended)
            step += 1


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


@dataclass(frozen=True)
class Training:
    """One run on resident pictures.

    Attributes:
        preset: from `chosen_preset`.
        run: folder of the run.
        budget: of the whole run, however many calls it takes.
        teacher: run to learn from. start: runs to start from, see `load_start`.
        compiled: compile the trunk of a crop network (CUDA).
    """

    preset: Preset
    run: Path
    budget: Budget
    teacher: Path | None = None
    start: tuple[Path, ...] = ()
    compiled: bool = False


def train_resident(
    training: Training, data: Sequence[Path], pictures: Resident, machine: Machine, until_s: float
) -> dict[str, Any]:
    """Begin a run or go on with it, until its budget is used up or the time is over.

    Args:
        training: what to train.
        data: the folders that the pictures are from.
        pictures: on the device of `machine`.
        machine: one process; see `Machine` for the precision.
        until_s: reading of `time.monotonic` at which to save and leave.

    Returns:
        How fast it was, which is also the last line of RUN/speed.jsonl.

    Raises:
        InvalidInput: the folder holds another run.
        AssetError: there are no weights to learn or to start from.
    """
    claim_run(training.preset, data, training.run, training.start)
    task = _task(training, data, pictures, machine)
    trainer = ResidentTrainer(task, training.run, machine, start=training.start)
    if training.compiled and isinstance(trainer.network, ModelWithHeads):
        trainer.network.network.streams.compile()  # type: ignore[operator]
    before, began = trainer.progress.samples, time.monotonic()
    progress = trainer.train(training.budget, until_s)
    seconds = time.monotonic() - began
    report = {
        "preset": training.preset.name,
        "done": training.budget.used(progress) >= 1,
        "steps": progress.step,
        "samples": progress.samples,
        "pictures": len(pictures),
        "device": device_name(machine.device),
        "precision": machine.precision,
        "seconds": round(seconds, 1),
        "samples_per_s": round((progress.samples - before) / max(seconds, 1e-9), 1),
        "making_batches": round(trainer.making_s / max(seconds, 1e-9), 4),
        "peak_memory_mb": round(peak_memory_mb(machine.device)),
        "skipped": progress.skipped,
    }
    with (training.run / "speed.jsonl").open("a") as file:
        file.write(json.dumps(report) + "\n")
    return report


def _task(training: Training, data: Sequence[Path], pictures: Resident, machine: Machine) -> Task:
    chosen = training.preset
    if isinstance(chosen, DetectorPreset):
        assert isinstance(pictures, ResidentFrames)
        return ResidentDetectorTask(chosen, data, pictures)
    assert isinstance(pictures, ResidentCrops) and isinstance(chosen, CropPreset)
    if training.teacher is None:
        return ResidentCropTask(chosen, data, pictures)
    weights = training.teacher / "checkpoint" / "averaged.safetensors"
    note = {"run": training.teacher.name, "sha256": file_sha256(weights)}
    replace_text(training.run / "teacher.json", json.dumps(note) + "\n")
    teacher = load_teacher(training.teacher, machine.device)
    return ResidentCropTask(chosen, data, pictures, teacher, machine.precision)


def device_name(device: str) -> str:
    """What trains."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def is_done(training: Training) -> bool:
    """Whether the run has used up its budget."""
    progress = training.run / "checkpoint" / "progress.json"
    return progress.exists() and training.budget.used(Progress(**json.loads(progress.read_text()))) >= 1


def export_slim_run(run: Path, out: Path) -> int:
    """Write what is worth taking to another machine: the averaged weights, matrices in half precision, and the notes.

    The folder is a run that `prehend-train evaluate` and `export` read and `train --start` starts from; it cannot be
    gone on with, since the optimiser's state stays behind.

    Returns:
        Bytes written.
    """
    (out / "checkpoint").mkdir(parents=True, exist_ok=True)
    averaged = load_file(run / "checkpoint" / "averaged.safetensors")
    save_file({name: halved(value) for name, value in averaged.items()}, out / "checkpoint" / "averaged.safetensors")
    names = ["checkpoint/progress.json", "run.json", "log.jsonl", "speed.jsonl", "teacher.json", "measured.json"]
    for name in names:  # what was measured comes last: it has to be younger than the weights
        if (run / name).exists():
            (out / name).write_bytes((run / name).read_bytes())
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def halved(value: Tensor) -> Tensor:
    """In half precision where it is a matrix or kernel of numbers that fit; vectors are few and scale everything."""
    if value.dim() < 2 or not value.is_floating_point():
        return value
    half = value.half()
    return half if bool(torch.isfinite(half).all()) else value
