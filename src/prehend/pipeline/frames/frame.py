"""What surrounds the work on one frame: the checks at its beginning, its camera, the times of its stages."""

import math
import time
from collections.abc import Sequence

from prehend.check import check_image
from prehend.errors import InvalidInput
from prehend.geometry.camera import check_distortion, estimated_camera, scale_camera
from prehend.pipeline.crops.crop import check_box
from prehend.pipeline.frames.targets import Image
from prehend.types import Camera, FoundHand


class Clock:
    """Wall times of the stages of one frame [ms]."""

    def __init__(self) -> None:
        self._began = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """The stage of this name ends now; of one that comes again the times add up."""
        now = time.perf_counter()
        self._laps[name], self._last = self._laps.get(name, 0.0) + 1e3 * (now - self._last), now

    def done(self) -> dict[str, float]:
        """All stages, and their total."""
        return {**self._laps, "total": 1e3 * (self._last - self._began)}


def checked_size(image: Image, stamp: float | None, boxes: Sequence[FoundHand] | None) -> tuple[int, int]:
    """Width and height of a frame's image, once the frame is known to be in order.

    Raises:
        InvalidInput: the image is not (H, W, 3) uint8, the stamp is no number, or a box does not touch the image.
    """
    check_image("image", image)
    size = (image.shape[1], image.shape[0])
    if stamp is not None and not math.isfinite(stamp):
        raise InvalidInput(f"stamp is {stamp}, expected a finite number of seconds")
    for hand in boxes or ():
        check_box(hand.box_px, size)
        check_box(hand.box_px if hand.region is None else hand.region.box, size)
    return size


def camera_for(camera: Camera | None, size: tuple[int, int], fov_deg: float) -> Camera:
    """The camera of an image: the one given, scaled to its size [px], or one of an assumed field of view.

    Raises:
        InvalidInput: the camera does not belong to the image.
    """
    if camera is None:
        return estimated_camera(*size, fov_deg)
    check_distortion(camera)
    return scale_camera(camera, *size)
