"""What the generator learns: eq. (2) of HandBooster, with the foreground's weight where it acts."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from prehend_training.boost.data import BoosterSource
from prehend_training.boost.network import Booster, scheduler
from prehend_training.boost.preset import BoosterPreset
from prehend_training.data.crops import BatchSource
from prehend_training.losses.crop import Terms
from prehend_training.train.preset import Preset


def foreground_weights(front: Tensor, background: float) -> Tensor:
    """Weight of each pixel in eq. (2): pixels beside hand and object weigh `background` times one of them.

    The mean over a picture is 1, so that a picture with a small hand weighs as much as one with a large hand. The
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
    """(B, 3, S, S) normal noise, each picture's from its own seed and on the CPU, alike on every device."""
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
