"""Frames and hands as the estimator says them, and their truth."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from prehend.eval.answers import Answered
from prehend.eval.truth.records import TrueHand
from prehend.geometry.camera import project
from prehend.types import Box, Camera, FrameResult, GraspEstimate, HandEstimate, ObjectEstimate

CAMERA = Camera(np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]]), 640, 480)
SHAPE = np.random.default_rng(3).uniform(-0.06, 0.06, (21, 3)) * [1, 1, 0.3]


def joints_at(place: Any) -> np.ndarray:
    """(21, 3) a hand with its wrist at a place [m]."""
    return SHAPE - SHAPE[0] + np.asarray(place, np.float64)


@pytest.fixture
def say() -> Callable[..., HandEstimate]:
    """say(place, track, side, grasp, held, move): an answer whose wrist is at a place, moved by `move` [m]."""

    def make(place=(0, 0, 0.5), track=1, side="right", grasp="not_grasping", held=None, move=(0, 0, 0), score=0.9):
        joints = joints_at(place) + np.asarray(move, np.float64)
        keypoints = project(joints, CAMERA)
        thing = None
        if held is not None:
            points = np.full((21, 2), 100.0)
            thing = ObjectEstimate(held[0], 0.8, points, Box.around(points), np.asarray(held[1], np.float64))
        rotations = np.tile(np.eye(3), (16, 1, 1))
        return HandEstimate(
            track, side, score, Box.around(keypoints), keypoints, joints, np.zeros((0, 3)), rotations, np.zeros(10),
            np.ones(21, bool), GraspEstimate(grasp, 0.7), thing,
        )  # fmt: skip

    return make


@pytest.fixture
def show() -> Callable[..., list[Answered]]:
    """show([hands of a frame, ...], fps): frames of a clip; fps None for images without stamps."""

    def make(frames, fps=10.0, source="clip.mp4"):
        return [
            Answered(
                source, n, FrameResult(CAMERA, tuple(hands), None if fps is None else n / fps, {"infer": 1.0}, True)
            )
            for n, hands in enumerate(frames)
        ]

    return make


@pytest.fixture
def know() -> Callable[..., TrueHand]:
    """know(place, side, grasp): a true hand of which all is known."""

    def make(place=(0, 0, 0.5), side="right", grasp=None, held=None):
        joints = joints_at(place)
        return TrueHand(side, joints, project(joints, CAMERA), grasp=grasp, held=held)

    return make
