"""Images of a rosbag (ROS 2 sqlite3 and MCAP, ROS 1), read without a ROS installation."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prehend.errors import InvalidInput, MissingDependency, SourceError
from prehend.io.camera_info import camera_from_info
from prehend.io.images import Image, decode_image, image_from_message
from prehend.io.sources import ErrorHandler, Frame, Kind, Source
from prehend.types import Camera

try:
    import apsw
    from rosbags.interfaces import Connection
    from rosbags.rosbag1 import Reader as Reader1
    from rosbags.rosbag1 import ReaderError as Reader1Error
    from rosbags.rosbag2 import Reader as Reader2
    from rosbags.rosbag2 import ReaderError as Reader2Error
    from rosbags.serde import SerdeError
    from rosbags.typesys import Stores, get_typestore
except ImportError as error:
    raise MissingDependency("rosbags", "bag", "reading a rosbag") from error

_UNREADABLE = (
    apsw.Error,
    Reader1Error,
    Reader2Error,
    SerdeError,
    struct.error,
    OSError,
    LookupError,
    ValueError,
    TypeError,
    AssertionError,
    MemoryError,
)
"""What reading a damaged bag was seen to raise; none of them says which file it was."""

_RAW, _COMPRESSED, _INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"
_COMPRESSED_SUFFIX = "/compressed"


class Bag(Source):
    """The images of one topic of a bag, in the order they were recorded, with the camera of their camera_info.

    A topic and its `/compressed` twin count as one camera, the raw one is read. The types are ours, not the
    bag's definitions, so foreign message packages in the bag do no harm. A single .db3 or .mcap file needs
    no metadata.yaml.
    """

    kind: Kind = "bag"

    def __init__(self, name: str, on_error: ErrorHandler | None = None, topic: str | None = None):
        super().__init__(name, on_error)
        self._reader: Any = None
        ros1 = Path(name).suffix.lower() == ".bag"
        store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.LATEST)
        self._deserialize = store.deserialize_ros1 if ros1 else store.deserialize_cdr
        try:
            self._reader = (Reader1 if ros1 else Reader2)(Path(name))
            self._reader.open()
            connections = list(self._reader.connections)
        except _UNREADABLE as error:
            self._reader = None
            raise SourceError(f"{name}: not a rosbag that can be read, or corrupt ({_reason(error)})") from error
        self.topic = _choose_topic(name, connections, topic)
        self._connections = [connection for connection in connections if connection.topic == self.topic]
        self._compressed = _type_of(self._connections[0]) == _COMPRESSED
        self.length = sum(connection.msgcount for connection in self._connections) or None
        info = info_topic(self.topic)
        self._camera = self._read_camera([connection for connection in connections if connection.topic == info])
        self.fps = self._frame_rate()

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for time_ns, message in self._messages(self._connections):
            place = f"{self.name}: message {index} of {self.topic}"
            try:
                image = self._pixels(message, place)
            except SourceError as error:
                self._report(error)
            else:
                stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
                yield Frame(
                    image,
                    self.name,
                    index,
                    stamp if stamp > 0 else time_ns * 1e-9,
                    self._camera,
                    Path(self.name),
                )
            index += 1
        if index == 0:
            raise SourceError(f"{self.name}: topic {self.topic} has no messages")

    def close(self) -> None:
        """Release the bag."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _pixels(self, message: Any, place: str) -> Image:
        if self._compressed:
            return decode_image(bytes(message.data), place)
        return image_from_message(message, place)

    def _messages(self, connections: list[Connection]) -> Iterator[tuple[int, Any]]:
        """Time of recording [ns] and message of everything on some connections."""
        try:
            for connection, time_ns, data in self._reader.messages(connections=connections):
                yield time_ns, self._deserialize(data, _type_of(connection))
        except _UNREADABLE as error:
            raise SourceError(f"{self.name}: the bag is corrupt ({_reason(error)})") from error

    def _read_camera(self, connections: list[Connection]) -> Camera | None:
        """The camera of the first camera_info message; None where there is none, or it says "not calibrated"."""
        rectified = "rect" in self.topic.removesuffix(_COMPRESSED_SUFFIX).rsplit("/", 1)[-1]
        for _, message in self._messages(connections) if connections else ():
            try:
                return camera_from_info(message, rectified)
            except InvalidInput as error:
                raise SourceError(f"{self.name}: {connections[0].topic}: {error}") from error
        return None

    def _frame_rate(self) -> float | None:
        """Mean rate over the recording [1/s]; the reader's duration covers every topic."""
        seconds = self._reader.duration * 1e-9
        return (self.length or 0) / seconds if seconds > 0 and (self.length or 0) > 1 else None


def info_topic(image_topic: str) -> str:
    """The camera_info topic that belongs to an image topic: its neighbour (image_transport's rule)."""
    base = image_topic.removesuffix(_COMPRESSED_SUFFIX)
    return base.rsplit("/", 1)[0] + "/camera_info"


def _type_of(connection: Connection) -> str:
    """The message type in today's spelling: the first ROS 2 release wrote sensor_msgs/Image."""
    package, _, name = connection.msgtype.rpartition("/")
    return connection.msgtype if "/" in package else f"{package}/msg/{name}"


def _choose_topic(bag: str, connections: list[Connection], wanted: str | None) -> str:
    images = {c.topic: _type_of(c) for c in connections if _type_of(c) in (_RAW, _COMPRESSED)}
    if wanted is not None:
        if wanted not in images:
            raise SourceError(f"{bag}: no image topic {wanted}; it has {', '.join(sorted(images)) or 'none'}")
        return wanted
    if not images:
        topics = sorted({f"{c.topic} ({_type_of(c)})" for c in connections})
        raise SourceError(f"{bag}: no image topic in this bag; it has {', '.join(topics) or 'no topics'}")
    cameras = [t for t in images if t.removesuffix(_COMPRESSED_SUFFIX) not in images or images[t] == _RAW]
    colour = [topic for topic in cameras if "depth" not in topic.lower()] or cameras
    if len(colour) > 1:
        raise SourceError(f"{bag}: several image topics, choose one with --topic: {', '.join(sorted(colour))}")
    return colour[0]


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
