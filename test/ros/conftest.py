"""Real processes on the real DDS: every test has a domain of its own, and waits for facts, never for time."""

import contextlib
import fcntl
import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs the extra 'ros'")
from prehend.ros import messages

DEADLINE_S = 60.0
"""Only a failing test waits this long; machines that have other things to do are slow to start processes."""

HERE = Path(__file__).parent
collect_ignore = ["workspace"]
"""A package that colcon builds, and tests, beside ours."""
_DOMAINS = itertools.count(1)
PORTS_FROM, PORTS = 7400, 250
"""Of domain 0, and of each (DDSI-RTPS 2.5, 9.6.2.4)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that talk to other processes need rclpy."""
    for item in items:
        if HERE in item.path.parents and "domain" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skipif(not _has_rclpy(), reason="needs the extra 'ros' or a ROS installation"))


def _has_rclpy() -> bool:
    return importlib.util.find_spec("rclpy") is not None


@pytest.fixture(scope="session")
def toy():
    """The module toy_node.py: hands with a different number in every field."""
    spec = importlib.util.spec_from_file_location("toy_node", HERE / "toy_node.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A ROS_DOMAIN_ID nobody else on this machine uses (at most 101: higher ones meet the ephemeral ports)."""
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with _own_domain() as number:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
        yield number


@pytest.fixture
def next_domain(domain: int) -> Iterator[int]:
    """One more of that kind."""
    with _own_domain() as number:
        yield number


@contextlib.contextmanager
def _own_domain() -> Iterator[int]:
    """A domain that no other run of these tests has, and no other program: a lock, and ports that nobody holds."""
    first = os.getpid() * 7 + next(_DOMAINS)
    for number in (1 + (first + step) % 100 for step in range(100)):
        with contextlib.ExitStack() as stack:
            try:
                lock = stack.enter_context((Path(tempfile.gettempdir()) / f"prehend_test_domain_{number}").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # another run has it, or another user's had it
                continue
            if not _ports_in_use() & set(range(PORTS_FROM + PORTS * number, PORTS_FROM + PORTS * (number + 1))):
                yield number
                return
    raise AssertionError("all domains are in use")


def _ports_in_use() -> set[int]:
    """Local UDP ports that are bound, as far as the system tells."""
    tables = [path.read_text() for path in (Path("/proc/net/udp"), Path("/proc/net/udp6")) if path.exists()]
    return {int(line.split()[1].rpartition(":")[2], 16) for table in tables for line in table.splitlines()[1:]}


class Peer:
    """A node in this process that publishes bytes, and keeps what it receives."""

    def __init__(self, domain: int | None = None) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = rclpy.create_node("peer", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._clients: dict[str, object] = {}

    def listen(self, topic: str, type_name: str, latched: bool = False) -> list:
        """A list that fills with the messages of a topic."""
        from rclpy.qos import DurabilityPolicy, QoSProfile

        received: list = []
        quality = QoSProfile(depth=100)
        if latched:
            quality.durability = DurabilityPolicy.TRANSIENT_LOCAL
        self.node.create_subscription(
            messages.message_class(type_name),
            topic,
            lambda data: received.append(messages.decode(data, type_name)),
            quality,
            raw=True,
        )
        return received

    def publisher(self, topic: str, type_name: str):
        return self.node.create_publisher(messages.message_class(type_name), topic, 10)

    def until(self, fact: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
        """Spin until `fact()` is true; fail after the deadline."""
        end = time.monotonic() + deadline_s
        while not fact():
            assert time.monotonic() < end, f"waited {deadline_s:g} s for: {what}"
            self._executor.spin_once(timeout_sec=0.05)

    def known(self, node: str = "/prehend") -> None:
        """Wait until a node knows all that listens here so far: before that, what it publishes is lost.

        A process tells others of its readers one after the other, and the last one here is of a latched topic.
        """
        infos = self.listen(f"{node}/model_info", messages.MODEL_INFO, latched=True)
        self.until(lambda: infos, f"{node} to know who listens")

    def ask(self, kind: type, service: str, node: str = "/prehend", **values):
        """The answer of a node's service.

        A service may answer before it has found who asked, and nobody hears it: another one, which changes nothing, is
        asked first, again and again. Its client is made last, so whoever finds it has found the one that counts.
        """
        from rcl_interfaces.srv import ListParameters

        name = f"{node}/{service}"
        if name not in self._clients:
            client, probe = (
                self.node.create_client(one, path)
                for one, path in ((kind, name), (ListParameters, f"{node}/list_parameters"))
            )
            self.until(lambda: client.service_is_ready() and probe.service_is_ready(), f"the service {name}")
            self.asked_again(probe, ListParameters.Request(), f"{node} to know who asks")
            self._clients[name] = client
        answer = self._clients[name].call_async(kind.Request(**values))
        self.until(answer.done, f"the answer of {name}")
        return answer.result()

    def asked_again(self, client, request, what: str):
        """The answer to a question that may be asked several times, and is, every 2 s."""
        asked = [(time.monotonic(), client.call_async(request))]

        def told() -> bool:
            if time.monotonic() > asked[-1][0] + 2:
                asked.append((time.monotonic(), client.call_async(request)))
            return any(answer.done() for _, answer in asked)

        self.until(told, what)
        return next(answer for _, answer in asked if answer.done()).result()

    def spin(self, seconds: float) -> None:
        """Let time pass; only where there is no fact to wait for."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.01)

    def close(self) -> None:
        import rclpy

        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)


@pytest.fixture
def peer(domain: int) -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def stranger(next_domain: int) -> Iterator[Peer]:
    """A peer in another domain."""
    stranger = Peer(next_domain)
    yield stranger
    stranger.close()


Start = Callable[..., subprocess.Popen]


@pytest.fixture
def start(domain: int, tmp_path: Path) -> Iterator[Start]:
    """Start a script of this folder, or the command `prehend`, in a process of its own; what runs on is killed."""
    running: list[subprocess.Popen] = []

    def run(script: str, *arguments: str) -> subprocess.Popen:
        program = ["-m", "prehend.cli.main"] if script == "prehend" else [str(HERE / script)]
        process = subprocess.Popen(
            [sys.executable, *program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield run
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)  # a killed participant leaves its shared memory to those after it
    for process in running:
        with contextlib.suppress(ValueError):  # its output was read already
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _tf_bytes(*links: tuple[str, str, float, np.ndarray]) -> bytes:
    """Of (parent, child, stamp, T_parent_child)."""
    from prehend.geometry.rotations import quaternion_from_matrix
    from prehend.ros.conversion import convert

    entries = []
    for parent, child, stamp_s, T in links:
        x, y, z = map(float, T[:3, 3])
        qx, qy, qz, qw = map(float, quaternion_from_matrix(T[:3, :3]))
        rotation = messages.make("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw)
        move = messages.make("geometry_msgs/msg/Vector3", x=x, y=y, z=z)
        entries.append(
            messages.make(
                "geometry_msgs/msg/TransformStamped",
                header=convert.header_message(stamp_s, parent),
                child_frame_id=child,
                transform=messages.make("geometry_msgs/msg/Transform", translation=move, rotation=rotation),
            )
        )
    return messages.encode(messages.make(messages.TF, transforms=entries))


@pytest.fixture
def tf_bytes():
    return _tf_bytes


@pytest.fixture
def depth_message():
    """depth_message(values, stamp_s, encoding, pad, big, frame): a sensor_msgs/Image."""
    from prehend.ros.conversion import convert

    def make(
        values: np.ndarray,
        stamp_s: float = 10.0,
        encoding: str = "16UC1",
        pad: int = 0,
        big: bool = False,
        frame: str = "cam",
    ):
        dtype = {"16UC1": "u2", "32FC1": "f4"}.get(encoding, "u1")
        pixels = np.ascontiguousarray(values.astype((">" if big else "<") + dtype)).view(np.uint8)
        rows = np.pad(pixels.reshape(len(values), -1), ((0, 0), (0, pad)), constant_values=7)
        return messages.make(
            messages.IMAGE,
            header=convert.header_message(stamp_s, frame),
            height=values.shape[0],
            width=values.shape[1],
            encoding=encoding,
            is_bigendian=int(big),
            step=rows.shape[1],
            data=rows.ravel(),
        )

    return make


@pytest.fixture
def compressed_depth_message():
    """Integers are millimetres, floating numbers metres, which become inverse depths with the publisher's defaults."""
    import struct

    import cv2

    from prehend.ros.conversion import convert

    def make(values: np.ndarray, stamp_s: float = 10.0, frame: str = "cam", farthest_m: float = 10.0):
        a, b, encoding = 0.0, 0.0, "16UC1"
        if values.dtype.kind == "f":
            a, encoding = 100.0 * 101.0, "32FC1"
            b = 1.0 - a / farthest_m
            with np.errstate(divide="ignore", invalid="ignore"):
                known = (values > 0) & (values < farthest_m)
                values = np.where(known, a / values + b, 0).astype(np.uint16)
        _, png = cv2.imencode(".png", values)
        return messages.make(
            messages.COMPRESSED_IMAGE,
            header=convert.header_message(stamp_s, frame),
            format=f"{encoding}; compressedDepth png",
            data=np.frombuffer(struct.pack("<iff", 0, a, b) + png.tobytes(), np.uint8),
        )

    return make
