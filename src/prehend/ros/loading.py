"""What the node needs of an estimator, and how it gets the real one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from prehend.io.images import Image
from prehend.ros.convert import ModelFacts
from prehend.ros.params import NodeParams
from prehend.types import Camera, FrameResult


class HandEstimator(Protocol):
    """The part of `prehend.pipeline.estimator.Estimator` that the node uses."""

    def estimate(self, image_rgb: Image, camera: Camera | None = None, stamp: float | None = None) -> FrameResult:
        """Everything about one image."""

    def reset(self) -> None:
        """Forget tracks and histories."""


@dataclass(frozen=True)
class Loaded:
    """An estimator and what `HandModelInfo` says about it."""

    estimator: HandEstimator
    facts: ModelFacts


Loader = Callable[[NodeParams], Loaded]


def load_estimator(params: NodeParams) -> Loaded:
    raise NotImplementedError
