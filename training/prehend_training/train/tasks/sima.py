"""Runs of SiMA-Hand: the multi-view teacher, then single-view students with or without its help (section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from prehend.errors import InvalidInput
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.torch_ import HandLayer
from prehend.models.sima.hand import SimaHand, ViewFeatures, build_sima_hand
from prehend.models.sima.parts import LiteEyes, SimaConfig
from prehend.models.sima.views import FusedFeatures, Rig, SimaViews, ViewAnswer, build_sima_views
from prehend_training.assets.mesh_pyramid import own_pyramid
from prehend_training.data.base import BatchSource
from prehend_training.data.batch import MomentBatch, rows_of
from prehend_training.data.stores.open import DataSource
from prehend_training.losses.crop import Terms, hand_rows, mean_of_rows
from prehend_training.losses.h2onet import FoundMesh, mesh_terms
from prehend_training.losses.heads import InTraining, parameters_of
from prehend_training.sima.batches import MomentBatches, MomentDataConfig
from prehend_training.sima.instants import open_instants
from prehend_training.sima.losses import SimaLossWeights, adaptation_terms, place_term, point_term
from prehend_training.train.loop.machine import autocast
from prehend_training.train.loop.preset import Memory, Optimisation, Preset, Teacher

Enhanced = Literal["shape", "orientation"]
Freeze = Literal["nothing", "start", "trunk"]


class Adapting:
    """What presets have alike of which features are held to those of the teacher; `adapts` is a field of theirs."""

    adapts: tuple[Enhanced, ...]

    @property
    def teacher_kind(self) -> type[nn.Module] | None:
        """See `Preset`."""
        return SimaViews if self.adapts else None

    @property
    def needs_teacher(self) -> bool:
        """See `Preset`."""
        return bool(self.adapts)

    @property
    def taught_by(self) -> str:
        """What the teacher is for, for a table of presets."""
        return f"with {' and '.join(self.adapts)} of --teacher RUN" if self.adapts else "without a teacher"


@dataclass(frozen=True)
class SimaPreset(Adapting, Preset):
    """Training of SiMA-Hand; what is not explained is as in `CropPreset`.

    Attributes:
        config: of several views for the teacher, of one for a student.
        data: how moments become samples; a student looks at each of their views alone, its teacher at all.
        adapts: which features of a student are held to those of its teacher; none for one without a teacher.
        freeze: what stays as it was pretrained: `start`, see `LitePreset`; `trunk`, all of it, which costs a third; or
            nothing.
    """

    name: str
    network: str
    config: SimaConfig
    data: MomentDataConfig
    adapts: tuple[Enhanced, ...] = ()
    loss: SimaLossWeights = field(default_factory=SimaLossWeights)
    optimisation: Optimisation = field(default_factory=Optimisation)
    seed: int = 0
    freeze: Freeze = "nothing"
    pictures: ClassVar[Literal["crops", "frames"]] = "frames"

    def __post_init__(self) -> None:
        if self.adapts and self.config.views > 1:
            raise InvalidInput(f"'{self.name}': a network of several views is the teacher and has none")
        if "orientation" in self.adapts and not self.config.enhanced:
            raise InvalidInput(f"'{self.name}': without attention there is no enhanced orientation to adapt")

    @property
    def summary(self) -> tuple[str, str]:
        """See `Preset`."""
        shown = f"several views of moments, crops of {self.config.size} px"
        if self.config.views > 1:
            return "the teacher, of several views", shown
        return f"the whole network of one view, {self.taught_by}", shown

    def build(self) -> SimaHand | SimaViews:
        """See `Preset`; without a hand, which weights bring along."""
        return build_sima_hand(self.config) if self.config.views == 1 else build_sima_views(self.config)

    def task(self, data: DataSource, memory: Memory | None = None, teacher: Teacher | None = None) -> "SimaTask":
        """See `Preset`."""
        if memory is not None:
            raise InvalidInput(f"'{self.name}' learns from images as they are read: leave --in-memory out")
        return SimaTask(self, data, teacher)


class SimaInTraining(InTraining):
    """A network of SiMA-Hand; only `network` is kept.

    Args:
        network: to train.
        freeze: see `SimaPreset`.
    """

    def __init__(self, network: SimaHand | SimaViews, freeze: Freeze):
        super().__init__()
        self.network = network
        if freeze == "nothing" or not isinstance(network.eyes, LiteEyes):
            return
        trunk = network.eyes.trunk
        for part in (trunk,) if freeze == "trunk" else (trunk.stem, trunk.stages[0]):
            part.requires_grad_(False)

    def pretrained(self) -> list[nn.Parameter]:
        """See `InTraining`."""
        eyes = self.network.eyes
        return parameters_of(eyes.trunk, eyes.places) if isinstance(eyes, LiteEyes) else []


class SimaTask:
    """Training of SiMA-Hand, see `prehend_training.train.loop.preset.Task`.

    Args:
        preset: what is trained.
        data: moments that several cameras see.
        teacher: of a student.

    Raises:
        AssetError: the data are not what the preset trains on.
        InvalidInput: the teacher has other sizes than the student.
    """

    def __init__(self, preset: SimaPreset, data: DataSource, teacher: Teacher | None = None):
        self.preset: Preset = preset
        self.memory: Memory | None = None
        self._chosen, self._teacher = preset, teacher
        if teacher is not None:
            _check_sizes(preset, cast(SimaViews, teacher.network).config)
        dataset = open_instants(data, preset.data.size_px)
        self.source: BatchSource = MomentBatches(dataset, preset.data, preset.seed, preset.optimisation.batch_size)
        model = load_hand_model()
        self._hand, self._faces = HandLayer(model), torch.tensor(model.faces.astype("int64"))

    def network(self) -> SimaInTraining:
        """A fresh network of the shipped hand."""
        network = self._chosen.build()
        network.set_hand(load_hand_model(), own_pyramid())
        return SimaInTraining(network, self._chosen.freeze)

    def terms(self, network: nn.Module, batch: MomentBatch, used: float) -> Terms:
        """See `sima.losses`; views that are not there do not count."""
        assert isinstance(network, SimaInTraining)
        there: dict[str, Any] = {"presence": batch["presence"] * batch["known"]}
        batch = cast(MomentBatch, {**batch, **there})
        if isinstance(network.network, SimaViews):
            return self._teacher_terms(network.network, batch)
        return self._student_terms(network.network, batch)

    def _teacher_terms(self, network: SimaViews, batch: MomentBatch) -> Terms:
        told, fused = fused_views(network, batch)
        with torch.autocast(batch["image"].device.type, enabled=False):
            count = views_in(batch)
            first = rows_of(batch, torch.arange(0, len(batch["image"]), count))
            found = FoundMesh(fused.vertices, fused.joints, fused.rotation[:, 0])
            terms = self._mesh_terms(found, first)
            wanted, rows = batch["rotations"][:, 0], hand_rows(batch, "pose")
            both = [(turn.flatten(0, 1) - wanted).square() for turn in (fused.rotation, fused.own_rotation)]
            terms["rotation"] = (mean_of_rows(both[0], rows) + mean_of_rows(both[1], rows)) / 2
            if network.config.triangulates:
                terms |= point_term(fused.points, first)
            return terms | place_term(told.places.flatten(0, 1), batch, network.config.size)

    def _student_terms(self, network: SimaHand, batch: MomentBatch) -> Terms:
        told = ViewFeatures(*(value.float() for value in network.features(batch["image"])))
        taught = taught_features(self._chosen.name, self._teacher, batch) if self._chosen.adapts else None
        with torch.autocast(batch["image"].device.type, enabled=False):
            terms = self._mesh_terms(FoundMesh(told.vertices, told.joints, told.rotation), batch)
            terms |= place_term(told.places, batch, network.config.size)
            if taught is None:
                return terms
            adapts, count = self._chosen.adapts, views_in(batch)
            shape = (told.shape, taught.shape.repeat_interleave(count, 0)) if "shape" in adapts else None
            orientation = (told.orientation, taught.orientation) if "orientation" in adapts else None
            return terms | adaptation_terms(shape, orientation, hand_rows(batch))

    def _mesh_terms(self, found: FoundMesh, batch: MomentBatch) -> Terms:
        device = found.vertices.device
        return mesh_terms(found, batch, self._hand.to(device), self._faces.to(device))


def views_in(batch: Mapping[str, Any] | MomentBatch) -> int:
    """How many views of a moment stand in a batch."""
    leads = cast(Tensor, batch["leads"])
    return len(leads) // int(leads.sum())


def fused_views(network: SimaViews, batch: MomentBatch) -> tuple[ViewAnswer, FusedFeatures]:
    """What a network of several views makes of a batch: of every image (B, N, ...), and of all together."""
    count = views_in(batch)

    def moments(value: Tensor) -> Tensor:
        return value.float().unflatten(0, (-1, count))

    told = ViewAnswer(*map(moments, network.encode(batch["image"])))
    rig = Rig(*(moments(cast(Mapping[str, Tensor], batch)[name]) for name in Rig._fields))
    return told, FusedFeatures(*(value.float() for value in network.fused(told, rig)))


@torch.no_grad()
def taught_features(name: str, teacher: Teacher | None, batch: MomentBatch) -> FusedFeatures:
    """What a teacher makes of all views of a batch, in full precision.

    Args:
        name: of the preset that learns from it.
        teacher: a `SimaViews`, frozen, in its mode for use.
        batch: what it is shown.

    Raises:
        InvalidInput: there is none.
    """
    if teacher is None:
        raise InvalidInput(f"'{name}' learns from a teacher: give --teacher RUN")
    with autocast(batch["image"].device.type, teacher.precision):
        return fused_views(cast(SimaViews, teacher.network), batch)[1]


def _check_sizes(student: SimaPreset, teacher: SimaConfig) -> None:
    for name in ("size", "levels", "channels", "width"):
        mine, theirs = getattr(student.config, name), getattr(teacher, name)
        if mine != theirs:
            raise InvalidInput(
                f"'{student.name}' and its teacher differ in {name} ({mine} and {theirs}): give a run of the preset "
                "for several views of the same size"
            )
