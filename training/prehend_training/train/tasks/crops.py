"""Training of crop networks: what a preset says, and the network, batches and loss terms that it means."""

from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar, Literal, cast

import numpy as np
import torch
from torch import nn

from prehend.errors import InvalidInput
from prehend.geometry.rotations import matrix_from_axis_angle, nearest_rotation
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.torch_ import HandLayer
from prehend.models.hand_object.outputs import Output
from prehend.models.hand_object.unihope import UniHOPE, UniHOPEConfig, build_unihope
from prehend.models.heads.mano import ManoHead
from prehend_training.data.augment_presets import STRONG_CROPS
from prehend_training.data.base import BatchSource, TrainingDataset
from prehend_training.data.batch import ArrayDict, Batch, CropBatch, SkeletonBatch
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig
from prehend_training.data.pixels.opencv import crop_arrays
from prehend_training.data.pixels.plans import later
from prehend_training.data.stores.memory import Filling, Memory
from prehend_training.data.stores.open import DataSource, SingleSource, load_memory, open_training_data, some_crops
from prehend_training.data.views import mirror_left
from prehend_training.losses.crop import (
    CropLossWeights,
    SampledHand,
    Terms,
    map_terms,
    switch_terms,
)
from prehend_training.losses.distillation import TaughtLossWeights, teacher_terms
from prehend_training.losses.heads import CropAnswers, Fusion, ModelWithHeads
from prehend_training.losses.lifting import LiftBatches, LiftConfig, poses_of, skeleton_terms
from prehend_training.losses.pairs import LEVELS, TwinConfig, enhancement_terms, twin_target
from prehend_training.losses.paper import PaperLossWeights
from prehend_training.train.loop.machine import autocast
from prehend_training.train.loop.preset import Changes, Optimisation, Preset, Teacher

MEAN_POSE_SAMPLES = 2000
LIFT_SAMPLES = 24_000

PARTS = {
    "all": "the whole network",
    "maps": "trunk and maps, with a first guess of the joints",
    "lift": "the pose head alone",
    "heads": "what comes after the trunk's maps",
    "object": "the object stream alone",
    "grasp": "the answer whether something is held alone",
}
"""What `CropPreset.trains` means, for people."""


