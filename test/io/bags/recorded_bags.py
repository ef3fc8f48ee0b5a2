"""Bags as recorders and people leave them: messages of six images, a tenth of a second apart, and what writes them."""

import cv2
import numpy as np
import pytest

from prehend.io.sources import open_source

rosbags = pytest.importorskip("rosbags", reason="the extra 'bag' is not installed")
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime  # noqa: E402
from rosbags.rosbag2 import CompressionFormat, StoragePlugin, Writer  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402

STORE = get_typestore(Stores.LATEST)
TYPES = STORE.types
IMAGE, COMPRESSED, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"
HEIGHT, WIDTH = 24, 32
K = np.array([[40.0, 0, 15.5], [0, 41.0, 11.5], [0, 0, 1]])
PICTURE = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8), (0, 0), 2)
FOR_EVER = QosTime(9223372036, 854775807)
QOS = [
    Qos(
        QosHistory.KEEP_LAST, 10, QosReliability.RELIABLE, QosDurability.VOLATILE, FOR_EVER, FOR_EVER,
        QosLiveliness.AUTOMATIC, FOR_EVER, False,
    )
]  # fmt: skip


def header(seconds, frame="camera"):
    whole = int(seconds)
    return TYPES["std_msgs/msg/Header"](
        TYPES["builtin_interfaces/msg/Time"](whole, round((seconds - whole) * 1e9)), frame
    )


def image(at, pixels=PICTURE, encoding="rgb8", frame="camera"):
    pixels = np.ascontiguousarray(pixels)
    step = pixels.nbytes // len(pixels)
    return TYPES[IMAGE](header(at, frame), *pixels.shape[:2], encoding, 0, step, pixels.view(np.uint8).ravel())


def jpeg(at, kind="rgb8; jpeg compressed bgr8"):
    return TYPES[COMPRESSED](header(at), kind, cv2.imencode(".jpg", PICTURE[..., ::-1])[1].ravel())


def info(at, k=K, d=(), model="plumb_bob", size=(WIDTH, HEIGHT), frame="camera"):
    region = TYPES["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, do_rectify=False)
    p = np.hstack([np.reshape(k, (3, 3)), np.zeros((3, 1))])
    return TYPES[INFO](
        header(at, frame), size[1], size[0], model, np.array(d, np.float64), np.ravel(k).astype(float),
        np.eye(3).ravel(), p.ravel(), 0, 0, region,
    )  # fmt: skip


def write(path, topics, storage=StoragePlugin.MCAP, mode=None, qos=()):
    """A bag of {topic: (type, [(recorded at [s], message)])}."""
    writer = Writer(path, version=9, storage_plugin=storage)
    if mode:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        ids = {
            t: writer.add_connection(t, k, typestore=STORE, offered_qos_profiles=qos) for t, (k, _) in topics.items()
        }
        rows = sorted(((at, t, m) for t, (_, rows) in topics.items() for at, m in rows), key=lambda row: row[0])
        for at, topic, message in rows:
            writer.write(ids[topic], int(at * 1e9), STORE.serialize_cdr(message, topics[topic][0]))
    return path


def cameras(path, **options):
    with open_source(str(path), **options) as source:
        return [frame.camera for frame in source], source.notes


TIMES = [100 + n / 10 for n in range(6)]
IMAGES = (IMAGE, [(t, image(t)) for t in TIMES])
JPEGS = (COMPRESSED, [(t, jpeg(t)) for t in TIMES])
INFOS = (INFO, [(t, info(t)) for t in TIMES])
