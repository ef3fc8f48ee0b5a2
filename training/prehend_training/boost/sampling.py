"""Images for conditions: DDIM with classifier-free guidance, in batches as large as the memory allows."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prehend.documents import read_json
from prehend.errors import AssetError, DeviceError, InvalidInput
from prehend.hand_model.asset import load_hand_model
from prehend_training.boost.folders import FolderPlan, Made, Maker, fill
from prehend_training.boost.generator.conditions import Condition, at_size, draw_condition, solid_of
from prehend_training.boost.generator.data import open_crops
from prehend_training.boost.generator.network import Booster, is_out_of_memory, scheduler
from prehend_training.boost.generator.run import open_booster, weights_sha256
from prehend_training.boost.generator.task import maps_of
from prehend_training.engine import EngineOptions
from prehend_training.sample import Sample
from prehend_training.storage.codec import Packing


@dataclass(frozen=True)
class SampleConfig:
    """What is made.

    Attributes:
        run: folder of the generator's run.
        conditions: folder of `boost create`.
        steps: of DDIM.
        guidance: weight of the orientation (classifier-free guidance); 1 asks once a step instead of twice.
        eta: share of fresh noise in each step, 0 for none (the paper's program: 1, with 250 steps).
        variants: images of each condition.
        seed: of the noise; each image's own follows from it and from its number.
        batch: images at once, halved where memory is short; an image does not depend on it.
        device: of torch.
        limit: conditions, from the first on; None for all.

    Raises:
        InvalidInput: a number is out of range.
    """

    run: Path
    conditions: Path
    steps: int = 30
    guidance: float = 3.0
    eta: float = 0.0
    variants: int = 1
    seed: int = 0
    batch: int = 16
    device: str = "cpu"
    limit: int | None = None

    def __post_init__(self) -> None:
        limits = {"steps": (1, 1000), "guidance": (0, 50), "eta": (0, 1), "variants": (1, 1000), "batch": (1, 4096)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise InvalidInput(f"{name} is {getattr(self, name)}, expected {low} to {high}")
        if self.limit is not None and self.limit < 1:
            raise InvalidInput(f"limit {self.limit} must be positive")

    def describe(self) -> dict[str, Any]:
        """What decides about the folder, as JSON: weights and conditions by their bytes."""
        told = {key: value for key, value in asdict(self).items() if key not in ("batch", "device", "limit")}
        config = (self.conditions / "config.json").read_bytes()
        return told | {
            "made_by": "boost sample",
            "run": weights_sha256(self.run),
            "conditions": hashlib.sha256(config).hexdigest(),
            "hand": load_hand_model().sha256,
        }


class Painter:
    """Makes images.

    Args:
        network: the generator.
        config: steps, guidance, eta, seed, batch.
    """

    def __init__(self, network: Booster, config: SampleConfig):
        self.network, self.config = network, config
        self.size_px = network.config.size_px
        self._batch = config.batch
        self._device = next(network.parameters()).device

    def paint(self, conditions: Sequence[Condition], names: Sequence[str]) -> list[NDArray[np.uint8]]:
        """An image (S, S, 3) for each condition, mirrored back where it is of a left hand.

        Args:
            conditions: what they shall show.
            names: of the images, from which their noise follows.

        Raises:
            DeviceError: there is not even memory for one.
            AssetError: the network gives numbers that are not finite.
        """
        made: list[NDArray[np.uint8]] = []
        while len(made) < len(conditions):
            rows = slice(len(made), len(made) + self._batch)
            try:
                made += self._painted(conditions[rows], names[rows])
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._shrink(error)
        return made

    def _shrink(self, error: BaseException) -> None:
        if self._batch == 1:
            raise DeviceError(f"no memory for one image on {self._device}: try --device cpu") from error
        self._batch //= 2
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def _painted(self, conditions: Sequence[Condition], names: Sequence[str]) -> list[NDArray[np.uint8]]:
        maps = maps_of(self._stack(conditions, "texture"), self._stack(conditions, "normals"))
        orientation = self._stack(conditions, "orientation")
        generators = [self._generator(name) for name in names]
        steps = scheduler(self.network.config)
        steps.set_timesteps(self.config.steps, device=self._device)
        latents = self._noise(generators)
        for now in steps.timesteps:
            clean = self._predict(latents, maps, now, orientation)
            noise = self._noise(generators) if self.config.eta else None
            latents = steps.step(clean, now, latents, eta=self.config.eta, variance_noise=noise).prev_sample
        if not bool(torch.isfinite(latents).all()):
            raise AssetError("the generator gives numbers that are not finite: its run has gone wrong")
        values = ((latents + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return [
            np.ascontiguousarray(one[:, ::-1] if condition.mirrored else one)
            for one, condition in zip(values, conditions, strict=True)
        ]

    def _predict(self, latents: Tensor, maps: Tensor, now: Tensor, orientation: Tensor) -> Tensor:
        """x_0 by classifier-free guidance (Ho and Salimans, 2022)."""
        guidance, rows = self.config.guidance, len(latents)
        told = [True] if guidance == 1 else [True, False]
        copies = len(told)
        answer = self.network(
            latents.repeat(copies, 1, 1, 1),
            maps.repeat(copies, 1, 1, 1),
            now.expand(copies * rows),
            orientation.repeat(copies, 1),
            torch.tensor(told, device=self._device).repeat_interleave(rows),
        )
        if copies == 1:
            return answer  # type: ignore[no-any-return]
        with_it, without = answer.chunk(2)
        guided: Tensor = without + guidance * (with_it - without)
        return guided

    def _stack(self, conditions: Sequence[Condition], name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(one, name) for one in conditions])).to(self._device)

    def _generator(self, name: str) -> torch.Generator:
        digest = hashlib.sha256(f"{self.config.seed} {name}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))

    def _noise(self, generators: Sequence[torch.Generator]) -> Tensor:
        """On the CPU, so that every device gets the same."""
        shape = (3, self.size_px, self.size_px)
        return torch.stack([torch.randn(shape, generator=one) for one in generators]).to(self._device)


def open_sampler(config: SampleConfig) -> Maker:
    """See `folders.Maker`: paints the images of some conditions together."""
    painter, folder = Painter(open_booster(config.run, config.device), config), open_crops(config.conditions)
    size = painter.size_px

    def make(units: range) -> Iterator[Made]:
        samples = [at_size(folder.sample(unit, "none"), size) for unit in units]
        conditions = [draw_condition(sample, size) for sample in samples]
        names = [f"{unit}/{variant}" for unit in units for variant in range(config.variants)]
        repeated = [condition for condition in conditions for _ in range(config.variants)]
        pictures = painter.paint(repeated, names)
        for number, (unit, sample, condition) in enumerate(zip(units, samples, conditions, strict=True)):
            own = pictures[number * config.variants : (number + 1) * config.variants]
            yield Made(unit, [_made(sample, condition, picture) for picture in own], {"condition": unit})

    return make


def _made(sample: Sample, condition: Condition, picture: NDArray[np.uint8]) -> Sample:
    """A condition's labels with the image that was made; of what is beside hand and object nothing is known."""
    return replace(sample, image=picture, segmentation=condition.segmentation)


def check_conditions(folder: Path, count: int | None = None) -> int:
    """How many conditions of a folder are to be painted; all of their objects are in the catalogue.

    Raises:
        AssetError: the folder cannot be read, or its conditions are of another hand model or of objects not known.
    """
    conditions = open_crops(folder)
    told = read_json(folder / "config.json", AssetError)
    made_for = told.get("hand") if isinstance(told, dict) else None
    if made_for not in (None, load_hand_model().sha256):
        raise AssetError(f"{folder} holds conditions of another hand model: make them anew with `boost create`")
    wanted = min(len(conditions), count or len(conditions))
    known: set[str] = set()
    for row in range(wanted):
        if {thing["object_id"] for thing in conditions.labels(row)["objects"]} - known:
            for thing in conditions.sample(row, "none", meshes=False).objects:
                solid_of(thing)
                known.add(thing.object_id)
    return wanted


def sample_pictures(out: Path, config: SampleConfig, engine: EngineOptions | None = None) -> Path:
    """Write the images of conditions; goes on where it stopped.

    Raises:
        AssetError: the run or the conditions are missing, or do not belong to this hand model.
        InvalidInput: the folder holds something else.
        EngineError: painting failed; what is complete is kept.
    """
    count = check_conditions(config.conditions, config.limit)
    weights_sha256(config.run)
    open_booster(config.run)  # fail here, not in the processes
    per_shard = max(64 // config.variants, 1)
    options = engine or EngineOptions()
    # shards of several hundred images would lose minutes of work when stopped
    plan = FolderPlan(out, config.describe(), count, per_shard, "condition", Packing("none", "png"), options)
    return fill(plan, partial(open_sampler, config))
