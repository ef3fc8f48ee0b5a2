"""A hand whose fingers are hidden in part, and the shipped prior."""

from functools import lru_cache

import numpy as np
import pytest

from prehend.backends import BackendSettings, open_backend
from prehend.conventions import MIRROR
from prehend.geometry.camera import project
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin
from prehend.pipeline.hypotheses.denoiser import PoseDenoiser
from prehend.types import Box, Camera, GraspEstimate, HandEstimate
from prehend.weights import load_bundle

CAMERA = Camera(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)
HIDDEN = np.isin(np.arange(21), [6, 7, 8, 10, 11, 12])


@lru_cache(maxsize=1)
def shipped_prior():
    return open_backend("onnx", load_bundle("hhmr-xs"), BackendSettings(threads=1))


@pytest.fixture
def prior():
    return shipped_prior()


@pytest.fixture
def denoiser(prior):
    return PoseDenoiser(prior, load_hand_model().without_forearm())


@pytest.fixture
def make_open():
    """make_open(side, hidden, ...): a bent hand of half a metre's distance, some of its joints hidden."""

    def make(side="right", hidden=HIDDEN, track_id=1, turn=(0.2, 0.3, -1.2), at=(0.02, 0.05, 0.5), bend=0.0):
        rng = np.random.default_rng(0)
        pose = np.zeros((16, 3))
        pose[1:, 2] = rng.uniform(0, 0.7, 15)
        pose[1:7:3, 2] += bend  # knuckles of index and middle finger
        pose[0] = turn
        rotations = matrix_from_axis_angle(pose)
        posed = skin(load_hand_model().without_forearm(), rotations, np.zeros(10))
        move = np.asarray(at) - posed.joints[0]
        joints, vertices = posed.joints + move, posed.vertices + move
        if side == "left":
            joints, vertices = joints * MIRROR.diagonal(), vertices * MIRROR.diagonal()
            rotations = MIRROR @ rotations @ MIRROR
        keypoints = project(joints, CAMERA)
        return HandEstimate(
            track_id=track_id,
            side=side,
            score=0.9,
            box_px=Box.around(keypoints),
            keypoints_px=keypoints,
            joints_m=joints,
            vertices_m=vertices,
            rotations=rotations,
            betas=np.zeros(10),
            visible=~np.asarray(hidden),
            grasp=GraspEstimate("unknown", 0.0),
            keypoint_std_px=np.where(hidden, 12.0, 4.0),
            joint_std_m=np.where(hidden, 0.03, 0.015) * (np.arange(21) > 0),
        )

    return make
