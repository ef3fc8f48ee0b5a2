"""Depth beside the images: what is read, what is matched, what is told, and the node with it over DDS."""

import threading
import time

import numpy as np
import pytest

from prehend.errors import SourceError
from prehend.ros import convert
from prehend.ros import messages as m
from prehend.ros.depth import DepthStream, depth_image
from prehend.ros.images import camera_message, image_message
from prehend.types import Camera

WIDTH, HEIGHT = 64, 48
CAMERA = Camera(np.array([[60.0, 0, 31.5], [0, 61.0, 23.5], [0, 0, 1]]), WIDTH, HEIGHT)


def depth_message(values: np.ndarray, stamp_s: float = 10.0, encoding: str = "16UC1", pad: int = 0, big: bool = False):
    dtype = {"16UC1": "u2", "32FC1": "f4"}.get(encoding, "u1")
    pixels = np.ascontiguousarray(values.astype((">" if big else "<") + dtype)).view(np.uint8)
    rows = np.pad(pixels.reshape(len(values), -1), ((0, 0), (0, pad)), constant_values=7)
    return m.make(
        m.IMAGE,
        header=convert.header_message(stamp_s, "cam"),
        height=values.shape[0],
        width=values.shape[1],
        encoding=encoding,
        is_bigendian=int(big),
        step=rows.shape[1],
        data=rows.ravel(),
    )


def depth_bytes(value_mm: float = 500, stamp_s: float = 10.0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    return m.encode(depth_message(np.full(size[::-1], value_mm), stamp_s))


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("pad", [0, 6])
def test_millimetres_and_metres_are_read_with_what_is_invalid(big: bool, pad: int) -> None:
    values = np.arange(12).reshape(3, 4) * 250
    np.testing.assert_allclose(depth_image(depth_message(values, pad=pad, big=big), 4, 3), values / 1000)
    metres = np.array([[0.5, np.nan], [np.inf, 0.0]])
    np.testing.assert_array_equal(depth_image(depth_message(metres, encoding="32FC1", big=big), 2, 2), metres)


def test_what_is_no_aligned_depth_is_refused_with_the_way_out() -> None:
    values = np.zeros((3, 4))
    with pytest.raises(SourceError, match=r"depth is 4 x 3, the image 8 x 6: let the driver align it"):
        depth_image(depth_message(values), 8, 6)
    with pytest.raises(SourceError, match="encoding 'mono8', known: 16UC1"):
        depth_image(depth_message(values, encoding="mono8"), 4, 3)
    short = depth_message(values)
    short.data = short.data[:10]
    with pytest.raises(SourceError, match="depth"):
        depth_image(short, 4, 3)


def test_the_depth_of_the_same_stamp_is_taken_and_one_that_is_on_its_way_is_waited_for(monkeypatch) -> None:
    monkeypatch.setattr("prehend.ros.depth._WAIT_S", 20.0)
    stream = DepthStream("/depth", 0.02)
    for n in range(3):
        stream.add(depth_bytes(500 + n, 10.0 + n / 30))
    found = stream.of(10.0 + 1 / 30, WIDTH, HEIGHT)
    assert found is not None and found[0, 0] == pytest.approx(0.501)
    late = threading.Timer(0.01, stream.add, [depth_bytes(700, 11.0)])
    late.start()
    found = stream.of(11.0, WIDTH, HEIGHT)
    late.join()
    assert found is not None and found[0, 0] == pytest.approx(0.7)
    assert stream.status(time.monotonic(), 2.0, [m.IMAGE]).level == 0


@pytest.mark.parametrize(
    ("data", "stamp_s", "said"),
    [
        (depth_bytes(stamp_s=9.0), 10.0, "stamps do not match: the nearest depth is 1.000 s from the image"),
        (depth_bytes(size=(32, 24)), 10.0, "depth is 32 x 24, the image 64 x 48"),
        (b"\0\1\0\0garbage", 10.0, "cannot read a sensor_msgs/msg/Image"),
        (depth_bytes(stamp_s=0.0), 0.0, "no stamps"),
    ],
)
def test_what_does_not_fit_is_told_and_costs_only_the_depth(data: bytes, stamp_s: float, said: str) -> None:
    stream = DepthStream("/depth", 0.02)
    stream.add(data)
    assert stream.of(stamp_s, WIDTH, HEIGHT) is None
    status = stream.status(time.monotonic(), 2.0, [m.IMAGE])
    assert (status.level, status.values["images without depth"]) == (1, 1)
    assert said in status.message


def test_a_silence_is_told_with_its_cause(monkeypatch) -> None:
    monkeypatch.setattr("prehend.ros.depth._WAIT_S", 20.0)
    stream = DepthStream("/depth", 0.02)
    later = time.monotonic() + 60
    assert "nobody publishes /depth" in stream.status(later, 2.0, []).message
    assert "carries std_msgs/msg/String" in stream.status(later, 2.0, ["std_msgs/msg/String"]).message
    assert "nothing arrives" in stream.status(later, 2.0, [m.IMAGE]).message
    stream.add(depth_bytes())
    assert "silent: no depth for" in stream.status(later, 2.0, [m.IMAGE]).message
    began = time.monotonic()
    stream._heard_s = began - 30
    assert stream.of(50.0, WIDTH, HEIGHT) is None
    assert time.monotonic() - began < 10, "nobody waits for a camera that stopped"


def test_the_node_takes_depth_by_stamp_and_outlives_its_camera(peer, start) -> None:
    hands, told = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/diagnostics", m.DIAGNOSTICS)
    pictures, infos = peer.publisher("/image_raw", m.IMAGE), peer.publisher("/camera_info", m.CAMERA_INFO)
    depths = peer.publisher("/depth", m.IMAGE)
    start("toy_node.py", "--ros-args", "-p", "depth_topic:=/depth", "-p", "silent_after_s:=0.5")
    everything = (pictures, infos, depths)
    peer.until(lambda: all(one.get_subscription_count() for one in everything), "the node subscribes")
    next_s = 0.0

    def show(depth: bytes | None, fact) -> None:
        def step() -> object:
            nonlocal next_s
            if time.monotonic() > next_s:
                now = time.time()
                header = convert.header_message(now, "cam")
                infos.publish(m.encode(camera_message(header, CAMERA, WIDTH, HEIGHT)))
                pictures.publish(m.encode(image_message(header, np.full((HEIGHT, WIDTH, 3), 1, np.uint8))))
                if depth == b"fits":
                    depths.publish(depth_bytes(640, now))
                elif depth == b"small":
                    depths.publish(depth_bytes(640, now, size=(32, 24)))
                next_s = time.monotonic() + 0.2
            return fact()

        peer.until(step, "an answer")

    def said(text: str, level: int) -> bool:
        states = [one for one in told[-1].status if one.name.endswith(": depth")] if told else []
        return bool(states) and text in states[0].message and states[0].level == level

    # the toy tells the depth of the first pixel as its uncertainty
    show(b"fits", lambda: any(abs(array.hands[0].position_std_m - 0.64) < 1e-6 for array in hands))
    show(b"fits", lambda: said("depth refines distances", 0))
    show(b"small", lambda: said("depth is 32 x 24", 1))
    hands.clear()
    show(None, lambda: said("is silent", 1))
    assert hands and hands[-1].hands[0].position_std_m == pytest.approx(0.02)