@dataclass(frozen=True)
class CropPreset(Preset):
    """Training of a crop network.

    Attributes:
        name: of the preset. network: of the network.
        config: the network's numbers.
        trains: `all`; `maps`, only what leads to the maps and to the switcher's answers; `lift`, only the pose head,
            without images (`losses.lifting`); on a pretrained trunk `heads`, what comes after the trunk and its maps;
            `object`, only the object stream and its head, on hands that hold something; `grasp`, only the answer
            whether something is held.
        lift: see there.
        data, loss, optimisation: see there.
        fusion, twins: see `prehend_training.losses.heads.ModelWithHeads`.
        seed: of the fresh weights and the batches.
    """

    name: str
    network: str
    config: UniHOPEConfig
    data: CropDataConfig = field(default_factory=CropDataConfig)
    loss: CropLossWeights | PaperLossWeights = field(default_factory=CropLossWeights)
    optimisation: Optimisation = field(default_factory=Optimisation)
    seed: int = 0
    trains: Literal["all", "maps", "lift", "heads", "object", "grasp"] = "all"
    lift: LiftConfig = field(default_factory=LiftConfig)
    fusion: Fusion = "grasp-aware"
    twins: TwinConfig | None = None
    pictures: ClassVar[Literal["crops", "frames"]] = "crops"

    def __post_init__(self) -> None:
        if self.trains not in self._parts():
            raise InvalidInput(f"'{self.name}': '{self.trains}' is no part of this network that is trained alone")
        if self.twins is not None and (self.trains != "all" or not self._pairs()):
            raise InvalidInput(f"'{self.name}': pairs have no effect here: leave `twins` out")
        if self.data.describes_objects and not self._described():
            raise InvalidInput(f"'{self.name}': its network is told nothing of objects: leave `describes_objects` out")

    def _parts(self) -> tuple[str, ...]:
        return "all", "maps", "lift"

    def _pairs(self) -> bool:
        return True

    def _described(self) -> bool:
        return False

    @property
    def summary(self) -> tuple[str, str]:
        """See `Preset`."""
        if self.trains == "lift":
            return PARTS["lift"], "poses of crops, no images"
        return PARTS[self.trains], f"crops of {self.data.size_px} px" + (" with twins" if self.twins else "")

    def build(self) -> UniHOPE:
        """See `Preset`."""
        return build_unihope(self.config)

    def task(self, data: DataSource, memory: Memory | None = None, teacher: Teacher | None = None) -> "CropTask":
        """See `Preset`."""
        return CropTask(self, data, memory, teacher)

    @property
    def calibrated_on(self) -> CropDataConfig:
        """See `Preset`."""
        return self.data

    @property
    def always_fuses(self) -> bool:
        """See `Preset`."""
        return self.fusion == "always"

    def _begins_afresh(self) -> bool:
        return self.trains == "all"

    def changed(self, changes: Changes) -> Preset:
        """See `Preset`; only what trains a whole network that starts from nothing can be changed."""
        if not self._begins_afresh():
            return super().changed(changes)
        loss, data = self.loss, self.data
        if (changes.large_batches or changes.taught) and not isinstance(loss, CropLossWeights):
            loss = CropLossWeights()
        if changes.taught:
            loss = TaughtLossWeights(**asdict(loss))
        if changes.strong:
            data = replace(STRONG_CROPS, size_px=data.size_px, object_grid=data.object_grid)
        return replace(self, data=data, loss=loss, twins=self.twins if changes.twins else None)

    def samples(self, data: SingleSource, count: int, augment: bool = True) -> ArrayDict:
        """See `Preset`."""
        return some_crops(data, self.data, self.seed, count, augment)

    def load(self, data: DataSource, device: str, limit: int | None = None, workers: int = 0) -> Memory:
        """See `Preset`."""
        if self.trains == "lift":
            return super().load(data, device, limit, workers)
        filling = Filling(device, workers)
        return load_memory(data, self.pictures, self.twins is not None, self.data.size_px, filling, limit)


