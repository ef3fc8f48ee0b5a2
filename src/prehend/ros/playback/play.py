"""`prehend play`: a video, a folder of images, an image, a bag or a camera as the topics of a camera driver."""

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from prehend.errors import ParameterError, SourceError
from prehend.geometry.camera import estimated_camera
from prehend.io.cameras.side_files import GivenCamera, read_camera
from prehend.io.sources import Frame, Source, is_bag, open_source
from prehend.ros.conversion.convert import header_message
from prehend.ros.conversion.images import camera_message, image_message, jpeg_message
from prehend.ros.messages import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, encode, message_class, require_rclpy
from prehend.ros.middleware.borders import Border
from prehend.ros.middleware.network import add_network_options, use_network
from prehend.ros.playback.stage import LONGEST_PAUSE_S, linger, tell_pause, wait_for_subscriber
from prehend.ros.start import end_ros, restore_signals, start_ros, stop_on_signals
from prehend.types import Camera

DEFAULT_TOPIC = "/camera/image_raw"
FRAME_ID = "camera_color_optical_frame"
_DEFAULT_RATE_HZ = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that `run_play` reads."""
    parser.add_argument("source", metavar="SOURCE", help="image, folder of images, video, rosbag or camera")
    parser.add_argument(
        "--topic",
        help="of a bag: which of its image topics, published under the same name; of anything else: where the images "
        f"go (default: {DEFAULT_TOPIC}); camera_info goes beside them",
    )
    parser.add_argument("--to", metavar="TOPIC", help="where the images of a bag's topic go instead")
    parser.add_argument(
        "--also", nargs="+", default=[], metavar="TOPIC", help="further topics of a bag, such as /tf /tf_static; all"
    )
    parser.add_argument("--frame", metavar="ID", help="frame id of the images, in place of the bag's")
    parser.add_argument(
        "--now", action="store_true", help="stamp a bag's images with the time of playing; its own stamps are kept else"
    )
    parser.add_argument("--clock", action="store_true", help="publish the bag's time on /clock (for use_sim_time)")
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="seconds to leave out at the beginning")
    parser.add_argument("--duration", type=float, metavar="S", help="seconds to play")
    parser.add_argument("--rate", type=float, metavar="HZ", help="images a second (default: the source's, else 30)")
    parser.add_argument("--loop", action="store_true", help="start again at the end")
    parser.add_argument("--compressed", action="store_true", help="publish JPEG on TOPIC/compressed instead")
    parser.add_argument("--camera", type=Path, metavar="FILE", help="calibration: YAML of camera_info_manager, or JSON")
    parser.add_argument("--fov", type=float, metavar="DEG", help="field of view across the longer side, if no --camera")
    parser.add_argument(
        "--wait", type=float, default=3.0, metavar="S", help="longest wait for a first subscriber (default: 3)"
    )
    add_network_options(parser)


def run_play(args: argparse.Namespace) -> int:
    """Publish until the source ends, or SIGINT or SIGTERM comes.

    Args:
        args: see `add_arguments`.

    Returns:
        Exit code 0, or 1 when images could not be read.

    Raises:
        ParameterError: wrong arguments.
        PrehendError: the source or the calibration cannot be read, or rclpy is missing.
    """
    require_rclpy()
    _check(args)
    use_network(args.discovery, args.peer)
    stop, before = threading.Event(), None
    failures = _ReadFailures()
    try:
        given = read_camera(args.camera) if args.camera else None
        if _is_ros2_bag(args.source):
            before = stop_on_signals(stop)
            _play_bag(args, given, stop, failures)
            return 1 if failures.count else 0
        source, topic = _open(args, failures)
        with source:
            node, notes = start_ros([], "prehend_play")
            for note in notes:
                node.get_logger().warning(note)
            before = stop_on_signals(stop)
            with Border(ParameterError, f"ROS refuses the topic {topic}"):
                publisher = _Publisher(node, args, topic, given)
            for note in source.notes:
                node.get_logger().info(f"{source.name}: {note}")
            node.get_logger().info(f"{source.name}{_topic_of(source)} goes to {publisher.topic}")
            _play(source, args, publisher, stop, failures)
    finally:
        end_ros()
        if before is not None:
            restore_signals(before)
    return 1 if failures.count else 0


def _is_ros2_bag(source: str) -> bool:
    path = Path(source)
    return is_bag(path) and (path.is_dir() or path.suffix.lower() != ".bag")


def _play_bag(
    args: argparse.Namespace, given: GivenCamera | None, stop: threading.Event, failures: "_ReadFailures"
) -> None:
    """A bag of ROS 2 as it was recorded. `--topic` chooses among its topics; one that it does not have is where its
    images go."""
    from prehend.ros.playback.bag import BagPlay, open_bag

    path, wanted = Path(args.source), args.to or args.topic or DEFAULT_TOPIC
    try:
        bag, images = open_bag(path, args.topic)
        if args.topic is not None and args.to is None:
            wanted = args.topic.removesuffix("/compressed")
    except SourceError:
        if args.topic is None or args.to is not None:
            raise
        bag, images = open_bag(path, None)
    try:
        node, notes = start_ros([], "prehend_play")
        for note in (*notes, *bag.notes):
            node.get_logger().warning(note)
        player = BagPlay(node, args, bag, images, wanted, given, failures)
        node.get_logger().info(player.said)
        player.play(stop)
    finally:
        bag.close()


class _ReadFailures:
    """Images that cannot be read: told, counted, left out."""

    count = 0

    def __call__(self, error: SourceError) -> None:
        self.count += 1
        tqdm.write(f"prehend play: {error}", file=sys.stderr)


def _topic_of(source: Source) -> str:
    topic = getattr(source, "topic", "")
    return f", topic {topic}," if topic else ""


def _open(args: argparse.Namespace, failures: _ReadFailures) -> tuple[Source, str]:
    """The source, and the topic that its images go to.

    `--topic` chooses among a bag's topics; one that the bag does not have is where its images go.
    """
    wanted = args.to or args.topic or DEFAULT_TOPIC
    opened = partial(open_source, args.source, on_error=failures, own_camera=bool(args.camera or args.fov))
    if args.topic is None or not is_bag(Path(args.source)):
        return opened(), wanted
    try:
        source = opened(topic=args.topic)
    except SourceError:
        if args.to is not None:
            raise
        return opened(), wanted
    return source, args.to or args.topic.removesuffix("/compressed")


def _check(args: argparse.Namespace) -> None:
    if args.rate is not None and not 0 < args.rate <= 1000:
        raise ParameterError(f"--rate is {args.rate:g}, expected more than 0 and at most 1000 images a second")
    if args.camera and args.fov is not None:
        raise ParameterError("--camera and --fov contradict each other: give one")
    if args.start < 0 or (args.duration is not None and args.duration <= 0):
        raise ParameterError("--start and --duration are seconds: not below 0, and more than 0")
    of_bags = [name for name in ("also", "now", "clock") if getattr(args, name)]
    if of_bags and not _is_ros2_bag(args.source):
        raise ParameterError(f"--{of_bags[0]} is of bags of ROS 2, which {args.source} is not")
    if args.also and args.now:
        raise ParameterError("--also keeps stamps, and --now does not: give one")
    if args.fov is not None and not 0 < args.fov < 180:
        raise ParameterError(f"--fov is {args.fov:g}, expected more than 0 and less than 180 degrees")


class _Publisher:
    """Publishes a frame as an image with its camera_info.

    Attributes:
        topic: of the images.
    """

    def __init__(self, node: Any, args: argparse.Namespace, topic: str, given: GivenCamera | None) -> None:
        self._fov_deg, self._given, self._compressed = args.fov, given, args.compressed
        self._frame = args.frame or FRAME_ID
        self._node = node
        kind = COMPRESSED_IMAGE if args.compressed else IMAGE
        images = f"{topic}/compressed" if args.compressed else topic
        self.topic = images
        self._images: Any = self._node.create_publisher(message_class(kind), images, 10)
        beside = f"{topic.rpartition('/')[0]}/camera_info" if "/" in topic else "camera_info"
        self._infos: Any = self._node.create_publisher(message_class(CAMERA_INFO), beside, 10)

    def now_s(self) -> float:
        """The node's clock."""
        return float(self._node.get_clock().now().nanoseconds) * 1e-9

    def wait_for_subscriber(self, longest_s: float, stop: threading.Event) -> None:
        """See `stage.wait_for_subscriber`."""
        wait_for_subscriber(self._images, longest_s, stop, [self._infos])

    def linger(self, stop: threading.Event) -> None:
        """See `stage.linger`."""
        linger([self._images, self._infos], stop)

    def publish(self, frame: Frame, stamp_s: float) -> None:
        """Publish camera_info, then the image, with the same header."""
        height, width = frame.image_rgb.shape[:2]
        header = header_message(stamp_s, self._frame)
        self._infos.publish(encode(camera_message(header, self._camera(frame, width, height), width, height)))
        message = (jpeg_message if self._compressed else image_message)(header, frame.image_rgb)
        self._images.publish(encode(message))

    def _camera(self, frame: Frame, width: int, height: int) -> Camera | None:
        if self._given is not None:
            return self._given.for_image(width, height)
        return estimated_camera(width, height, self._fov_deg) if self._fov_deg else frame.camera


