"""What an estimator of one camera and one of several have in common: opened networks, hand models, known objects."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, TypeVar

from prehend.backends import Backend
from prehend.conventions import Side
from prehend.hand_model.model import HandModel
from prehend.object_catalogue import ObjectModel
from prehend.pipeline.detection.detect import Detector
from prehend.pipeline.hypotheses.follow import FollowedHypotheses
from prehend.pipeline.networks.hands import HandModels
from prehend.pipeline.networks.mesh_network import open_network
from prehend.pipeline.observing.infer import Inference, kinds_of
from prehend.pipeline.observing.observe import Observer
from prehend.pipeline.options import EstimatorOptions, check_live
from prehend.pipeline.parts import objects_of
from prehend.weights import Bundle

T = TypeVar("T", bound="EstimatorBase")


class _Live(Protocol):
    def use(self, options: EstimatorOptions) -> None: ...


class EstimatorBase:
    """An estimator but for the way of a frame; arguments and errors as of `Estimator`."""

    _hypotheses: FollowedHypotheses | None
    """Set by who knows how many there are: what says how they run and warms them up."""
    _live: Sequence[_Live]
    """Further parts that go on with other options; set likewise."""

    def __init__(
        self,
        backend: Backend,
        detector: Backend | None,
        config: EstimatorOptions | None,
        hand_model: HandModel | None,
        object_model: ObjectModel | Sequence[ObjectModel] | None,
        prior: Backend | None,
    ):
        self._options = config or EstimatorOptions()
        self._objects = (object_model,) if isinstance(object_model, ObjectModel) else tuple(object_model or ())
        self._backend, self._hands, self._prior = backend, HandModels(backend.bundle, hand_model), prior
        self._detector = None if detector is None else Detector(detector)
        self._network = open_network(backend, self._options.temporal_frames)
        self._inference = Inference(self._network, self._options, kinds_of(self._objects))
        self._observer = Observer(self._hands, self._objects, self._options)

    @property
    def options(self) -> EstimatorOptions:
        """What it goes by."""
        return self._options

    @property
    def bundle(self) -> Bundle:
        """The hand network's weights and where they come from."""
        return self._backend.bundle

    @property
    def hand_models(self) -> Mapping[Side, HandModel]:
        """The hand models whose meshes come out; their faces are the faces of `HandEstimate.vertices_m`."""
        return self._hands.by_side

    @property
    def backend(self) -> str:
        """Name of what runs the hand network now, which a fallback changes."""
        return self._backend.name

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how the networks run: on something else than was asked for, say."""
        parts = (self._backend, self._detector, self._hypotheses)
        return tuple(dict.fromkeys(note for part in parts if part is not None for note in part.notes))

    def warm_up(self) -> None:
        """Run every stage once on nothing, so that the first image does not wait for what happens once."""
        for part in (self._network, self._detector, self._hypotheses):
            if part is not None:
                part.warm_up()

    def change(self, options: EstimatorOptions) -> None:
        """Go on with other options from the next image on; hands that are followed keep their numbers.

        Args:
            options: those of now, but for some of `options.LIVE`.

        Raises:
            ParameterError: another option differs: it counts from the start.
            UnknownName: there is no such object.
            AssetError: the object catalogue cannot be read.
        """
        check_live(self._options, options)
        if options.object_id != self._options.object_id:
            self._objects = tuple(objects_of(options))
        self._observer.use(options, self._objects)
        self._inference.use(options, kinds_of(self._objects))
        for part in self._live:
            part.use(options)
        self._options = options

    def close(self) -> None:
        """Let go of the backends."""
        for part in (self._inference, self._backend, self._detector, self._prior):
            if part is not None:
                part.close()

    def __enter__(self: T) -> T:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
