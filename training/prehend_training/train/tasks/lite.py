"""Training of UniHOPE on a pretrained trunk: what a preset says beside `CropPreset`, and what it means."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from torch import nn

from prehend.errors import InvalidInput
from prehend.hand_model.asset import load_hand_model
from prehend.models.hand_object.outputs import Output
from prehend.models.hand_object.unihope import UniHOPE
from prehend.models.hand_object.unihope_lite import LITE, UniHOPELite, UniHOPELiteConfig, build_unihope_lite
from prehend.models.heads.objects import KindObjectHead
from prehend_training.data.base import BatchSource
from prehend_training.data.batch import Batch, CropBatch, MadeBatch, SkeletonBatch, rows_of
from prehend_training.data.stores.memory import Memory
from prehend_training.data.stores.open import DataSource
from prehend_training.losses.crop import (
    SampledHand,
    SeenObjects,
    Terms,
    hand_terms,
    heatmap_terms,
    map_terms,
    object_terms,
    switch_terms,
)
from prehend_training.losses.heads import LiteModelWithHeads, ModelWithHeads
from prehend_training.losses.lifting import LiftBatches, skeleton_terms
from prehend_training.losses.lite import SKELETON, LiteLossWeights, lite_terms, object_kind_terms
from prehend_training.pretrained.shipped import bundle_at, slope_of
from prehend_training.train.loop.machine import to_tensors
from prehend_training.train.loop.notes import read_note
from prehend_training.train.loop.preset import Teacher
from prehend_training.train.loop.silent import Rectified, active_shares, draw_anew
from prehend_training.train.tasks.crops import CropPreset, CropTask, mean_pose


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
        return "all", "lift", "heads", "object", "grasp"

    def _pairs(self) -> bool:
        return False

    def _described(self) -> bool:
        return True

    def _begins_afresh(self) -> bool:
        return False

    @property
    def summary(self) -> tuple[str, str]:
        """See `Preset`."""
        part, needs = super().summary
        if self.trains == "lift":
            return part, needs
        start = "a run of the network" if self.trains in ("heads", "object", "grasp") else "a pretrained trunk"
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

    def __init__(
        self, preset: LitePreset, data: DataSource, memory: Memory | None = None, teacher: Teacher | None = None
    ):
        self._lite = preset
        super().__init__(preset, data, memory, teacher)

    def _skinning(self) -> SampledHand:
        return SampledHand(load_hand_model())

    def network(self) -> ModelWithHeads:
        """The network with a fresh trunk; `checkpoint.load_start` gives it the pretrained one."""
        chosen = self._lite
        network = chosen.build()
        network.mano_head.set_mean_pose(torch.tensor(mean_pose(self.dataset), dtype=torch.float32))
        model = LiteModelWithHeads(network, chosen.fusion, chosen.code_dropout)
        if chosen.trains == "lift":
            model.keep_pose_head_only()
        elif chosen.trains != "all":
            model.requires_grad_(False)
            parts = {"heads": network.head_parts, "object": network.object_parts, "grasp": network.grasp_parts}
            for part in parts[chosen.trains]():
                part.requires_grad_(True)
        elif chosen.freeze_start:
            network.trunk.stem.requires_grad_(False)
            network.trunk.stages[0].requires_grad_(False)
        return model

    def _source(self) -> BatchSource:
        if self._lite.trains == "object":
            return self._crops(self.dataset.held())
        crops = super()._source()
        if self._lite.trains not in ("all", "heads"):
            return crops
        return WithSkeletons(crops, self._skeletons(self._lite.skeletons))

    def started(self, network: nn.Module, start: Sequence[Path], device: str) -> None:
        """See `Starts`: of weights whose rectifiers did not leak, units of fully connected layers that have fallen
        silent begin anew."""
        assert isinstance(network, LiteModelWithHeads)
        layers = {name: one for name, one in rectified(network.network).items() if one.layer.weight.requires_grad}
        if self._lite.trains not in ("all", "heads", "object") or not any(map(_did_not_leak, start)):
            return
        batches = (to_tensors(self.source.batch(step), device) for step in range(_LOOKED_AT))
        network.eval()
        draw_anew(layers, active_shares(layers, lambda: [self.terms(network, one, 0.0) for one in batches]))  # type: ignore[arg-type]

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


_LOOKED_AT = 24
"""Batches by which silent units are told."""


def rectified(network: UniHOPELite) -> dict[str, Rectified]:
    """The fully connected layers of hand and object that a rectifier follows."""
    head, thing = network.mano_head, network.object_head
    assert isinstance(thing, KindObjectHead)
    hidden = _linears(*(head.hidden[i] for i in range(0, len(head.hidden), 2)))
    after = [*([one] for one in hidden[1:]), _linears(head.pose, head.shape, head.visibility)]
    (code,) = _linears(network.encoder.body[-2])  # type: ignore[index]
    down, first, second = _linears(thing.down[3], thing.told[0], thing.told[2])
    extents, placed, outline = _linears(thing.extents, thing.placed, thing.silhouette)
    told = _linears(thing.whole, thing.match, thing.scale, thing.moments)
    return {
        "encoder": Rectified(code, [network.correction, network.gate, network.certainty, hidden[0]]),
        **{f"mano_head.hidden.{2 * i}": Rectified(one, after[i]) for i, one in enumerate(hidden)},
        "object_head.down": Rectified(down, [first, extents]),
        "object_head.told.0": Rectified(first, [second], [placed, outline]),
        "object_head.told.2": Rectified(second, told),
    }


def _linears(*layers: object) -> list[nn.Linear]:
    assert all(isinstance(one, nn.Linear) for one in layers)
    return list(cast(tuple[nn.Linear, ...], layers))


def _did_not_leak(run: Path) -> bool:
    if run.is_file():  # a pretrained trunk
        return False
    if (weights := bundle_at(run)) is not None:
        return not slope_of(weights)
    config = read_note(run).get("numbers", {}).get("config", {})
    return not config.get("slope", 0.0)


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
