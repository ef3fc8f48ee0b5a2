"""The one way to an estimator, and what everybody who uses one may rely on."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from prehend.conventions import Side
from prehend.hand_model.model import HandModel
from prehend.pipeline.depth.register import Depth
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.frames.targets import Image
from prehend.pipeline.options import EstimatorOptions, changed
from prehend.pipeline.parts import open_parts
from prehend.types import Camera, FoundHand, FrameResult
from prehend.weights import Bundle


class HandEstimator(Protocol):
    """What commands and node use of an `Estimator`; anything with these methods will do."""

    @property
    def hand_models(self) -> Mapping[Side, HandModel]:
        """Meshes, for their faces."""

    @property
    def drops(self) -> dict[str, int]:
        """Hands that were given up, by reason."""

    @property
    def bundle(self) -> Bundle:
        """The weights."""

    @property
    def backend(self) -> str:
        """Name of what runs the hand network."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how the networks run."""

    def estimate(
        self,
        image: Image,
        camera: Camera | None = None,
        stamp: float | None = None,
        boxes: Sequence[FoundHand] | None = None,
        depth: Depth | None = None,
        hypotheses: bool = True,
    ) -> FrameResult:
        """Everything about one image; stamps that go back start from nothing."""

    def warm_up(self) -> None:
        """Do what the first image would wait for."""

    def change(self, options: EstimatorOptions) -> None:
        """Go on with other options, of those that may change while it runs."""

    def reset(self) -> None:
        """Forget all hands."""

    def close(self) -> None:
        """Let go of the backends."""


def load_estimator(options: EstimatorOptions | None = None, **changes: Any) -> Estimator:
    """Load weights and open them on a backend: `load_estimator(model="unihope-s", min_score=0.5)`.

    Args:
        options: None for the defaults.
        changes: options by name, in place of those of `options`.

    With `temporal_lag_s` above 0 `Estimator.estimate` smooths nothing and holds nothing back: put what it says into a
    `prehend.pipeline.lag.FixedLag(estimator.options, estimator.hand_models)`, which does both.

    Raises:
        UnknownName: no such option, weights, backend or object.
        ParameterError: an option is of another kind or out of range.
        AssetError: a file is missing or corrupt.
        MissingDependency: what the backend runs on is not installed.
        EngineMismatch: the engine that is asked for is missing or belongs to something else.
        DeviceError: the device that is asked for is missing.
        WeightsMismatch: `model` has not the stages of a hand network, or `detector` not that of a detector.
    """
    return Estimator(**open_parts(changed(options or EstimatorOptions(), **changes)))