def _play(
    source: Source, args: argparse.Namespace, publisher: _Publisher, stop: threading.Event, failures: _ReadFailures
) -> None:
    publisher.wait_for_subscriber(args.wait, stop)
    schedule = PlaySchedule(args.rate, source.fps, time.monotonic())
    start_stamp_s = publisher.now_s() - schedule.due_s
    total = None if args.loop or args.start or args.duration else source.length
    for frame in tqdm(_frames(source, args, failures), total=total, unit="image", desc=args.source):
        due_s = schedule.next(frame.stamp, time.monotonic())
        if schedule.left_out_s:
            tell_pause(args.source, schedule.left_out_s)
        if stop.wait(max(0.0, due_s - time.monotonic())):
            return
        publisher.publish(frame, start_stamp_s + due_s)
    publisher.linger(stop)


class PlaySchedule:
    """When each image is due: at a given rate, else as far apart as their stamps are, else at the source's rate.

    Attributes:
        due_s: of the last image; before the first, when that is [s].
        left_out_s: a pause of over a minute before the last image, which is not waited for; 0 for none [s].
    """

    def __init__(self, rate_hz: float | None, source_hz: float | None, start_s: float) -> None:
        self._given = rate_hz is not None
        self._period_s = 1 / (rate_hz or source_hz or _DEFAULT_RATE_HZ)
        self._stamp_s: float | None = None
        self._began = False
        self.due_s, self.left_out_s = start_s, 0.0

    def next(self, stamp_s: float | None, now_s: float) -> float:
        """Time at which the next image is due, on the clock of `now_s`; one that came late does not hurry the others.

        Args:
            stamp_s: of the image, None where the source has none.
            now_s: of a monotonic clock.
        """
        step_s, self.left_out_s = self._period_s, 0.0
        if not self._given and stamp_s is not None and self._stamp_s is not None and stamp_s > self._stamp_s:
            step_s = stamp_s - self._stamp_s
            if step_s > LONGEST_PAUSE_S:
                step_s, self.left_out_s = self._period_s, step_s
        if self._began:
            self.due_s = max(self.due_s + step_s, now_s)
        self._stamp_s, self._began = stamp_s, True
        return self.due_s


def _frames(source: Source, args: argparse.Namespace, failures: _ReadFailures) -> Iterator[Frame]:
    yield from _cut(source, args)
    while args.loop:
        again, _ = _open(args, failures)
        with again:
            yield from _cut(again, args)


def _cut(source: Source, args: argparse.Namespace) -> Iterator[Frame]:
    """What lies between `--start` and `--duration`; images without stamps are as far apart as they are played."""
    period_s, first_s = 1 / (args.rate or source.fps or _DEFAULT_RATE_HZ), None
    for number, frame in enumerate(source):
        time_s = number * period_s if frame.stamp is None else frame.stamp
        first_s = time_s if first_s is None else first_s
        after_s = time_s - first_s - args.start
        if args.duration is not None and after_s > args.duration:
            return
        if after_s >= 0:
            yield frame
