"""Training of crop networks: what a preset says, and the network, batches and loss terms that it means."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, cast

import numpy as np
import torch
from torch import nn

from prehend.errors import InvalidInput
from prehend.geometry.rotations import matrix_from_axis_angle, nearest_rotation
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.torch_ import HandLayer
from prehend.models.mano_head import ManoHead
from prehend.models.outputs import Output
from prehend.models.unihope import UniHOPE, UniHOPEConfig, build_unihope
from prehend.models.unihope_lite import LITE, UniHOPELite, UniHOPELiteConfig, build_unihope_lite
from prehend_training.data.batch import Batch, CropBatch, MadeBatch, SkeletonBatch, rows_of
from prehend_training.data.crops import BatchSource, CropBatches, CropDataConfig, TrainingDataset
from prehend_training.data.pixels.opencv import crop_arrays
from prehend_training.data.pixels.plans import later
from prehend_training.data.stores.memory import Filling, Memory
from prehend_training.data.stores.open import DataSource, load_memory, open_training_data
from prehend_training.data.views import mirror_left
from prehend_training.losses.crop import (
    CropLossWeights,
    SampledHand,
    SeenObjects,
    Terms,
    hand_terms,
    heatmap_terms,
    map_terms,
    object_terms,
    switch_terms,
)
from prehend_training.losses.distillation import teacher_terms
from prehend_training.losses.heads import Answers, Fusion, LiteModelWithHeads, ModelWithHeads
from prehend_training.losses.lifting import LiftBatches, LiftConfig, poses_of, skeleton_terms
from prehend_training.losses.lite import SKELETON, LiteLossWeights, lite_terms, object_kind_terms
from prehend_training.losses.pairs import LEVELS, TwinConfig, enhancement_terms, twin_target
from prehend_training.losses.paper import PaperLossWeights, paper_hand_terms, paper_object_terms
from prehend_training.train.loop.machine import autocast
from prehend_training.train.loop.preset import Optimisation, Preset, Teacher

MEAN_POSE_SAMPLES = 2000
LIFT_SAMPLES = 24_000

PARTS = {
    "all": "the whole network",
    "maps": "trunk and maps, with a first guess of the joints",
    "lift": "the pose head alone",
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
            without images (`losses.lifting`); `object` (on a pretrained trunk), only the object stream and
            its head, on hands that hold something; `grasp` (the same), only the answer whether something is held.
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
    trains: Literal["all", "maps", "lift", "object", "grasp"] = "all"
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
        self.dataset = memory.dataset if memory else _opened(preset, data)
        self.source: BatchSource = self._source(preset)
        self._paper = isinstance(preset.loss, PaperLossWeights)
        self._hand: HandLayer = HandLayer(load_hand_model()) if self._paper else SampledHand(load_hand_model())

    def network(self) -> ModelWithHeads:
        """UniHOPE whose pose offsets start from the mean pose of the data."""
        chosen = self._crop_preset
        network = chosen.build()
        head = network.mano_head
        assert isinstance(head, ManoHead)
        head.set_mean_pose(torch.tensor(mean_pose(self.dataset), dtype=torch.float32))
        supervised = ModelWithHeads(network, chosen.fusion, chosen.twins)
        if chosen.trains == "maps":
            supervised.keep_maps_only()
        elif chosen.trains == "lift":
            supervised.keep_pose_head_only()
        return supervised

    def _source(self, preset: CropPreset) -> BatchSource:
        size = preset.optimisation.batch_size
        if preset.trains == "lift":
            records = (self.dataset[row] for row in self.dataset.first(LIFT_SAMPLES))
            return LiftBatches(*poses_of(records), preset.lift, preset.seed, size)
        return self._crops(preset, self.dataset)

    def _crops(self, preset: CropPreset, dataset: TrainingDataset) -> CropBatches:
        work, size = crop_arrays if self.memory is None else later, preset.optimisation.batch_size
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
                terms |= self._taught_terms(network.network, answers.output, batch, self.teacher)
            if network.twins is None:
                return terms
            return terms | self._pair_terms(network, answers, batch, terms, used)

    def _sample_terms(self, network: UniHOPE, output: Output, batch: CropBatch, read: Batch) -> Terms:
        """Terms of the images."""
        hand = self._hand.to(batch["image"].device)
        terms = switch_terms(output.encoded, batch)
        if self._paper:
            return terms | paper_hand_terms(output.hand, batch, hand) | paper_object_terms(output, batch)
        terms |= hand_terms(output.hand, batch, hand) | object_terms(output, batch)
        return terms | heatmap_terms(network, output.heatmaps, batch) | map_terms(read, batch)

    def _taught_terms(self, network: UniHOPE, output: Output, batch: CropBatch, teacher: Teacher) -> Terms:
        """How far the network is from its teacher, who sees the same changed images."""
        told, kind, other = batch["grasp_gate"], batch["image"].device.type, teacher.network
        assert isinstance(other, UniHOPE)
        with torch.no_grad(), autocast(kind, teacher.precision):
            taught = other(batch["image"], batch["hand_box"], batch["object_box"], told[:, None], told > 0.5)
        return teacher_terms(network, output, other, taught, batch)

    def _pair_terms(
        self, network: ModelWithHeads, answers: Answers, batch: CropBatch, terms: Terms, used: float
    ) -> Terms:
        """Terms of the hand and the switcher as means of images and twins, and of the features' differences."""
        assert network.twins is not None and network.mapper is not None
        zero = terms["grasp"].new_zeros(())
        enhancement = {f"{level}_enhancement": zero for level in LEVELS}
        if answers.twin is None:
            return enhancement
        target = twin_target(batch, answers.twin_rows)
        of_hand = (paper_hand_terms if self._paper else hand_terms)(answers.twin.hand, target, self._hand)
        of_twins = of_hand | switch_terms(answers.twin.encoded, target)
        if not self._paper:
            of_twins |= heatmap_terms(network.network, answers.twin.heatmaps, target)
        both = {name: (terms[name] + value) / 2 for name, value in of_twins.items() if name != "visibility"}
        if used >= network.twins.begin:
            enhancement = enhancement_terms(
                network.twins, answers.output, answers.twin, answers.twin_rows, batch["visible_ratio"], network.mapper
            )
        return both | enhancement


