"""Training of the detector on frames: what a preset says, and the network, batches and loss terms that it means."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from prehend.errors import InvalidInput
from prehend.models.detectors.centers import CenterDetector, CenterDetectorConfig, CenterMaps, build_center_detector
from prehend_training.data.base import BatchSource
from prehend_training.data.batch import ArrayDict, DetectorBatch
from prehend_training.data.frames import DetectorBatches, DetectorDataConfig
from prehend_training.data.pixels.opencv import frame_arrays
from prehend_training.data.pixels.plans import later
from prehend_training.data.stores.memory import Filling, Memory
from prehend_training.data.stores.open import DataSource, SingleSource, load_memory, open_training_data
from prehend_training.losses.crop import Terms
from prehend_training.losses.detector import DetectorLossWeights, detector_terms
from prehend_training.train.loop.preset import Optimisation, Preset, Teacher


@dataclass(frozen=True)
class DetectorPreset(Preset):
    """Training of a detector; fields as in `CropPreset`."""

    name: str
    network: str
    config: CenterDetectorConfig
    data: DetectorDataConfig = field(default_factory=DetectorDataConfig)
    loss: DetectorLossWeights = field(default_factory=DetectorLossWeights)
    optimisation: Optimisation = field(default_factory=Optimisation)
    seed: int = 0
    pictures: ClassVar[Literal["crops", "frames"]] = "frames"

    @property
    def summary(self) -> tuple[str, str]:
        """See `Preset`."""
        return "the detector", f"frames of {self.data.size_px} px, crops as close-ups"

    def build(self) -> CenterDetector:
        """See `Preset`."""
        return build_center_detector(self.config)

    def task(self, data: DataSource, memory: Memory | None = None, teacher: Teacher | None = None) -> "DetectorTask":
        """See `Preset`."""
        if teacher is not None:
            raise InvalidInput(f"'{self.name}' has no teacher: one teaches a crop network")
        return DetectorTask(self, data, memory)

    def load(self, data: DataSource, device: str, limit: int | None = None, workers: int = 0) -> Memory:
        """See `Preset`."""
        return load_memory(data, self.pictures, False, self.data.size_px, Filling(device, workers), limit)

    def samples(self, data: SingleSource, count: int, augment: bool = True) -> ArrayDict:
        """See `Preset`; frames are changed always."""
        return DetectorBatches(open_training_data(data, "frames"), self.data, self.seed, count).batch(0)


class DetectorWithHeads(nn.Module):
    """A detector with a layer that tells hands and held objects apart from the rest; only `network` is kept."""

    def __init__(self, network: CenterDetector):
        super().__init__()
        self.network = network
        self.dense = nn.Conv2d(network.config.head, 3, 1)

    def forward(self, image: Tensor) -> tuple[CenterMaps, Tensor]:
        """The detector's maps, and (B, 3, G, G) logits of rest, hand and held object."""
        features = self.network.features(image)
        return self.network.answer(features), self.dense(features)


class DetectorTask:
    """Training of the detector on frames; arguments as of `CropTask`."""

    def __init__(self, preset: DetectorPreset, data: DataSource, memory: Memory | None = None):
        self.preset: Preset = preset
        self._detector_preset = preset
        self.memory = memory
        self.dataset = memory.dataset if memory else open_training_data(data, "frames", twins=False)
        numbers = preset.data, preset.seed, preset.optimisation.batch_size
        work = frame_arrays if memory is None else later
        self.source: BatchSource = DetectorBatches(self.dataset, *numbers, work)

    def network(self) -> nn.Module:
        """A fresh detector."""
        return DetectorWithHeads(self._detector_preset.build())

    def terms(self, network: nn.Module, batch: DetectorBatch, used: float) -> Terms:
        """See `detector_terms`."""
        found, dense = network(batch["image"])
        return detector_terms(found, batch) | {"segments": F.cross_entropy(dense, batch["segments"].long())}
