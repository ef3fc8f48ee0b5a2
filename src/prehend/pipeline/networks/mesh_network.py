"""A network that answers with a mesh (`h2onet`), as the pipeline wants it: pose and shape besides, and where the joints
are in the crop."""

from collections.abc import Sequence

import numpy as np

from prehend.backends import Backend
from prehend.backends.base import Array
from prehend.errors import WeightsMismatch
from prehend.hand_model import HandModel, load_hand_model
from prehend.hand_model.meshes.fit import pose_of_mesh
from prehend.pipeline.crops.crop import CropSpec, from_box, whole_crop
from prehend.pipeline.crops.letterbox import probability
from prehend.pipeline.crops.uncut import AnyCrop, infer_crops
from prehend.pipeline.frames.memory import NO_PAST, Moment
from prehend.pipeline.networks.base import CropNetwork, Encoded, Maps, MeshAnswer, NetworkAnswer
from prehend.pipeline.networks.network import HandNetwork
from prehend.pipeline.networks.through_time import DECODE, stage_through_time
from prehend.types import FloatArray

_PALM = 5
PART_OF_JOINT = (_PALM, 0, 0, 0, 0, *(part for finger in (1, 2, 3, 4) for part in (_PALM, finger, finger, finger)))
"""Part of the hand (thumb to little finger, palm) whose visibility is taken for each of the 21 joints; knuckles are the
palm's."""

_LOGITS = ("presence_logit", "side_logit")


class MeshNetwork(CropNetwork):
    """A backend with the stages `encode` and `decode`.

    It does not tell whether something is held: the probability of a grasp is NaN, and nothing is looked for.

    Args:
        backend: runs the network.
        temporal_frames: see `through_time.time_stage`.

    Raises:
        WeightsMismatch: its mesh is not that of the shipped hand, or it looks at fewer frames.
    """

    def __init__(self, backend: Backend, temporal_frames: int = 1):
        super().__init__(backend, temporal_frames)
        self._model: HandModel = load_hand_model().without_forearm()
        shape = next(spec.shape for spec in backend.bundle.stages[DECODE].outputs if spec.name == "vertices")
        if shape[1] != self._model.num_vertices:
            raise WeightsMismatch(
                f"weights '{backend.bundle.name}' are for a mesh of {shape[1]} vertices, the hand model has "
                f"{self._model.num_vertices}: take weights that were trained with it"
            )

    def encode(self, crops: Sequence[AnyCrop]) -> Encoded:
        """See `CropNetwork`."""
        out = infer_crops(self._backend, "encode", crops)
        presence, side = (self._log_odds(name, out[name][:, 0]) for name in _LOGITS)
        maps = {name: array.copy() for name, array in out.items() if name not in (*_LOGITS, "places")}
        return Encoded(probability(presence), np.full(len(crops), np.nan), side, maps, out["places"].copy())

    def answer(
        self,
        crops: Sequence[AnyCrop],
        encoded: Encoded,
        rows: Sequence[int],
        holds: Sequence[bool],
        kinds: Sequence[Maps | None] | None = None,
        moments: Sequence[Moment] | None = None,
    ) -> list[NetworkAnswer]:
        """See `CropNetwork`; nothing is looked for that may be held."""
        if not rows:
            return []
        assert self._through_time is not None and encoded.places is not None
        picked = list(rows)
        told = {name: array[picked] for name, array in encoded.maps.items()}
        now, out = self._through_time.run(told, moments or [NO_PAST] * len(picked))
        seen = probability(told["part_logit"])[:, list(PART_OF_JOINT)]
        return [
            self._answer(crops[row].spec, encoded.places[row], seen[k], out["vertices"][k], out["joints"][k])._replace(
                remembered=now[k]
            )
            for k, row in enumerate(picked)
        ]

    def _answer(
        self, spec: CropSpec, places: Array, visibility: FloatArray, vertices: Array, joints: Array
    ) -> NetworkAnswer:
        low, high = spec.hand_box[:2], spec.hand_box[2:]
        keypoints = (from_box(places, whole_crop(spec.size)) - low) / np.maximum(high - low, 1.0)
        if not np.isfinite(vertices).all():  # the decoder says so, by the answer
            return NetworkAnswer(keypoints, np.full((16, 3, 3), np.nan), np.zeros(10), visibility)
        fitted = pose_of_mesh(self._model, vertices)
        mesh = MeshAnswer(vertices.astype(np.float64), joints.astype(np.float64))
        return NetworkAnswer(keypoints, fitted.rotations, fitted.betas, visibility, mesh=mesh)


def open_network(backend: Backend, temporal_frames: int = 1) -> CropNetwork:
    """The network of these weights, of either kind.

    Raises:
        WeightsMismatch: the weights look at fewer frames than `temporal_frames`, or have another mesh than the hand.
    """
    kind = MeshNetwork if stage_through_time(backend.bundle) == DECODE else HandNetwork
    return kind(backend, temporal_frames)
