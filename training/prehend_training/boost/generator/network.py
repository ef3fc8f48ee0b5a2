"""The conditional denoiser of HandBooster (section 3.2): x_0 from x_t, maps of texture and normals, and orientation."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prehend.errors import MissingDependency

CONDITION_CHANNELS = 6
"""Of texture and normals."""
BETAS = (1e-4, 0.02)
_LEAST_CHANNELS = 8
"""torch 2.13's convolutions write past their buffer in the backward pass of fewer."""
_GROUPS, _HEAD = 8, 32


@dataclass(frozen=True)
class DenoiserConfig:
    """The network, and the noise it is taught to take away.

    Attributes:
        size_px: side of the pictures.
        patch: so many pixels along a side become channels first: a quarter of the work at 2, and coarser detail.
        channels: of each level; each halves the resolution once more.
        layers: residual blocks of a level.
        attention: levels with self-attention, from the finest (0) on; the coarsest block always has it.
        steps: T of the diffusion, betas linear from 1e-4 to 0.02.
        told_share: how often the orientation is told in training; else it is left out (classifier-free guidance).
    """

    size_px: int
    patch: int
    channels: tuple[int, ...]
    layers: int = 1
    attention: tuple[int, ...] = ()
    steps: int = 1000
    told_share: float = 0.5


def library() -> Any:
    """The package diffusers.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        return import_module("diffusers")
    except ModuleNotFoundError as error:
        raise MissingDependency("diffusers", "boost", "prehend-train boost") from error


def scheduler(config: DenoiserConfig) -> Any:
    """DDIM (Song et al., ICLR 2021) with the noise of the paper; its last steps see nothing but noise."""
    return library().DDIMScheduler(
        num_train_timesteps=config.steps,
        beta_start=BETAS[0],
        beta_end=BETAS[1],
        beta_schedule="linear",
        prediction_type="sample",
        clip_sample=True,
        timestep_spacing="trailing",
    )


class Booster(nn.Module):
    """f_theta of eq. (1): a UNet of diffusers that sees x_t with the maps, and the time with the orientation added.

    The paper joins the codes of time and orientation; here they are added, as diffusers takes classes. Where the
    orientation is not told a learnt code stands for it.

    Args:
        config: sizes.
    """

    def __init__(self, config: DenoiserConfig):
        super().__init__()
        self.config = config
        grown, levels = config.patch**2, len(config.channels)
        if config.size_px % (config.patch * 2 ** (levels - 1)):
            raise ValueError(f"{config.size_px} px cannot be halved as often as {config} asks")
        kinds = ["Attn" if level in config.attention else "" for level in range(levels)]
        self.unet = library().UNet2DModel(
            sample_size=config.size_px // config.patch,
            in_channels=grown * (3 + CONDITION_CHANNELS),
            out_channels=max(grown * 3, _LEAST_CHANNELS),
            block_out_channels=config.channels,
            layers_per_block=config.layers,
            down_block_types=tuple(f"{kind}DownBlock2D" for kind in kinds),
            up_block_types=tuple(f"{kind}UpBlock2D" for kind in reversed(kinds)),
            norm_num_groups=_GROUPS,
            attention_head_dim=min(_HEAD, config.channels[-1]),
            class_embed_type="identity",
            resnet_time_scale_shift="scale_shift",
        )
        width, code = config.channels[0], 4 * config.channels[0]
        self.orientation = nn.Sequential(nn.Linear(4, width), nn.SiLU(), nn.Linear(width, code))
        self.untold = nn.Parameter(torch.zeros(code))

    def forward(self, noisy: Tensor, maps: Tensor, times: Tensor, orientation: Tensor, told: Tensor) -> Tensor:
        """x_0 as it seems.

        Args:
            noisy: (B, 3, S, S) x_t, signal within [-1, 1].
            maps: (B, 6, S, S) texture and normals within [-1, 1].
            times: (B,) t, 0 to T - 1.
            orientation: (B, 4) unit quaternions of the hand.
            told: (B,) bool, whether the network may know it.

        Returns:
            (B, 3, S, S).
        """
        code = torch.where(told[:, None], self.orientation(orientation), self.untold)
        given = F.pixel_unshuffle(torch.cat([noisy, maps], 1), self.config.patch)
        answer = self.unet(given, times, class_labels=code).sample
        clean: Tensor = F.pixel_shuffle(answer[:, : 3 * self.config.patch**2], self.config.patch)
        return clean


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch says that a device, or the host, has no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("out of memory", "can't allocate memory", "not enough memory")
    )
