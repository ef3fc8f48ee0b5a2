"""Training of UniHOPE on a pretrained trunk on several views of moments: each view a crop of its own, and what it makes
of the hand held to what SiMA-Hand's teacher makes of all views (the adaptation of that paper, for another network)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from prehend.errors import InvalidInput
from prehend.models.hand_object.outputs import Output
from prehend.models.hand_object.unihope_lite import LiteHandAnswer, UniHOPELite
from prehend.models.sima.parts import Mapper
from prehend.models.sima.views import SIMA_VIEWS_SMALL, FusedFeatures, SimaViews
from prehend_training.data.base import BatchSource, TrainingDataset
from prehend_training.data.batch import ArrayDict, Batch, CropBatch, TaughtBatch
from prehend_training.data.crops import CropBatches
from prehend_training.data.stores.memory import Memory
from prehend_training.data.stores.open import DataSource, SingleSource
from prehend_training.losses.crop import Terms, hand_rows
from prehend_training.losses.heads import ModelWithHeads
from prehend_training.losses.lite import SKELETON, LiteLossWeights
from prehend_training.sima.batches import TEACHER, CropMoments, of_teacher, shown_unchanged
from prehend_training.sima.instants import FirstViews, open_instants
from prehend_training.sima.losses import adaptation_terms
from prehend_training.train.loop.machine import to_tensors
from prehend_training.train.loop.preset import Preset, Teacher
from prehend_training.train.tasks.lite import LitePreset, LiteTask
from prehend_training.train.tasks.sima import Adapting, Enhanced, taught_features, views_in

_LOOKED_AT = 4
"""Batches that tell the mean and spread of the teacher's features."""
_TAUGHT = "taught_"


@dataclass(frozen=True)
class LiteViewsLossWeights(LiteLossWeights):
    """Weight of each term: those of one view, and of `sima.losses.adaptation_terms`."""

    shape_enhancement: float = 0.5
    orientation_enhancement: float = 0.5


@dataclass(frozen=True)
class LiteViewsPreset(Adapting, LitePreset):
    """Training on several views of moments; what is not explained is as in `LitePreset`.

    Attributes:
        views: of each moment; a batch has about as many crops as without them.
        adapts: which features are held to those of the teacher; none for one without a teacher.
    """

    loss: LiteViewsLossWeights = field(default_factory=LiteViewsLossWeights)
    views: int = SIMA_VIEWS_SMALL.views
    adapts: tuple[Enhanced, ...] = ()
    pictures: ClassVar[Literal["crops", "frames"]] = "frames"

    def _parts(self) -> tuple[str, ...]:
        return ("all",)

    @property
    def summary(self) -> tuple[str, str]:
        """See `Preset`."""
        shown = f"several views of moments, crops of {self.data.size_px} px; --start a run of the network"
        return f"the whole network, {self.taught_by}", shown

    def task(self, data: DataSource, memory: Memory | None = None, teacher: Teacher | None = None) -> "LiteViewsTask":
        """See `Preset`."""
        if memory is not None:
            raise InvalidInput(f"'{self.name}' learns from images as they are read: leave --in-memory out")
        if teacher is not None and not self.adapts:
            raise InvalidInput(f"'{self.name}' is trained without a teacher: leave --teacher out")
        return LiteViewsTask(self, data, teacher)

    def samples(self, data: SingleSource, count: int, augment: bool = True) -> ArrayDict:
        """See `Preset`."""
        return Preset.samples(self, data, count, augment)

    def load(self, data: DataSource, device: str, limit: int | None = None, workers: int = 0) -> Memory:
        """See `Preset`."""
        return Preset.load(self, data, device, limit, workers)


class TokenMapper(nn.Module):
    """One feature of a hand as a teacher's tokens, through a residual mapper (`prehend.models.sima.parts.Mapper`).

    The teacher's features are taken from their mean and in units of their spread: most of them is the same for every
    hand, and a distance that counts it says little of the one that is seen.

    Args:
        size: of the feature.
        like: (N, T, C) features of the teacher.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, size: int, like: Tensor):
        super().__init__()
        tokens, width = like.shape[1:]
        self.project = nn.Linear(size, width)
        self.gain = nn.Parameter(torch.randn(tokens, width))
        self.own = nn.Parameter(torch.randn(tokens, width))
        self.mapper = Mapper(width)
        self.register_buffer("mean", like.mean(0))
        self.register_buffer("spread", (like - like.mean(0)).square().mean().clamp(min=1e-12).sqrt())

    def forward(self, feature: Tensor, taught: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D), (B, T, C) of the teacher -> (B, T, C) what is said, and what the teacher says."""
        tokens = self.project(feature)[:, None] * self.gain + self.own
        mapped: Tensor = self.mapper(tokens.transpose(1, 2)[..., None])
        return mapped[..., 0].transpose(1, 2), (taught - self.mean) / self.spread


