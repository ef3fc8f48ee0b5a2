"""Repainting hand and object as a bare hand: eqs. (4) to (6) of UniHOPE on the parts of the diffusers library.

The library's `StableDiffusionControlNetInpaintPipeline` (0.42) does part of it. With a UNet of 4 channels it blends as
in eq. (6), with one fixed draw of noise in place of eq. (4)'s fresh ones; with an inpainting UNet of 9 channels it
gives x_mask to the network, as eq. (5) wants it, but leaves out eqs. (4) and (6). The paper has both. It also takes one
control strength a call. Hence this loop; where the pipeline does the same, a test compares the two.
"""

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from prehend.errors import AssetError, InvalidInput
from prehend_training.deocclude.config import RepaintConfig
from prehend_training.deocclude.region import RepaintedSquare
from prehend_training.deocclude.weights import DiffusionNetworks

Noise = Callable[[], Tensor]
"""A draw of standard normal noise for one latent image, (1, C, h, w)."""


class Repainter:
    """Paints the candidates of a region.

    Args:
        parts: the networks.
        config: what to paint.
        together: candidates at once, None for all.

    Raises:
        InvalidInput: the square's side is not a multiple of what the networks halve.
    """

    def __init__(self, parts: DiffusionNetworks, config: RepaintConfig, together: int | None = None):
        self.parts, self.config = parts, config
        self._together = together or len(config.strengths)
        halved = parts.latent_px * 2 ** (len(parts.unet.config.block_out_channels) - 1)
        if config.size_px % halved:
            raise InvalidInput(f"size {config.size_px} px is not a multiple of {halved}, which these networks halve")
        with torch.inference_mode():
            self._texts = [self._encode_text(text) for text in (config.negative_prompt, config.prompt)]

    @torch.inference_mode()
    def paint(self, region: RepaintedSquare, name: str) -> NDArray[np.uint8]:
        """(N, S, S, 3) the region's square with a bare hand, one image for each control strength.

        All candidates start from the same noise, which follows from the seed and the image's name alone.

        Raises:
            AssetError: the networks give numbers that are not finite.
        """
        chunks = []
        for start in range(0, len(self.config.strengths), self._together):
            strengths = self.config.strengths[start : start + self._together]
            chunks.append(self.sample(region, strengths, self._noise(name)))
        latents = torch.cat(chunks)
        if not torch.isfinite(latents).all():
            raise AssetError(f"{name}: the networks give numbers that are not finite: try another --precision")
        return np.stack([self._decode(row[None]) for row in latents])

    @torch.inference_mode()
    def sample(self, region: RepaintedSquare, strengths: tuple[float, ...], noise: Noise) -> Tensor:
        """(N, C, h, w) latents x_0 after all reverse steps, one for each control strength.

        Args:
            region: what to repaint.
            strengths: of the ControlNet.
            noise: the first draw is x_T, each further one that of eq. (4) for a step; all candidates share them.
        """
        parts, count = self.parts, len(strengths)
        mask = F.max_pool2d(self._tensor(region.mask)[None, None], parts.latent_px)  # m: every latent that M touches
        picture = _signed(self._tensor(region.image))
        known = self._encode(picture)
        seen = self._masked(region, picture, mask) if parts.inpainting else None
        depth = self._tensor(region.depth).expand(1, 3, -1, -1)
        parts.scheduler.set_timesteps(self.config.steps, device=parts.device)
        latents = (noise() * parts.scheduler.init_noise_sigma).expand(count, -1, -1, -1)
        for now, then in _steps(parts.scheduler.timesteps):
            error = self._predict(latents, now, seen, depth, strengths)
            painted = parts.scheduler.step(error, now, latents).prev_sample  # eq. (5)
            kept = known if then is None else parts.scheduler.add_noise(known, noise(), then[None])  # eq. (4)
            latents = mask * painted + (1 - mask) * kept  # eq. (6)
        return latents

    def _predict(
        self, latents: Tensor, now: Tensor, seen: Tensor | None, depth: Tensor, strengths: tuple[float, ...]
    ) -> Tensor:
        """(N, C, h, w) the noise in the latents, by classifier-free guidance (Ho and Salimans, 2021)."""
        texts = self._texts if self.config.guidance > 1 else self._texts[1:]
        rows = len(texts) * len(latents)
        both = self.parts.scheduler.scale_model_input(latents.repeat(len(texts), 1, 1, 1), now)
        text = torch.cat([one.expand(len(latents), -1, -1) for one in texts])
        scale = torch.tensor(strengths * len(texts), device=both.device, dtype=both.dtype)[:, None, None, None]
        down, middle = self.parts.control(
            both,
            now,
            encoder_hidden_states=text,
            controlnet_cond=depth.expand(rows, -1, -1, -1),
            conditioning_scale=scale,
            return_dict=False,
        )
        error = self.parts.unet(
            both if seen is None else torch.cat([both, seen.expand(rows, -1, -1, -1)], 1),
            now,
            encoder_hidden_states=text,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            return_dict=False,
        )[0]
        if len(texts) == 1:
            return error
        without, told = error.chunk(2)
        return without + self.config.guidance * (told - without)

    def _masked(self, region: RepaintedSquare, picture: Tensor, mask: Tensor) -> Tensor:
        """(1, 1 + C, h, w) mask and x_mask, what an inpainting UNet sees besides x_t: M is grey in its image."""
        outside = ~torch.from_numpy(region.mask).to(self.parts.device)
        return torch.cat([mask, self._encode(picture * outside)], 1)

    def _encode(self, picture: Tensor) -> Tensor:
        """(1, 3, S, S) in [-1, 1] -> (1, C, h, w) the most probable latents."""
        config = self.parts.vae.config
        latents: Tensor = self.parts.vae.encode(picture).latent_dist.mode()
        return (latents - (config.shift_factor or 0.0)) * config.scaling_factor

    def _decode(self, latents: Tensor) -> NDArray[np.uint8]:
        """(1, C, h, w) -> (S, S, 3) uint8; one at a time, for decoding takes the most memory of all."""
        config = self.parts.vae.config
        picture = self.parts.vae.decode(latents / config.scaling_factor + (config.shift_factor or 0.0)).sample
        values = (picture[0].float().permute(1, 2, 0).nan_to_num() + 1) * 127.5
        return np.asarray(values.round().clamp(0, 255).to(torch.uint8).cpu().numpy())

    def _encode_text(self, text: str) -> Tensor:
        """(1, L, D) what the UNet attends to."""
        tokens = self.parts.tokenizer(
            text,
            padding="max_length",
            max_length=self.parts.text_encoder.config.max_position_embeddings,
            truncation=True,
            return_tensors="pt",
        )
        encoded: Tensor = self.parts.text_encoder(tokens.input_ids.to(self.parts.device))[0]
        return encoded

    def _noise(self, name: str) -> Noise:
        """Draws on the processor, so that every device gets the same."""
        digest = hashlib.sha256(f"{self.config.seed} {name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        side = self.config.size_px // self.parts.latent_px
        shape = (1, int(self.parts.vae.config.latent_channels), side, side)
        return lambda: torch.randn(shape, generator=generator).to(self.parts.device, self.parts.dtype)

    def _tensor(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.parts.device, self.parts.dtype)


def _signed(picture: Tensor) -> Tensor:
    """(S, S, 3) in 0..255 -> (1, 3, S, S) in -1..1."""
    return picture.permute(2, 0, 1)[None] / 127.5 - 1


def _steps(timesteps: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Each step and the one after it, None after the last."""
    following = [*timesteps[1:], None]
    yield from zip(timesteps, following, strict=True)
