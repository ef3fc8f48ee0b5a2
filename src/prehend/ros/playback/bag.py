"""A bag played as it was recorded: images, their camera_info and chosen further topics, with stamps and frame ids."""

import argparse
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from prehend.errors import ParameterError, PrehendError, SourceError
from prehend.geometry.camera import estimated_camera
from prehend.io.bags.bag import info_of, info_topic
from prehend.io.bags.files import BagFiles, Topic
from prehend.io.bags.topics import choose_topic
from prehend.io.cameras.side_files import GivenCamera
from prehend.io.pixels.images import ImageReader
from prehend.io.rates import measured_rate
from prehend.ros.conversion.convert import header_message, seconds, time_message
from prehend.ros.conversion.images import camera_message, jpeg_message
from prehend.ros.messages import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, encode, make, message_class, typestore
from prehend.ros.middleware.borders import Border
from prehend.ros.playback.stage import LONGEST_PAUSE_S, linger, tell_pause, wait_for_subscriber
from prehend.types import Camera

CLOCK, CLOCK_TOPIC = "rosgraph_msgs/msg/Clock", "/clock"
_LATCHED = "/tf_static"


@dataclass(frozen=True)
class BagMessage:
    """A message of the bag.

    Attributes:
        topic: it was recorded on.
        time_s: of recording.
        data: its bytes.
        connection: it was recorded on.
    """

    topic: Topic
    time_s: float
    data: bytes
    connection: Any