class Adaptation(nn.Module):
    """What training alone has: the mappers from the features of `UniHOPELite` to those of its teacher.

    Shape is asked of the code that the hand's image leaves, orientation of the last layer before the rotations, which
    knows the hand as if it pointed up, as the teacher's crops show it.

    Args:
        network: whose features are mapped.
        like: features of the teacher.
        adapts: which of them count.
    """

    def __init__(self, network: UniHOPELite, like: FusedFeatures, adapts: tuple[Enhanced, ...]):
        super().__init__()
        c = network.config
        self.shape = TokenMapper(c.code, like.shape) if "shape" in adapts else None
        self.orientation = TokenMapper(c.hidden[-1], like.orientation) if "orientation" in adapts else None

    def terms(self, network: UniHOPELite, answer: LiteHandAnswer, batch: Mapping[str, Tensor]) -> Terms:
        """See `adaptation_terms`; crops of no hand and of a left one do not count.

        Args:
            network: that answered.
            answer: of stage `hand`.
            batch: crops, with `taught_shape` and `taught_orientation`.
        """
        box = batch["hand_box"]
        places_px = box[:, None, :2] + answer.keypoints * (box[:, 2:] - box[:, :2]).clamp(min=1.0)[:, None]
        shape = orientation = None
        if self.shape is not None:
            shape = self.shape(answer.code, batch["taught_shape"])
        if self.orientation is not None:
            # with the whole code, of which training hides some from the head
            turned, _ = network.mano_head.features(places_px.detach(), answer.keypoint_log_std.detach(), answer.code)
            orientation = self.orientation(turned, batch["taught_orientation"])
        rows = hand_rows(cast(CropBatch, batch)) * batch["right"] * batch["known"]
        return adaptation_terms(shape, orientation, rows)


class LiteViewsTask(LiteTask):
    """Training on several views of moments.

    Args:
        preset: what to train.
        data: moments that several cameras see.
        teacher: a `SimaViews`, where the preset has one.

    Raises:
        AssetError: the data are no moments of several calibrated cameras.
    """

    def __init__(self, preset: LiteViewsPreset, data: DataSource, teacher: Teacher | None = None):
        self._views = preset
        super().__init__(preset, data, None, teacher)

    def _opened(self, data: DataSource) -> TrainingDataset:
        return FirstViews(open_instants(data, self._views.data.size_px))

    def _crops(self, dataset: TrainingDataset) -> BatchSource:
        assert isinstance(dataset, FirstViews)
        preset, size = self._views, self._views.optimisation.batch_size
        config = SIMA_VIEWS_SMALL if self.teacher is None else cast(SimaViews, self.teacher.network).config
        shown = shown_unchanged(config.size, config.trunk, preset.views)
        crops = CropBatches(dataset, preset.data, preset.seed, size, twins=False)
        return CropMoments(dataset.moments, shown, preset.seed, size, crops, self.teacher is not None)

    def network(self) -> ModelWithHeads:
        """As of one view; with a teacher, with the mappers to its features."""
        model = super().network()
        if self.teacher is None:
            return model
        with torch.random.fork_rng(devices=[]):  # what is drawn for the network is the same without a teacher
            model.add_module("adaptation", Adaptation(model.network, self._looked_at(), self._views.adapts))  # type: ignore[arg-type]
        return model

    def _looked_at(self) -> FusedFeatures:
        """What the teacher makes of some batches, on the CPU."""
        assert self.teacher is not None
        device = str(next(self.teacher.network.parameters()).device)
        batches = [to_tensors(self.source.batch(step), device) for step in range(_LOOKED_AT)]
        told = [taught_features(self._views.name, self.teacher, of_teacher(batch)) for batch in batches]
        return FusedFeatures(*(torch.cat(values).cpu() for values in zip(*told, strict=True)))

    def terms(self, network: nn.Module, batch: CropBatch, used: float) -> Terms:
        """Terms of one view, of every view that is there, and of the teacher."""
        views = cast(Mapping[str, Tensor], batch)
        there = (views["known"] + views["leads"]).nonzero()[:, 0]  # of a moment the first always is
        skeletons = {name: value for name, value in views.items() if name.startswith(SKELETON)}
        others = views.keys() - skeletons.keys() - {"leads"}
        crops = {name: views[name][there] for name in others if not name.startswith(TEACHER)}
        crops["image"] = crops["image"].contiguous(memory_format=torch.channels_last)
        if self._views.adapts:
            crops |= self._taught(cast(TaughtBatch, batch), there)
        return super().terms(network, cast(CropBatch, crops | skeletons), used)

    def _taught(self, batch: TaughtBatch, rows: Tensor) -> Batch:
        """`taught_shape` (n, V_0, C) and `taught_orientation` (n, T, W) of the (n,) rows."""
        if self.teacher is None:
            raise InvalidInput(f"'{self._views.name}' learns from a teacher: give --teacher RUN")
        told = taught_features(self._views.name, self.teacher, of_teacher(cast(Mapping[str, Tensor], batch)))
        shape = told.shape.repeat_interleave(views_in(cast(Any, batch)), 0)
        return {f"{_TAUGHT}shape": shape[rows], f"{_TAUGHT}orientation": told.orientation[rows]}

    def _taught_terms(self, network: ModelWithHeads, output: Output, batch: CropBatch, teacher: Teacher) -> Terms:
        adaptation, inner = network.adaptation, network.network
        assert isinstance(adaptation, Adaptation) and isinstance(inner, UniHOPELite)
        return adaptation.terms(inner, cast(LiteHandAnswer, output.hand), cast(Mapping[str, Tensor], batch))
