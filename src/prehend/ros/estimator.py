"""What the node needs of an estimator, and how it gets the real one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from prehend.errors import AssetError, PrehendError
from prehend.io.images import Image
from prehend.object_catalogue import load_objects, object_ids
from prehend.ros.borders import Border
from prehend.ros.convert import ModelFacts
from prehend.ros.params import NodeParams
from prehend.types import Camera, FloatArray, FrameResult

SHIPPED_HAND_LICENSE = "CC0-1.0"
GIVEN_HAND_LICENSE = "that of the file given as parameter hand_model"


class HandEstimator(Protocol):
    """The part of `prehend.pipeline.estimator.Estimator` that the node uses."""

    def estimate(self, image: Image, camera: Camera | None = None, stamp: float | None = None) -> FrameResult:
        """Everything about one image; stamps that go back start from nothing."""

    def reset(self) -> None:
        """Forget all hands."""


@dataclass(frozen=True)
class Loaded:
    """An estimator, what `HandModelInfo` says about it, and what a person should know about the loading."""

    estimator: HandEstimator
    facts: ModelFacts
    notes: tuple[str, ...] = ()


Loader = Callable[[NodeParams], Loaded]


def load_estimator(params: NodeParams) -> Loaded:
    """The estimator that the parameters ask for, warmed up.

    Raises:
        PrehendError: weights, hand model or object are unknown, missing or corrupt.
    """
    from prehend.pipeline.config import EstimatorConfig
    from prehend.pipeline.estimator import Estimator
    from prehend.pipeline.smooth import SmoothConfig
    from prehend.pipeline.track import TrackConfig

    config = EstimatorConfig(
        track=TrackConfig(
            params.max_hands,
            params.find_interval_s,
            params.keep_lost_s,
            find_interval=params.find_interval or None,
        ),
        smooth=SmoothConfig(params.smooth_min_cutoff_hz, params.smooth_beta),
    ).with_min_score(params.min_score)
    with Border(AssetError, "cannot load the estimator"):
        estimator = Estimator.from_pretrained(
            params.model,
            params.backend,
            finder=params.finder,
            config=config,
            object_id=object_ids(params.object_id),
            hand_model=Path(params.hand_model) if params.hand_model else None,
            threads=params.threads,
        )
        estimator.warm_up()
        objects, notes = _objects(params.object_id)
    hand, bundle = estimator.hand_models["right"], estimator.bundle
    facts = ModelFacts(
        faces={side: model.faces for side, model in estimator.hand_models.items()},
        num_vertices=hand.num_vertices,
        hand_model=(hand.name, hand.sha256, GIVEN_HAND_LICENSE if params.hand_model else SHIPPED_HAND_LICENSE),
        weights=(bundle.name, bundle.weights_sha256, str(bundle.manifest.get("licence", ""))),
        backend=params.backend,
        objects=objects,
    )
    return Loaded(estimator, facts, notes)


def _objects(needed: str) -> tuple[dict[str, FloatArray], tuple[str, ...]]:
    """Control points of the catalogue; an object of one's own that is broken matters only to who names one."""
    try:
        return {name: thing.control_points_m for name, thing in load_objects().items()}, ()
    except PrehendError as error:
        if needed:
            raise
        return {}, (f"the object catalogue cannot be read: {error}",)
