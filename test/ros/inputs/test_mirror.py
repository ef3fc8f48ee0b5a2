"""Mirroring is its own inverse, and keeps projections."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.geometry.camera import mirror_camera, project
from prehend.ros.inputs.mirror import mirror_image, mirror_pixels
from prehend.types import Camera, FrameResult

K = np.array([[500.0, 0, 300.0], [0, 510.0, 250.0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("model", "distortion"),
    [
        ("plumb_bob", []),
        ("plumb_bob", [0.1, -0.05, 0.01, -0.02, 0.01]),
        ("rational_polynomial", [0.1, -0.05, 0.01, -0.02, 0.01, 0.02, 0.01, 0.0, 0.01, 0.02, 0.03, 0.01, 0.02, -0.01]),
        ("equidistant", [0.05, -0.01, 0.002, 0.001]),
    ],
)
def test_a_mirrored_camera_sees_the_mirrored_world(model, distortion):
    camera = Camera(K, 640, 480, np.array(distortion), model)
    points = np.random.default_rng(0).uniform([-0.3, -0.3, 1], [0.3, 0.3, 2], (50, 3))
    straight, turned = project(points, camera), project(points * [-1, 1, 1], mirror_camera(camera))
    np.testing.assert_allclose(turned, np.stack([639 - straight[:, 0], straight[:, 1]], -1), atol=1e-6)
    again = mirror_camera(mirror_camera(camera))
    np.testing.assert_array_equal(again.K, camera.K)
    np.testing.assert_array_equal(again.distortion, camera.distortion)


def test_pixels_turn_and_metres_stay(toy):
    result = FrameResult(Camera(K, 640, 480), (toy.hand(2, "left", holds=True),), 0.0, {}, True)
    mirrored = mirror_pixels(result)
    hand, other = result.hands[0], mirrored.hands[0]
    np.testing.assert_array_equal(other.joints_m, hand.joints_m)
    np.testing.assert_allclose(other.keypoints_px + hand.keypoints_px * [1, -1], [[639, 0]] * 21, atol=1e-9)
    assert (other.box_px.x0, other.box_px.x1) == (639 - hand.box_px.x1, 639 - hand.box_px.x0)
    back = mirror_pixels(mirrored).hands[0]
    np.testing.assert_allclose(back.held_object.keypoints_px, hand.held_object.keypoints_px)
    assert back.held_object.box_px == hand.held_object.box_px
    assert mirror_pixels(replace(result, hands=())).hands == ()


def test_an_image_is_turned_about_its_middle():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(mirror_image(image)[0, 0], image[0, 3])
    np.testing.assert_array_equal(mirror_image(mirror_image(image)), image)
