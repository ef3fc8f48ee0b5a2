"""Hands in whole images: a detector of either kind behind one method, and when a second, wide look is worth it."""

import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.backends.base import Backend
from prehend.errors import InvalidInput, WeightsMismatch
from prehend.pipeline.crops.letterbox import SAME_HAND_IOU, letterbox
from prehend.pipeline.detection.center_maps import decode_hands
from prehend.pipeline.detection.palms import LARGEST_WIDE, decode_palms
from prehend.pipeline.options import EstimatorOptions
from prehend.types import FoundHand
from prehend.weights import Bundle

DETECTOR_SCORE = 0.2
"""Lowest score of a new hand where neither the caller nor the detector's weights say one."""

KEEP_SHARE = 0.5
"""A hand that is followed may be found again with this share of that score."""

UNSURE = "_unsure"
"""Behind a stage's name among the thresholds of a detector's weights: lowest score of a new hand that the hand network
has to be sure of (see `CropNetwork.sure`). Weights without one have no such hands, nor has `detector_score`."""


class Wanted(NamedTuple):
    """What the tracker wants of the detector in a frame.

    Attributes:
        most: most hands.
        followed: whether any hand is followed, in view or not.
        in_view: whether one is followed and not out of sight.
        wide: whether a wide look may follow a normal one that finds nothing.
        again: it has looked at this image, and what it found is no hand: only the wide look is wanted.
    """

    most: int
    followed: bool
    in_view: bool
    wide: bool
    again: bool = False


class Detections(NamedTuple):
    """The detector's answer for a frame.

    Attributes:
        hands: best first.
        new_score: score from which one may be new; the others only bring back hands that are followed.
        wide: whether a wide look was taken.
        unsure: further ones, best first, that are new only where the hand network is sure of them.
    """

    hands: list[FoundHand]
    new_score: float
    wide: bool
    unsure: tuple[FoundHand, ...] = ()


class _Lowest(NamedTuple):
    """Lowest scores: of a new hand, of one that the hand network has to be sure of, and of one that is followed."""

    new: float
    unsure: float
    keep: float


@dataclass
class _Beside:
    """A look that is taken beside: shape of the image, what takes it, and the answer to come once it is begun."""

    shape: tuple[int, ...]
    look: Callable[[], Detections]
    answer: "Future[Detections] | None" = None


class Detector:
    """Finds hands in whole images with weights of either kind: `detect` and `detect_wide`, or the older `find`.

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

    def stage(self, wide: bool) -> str:
        """The stage that `look` runs."""
        return "find" if not self._palms else "detect_wide" if wide else "detect"

    def look(
        self, image: NDArray[np.uint8], *, wide: bool = False, threshold: float | None = None, max_hands: int = 2
    ) -> list[FoundHand]:
        """The hands in an image, best first, one a place.

        Args:
            image: (H, W, 3) uint8 RGB.
            wide: look at the image in a larger size, for small hands, at about the square of the cost; without effect
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

    @property
    def notes(self) -> tuple[str, ...]:
        """See `Backend.notes`."""
        return self._backend.notes

    def warm_up(self) -> None:
        """Run every stage once on nothing."""
        for stage, size in self._sizes.items():
            self._backend.infer(stage, {"image": np.zeros((1, 3, size, size), np.float32)})

    def close(self) -> None:
        """Let go of the backend."""
        self._backend.close()


