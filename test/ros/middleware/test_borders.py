"""Every border of the node: what comes over it wrong costs itself, is told, and never ends the node."""

import os
import random
import time
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from prehend.cli.main import main
from prehend.errors import PrehendError
from prehend.ros import messages as m
from prehend.ros.conversion import convert, images
from prehend.ros.inputs.calibration import Calibration
from prehend.ros.middleware.borders import Border, Unexpected, reason
from prehend.ros.nodes.diagnostics import Stats
from prehend.ros.params import NodeParams
from prehend.ros.worker import Worker
from prehend.types import Camera, FrameResult

WIDTH, HEIGHT = 64, 48
CAMERA = Camera(np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]]), WIDTH, HEIGHT)
FUZZ_CASES = int(os.environ.get("PREHEND_FUZZ_CASES", "3000"))


def header(stamp_s: float | None = None, frame: str = "cam"):
    return convert.header_message(time.time() if stamp_s is None else stamp_s, frame)


def picture(order: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), order, np.uint8)


def raw(**changes) -> bytes:
    message = images.image_message(header(), picture(0))
    for name, value in changes.items():
        setattr(message, name, value)
    return m.encode(message)


def jpeg(data: bytes | None = None, form: str = "jpeg") -> bytes:
    message = images.jpeg_message(header(), picture(0))
    message.format = form
    if data is not None:
        message.data = np.frombuffer(data, np.uint8)
    return m.encode(message)


def giant_jpeg() -> bytes:
    """A JPEG whose header promises a gigapixel."""
    data = bytes(images.jpeg_message(header(), picture(0)).data)
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + b"\x7d\x00\x7d\x00" + data[frame + 9 :]


LYING_PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10\x00\x00\x00\x10\x08\x02\x00\x00\x00\x90\x91h6"
    b"\xff\xff\xff\xf0IDAT\x78\x9c"
)

RAW = {
    "no message at all": b"\x00\x01\x00\x00garbage",
    "cut off": raw()[:200],
    "encoding of depth": raw(encoding="32FC1"),
    "encoding of nobody": raw(encoding="\u00e9" * 100),
    "odd width of YUV 4:2:2": raw(encoding="uyvy", width=63, step=126),
    "step of gigabytes": raw(height=2, step=3_000_000_000),
    "size of gigapixels": raw(height=100_000, width=100_000),
    "too few bytes": raw(height=HEIGHT + 5),
    "no pixels": raw(height=0),
    "an image that orders a failure": m.encode(images.image_message(header(), picture(254))),
    "an image that orders a crash": m.encode(images.image_message(header(), picture(255))),
}
COMPRESSED = {
    "no image": jpeg(b"nothing"),
    "no bytes": jpeg(b""),
    "a gigapixel": jpeg(giant_jpeg()),
    "a chunk of gigabytes": jpeg(LYING_PNG, "png"),
    "depth": jpeg(form="16UC1; compressedDepth png"),
    "a video stream": jpeg(form="h264"),
    "a JPEG cut off": jpeg(bytes(images.jpeg_message(header(), picture(0)).data)[:300]),
}


def status(array, name: str):
    return next(s for s in array.status if s.name.endswith(f": {name}"))


def value(array, name: str, key: str) -> str:
    return next(pair.value for pair in status(array, name).values if pair.key == key)


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_no_image_ends_the_node(peer, start, transport):
    compressed = transport == "compressed"
    good = jpeg if compressed else raw
    hands, told = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/diagnostics", m.DIAGNOSTICS)
    sender = peer.publisher(
        "/image_raw/compressed" if compressed else "/image_raw", m.COMPRESSED_IMAGE if compressed else m.IMAGE
    )
    settings = (f"image_transport:={transport}", "image_reliability:=reliable", "camera_info_timeout_s:=0.0")
    node = start("toy_node.py", "--ros-args", *(word for text in settings for word in ("-p", text)))
    peer.until(sender.get_subscription_count, "the node subscribes")
    peer.known()  # an answer that nobody hears would be counted below
    due = [0.0]

    def answered() -> object:
        """One at a time: what is left over would be counted below."""
        if time.monotonic() > due[0]:
            sender.publish(good())
            due[0] = time.monotonic() + 5
        return hands

    peer.until(answered, "the node answers")

    def counts() -> tuple[int, int]:
        """Images that failed, and those that were replaced by a newer one before they were looked at."""
        peer.until(lambda: told and value(told[-1], "estimator", "processed") == str(len(hands)), "the counts of now")
        return int(value(told[-1], "estimator", "failed")), int(value(told[-1], "images", "dropped"))

    cases = COMPRESSED if compressed else RAW
    for pause_s in (0.05, 0.3, 1.0, 3.0):  # until the node has time to look at each of them
        failed_before, dropped_before = counts()
        for name, data in cases.items():
            sender.publish(data)
            peer.spin(pause_s)
            before = len(hands)
            sender.publish(good())
            peer.until(lambda n=before: len(hands) > n or node.poll() is not None, f"an answer after: {name}")
            assert node.poll() is None, name
        failed, dropped = (now - then for now, then in zip(counts(), (failed_before, dropped_before), strict=True))
        assert failed + dropped == len(cases)
        if not dropped:
            break
    assert not dropped, "every one of them was looked at"
    peer.until(lambda: status(told[-1], "estimator").level == 0, "errors are shown for seconds, not for ever")


