"""What an estimator is put together from: weights on their backends, hand model, known objects."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict, TypeVar, cast

from prehend.backends import Backend, open_backend
from prehend.errors import WeightsMismatch
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.model import HandModel
from prehend.object_catalogue import ObjectModel, find_object, load_objects
from prehend.pipeline.detect import is_detector
from prehend.pipeline.options import EstimatorOptions, changed
from prehend.weights import load_bundle

T = TypeVar("T", bound="FromPretrained")


class Parts(TypedDict):
    """The arguments of `Estimator`."""

    backend: Backend
    detector: Backend
    config: EstimatorOptions
    hand_model: HandModel
    object_model: list[ObjectModel]


def open_parts(options: EstimatorOptions) -> Parts:
    """The parts that options ask for; errors as of `load.load_estimator`."""
    bundle, detector = load_bundle(options.model), load_bundle(options.detector)
    if not (stages := {"encode", "object", "hand"}) <= set(bundle.stages):
        raise WeightsMismatch(f"weights '{bundle.name}' have not the stages {', '.join(sorted(stages))}")
    if not is_detector(detector):
        raise WeightsMismatch(f"weights '{detector.name}' have neither the stage detect nor find")
    catalogue = load_objects(options.object_folder) if options.object_ids else {}
    return {
        "backend": open_backend(options.backend, bundle, threads=options.threads),
        "detector": open_backend(options.backend, detector, threads=options.threads),
        "config": options,
        "hand_model": load_hand_model(Path(options.hand_model) if options.hand_model else None),
        "object_model": [find_object(catalogue, name) for name in options.object_ids],
    }


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
