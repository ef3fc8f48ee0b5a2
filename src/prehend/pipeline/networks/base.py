"""What a crop network says of crops, of whichever kind it is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.backends.base import Backend, calls_at_once, cutting
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.pipeline.crops.crop import CropSpec
from prehend.pipeline.crops.uncut import AnyCrop, CropSource
from prehend.pipeline.frames.memory import Moment, Remembered
from prehend.pipeline.networks.fresh import FreshRule, fresh_rule
from prehend.pipeline.networks.through_time import time_stage
from prehend.types import Box, FloatArray

Maps = NDArray[np.float32]

SURE_PRESENCE = 0.985
"""Presence from which there is a hand where the detector is unsure, where the weights do not say another: chosen on
photographs for validation with calibrated weights."""


class Encoded(NamedTuple):
    """Answer of stage `encode` for B crops.

    Attributes:
        presence, grasp: (B,) probabilities that the crop shows a hand, and that it grasps.
        side_logit: (B,) logit that it shows a right hand, as it should; 0 of weights that were never taught sides.
        maps: what the later stages need, (B, ...) by name.
        places: (B, 21, 2) where the joints are, in units of the whole crop (see `crop.whole_crop`); None of weights
            that do not tell yet.
    """

    presence: FloatArray
    grasp: FloatArray
    side_logit: FloatArray
    maps: dict[str, Maps]
    places: Maps | None = None

    def put(self, rows: Sequence[int], other: "Encoded", other_rows: Sequence[int]) -> None:
        """Overwrite some rows with rows of another answer."""
        pairs = [(self.presence, other.presence), (self.grasp, other.grasp), (self.side_logit, other.side_logit)]
        pairs += [(mine, other.maps[name]) for name, mine in self.maps.items()]
        if self.places is not None and other.places is not None:
            pairs.append((self.places, other.places))
        for mine, theirs in pairs:
            mine[list(rows)] = theirs[list(other_rows)]


class ThingAnswer(NamedTuple):
    """What stage `object` says of a held object, told one description of it.

    Attributes:
        points: (21, G, 3) x, y in units of the object's box and confidence of each grid cell.
        match: log-odds that the description fits; 0 of weights that do not tell.
        extents_m: (3,) its size as it seems [m]; None of weights that do not tell.
        scale: (2,) log of the share of the crop's side that `KIND_UNIT_M` cover at the object's centre, and the log of
            its standard deviation; None of weights that do not tell.
        moments: (3, 3) how its box lies in the crop frame, see `geometry.placing`; None of weights that do not tell.
    """

    points: FloatArray
    match: float = 0.0
    extents_m: FloatArray | None = None
    scale: FloatArray | None = None
    moments: FloatArray | None = None


class MeshAnswer(NamedTuple):
    """A mesh that the network gives itself: vertices (V, 3) and joints (21, 3) in the crop frame, relative to the wrist
    [m]."""

    vertices: FloatArray
    joints: FloatArray


class PoseAnswer(NamedTuple):
    """Pose and shape in one crop: rotations (16, 3, 3), the first from the hand to the crop frame, and betas (10,)."""

    rotations: FloatArray
    betas: FloatArray


class NetworkAnswer(NamedTuple):
    """Answer for one crop, in the crop's pixels and frame, as of a right hand.

    Attributes:
        keypoints: (21, 2) in units of the hand's box.
        rotations: (16, 3, 3), the first from the hand to the crop frame.
        betas: (10,).
        visibility: (21,) probabilities.
        things: what stage `object` says, an answer for each description of what may be held; none where that stage was
            not run.
        keypoint_std: (21,) standard deviations of the keypoints in units of the longer side of the hand's box; None of
            weights that do not tell.
        mesh: of networks that answer with one; pose and shape are then what the hand model needs to come near it.
        remembered: what later frames need of this one; None of weights that look at single frames.
        pose_covariance: (48, 48) of the errors of the rotations, see `pose_refine`; None of weights that do not tell.
        alone: pose and shape as this image alone tells them, where several say `rotations` and `betas`; None else.
    """

    keypoints: FloatArray
    rotations: FloatArray
    betas: FloatArray
    visibility: FloatArray
    things: tuple[ThingAnswer, ...] = ()
    keypoint_std: FloatArray | None = None
    mesh: MeshAnswer | None = None
    remembered: Remembered | None = None
    pose_covariance: FloatArray | None = None
    alone: PoseAnswer | None = None


class CropNetwork(ABC):
    """A backend whose first stage is `encode`; how it comes from there to an answer is its kind's.

    Args:
        backend: runs the network.
        temporal_frames: see `through_time.time_stage`.

    Raises:
        WeightsMismatch: the weights look at fewer frames.
    """

    def __init__(self, backend: Backend, temporal_frames: int = 1):
        self._backend = backend
        self._through_time = time_stage(backend, temporal_frames)
        self._calibration: Mapping[str, Mapping[str, float]] = backend.bundle.manifest.get("calibration", {})
        self._fresh = fresh_rule(backend.bundle.manifest)

    @property
    def crop_size(self) -> int:
        """Side of the crops it takes [px]."""
        return input_shape(self._backend, "encode", "image")[-1]

    @property
    def sure(self) -> float:
        """Presence of a crop from which there is a hand where the detector is unsure, as the weights' manifest says."""
        return float(self._calibration.get("presence", {}).get("sure", SURE_PRESENCE))

    @property
    def fresh(self) -> FreshRule | None:
        """Whether what the detector found is a hand, as the weights' manifest says; None where it does not: then it is
        by presence alone."""
        return self._fresh

    @property
    def at_once(self) -> int:
        """How many threads may look at crops at the same time, and had better; see `calls_at_once`."""
        return calls_at_once(self._backend)

    @property
    def upright(self) -> bool:
        """Whether its crops are turned along the hand: those of weights that know no places were taught as they stand
        in the image."""
        return any(spec.name == "places" for spec in self._backend.bundle.stages["encode"].outputs)

    @property
    def looks_back(self) -> bool:
        """Whether `answer` draws on what is remembered of a hand."""
        return self._through_time is not None

    def picture(self, image: NDArray[Any]) -> CropSource:
        """An (H, W, 3) uint8 RGB image of which crops for this network are cut."""
        return CropSource(image, on_device=cutting(self._backend) is not None)

    def warm_up(self) -> None:
        """Run every stage once on nothing, and load SciPy, which the first held object would wait 0.3 s for."""
        size = self.crop_size
        spec = CropSpec.from_box(Box(0, 0, size - 1, size - 1), "right", (size, size), size=size)
        crops = [self.picture(np.zeros((size, size, 3), np.uint8)).cut(spec)]
        self.answer(crops, self.encode(crops), [0], [True])
        matrix_from_axis_angle(np.zeros(3))

    @abstractmethod
    def encode(self, crops: Sequence[AnyCrop]) -> Encoded:
        """Look at all crops at once."""

    @abstractmethod
    def answer(
        self,
        crops: Sequence[AnyCrop],
        encoded: Encoded,
        rows: Sequence[int],
        holds: Sequence[bool],
        kinds: Sequence[Maps | None] | None = None,
        moments: Sequence[Moment] | None = None,
    ) -> list[NetworkAnswer]:
        """The answers for some of the crops.

        Args:
            crops: those that were encoded.
            encoded: answer of `encode`.
            rows: which crops.
            holds: for each of them, whether to look for an object; s of UniHOPE's eq. (3).
            kinds: for each of them, (K, 10) descriptions of what it may hold (see `object_catalogue.object_kind`), None
                for none. Weights that cannot be told answer once.
            moments: for each of them, when it is looked at and what is remembered of its hand; None: nothing.
        """

    def _log_odds(self, name: str, logits: Maps) -> FloatArray:
        """(B,) logits as log-odds, by the manifest's scale and offset where it has them."""
        told = self._calibration.get(name.removesuffix("_logit"), {})
        return float(told.get("scale", 1.0)) * logits.astype(np.float64) + float(told.get("offset", 0.0))


def input_shape(backend: Backend, stage: str, name: str) -> tuple[int, ...]:
    """Sizes of an input of a stage without the batch axis, from the bundle's manifest."""
    spec = next(spec for spec in backend.bundle.stages[stage].inputs if spec.name == name)
    return tuple(int(size) for size in spec.shape[1:])
