"""Images as messages, and calibrations both ways (pixels of messages are read by `prehend.io.images`)."""

from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.geometry.camera import check_distortion
from prehend.ros.messages import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, make
from prehend.types import Camera, DistortionModel

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


def camera_from_info(message: Any, rectified: bool = False) -> Camera | None:
    """The camera of a sensor_msgs/CameraInfo, for the image as it is sent, or None when K says "not calibrated".

    K, D and P are for the whole sensor; binning and region of interest take them to the image (REP 104 and the
    comments of CameraInfo.msg).

    Args:
        message: the CameraInfo.
        rectified: the image is a rectified one: P counts and there is no distortion.

    Raises:
        InvalidInput: an unknown distortion model, or values that cannot be a camera.
    """
    K = np.array(message.p, np.float64).reshape(3, 4)[:, :3] if rectified else np.array(message.k).reshape(3, 3)
    if K[0, 0] == 0:
        return None
    model = message.distortion_model or "plumb_bob"
    region, binning = message.roi, np.array([max(message.binning_x, 1), max(message.binning_y, 1)])
    size = np.array([region.width or message.width, region.height or message.height]) // binning
    # pixel centres are at whole numbers: a binned pixel covers [-0.5, b - 0.5] of the sensor's
    K[:2, 2] -= [region.x_offset, region.y_offset]
    K[:2, 2] = (K[:2, 2] + 0.5) / binning - 0.5
    K[:2, :2] /= binning[:, None]
    camera = Camera(
        K=K,
        width=int(size[0]),
        height=int(size[1]),
        distortion=np.zeros(0) if rectified else np.array(message.d),
        distortion_model="plumb_bob" if rectified else cast(DistortionModel, model),
    )
    check_distortion(camera)
    return camera