class BagPlay:
    """Publishes a bag.

    Args:
        node: that publishes.
        args: see `play.add_arguments`.
        bag: of ROS 2, opened with `messages.typestore`.
        images: topic of its images.
        target: where the images go, without /compressed.
        given: a camera in place of the bag's camera_info.
        on_error: hears of messages that cannot be read.

    Raises:
        ParameterError: a further topic is not in the bag, or its type is not known.
    """

    def __init__(
        self,
        node: Any,
        args: argparse.Namespace,
        bag: BagFiles,
        images: Topic,
        target: str,
        given: GivenCamera | None,
        on_error: Callable[[SourceError], None],
    ):
        self._node, self._args, self._bag, self._images = node, args, bag, images
        self._given, self._on_error = given, on_error
        self._reader = ImageReader()
        self._info = info_of(images.name, bag.topics)
        self._jpeg = args.compressed and images.type == IMAGE
        self.topic = f"{target}/compressed" if self._jpeg or images.type == COMPRESSED_IMAGE else target
        beside = info_topic(target) if "/" in target else "camera_info"
        self._image_out = self._publisher(COMPRESSED_IMAGE if self._jpeg else images.type, self.topic)
        self._info_out = self._publisher(CAMERA_INFO, beside)
        self._also = {topic.name: self._further(topic) for topic in self._chosen(args.also)}
        self._clock_out = self._publisher(CLOCK, CLOCK_TOPIC) if args.clock else None
        self._rate = measured_rate([entry.time_s for entry in self._first_images()]) or 30.0
        self._shift_s: float | None = None

    @property
    def said(self) -> str:
        """What is played, for people."""
        kept = "stamps are of now" if self._args.now else "stamps are kept"
        frame = f"frame {self._args.frame}" if self._args.frame else "frame ids are kept"
        also = "".join(f", {name}" for name in self._also)
        clock = f", {CLOCK_TOPIC}" if self._clock_out is not None else ""
        calibration = (
            "another camera"
            if self._own_camera and self._info
            else (self._info.name if self._info else "no calibration")
        )
        return (
            f"{self._bag.name}, topic {self._images.name} ({self._images.count} images, {self._rate:.1f} Hz), goes to "
            f"{self.topic} with {calibration}{also}{clock}; {kept}, {frame}"
        )

    def play(self, stop: threading.Event) -> None:
        """Publish until the bag ends, or `stop` is set."""
        others = [self._info_out, *self._also.values(), *([] if self._clock_out is None else [self._clock_out])]
        wait_for_subscriber(self._image_out, self._args.wait, stop, others)
        while True:
            if not self._once(stop) or not self._args.loop:
                break
        linger([self._image_out, *others], stop)

    def _once(self, stop: threading.Event) -> bool:
        """One round; False where it was stopped or there is nothing to play."""
        began, first, before, count = time.monotonic(), None, 0.0, 0
        speed = 1.0 if self._args.rate is None else self._args.rate / self._rate
        total = None if self._args.start or self._args.duration else self._images.count
        with tqdm(total=total, unit="image", desc=self._bag.name, disable=None) as bar:
            for entry in self._entries():
                if first is None:
                    first = before = entry.time_s
                due = began + max(entry.time_s - first, 0.0) / speed
                late = time.monotonic() - due
                if entry.time_s - before > LONGEST_PAUSE_S and late < 0:  # or the recorder's clock was set
                    tell_pause(self._bag.name, entry.time_s - before)
                    began, late = began + late, 0.0
                before = entry.time_s
                if late > 0:  # what is late does not hurry those after it
                    began += late
                elif stop.wait(-late):
                    return False
                if stop.is_set():
                    return False
                self._publish(entry)
                is_image = entry.topic.name == self._images.name
                count += 1
                bar.update(is_image)
        if not count:
            raise SourceError(f"{self._bag.name}: nothing to play between --start and --duration")
        return True

    def _entries(self) -> Iterator[BagMessage]:
        """What is to be played; a latched topic from the bag's beginning on."""
        topics = {topic.name: topic for topic in (self._images, *self._further_topics())}
        if self._info is not None and not self._own_camera:
            topics[self._info.name] = self._info
        start: float | None = None
        for connection, time_ns, data in self._bag.serialised(topics.values()):
            time_s = time_ns * 1e-9
            start = time_s if start is None else start
            after = time_s - start - self._args.start
            if self._args.duration is not None and after > self._args.duration:
                return
            if after >= 0 or connection.topic == _LATCHED:
                yield BagMessage(topics[connection.topic], time_s, bytes(data), connection)

    def _publish(self, entry: BagMessage) -> None:
        if self._clock_out is not None:
            self._clock_out.publish(encode(make(CLOCK, clock=time_message(entry.time_s))))
        try:
            if entry.topic.name == self._images.name:
                self._publish_image(entry)
            elif self._info is not None and entry.topic.name == self._info.name and not self._own_camera:
                self._info_out.publish(self._with_header(entry))
            if entry.topic.name in self._also:
                self._also[entry.topic.name].publish(entry.data)
        except SourceError as error:
            self._on_error(SourceError(f"{self._bag.name}: {entry.topic.name}: {error}"))

    def _publish_image(self, entry: BagMessage) -> None:
        if not (self._own_camera or self._jpeg):
            self._image_out.publish(self._with_header(entry))
            return
        message = self._bag.deserialised(entry.connection, entry.data)
        header = self._header(message.header)
        image = (self._reader.compressed if entry.topic.type == COMPRESSED_IMAGE else self._reader.message)(
            message, entry.topic.name
        )
        height, width = image.shape[:2]
        if self._own_camera:
            self._info_out.publish(encode(camera_message(header, self._camera(width, height), width, height)))
        if self._jpeg:
            self._image_out.publish(encode(jpeg_message(header, image)))
        else:
            self._image_out.publish(self._with_header(entry))

    @property
    def _own_camera(self) -> bool:
        """Whether camera_info is made here: another camera was asked for, or the bag has none (K is then zero)."""
        return self._given is not None or self._args.fov is not None or self._info is None

    def _camera(self, width: int, height: int) -> Camera | None:
        if self._given is not None:
            return self._given.for_image(width, height)
        return None if self._args.fov is None else estimated_camera(width, height, self._args.fov)

    def _with_header(self, entry: BagMessage) -> bytes:
        """The bytes as they were recorded, or with another stamp or frame where that was asked for."""
        if not (self._args.now or self._args.frame):
            return entry.data
        message = self._bag.deserialised(entry.connection, entry.data)
        message.header = self._header(message.header)
        return encode(message)

    def _header(self, header: Any) -> Any:
        """A recorded header, with the stamp and frame that were asked for."""
        frame = self._args.frame or str(header.frame_id)
        if not self._args.now:
            return make("std_msgs/msg/Header", stamp=header.stamp, frame_id=frame)
        now_s = float(self._node.get_clock().now().nanoseconds) * 1e-9
        stamp_s = seconds(header.stamp)
        if self._shift_s is None or abs(now_s - stamp_s - self._shift_s) > 1.0:  # the first, a pause, or another round
            self._shift_s = now_s - stamp_s
        return header_message(stamp_s + self._shift_s, frame)

    def _chosen(self, names: list[str]) -> list[Topic]:
        taken = {self._images.name, self._info.name if self._info else ""}
        if names == ["all"]:
            return [topic for topic in self._bag.topics.values() if topic.count and topic.name not in taken]
        unknown = [name for name in names if name not in self._bag.topics]
        if unknown:
            raise ParameterError(
                f"--also {unknown[0]}: {self._bag.name} has {', '.join(sorted(self._bag.topics)) or 'no topics'}"
            )
        return [self._bag.topics[name] for name in names if name not in taken]

    def _further_topics(self) -> list[Topic]:
        return [self._bag.topics[name] for name in self._also]

    def _further(self, topic: Topic) -> Any:
        if topic.type not in typestore().types:
            raise ParameterError(f"--also {topic.name}: the type {topic.type} is not known here: leave it out")
        return self._publisher(topic.type, topic.name, latched=topic.name == _LATCHED)

    def _publisher(self, kind: str, topic: str, latched: bool = False) -> Any:
        from rclpy.qos import DurabilityPolicy, QoSProfile

        quality = QoSProfile(depth=100)
        if latched:
            quality.durability = DurabilityPolicy.TRANSIENT_LOCAL
        with Border(ParameterError, f"ROS refuses the topic {topic}"):
            return self._node.create_publisher(message_class(kind), topic, quality)

    def _first_images(self) -> Iterator[BagMessage]:
        for row, (connection, time_ns, data) in enumerate(self._bag.serialised([self._images])):
            if row == 15:
                return
            yield BagMessage(self._images, time_ns * 1e-9, bytes(data), connection)


def open_bag(name: Any, wanted: str | None) -> tuple[BagFiles, Topic]:
    """A bag of ROS 2 and the topic of its images.

    Raises:
        SourceError: it cannot be read, or the topic is not there.
    """
    bag = BagFiles(name, typestore())
    try:
        return bag, choose_topic(bag, wanted).topic
    except PrehendError:
        bag.close()
        raise


__all__ = ["BagPlay", "open_bag"]
