"""Training of HHMR: one diffusion on hand meshes, on poses alone or with images."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from prehend.errors import InvalidInput
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.meshes.joints import joints_of_mesh
from prehend.hand_model.torch_ import HandLayer
from prehend.models.meshes.hhmr import (
    HHMR,
    HHMR_PAPER,
    HHMR_SMALL,
    HHMR_TINY,
    TIMES,
    HHMRConfig,
    Known,
    build_hhmr,
    normalised_places,
)
from prehend.prior.schedule import schedule
from prehend_training.assets.mesh_pyramid import hand_pyramid
from prehend_training.data.augment_presets import STRONG_CROPS, UPRIGHT_VIEW
from prehend_training.data.base import BatchSource
from prehend_training.data.batch import Batch
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig
from prehend_training.data.stores.memory import Memory
from prehend_training.data.stores.open import DataSource, open_training_data
from prehend_training.losses.crop import Terms
from prehend_training.prior.batches import ConditionConfig, PriorBatches
from prehend_training.prior.losses import HHMRLossWeights, MeshCriteria, prior_terms
from prehend_training.prior.poses import poses_of_folders
from prehend_training.train.loop.preset import Optimisation, Preset, Teacher

POSES_A_FOLDER = 5_000


@dataclass(frozen=True)
class HHMRPreset(Preset):
    """Training of HHMR; what is not explained is as in `CropPreset`.

    Attributes:
        data: of the images, for networks that look at some.
        conditions: how they come and go.
        natural_p: share of random natural poses, without images.
    """

    name: str
    network: str
    config: HHMRConfig
    data: CropDataConfig | None = None
    conditions: ConditionConfig = field(default_factory=ConditionConfig)
    loss: HHMRLossWeights = field(default_factory=HHMRLossWeights)
    optimisation: Optimisation = field(default_factory=Optimisation)
    seed: int = 0
    natural_p: float = 0.25
    pictures: ClassVar[Literal["crops", "frames"]] = "crops"

    @property
    def summary(self) -> tuple[str, str]:
        """See `Preset`."""
        return "the diffusion on hand meshes", "crops" if self.config.image != "none" else "poses of shards, no images"

    def build(self) -> HHMR:
        """See `Preset`; without a hand, which weights bring along."""
        return build_hhmr(self.config)

    def task(self, data: DataSource, memory: Memory | None = None, teacher: Teacher | None = None) -> "HHMRTask":
        """See `Preset`."""
        if memory is not None or teacher is not None:
            raise InvalidInput(f"'{self.name}' learns from poses and images as they are read, and without a teacher")
        return HHMRTask(self, data)


class Denoiser(nn.Module):
    """An HHMR in training, only `network` is kept: from a batch to its answer.

    Args:
        network: to train, with its hand.
        pieces: (V_0,) part of the hand that each of the coarsest vertices belongs to.
    """

    pieces: Tensor

    def __init__(self, network: HHMR, pieces: Tensor):
        super().__init__()
        self.network = network
        self.register_buffer("pieces", pieces, persistent=False)
        self.register_buffer("kept", schedule().alphas_cumprod.float(), persistent=False)

    def clean(self, mesh: Tensor) -> Tensor:
        """(B, V, 3) meshes relative to the wrist [m] -> (B, V, 3) as the network counts them."""
        return (mesh - self.network.mesh.mean.reshape(-1, 3)) / self.network.config.spread_m

    def forward(self, batch: Batch, mesh: Tensor) -> Tensor:
        """(B, V, 3) what the network says that the noisy meshes of a batch were, eq. (3)."""
        share = self.kept[(batch["time"][:, 0] * TIMES).round().long()][:, None, None]  # type: ignore[index]
        clean = self.network.mesh.of_mesh(self.clean(mesh), self.network.config.top)
        noisy = share.sqrt() * clean + (1 - share).sqrt() * batch["noise"]
        (found,) = self.network.denoise(noisy, batch["time"], *self._known(batch, mesh))
        return found

    def _known(self, batch: Batch, mesh: Tensor) -> list[Tensor]:
        network = self.network
        places = normalised_places(batch["places"], batch["places_known"])
        part = network.mesh.of_mesh(mesh, 0)
        known = Known(
            places, batch["places_known"], batch["joints"], batch["joints_known"],
            part, batch["pieces_known"].index_select(1, self.pieces),
        )  # fmt: skip
        if network.patches:
            (patches,) = network.look(batch["image"])
            known = known._replace(patches=patches, patches_known=batch["patches_known"])
        return [value for value in known if value is not None]


class HHMRTask:
    """Training of HHMR, see `prehend_training.train.loop.preset.Task`.

    Args:
        preset: what is trained.
        data: folders of shards; only their labels are read where the network sees no images.

    Raises:
        AssetError: the data are not what the preset trains on.
        InvalidInput: a network without images shall learn from something else than folders.
    """

    def __init__(self, preset: HHMRPreset, data: DataSource):
        self.preset: Preset = preset
        self._chosen = preset
        self.memory: Memory | None = None
        config, optimisation = preset.config, preset.optimisation
        crops: BatchSource | None = None
        poses = None
        if config.image != "none":
            chosen = preset.data or _CROPS
            dataset = open_training_data(data, "crops", False, chosen.size_px)
            crops = CropBatches(dataset, chosen, preset.seed, optimisation.batch_size, twins=False)
        else:
            poses = poses_of_folders(_folders(data, preset.name), POSES_A_FOLDER)
        patches = (config.size // 32) ** 2 + 1 if crops is not None else 0
        self.source: BatchSource = PriorBatches(
            poses, crops, preset.conditions, config.levels[config.top], patches, preset.seed, optimisation.batch_size,
            preset.natural_p,
        )  # fmt: skip
        self._hand = HandLayer(load_hand_model())
        self._surface: MeshCriteria | None = None

    def network(self) -> Denoiser:
        """A fresh network of the shipped hand."""
        config = self._chosen.config
        model = load_hand_model()
        network = self._chosen.build()
        pyramid = hand_pyramid(model, len(config.levels), config.spiral)
        network.set_hand(model, pyramid)
        return Denoiser(network, torch.from_numpy(pyramid.parts[pyramid.kept[0]]))

    def terms(self, network: nn.Module, batch: Any, used: float) -> Terms:
        """See `prior_terms`."""
        assert isinstance(network, Denoiser)
        device = batch["noise"].device
        with torch.no_grad():
            turns = batch["rotations"].clone()
            turns[:, 0] = torch.eye(3, device=device)
            posed = self._hand.to(device)(turns, batch["betas"])
            mesh = posed.vertices - posed.joints[:, :1]
        found = network(batch, mesh)
        with torch.autocast(device.type, enabled=False):
            surface = self._surface_on(network)
            return prior_terms(found.float(), network.clean(mesh), batch["has_pose"], surface)

    def _surface_on(self, network: Denoiser) -> MeshCriteria:
        if self._surface is None:
            model, mean = load_hand_model(), network.network.mesh.mean
            self._surface = MeshCriteria(
                self._chosen.config.spread_m,
                mean.reshape(-1, 3),
                torch.from_numpy(joints_of_mesh(model).copy()).to(mean.device),
                torch.from_numpy(model.faces.astype("int64")).to(mean.device),
            )
        return self._surface


def _folders(data: DataSource, name: str) -> Sequence[Path]:
    if not isinstance(data, list | tuple):
        raise InvalidInput(f"'{name}' learns from the poses of folders: give --data DIR without a weight")
    return data


_CROPS = replace(STRONG_CROPS, size_px=HHMR_SMALL.size, view=UPRIGHT_VIEW)
_LOOKING = ConditionConfig(upright=True)
_TINY = replace(
    HHMR_TINY, channels=(16, 8, 8, 8), blocks=1, tokens=16, heads=2
)  # fmt: skip
_TINY_LOOKING = replace(_TINY, size=64, image="hand", image_layers=1)

HHMR_PRESETS = (
    HHMRPreset(
        "hhmr-xs", "hhmr-xs", HHMR_TINY,
        optimisation=Optimisation(batch_size=32, lr=2e-3, weight_decay=1e-3, warmup=0.03, clip=5.0, ema=0.998),
    ),
    # from hand_landmark_full (`trunk --kind hand`), which stays as it is
    HHMRPreset(
        "hhmr-s", "hhmr-s", HHMR_SMALL, _CROPS, _LOOKING,
        optimisation=Optimisation(batch_size=32, lr=6e-4, weight_decay=1e-2, warmup=0.03, clip=5.0, ema=0.999),
    ),
    # the paper's size, optimiser and schedule as far as it tells them
    HHMRPreset(
        "hhmr-b", "hhmr-b", HHMR_PAPER, _CROPS, _LOOKING,
        optimisation=Optimisation(batch_size=64, lr=1e-4, weight_decay=1e-2, warmup=0.01, ema=0.9999),
    ),
    HHMRPreset("debug-hhmr", "hhmr-xs", _TINY, optimisation=Optimisation(batch_size=4)),
    HHMRPreset(
        "debug-hhmr-image", "hhmr-s", _TINY_LOOKING, replace(_CROPS, size_px=64), _LOOKING,
        optimisation=Optimisation(batch_size=2),
    ),
)  # fmt: skip
