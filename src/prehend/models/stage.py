"""Stages: the named parts of a network that run on their own at inference and are exported one by one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import nn

Shape = tuple[int | str, ...]
"""A name stands for a free size, `B` for the batch."""


def sizes(shape: Shape, batch: int) -> list[int]:
    """A shape with its free size filled in."""
    return [batch if isinstance(size, str) else size for size in shape]


@dataclass(frozen=True)
class Stage:
    """One part of a network as named arrays in, named arrays out.

    Attributes:
        method: method of the network that runs it; takes the inputs in order, returns a tuple in the outputs' order.
        inputs: shape of each input, in order.
        outputs: shape of each output, in order.
    """

    method: str
    inputs: dict[str, Shape]
    outputs: dict[str, Shape]


class Staged(nn.Module, ABC):
    """A network that is run stage by stage.

    Attributes:
        config: the numbers it was built from, a frozen dataclass with a field `size`, the side of its input [px].
    """

    config: Any

    @abstractmethod
    def stages(self) -> dict[str, Stage]:
        """The stages by name, in the order in which they are run."""
