"""What an estimator is put together from: weights on their backends, hand model, known objects."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, TypeVar, cast

from prehend.backends import Backend, BackendSettings, open_backend
from prehend.backends.settings import FULL
from prehend.errors import EngineMismatch, WeightsMismatch
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.model import HandModel
from prehend.object_catalogue import ObjectModel, find_object, load_objects
from prehend.pipeline.detection.detect import is_detector
from prehend.pipeline.options import EstimatorOptions, changed
from prehend.weights import Bundle, load_bundle

_LOG = logging.getLogger(__name__)

T = TypeVar("T", bound="FromPretrained")


PRIOR = "hhmr-xs"
"""Weights of the prior for hands, see `prehend.prior`."""

HAND_STAGES = {"encode", "object", "hand"}, {"encode", "decode"}
"""Stages of hand networks: that answer with pose and shape, and that answer with a mesh."""


class Parts(TypedDict):
    """The arguments of `Estimator`."""

    backend: Backend
    detector: Backend
    config: EstimatorOptions
    hand_model: HandModel
    object_model: list[ObjectModel]
    prior: Backend | None


def open_parts(options: EstimatorOptions) -> Parts:
    """The parts that options ask for; errors as of `load.load_estimator`."""
    bundle, detector = load_bundle(options.model), load_bundle(options.detector)
    if not any(stages <= set(bundle.stages) for stages in HAND_STAGES):
        kinds = " or ".join(", ".join(sorted(stages)) for stages in HAND_STAGES)
        raise WeightsMismatch(f"weights '{bundle.name}' have not the stages {kinds}")
    if not is_detector(detector):
        raise WeightsMismatch(f"weights '{detector.name}' have neither the stage detect nor find")
    settings = options.settings
    # a detector has convolutions only, which int8 leaves alone
    for_detector = replace(settings, precision=FULL) if settings.precision == "int8" else settings
    return {
        "backend": _opened(options.backend, bundle, settings),
        "detector": _opened(options.backend, detector, for_detector),
        "config": options,
        "hand_model": load_hand_model(Path(options.hand_model) if options.hand_model else None),
        "object_model": objects_of(options),
        "prior": _prior(options) if options.hypotheses else None,
    }


def _prior(options: EstimatorOptions) -> Backend:
    """The prior that comes along, on the processor whatever runs the hand network: its network is small."""
    return open_backend("onnx", load_bundle(PRIOR), BackendSettings(threads=options.threads))


def objects_of(options: EstimatorOptions) -> list[ObjectModel]:
    """What the options say that hands may hold.

    Raises:
        UnknownName: there is no such object.
        AssetError: the object catalogue cannot be read.
    """
    catalogue = load_objects(options.object_folder) if options.object_ids else {}
    return [find_object(catalogue, name) for name in options.object_ids]


def _opened(name: str, bundle: Bundle, settings: BackendSettings) -> Backend:
    """A backend; with `engine_policy` "build" its engine is made first where the right one is not there."""
    try:
        return open_backend(name, bundle, settings)
    except EngineMismatch as why:
        if settings.engine_policy != "build":
            raise
        _LOG.warning("prehend: %s; building it now, which may take minutes", why)
    from prehend.export.engine import export_engine  # torch and onnx, which nobody needs who finds an engine

    export_engine(bundle, name, settings)
    return open_backend(name, bundle, settings)


class FromPretrained:
    """`Estimator.from_pretrained` as it once was; goes with the next version."""

    @classmethod
    def from_pretrained(
        cls: type[T],
        model: str | Path = "unihope-s",
        backend: str = "onnx",
        *,
        finder: str | Path = "palm",
        config: EstimatorOptions | None = None,
        object_id: str | Sequence[str] | None = None,
        objects: Path | None = None,
        hand_model: Path | None = None,
        threads: int = 0,
    ) -> T:
        """Use `load.load_estimator`, whose options have the same names but for `finder`, now `detector`, and `objects`,
        now `object_folder`."""
        warnings.warn(
            "Estimator.from_pretrained goes with the next version: use prehend.pipeline.load.load_estimator, "
            "whose option for the detector is `detector`",
            FutureWarning,
            stacklevel=2,
        )
        given: dict[str, Any] = {"model": model, "backend": backend, "detector": finder, "threads": threads}
        given |= {"object_id": object_id or (), "object_folder": objects, "hand_model": hand_model}
        return cls(**cast(Any, open_parts(changed(config or EstimatorOptions(), **given))))
