"""Bags that unfold to more than any recorder writes are refused before the memory is taken."""

import bz2
import resource
import sqlite3
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

from prehend.errors import SourceError
from prehend.io.sources import open_source

rosbags = pytest.importorskip("rosbags", reason="the extra 'bag' is not installed")
import lz4.frame  # noqa: E402
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402

from prehend.io.bags import unpacking as bag_unpacking  # noqa: E402
from prehend.io.bags.unpacking import MOST_BYTES, bounded, zstd  # noqa: E402

STORE = get_typestore(Stores.LATEST)
TYPES = STORE.types
IMAGE = "sensor_msgs/msg/Image"
GIGABYTES = 2 << 30


def packed_zeros(make, count):
    """`count` zeros, packed without being there at once."""
    packer, block = make(), bytes(16 << 20)
    first = packer.begin() if hasattr(packer, "begin") else b""
    parts = [first, *(packer.compress(block) for _ in range(count // len(block)))]
    return b"".join([*parts, packer.flush()])


def record(kind, body):
    return bytes([kind]) + struct.pack("<Q", len(body)) + body


def text(value):
    return struct.pack("<I", len(value)) + value


def mcap(path, says, name, data):
    """An MCAP file without an index that has one chunk."""
    chunk = struct.pack("<QQQI", 0, 1, says, 0) + text(name) + struct.pack("<Q", len(data)) + data
    parts = [record(1, text(b"ros2") + text(b"x")), record(6, chunk), record(2, bytes(20))]
    path.write_bytes(b"\x89MCAP0\r\n" + b"".join(parts) + b"\x89MCAP0\r\n")
    return path


def refused(path, match, most_kb=256 << 10):
    """A bag is refused in one line, at once, and without the memory that it asks for."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(SourceError, match=match) as error, open_source(str(path)) as source:
        list(source)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert "\n" not in str(error.value) and path.name in str(error.value)
    assert time.monotonic() - start < 60 and grown < most_kb, f"{grown} kB"


@pytest.mark.parametrize("name", [b"zstd", b"lz4"])
def test_a_chunk_that_says_gigabytes_is_refused(tmp_path, name):
    data = {b"zstd": zstd.compress, b"lz4": lz4.frame.compress}[name](bytes(4096))
    assert len(data) < 4096
    refused(mcap(tmp_path / "a.mcap", GIGABYTES, name, data), r"unfolds to 2\.1 GB; more than 537 MB is refused")


@pytest.mark.parametrize("name", [b"zstd", b"lz4"])
def test_a_chunk_that_holds_more_than_it_says_is_refused(tmp_path, name):
    make = {b"zstd": zstd.ZstdCompressor, b"lz4": lz4.frame.LZ4FrameCompressor}[name]
    data = packed_zeros(make, 1 << 30)
    refused(mcap(tmp_path / "a.mcap", 4096, name, data), "unfolds to more than 0 MB")


@pytest.mark.parametrize("how", ["zstd", "bz2", "lz4"])
def test_frames_behind_each_other_count_together(how):
    pack = {"zstd": zstd.compress, "bz2": bz2.compress, "lz4": lz4.frame.compress}[how]
    new = {"zstd": zstd.ZstdDecompressor, "bz2": bz2.BZ2Decompressor, "lz4": lz4.frame.LZ4FrameDecompressor}[how]
    content = np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes()
    twice = pack(content) + pack(content[::-1])
    assert bounded(new, twice, 10_000) == content + content[::-1]
    with pytest.raises(SourceError, match="more than"):
        bounded(new, twice, 9_999)
    with pytest.raises(EOFError):
        bounded(new, twice[:-20], 10_000)


def image_bag(path, mode, storage):
    """A bag of one image, packed as rosbag2 does."""
    header = TYPES["std_msgs/msg/Header"](TYPES["builtin_interfaces/msg/Time"](5, 0), "camera")
    image = TYPES[IMAGE](header, 24, 32, "rgb8", 0, 96, np.zeros(24 * 96, np.uint8))
    writer = Writer(path, version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/image", IMAGE, typestore=STORE)
        writer.write(connection, 5, STORE.serialize_cdr(image, IMAGE))
    return path


def test_a_packed_message_that_unfolds_to_gigabytes_is_refused(tmp_path):
    bag = image_bag(tmp_path / "bag", CompressionMode.MESSAGE, StoragePlugin.SQLITE3)
    with open_source(str(bag)) as source:
        assert len(list(source)) == 1
    with sqlite3.connect(next(bag.glob("*.db3"))) as base:
        base.execute("UPDATE messages SET data = ?", (packed_zeros(zstd.ZstdCompressor, 1 << 30),))
    base.close()
    refused(bag, "unfolds to more than 537 MB", 2.2 * MOST_BYTES / 1024)  # the bound in pieces, then joined


def test_a_packed_file_that_unfolds_to_gigabytes_is_refused(tmp_path, monkeypatch):
    bag = image_bag(tmp_path / "bag", CompressionMode.FILE, StoragePlugin.SQLITE3)
    with open_source(str(bag)) as source:
        assert len(list(source)) == 1
    next(bag.glob("*.zstd")).write_bytes(packed_zeros(zstd.ZstdCompressor, 1 << 28))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    refused(bag, "unfolds to more than 67 MB")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_disk_that_is_too_small_to_unpack_is_told(tmp_path, monkeypatch):
    bag = image_bag(tmp_path / "bag", CompressionMode.FILE, StoragePlugin.SQLITE3)
    monkeypatch.setattr(bag_unpacking, "has_room", lambda folder, needed: False)
    refused(bag, "no room to unpack")


def test_a_ros_1_chunk_that_unfolds_to_gigabytes_is_refused(tmp_path, monkeypatch):
    from rosbags.rosbag1 import Writer as Writer1

    store = get_typestore(Stores.ROS1_NOETIC)
    path = tmp_path / "a.bag"
    writer = Writer1(path)
    writer.set_compression(Writer1.CompressionFormat.BZ2)
    with writer:
        connection = writer.add_connection("/image", IMAGE, typestore=store)
        header = store.types["std_msgs/msg/Header"](0, store.types["builtin_interfaces/msg/Time"](5, 0), "camera")
        image = store.types[IMAGE](header, 24, 32, "rgb8", 0, 96, np.zeros(24 * 96, np.uint8))
        writer.write(connection, 5, store.serialize_ros1(image, IMAGE))
    with open_source(str(path)) as source:
        assert len(list(source)) == 1
    monkeypatch.setattr(bag_unpacking, "MOST_BYTES", 1000)  # the law at a size that bzip2 packs in no time
    refused(path, "unfolds to more than 0 MB")


def test_nothing_larger_than_an_image_may_be_is_needed():
    assert MOST_BYTES > 67_000_000 * 6


def test_the_memory_is_not_taken(tmp_path):
    """As a command: exit code 1, one line, and a process that stays as small as it was."""
    path = mcap(tmp_path / "a.mcap", GIGABYTES, b"zstd", packed_zeros(zstd.ZstdCompressor, 1 << 31))
    assert path.stat().st_size < 1 << 20
    code = (
        "import re, sys\nfrom pathlib import Path\n"
        "from prehend.cli.main import main\n"
        "code = main(sys.argv[1:])\n"
        "peak = int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "assert peak < 512 << 10, peak\n"
        "sys.exit(code)\n"
    )
    command = [sys.executable, "-c", code, "run", str(path), "--json", str(tmp_path / "o.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (1, 2), done.stderr
    assert "2.1 GB" in done.stderr and "Traceback" not in done.stderr
