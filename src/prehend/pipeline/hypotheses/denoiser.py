"""The prior for hands in the runtime: its network's stage `denoise` on a backend, in poses instead of meshes.

`prehend.prior` draws meshes with torch, in as many steps as it takes. Here a pose becomes a mesh of the coarse level
that has noise, one step of the network says what mesh that was before the noise, and rigid alignment of each bone's
flesh turns the pose by what changed (Kabsch, 1976).
"""

from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
from numpy.typing import NDArray

from prehend.backends import Backend
from prehend.backends.base import Array, calls_at_once
from prehend.conventions import MANO_PARENTS, NUM_MANO_JOINTS
from prehend.errors import WeightsMismatch
from prehend.geometry.rotations import nearest_rotation
from prehend.hand_model.model import HandModel
from prehend.types import FloatArray

STAGE = "denoise"
TIMES = 1000
"""Steps of the forward process."""
FEWEST_SPLIT = 4
"""From so many hands on two threads are worth their while."""

_FIRST_BETA, _LAST_BETA = 1e-4, 0.02
"""Variances that its steps add, with even steps between (Ho et al., NeurIPS 2020); as `prehend.prior.schedule` has."""


def kept_share(time: float) -> float:
    """What is kept of a mesh's variance at a time from 0 to 1 of the forward process."""
    count = round(time * TIMES) + 1
    return float(np.prod(1 - np.linspace(_FIRST_BETA, _LAST_BETA, TIMES)[:count]))


class PoseDenoiser:
    """What a noisy pose was before the noise, by the prior.

    Args:
        backend: of weights of an HHMR that look at no images.
        model: the right hand that they were trained with, without forearm.

    Raises:
        WeightsMismatch: the weights are of another network or another hand model.
    """

    def __init__(self, backend: Backend, model: HandModel):
        bundle = backend.bundle
        stage = bundle.stages.get(STAGE)
        if stage is None or any(spec.name == "patches" for spec in stage.inputs):
            raise WeightsMismatch(f"weights '{bundle.name}' are no prior that a node can run: take hhmr-xs")
        hand = bundle.manifest.get("hand_model", {})
        if hand.get("sha256", model.sha256) != model.sha256:
            raise WeightsMismatch(
                f"weights '{bundle.name}' are of the hand model '{hand.get('name', '?')}', and the hands here are of "
                f"'{model.name}': leave hypotheses at 0, or train a prior of your own for it"
            )
        config, arrays = bundle.manifest["config"], bundle.load_arrays()
        self._backend, self._spread_m = backend, float(config["spread_m"])
        rows = arrays[f"mesh.kept.{config['top']}.values"][:, 0].astype(np.int64)
        self._rows = rows
        self._mean = arrays["mesh.mean"].reshape(-1, 3)[rows].astype(np.float64)
        self._weights = model.weights[rows].astype(np.float64)
        near = self._weights**2  # what a bone moves alone counts most
        self._near = near / near.sum(0)
        self._centres = model.joints_template.astype(np.float64)
        self._arms = model.v_template[rows].astype(np.float64)
        shapes = {spec.name: spec.shape[1:] for spec in stage.inputs}
        self._pool = ThreadPoolExecutor(1, "prehend-prior") if calls_at_once(backend) > 1 else None
        self._unknown = {name: tuple(int(size) for size in shapes[name]) for name in shapes if name != "noisy"}

    @property
    def noise_shape(self) -> tuple[int, int]:
        """Of the noise of one hand."""
        return len(self._rows), 3

    def mesh(self, spins: FloatArray) -> NDArray[np.float64]:
        """(n, 16, 3, 3) turns against the hand's own frame -> (n, V_top, 3) of the mean shape, the wrist at 0 [m]."""
        count = len(spins)
        places = np.zeros((count, NUM_MANO_JOINTS, 3))
        for bone, parent in enumerate(MANO_PARENTS[1:], start=1):
            places[:, bone] = places[:, parent] + spins[:, parent] @ (self._centres[bone] - self._centres[parent])
        shifts = places - (spins @ self._centres[..., None])[..., 0]
        blend = self._weights @ np.concatenate([spins.reshape(count, -1, 9), shifts], 2)
        turned = blend[..., :9].reshape(count, -1, 3, 3) @ self._arms[..., None]
        return np.asarray(turned[..., 0] + blend[..., 9:])

    def denoised(
        self, spins: FloatArray, noise: FloatArray, time: float, joints_m: FloatArray, known: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """One step of the network.

        Args:
            spins: (n, 16, 3, 3) against the hand's own frame, the first the unit matrix.
            noise: (n, V_top, 3) of unit variance.
            time: how much of it, from 0 to 1 of the forward process.
            joints_m: (n, 21, 3) what is told of the joints, about the wrist in that frame [m].
            known: (21,) which of them are told.

        Returns:
            (n, 16, 3, 3) likewise.
        """
        count, kept = len(spins), kept_share(time)
        before = self.mesh(spins)
        noisy = np.sqrt(kept) * (before - self._mean) / self._spread_m + np.sqrt(1 - kept) * noise
        told = {name: np.zeros((count, *shape), np.float32) for name, shape in self._unknown.items()}
        told["time"][:] = time
        told["joints"][:, known], told["joints_known"][:, known] = joints_m[:, known], 1.0
        clean = self._clean({"noisy": noisy.astype(np.float32), **told})
        after = clean[:, self._rows] * self._spread_m + self._mean
        # rotations again, or rounding would grow from frame to frame
        moved = nearest_rotation(self._moments(before, after) @ spins)
        return np.asarray(np.swapaxes(moved[:, :1], 2, 3) @ moved)

    def _clean(self, inputs: dict[str, Array]) -> Array:
        """The network's answer; half of the hands in a thread of their own where the backend likes two calls."""
        count = len(inputs["noisy"])
        if self._pool is None or count < FEWEST_SPLIT:
            return self._backend.infer(STAGE, inputs)["clean"]
        halves = [
            {name: array[part] for name, array in inputs.items()}
            for part in (slice(count // 2), slice(count // 2, None))
        ]
        other = self._pool.submit(self._backend.infer, STAGE, halves[1])
        try:
            first = self._backend.infer(STAGE, halves[0])["clean"]
        finally:
            wait([other])
        return np.concatenate([first, other.result()["clean"]])

    def _moments(self, before: FloatArray, after: FloatArray) -> NDArray[np.float64]:
        """(n, 16, 3, 3) whose nearest rotations turn each bone's flesh from one mesh to the other."""
        count = len(before)
        products = (after[..., :, None] * before[..., None, :]).reshape(count, -1, 9)
        moved = (self._near.T @ products).reshape(count, NUM_MANO_JOINTS, 3, 3)
        middles = self._near.T @ after, self._near.T @ before
        return np.asarray(moved - middles[0][..., :, None] * middles[1][..., None, :])
