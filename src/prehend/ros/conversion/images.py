"""Images and calibrations as messages; the other way round is in `prehend.io.pixels.images` and `camera_info`."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.ros.messages import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, make
from prehend.types import Camera

ImageArray = NDArray[np.uint8]
_JPEG_QUALITY = 80


def image_message(header: Any, image: ImageArray) -> Any:
    """A sensor_msgs/Image, rgb8, of an (H, W, 3) uint8 RGB array."""
    height, width = image.shape[:2]
    return make(
        IMAGE,
        header=header,
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(image).ravel(),
    )


def jpeg_message(header: Any, image: ImageArray) -> Any:
    """A sensor_msgs/CompressedImage of an (H, W, 3) uint8 RGB array, named as image_transport does."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return make(COMPRESSED_IMAGE, header=header, format="rgb8; jpeg compressed bgr8", data=data.ravel())


def camera_message(header: Any, camera: Camera | None, width: int, height: int) -> Any:
    """A sensor_msgs/CameraInfo; without a camera K is zero, which means not calibrated."""
    K = np.zeros((3, 3)) if camera is None else camera.K
    return make(
        CAMERA_INFO,
        header=header,
        height=height,
        width=width,
        distortion_model="" if camera is None else camera.distortion_model,
        d=np.zeros(0) if camera is None else camera.distortion,
        k=K.ravel(),
        r=np.eye(3).ravel(),
        p=np.hstack([K, np.zeros((3, 1))]).ravel(),
        binning_x=0,
        binning_y=0,
        roi=make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )
