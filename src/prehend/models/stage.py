"""Stages: the named parts of a network that run on their own at inference and are exported one by one."""

from dataclasses import dataclass
from typing import Protocol

Shape = tuple[int | str, ...]
"""A name stands for a free size, `B` for the batch."""


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


class Staged(Protocol):
    """A network that is run stage by stage."""

    def stages(self) -> dict[str, Stage]:
        """The stages by name."""
        ...
