"""Answers as a bag: hands, tracks, TF, markers and events at the images' stamps, with chosen topics of their bag.

No rclpy is needed. The same answers make the same bytes.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prehend.errors import InvalidInput, OutputError, ParameterError, SourceError
from prehend.files import final_target, has_room, is_special, reason, sync_folder
from prehend.io.bags.files import BagFiles, Topic, type_of
from prehend.ros.conversion.convert import event_message, hand_array, header_message, track_array, transforms
from prehend.ros.conversion.markers import marker_array
from prehend.ros.messages import HAND_ARRAY, HAND_EVENT, HAND_TRACKS, MARKERS, TF, encode, typestore
from prehend.types import FrameResult

HANDS_TOPIC, TRACKS_TOPIC, MARKERS_TOPIC, EVENTS_TOPIC, TF_TOPIC = (
    "/prehend/hands", "/prehend/tracks", "/prehend/markers", "/prehend/events", "/tf"
)  # fmt: skip
FRAME_ID = "camera_color_optical_frame"
"""Of images without a bag."""


def write_bag(
    path: Path,
    results: Mapping[int, FrameResult],
    bag: BagFiles | None,
    images: Topic | None,
    keep: Sequence[str],
    progress: Callable[[Iterator[Any]], Iterator[Any]] = lambda steps: steps,
) -> int:
    """Write an .mcap file; it appears whole or not at all.

    Args:
        path: of the file.
        results: by the image's place in its topic.
        bag: that the images are of, opened with `messages.typestore`; None for results of something else.
        images: topic of the images, None without a bag.
        keep: topics of the bag to copy.
        progress: shows the images as they pass.

    Returns:
        Number of messages.

    Raises:
        ParameterError: a topic to keep is not in the bag.
        SourceError: the bag breaks off.
        OutputError: the file cannot be written.
    """
    from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

    if path.is_dir() or is_special(path):
        raise OutputError(f"{path} cannot be written: it is no file")
    kept = _kept(bag, images, keep)
    target = final_target(path)
    with _folder_beside(target) as folder:
        inside = folder / target.stem
        try:
            with Writer(inside, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
                out = _Out(writer, path)
                steps = _of_results(results) if bag is None or images is None else _of_bag(bag, images, kept, out)
                for index, time_ns, header in progress(steps):
                    if index in results:
                        _write(out, time_ns, header, results[index])
            (inside / f"{target.stem}.mcap").replace(target)
        except (OSError, WriterError) as error:
            said = reason(error) if isinstance(error, OSError) else str(error)
            raise OutputError(f"{path} cannot be written: {said}") from error
    sync_folder(target.parent)
    return out.count


class _Out:
    """The writer, with a connection for each topic when its first message comes."""

    def __init__(self, writer: Any, path: Path):
        self._writer, self._path = writer, path
        self._connections: dict[tuple[str, str], Any] = {}
        self.count = 0

    def write(self, topic: str, kind: str, time_ns: int, data: bytes, original: Any = None) -> None:
        """Add the bytes of a message; `original` is the connection that it was recorded on."""
        connection = self._connections.get((topic, kind))
        if connection is None:
            connection = self._connections[topic, kind] = self._open(topic, kind, original)
        if self.count % 100 == 0 and not has_room(self._path.parent if self._path.parent.name else Path()):
            raise OutputError(f"{self._path} cannot be written: the disk is full")
        self._writer.write(connection, time_ns, data)
        self.count += 1

    def _open(self, topic: str, kind: str, original: Any) -> Any:
        profiles = [] if original is None else original.ext.offered_qos_profiles
        if original is not None and original.msgdef.data and original.digest:
            return self._writer.add_connection(
                topic, kind, msgdef=original.msgdef.data, rihs01=original.digest, offered_qos_profiles=profiles
            )
        return self._writer.add_connection(topic, kind, typestore=typestore(), offered_qos_profiles=profiles)


def _write(out: _Out, time_ns: int, header: Any, result: FrameResult) -> None:
    """The messages of one image. Wall times are left out: they would differ from run to run."""
    silent = FrameResult(result.camera, result.hands, result.stamp, {}, result.found)
    array = hand_array(header, silent, mesh=any(len(hand.vertices_m) for hand in result.hands), latency_ms=float("nan"))
    out.write(HANDS_TOPIC, HAND_ARRAY, time_ns, encode(array))
    out.write(TRACKS_TOPIC, HAND_TRACKS, time_ns, encode(track_array(header, result)))
    tree = transforms(header, result)
    if tree.transforms:
        out.write(TF_TOPIC, TF, time_ns, encode(tree))
    out.write(MARKERS_TOPIC, MARKERS, time_ns, encode(marker_array(header, result)))
    for event in result.events:
        out.write(EVENTS_TOPIC, HAND_EVENT, time_ns, encode(event_message(header, event)))


def _of_results(results: Mapping[int, FrameResult]) -> Iterator[tuple[int, int, Any]]:
    """Place, time and header of each image, from the stamps alone."""
    for index, result in sorted(results.items()):
        if result.stamp is None:
            raise InvalidInput("a bag needs the images' stamps, and these have none: give a video or a bag")
        header = header_message(result.stamp, FRAME_ID)
        yield index, header.stamp.sec * 10**9 + header.stamp.nanosec, header


def _of_bag(bag: BagFiles, images: Topic, kept: Sequence[Topic], out: _Out) -> Iterator[tuple[int, int, Any]]:
    """Place, time and header of each image of the bag; what is kept is copied on the way."""
    names = {topic.name for topic in kept}
    read = [*kept, *([] if images.name in names else [images])]
    index = -1
    for connection, time_ns, data in bag.serialised(read):
        if connection.topic in names:
            out.write(connection.topic, type_of(connection), time_ns, bytes(data), connection)
        if connection.topic == images.name:
            index += 1
            with suppress(SourceError):
                yield index, time_ns, bag.deserialised(connection, data).header


def _kept(bag: BagFiles | None, images: Topic | None, keep: Sequence[str]) -> list[Topic]:
    if not keep:
        return []
    if bag is None or images is None:
        raise ParameterError("--keep copies topics of a bag, and the source is none")
    if bag.is_ros1:
        raise ParameterError(
            f"--keep copies topics of ROS 2 bags; {bag.name} is of ROS 1: convert it (rosbags-convert)"
        )
    if list(keep) == ["all"]:
        return [topic for topic in bag.topics.values() if topic.count]
    unknown = [name for name in keep if name not in bag.topics]
    if unknown:
        raise ParameterError(f"--keep {unknown[0]}: {bag.name} has {', '.join(sorted(bag.topics))}")
    return [bag.topics[name] for name in dict.fromkeys(keep)]


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    """A folder of our own next to a file, gone at the end."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.stem}.", dir=target.parent))
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {reason(error)}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
