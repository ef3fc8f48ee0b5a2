"""The hand network's stages in their order; the object stage runs only for hands that hold something."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from prehend.backends.base import Backend
from prehend.conventions import OBJECT_KIND_SIZE
from prehend.pipeline.crops.letterbox import probability
from prehend.pipeline.crops.uncut import AnyCrop, infer_crops
from prehend.pipeline.frames.memory import NO_PAST, Moment, Remembered
from prehend.pipeline.networks.base import (
    CropNetwork,
    Encoded,
    Maps,
    NetworkAnswer,
    PoseAnswer,
    ThingAnswer,
    input_shape,
)
from prehend.pipeline.networks.pose_refine import pose_covariance

ANSWERS = ("presence_logit", "grasp_logit", "side_logit")
"""What stage `encode` answers with one logit each."""

_SYMMETRIC = np.array([[0, 3, 4], [3, 1, 5], [4, 5, 2]])
"""Place in a symmetric matrix of each of xx, yy, zz, xy, xz, yz."""


class HandNetwork(CropNetwork):
    """A backend with the stages `encode`, `object` and `hand`, and perhaps `fuse_frames`.

    Args:
        backend: runs the network.
        temporal_frames: see `through_time.time_stage`.

    Raises:
        WeightsMismatch: the weights look at fewer frames, or their calibration is garbled.
    """

    def __init__(self, backend: Backend, temporal_frames: int = 1):
        super().__init__(backend, temporal_frames)
        self._pose_covariance = pose_covariance(backend.bundle.manifest)

    def encode(self, crops: Sequence[AnyCrop]) -> Encoded:
        """See `CropNetwork`."""
        out = infer_crops(self._backend, "encode", crops)
        presence, grasp, side = (self._log_odds(name, out[name][:, 0]) for name in ANSWERS)
        presence, grasp = probability(presence), probability(grasp)
        places = out["places"].copy() if "places" in out else None
        maps = {name: out[name].copy() for name in ("hand_map", "object_source")}
        return Encoded(presence, grasp, side, maps, places)

    def answer(
        self,
        crops: Sequence[AnyCrop],
        encoded: Encoded,
        rows: Sequence[int],
        holds: Sequence[bool],
        kinds: Sequence[Maps | None] | None = None,
        moments: Sequence[Moment] | None = None,
    ) -> list[NetworkAnswer]:
        """See `CropNetwork`."""
        if not rows:
            return []
        picked = list(rows)
        out, things = self.hand_outputs(crops, encoded, picked, holds, kinds)
        now: Sequence[Remembered | None] = [None] * len(picked)
        alone: Sequence[PoseAnswer | None] = [None] * len(picked)
        if self._through_time is not None:
            alone = [PoseAnswer(*pair) for pair in zip(out["rotations"], out["betas"], strict=True)]
            now, fused = self._through_time.run(out, moments or [NO_PAST] * len(picked))
            out |= fused
        visibility = probability(out["visibility_logit"])
        log_std = out.get("keypoint_log_std")
        std = [None] * len(picked) if log_std is None else np.exp(np.asarray(log_std, np.float64))
        return [
            NetworkAnswer(
                out["keypoints"][k],
                out["rotations"][k],
                out["betas"][k],
                visibility[k],
                things.get(k, ()),
                std[k],
                remembered=now[k],
                pose_covariance=self._pose_covariance,
                alone=alone[k],
            )
            for k in range(len(picked))
        ]

    def hand_outputs(
        self,
        crops: Sequence[AnyCrop],
        encoded: Encoded,
        picked: Sequence[int],
        holds: Sequence[bool],
        kinds: Sequence[Maps | None] | None = None,
    ) -> tuple[dict[str, Maps], dict[int, tuple[ThingAnswer, ...]]]:
        """Outputs of stage `hand` for some of the crops, and what stage `object` says where it was run, by place among
        them; arguments as of `answer`."""
        picked = list(picked)
        hand_map = _rows(encoded.maps["hand_map"], picked)
        hand_box = np.stack([crops[row].spec.hand_box for row in picked])
        grasp = np.asarray(holds, np.float32)[:, None]
        roi = np.zeros((len(picked), *input_shape(self._backend, "hand", "object_roi")), np.float32)
        things: dict[int, tuple[ThingAnswer, ...]] = {}
        holding = [k for k, hold in enumerate(holds) if hold]
        told = [None if kinds is None else kinds[k] for k in holding]
        for k, (feature, answers) in zip(
            holding, self._things(crops, encoded, [picked[k] for k in holding], told), strict=True
        ):
            roi[k], things[k] = feature, answers
        inputs = {"hand_map": hand_map, "hand_box": hand_box, "object_roi": roi, "grasp": grasp}
        if self._takes("hand", "places") and encoded.places is not None:
            inputs["places"] = encoded.places[picked]
        return {name: array.copy() for name, array in self._backend.infer("hand", inputs).items()}, things

    def _things(
        self, crops: Sequence[AnyCrop], encoded: Encoded, rows: Sequence[int], kinds: Sequence[Maps | None]
    ) -> list[tuple[Maps, tuple[ThingAnswer, ...]]]:
        """The object's feature for the hands of some crops, and an answer for each description of each: one call of
        stage `object` for all of them."""
        if not rows:
            return []
        nothing = np.zeros((1, OBJECT_KIND_SIZE), np.float32)
        is_told = self._takes("object", "object_kind")
        told = [kind if is_told and kind is not None and len(kind) else nothing for kind in kinds]
        counts = [len(kind) for kind in told]
        repeated = np.repeat(rows, counts)
        inputs = {
            "object_source": _rows(encoded.maps["object_source"], repeated),
            "hand_map": _rows(encoded.maps["hand_map"], repeated),
            "hand_box": np.stack([crops[row].spec.hand_box for row in repeated]),
            "object_box": np.stack([crops[row].spec.object_box for row in repeated]),
        }
        if self._takes("object", "places") and encoded.places is not None:
            inputs["places"] = encoded.places[repeated]
        if is_told:
            inputs["object_kind"] = np.concatenate(told)
        out = {name: array.copy() for name, array in self._backend.infer("object", inputs).items()}
        match = out.get("object_match", np.zeros((len(repeated), 1)))
        silent = [None] * len(repeated)
        extents, scales = out.get("object_extents", silent), out.get("object_scale", silent)
        moments = out["object_moments"][:, _SYMMETRIC] if "object_moments" in out else silent
        answers = [
            ThingAnswer(points, float(fits), *rest)
            for points, fits, *rest in zip(out["object_points"], match[:, 0], extents, scales, moments, strict=True)
        ]
        starts = np.cumsum([0, *counts[:-1]])
        return [
            (out["object_roi"][start], tuple(answers[start : start + count]))
            for start, count in zip(starts, counts, strict=True)
        ]

    def _takes(self, stage: str, name: str) -> bool:
        return any(spec.name == name for spec in self._backend.bundle.stages[stage].inputs)


def _rows(maps: Maps, rows: Sequence[int] | NDArray[np.integer]) -> Maps:
    """Some rows; without a copy where they are all, in order."""
    whole = len(rows) == len(maps) and all(row == k for k, row in enumerate(rows))
    return maps if whole else maps[list(rows)]
