"""What the generator learns: eq. (2) of HandBooster, with the foreground's weight where it acts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from prehend.errors import InvalidInput
from prehend.hand_model.asset import load_hand_model
from prehend_training.boost.generator.data import BoosterSource
from prehend_training.boost.generator.network import Booster, DenoiserConfig, scheduler
from prehend_training.data.base import BatchSource
from prehend_training.data.stores.open import DataSource, Mixture
from prehend_training.losses.crop import Terms
from prehend_training.train.loop.preset import Memory, Optimisation, Preset, Teacher

NETWORK = "handbooster"


@dataclass(frozen=True)
class BoosterLoss:
    """Weight of each term of `BoosterTask.terms`; those that are 0 are there to be watched.

    Attributes:
        denoising: eq. (2) of the paper.
        foreground, background: plain squared errors, in and beside hand and object.
    """

    denoising: float = 1.0
    foreground: float = 0.0
    background: float = 0.0


@dataclass(frozen=True)
class BoosterPreset(Preset):
    """A generator. Learns from folders of crops with hands in metres: fits of photographs, scenes.

    Attributes:
        config: of the network.
        background: weight of a pixel beside hand and object over one of them (the paper's 0.1).
        snr_limit: the signal-to-noise ratio that weighs an image in eq. (2) counts at most so much (Hang et al., ICCV
            2023); None for the paper's, without a limit.
        hand: sha256 of the hand model whose conditions it learns.
    """

    name: str
    config: DenoiserConfig
    optimisation: Optimisation
    background: float = 0.1
    snr_limit: float | None = None
    loss: BoosterLoss = BoosterLoss()
    seed: int = 0
    network: str = NETWORK
    hand: str = field(default_factory=lambda: load_hand_model().sha256)
    pictures: ClassVar[Literal["crops"]] = "crops"

    @property
    def summary(self) -> tuple[str, str]:
        """See `Preset`."""
        return f"makes images of {self.config.size_px} px", "fits of photographs, crops"

    def build(self) -> Booster:
        """The network with fresh weights."""
        return Booster(self.config)

    def task(self, data: DataSource, memory: Memory | None = None, teacher: Teacher | None = None) -> "BoosterTask":
        """See `Preset`; the source is folders of crops, alone or in a mixture."""
        if memory is not None or teacher is not None:
            raise InvalidInput(f"'{self.name}' learns neither from the device's memory nor from a teacher")
        return BoosterTask(self, BoosterSource(folders_of(data), self.config, self.seed, self.optimisation.batch_size))


def folders_of(data: DataSource) -> list[tuple[Path, float]]:
    """The folders of a source with their weights.

    Raises:
        InvalidInput: it is something else than folders of shards.
    """
    parts: Sequence[tuple[Any, float]] = data.parts if isinstance(data, Mixture) else [(data, 1.0)]
    found = [(Path(path), weight) for source, weight in parts if isinstance(source, list | tuple) for path in source]
    if not found or any(not isinstance(source, list | tuple) for source, _ in parts):
        raise InvalidInput("a generator learns from folders of crops: give --data DIR, or DIR=WEIGHT")
    return found


def foreground_weights(front: Tensor, background: float) -> Tensor:
    """Weight of each pixel in eq. (2): pixels beside hand and object weigh `background` times one of them.

    The mean over an image is 1, so that an image with a small hand weighs as much as one with a large hand. The
    released program compares a mask in [-1, 1] with a threshold that it cannot reach, and weighs all alike.

    Args:
        front: (B, S, S) bool.
        background: over the foreground's weight.

    Returns:
        (B, S, S) float32.
    """
    weights = torch.where(front, 1.0, background)
    return weights / weights.mean((1, 2), keepdim=True)


def signed(values: Tensor) -> Tensor:
    """(B, S, S, 3) 0 to 255 -> (B, 3, S, S) -1 to 1."""
    return values.permute(0, 3, 1, 2).float() / 127.5 - 1


def maps_of(texture: Tensor, normals: Tensor) -> Tensor:
    """(B, 6, S, S) what the network sees of conditions: textures (B, S, S, 3) 0 to 255, normals -127 to 127."""
    return torch.cat([signed(texture), normals.permute(0, 3, 1, 2).float() / 127], 1)


def noise_of(seeds: Tensor, size_px: int) -> Tensor:
    """(B, 3, S, S) normal noise, each image's from its own seed and on the CPU, alike on every device."""
    drawn = [
        torch.randn((3, size_px, size_px), generator=torch.Generator().manual_seed(int(seed))) for seed in seeds.cpu()
    ]
    return torch.stack(drawn).to(seeds.device)


class BoosterTask:
    """Denoising.

    Args:
        preset: its numbers.
        source: of batches.
    """

    def __init__(self, preset: BoosterPreset, source: BoosterSource):
        self.preset: Preset = preset
        self.memory: Memory | None = None
        self.source: BatchSource = source
        self._numbers = preset
        self._scheduler = scheduler(preset.config)

    def network(self) -> nn.Module:
        """A fresh network."""
        return Booster(self._numbers.config)

    def terms(self, network: nn.Module, batch: Mapping[str, Tensor], used: float) -> Terms:
        """`denoising` is eq. (2); `foreground` and `background` the plain squared errors.

        Args:
            network: a `Booster`.
            batch: see `BoosterSource.batch`.
            used: plays no part.
        """
        clean = 2 * batch["image"] - 1
        times = batch["times"]
        noisy = self._scheduler.add_noise(clean, noise_of(batch["noise_seed"], clean.shape[-1]), times)
        maps = maps_of(batch["texture"], batch["normals"])
        answer = network(noisy, maps, times, batch["orientation"], batch["told"])
        error = (answer.float() - clean).square().mean(1)
        weighted = (error * foreground_weights(batch["front"], self._numbers.background)).mean((1, 2))
        front = batch["front"]
        return {
            "denoising": (self.signal_to_noise(times) * weighted).mean(),
            "foreground": error[front].mean() if bool(front.any()) else error.sum() * 0,
            "background": error[~front].mean() if bool((~front).any()) else error.sum() * 0,
        }

    def signal_to_noise(self, times: Tensor) -> Tensor:
        """(B,) weight of noise levels: the ratio of eq. (2), up to the preset's limit."""
        kept = self._scheduler.alphas_cumprod.to(times.device)[times]
        ratio: Tensor = kept / (1 - kept)
        limit = self._numbers.snr_limit
        return ratio if limit is None else ratio.clamp(max=limit)
