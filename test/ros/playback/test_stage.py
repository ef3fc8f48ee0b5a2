"""What a player waits for: somebody who sees the images, and then whoever hears the rest."""

import threading
import time
from types import SimpleNamespace

import pytest

from prehend.ros.playback import stage


class Publisher:
    """Somebody subscribes after so many times that it is asked."""

    def __init__(self, after: int | None) -> None:
        self.after, self.asked = after, 0

    def get_subscription_count(self) -> int:
        self.asked += 1
        return int(self.after is not None and self.asked > self.after)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(stage, "_DISCOVERY_S", 0.001)


def test_the_first_subscriber_is_waited_for_and_then_the_others(monkeypatch):
    clock = [0.0]  # goes on by itself while somebody waits
    monkeypatch.setattr(stage, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            clock[0] += timeout
            return False

    monkeypatch.setattr(stage, "_DISCOVERY_S", stage._SETTLED_S / 8)
    images, late, never = Publisher(5), Publisher(3), Publisher(None)
    stage.wait_for_subscriber(images, 60, Stop(), [late, never])
    assert images.asked == 6 and late.asked > 3, "the late one was found before the wait ended"
    assert clock[0] < 3 * stage._SETTLED_S, "nobody waits long for one that never comes"


def test_nobody_is_waited_for_longer_than_asked(monkeypatch):
    monkeypatch.setattr(stage, "_SETTLED_S", 60.0)
    began = time.monotonic()
    stage.wait_for_subscriber(Publisher(None), 0, threading.Event(), [Publisher(None)])
    stage.wait_for_subscriber(Publisher(None), 0.05, threading.Event(), [Publisher(None)])
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("images", [Publisher(None), Publisher(0)])
def test_a_stop_ends_the_wait(monkeypatch, images):
    monkeypatch.setattr(stage, "_SETTLED_S", 60.0)
    stop, began = threading.Event(), time.monotonic()
    stop.set()
    stage.wait_for_subscriber(images, 60, stop, [Publisher(None)])
    assert time.monotonic() - began < 30


class Reliable:
    """Those who listen have all of it after so many times that it is asked."""

    def __init__(self, after: int | None) -> None:
        self.after, self.asked = after, 0

    def wait_for_all_acked(self, _timeout: object) -> bool:
        self.asked += 1
        return self.after is not None and self.asked >= self.after


@pytest.fixture
def longest(monkeypatch):
    """longest(seconds): nobody lingers for longer."""
    pytest.importorskip("rclpy", reason="needs the extra 'ros'")
    monkeypatch.setattr(stage, "_LINGER_S", 0.0)
    return lambda seconds: monkeypatch.setattr(stage, "_LONGEST_LINGER_S", seconds)


def test_a_player_leaves_when_all_has_arrived(longest):
    longest(600.0)
    publishers = [Reliable(3), Reliable(1)]
    stage.linger(publishers, threading.Event())
    assert [one.asked for one in publishers] == [3, 1]


def test_it_waits_neither_for_ever_nor_against_a_stop(longest):
    stop, mute = threading.Event(), Reliable(None)
    longest(0.0)
    stage.linger([mute, mute], stop)
    longest(600.0)
    stop.set()
    stage.linger([mute], stop)


def test_a_middleware_that_cannot_tell_ends_the_wait(longest):
    class Other:
        def wait_for_all_acked(self, _timeout: object) -> bool:
            raise RuntimeError("unsupported")

    longest(600.0)
    stage.linger([Other()], threading.Event())