def test_no_camera_info_ends_the_node(peer, start):
    hands, told = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/diagnostics", m.DIAGNOSTICS)
    tf = peer.listen("/tf", m.TF)
    sender, infos = peer.publisher("/image_raw", m.IMAGE), peer.publisher("/camera_info", m.CAMERA_INFO)
    node = start("toy_node.py", "--ros-args", "-p", "image_reliability:=reliable")
    peer.until(lambda: sender.get_subscription_count() and infos.get_subscription_count(), "the node subscribes")
    singular = images.camera_message(header(), CAMERA, WIDTH, HEIGHT)
    singular.k = np.array([1.0, 1, 30, 1, 1, 20, 0, 0, 1])

    def sent(data: bytes, word: str) -> None:
        peer.until(lambda: infos.publish(data) or (told and word in status(told[-1], "camera").message), word)

    infos.publish(b"\x00\x01\x00\x00garbage")
    sent(m.encode(singular), "camera_info is wrong")
    with_hand = m.encode(images.image_message(header(), picture(1)))
    sender.publish(with_hand)
    peer.until(lambda: hands or node.poll() is not None, "an answer")
    assert node.poll() is None and hands[-1].camera_estimated and not tf
    sent(m.encode(images.camera_message(header(), CAMERA, WIDTH, HEIGHT)), "calibrated")
    sender.publish(with_hand)
    peer.until(lambda: tf, "and used")


@pytest.mark.parametrize(
    ("stamp", "frame", "word", "transforms"),
    [
        ((0, 0), "cam", "zero", 0),
        ((-7, 4_000_000_000), "cam", "invalid", 0),
        ((5, 0), "cam", "behind", 1),
        (-37.0, "cam", "s behind", 1),
        (None, "", "no frame_id", 0),
    ],
)
def test_headers_that_cannot_be_used_are_told(peer, start, stamp, frame, word, transforms):
    hands, told = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/diagnostics", m.DIAGNOSTICS)
    tf = peer.listen("/tf", m.TF)
    sender, infos = peer.publisher("/image_raw", m.IMAGE), peer.publisher("/camera_info", m.CAMERA_INFO)
    start("toy_node.py", "--ros-args", "-p", "image_reliability:=reliable", "-p", "silent_after_s:=30.0")
    peer.until(lambda: sender.get_subscription_count() and infos.get_subscription_count(), "the node subscribes")
    info = m.encode(images.camera_message(header(0.0, frame), CAMERA, WIDTH, HEIGHT))
    peer.until(lambda: infos.publish(info) or (told and status(told[-1], "camera").level == 0), "the calibration")
    message = images.image_message(header(frame=frame), picture(2))  # its stamp is of now
    if isinstance(stamp, float):
        message.header.stamp = header(time.time() + stamp).stamp
    elif stamp is not None:
        message.header.stamp = m.make("builtin_interfaces/msg/Time", sec=stamp[0], nanosec=stamp[1])

    def step() -> bool:
        """Of the same stamp once only: more would be another fault."""
        if not hands or (transforms and not tf):
            sender.publish(m.encode(message))
            message.header.stamp.nanosec += transforms
        peer.spin(0.2)
        return bool(hands) and len(tf) >= transforms

    peer.until(step, "an answer, and transforms where there are some")
    assert len(hands[0].hands) == 2
    assert np.isnan(hands[0].latency_ms) == (stamp is not None)
    peer.until(lambda: word in status(told[-1], "images").message, "the fault is told")
    assert status(told[-1], "images").level == 1
    assert bool(tf) == bool(transforms) and not any(t.header.frame_id == "" for a in tf for t in a.transforms)


def test_a_parameter_names_the_frame_where_the_driver_does_not(peer, start):
    hands, tf = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/tf", m.TF)
    sender, infos = peer.publisher("/image_raw", m.IMAGE), peer.publisher("/camera_info", m.CAMERA_INFO)
    start("toy_node.py", "--ros-args", "-p", "image_reliability:=reliable", "-p", "frame_id:=my_camera")
    peer.until(lambda: sender.get_subscription_count() and infos.get_subscription_count(), "the node subscribes")

    def step() -> bool:
        infos.publish(m.encode(images.camera_message(header(frame=""), CAMERA, WIDTH, HEIGHT)))
        sender.publish(m.encode(images.image_message(header(frame=""), picture(1))))
        return bool(hands and tf)

    peer.until(step, "an answer and transforms")
    assert hands[0].header.frame_id == tf[0].transforms[0].header.frame_id == "my_camera"