class CropTask:
    """Training of UniHOPE on crops.

    Args:
        preset: what to train.
        data: what to learn from.
        memory: the same in the memory of the device that trains, None to read it as it is needed.
        teacher: to learn from beside the labels; the preset's loss has the weights of `teacher_terms` then.
    """

    def __init__(
        self, preset: CropPreset, data: DataSource, memory: Memory | None = None, teacher: Teacher | None = None
    ):
        self.preset: Preset = preset
        self._crop_preset, self.teacher = preset, teacher
        self.memory = memory
        self.dataset = memory.dataset if memory else self._opened(data)
        self.source: BatchSource = self._source()
        self._hand = self._skinning()

    def _opened(self, data: DataSource) -> TrainingDataset:
        preset = self._crop_preset
        return open_training_data(data, preset.pictures, preset.twins is not None, preset.data.size_px)

    def network(self) -> ModelWithHeads:
        """UniHOPE whose pose offsets start from the mean pose of the data."""
        chosen = self._crop_preset
        network = chosen.build()
        head = network.mano_head
        assert isinstance(head, ManoHead)
        head.set_mean_pose(torch.tensor(mean_pose(self.dataset), dtype=torch.float32))
        model = ModelWithHeads(network, chosen.fusion, chosen.twins)
        if chosen.trains == "maps":
            model.keep_maps_only()
        elif chosen.trains == "lift":
            model.keep_pose_head_only()
        return model

    def _skinning(self) -> HandLayer:
        return self._crop_preset.loss.hand()

    def _source(self) -> BatchSource:
        preset = self._crop_preset
        return self._skeletons(preset.optimisation.batch_size) if preset.trains == "lift" else self._crops(self.dataset)

    def _skeletons(self, count: int) -> LiftBatches:
        records = (self.dataset[row] for row in self.dataset.first(LIFT_SAMPLES))
        return LiftBatches(*poses_of(records), self._crop_preset.lift, self._crop_preset.seed, count)

    def _crops(self, dataset: TrainingDataset) -> BatchSource:
        preset, work = self._crop_preset, crop_arrays if self.memory is None else later
        size = preset.optimisation.batch_size
        return CropBatches(dataset, preset.data, preset.seed, size, preset.twins is not None, work)

    def terms(self, network: nn.Module, batch: CropBatch, used: float) -> Terms:
        """Terms of the preset's loss, of the part that it trains."""
        assert isinstance(network, ModelWithHeads)
        if self._crop_preset.trains == "lift":
            assert isinstance(self._hand, SampledHand)
            skeletons = cast(SkeletonBatch, batch)
            hand = self._hand.to(skeletons["places"].device)
            return skeleton_terms(network.network.mano_head, network.network.config, skeletons, hand)
        if self._crop_preset.trains == "maps":
            encoded, read = network.encode(batch["image"])
            return map_terms(read, batch) | switch_terms(encoded, batch)
        answers = network(batch).in_full()
        with torch.autocast(batch["image"].device.type, enabled=False):
            terms = self._sample_terms(network.network, answers.output, batch, answers.read)
            if self.teacher is not None:
                terms |= self._taught_terms(network, answers.output, batch, self.teacher)
            if network.twins is None:
                return terms
            return terms | self._pair_terms(network, answers, batch, terms, used)

    def _sample_terms(self, network: UniHOPE, output: Output, batch: CropBatch, read: Batch) -> Terms:
        """Terms of the images."""
        hand = self._hand.to(batch["image"].device)
        return self._crop_preset.loss.image_terms(network, output, batch, read, hand)

    def _taught_terms(self, network: ModelWithHeads, output: Output, batch: CropBatch, teacher: Teacher) -> Terms:
        """How far the network is from its teacher, who sees the same changed images."""
        told, kind, other = batch["grasp_gate"], batch["image"].device.type, teacher.network
        assert isinstance(other, UniHOPE)
        with torch.no_grad(), autocast(kind, teacher.precision):
            taught = other(batch["image"], batch["hand_box"], batch["object_box"], told[:, None], told > 0.5)
        return teacher_terms(network.network, output, other, taught, batch)

    def _pair_terms(
        self, network: ModelWithHeads, answers: CropAnswers, batch: CropBatch, terms: Terms, used: float
    ) -> Terms:
        """Terms of the hand and the switcher as means of images and twins, and of the features' differences."""
        assert network.twins is not None and network.mapper is not None
        zero = terms["grasp"].new_zeros(())
        enhancement = {f"{level}_enhancement": zero for level in LEVELS}
        if answers.twin is None:
            return enhancement
        target = twin_target(batch, answers.twin_rows)
        of_twins = self._crop_preset.loss.twin_terms(network.network, answers.twin, target, self._hand)
        both = {name: (terms[name] + value) / 2 for name, value in of_twins.items() if name != "visibility"}
        if used >= network.twins.begin:
            enhancement = enhancement_terms(
                network.twins, answers.output, answers.twin, answers.twin_rows, batch["visible_ratio"], network.mapper
            )
        return both | enhancement


def mean_pose(dataset: TrainingDataset) -> np.ndarray:
    """(16, 3, 3) rotations closest to those of the first samples, as right hands; the wrist's is left at none.

    Where no pose is known: the mean pose of the hand model."""
    records = (mirror_left(dataset[row]) for row in dataset.first(MEAN_POSE_SAMPLES))
    known = [record["rotations"][0] for record in records if record["has_pose"][0]]
    if known:
        mean = np.asarray(nearest_rotation(np.mean(known, 0)), np.float64)
    else:
        fingers = load_hand_model().hands_mean.reshape(-1, 3)
        mean = np.asarray(matrix_from_axis_angle(np.concatenate([np.zeros((1, 3)), fingers])), np.float64)
    mean[0] = np.eye(3)
    return mean
