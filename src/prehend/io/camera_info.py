"""The camera of a sensor_msgs/CameraInfo, whoever deserialised it."""

from typing import Any, cast

import numpy as np

from prehend.errors import InvalidInput
from prehend.geometry.camera import check_distortion
from prehend.types import Camera, DistortionModel


def camera_from_info(message: Any, rectified: bool = False) -> Camera | None:
    """The camera for the image as it is sent, or None when K says "not calibrated" (K[0] = 0, REP 104).

    K, D and P are for the whole sensor; region of interest and binning take them to the image (CameraInfo.msg).

    Args:
        message: of ROS 2 (k, d, p) or ROS 1 (K, D, P).
        rectified: the image is an `image_rect*`: P holds its intrinsics and there is no distortion.

    Raises:
        InvalidInput: an unknown distortion model, or values that cannot be a camera.
    """
    k, d, p = (_field(message, name) for name in "kdp")
    K = p.reshape(3, 4)[:, :3] if rectified and p.size == 12 else k.reshape(3, 3)
    if K[0, 0] == 0:
        return None
    region, binning = message.roi, np.array([max(int(message.binning_x), 1), max(int(message.binning_y), 1)])
    size = np.array([region.width or message.width, region.height or message.height], np.int64) // binning
    # pixel centres are whole numbers: a binned pixel covers [-0.5, b - 0.5] of the sensor's
    K[:2, 2] = (K[:2, 2] - [region.x_offset, region.y_offset] + 0.5) / binning - 0.5
    K[:2, :2] /= binning[:, None]
    if rectified or not d.any():
        return Camera(K, int(size[0]), int(size[1]))
    camera = Camera(K, int(size[0]), int(size[1]), d, cast(DistortionModel, message.distortion_model or "plumb_bob"))
    check_distortion(camera)
    return camera


def _field(message: Any, name: str) -> Any:
    value = getattr(message, name) if hasattr(message, name) else getattr(message, name.upper())
    array = np.array(value, np.float64)
    if name == "k" and array.size != 9:
        raise InvalidInput(f"camera_info has {array.size} numbers in K, expected 9")
    return array
