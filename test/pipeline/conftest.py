"""Fixtures of the pipeline: scenes of true hands, what answers for them in the place of networks, and a tracker."""

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from prehend.geometry.camera import project
from prehend.hand_model.asset import load_hand_model
from prehend.object_catalogue import ObjectModel
from prehend.pipeline.crops.crop import region_of
from prehend.pipeline.crops.letterbox import letterbox
from prehend.pipeline.detection.detect import Detections, Wanted
from prehend.pipeline.detection.palms import NUMBERS, anchors_px, change_of_region
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.frames.targets import NoHand, Target
from prehend.pipeline.networks.decode import DecodedHand
from prehend.pipeline.observing.observe import Observation
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.tracker import Tracker
from prehend.pipeline.tracking.track import Track
from prehend.types import Box, Camera, FoundHand

sys.path[:0] = [str(Path(__file__).parent)]

from oracles import Oracle, OracleFinder, bundle_of  # noqa: E402
from true_hands import EXTENTS, HEIGHT, WIDTH, TrueHand, make_hand, ramp  # noqa: E402


class OraclePalms:
    """Answers for the scene's hands as a perfect detector of palms would that sees no hand smaller than `SMALLEST`."""

    name = "oracle"
    SMALLEST = 12.0
    SIZES: Mapping[str, int] = MappingProxyType({"detect": 64, "detect_wide": 128})

    def __init__(self, oracle: Oracle):
        self.bundle = bundle_of("oracle-palms", {stage: {"image": (3, n, n)} for stage, n in self.SIZES.items()})
        self._oracle = oracle
        self.calls: Counter[str] = Counter()
        self.logit = 5.0

    def infer(self, stage: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert inputs["image"].shape == (1, 3, self.SIZES[stage], self.SIZES[stage])
        self.calls[stage] += 1
        camera, anchors = self._oracle.camera, anchors_px(self.SIZES[stage])
        picture = letterbox(np.zeros((camera.height, camera.width, 3), np.uint8), self.SIZES[stage])
        scores, boxes = np.full((1, len(anchors), 1), -9.0), np.zeros((1, len(anchors), NUMBERS))
        for hand in self._oracle.scene:
            joints = project(hand.joints, camera)
            if np.ptp(picture.to_square(joints), axis=0).max() < self.SMALLEST:
                continue
            palm = Box.around(joints[[0, 5, 9, 13, 17, 1, 2]])
            row = int(np.linalg.norm(anchors - picture.to_square(np.array(palm.center)), axis=-1).argmin())
            points = np.concatenate([[palm.center], joints[[0, 5, 9, 13, 17, 1, 2]]])
            places = picture.to_square(points) - anchors[row]
            change = change_of_region(
                region_of(joints), np.array(palm.center), max(palm.width, palm.height), joints[[0, 5, 9, 13, 17, 1, 2]]
            )
            sides = np.array([palm.width, palm.height]) * picture.scale
            answer = [places[0], sides, places[1:].ravel(), change, [9.0 if hand.side == "right" else -9.0, -9.0]]
            boxes[0, row, :24] = np.concatenate(answer)
            scores[0, row] = self.logit
        return {"scores": scores.astype(np.float32), "boxes": boxes.astype(np.float32)}

    def close(self) -> None:
        pass


@pytest.fixture
def palms(oracle: Oracle) -> OraclePalms:
    return OraclePalms(oracle)


@pytest.fixture
def camera() -> Camera:
    return Camera(np.array([[260.0, 0, 131], [0, 255, 92], [0, 0, 1]]), WIDTH, HEIGHT)


@pytest.fixture
def oracle(camera: Camera) -> Oracle:
    return Oracle(camera)


@pytest.fixture
def old_oracle(camera: Camera) -> Oracle:
    """Weights that tell no places."""
    return Oracle(camera, tells_places=False)


@pytest.fixture
def old_finder(old_oracle: Oracle) -> OracleFinder:
    return OracleFinder(old_oracle)


@pytest.fixture
def finder(oracle: Oracle) -> OracleFinder:
    return OracleFinder(oracle)


@pytest.fixture
def image() -> np.ndarray:
    return ramp()


@pytest.fixture
def new_hand() -> Callable[..., TrueHand]:
    return make_hand


@pytest.fixture
def brick_extents() -> np.ndarray:
    return EXTENTS


@pytest.fixture
def brick(brick_extents) -> ObjectModel:
    return ObjectModel("brick", "a brick", brick_extents, np.zeros(3))


@pytest.fixture
def estimator(oracle, finder, brick) -> Estimator:
    return Estimator(oracle, finder, object_model=brick)


class TrackDriver:
    """A tracker between a detector that finds what it is told and a network that sees hands where it is told.

    The detector is due at every frame unless `find_interval_s` says otherwise.
    """

    size = (640, 480)

    def __init__(self, **options: Any):
        self.tracker = Tracker(EstimatorOptions(**{"find_interval_s": 1e-3, **options}))
        self.targets: list[Target] = []
        self.asked = False

    @property
    def tracks(self) -> tuple[Track, ...]:
        return self.tracker.tracks

    @property
    def ids(self) -> list[int]:
        return [track.track_id for track in self.tracks]

    def begin(
        self,
        found: Sequence[FoundHand] | Callable[[], Sequence[FoundHand]] = (),
        stamp: float | None = None,
        *,
        given: Sequence[FoundHand] | None = None,
        new_score: float = 0.0,
        unsure: Sequence[FoundHand] = (),
        size: tuple[int, int] = size,
    ) -> list[Target]:
        """A frame in which the detector, if it is asked, finds these hands, or somebody gives some."""
        self.asked = False

        def detect(_wanted: Wanted) -> Detections:
            self.asked = True
            return Detections(list(found() if callable(found) else found), new_score, False, tuple(unsure))

        self.targets = self.tracker.begin(size, stamp, given, detect)
        assert self.asked == self.tracker.detected
        return self.targets

    def finish(self, joints_px: Mapping[int, np.ndarray], scores: Mapping[int, float] | None = None) -> list[int]:
        """The network sees joints (21, 2) at some targets, by their number; the numbers of the hands in view."""
        observations: list[Observation | NoHand] = []
        for target in self.targets:
            if target.track_id in joints_px:
                score = (scores or {}).get(target.track_id, 1.0)
                hand = _hand_at(joints_px[target.track_id])
                observations.append(Observation(target, hand, None, score, float("nan"), 0.0))
            else:
                observations.append(NoHand("no_hand", target))
        return [hand.track_id for hand in self.tracker.finish(observations, None)]


def _hand_at(keypoints_px: np.ndarray) -> DecodedHand:
    """A hand of which only the place in the image matters."""
    turns, nothing = np.tile(np.eye(3), (16, 1, 1)), np.zeros((21, 3))
    return DecodedHand(keypoints_px, nothing, nothing[:0], turns, np.zeros(10), np.ones(21, bool), 0.0, 0.0)


@pytest.fixture
def tracker() -> type[TrackDriver]:
    return TrackDriver


@pytest.fixture
def depth_of():
    """depth_of(vertices, camera): (H, W) float32 depth of a right hand's mesh before a wall, by many points on every
    face."""
    shown = load_hand_model(side="right").faces

    def render(vertices: np.ndarray, camera: Camera, faces=shown) -> np.ndarray:
        depth = np.full((camera.height, camera.width), 1.5, np.float32)
        u, v = (grid.ravel() for grid in np.meshgrid(np.linspace(0, 1, 12), np.linspace(0, 1, 12)))
        shares = np.stack([u, v * (1 - u), 1 - u - v * (1 - u)], -1)
        points = np.einsum("kc,fcd->fkd", shares, vertices[faces]).reshape(-1, 3)
        pixels = np.round(project(points, camera)).astype(int)
        inside = ((pixels >= 0) & (pixels < [camera.width, camera.height])).all(-1)
        np.minimum.at(depth, (pixels[inside, 1], pixels[inside, 0]), points[inside, 2].astype(np.float32))
        return depth

    return render