class NoHands:
    """An estimator that sees nothing."""

    def estimate(self, image, camera=None, stamp=None, depth=None, hypotheses=True):
        return FrameResult(camera, (), stamp, {}, found=False)


def worker_for(kind: str) -> Worker:
    params = NodeParams(camera_info_timeout_s=0.0, image_transport=kind)
    calibration = Calibration(60.0, 0.0, rectified=False)
    return Worker(
        NoHands(),
        params,
        calibration,
        Stats(0.0),
        lambda given, _image, result: m.encode(convert.hand_array(given, result)),
    )


def process(kind: str, data: bytes) -> None:
    """What the worker does with an image that came."""
    worker = worker_for(kind)
    worker.offer(data)
    worker._work(worker._take())


def test_a_row_is_not_believed_to_be_gigabytes():
    tracemalloc.start()
    process("raw", raw(height=1, width=4, step=3_000_000_000))  # its one row needs no padding
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Some bytes changed, mostly among the first, where the numbers are."""
    broken = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(min(len(broken), 120) if dice.random() < 0.7 else len(broken))
        choice = dice.randrange(10)
        if choice < 5:
            broken[at] = dice.choice([0, 1, 127, 128, 255, dice.randrange(256)])
        elif choice < 7:
            broken[at : at + 4] = dice.choice([b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\xff\xff\xff\x7f", b"\0\0\0\0"])
        elif choice < 8:
            del broken[at : at + dice.randint(1, 40)]
        elif choice < 9:
            del broken[max(at, 1) :]
        else:
            broken[at:at] = dice.randbytes(dice.randint(1, 9))
        broken = broken or bytearray(1)
    return bytes(broken)


def test_damaged_messages_raise_nothing_but_our_errors():
    """PREHEND_FUZZ_CASES makes it longer."""
    dice, seen = random.Random(13), Counter()
    seeds = {"raw": raw(), "compressed": jpeg(), "info": m.encode(images.camera_message(header(), CAMERA, 64, 48))}
    began = time.process_time()
    for _ in range(FUZZ_CASES):
        kind = dice.choice(list(seeds))
        data = damaged(seeds[kind], dice)
        try:
            if kind == "info":
                calibration = Calibration(60.0, 0.0, rectified=False)
                calibration.update(m.decode(data, m.CAMERA_INFO))
                camera = calibration.camera(WIDTH, HEIGHT, 1.0, 1.0, "cam")
                assert np.isfinite(np.linalg.inv(camera.K)).all()
            else:
                process(kind, data)
        except PrehendError as error:
            assert not isinstance(error, Unexpected)
            seen[f"{kind} refused"] += 1
        else:
            seen[f"{kind} taken"] += 1
    assert len(seen) == 6, seen
    assert (time.process_time() - began) / FUZZ_CASES < 0.05, "nothing takes long"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["node", "--ros-args", "image_raw:=/camera"], "-r image_raw:=/camera"),
        (["node", "--ros-args", "-r", "image_raw:=/bad topic"], "/bad topic"),
        (["node", "--ros-args", "-r", "__node:=bad-name"], "bad-name"),
        (["node", "--ros-args", "-r", "__ns:=bad-"], "bad-"),
        (["node", "--ros-args", "--log-level", "loud"], "loud"),
        (["node", "--ros-args", "-p", "max_image_px:=0"], "max_image_px"),
        (["play", "FOLDER", "--topic", "/bad topic"], "/bad topic"),
        (["play", "FOLDER", "--topic", "/camera/"], "/camera/"),
        (["play", "FOLDER", "--topic", "/1camera/image"], "/1camera/image"),
    ],
)
def test_what_rclpy_refuses_is_one_line_and_exit_code_2(domain, capsys, tmp_path, arguments, word):
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), picture(0))
    assert main([str(tmp_path) if word == "FOLDER" else word for word in arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("prehend")]
    assert len(lines) == 1 and word in lines[0]


@pytest.mark.parametrize("number", ["300", "233", "-1", "many"])
def test_a_domain_that_has_no_port_is_one_line(domain, monkeypatch, capsys, number):
    monkeypatch.setenv("ROS_DOMAIN_ID", number)
    assert main(["node"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and f"ROS_DOMAIN_ID is {number}" in lines[0]


def test_a_border_lets_our_errors_pass_and_turns_all_others():
    with pytest.raises(PrehendError, match=r"^reading: KeyError 3$"), Border(PrehendError, "reading"):
        raise KeyError(3)
    ours = PrehendError("ours")
    with pytest.raises(PrehendError) as caught, Border(Unexpected, "reading"):
        raise ours
    assert caught.value is ours
    with pytest.raises(KeyboardInterrupt), Border(Unexpected, "reading"):
        raise KeyboardInterrupt
    assert reason(RuntimeError("no\n such, at ./src/rcl.c:1")) == "no such"
