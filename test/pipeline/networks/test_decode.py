"""From an answer to a hand: what several frames say counts while it lies where this image shows the hand."""

import numpy as np
import pytest

from prehend.conventions import NUM_BETAS, NUM_MANO_JOINTS
from prehend.geometry.camera import project
from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin
from prehend.hand_model.model import HandModel
from prehend.pipeline.crops.crop import CropSpec
from prehend.pipeline.networks.base import NetworkAnswer, PoseAnswer
from prehend.pipeline.networks.decode import DISAGREES, DecodedHand, decode_hand, rotations_in_camera
from prehend.types import Box, Camera, FloatArray

ROOT_M = np.array([0.02, 0.01, 0.5])
BETAS = np.zeros(NUM_BETAS)


@pytest.fixture(scope="module")
def model() -> HandModel:
    return load_hand_model()


def spec_of(camera: Camera) -> CropSpec:
    return CropSpec.from_box(Box(120, 60, 210, 150), "right", (camera.width, camera.height), size=128)


def turned(angle_rad: float) -> FloatArray:
    """(16, 3, 3) of a hand turned about its own length, its fingers straight."""
    rotations = np.tile(np.eye(3), (NUM_MANO_JOINTS, 1, 1))
    rotations[0] = matrix_from_axis_angle(np.array([angle_rad, 0, 0])) @ np.diag([1.0, -1.0, -1.0])
    return rotations


def answered(model: HandModel, camera: Camera, together: FloatArray, alone: FloatArray | None) -> DecodedHand:
    """What comes of poses of several frames and of one, where keypoints are those of a hand that is not turned."""
    spec = spec_of(camera)
    true = skin(model, rotations_in_camera(turned(0), spec, camera), BETAS).joints
    pixels = project(true - true[0] + ROOT_M, camera)
    keypoints = (spec.to_crop(pixels) - spec.hand_box[:2]) / (spec.hand_box[2:] - spec.hand_box[:2])
    one = None if alone is None else PoseAnswer(alone, BETAS)
    hand = decode_hand(NetworkAnswer(keypoints, together, BETAS, np.ones(21), alone=one), spec, camera, model)
    assert isinstance(hand, DecodedHand)
    return hand


def test_several_frames_say_the_pose_where_they_agree_with_this_one(model: HandModel, camera: Camera) -> None:
    hand = answered(model, camera, turned(0.3), turned(0.2))
    assert hand.fit_error_px < DISAGREES * hand.misfit_px
    assert np.allclose(hand.rotations, answered(model, camera, turned(0.3), None).rotations)


@pytest.mark.parametrize("garbled", [turned(1.2), np.zeros((NUM_MANO_JOINTS, 3, 3))])
def test_this_image_says_it_where_they_lie_elsewhere(model: HandModel, camera: Camera, garbled: FloatArray) -> None:
    """A hand that turns quickly: what frames of before say would be dropped as no hand at all."""
    hand, alone = answered(model, camera, garbled, turned(0.2)), answered(model, camera, turned(0.2), None)
    for name in ("rotations", "joints_m", "vertices_m", "fit_error_px", "misfit_px"):
        assert np.array_equal(getattr(hand, name), getattr(alone, name))


def test_whether_it_is_a_hand_is_told_by_this_image_alone(model: HandModel, camera: Camera) -> None:
    one = answered(model, camera, turned(0.2), None).misfit_px
    assert one > 0.1
    for angle in (0.0, 0.1, 0.3):
        assert answered(model, camera, turned(angle), turned(0.2)).misfit_px == pytest.approx(one, abs=1e-9)
    worse = answered(model, camera, turned(0.3), turned(0.2))
    assert float(geodesic_angle(worse.rotations[0], turned(0.2)[0])) > 0.05
