"""A run that fine-tunes the palm detector: scenes and labelled photographs, from numbers that find palms already."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import nn

from prehend.errors import AssetError, InvalidInput
from prehend.files import replace_text
from prehend.models.detectors.palm import PALM, PalmConfig, PalmDetector, build_palm
from prehend_training.data.base import BatchSource
from prehend_training.data.batch import PalmBatch
from prehend_training.data.stores.memory import Memory
from prehend_training.data.stores.open import DataSource, describe_data, open_training_data
from prehend_training.losses.crop import Terms
from prehend_training.losses.heads import InTraining
from prehend_training.palms.batches import WHOLE_VIEW, PalmBatches, PalmDataConfig
from prehend_training.palms.labels import PalmLabels, read_palm_labels
from prehend_training.palms.losses import PalmLossWeights, palm_terms
from prehend_training.pretrained.files import load_pretrained, provenance
from prehend_training.storage.shards import commit
from prehend_training.train.loop.checkpoint import load_result
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.loop.notes import begun, read_note
from prehend_training.train.loop.preset import Optimisation, Preset, Teacher, describe
from prehend_training.train.loop.trainer import Trainer


class PalmWithHeads(InTraining):
    """A detector in training; only `network` is kept."""

    def __init__(self, network: PalmDetector, frozen: int):
        super().__init__()
        self.network = network
        for part in [network.stem, *network.layers[:frozen]] if frozen else []:
            part.requires_grad_(False)

    def pretrained(self) -> list[nn.Parameter]:
        """See `InTraining`: all but what we added."""
        return [parameter for name, parameter in self.network.named_parameters() if ".further." not in name]


@dataclass(frozen=True)
class PalmPreset(Preset):
    """Fine-tuning of the palm detector; what is not explained is as in `CropPreset`.

    Attributes:
        frozen: layers of the network, from the first on, that stay as they are: they see edges and skin well already.
    """

    name: str
    network: str
    config: PalmConfig
    data: PalmDataConfig = field(default_factory=PalmDataConfig)
    loss: PalmLossWeights = field(default_factory=PalmLossWeights)
    optimisation: Optimisation = field(default_factory=Optimisation)
    seed: int = 0
    frozen: int = 2
    pictures: ClassVar[Literal["crops", "frames"]] = "frames"
    own_scores: ClassVar[bool] = True

    @property
    def summary(self) -> tuple[str, str]:
        """See `Preset`."""
        return "the palm detector", "frames, labelled photographs; --start the pretrained detector; verb palms train"

    def build(self) -> PalmDetector:
        """See `Preset`."""
        return build_palm(self.config)

    def task(self, data: DataSource, memory: Memory | None = None, teacher: Teacher | None = None) -> "PalmTask":
        """Only `prehend-train palms train` can, which has the labels."""
        raise AssetError(
            f"'{self.name}' learns from labelled photographs too: train it with `prehend-train palms train`"
        )


class PalmTask:
    """Training of the palm detector.

    Args:
        preset: what to train. data: folders of frames. labels: of photographs. start: file of `trunk --kind palm`, or a
            run.
    """

    def __init__(self, preset: PalmPreset, data: Sequence[Path], labels: PalmLabels, start: Path):
        self.preset: Preset = preset
        self._palm_preset, self._start = preset, start
        dataset = open_training_data(data, "frames", twins=False)
        self.memory: Memory | None = None
        self.source: BatchSource = PalmBatches(
            dataset, labels, preset.data, preset.seed, preset.optimisation.batch_size
        )

    def network(self) -> nn.Module:
        """The detector with the numbers it starts from."""
        network = self._palm_preset.build()
        if self._start.is_dir():
            load_result(self._start / "checkpoint" / "averaged.safetensors", network)
        else:
            load_pretrained(self._start, network)
        return PalmWithHeads(network, self._palm_preset.frozen)

    def terms(self, network: nn.Module, batch: PalmBatch, used: float) -> Terms:
        """See `palm_terms`."""
        assert isinstance(network, PalmWithHeads)
        return palm_terms(network.network(batch["image"]), batch)


def train_palms(
    preset: PalmPreset, data: Sequence[Path], labels: Path, start: Path, run: Path, machine: Machine, budget: Budget
) -> None:
    """Begin a run, or go on with one from its checkpoint, until the budget is used up.

    Args:
        preset: what to train.
        data: folders of rendered frames.
        labels: file of `palms label`.
        start: file of `trunk --kind palm`, or a run.
        run: folder of the run.
        machine, budget: what to train with, and how long.

    Raises:
        AssetError: the frames or the file to start from are not what is trained on.
        SourceError: the labels cannot be read.
        InvalidInput: the folder holds another run, or no photograph is for training.
    """
    known = read_palm_labels(labels)
    if not any(photo.split == "train" for photo in known.photos):
        raise InvalidInput(f"{labels}: no photograph in it is for training")
    _claim(preset, data, known, start, run)
    Trainer(PalmTask(preset, data, known, start), run, machine).train(budget)


def _origin(start: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The published file that a detector is from, and the runs in between."""
    if start.is_dir():
        before = begun(start)
        return before["origin"], [before]
    origin = provenance(start)
    if origin["network"] != "palm_detection_full":
        raise AssetError(f"{start} holds '{origin['network']}': write it with `prehend-train trunk --kind palm`")
    return origin, []


def _claim(preset: PalmPreset, data: Sequence[Path], labels: PalmLabels, start: Path, run: Path) -> None:
    origin, before = _origin(start)
    described = {
        "preset": preset.name,
        "seed": preset.seed,
        "numbers": json.loads(json.dumps(describe(preset))),
        "data": describe_data(data),
        "start": before,
        "origin": origin,
        "photographs": json.loads(json.dumps(labels.about)),
    }
    note = run / "run.json"
    run.mkdir(parents=True, exist_ok=True)
    if not note.exists():
        replace_text(note, json.dumps({**described, "commit": commit()}, indent=1) + "\n")
        return
    noted = read_note(run)
    if differ := [key for key in described if noted.get(key) != described[key]]:
        raise InvalidInput(f"{run} holds a run that differs in {', '.join(differ)}: choose another folder")


_TINY = replace(PALM, size=64, wide_size=128, widths=(8, 8, 8, 8, 8), blocks=1, merged=1)
_TINY_VIEW = replace(PalmDataConfig().view, size_px=64, hand_px=(8.0, 60.0))

PALM_PRESETS = (
    # from palm_detection_full (`trunk --kind palm`): low rates, or it forgets
    PalmPreset(
        "palm",
        "palm",
        PALM,
        optimisation=Optimisation(batch_size=24, lr=2e-3, weight_decay=1e-3, ema=0.995, pretrained_share=0.1),
    ),
    # then with as much around a hand as it will see: pieces alone make it miss large hands
    PalmPreset(
        "palm-192",
        "palm",
        PALM,
        replace(PalmDataConfig(), view=WHOLE_VIEW),
        optimisation=Optimisation(batch_size=16, lr=1e-3, weight_decay=1e-3, ema=0.99, pretrained_share=0.1),
    ),
    PalmPreset(
        "debug-palm", "palm", _TINY, replace(PalmDataConfig(), view=_TINY_VIEW), optimisation=Optimisation(batch_size=2)
    ),
)
