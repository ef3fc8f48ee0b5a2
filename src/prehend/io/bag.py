"""Images of a rosbag (ROS 2 sqlite3 and MCAP, ROS 1), read without a ROS installation."""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from prehend.errors import SourceError
from prehend.io.bag_files import BagFiles
from prehend.io.bag_topics import COMPRESSED, choose_topic
from prehend.io.camera_info import CameraStream, is_rectified
from prehend.io.frames import ErrorHandler, Frame, Kind, Source
from prehend.io.images import MAX_PIXELS, Image, ImageReader
from prehend.io.rates import measured_rate
from prehend.types import Camera

_COMPRESSED_SUFFIX = "/compressed"
_FIRST_STAMPS = 15
_AHEAD = 4
"""Images that wait for the camera_info of their stamp, which drivers publish after the image as often as before."""


class Bag(Source):
    """The images of one topic of a bag, in the order they were recorded, each with the camera of its camera_info.

    A topic and its `/compressed` twin count as one camera, of which the one with more messages is read. The types are
    ours, not the bag's definitions, so foreign message packages in the bag do no harm. What the bookkeeping says
    (metadata.yaml, QoS) is not needed: the storage files are read themselves. An image without a camera that can be
    one comes without; a note says why.
    """

    kind: Kind = "bag"

    def __init__(
        self,
        name: str,
        on_error: ErrorHandler | None = None,
        topic: str | None = None,
        max_pixels: int = MAX_PIXELS,
        own_camera: bool = False,
    ):
        super().__init__(name, on_error)
        self._reader = ImageReader(max_pixels, self._note)
        self._files = BagFiles(Path(name))
        try:
            for line in self._files.notes:
                self._note(line)
            choice = choose_topic(self._files, topic)
            for line in choice.notes:
                self._note(line)
            self.topic, self._images = choice.topic.name, choice.topic
            self._compressed = choice.topic.type == COMPRESSED
            self._info = None if own_camera else self._files.topics.get(info_topic(self.topic))
            self._stream = CameraStream(is_rectified(self.topic))
            self._frame_ids = {"image": "", "info": ""}
            self.length = choice.topic.count or None
            self.fps = measured_rate(self._first_stamps())
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for time_ns, message in self._with_cameras_read():
            place = f"{self.name}: message {index} of {self.topic}"
            try:
                image = self._pixels(message, place)
            except SourceError as error:
                self._report(error)
            else:
                stamp = _stamp(message, time_ns)
                camera = self._camera(stamp, image)
                yield Frame(image, self.name, index, stamp, camera, Path(self.name))
            index += 1
        if index == 0:
            raise SourceError(f"{self.name}: topic {self.topic} has no messages")

    def close(self) -> None:
        """Release the bag."""
        self._files.close()

    def _pixels(self, message: Any, place: str) -> Image:
        if isinstance(message, SourceError):
            raise SourceError(f"{place}: {message}")
        return (self._reader.compressed if self._compressed else self._reader.message)(message, place)

    def _with_cameras_read(self) -> Iterator[tuple[int, Any]]:
        """Images with their time of recording [ns], once the camera_info of their stamps has been read."""
        waiting: deque[tuple[int, Any]] = deque()
        topics = [self._images] if self._info is None else [self._images, self._info]
        for topic, time_ns, message in self._files.messages(topics):
            if not isinstance(message, SourceError):
                self._hear("info" if topic is self._info else "image", message)
            if topic is self._info:
                if not isinstance(message, SourceError):
                    self._stream.add(message, _stamp(message, time_ns))
                continue
            waiting.append((time_ns, message))
            while waiting and (len(waiting) > _AHEAD or self._info is None or self._is_timely(*waiting[0])):
                yield waiting.popleft()
        yield from waiting

    def _is_timely(self, time_ns: int, message: Any) -> bool:
        return isinstance(message, SourceError) or _stamp(message, time_ns) <= self._stream.newest

    def _hear(self, kind: str, message: Any) -> None:
        """Remember the first frame_id of each topic, and say when they are of two cameras."""
        ids = self._frame_ids
        if not ids[kind]:
            ids[kind] = str(message.header.frame_id).lstrip("/")
            if ids["image"] and ids["info"] and ids["image"] != ids["info"]:
                self._note(f"images are of frame '{ids['image']}', camera_info of '{ids['info']}': of the same camera?")

    def _camera(self, stamp: float, image: Image) -> Camera | None:
        if self._info is None:
            return None
        height, width = image.shape[:2]
        camera = self._stream.camera(stamp, width, height)
        if camera is None:
            self._note(f"{self._info.name}: {self._stream.reason}: images without a camera; give --cameras")
        return camera

    def _first_stamps(self) -> list[float]:
        first = islice(self._files.messages([self._images]), _FIRST_STAMPS)
        return [_stamp(message, time_ns) for _, time_ns, message in first if not isinstance(message, SourceError)]


def info_topic(image_topic: str) -> str:
    """The camera_info topic that belongs to an image topic: its neighbour (image_transport's rule)."""
    base = image_topic.removesuffix(_COMPRESSED_SUFFIX)
    return base.rsplit("/", 1)[0] + "/camera_info"


def _stamp(message: Any, recorded_ns: int) -> float:
    """Time of a message [s]: its own, or that of the recording where it has none."""
    stamp = message.header.stamp
    seconds = float(stamp.sec) + float(stamp.nanosec) * 1e-9
    return seconds if seconds > 0 else recorded_ns * 1e-9
