"""Loading a diffusion model and a ControlNet from folders or the Hugging Face hub: safetensors only, never pickle."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch

from prehend.errors import AssetError, MissingDependency
from prehend_training.deocclude.config import Weights

FETCH = (
    "give a folder in the layout of diffusers, or a hub id together with --download; docs/DEOCCLUDER.md names weights "
    "that fit, and their licences"
)
EXTRA = "deocclude"


@dataclass(frozen=True)
class DiffusionNetworks:
    """The networks of a latent diffusion model (Rombach et al., CVPR 2022) with a ControlNet (Zhang et al., ICCV 2023),
    in evaluation mode.

    Attributes:
        unet: eps_theta of eq. (5). With 4 input channels it sees x_t; with 9 also the mask and the masked image's
            latents x_mask, as inpainting models do.
        control: gives the UNet features of the depth map.
        vae: images to latents and back.
        text_encoder, tokenizer: of the prompt.
        scheduler: DDIM with the noise levels that the model was trained with.
        device, dtype: of all networks.
    """

    unet: Any
    control: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: Any
    device: torch.device
    dtype: torch.dtype

    @property
    def inpainting(self) -> bool:
        """Whether the UNet sees x_mask."""
        return int(self.unet.config.in_channels) == 9

    @property
    def latent_px(self) -> int:
        """Pixels of the image for each of the latents, along a side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))


def load_parts(weights: Weights) -> DiffusionNetworks:
    """Load all parts.

    Raises:
        MissingDependency: diffusers or transformers is not installed.
        AssetError: a part is missing, is no safetensors file, or the parts do not belong together.
    """
    diffusers, transformers = _library("diffusers"), _library("transformers")
    dtype, base = getattr(torch, weights.precision), weights.diffusion

    def network(kind: Any, place: str, **given: Any) -> Any:
        loaded = _load(kind, place, weights, use_safetensors=True, variant=weights.variant, dtype=dtype, **given)
        return loaded.to(weights.device).eval().requires_grad_(False)

    plain = {"low_cpu_mem_usage": False}  # otherwise diffusers asks for accelerate
    parts = DiffusionNetworks(
        unet=network(diffusers.UNet2DConditionModel, base, subfolder="unet", **plain),
        control=network(diffusers.ControlNetModel, weights.control, **plain),
        vae=network(diffusers.AutoencoderKL, base, subfolder="vae", **plain),
        text_encoder=network(transformers.CLIPTextModel, base, subfolder="text_encoder"),
        tokenizer=_load(transformers.CLIPTokenizer, base, weights, subfolder="tokenizer"),
        scheduler=_load(diffusers.DDIMScheduler, base, weights, subfolder="scheduler"),
        device=torch.device(weights.device),
        dtype=dtype,
    )
    _check_family(parts, weights)
    if weights.slice_attention:
        parts.unet.set_attention_slice("auto")
        parts.control.set_attention_slice("auto")
    return parts


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependency(name, EXTRA, "the de-occluder") from error


def _load(kind: Any, place: str, weights: Weights, **given: Any) -> Any:
    """One part; every way in which the libraries say that it is not there becomes one error."""
    load: Callable[..., Any] = kind.from_pretrained
    part = given.get("subfolder", "ControlNet")
    try:
        return load(place, local_files_only=not weights.download, **given)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise AssetError(f"{part} of '{place}' cannot be loaded ({reason}): {FETCH}") from error


def _check_family(parts: DiffusionNetworks, weights: Weights) -> None:
    """A ControlNet for another version of Stable Diffusion would fail deep inside, or paint nonsense."""
    unet, control = parts.unet.config, parts.control.config
    if unet.in_channels not in (4, 9):
        raise AssetError(f"'{weights.diffusion}' has a UNet of {unet.in_channels} channels, expected 4 or 9: {FETCH}")
    widths = parts.text_encoder.config.hidden_size, unet.cross_attention_dim, control.cross_attention_dim
    blocks = tuple(unet.block_out_channels), tuple(control.block_out_channels)
    if len(set(widths)) > 1 or len(set(blocks)) > 1 or control.in_channels != 4:
        raise AssetError(f"'{weights.control}' is no ControlNet for '{weights.diffusion}': {FETCH}")
