"""Hands written in Python are read in C++, and nested in another package's message."""

import os
import subprocess

from prehend_reader.msg import Scene
from prehend_ros.msg import Hand, HandArray
from rclpy.serialization import deserialize_message, serialize_message


def hands() -> HandArray:
    """Two hands with numbers of their own."""
    message = HandArray(dropped=3)
    message.header.frame_id = "camera"
    for number in (4, 9):
        hand = Hand(track_id=number, vertices_m=[0.5] * 3 * number)
        hand.wrist.position.x, hand.wrist.position.z = 0.25 * number, 0.5
        message.hands.append(hand)
    return message


def read(data: bytes) -> subprocess.CompletedProcess:
    return subprocess.run([os.environ["READER"]], input=data, capture_output=True, timeout=60)


def test_cpp_reads_what_python_writes():
    done = read(serialize_message(hands()))
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines() == ["camera 2", "4 12 1 0 0.5", "9 27 2.25 0 0.5"]


def test_what_is_cut_off_is_told():
    done = read(serialize_message(hands())[:60])
    assert done.returncode == 1 and done.stderr.startswith(b"reader: ")


def test_a_message_that_nests_ours_survives():
    scene = Scene(hands=hands(), people=["17"])
    assert deserialize_message(serialize_message(scene), Scene) == scene


def test_our_own_bytes_are_read_too():
    from prehend.ros import messages as m

    message = m.decode(serialize_message(hands()), m.HAND_ARRAY)
    assert read(m.encode(message)).stdout == read(serialize_message(hands())).stdout
