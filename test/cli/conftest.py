"""An estimator without weights: every box, or the middle of the image, is an open hand half a metre away."""

import hashlib
from collections.abc import Callable
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from prehend.geometry.camera import backproject, estimated_camera
from prehend.hand_model import load_hand_model
from prehend.types import Box, FoundHand, FrameResult, GraspEstimate, HandEstimate

DEPTH_M = 0.5


class ToyEstimator:
    """Answers at once; remembers how it was asked."""

    notes = ()

    def __init__(self, tracking: bool) -> None:
        self.tracking = tracking
        self.hand_models = {side: load_hand_model(side=side) for side in ("left", "right")}
        self.bundle = SimpleNamespace(name="toy", weights_sha256=hashlib.sha256(b"toy").hexdigest())
        self.resets = self.frames = 0
        self.drops = {}
        self.given = []
        self.closed = False

    def estimate(self, image, camera=None, stamp=None, boxes=None):
        self.frames += 1
        height, width = image.shape[:2]
        view = camera or estimated_camera(width, height)
        if boxes is None:
            boxes = [FoundHand(Box(width / 4, height / 4, 3 * width / 4, 3 * height / 4), "right")]
        self.given.append(list(boxes))
        hands = tuple(self._hand(number, hand, view) for number, hand in enumerate(boxes, 1))
        times = {"find": 1.0, "crop": 0.5, "infer": 3.0, "decode": 0.5, "total": 5.0}
        return FrameResult(view, hands, stamp, times, found=True)

    def _hand(self, number, hand, view):
        box = hand.box_px
        keypoints = np.linspace([box.x0, box.y0], [box.x1, box.y1], 21)
        joints = backproject(keypoints, np.full(21, DEPTH_M), view)
        side = hand.side or "right"
        return HandEstimate(
            number, side, 1.0, box, keypoints, joints, self.hand_models[side].v_template + joints[0],
            np.tile(np.eye(3), (16, 1, 1)), np.zeros(10), np.ones(21, bool), GraspEstimate("grasping", 0.9),
            fit_error_px=1.0,
        )  # fmt: skip

    def warm_up(self):
        pass

    def reset(self):
        self.resets += 1

    def close(self):
        self.closed = True


@pytest.fixture
def estimators() -> list[ToyEstimator]:
    """Those that were loaded, in order."""
    return []


@pytest.fixture
def load(estimators) -> Callable[..., ToyEstimator]:
    def load(args, tracking):
        estimators.append(ToyEstimator(tracking))
        return estimators[-1]

    return load


@pytest.fixture
def images(tmp_path):
    """A folder of three images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((48, 64, 3), 60 * number, np.uint8))
    return folder
