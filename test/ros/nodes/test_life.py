"""The lifecycle of the node, over DDS: what each transition brings and takes."""

import time

import numpy as np

from prehend.ros import messages as m
from prehend.ros.conversion import convert
from prehend.ros.conversion.images import camera_message, image_message
from prehend.types import Camera

WIDTH, HEIGHT = 64, 48
CAMERA = Camera(np.array([[60.0, 0, 31.5], [0, 61.0, 23.5], [0, 0, 1]]), WIDTH, HEIGHT)


class Manager:
    """What a lifecycle manager does."""

    def __init__(self, peer):
        from lifecycle_msgs.srv import ChangeState, GetState

        self._peer, self._change_type, self._get_type = peer, ChangeState, GetState
        self._change = peer.node.create_client(ChangeState, "/prehend/change_state")
        self._get = peer.node.create_client(GetState, "/prehend/get_state")
        peer.until(lambda: self._change.service_is_ready() and self._get.service_is_ready(), "the node lives")
        self.state()  # once an answer came, none is lost

    def change(self, number: int) -> bool:
        request = self._change_type.Request()
        request.transition.id = number
        answer = self._change.call_async(request)
        self._peer.until(answer.done, "the transition")
        return answer.result().success

    def state(self) -> str:
        """Asked again where nobody hears the answer."""
        return self._peer.asked_again(self._get, self._get_type.Request(), "the state").current_state.label


CONFIGURE, CLEANUP, ACTIVATE, DEACTIVATE = 1, 2, 3, 4


def test_a_plain_start_is_active(peer, start) -> None:
    start("toy_node.py")
    manager = Manager(peer)
    peer.until(lambda: manager.state() == "active", "the node is active by itself")


def test_without_autostart_every_transition_does_its_part_and_undoes_it(peer, start) -> None:
    hands = peer.listen("/prehend/hands", m.HAND_ARRAY)
    pictures, infos = peer.publisher("/image_raw", m.IMAGE), peer.publisher("/camera_info", m.CAMERA_INFO)
    node = start("toy_node.py", "--ros-args", "-p", "autostart:=false")
    manager = Manager(peer)

    def show_until(fact) -> None:
        end = [0.0]

        def step() -> object:
            if time.monotonic() > end[0]:
                header = convert.header_message(time.time(), "cam")
                infos.publish(m.encode(camera_message(header, CAMERA, WIDTH, HEIGHT)))
                pictures.publish(m.encode(image_message(header, np.full((HEIGHT, WIDTH, 3), 1, np.uint8))))
                end[0] = time.monotonic() + 0.2
            return fact()

        peer.until(step, "an answer")

    assert manager.state() == "unconfigured"
    assert peer.node.count_publishers("/prehend/hands") == 0
    for _ in range(2):  # and all of it once more
        assert manager.change(CONFIGURE)
        peer.until(lambda: peer.node.count_publishers("/prehend/hands"), "its topics")
        assert pictures.get_subscription_count() == 0
        assert manager.change(ACTIVATE)
        hands.clear()
        show_until(lambda: hands)
        assert manager.change(DEACTIVATE)
        peer.until(lambda: pictures.get_subscription_count() == 0, "the images are left alone")
        assert manager.change(CLEANUP)
        peer.until(lambda: not peer.node.count_publishers("/prehend/hands"), "its topics are gone")
        assert manager.state() == "unconfigured"
    node.terminate()
    _, errors = node.communicate(timeout=60)
    assert node.returncode == 0, errors
    assert "Traceback" not in errors


def test_what_cannot_be_loaded_is_told_and_may_be_tried_again(peer, start) -> None:
    node = start("prehend", "node", "--ros-args", "-p", "autostart:=false", "-p", "model:=nonsense")
    manager = Manager(peer)
    assert not manager.change(CONFIGURE)
    assert manager.state() == "unconfigured"
    assert not manager.change(CONFIGURE), "it still lives"
    node.terminate()
    _, errors = node.communicate(timeout=60)
    assert "nonsense" in errors and "Traceback" not in errors
    assert node.returncode == 0


def test_an_error_that_nobody_expects_is_told_and_the_node_lives(peer, start) -> None:
    """rclpy itself lets what a transition raises go without a word."""
    node = start("toy_node.py", "--ros-args", "-p", "autostart:=false", "-p", "model:=crash")
    manager = Manager(peer)
    for _ in range(2):
        assert not manager.change(CONFIGURE)
        assert manager.state() == "unconfigured"
    node.terminate()
    _, errors = node.communicate(timeout=60)
    assert errors.count("configuring failed: ZeroDivisionError the model orders a crash") == 2
    assert node.returncode == 0 and "Traceback" not in errors
