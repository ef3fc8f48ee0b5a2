"""Image messages as bytes: their pixels, and the header that goes on with them."""

import struct
from typing import Any

from prehend.io.pixels.images import Image, ImageReader
from prehend.ros.conversion.convert import header_message, valid_stamp
from prehend.ros.messages import COMPRESSED_IMAGE, IMAGE, decode
from prehend.ros.nodes.diagnostics import Stats
from prehend.ros.params import NodeParams


class ImageBytes:
    """Reads the images of one topic.

    Args:
        params: of the node.
        stats: hears whether the images name a frame.
    """

    def __init__(self, params: NodeParams, stats: Stats) -> None:
        self._params, self._stats = params, stats
        self._reader = _NodeImageReader(max_pixels=params.max_image_px)

    def read(self, data: bytes) -> tuple[Any, Image]:
        """The message, and its pixels (H, W, 3) uint8 RGB.

        Raises:
            SourceError: the bytes are no such message, or no image.
        """
        if self._params.image_transport == "compressed":
            message = decode(data, COMPRESSED_IMAGE)
            return message, self._reader.compressed(message, "compressed image")
        message = decode(data, IMAGE)
        if not message.step and message.height and len(message.data) % message.height == 0:
            message.step = len(message.data) // message.height  # drivers that leave it out
        return message, self._reader.message(message, "image")

    def header(self, given: Any) -> Any:
        """The header of all outputs: the image's, with a frame and a stamp that messages can carry."""
        frame_id = given.frame_id or self._params.frame_id
        self._stats.framed(bool(frame_id))
        stamp = valid_stamp(given.stamp)
        if stamp is given.stamp and frame_id == given.frame_id:
            return given
        header = header_message(0.0, frame_id)
        header.stamp = stamp
        return header


class _NodeImageReader(ImageReader):
    """Names the node's parameter where an image is too large."""

    def _limit(self) -> str:
        return f"parameter max_image_px, {self.max_pixels}"


def stamp_ns(data: bytes) -> int | None:
    """The stamp of a serialised message that begins with a header [ns], without reading the rest; None where it has
    none."""
    if len(data) < 12:
        return None
    sec, nanosec = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return (sec * 10**9 + nanosec) or None
