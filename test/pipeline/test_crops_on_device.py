"""The whole way of a frame where the backend cuts the crops: the hands of the processor's way, and one upload."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from prehend.backends import Backend, open_backend
from prehend.backends.base import DeviceImage
from prehend.backends.torch_ import TorchBackend
from prehend.pipeline.cameras import CameraFrame, CamerasEstimator
from prehend.pipeline.estimator import Estimator
from prehend.weights import load_bundle

CLIP = Path(__file__).parents[2] / "examples" / "hands.mp4"


class Seen(TorchBackend):
    """Notes which frames its crops come from, call by call; the processor stands in for the device."""

    def __init__(self):
        super().__init__(load_bundle("unihope-s"), cuts=True)
        self.frames: list[list[DeviceImage]] = []

    def infer_crops(self, stage, crops):
        self.frames.append([crop.frame for crop in crops])
        return super().infer_crops(stage, crops)


@pytest.fixture(scope="module")
def device() -> Seen:
    return Seen()


@pytest.fixture(scope="module")
def detector() -> Iterator[Backend]:
    opened = open_backend("onnx", load_bundle("palm"), threads=1)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.uint8]]:
    """Two images of a left and a right hand, one after the other."""
    film = cv2.VideoCapture(str(CLIP))
    found = [film.read()[1] for _ in range(2)]
    film.release()
    return [np.ascontiguousarray(image[..., ::-1]) for image in found]


def test_hands_are_those_of_the_processors_crops(device: Seen, detector: Backend, images) -> None:
    given = Estimator(TorchBackend(load_bundle("unihope-s")), detector)
    cuts = Estimator(device, detector)
    cuts.warm_up()
    assert device.frames.pop(), "the way through the device is warmed up"
    for image in images:
        device.frames.clear()
        expected, found = given.estimate(image), cuts.estimate(image)
        assert {hand.side for hand in found.hands} == {"left", "right"}
        for one, other in zip(expected.hands, found.hands, strict=True):
            assert (one.side, one.track_id) == (other.side, other.track_id)
            apart = np.linalg.norm((one.joints_m - one.joints_m[0]) - (other.joints_m - other.joints_m[0]), axis=-1)
            assert 1e3 * apart.max() <= 0.1
            assert np.abs(one.keypoints_px - other.keypoints_px).max() <= 0.1
        frames = {id(frame): frame for batch in device.frames for frame in batch}
        (frame,) = frames.values()
        assert frame.pixels is image and frame.on_device is not None, "one frame, uploaded once"


def test_cameras_upload_a_frame_each_and_share_the_batch(device: Seen, detector: Backend, images) -> None:
    cameras = CamerasEstimator(("left", "right"), device, detector)
    device.frames.clear()
    found = cameras.estimate({name: CameraFrame(image) for name, image in zip(("left", "right"), images, strict=True)})
    assert all(len(result.hands) == 2 for result in found.values())
    assert len({id(frame) for batch in device.frames for frame in batch}) == 2
    assert len({id(frame) for frame in device.frames[0]}) == 2, "crops of both in one call"


def test_an_image_without_hands_is_not_uploaded(device: Seen, detector: Backend) -> None:
    device.frames.clear()
    assert not Estimator(device, detector).estimate(np.zeros((240, 320, 3), np.uint8)).hands
    assert not device.frames
