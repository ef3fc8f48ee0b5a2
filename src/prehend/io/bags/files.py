"""The storage files of a rosbag, read one by one: what they hold counts, not what metadata.yaml says of them."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prehend.documents import disguise_of, read_yaml
from prehend.errors import MissingDependency, SourceError, one_line
from prehend.io.bags import unpacking as bag_unpacking
from prehend.io.plain_names import PlainName

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

bag_unpacking.install()

_OTHER_PROFILE = "Profile is not"
_UNREADABLE = (
    SourceError,
    apsw.Error,
    Reader1Error,
    Reader2Error,
    SerdeError,
    struct.error,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    RecursionError,
    RuntimeError,
)
"""What reading a damaged bag was seen to raise; none of them says which file it was. lz4 raises RuntimeError."""


@dataclass(frozen=True)
class Topic:
    """A topic of a bag: its name, its type in today's spelling, and how many messages its storage files hold."""

    name: str
    type: str
    count: int


class BagFiles:
    """A bag, opened.

    Args:
        path: of the bag.
        types: the `rosbags` type store of a ROS 2 bag's messages; None for those of ROS itself.

    Attributes:
        name: of the bag, for messages.
        is_ros1: its messages are ROS 1's.
        topics: by name.
        notes: what was wrong with its bookkeeping and did not matter.

    Raises:
        SourceError: none of its files can be read.
    """

    def __init__(self, path: Path, types: Any = None):
        self.name, self.notes = str(path), list[str]()
        self.is_ros1 = ros1 = path.suffix.lower() == ".bag" and not path.is_dir()
        store = get_typestore(Stores.ROS1_NOETIC) if ros1 else types or get_typestore(Stores.LATEST)
        self._deserialize = store.deserialize_ros1 if ros1 else store.deserialize_cdr
        self._readers: list[Any] = []
        self._links: list[PlainName] = []
        self._open(path, ros1)
        self.topics = self._count()

    def messages(self, topics: Iterable[Topic]) -> Iterator[tuple[Topic, int, Any]]:
        """Topic, time of recording [ns] and message of everything on some topics, file by file in order of time.

        A message that is damaged comes as a `SourceError`.

        Raises:
            SourceError: a file ends or breaks in between.
        """
        wanted = {topic.name: topic for topic in topics}
        for connection, time_ns, data in self.serialised(wanted.values()):
            yield wanted[connection.topic], time_ns, self._message(data, connection)

    def serialised(self, topics: Iterable[Topic]) -> Iterator[tuple[Connection, int, bytes]]:
        """Connection, time of recording [ns] and bytes of everything on some topics, in the order of `messages`.

        Raises:
            SourceError: a file ends or breaks in between.
        """
        wanted = {topic.name: topic.type for topic in topics}
        for reader in self._readers:
            try:
                connections = [c for c in reader.connections if wanted.get(c.topic) == type_of(c)]
                yield from reader.messages(connections) if connections else ()
            except _UNREADABLE as error:
                raise SourceError(f"{self.name}: the bag is corrupt ({one_line(error)})") from error

    def deserialised(self, connection: Connection, data: bytes) -> Any:
        """The message in some bytes of `serialised`.

        Raises:
            SourceError: it is damaged.
        """
        message = self._message(data, connection)
        if isinstance(message, SourceError):
            raise message
        return message

    def close(self) -> None:
        """Release the files."""
        for reader in self._readers:
            try:
                reader.close()
            except _UNREADABLE:  # it is of no use any more either way
                continue
        self._readers.clear()
        for link in self._links:
            link.close()

    def _message(self, data: bytes, connection: Connection) -> Any:
        try:
            return self._deserialize(data, type_of(connection))
        except _UNREADABLE as error:
            return SourceError(f"the message is damaged ({one_line(error)})")

    def _open(self, path: Path, ros1: bool) -> None:
        files, whole = self._storage_files(path) if path.is_dir() else ([path], False)
        failed = None
        for file in [path] if whole else files:
            link = PlainName(file)
            self._links.append(link)
            try:
                reader = (Reader1 if ros1 else Reader2)(Path(link.name))
                reader.open()
                self._readers.append(reader)
            except _UNREADABLE as error:
                failed = error
                self.notes.append(f"{file.name} cannot be read and is left out ({one_line(error)})")
            if file.with_name(f"{file.name}-wal").exists():
                self.notes.append(
                    f"{file.name} has a -wal file, whose messages are not read: close it with sqlite3 first"
                )
        if not self._readers:
            self.close()
            raise SourceError(f"{self.name}: {_why_no_bag(files, failed)}") from failed

    def _storage_files(self, folder: Path) -> tuple[list[Path], bool]:
        """The files of a bag's folder in order, and whether they are packed, so that only metadata.yaml tells how."""
        there = sorted(p for p in folder.iterdir() if p.suffix in (".db3", ".mcap") and p.is_file())
        try:
            content = read_yaml(folder / "metadata.yaml")
            entry = content["rosbag2_bagfile_information"]
            if str(entry.get("compression_mode") or "none").lower() != "none":
                return there, True
            listed = [folder / Path(str(name)).name for name in entry["relative_file_paths"]]
        except (SourceError, LookupError, TypeError, AttributeError, ValueError):
            self.notes.append("metadata.yaml is missing or damaged: the storage files are read as they lie there")
            return sorted(there, key=lambda path: (len(path.stem), path.stem)), False
        for path in listed:
            if not path.exists():
                self.notes.append(f"{path.name} is missing, which metadata.yaml lists")
        return [path for path in listed if path.exists()] or there, False

    def _count(self) -> dict[str, Topic]:
        found: dict[str, Topic] = {}
        for reader in self._readers:
            for connection in reader.connections:
                before = found.get(connection.topic)
                kind = type_of(connection) if before is None else before.type
                count = (before.count if before else 0) + (connection.msgcount if kind == type_of(connection) else 0)
                found[connection.topic] = Topic(connection.topic, kind, count)
        return found


def type_of(connection: Connection) -> str:
    """The message type in today's spelling: the first ROS 2 release wrote sensor_msgs/Image."""
    package, _, name = connection.msgtype.rpartition("/")
    return connection.msgtype if "/" in package else f"{package}/msg/{name}"


def _why_no_bag(files: Sequence[Path], failed: BaseException | None) -> str:
    """What a recording is that cannot be read."""
    if failed is None:
        return "not a rosbag that can be read, or corrupt (its folder has no .db3 or .mcap file)"
    # of a packed bag no file lies there as it is
    if files and (other := disguise_of(files[0])):
        return f"no rosbag, it is {other}"
    if _OTHER_PROFILE in str(failed):
        return (
            "an MCAP file that no ROS 2 wrote (its profile is another: Foxglove's, or ROS 1's): convert it to a bag of "
            "ROS 2"
        )
    return f"not a rosbag that can be read, or corrupt ({one_line(failed)})"
