"""Which image topic of a bag is meant, by what is in it: counts and first images, not names alone."""

from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from prehend.errors import SourceError
from prehend.io.bags.files import BagFiles, Topic
from prehend.io.pixels.encodings import COLOURED, encoding_name

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_SUFFIX = "/compressed"
_FIRST = 5
_NEARLY = 0.95
"""Of twins the raw one is read unless it lacks more than a twentieth of the messages."""
_DERIVED = ("mask", "seg", "segmentation", "label", "labels", "debug", "overlay", "confidence", "disparity", "depth")

_STREAMS = ("h264", "h265", "hevc", "av1", "theora", "vp8", "vp9")
_STREAM_TYPES = ("Packet", "FFMPEGPacket", "CompressedVideo", "H264Packet", "H265Packet")
"""Types of messages that are parts of a video: of theora, ffmpeg_image_transport, Foxglove and drivers."""

Content = Literal["colour", "grey", "stream", "none"]


@dataclass(frozen=True)
class Choice:
    """The topic that is read, and what to say of the others."""

    topic: Topic
    notes: list[str] = field(default_factory=list)


def choose_topic(bag: BagFiles, wanted: str | None) -> Choice:
    """The image topic to read.

    The only one with colour images is taken, else the only grey one; empty topics and depth never are. Of a topic and
    its compressed twin the one with more messages.

    Args:
        bag: opened.
        wanted: its name, None to choose.

    Raises:
        SourceError: there is no such topic, no images, or several cameras: which one is for the user to say.
    """
    images = {name: topic for name, topic in bag.topics.items() if topic.type in (RAW, COMPRESSED)}
    if wanted is not None:
        wanted = f"/{wanted.strip('/')}"  # as people write them
        if wanted not in images:
            raise SourceError(f"{bag.name}: no image topic {wanted}; it has {_listed(images) or 'none'}")
        return Choice(images[wanted])
    streams = [topic.name for topic in bag.topics.values() if topic.count and _is_stream(topic)]
    if not images:
        topics = sorted({f"{topic.name} ({topic.type})" for topic in bag.topics.values()})
        raise SourceError(f"{bag.name}: no image topic in this bag; it has {', '.join(topics) or 'no topics'}")
    filled = {name: topic for name, topic in images.items() if topic.count}
    if not filled:
        raise SourceError(f"{bag.name}: its image topics have no messages: {_listed(images)}")
    notes: list[str] = []
    cameras = _without_twins(filled, notes)
    found = {name: _content(bag, topic) for name, topic in cameras.items()}
    streams += [name for name, content in found.items() if content == "stream"]
    if streams:
        notes.append(f"video streams are not read and left out: {_listed(streams)}")
    for kind in ("colour", "grey"):
        names = [name for name, content in found.items() if content == kind]
        likely = [name for name in names if not _is_derived(name)] or names
        if len(likely) > 1:
            raise SourceError(f"{bag.name}: several image topics, choose one with --topic: {_listed(likely)}")
        if likely and streams and _is_derived(likely[0]):
            raise SourceError(
                f"{bag.name}: its camera is a video stream ({_listed(streams)}), which is not read: republish it as "
                f"raw or compressed images; --topic chooses {_listed(likely)}"
            )
        if likely:
            if _is_derived(likely[0]):
                notes.append(f"{likely[0]} is read, which by its name is no camera's own image")
            return _chosen(images, cameras[likely[0]], notes)
    if len(cameras) > 1:
        raise SourceError(f"{bag.name}: no colour or grey images on its image topics: {_listed(cameras)}")
    return Choice(next(iter(cameras.values())), notes)


def _chosen(images: dict[str, Topic], topic: Topic, notes: list[str]) -> Choice:
    raw = images.get(_base(topic))
    if raw is not None and not raw.count and raw.name != topic.name:
        notes.append(f"{topic.name} is read: {raw.name} has no messages")
    others = [name for name in images if name != topic.name and name.removesuffix(_SUFFIX) != _base(topic)]
    if others:
        notes.append(f"{topic.name} is read; --topic chooses another image topic: {_listed(others)}")
    return Choice(topic, notes)


def _is_stream(topic: Topic) -> bool:
    package, _, name = topic.type.replace("/msg/", "/").rpartition("/")
    return name in _STREAM_TYPES and (name != "Packet" or "theora" in package)


def _base(topic: Topic) -> str:
    return topic.name.removesuffix(_SUFFIX)


def _without_twins(topics: dict[str, Topic], notes: list[str]) -> dict[str, Topic]:
    """The better one of each topic and its compressed twin."""
    kept = dict(topics)
    for name, twin in topics.items():
        raw = topics.get(name.removesuffix(_SUFFIX))
        if raw is None or raw is twin or twin.type != COMPRESSED:
            continue
        loser, winner = (twin, raw) if raw.count >= _NEARLY * twin.count else (raw, twin)
        kept.pop(loser.name, None)
        if winner is twin:
            notes.append(f"{twin.name} is read: it has {twin.count} images, {raw.name} {raw.count}")
    return kept


def _content(bag: BagFiles, topic: Topic) -> Content:
    """What the first image of a topic is; "none" for depth and what cannot be read."""
    first = (message for _, _, message in islice(bag.messages([topic]), _FIRST))
    message = next((message for message in first if not isinstance(message, SourceError)), None)
    if message is None:
        return "none"
    if topic.type == RAW:
        encoding = encoding_name(message.encoding)
        if encoding is None or (encoding == "mono16" and "depth" in topic.name.lower()):
            return "none"  # RealSense's recorder calls depth mono16
        return "colour" if encoding in COLOURED else "grey"
    said = str(message.format).lower()
    if any(stream in said for stream in _STREAMS):
        return "stream"
    if "compresseddepth" in said or "zstd" in said or said.startswith(("16uc1", "32fc1")):
        return "none"
    return "grey" if said.partition(";")[0].strip() in ("mono8", "mono16", "8uc1") else "colour"


def _is_derived(name: str) -> bool:
    """Whether the last parts of a name say that the images are made of others; the camera's own name does not count."""
    parts = name.removesuffix(_SUFFIX).lower().split("/")[-2:]
    words = {word for part in parts for word in part.split("_")}
    return parts[-1] not in ("image_raw", "image_color", "image_rect", "image_rect_raw") and not words.isdisjoint(
        _DERIVED
    )


def _listed(names: object) -> str:
    return ", ".join(sorted(names))  # type: ignore[call-overload]
