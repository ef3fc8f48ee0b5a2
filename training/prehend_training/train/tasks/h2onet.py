"""Training of H2ONet, in parts; and the presets of networks that draw on several frames."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn

from prehend.errors import InvalidInput
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.torch_ import HandLayer
from prehend.models.hand_object.time_fusion import LITE_TIME
from prehend.models.meshes.h2onet import (
    H2ONET_LITE,
    H2ONET_PAPER,
    KEPT,
    FrameAnswer,
    H2ONet,
    H2ONetConfig,
    build_h2onet,
)
from prehend.models.trunks.h2onet_trunks import LiteTrunk
from prehend_training.assets.mesh_pyramid import own_pyramid
from prehend_training.data.augment_presets import PAPER_CROPS, STRONG_CROPS, UPRIGHT_VIEW
from prehend_training.data.base import BatchSource
from prehend_training.data.batch import ArrayDict, WindowBatch, rows_of
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig
from prehend_training.data.pixels.opencv import crop_arrays
from prehend_training.data.pixels.plans import later
from prehend_training.data.stores.memory import Filling, Memory
from prehend_training.data.stores.open import DataSource, SingleSource, load_memory, open_training_data, some_crops
from prehend_training.data.stores.windows import WindowBatches, WindowDataConfig, open_windows
from prehend_training.fusion.answers import FOLLOWED_VIEW, together
from prehend_training.fusion.mesh_answers import mesh_answers_of
from prehend_training.fusion.windows import FusionDataConfig, FusionWindows
from prehend_training.losses.crop import Terms
from prehend_training.losses.h2onet import (
    FoundMesh,
    H2ONetLossWeights,
    mesh_terms,
    place_terms,
    switch_terms,
)
from prehend_training.losses.heads import InTraining, parameters_of
from prehend_training.train.loop.preset import Optimisation, Preset, Teacher
from prehend_training.train.tasks.time_fusion import TimePreset

Trains = Literal["mesh", "frame", "fusion", "all"]
Data = TypeVar("Data", CropDataConfig, WindowDataConfig)

_WINDOW = ("turn", "known")
"""Of a frame of a window, beside what the network says of it."""
_OF_ORIENTATION = ("turned_vertices", "turned_joints", "rotation")


@dataclass(frozen=True)
class H2ONetPreset(Preset, Generic[Data]):
    """Training of H2ONet; what is not explained is as in `CropPreset`.

    Attributes:
        data: what is done to crops, or to windows of several.
        trains: `mesh`, all but the orientation (the paper's first stage); `frame`, all of a single frame; `fusion`,
            what several frames add, the rest frozen, so that of rendered sequences its answers are made once and kept;
            `all`, everything together (the paper's second stage).
        freeze_start: see `LitePreset`; of the pretrained trunk.
    """

    name: str
    network: str
    config: H2ONetConfig
    data: Data
    trains: Trains
    loss: H2ONetLossWeights = field(default_factory=H2ONetLossWeights)
    optimisation: Optimisation = field(default_factory=Optimisation)
    seed: int = 0
    freeze_start: bool = False
    pictures: ClassVar[Literal["crops", "frames"]] = "crops"

    @property
    def part(self) -> str:
        """What of the network it trains, for people."""
        return {
            "mesh": "all but the orientation, of single frames",
            "frame": "all of a single frame",
            "fusion": "what several frames add",
            "all": "the whole network",
        }[self.trains]

    @property
    @abstractmethod
    def frames(self) -> int:
        """Of a window; 1 for single frames."""

    @abstractmethod
    def batches(self, data: DataSource, memory: Memory | None) -> BatchSource:
        """Batches of a source; arguments and errors as of `Preset.task`."""

    def build(self) -> H2ONet:
        """See `Preset`; without a hand, which weights bring along."""
        return build_h2onet(self.config)

    def task(self, data: DataSource, memory: Memory | None = None, teacher: Teacher | None = None) -> "H2ONetTask":
        """See `Preset`."""
        if teacher is not None:
            raise InvalidInput(f"'{self.name}' learns without a teacher")
        return H2ONetTask(self, data, memory)


@dataclass(frozen=True)
class FramesPreset(H2ONetPreset[CropDataConfig]):
    """Of single frames, which are crops."""

    @property
    def frames(self) -> int:
        """See `H2ONetPreset`."""
        return 1

    @property
    def summary(self) -> tuple[str, str]:
        """See `Preset`."""
        return self.part, f"crops of {self.config.size} px"

    def batches(self, data: DataSource, memory: Memory | None) -> CropBatches:
        """See `H2ONetPreset`."""
        dataset = memory.dataset if memory else open_training_data(data, "crops", False, self.data.size_px)
        pixels = later if memory else crop_arrays
        return CropBatches(dataset, self.data, self.seed, self.optimisation.batch_size, False, pixels)

    def load(self, data: DataSource, device: str, limit: int | None = None, workers: int = 0) -> Memory:
        """See `Preset`."""
        return load_memory(data, self.pictures, False, self.data.size_px, Filling(device, workers), limit)

    def samples(self, data: SingleSource, count: int, augment: bool = True) -> ArrayDict:
        """See `Preset`."""
        return some_crops(data, self.data, self.seed, count, augment)


@dataclass(frozen=True)
class WindowsPreset(H2ONetPreset[WindowDataConfig]):
    """Of several frames, in windows of films, which are read as they are needed."""

    @property
    def summary(self) -> tuple[str, str]:
        """See `Preset`."""
        windows = f"windows of three frames of {self.config.size} px; --start a single-frame run"
        return self.part, windows + (", whose answers for sequences are kept" if self.trains == "fusion" else "")

    @property
    def frames(self) -> int:
        """See `H2ONetPreset`."""
        return self.data.frames

    def batches(self, data: DataSource, memory: Memory | None) -> WindowBatches:
        """See `H2ONetPreset`."""
        windows = open_windows(data, self.data.size_px)
        return WindowBatches(windows, self.data, self.seed, self.optimisation.batch_size)


class H2ONetAnswers(NamedTuple):
    """What training compares with labels.

    Attributes:
        frames: of every image, None where nothing of it is asked. meshes: what follows from each of them.
        fused: of the windows' current frames, None for single frames.
    """

    frames: FrameAnswer | None
    meshes: FoundMesh | None
    fused: FoundMesh | None


class PartlyTrained(InTraining):
    """An H2ONet of which a part is trained; only `network` is kept.

    Args:
        network: to train.
        trains: see `H2ONetPreset`.
        frames: of a window, 1 for single frames.
        freeze_start: see `H2ONetPreset`.
    """

    fusion = ("network.shared_turn.", "network.turn_by.", "network.move_by.", "network.age")
    """What of its numbers several frames need, see `checkpoint.load_start`."""

    def __init__(self, network: H2ONet, trains: Trains, frames: int = 1, freeze_start: bool = False):
        super().__init__()
        self.network, self.trains, self.frames = network, trains, frames
        fusion, orientation = network.fusion_parts(), network.orientation_parts()
        if trains == "fusion":
            network.requires_grad_(False)
            _let_learn(fusion, True)
        elif trains in ("mesh", "frame"):
            _let_learn(fusion, False)
            _let_learn(orientation if trains == "mesh" else [], False)
        if frames > 1:  # windows show their hand, and as a right one
            _let_learn([*network.presence.parameters(), *network.side.parameters()], False)
        if freeze_start and isinstance(network.seen, LiteTrunk):
            _let_learn([*network.seen.trunk.stem.parameters(), *network.seen.trunk.stages[0].parameters()], False)

    def pretrained(self) -> list[nn.Parameter]:
        """See `InTraining`."""
        inner, seen = self.network, self.network.seen
        if not isinstance(seen, LiteTrunk):
            return []
        return parameters_of(seen.trunk, seen.places, inner.presence, inner.side)

    def train(self, mode: bool = True) -> "PartlyTrained":
        """As of torch; what is frozen keeps its statistics, and loses nothing by dropout."""
        super().train(mode)
        if self.trains == "fusion":
            self.network.eval()
            if self.network.shared_turn is not None:
                self.network.shared_turn.train(mode)
        return self

    def forward(self, batch: Mapping[str, Any]) -> H2ONetAnswers:
        """Answers for the (B F) images of a batch, the F frames of a window one after the other; or for windows of
        answers that were kept, see `FusionWindows`."""
        if "window_known" in batch:
            return H2ONetAnswers(None, None, self._fused([batch[f"window_{name}"] for name in (*KEPT, *_WINDOW)]))
        with torch.set_grad_enabled(self.trains != "fusion" and torch.is_grad_enabled()):
            frames = FrameAnswer(*(value.float() for value in self.network.encode(batch["image"])))
        fused = None
        if self.frames > 1:
            every = [getattr(frames, name) for name in KEPT] + [batch[name] for name in _WINDOW]
            fused = self._fused([value.unflatten(0, (-1, self.frames)) for value in every])
        if self.trains == "fusion":
            return H2ONetAnswers(None, None, fused)
        canonical = self.network.canonical(frames.features)
        return H2ONetAnswers(frames, FoundMesh(canonical, self.network.joints_of(canonical), frames.rotation), fused)

    def _fused(self, windows: Sequence[Tensor]) -> FoundMesh:
        fused = self.network.fuse(*windows)
        return FoundMesh(fused.canonical, self.network.joints_of(fused.canonical), fused.rotation)


class H2ONetTask:
    """Training of H2ONet, see `prehend_training.train.loop.preset.Task`.

    Args:
        preset: what is trained.
        data: crops or films, as the preset wants.
        memory: crops in the memory of the device that trains, None to read them as they are needed.

    Raises:
        AssetError: the data are not what the preset trains on.
    """

    def __init__(self, preset: H2ONetPreset[Any], data: DataSource, memory: Memory | None = None):
        self.preset: Preset = preset
        self.source: BatchSource = preset.batches(data, memory)
        self._chosen, self.memory, self._data = preset, memory, data
        model = load_hand_model()
        self._hand, self._faces = HandLayer(model), torch.tensor(model.faces.astype("int64"))

    def network(self) -> PartlyTrained:
        """A fresh network of the shipped hand."""
        chosen = self._chosen
        network = chosen.build()
        network.set_hand(load_hand_model(), own_pyramid())
        return PartlyTrained(network, chosen.trains, chosen.frames, chosen.freeze_start)

    def prepare(self, network: nn.Module) -> None:
        """See `Prepares`: where only what several frames add is trained, on folders, the network answers for single
        frames once, and windows are drawn from that."""
        assert isinstance(network, PartlyTrained)
        chosen, data = self._chosen, self._data
        if chosen.trains != "fusion" or isinstance(data, str) or not isinstance(data, Sequence):
            return
        answers = together([mesh_answers_of(network.network, Path(one), FOLLOWED_VIEW) for one in data])
        self.source = FusionWindows(answers, chosen.data, chosen.seed, chosen.optimisation.batch_size, KEPT)

    def terms(self, network: nn.Module, batch: Mapping[str, Any], used: float) -> Terms:
        """Terms of the frames, and of the windows where there are any; see `losses.h2onet`."""
        assert isinstance(network, PartlyTrained)
        answers = network(batch)
        with torch.autocast(batch["has_pose"].device.type, enabled=False):
            if "image" in batch:
                return self._image_terms(network, answers, cast(WindowBatch, batch))
            here = torch.ones_like(batch["has_pose"])  # kept answers are of right hands that are there
            return self._mesh_terms(answers.fused, cast(WindowBatch, {**batch, "presence": here, "right": here}))

    def _image_terms(self, network: PartlyTrained, answers: H2ONetAnswers, batch: WindowBatch) -> Terms:
        terms = self._frame_terms(network, answers, batch)
        if answers.fused is not None:
            now = rows_of(batch, torch.arange(0, len(batch["image"]), network.frames))
            fused = self._mesh_terms(answers.fused, now)
            terms |= {name: value + terms.get(name, 0) for name, value in fused.items()}
        if network.trains == "mesh":
            return {name: value for name, value in terms.items() if name not in _OF_ORIENTATION}
        return terms

    def _frame_terms(self, network: PartlyTrained, answers: H2ONetAnswers, batch: WindowBatch) -> Terms:
        """Terms of every image that is there."""
        frames = answers.frames
        if frames is None or answers.meshes is None:
            return {}
        if network.frames == 1:
            switches = switch_terms(frames.presence_logit, frames.side_logit, batch)
        else:
            there: dict[str, Any] = {"presence": batch["presence"] * batch["known"]}
            batch, switches = cast(WindowBatch, {**batch, **there}), {}
        places = place_terms(frames.places, frames.part_logit, batch, network.network.config.size)
        return switches | places | self._mesh_terms(answers.meshes, batch)

    def _mesh_terms(self, found: FoundMesh, batch: WindowBatch) -> Terms:
        device = found.vertices.device
        return mesh_terms(found, batch, self._hand.to(device), self._faces.to(device))


def _let_learn(parameters: Iterable[nn.Parameter], learns: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(learns)


_PAPER_VIEW = replace(PAPER_CROPS.view, center=0.0, scale=(0.75, 1.25), scale_sigma=0.25)
_PAPER_COLOURS = replace(PAPER_CROPS.photometric, channel_gain=0.2)  # type: ignore[type-var]
_PAPER_FRAMES = replace(PAPER_CROPS, view=_PAPER_VIEW, photometric=_PAPER_COLOURS, tells_parts=True)
_PAPER_WINDOWS = WindowDataConfig(view=_PAPER_VIEW, photometric=_PAPER_COLOURS, smear_p=0.0, cut_p=0.0)
"""Size and turn by chance, colour of each channel; no shift (docs/PAPERS.md, 2)."""

_FRAMES = replace(STRONG_CROPS, size_px=H2ONET_LITE.size, view=UPRIGHT_VIEW, tells_parts=True)
_WINDOWS = WindowDataConfig(size_px=H2ONET_LITE.size, view=UPRIGHT_VIEW, photometric=STRONG_CROPS.photometric)
_LENGTHS = H2ONetLossWeights(
    vertices=20, joints=40, turned_vertices=20, turned_joints=40, places=10, normals=0.5, edges=20, occlusion=0.3,
    presence=0.5, side=0.5,
)  # fmt: skip
"""Scaled so that the terms pull about alike late in training, as those of `CropLossWeights`."""

_PAPER_WAY = Optimisation(batch_size=32, lr=1e-3, weight_decay=0.0, warmup=0.01, schedule="steps", clip=1e3)
_FUSION_WAY = Optimisation(batch_size=64, lr=2e-3, weight_decay=0.1, clip=1.0)
"""On kept answers."""
_OWN_WAY = Optimisation(method="muon", batch_size=24, lr=1e-3, weight_decay=0.01, pretrained_share=0.12)
_BRIEF = Optimisation(batch_size=2)

_TINY = replace(
    H2ONET_LITE, size=64, channels=(8, 8, 8, 8, 8), orientation=(16,), offset=(16,), vertex_offset=(8,),
    occlusion=(16, 8),
)  # fmt: skip


def _paper(kind: type[H2ONetPreset[Data]], name: str, trains: Trains, data: Data) -> H2ONetPreset[Data]:
    return kind(name, "h2onet-b", H2ONET_PAPER, data, trains, optimisation=_PAPER_WAY)


def _own(
    kind: type[H2ONetPreset[Data]], name: str, trains: Trains, data: Data, way: Optimisation
) -> H2ONetPreset[Data]:
    return kind(name, "h2onet-s", H2ONET_LITE, data, trains, _LENGTHS, way, freeze_start=True)


def _tiny(kind: type[H2ONetPreset[Data]], name: str, trains: Trains, data: Data) -> H2ONetPreset[Data]:
    small = replace(data, size_px=_TINY.size)
    return kind(name, "h2onet-s", _TINY, small, trains, _LENGTHS, _BRIEF, freeze_start=True)


H2ONET_PRESETS = (
    # each starts from the one before; `h2onet-b-frame` is the paper's single-frame network
    _paper(FramesPreset, "h2onet-b-mesh", "mesh", _PAPER_FRAMES),
    _paper(FramesPreset, "h2onet-b-frame", "frame", _PAPER_FRAMES),
    _paper(WindowsPreset, "h2onet-b", "all", _PAPER_WINDOWS),
    # from hand_landmark_full (`trunk --kind hand`); single frames first, then what several add on top of them
    _own(FramesPreset, "h2onet-s-frame", "frame", _FRAMES, _OWN_WAY),
    _own(WindowsPreset, "h2onet-s", "fusion", _WINDOWS, _FUSION_WAY),
    # on the answers of the shipped weights, which stay as they are
    TimePreset(
        "unihope-s-time",
        "unihope-s-time",
        data=FusionDataConfig(frames=LITE_TIME.frames),
        optimisation=Optimisation(batch_size=256, lr=2e-3, weight_decay=0.1, ema=0.998),
    ),
    TimePreset(
        "debug-unihope-s-time",
        "unihope-s-time",
        replace(LITE_TIME, told=8, token=8),
        FusionDataConfig(frames=LITE_TIME.frames),
        optimisation=replace(_BRIEF, batch_size=8),
    ),
    _tiny(FramesPreset, "debug-h2onet-frame", "frame", _FRAMES),
    _tiny(WindowsPreset, "debug-h2onet", "fusion", _WINDOWS),
    _tiny(WindowsPreset, "debug-h2onet-all", "all", _WINDOWS),
)
"""Of the crops' sizes and strides see the data's configurations; `h2onet-s` and `-b` are what is exported."""
