"""Images of several cameras that were taken at the same time, by their stamps."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")

WINDOW_S = 0.02
"""Images whose stamps lie no further apart than this are of one time: half an interval of cameras at 30 Hz that run
freely, and a bit [s]."""

WAIT_S = 0.1
"""A set waits no longer than this for an image that is on its way [s]."""

_KEPT = 16
_GIVEN_UP_AFTER = 10
"""Sets in a row without an image of a camera, after which none waits for it any more."""

_ALIVE_S, _ALIVE_INTERVALS = 0.3, 4.0
_FIRST_S = 1.0
"""A camera is silent after so many of its intervals, and this time at least; while its interval is not known, after
`_FIRST_S` [s]."""

_ANEW_NS = 10**9
"""Stamps that go back by more than this begin anew: a bag plays again."""


@dataclass(frozen=True)
class MatchedSet(Generic[Item]):
    """Images of one time.

    Attributes:
        lead: the camera that gives the set its stamp: the first one in the order given that is not silent.
        stamp_ns: of its image.
        items: of each camera that has one, its stamp [ns] and image.
    """

    lead: str
    stamp_ns: int
    items: dict[str, tuple[int, Item]]


@dataclass
class CameraCounts:
    """What became of one camera's images.

    Attributes:
        matched: went into a set with another camera's.
        alone: into a set that has no other's.
        unsynced: left out, for no image of the leading camera is near enough.
        late: left out, for its set was gone.
        apart_s: how far the stamp of its newest image was from the leading camera's newest [s].
    """

    matched: int = 0
    alone: int = 0
    unsynced: int = 0
    late: int = 0
    apart_s: float = 0.0


@dataclass
class _WaitingImages(Generic[Item]):
    """Images of one camera that are in no set yet, oldest first: stamp [ns], image, when it came [s]."""

    images: deque[tuple[int, Item, float]] = field(default_factory=deque)
    counts: CameraCounts = field(default_factory=CameraCounts)
    came_s: float | None = None
    interval_s: float | None = None
    newest_ns: int | None = None
    missed: int = 0

    def is_silent(self, now_s: float, since_s: float) -> bool:
        if self.came_s is None:
            return now_s - since_s > _FIRST_S
        patience = _FIRST_S if self.interval_s is None else max(_ALIVE_S, _ALIVE_INTERVALS * self.interval_s)
        return now_s - self.came_s > patience


class StampMatcher(Generic[Item]):
    """Sets of images around those of a leading camera: with each of its images the nearest one of every other camera.

    The leading camera is the first that is not silent. A set is given out once every camera that is not silent has an
    image in it, or cannot have one any more, or `wait_s` after its first image came. Cameras that are silent, and those
    that never match, are not waited for: what is there goes on.

    Args:
        cameras: their names; the first leads.
        window_s: largest difference of stamps within a set; 0 for equal ones only [s].
        wait_s: longest time that a set waits [s].
    """

    def __init__(self, cameras: Iterable[str], window_s: float = WINDOW_S, wait_s: float = WAIT_S):
        self.cameras = tuple(cameras)
        self._window_ns, self._wait_s = round(window_s * 1e9), wait_s
        self._waiting: dict[str, _WaitingImages[Item]] = {name: _WaitingImages() for name in self.cameras}
        self._last: MatchedSet[Item] | None = None
        self._since_s: float | None = None
        self.incomplete = self.complete = 0

    @property
    def counts(self) -> dict[str, CameraCounts]:
        """What became of the images, by camera."""
        return {name: waiting.counts for name, waiting in self._waiting.items()}

    def add(self, camera: str, stamp_ns: int, item: Item, now_s: float) -> list[MatchedSet[Item]]:
        """Take an image; the sets that are ready then.

        Args:
            camera: whose it is.
            stamp_ns: when it was taken.
            item: the image.
            now_s: a steady clock's time.
        """
        self._since_s = now_s if self._since_s is None else self._since_s
        own = self._waiting[camera]
        if own.newest_ns is not None and stamp_ns < own.newest_ns - _ANEW_NS:
            self._forget()
        if own.came_s is not None:
            since = min(now_s - own.came_s, _FIRST_S)
            own.interval_s = since if own.interval_s is None else 0.8 * own.interval_s + 0.2 * since
        own.came_s, own.newest_ns = now_s, stamp_ns
        if self._is_late(camera, stamp_ns):
            own.counts.late += 1
        else:
            own.images.append((stamp_ns, item, now_s))
            if len(own.images) > 1 and own.images[-2][0] > stamp_ns:
                own.images = deque(sorted(own.images, key=lambda one: one[0]))
            while len(own.images) > _KEPT:
                own.images.popleft()
                own.counts.unsynced += 1
        return self.poll(now_s)

    def poll(self, now_s: float) -> list[MatchedSet[Item]]:
        """The sets that are ready by now, oldest first."""
        ready = []
        while (one := self._next(now_s, False)) is not None:
            ready.append(one)
        return ready

    def flush(self, now_s: float) -> list[MatchedSet[Item]]:
        """The sets of what is left; nothing comes after it. Images that fit into none are left out, and counted."""
        ready = []
        while (one := self._next(now_s, True)) is not None:
            ready.append(one)
        for waiting in self._waiting.values():
            waiting.counts.unsynced += len(waiting.images)
            waiting.images.clear()
        return ready

    def lead(self, now_s: float) -> str | None:
        """The leading camera: the first that was heard of and is not silent; None where there is none."""
        heard = [name for name in self.cameras if self._waiting[name].came_s is not None]
        return next((name for name in heard if not self._is_silent(name, now_s)), None)

    def silent(self, now_s: float) -> list[str]:
        """Cameras of which nothing comes."""
        return [name for name in self.cameras if self._is_silent(name, now_s)]

    def never_matching(self) -> list[str]:
        """Cameras whose images come and fit into no set."""
        return [name for name, waiting in self._waiting.items() if waiting.missed >= _GIVEN_UP_AFTER]

    def _is_silent(self, name: str, now_s: float) -> bool:
        return self._waiting[name].is_silent(now_s, now_s if self._since_s is None else self._since_s)

    def _next(self, now_s: float, at_once: bool) -> MatchedSet[Item] | None:
        lead = self.lead(now_s)
        if lead is None or not self._waiting[lead].images:
            return None
        stamp, item, came_s = self._waiting[lead].images[0]
        items, waits = {lead: (stamp, item)}, False
        for name in self.cameras:
            other = self._waiting[name]
            if name == lead or not (other.images or not self._is_silent(name, now_s)):
                continue
            near = [one for one in other.images if abs(one[0] - stamp) <= self._window_ns]
            if near:
                best = min(near, key=lambda one: abs(one[0] - stamp))
                items[name] = (best[0], best[1])
            elif self._is_silent(name, now_s) or other.missed >= _GIVEN_UP_AFTER:
                continue
            elif other.newest_ns is None or other.newest_ns <= stamp + self._window_ns:
                waits = True
        if waits and not at_once and now_s - came_s < self._wait_s:
            return None
        return self._take(MatchedSet(lead, stamp, items), now_s)

    def _take(self, one: MatchedSet[Item], now_s: float) -> MatchedSet[Item]:
        """Take a set's images, and those before them, out of what waits."""
        for name, other in self._waiting.items():
            if name in one.items:
                while other.images and other.images[0][0] < one.items[name][0]:
                    other.images.popleft()
                    other.counts.unsynced += 1
                other.images.popleft()
                other.missed = 0
                counts = other.counts
                counts.matched, counts.alone = (
                    (counts.matched + 1, counts.alone) if len(one.items) > 1 else (counts.matched, counts.alone + 1)
                )
            else:
                other.missed = 0 if self._is_silent(name, now_s) else other.missed + 1
                while other.images and other.images[0][0] < one.stamp_ns - self._window_ns:
                    other.images.popleft()
                    other.counts.unsynced += 1
            if other.newest_ns is not None:
                other.counts.apart_s = (other.newest_ns - one.stamp_ns) * 1e-9
        full = len(one.items) == sum(not self._is_silent(name, now_s) for name in self.cameras)
        self.complete, self.incomplete = (
            (self.complete + 1, self.incomplete) if full else (self.complete, self.incomplete + 1)
        )
        self._last = one
        return one

    def _is_late(self, camera: str, stamp_ns: int) -> bool:
        if self._last is None:
            return False
        behind = stamp_ns - self._last.stamp_ns
        return (
            behind < -self._window_ns
            or (behind <= (0 if camera == self._last.lead else self._window_ns) and camera not in self._last.items)
            or (camera in self._last.items and stamp_ns <= self._last.items[camera][0])
        )

    def _forget(self) -> None:
        for waiting in self._waiting.values():
            waiting.counts.unsynced += len(waiting.images)
            waiting.images.clear()
            waiting.newest_ns = None
        self._last = None
