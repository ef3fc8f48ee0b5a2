"""Large images on their way: what gets lost, why, and what helps; on the real Fast DDS."""

import os
import subprocess
import sys

import pytest

from prehend import ros
from prehend.resources import resource
from prehend.ros import messages as m
from prehend.ros.conversion.convert import seconds

_VARIABLES = ("FASTDDS_BUILTIN_TRANSPORTS", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


@pytest.fixture
def nothing_chosen(domain, monkeypatch):
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)


ENOUGH = 0.9


def share_of(process, peer) -> float:
    """Of the images that a camera sent in three seconds, those that arrived; of some tries the best.

    A machine that is busy with other things loses some now and then: what never arrives is what is asked here.
    """
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    stamps: list[float] = []
    peer.node.create_subscription(
        m.message_class(m.IMAGE),
        "/image_raw",
        lambda data: stamps.append(seconds(m.decode(data, m.IMAGE).header.stamp)),
        QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT),
        raw=True,
    )
    infos = peer.listen("/camera_info", m.CAMERA_INFO)
    peer.until(lambda: infos and stamps, "the camera is there")
    shares = [0.0]
    while shares[-1] <= ENOUGH and len(shares) < 12:
        first = seconds(infos[-1].header.stamp)
        peer.until(lambda first=first: seconds(infos[-1].header.stamp) > first + 3.0, "three seconds")
        sent = [seconds(info.header.stamp) for info in infos if seconds(info.header.stamp) > first]
        shares.append(len({round(one, 4) for one in stamps} & {round(one, 4) for one in sent}) / len(sent))
    process.terminate()
    return max(shares)


def test_with_our_profile_hardly_an_image_is_lost(nothing_chosen, start, peer):
    assert share_of(start("fast_camera.py"), peer) > ENOUGH


def test_the_node_names_the_cause_of_losses_and_the_cure(nothing_chosen, start, peer):
    told = peer.listen("/diagnostics", m.DIAGNOSTICS)
    node = start("toy_node.py")
    start("fast_camera.py", "own")

    def message() -> str:
        return next((s.message for s in told[-1].status if s.name.endswith(": images")), "") if told else ""

    peer.until(lambda: "lost on the way" in message(), "images get lost, and it is told")
    said = message()
    assert "0.9 MB" in said and "0.5 MB" in said and "fastdds.xml" in said
    node.terminate()
    _, errors = node.communicate(timeout=60)
    assert errors.count("lost on the way") == 1, "the log tells it once"


@pytest.mark.parametrize(
    ("environment", "chosen"),
    [
        ({}, "FASTDDS_DEFAULT_PROFILES_FILE"),
        ({"ROS_DISTRO": "kilted"}, "FASTDDS_DEFAULT_PROFILES_FILE"),
        ({"ROS_DISTRO": "jazzy"}, "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}, None),
        ({"FASTDDS_DEFAULT_PROFILES_FILE": "/mine.xml"}, None),
    ],
)
def test_what_a_user_chose_stays(nothing_chosen, monkeypatch, environment, chosen):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ros, "version", lambda _name: "9.1.2")
    ros.use_large_data()
    given = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    expected = {chosen: str(resource(ros.PROFILE))} if chosen else environment
    assert given == expected
    for name in _VARIABLES:
        os.environ.pop(name, None)


def test_the_profile_is_one_that_fast_dds_takes_and_gives_room(nothing_chosen):
    code = (
        "import glob, os\nfrom prehend.ros.start import start_ros\nbefore = set(glob.glob('/dev/shm/fastdds_*'))\n"
        "node, notes = start_ros([], 'probe')\n"
        "own = [one for one in set(glob.glob('/dev/shm/fastdds_*')) - before if os.path.exists(one)]\n"
        "print(max(map(os.path.getsize, own)), notes)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    size, notes = ran.stdout.split(maxsplit=1)
    assert int(size) > 24 << 20 and notes.strip() == "[]"
    assert ran.stderr == "", "Fast DDS complains of profiles that it cannot read"
