"""What a person tells a player: pause, one frame on, again from the start, loop; from any thread."""

import threading
import time
from collections.abc import Callable
from typing import Any

from prehend.errors import ParameterError

COMMANDS = ("pause", "play", "step", "restart", "loop", "once")


class Controls:
    """The switches of a player of files.

    Attributes:
        changed: called after every change, outside of the lock.

    Args:
        loop: begin again at the end.
    """

    def __init__(self, loop: bool = False) -> None:
        self._condition = threading.Condition()
        self._paused, self._loop = False, loop
        self._steps, self._restart, self._ended = 0, False, False
        self.changed: Callable[[], None] = lambda: None

    @property
    def state(self) -> dict[str, Any]:
        """`paused`, `loop` and `ended`."""
        return {"paused": self._paused, "loop": self._loop, "ended": self._ended}

    def command(self, name: str) -> None:
        """Do one of `COMMANDS`; a step also pauses, and a restart also plays.

        Raises:
            ParameterError: there is no such command.
        """
        if name not in COMMANDS:
            raise ParameterError(f"there is no command '{name[:40]}': choose one of {', '.join(COMMANDS)}")
        with self._condition:
            if name in ("pause", "play"):
                self._paused, self._steps = name == "pause", 0
                self._restart |= name == "play" and self._ended
            elif name == "step":
                self._paused, self._steps = True, self._steps + 1
            elif name == "restart":
                self._restart, self._paused = True, False
            else:
                self._loop = name == "loop"
            self._condition.notify_all()
        self.changed()

    def wait_until(self, due_s: float) -> bool:
        """Wait until a frame may be shown: its time has come, or a step was asked for.

        Args:
            due_s: on `time.monotonic`.

        Returns:
            False when the source is to begin anew instead.
        """
        with self._condition:
            while not self._restart:
                if self._steps:
                    self._steps -= 1
                    return True
                left_s = None if self._paused else due_s - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return True
                self._condition.wait(left_s)
            self._restart = False
            return False

    def wait_at_end(self) -> None:
        """Return when the source is to begin again: at once in a loop that plays, else when a person says so."""
        with self._condition:
            self._ended = not (self._loop and not self._paused) and not self._restart
        self.changed()
        with self._condition:
            self._condition.wait_for(lambda: self._restart or self._steps or (self._loop and not self._paused))
            self._restart = self._ended = False
        self.changed()
