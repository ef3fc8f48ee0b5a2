"""Images of a rosbag (ROS 2 sqlite3 and MCAP, ROS 1), read without a ROS installation."""

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from prehend.errors import SourceError
from prehend.io.bags.files import BagFiles, Topic
from prehend.io.bags.topics import COMPRESSED, choose_topic
from prehend.io.cameras.camera_info import CameraStream, is_rectified
from prehend.io.frames import ErrorHandler, Frame, Kind, Source
from prehend.io.pixels.images import MAX_PIXELS, Image, ImageReader
from prehend.io.rates import measured_rate
from prehend.types import Camera

_COMPRESSED_SUFFIX = "/compressed"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
_FIRST_STAMPS = 15
_STILL = 3
"""Images of one stamp after which it is the stamp that stands still."""
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
            self._info = None if own_camera else self._info_of_images()
            self._stream = CameraStream(is_rectified(self.topic))
            self._frame_ids = {"image": "", "info": ""}
            self.length = choice.topic.count or None
            self._times = MessageTimes(self._first_times())
            if self._times.note:
                self._note(self._times.note)
            self.fps = measured_rate([self._times.stamp(*pair) for pair in self._times.first])
            self._hear_first_info()
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
                stamp = self._stamp(message, time_ns)
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
                    self._stream.add(message, _own_stamp(message) or time_ns * 1e-9)
                continue
            waiting.append((time_ns, message))
            while waiting and (len(waiting) > _AHEAD or self._info is None or self._is_timely(*waiting[0])):
                yield waiting.popleft()
        yield from waiting

    def _is_timely(self, time_ns: int, message: Any) -> bool:
        return isinstance(message, SourceError) or self._stamp(message, time_ns) <= self._stream.newest

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
        elif self._stream.doubt:
            self._note(f"{self._info.name}: {self._stream.doubt}")
        return camera

    def _first_times(self) -> list[tuple[float, float]]:
        """Stamps and times of recording [s] of the first images."""
        first = islice(self._files.messages([self._images]), _FIRST_STAMPS)
        return [(_own_stamp(one), time_ns * 1e-9) for _, time_ns, one in first if not isinstance(one, SourceError)]

    def _stamp(self, message: Any, time_ns: int) -> float:
        return self._times.stamp(_own_stamp(message), time_ns * 1e-9)

    def _info_of_images(self) -> Topic | None:
        """The topic of the images' camera_info; says so where the bag has others only."""
        topics = self._files.topics
        found = info_of(self.topic, topics)
        others = sorted(name for name, topic in topics.items() if topic.type == CAMERA_INFO and topic.count)
        if found is None and others:
            self._note(
                f"no {info_topic(self.topic)} for {self.topic}: images without a camera; the bag has "
                f"{', '.join(others)}: if one of them is right, give it to --cameras"
            )
        return found

    def _hear_first_info(self) -> None:
        """The first camera_info, wherever it lies: recorders and drivers often send it after the first images."""
        if self._info is not None:
            for _, time_ns, message in islice(self._files.messages([self._info]), 1):
                if not isinstance(message, SourceError):
                    self._stream.add(message, _own_stamp(message) or time_ns * 1e-9)


class MessageTimes:
    """When images were taken, from their stamps and the times of recording.

    Args:
        first: stamp (0 for none) and time of recording of the first images [s].

    Attributes:
        first: the same.
        note: what is said of the stamps to a person; empty for nothing.
    """

    def __init__(self, first: list[tuple[float, float]]) -> None:
        self.first, self.note = first, ""
        stamps = [stamp for stamp, _ in first if stamp > 0]
        self._still = len(stamps) >= _STILL and len(set(stamps)) == 1
        # messages without a stamp are put on the clock of those that have one
        ahead = [stamp - recorded for stamp, recorded in first if stamp > 0]
        self._ahead_s = median(ahead) if ahead and not self._still else 0.0
        if self._still:
            self.note = f"the stamps of its images stand still at {stamps[0]:.3f}: the times of recording count"
        elif len(stamps) < len(first):
            self.note = "images without a stamp: the times of recording count for them"

    def stamp(self, own: float, recorded: float) -> float:
        """The time [s] of an image of this stamp, recorded then."""
        return own if own > 0 and not self._still else recorded + self._ahead_s


def info_topic(image_topic: str) -> str:
    """The camera_info topic that belongs to an image topic: its neighbour (image_transport's rule)."""
    base = image_topic.removesuffix(_COMPRESSED_SUFFIX)
    return base.rsplit("/", 1)[0] + "/camera_info"


def info_of(image_topic: str, topics: Mapping[str, Topic]) -> Topic | None:
    """The camera_info of an image topic: its neighbour, or where the RealSense SDK's recorder puts it.

    That one writes `/device_0/sensor_1/Color_0/image/data` and `/device_0/sensor_1/Color_0/info/camera_info`.
    """
    base = image_topic.removesuffix("/image/data")
    sdk = topics.get(f"{base}/info/camera_info") if base != image_topic else None
    return topics.get(info_topic(image_topic)) or sdk


def _own_stamp(message: Any) -> float:
    """Stamp of a message [s], 0 for none."""
    stamp = message.header.stamp
    return max(float(stamp.sec) + float(stamp.nanosec) * 1e-9, 0.0)