@dataclass(frozen=True)
class LitePreset(CropPreset):
    """Training of UniHOPE on a pretrained trunk; what is not explained is as in `CropPreset`.

    Attributes:
        skeletons: hands without images a step, which keep teaching the pose head what places tell.
        code_dropout: share of the images whose code the pose head is not given.
        freeze_start: stem and first stage of the trunk stay as they were pretrained: edges look alike on rendered and
            real images, and half of the cost of going back is there.
    """

    config: UniHOPELiteConfig = LITE  # type: ignore[assignment]
    loss: LiteLossWeights = field(default_factory=LiteLossWeights)  # type: ignore[assignment]
    skeletons: int = 256
    code_dropout: float = 0.35
    freeze_start: bool = True

    def _parts(self) -> tuple[str, ...]:
        return "all", "lift", "object", "grasp"

    def _pairs(self) -> bool:
        return False

    def _described(self) -> bool:
        return True

    @property
    def summary(self) -> tuple[str, str]:
        """See `Preset`."""
        part, needs = super().summary
        if self.trains == "lift":
            return part, needs
        start = "a run of the network" if self.trains in ("object", "grasp") else "a pretrained trunk"
        return part, f"{needs}, photographs if there are; --start {start}"

    def build(self) -> UniHOPELite:
        """See `Preset`."""
        return build_unihope_lite(self.config)

    def task(self, data: DataSource, memory: Memory | None = None, teacher: Teacher | None = None) -> "LiteTask":
        """See `Preset`."""
        if teacher is not None:
            raise InvalidInput(f"'{self.name}' is not trained by a teacher yet")
        return LiteTask(self, data, memory)


