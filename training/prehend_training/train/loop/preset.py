"""What a preset is: numbers that build their own task. The kinds of presets stand beside their tasks."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

from torch import nn

from prehend.errors import InvalidInput
from prehend_training.data.base import BatchSource
from prehend_training.data.batch import ArrayDict
from prehend_training.data.cuts import CropDataConfig
from prehend_training.data.stores.memory import Memory
from prehend_training.data.stores.open import DataSource, SingleSource
from prehend_training.losses.crop import Terms
from prehend_training.train.loop.machine import Precision
from prehend_training.train.loop.optimisers import Method


@dataclass(frozen=True)
class Optimisation:
    """How weights are found.

    Attributes:
        method: see `prehend_training.train.loop.optimisers.make_optimisers`.
        batch_size: samples a step.
        lr: highest learning rate.
        weight_decay: of weights with more than one axis; biases and normalisation have none.
        warmup: share of the budget in which the rate rises to its highest.
        schedule: how it falls then: along a `cosine`, or in `steps`, times 0.7 after each seventh of the budget (the
            paper's every 10 of 70 epochs).
        final_lr: rate at the end of the cosine over the highest.
        clip: largest norm of the gradient.
        ema: highest decay of the averaged weights, which are the result.
        pretrained_share: rate of what was pretrained over that of the rest.
    """

    method: Method = "adamw"
    batch_size: int = 16
    lr: float = 1.2e-3
    weight_decay: float = 0.02
    warmup: float = 0.05
    schedule: Literal["cosine", "steps"] = "cosine"
    final_lr: float = 0.005
    clip: float = 20.0
    ema: float = 0.998
    pretrained_share: float = 1.0

    def __post_init__(self) -> None:
        if self.batch_size < 1 or not 0 < self.lr < math.inf:
            raise InvalidInput(f"batch size {self.batch_size} and rate {self.lr:g} must be positive")


@dataclass(frozen=True)
class Changes:
    """What is asked for in place of a preset's own numbers.

    Attributes:
        large_batches: the numbers of `presets.RECIPES`, and our losses in place of the paper's, which teach a network
            that starts from nothing in fewer samples.
        batch_size, lr: in place of these.
        taught: add the terms of a teacher.
        twins: learn from pairs where the preset does.
        strong: change crops as `STRONG_CROPS` does.
        seed: in place of the preset's.
    """

    large_batches: bool = False
    batch_size: int | None = None
    lr: float | None = None
    taught: bool = False
    twins: bool = True
    strong: bool = False
    seed: int | None = None


@dataclass(frozen=True)
class Teacher:
    """A network that a student learns from beside the labels, and the precision in which it answers."""

    network: nn.Module
    precision: Precision = "fp32"


class Task(Protocol):
    """The part of training that differs from network to network."""

    preset: "Preset"
    source: BatchSource
    memory: Memory | None

    def network(self) -> nn.Module:
        """A fresh network, initialised from the data where that helps."""
        ...

    def terms(self, network: nn.Module, batch: Any, used: float) -> Terms:
        """Loss terms of a batch of tensors, of the kind of `data.batch` that the source makes; `used` is the share of
        the budget that is used up."""
        ...


@runtime_checkable
class Starts(Protocol):
    """A `Task` that has something to do to the weights of other runs before it goes on from them."""

    def started(self, network: nn.Module, start: Sequence[Path], device: str) -> None:
        """Once, with the network that has the weights of the runs `start`; what it leaves is what is trained."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A `Task` that makes what it learns from with the network itself."""

    def prepare(self, network: nn.Module) -> None:
        """With the network as training begins, or as it goes on from a checkpoint."""
        ...


class Preset(ABC):
    """The numbers of a training, frozen, under a unique name.

    Attributes:
        name: of the preset. network: of the network, as bundles name it.
        optimisation: how weights are found.
        loss: a dataclass with a weight for every term.
        seed: of the fresh weights and the batches.
        pictures: what it learns from.
        own_scores: whether thresholds and probabilities of the scores are its own measures' business.
    """

    name: str
    network: str
    optimisation: Optimisation
    loss: Any
    seed: int
    pictures: ClassVar[Literal["crops", "frames"]]
    own_scores: ClassVar[bool] = False

    @property
    def teacher_kind(self) -> type[nn.Module] | None:
        """What a teacher of this preset is; None where it has none, or as crop networks have it (`Changes.taught`)."""
        return None

    @property
    def needs_teacher(self) -> bool:
        """Whether it cannot be trained without one."""
        return False

    @property
    def calibrated_on(self) -> CropDataConfig | None:
        """Crops on which its answers can be fitted (presence, grasp, side); None where they are no crop network's."""
        return None

    @property
    def always_fuses(self) -> bool:
        """Whether the object's feature goes to the hand in training, whatever the switcher says."""
        return False

    @property
    def answering(self) -> str | None:
        """Weights that stay as they are and answer for the single frames it learns from; None for its own."""
        return None

    @property
    @abstractmethod
    def summary(self) -> tuple[str, str]:
        """What it trains, and what it needs, for people."""

    @abstractmethod
    def build(self) -> nn.Module:
        """The network with fresh weights, without data."""

    @abstractmethod
    def task(self, data: DataSource, memory: Memory | None = None, teacher: Teacher | None = None) -> Task:
        """The task on a source of data.

        Args:
            data: what to learn from.
            memory: the same in the memory of the device that trains, of `load`; None to read it as it is needed.
            teacher: to learn from beside the labels.

        Raises:
            AssetError: the data are not what the preset trains on.
            InvalidInput: the preset cannot do it from memory, or with a teacher.
        """

    def load(self, data: DataSource, device: str, limit: int | None = None, workers: int = 0) -> Memory:
        """A source in the memory of a device.

        Args:
            data: the source.
            device: of torch.
            limit: largest number of images, taken evenly from each source's share of it.
            workers: processes that decode.

        Raises:
            InvalidInput: the preset cannot be trained from memory, or the source not be kept there.
            AssetError: the source cannot be read, holds other images or does not fit.
        """
        raise InvalidInput(f"'{self.name}' cannot be trained from memory: leave --in-memory out")

    def changed(self, changes: Changes) -> "Preset":
        """The same with what of the changes concerns crops and their losses; its other numbers are kept.

        Raises:
            InvalidInput: the changes have no effect on what it trains.
        """
        if (changes.taught and self.teacher_kind is None) or changes.strong:
            raise InvalidInput(f"{self.name} is no preset of a whole crop network that starts from nothing")
        return self

    def samples(self, data: SingleSource, count: int, augment: bool = True) -> ArrayDict:
        """Samples of a batch for people to look at, as the network gets them or, without `augment`, unchanged.

        Args:
            data: the source.
            count: how many.
            augment: change them as in training, where that can be left out.

        Raises:
            InvalidInput: it learns from something else than one source of images.
            AssetError: the source has other images.
        """
        raise InvalidInput(
            f"'{self.name}' learns from labelled photographs too, or from films, which this does not show"
        )


RENAMED = {"finder": "detector", "finder-small": "detector-small", "debug-finder": "debug-detector"}
"""Old names of presets, which runs of before have, with those of today."""


def describe(chosen: Preset) -> dict[str, Any]:
    """A preset as JSON."""
    return asdict(chosen)  # type: ignore[call-overload]


Chosen = TypeVar("Chosen", bound=Preset)


def renumbered(chosen: Chosen, changes: Changes, numbers: Optimisation) -> Chosen:
    """A preset with the batch size, rate and seed that are asked for, else with those of `numbers` and its own.

    Raises:
        InvalidInput: a number is not positive.
    """
    if changes.batch_size is not None:
        numbers = replace(numbers, batch_size=changes.batch_size)
    if changes.lr is not None:
        numbers = replace(numbers, lr=changes.lr)
    return replace(chosen, optimisation=numbers, seed=chosen.seed if changes.seed is None else changes.seed)  # type: ignore[type-var]
