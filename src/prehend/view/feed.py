"""The newest frame for any number of viewers: each takes it when it can, and nobody waits for anybody."""

import json
import threading
import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from prehend.view.packets import frame_packet, row_packet
from prehend.view.seen import HeldBoxes, Seen

MAX_RATE_HZ = 30.0
MAX_VIEWERS = 16
_KEPT_ROWS = 1800
"""Rows of the timeline that somebody who comes later still sees: a minute at 30 Hz."""
_BEAT_S = 5.0
"""Silence after which a sign of life is sent, by which a viewer that has left is noticed."""


@dataclass
class _News:
    """What a viewer has not been sent yet."""

    seen: Seen | None
    state: str
    rows: list[str]


@dataclass
class _Place:
    """How far a viewer is."""

    number: int = 0
    rows: int = 0
    state: str = ""


class Feed:
    """Takes frames and gives them out as server-sent events.

    A frame is packed once, by the first viewer that wants it, in that viewer's thread; without viewers nothing is
    packed. A viewer gets at most `MAX_RATE_HZ` frames a second, always the newest, and every row of the timeline.

    Args:
        hello: what every viewer is told first.
        boxes: of held objects.
    """

    def __init__(self, hello: dict[str, Any], boxes: HeldBoxes) -> None:
        self._hello, self._boxes = json.dumps(hello), boxes
        self._changed = threading.Condition()
        self._seen: Seen | None = None
        self._state = ""
        self._rows: deque[str] = deque(maxlen=_KEPT_ROWS)
        self._count = self._viewers = 0
        self._closed = False
        self._packing = threading.Lock()
        self._packed: tuple[int, bytes] = (0, b"")

    @property
    def viewers(self) -> int:
        """How many there are."""
        return self._viewers

    def show(self, seen: Seen) -> None:
        """Take a frame; returns at once."""
        row = row_packet(seen)
        with self._changed:
            self._seen = seen
            self._rows.append(row)
            self._count += 1
            self._changed.notify_all()

    def tell(self, state: dict[str, Any]) -> None:
        """Tell all viewers, now and later, how the player stands."""
        with self._changed:
            self._state = json.dumps(state)
            self._changed.notify_all()

    def close(self) -> None:
        """Let all viewers go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self) -> Generator[bytes, None, None] | None:
        """A viewer's events, until `close`; None where there are too many viewers."""
        return None if self._viewers >= MAX_VIEWERS or self._closed else self._events()

    def _events(self) -> Generator[bytes, None, None]:
        place = _Place()
        with self._changed:
            self._viewers += 1
        try:
            yield event("hello", self._hello)
            due_s = time.monotonic()
            while not self._closed:
                news = self._wait(place)
                if news is None:
                    yield b": still here\n\n"
                    continue
                yield self._written(news)
                due_s = max(due_s + 1 / MAX_RATE_HZ, time.monotonic())
                time.sleep(max(0.0, due_s - time.monotonic()))
        finally:
            with self._changed:
                self._viewers -= 1

    def _wait(self, place: _Place) -> _News | None:
        """What is new for a viewer, which is moved on; None where nothing is for a while."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._is_behind(place), _BEAT_S)
            if self._closed or not self._is_behind(place):
                return None
            fresh = min(self._count - place.rows, len(self._rows))
            rows = [self._rows[at] for at in range(len(self._rows) - fresh, len(self._rows))]
            news = _News(None, "", rows)
            if self._seen is not None and self._seen.number != place.number:
                news.seen, place.number = self._seen, self._seen.number
            if self._state != place.state:
                news.state = place.state = self._state
            place.rows = self._count
            return news

    def _is_behind(self, place: _Place) -> bool:
        number = 0 if self._seen is None else self._seen.number
        return place.number != number or place.state != self._state or place.rows != self._count

    def _written(self, news: _News) -> bytes:
        state = event("state", news.state) if news.state else b""
        rows = event("rows", f"[{','.join(news.rows)}]") if news.rows else b""
        return state + rows + (b"" if news.seen is None else self._frame(news.seen))

    def _frame(self, seen: Seen) -> bytes:
        with self._packing:
            if self._packed[0] != seen.number:
                self._packed = (seen.number, event("frame", frame_packet(seen, self._boxes)))
            return self._packed[1]


def event(name: str, data: str) -> bytes:
    """A server-sent event (HTML standard, 9.2) of one line of data."""
    return f"event: {name}\ndata: {data}\n\n".encode()
