import json
import threading

import pytest

from prehend.view import feed as feeds
from prehend.view.feed import Feed
from prehend.view.seen import HeldBoxes


@pytest.fixture
def feed():
    return Feed({"source": "clip"}, HeldBoxes({}))


def parsed(data):
    """[(event, content)] of server-sent events."""
    found = []
    for block in data.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def test_whoever_comes_is_told_the_state_and_the_newest_frame(feed, make_seen):
    feed.tell({"paused": True})
    for number in (1, 2, 3):
        feed.show(make_seen(number))
    viewers = [feed.join(), feed.join()]
    for events in viewers:  # the second one gets the same
        assert parsed(next(events)) == [("hello", {"source": "clip"})]
        found = parsed(next(events))
        assert [name for name, _ in found] == ["state", "rows", "frame"]
        assert found[0][1] == {"paused": True} and len(found[1][1]) == 3 and found[2][1]["n"] == 3
    assert feed.viewers == 2
    viewers[0].close()
    assert feed.viewers == 1


def test_a_slow_viewer_misses_frames_and_no_row(feed, make_seen):
    events = feed.join()
    next(events)
    rows, numbers = [], []
    for number in range(1, 41):
        feed.show(make_seen(number))
        if number % 8 == 0:
            found = dict(parsed(next(events)))
            rows += found["rows"]
            numbers.append(found["frame"]["n"])
    assert numbers == [8, 16, 24, 32, 40]
    assert [row[0] for row in rows] == pytest.approx([n / 30 for n in range(1, 41)], abs=1e-3)


def test_a_frame_is_packed_once_for_all_and_never_for_nobody(feed, make_seen, monkeypatch):
    packed = []
    real = feeds.frame_packet
    monkeypatch.setattr(feeds, "frame_packet", lambda seen, boxes: packed.append(seen.number) or real(seen, boxes))
    feed.show(make_seen(1))
    assert packed == []
    viewers = [feed.join() for _ in range(3)]
    for events in viewers:
        next(events)
        next(events)
    assert packed == [1]


def test_silence_is_a_sign_of_life_and_the_end_lets_go(feed, monkeypatch):
    monkeypatch.setattr(feeds, "_BEAT_S", 0.01)
    events = feed.join()
    next(events)
    assert next(events).startswith(b":")
    monkeypatch.setattr(feeds, "_BEAT_S", 60.0)
    ended = threading.Thread(target=lambda: list(events))
    ended.start()
    feed.close()
    ended.join(20)
    assert not ended.is_alive() and feed.viewers == 0 and feed.join() is None


def test_there_are_only_so_many_viewers(feed, monkeypatch):
    monkeypatch.setattr(feeds, "MAX_VIEWERS", 1)
    events = feed.join()
    next(events)
    assert feed.join() is None
    events.close()
    assert feed.join() is not None
