import numpy as np
import pytest

from prehend.adapters.mediapipe import (
    LANDMARK_NAMES,
    handedness,
    image_landmarks,
    pixels_from_image_landmarks,
    world_landmarks,
)
from prehend.conventions import JOINT_NAMES
from prehend.errors import InvalidInput


def test_names_are_mediapipes():
    landmarks = pytest.importorskip("mediapipe.tasks.python.vision.hand_landmarker").HandLandmark
    assert [(landmark.name, landmark.value) for landmark in landmarks] == [(n, i) for i, n in enumerate(LANDMARK_NAMES)]


def test_names_fit_ours():
    translated = [name.lower().replace("_finger", "").replace("pinky", "little") for name in LANDMARK_NAMES]
    assert tuple(translated) == JOINT_NAMES


def test_image_landmarks(bent):
    hand = bent("right", 1).estimate()
    landmarks = image_landmarks(hand.keypoints_px, hand.joints_m, 640, 480, 600.0)
    np.testing.assert_allclose(pixels_from_image_landmarks(landmarks, 640, 480), hand.keypoints_px, atol=1e-9)
    assert landmarks[0, 2] == 0
    np.testing.assert_array_equal(np.argsort(landmarks[:, 2]), np.argsort(hand.joints_m[:, 2]))
    # z is in the unit of x: a step of 1 cm in depth is as large as one sideways at the wrist's distance
    pushed = hand.joints_m.copy()
    pushed[8, 2] += 0.01
    step = image_landmarks(hand.keypoints_px, pushed, 640, 480, 600.0)[8, 2] - landmarks[8, 2]
    assert step == pytest.approx(0.01 * 600 / hand.joints_m[0, 2] / 640)


def test_corners_of_the_image(bent):
    joints = bent("left").joints_m
    points = np.tile([[-0.5, -0.5], [639.5, 479.5], [319.5, 239.5]], (7, 1))
    landmarks = image_landmarks(points, joints, 640, 480, 600.0)
    np.testing.assert_allclose(landmarks[:3, :2], [[0, 0], [1, 1], [0.5, 0.5]], atol=1e-12)


def test_world_landmarks(bent):
    joints = bent("left", 2).joints_m
    world = world_landmarks(joints)
    np.testing.assert_allclose(world.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(world - world[0], joints - joints[0], atol=1e-12)
    np.testing.assert_allclose(world_landmarks(joints + np.array([1, 2, 3])), world, atol=1e-12)


def test_handedness():
    assert [handedness(side) for side in ("left", "right")] == ["Left", "Right"]
    assert [handedness(side, mirrored=True) for side in ("left", "right")] == ["Right", "Left"]


def test_bad_input(bent):
    hand = bent("right").estimate()
    with pytest.raises(InvalidInput, match="not positive"):
        image_landmarks(hand.keypoints_px, hand.joints_m, 0, 480, 600.0)
    with pytest.raises(InvalidInput, match="in front of the camera"):
        image_landmarks(hand.keypoints_px, hand.joints_m - [0, 0, 5], 640, 480, 600.0)
