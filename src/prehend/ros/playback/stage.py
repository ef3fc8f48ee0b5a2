"""What players do before the first message, after the last, and where there are none for long."""

import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from tqdm import tqdm

LONGEST_PAUSE_S = 60.0
"""Longer ones are not waited for: as often as not a clock was set meanwhile, from 1970 to now."""
_DISCOVERY_S = 0.05
_SETTLED_S = 1.0
"""Who listens to several topics is found out topic by topic: after this long without another one, all are known [s]."""

_LINGER_S, _LONGEST_LINGER_S = 0.5, 3.0
"""The last message is on its way when a recording ends; leaving at once would take it back."""


def wait_for_subscriber(publisher: Any, longest_s: float, stop: threading.Event, others: Sequence[Any] = ()) -> None:
    """Return when somebody subscribes, `longest_s` are over or `stop` is set.

    Args:
        publisher: whose subscriber is waited for.
        longest_s: longest wait; 0 waits for nothing [s].
        stop: ends the wait.
        others: publishers whose subscribers, where there are some, are to miss nothing either.
    """
    deadline = time.monotonic() + longest_s
    while not publisher.get_subscription_count() and time.monotonic() < deadline:
        if stop.wait(_DISCOVERY_S):
            return
    known, since = -1, time.monotonic()
    while others and time.monotonic() < min(deadline, since + _SETTLED_S):
        count = sum(one.get_subscription_count() for one in others)
        if count != known:
            known, since = count, time.monotonic()
        if stop.wait(_DISCOVERY_S):
            return


def linger(publishers: Iterable[Any], stop: threading.Event) -> None:
    """Return when what was published has arrived, as far as those who listen tell, or `stop` is set.

    Args:
        publishers: of rclpy.
        stop: ends the wait.
    """
    from rclpy.duration import Duration

    stop.wait(_LINGER_S)
    deadline = time.monotonic() + _LONGEST_LINGER_S
    with suppress(RuntimeError):  # a middleware that cannot tell
        for one in publishers:
            while not stop.is_set() and time.monotonic() < deadline:
                if one.wait_for_all_acked(Duration(seconds=0.1)):
                    break


def tell_pause(name: str, pause_s: float) -> None:
    """Say that a pause of a recording is left out.

    Args:
        name: of the recording.
        pause_s: its length [s].
    """
    tqdm.write(f"prehend play: {name}: nothing for {pause_s:.0f} s, which are not waited for", file=sys.stderr)