class LiteTask(CropTask):
    """Training of UniHOPE on a pretrained trunk: crops, some of them photographs, and skeletons without images."""

    def __init__(self, preset: LitePreset, data: DataSource, memory: Memory | None = None):
        super().__init__(preset, data, memory)
        self._lite = preset
        assert isinstance(self._hand, SampledHand)

    def network(self) -> ModelWithHeads:
        """The network with a fresh trunk; `checkpoint.load_start` gives it the pretrained one."""
        chosen = self._lite
        network = chosen.build()
        network.mano_head.set_mean_pose(torch.tensor(mean_pose(self.dataset), dtype=torch.float32))
        supervised = LiteModelWithHeads(network, chosen.fusion, chosen.code_dropout)
        if chosen.trains == "lift":
            supervised.keep_pose_head_only()
        elif chosen.trains in ("object", "grasp"):
            supervised.requires_grad_(False)
            for part in network.object_parts() if chosen.trains == "object" else network.grasp_parts():
                part.requires_grad_(True)
        elif chosen.freeze_start:
            network.trunk.stem.requires_grad_(False)
            network.trunk.stages[0].requires_grad_(False)
        return supervised

    def _source(self, preset: CropPreset) -> BatchSource:
        assert isinstance(preset, LitePreset)
        if preset.trains == "object":
            return self._crops(preset, self.dataset.held())
        crops = super()._source(preset)
        if preset.trains != "all":
            return crops
        records = (self.dataset[row] for row in self.dataset.first(LIFT_SAMPLES))
        skeletons = LiftBatches(*poses_of(records), preset.lift, preset.seed, preset.skeletons)
        return WithSkeletons(crops, skeletons)

    def terms(self, network: nn.Module, batch: CropBatch, used: float) -> Terms:
        """Terms of the preset's loss, of the part that it trains."""
        if self._lite.trains == "grasp":
            assert isinstance(network, ModelWithHeads)
            return {"grasp": switch_terms(network.network.encode(batch["image"]), batch)["grasp"]}
        if self._lite.trains != "object":
            return super().terms(network, batch, used)
        assert isinstance(network, ModelWithHeads) and isinstance(network.network, UniHOPELite)
        rows = batch["has_points"].nonzero()[:, 0]
        held = rows_of(batch, rows)
        inner = network.network
        with torch.no_grad():
            encoded = inner.encode(held["image"].contiguous(memory_format=torch.channels_last))
        boxes = held["hand_box"], held["object_box"]
        told = encoded.places, held["object_kind"]  # type: ignore[attr-defined]
        thing, cells = inner.object_seen(encoded.object_source, encoded.hand_map, *boxes, *told)
        every = torch.arange(len(rows))
        terms = object_terms(SeenObjects(thing.object_points, every), _described(held))
        return terms | object_kind_terms(thing, cells, every, held)

    def _sample_terms(self, network: UniHOPE, output: Output, batch: CropBatch, read: Batch) -> Terms:
        assert isinstance(network, UniHOPELite) and isinstance(self._hand, SampledHand)
        hand = self._hand.to(batch["image"].device)
        terms = switch_terms(output.encoded, batch) | hand_terms(output.hand, batch, hand)
        terms |= object_terms(output, _described(batch))
        terms |= object_kind_terms(output.thing, output.object_cells, output.object_rows, batch)
        terms |= heatmap_terms(network, output.heatmaps, batch)
        terms |= {k: v for k, v in map_terms(read, batch).items() if k != "coarse_joints"}
        terms |= lite_terms(network, output.encoded.places, output.hand, batch)  # type: ignore[attr-defined, arg-type]
        skeletons = {k.removeprefix(SKELETON): v for k, v in batch.items() if k.startswith(SKELETON)}
        taught = skeleton_terms(network.mano_head, network.config, cast(SkeletonBatch, skeletons), hand)
        return terms | {SKELETON + name: value for name, value in taught.items()}


def _opened(preset: CropPreset, data: DataSource) -> TrainingDataset:
    return open_training_data(data, preset.pictures, preset.twins is not None, preset.data.size_px)


def _described(batch: CropBatch) -> CropBatch:
    """The batch, in which of an object that was described wrongly no points are asked."""
    return {**batch, "has_points": batch["has_points"] * batch["kind_match"]}


@dataclass(frozen=True)
class WithSkeletons:
    """Batches of crops with skeletons beside them, whose arrays' names begin with `SKELETON`."""

    crops: BatchSource
    skeletons: LiftBatches

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> MadeBatch:
        """See `BatchSource`."""
        beside = {SKELETON + name: value for name, value in self.skeletons.batch(step, part).items()}
        return {**self.crops.batch(step, part), **beside}


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
