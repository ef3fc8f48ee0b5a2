"""What players do before the first message."""

import threading
import time
from typing import Any

_DISCOVERY_S = 0.05


def wait_for_subscriber(publisher: Any, longest_s: float, stop: threading.Event) -> None:
    """Return when somebody subscribes, `longest_s` are over or `stop` is set."""
    deadline = time.monotonic() + longest_s
    while not publisher.get_subscription_count() and time.monotonic() < deadline:
        if stop.wait(_DISCOVERY_S):
            return
