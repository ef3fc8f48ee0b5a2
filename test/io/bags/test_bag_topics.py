"""Which topic of a bag is read, and what is told of the others."""

import numpy as np
import pytest
from recorded_bags import COMPRESSED, IMAGE, IMAGES, JPEGS, PICTURE, TIMES, TYPES, header, image, write
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from prehend.errors import SourceError
from prehend.io.sources import open_source


def chosen(tmp_path, topics):
    with open_source(str(write(tmp_path / "bag", topics))) as source:
        return source.topic, len(list(source)), " ".join(source.notes)


@pytest.mark.parametrize("raw", [0, 1, 4])
def test_of_twins_the_one_with_more_messages_is_read_and_told(tmp_path, raw):
    topic, count, told = chosen(tmp_path, {"/c/image_raw": (IMAGE, IMAGES[1][:raw]), "/c/image_raw/compressed": JPEGS})
    assert topic == "/c/image_raw/compressed" and count == 6 and "/c/image_raw/compressed is read" in told


def test_of_equal_twins_the_raw_one_is_read_without_a_word(tmp_path):
    assert chosen(tmp_path, {"/c/image_raw/compressed": JPEGS, "/c/image_raw": IMAGES}) == ("/c/image_raw", 6, "")


def test_a_mask_is_never_taken_for_a_colour_topic_whatever_their_names(tmp_path):
    mask = (IMAGE, [(t, image(t, np.zeros((4, 5), np.uint8), "mono8")) for t in TIMES])
    topic, count, told = chosen(tmp_path, {"/depth_camera/image_raw": IMAGES, "/debug/mask": mask})
    assert topic == "/depth_camera/image_raw" and count == 6 and "/debug/mask" in told


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_depth_is_told_by_its_encoding(tmp_path, encoding):
    pixels = np.zeros((4, 5), np.uint16 if encoding == "16UC1" else np.float32)
    depth = (IMAGE, [(t, image(t, pixels, encoding)) for t in TIMES])
    topic, _, _ = chosen(tmp_path, {"/a/points_image": depth, "/b/image": IMAGES})
    assert topic == "/b/image"


def test_a_grey_camera_alone_is_read_and_two_are_a_question(tmp_path):
    grey = (IMAGE, [(t, image(t, PICTURE[..., 0], "mono8")) for t in TIMES])
    assert chosen(tmp_path, {"/infra1/image_rect_raw": grey})[:2] == ("/infra1/image_rect_raw", 6)
    with pytest.raises(SourceError, match=r"--topic: /l/image, /r/image"):
        open_source(str(write(tmp_path / "two", {"/l/image": grey, "/r/image": grey})))


def test_only_empty_topics_are_named(tmp_path):
    with pytest.raises(SourceError, match=r"no messages: /c/image_raw"):
        open_source(str(write(tmp_path / "bag", {"/c/image_raw": (IMAGE, [])})))


def grey(name="mono8"):
    return (IMAGE, [(t, image(t, PICTURE[..., 0], name)) for t in TIMES])


def stream(kind):
    return (COMPRESSED, [(t, TYPES[COMPRESSED](header(t), kind, np.zeros(30, np.uint8))) for t in TIMES])


def test_a_camera_that_is_a_video_stream_is_never_replaced_in_silence(tmp_path):
    topic, count, told = chosen(tmp_path, {"/a/color/h264": stream("h264"), "/a/infra1/image_rect_raw": grey()})
    assert (topic, count) == ("/a/infra1/image_rect_raw", 6)
    assert "streams are not read and left out: /a/color/h264" in told


def test_packets_of_other_transports_are_streams_too(tmp_path):
    kind = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
    store = get_typestore(Stores.LATEST)
    store.register(get_types_from_msg("std_msgs/Header header\nint32 width\nuint8[] data", kind))
    packet = store.types[kind]
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        color = writer.add_connection("/a/color/ffmpeg", kind, typestore=store)
        other = writer.add_connection("/a/infra1/image_raw", IMAGE, typestore=store)
        for (at, one), _ in zip(grey()[1], range(6), strict=True):
            writer.write(color, int(at * 1e9), store.serialize_cdr(packet(header(at), 1, np.zeros(3, np.uint8)), kind))
            writer.write(other, int(at * 1e9), store.serialize_cdr(one, IMAGE))
    with open_source(str(tmp_path / "bag")) as source:
        assert source.topic == "/a/infra1/image_raw"
        assert "/a/color/ffmpeg" in " ".join(source.notes)


def test_masks_do_not_stand_in_for_a_stream(tmp_path):
    with pytest.raises(SourceError, match=r"video stream \(/a/color/h264\)"):
        chosen(tmp_path, {"/a/color/h264": stream("h264"), "/a/confidence/map": grey()})


def test_a_mask_alone_is_read_and_told(tmp_path):
    topic, _, told = chosen(tmp_path, {"/a/disparity/image": grey()})
    assert topic == "/a/disparity/image" and "no camera's own image" in told


@pytest.mark.parametrize("wanted", ["c/image_raw", "/c/image_raw/", "c/image_raw/"])
def test_a_topic_is_found_as_people_write_it(tmp_path, wanted):
    with open_source(str(write(tmp_path / "bag", {"/c/image_raw": IMAGES})), topic=wanted) as source:
        assert source.topic == "/c/image_raw" and len(list(source)) == 6
