"""Hands in whole pictures: a detector of either kind behind one method."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from prehend.backends.base import Backend
from prehend.errors import WeightsMismatch
from prehend.pipeline.center_maps import decode_hands
from prehend.pipeline.letterbox import letterbox
from prehend.pipeline.palms import LARGEST_WIDE, decode_palms
from prehend.types import FoundHand
from prehend.weights import Bundle


class Detector:
    """Finds hands in whole pictures with weights of either kind: `detect` and `detect_wide`, or the older `find`.

    Attributes:
        thresholds: lowest scores by stage, chosen on photographs, as the weights' manifest says.

    Args:
        backend: runs the weights.

    Raises:
        WeightsMismatch: the weights are of no detector.
    """

    def __init__(self, backend: Backend):
        self._backend = backend
        stages = backend.bundle.stages
        if not is_detector(backend.bundle):
            raise WeightsMismatch(f"weights '{backend.bundle.name}' are of no detector: they have no stage 'detect'")
        self._palms = "detect" in stages
        self._sizes = {name: int(stage.inputs[0].shape[-1]) for name, stage in stages.items()}
        self.thresholds: Mapping[str, float] = backend.bundle.manifest.get("thresholds", {})

    @property
    def gives_regions(self) -> bool:
        """Whether hands come with a direction."""
        return self._palms

    def stage(self, wide: bool) -> str:
        """The stage that `look` runs."""
        return "find" if not self._palms else "detect_wide" if wide else "detect"

    def look(
        self, image: NDArray[np.uint8], *, wide: bool = False, threshold: float | None = None, max_hands: int = 2
    ) -> list[FoundHand]:
        """The hands in a picture, best first, one a place.

        Args:
            image: (H, W, 3) uint8 RGB.
            wide: look at the picture in a larger size, for small hands, at about the square of the cost; without effect
                with weights of the older kind.
            threshold: lowest score, None for what the weights' manifest says.
            max_hands: most hands.
        """
        stage = self.stage(wide)
        lowest = self.thresholds.get(stage, 0.5) if threshold is None else threshold
        picture = letterbox(image, self._sizes[stage])
        outputs = self._backend.infer(stage, {"image": picture.image[None]})
        if not self._palms:
            return decode_hands(outputs, picture, lowest, max_hands)
        largest = LARGEST_WIDE * max(picture.image_size) if wide else math.inf
        return decode_palms(outputs, picture, lowest, max_hands, largest)

    def warm_up(self) -> None:
        """Run every stage once on nothing."""
        for stage, size in self._sizes.items():
            self._backend.infer(stage, {"image": np.zeros((1, 3, size, size), np.float32)})

    def close(self) -> None:
        """Let go of the backend."""
        self._backend.close()


def is_detector(bundle: Bundle) -> bool:
    """Whether weights are of a detector of either kind."""
    return bool({"find", "detect"} & set(bundle.stages))