class Detection:
    """The detector as the tracker asks for it.

    With option `detector_beside` a look is taken in a thread of its own while a hand is in view; it begins with
    `begin_beside`, when the hand network needs the processor no longer, and the answer is that of a later call.

    Args:
        detector: None where every call brings boxes.
        options: lowest scores.
        pool: a single thread, in which several cameras that share the detector look one after the other; None for one
            of its own.
    """

    def __init__(self, detector: Detector | None, options: EstimatorOptions, pool: ThreadPoolExecutor | None = None):
        self._detector, self._options = detector, options
        self._sees_wide = detector is not None and detector.stage(True) != detector.stage(False)
        beside = detector is not None and options.detector_beside
        self._pool = (pool or look_pool()) if beside else None
        self._look_beside: _Beside | None = None

    def use(self, options: EstimatorOptions) -> None:
        """Go on with other options."""
        self._options = options

    def reset(self) -> None:
        """What is being looked at is of no use any more."""
        self._look_beside = None

    def close(self) -> None:
        """Wait for the thread, if there is one."""
        if self._pool is not None:
            self._pool.shutdown()

    def run(self, image: NDArray[np.uint8], wanted: Wanted) -> Detections | None:
        """Look at an image; wide where a normal look finds nothing and nothing is in view.

        Returns:
            None without a detector, and while it looks; and where it has looked before and has no wide look.

        Raises:
            InvalidInput: there is no detector and no hand is followed.
        """
        if wanted.again and not self._sees_wide:
            return None
        if self._detector is None:
            if wanted.followed:
                return None
            raise InvalidInput("there is no detector: give the boxes of the hands")
        if self._pool is None:
            return self._run(self._detector, image, wanted)
        if not wanted.in_view:  # there is nothing else to do; the pool keeps this after a look that goes on
            self._look_beside = None
            return self._pool.submit(self._run, self._detector, image, wanted).result()
        return self._beside(self._detector, image, wanted)

    def begin_beside(self) -> None:
        """The hand network is done with the image: the look that waits for this may begin."""
        waits = self._look_beside
        if self._pool is not None and waits is not None and waits.answer is None:
            waits.answer = self._pool.submit(waits.look)

    def _beside(self, detector: Detector, image: NDArray[np.uint8], wanted: Wanted) -> Detections | None:
        """The answer of the look that was begun before; asks for one where none was, or none of such images."""
        begun = self._look_beside
        if begun is None or begun.answer is None or begun.shape != image.shape:
            self._look_beside = _Beside(image.shape, partial(self._run, detector, image, wanted))
            return None
        if not begun.answer.done():
            return None
        self._look_beside = None
        return begun.answer.result()

    def _run(self, detector: Detector, image: NDArray[np.uint8], wanted: Wanted) -> Detections:
        if wanted.again:
            return self._look(detector, image, wanted, wide=True)
        found = self._look(detector, image, wanted, wide=False)
        empty = not wanted.in_view and not any(hand.score >= found.new_score for hand in found.hands)
        if not (empty and self._sees_wide and wanted.wide):
            return found
        wide = self._look(detector, image, wanted, wide=True)
        there = [hand.box_px for hand in (*wide.hands, *wide.unsure)]
        others = [one for one in found.unsure if all(one.box_px.iou(box) <= SAME_HAND_IOU for box in there)]
        return wide._replace(unsure=(*wide.unsure, *others))

    def _look(self, detector: Detector, image: NDArray[np.uint8], wanted: Wanted, wide: bool) -> Detections:
        new, unsure, keep = self._lowest(detector, wide)
        if wanted.in_view:  # costs nothing while hands are followed, and a video gives the others more looks
            unsure = new
        least = min(unsure, keep) if wanted.followed else unsure
        found = detector.look(image, wide=wide, threshold=least, max_hands=wanted.most)
        is_doubted = [unsure <= hand.score < new for hand in found]
        hands, doubted = (
            [hand for hand, is_one in zip(found, is_doubted, strict=True) if is_one == kind] for kind in (False, True)
        )
        return Detections(hands, new, wide, tuple(doubted))

    def _lowest(self, detector: Detector, wide: bool) -> _Lowest:
        new, stage = self._options.detector_score, detector.stage(wide)
        unsure = new
        if new is None:
            new = float(detector.thresholds.get(stage, DETECTOR_SCORE))
            unsure = min(new, float(detector.thresholds.get(stage + UNSURE, new)))
        keep = self._options.detector_keep_score
        return _Lowest(new, new if unsure is None else unsure, KEEP_SHARE * new if keep is None else min(keep, new))


def look_pool() -> ThreadPoolExecutor:
    """The single thread that looks are taken in."""
    return ThreadPoolExecutor(1, "prehend-detector")


def is_detector(bundle: Bundle) -> bool:
    """Whether weights are of a detector of either kind."""
    return bool({"find", "detect"} & set(bundle.stages))
