"""What can be trained to make pictures: the paper's size, one for two cores, and one for tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from prehend.errors import InvalidInput, UnknownName
from prehend.hand_model.asset import load_hand_model
from prehend_training.data.open import DataSource, Mixture
from prehend_training.train.preset import Memory, Optimisation, Preset, Teacher

if TYPE_CHECKING:
    from prehend_training.boost.network import Booster
    from prehend_training.boost.task import BoosterTask

NETWORK = "handbooster"


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


@dataclass(frozen=True)
class BoosterLoss:
    """Weight of each term of `task.denoising_terms`; those that are 0 are there to be watched.

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
        snr_limit: the signal-to-noise ratio that weighs a picture in eq. (2) counts at most so much (Hang et al., ICCV
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
        return f"makes pictures of {self.config.size_px} px", "fits of photographs, crops"

    def build(self) -> "Booster":
        """The network with fresh weights."""
        from prehend_training.boost.network import Booster

        return Booster(self.config)

    def task(self, data: DataSource, memory: Memory | None = None, teacher: Teacher | None = None) -> "BoosterTask":
        """See `Preset`; the source is folders of crops, alone or in a mixture."""
        from prehend_training.boost.data import BoosterSource
        from prehend_training.boost.task import BoosterTask

        if memory is not None or teacher is not None:
            raise InvalidInput(f"'{self.name}' learns neither from the device's memory nor from a teacher")
        return BoosterTask(self, BoosterSource(folders_of(data), self))


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


_PRESETS = (
    # the paper's widths and numbers; its blocks have 38.4 million numbers, those of diffusers 40.8
    BoosterPreset(
        "handbooster-b",
        DenoiserConfig(128, 1, (64, 128, 256, 512)),
        Optimisation(batch_size=256, lr=8e-5, weight_decay=0.0, warmup=0.0, final_lr=1.0, clip=1.0, ema=0.995),
    ),
    BoosterPreset(
        "handbooster-s",
        DenoiserConfig(64, 2, (32, 64, 128, 192), attention=(2, 3)),
        Optimisation(batch_size=32, lr=6e-4, weight_decay=0.0, warmup=0.03, final_lr=0.05, clip=1.0, ema=0.999),
        snr_limit=5.0,
    ),
    BoosterPreset(
        "debug-handbooster",
        DenoiserConfig(32, 2, (16, 32)),
        Optimisation(batch_size=4, lr=2e-3, weight_decay=0.0, clip=1.0),
        snr_limit=5.0,
    ),
)
BOOSTERS = {one.name: one for one in _PRESETS}


def booster(name: str) -> BoosterPreset:
    """A preset by name.

    Raises:
        UnknownName: there is none.
    """
    if name not in BOOSTERS:
        raise UnknownName("generator", name, BOOSTERS)
    return BOOSTERS[name]
