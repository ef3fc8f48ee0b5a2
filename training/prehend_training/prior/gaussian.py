"""What HHMR is compared with: principal components of equal data, as a denoiser in the same sampler.

For hands that are normally distributed the answer to a noisy mesh is known in closed form, so that drawing, completing
and fitting differ from HHMR's in the prior alone.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prehend.hand_model.asset import load_hand_model
from prehend.models.meshes.hhmr import HHMR, HHMR_TINY, TIMES
from prehend.prior.schedule import schedule
from prehend_training.assets.mesh_pyramid import hand_pyramid

COMPONENTS = 45
"""As many as MANO's pose space has."""


class GaussianHands(HHMR):
    """A prior of principal components that answers as an HHMR does, and is told nothing but noise.

    Args:
        meshes_m: (N, V, 3) of hands to learn from, relative to the wrist [m].
        components: how many.
    """

    def __init__(self, meshes_m: NDArray[np.floating], components: int = COMPONENTS):
        super().__init__(replace(HHMR_TINY, channels=(8, 8, 8, 8), blocks=1, tokens=8, heads=1))
        model = load_hand_model()
        pyramid = hand_pyramid(model, len(self.config.levels), self.config.spiral)
        self.set_hand(model, pyramid)
        off = (np.asarray(meshes_m, np.float64) - self.mesh.mean.reshape(-1, 3).numpy()) / self.config.spread_m
        self.middle_mesh = torch.from_numpy(off.mean(0).astype(np.float32))
        flat = (off - off.mean(0)).reshape(len(off), -1)
        _, rows = np.linalg.eigh(flat @ flat.T)  # of the hands, which are fewer than the coordinates
        self.ways = torch.from_numpy((rows[:, ::-1].T[:components] @ flat / np.sqrt(len(off))).astype(np.float32))
        top = self.mesh.of_mesh(self.ways.unflatten(1, (-1, 3)), self.config.top).flatten(1)
        self.top_ways = top
        self.register_buffer("shares", schedule().alphas_cumprod.float(), persistent=False)

    def denoise(self, noisy: Tensor, time: Tensor, *known: Tensor) -> tuple[Tensor]:
        """See `HHMR.denoise`; the mean of what a normal prior leaves of the noisy mesh."""
        share = self.shares[(time[:, 0] * TIMES).round().long()]  # type: ignore[index]
        middle = self.mesh.of_mesh(self.middle_mesh[None], self.config.top)
        seen = (noisy - share.sqrt()[:, None, None] * middle).flatten(1) @ self.top_ways.T
        weighed = self.top_ways @ self.top_ways.T * share[:, None, None]
        noise = (1 - share)[:, None, None] * torch.eye(len(weighed[0]))
        score = torch.linalg.solve(weighed + noise, share.sqrt()[:, None] * seen)
        return (self.middle_mesh + (score @ self.ways).unflatten(1, (-1, 3)),)
