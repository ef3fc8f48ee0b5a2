"""The node's estimator and what is told of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from prehend.errors import AssetError, FramesMismatch, PrehendError
from prehend.object_catalogue import load_objects
from prehend.ros.conversion.convert import ModelFacts
from prehend.ros.middleware.borders import Border
from prehend.ros.params import NodeParams
from prehend.types import FloatArray

if TYPE_CHECKING:
    from prehend.pipeline.cameras import CamerasEstimator
    from prehend.pipeline.load import HandEstimator
    from prehend.pipeline.options import EstimatorOptions
    from prehend.rig.estimator import RigEstimator

SHIPPED_HAND_LICENSE = "CC0-1.0"
GIVEN_HAND_LICENSE = "that of the file given as parameter hand_model"


@dataclass(frozen=True)
class Loaded:
    """An estimator, what `HandModelInfo` says about it, what a person should know about the loading, and the line that
    says what was loaded."""

    estimator: "HandEstimator"
    facts: ModelFacts
    notes: tuple[str, ...] = ()
    said: str = "loaded"


@dataclass(frozen=True)
class LoadedCameras:
    """The same for several cameras.

    Attributes:
        cameras: what looks at their images.
        rig: what fuses them, with parameter `rig`; else None.
    """

    cameras: "CamerasEstimator"
    rig: "RigEstimator | None"
    facts: ModelFacts
    notes: tuple[str, ...] = ()
    said: str = "loaded"

    def close(self) -> None:
        """Let go of the backends."""
        self.cameras.close()


Loader = Callable[[NodeParams], Loaded]
CamerasLoader = Callable[[NodeParams], LoadedCameras]
AnyLoaded = TypeVar("AnyLoaded", Loaded, LoadedCameras)


def load_what_can_be(
    load: Callable[[NodeParams], AnyLoaded], params: NodeParams
) -> tuple[AnyLoaded, NodeParams, tuple[str, ...]]:
    """What the parameters ask for; weights that look at fewer frames than `temporal_frames` take as many as they can.

    A robot's hands are worth more than their fusion: commands and Python refuse instead.

    Returns:
        What was loaded, the parameters that count from now on, and what a person should know of the difference.

    Raises:
        PrehendError: see `load_for`.
    """
    try:
        return load(params), params, ()
    except FramesMismatch as why:
        fewer = params.updated({"temporal_frames": why.most})
        return load(fewer), fewer, (f"{why}; the node goes on with {why.most}",)


def load_for(params: NodeParams) -> Loaded:
    """The estimator that the parameters ask for, warmed up.

    Raises:
        PrehendError: weights, hand model or object are unknown, missing or corrupt.
    """
    from prehend.pipeline.load import load_estimator

    with Border(AssetError, "cannot load the estimator"):
        options = params.options()
        estimator = load_estimator(options)
        estimator.warm_up()
        objects, notes = _objects(bool(options.object_ids))
    facts = _facts(estimator, params, objects)
    return Loaded(estimator, facts, (*params.notes(), *notes), _said(options, estimator))


def load_cameras_for(params: NodeParams) -> LoadedCameras:
    """What parameters `cameras` and `rig` ask for, warmed up; errors as of `load_for`."""
    from prehend.pipeline.cameras import load_cameras
    from prehend.rig.estimator import load_rig

    with Border(AssetError, "cannot load the estimator"):
        options, names = params.options(), params.camera_names()
        rig = load_rig(names, options) if params.rig else None
        cameras = load_cameras(names, options) if rig is None else rig.cameras
        cameras.warm_up()
        objects, notes = _objects(bool(options.object_ids))
    facts, said = _facts(cameras, params, objects), _said(options, cameras)
    return LoadedCameras(cameras, rig, facts, (*params.notes(), *notes), said)


def _facts(
    estimator: "HandEstimator | CamerasEstimator", params: NodeParams, objects: dict[str, FloatArray]
) -> ModelFacts:
    hand, bundle = estimator.hand_models["right"], estimator.bundle
    return ModelFacts(
        faces={side: model.faces for side, model in estimator.hand_models.items()},
        num_vertices=hand.num_vertices,
        hand_model=(hand.name, hand.sha256, GIVEN_HAND_LICENSE if params.hand_model else SHIPPED_HAND_LICENSE),
        weights=(bundle.name, bundle.weights_sha256, str(bundle.manifest.get("licence", ""))),
        backend=estimator.backend,
        objects=objects,
        lag_s=params.temporal_lag_s,
    )


def _said(options: "EstimatorOptions", estimator: "HandEstimator | CamerasEstimator") -> str:
    """What was loaded, in words."""
    asked = (options.backend, options.provider, options.precision)
    on = (
        estimator.backend if estimator.notes else " ".join(word for word in asked if word)
    )  # notes: something else runs
    things = f", to hold {', '.join(options.object_ids)}" if options.object_ids else ""
    threads = f"{options.threads} threads" if options.threads else "all threads"
    return f"{estimator.bundle.name} and detector {options.detector} on {on}, {threads}{things}"


def check_objects(options: "EstimatorOptions") -> None:
    """Raise `PrehendError` where the options name an object that cannot be had."""
    from prehend.pipeline.parts import objects_of

    with Border(AssetError, "cannot load the objects"):
        objects_of(options)


def _objects(needed: bool) -> tuple[dict[str, FloatArray], tuple[str, ...]]:
    """Control points of the catalogue; an object of one's own that is broken matters only to who names one."""
    try:
        return {name: thing.control_points_m for name, thing in load_objects().items()}, ()
    except PrehendError as error:
        if needed:
            raise
        return {}, (f"the object catalogue cannot be read: {error}",)
