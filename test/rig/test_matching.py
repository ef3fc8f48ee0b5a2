"""Sets of images by their stamps: laws of the matcher, fed without a clock."""

import random

import pytest

from prehend.rig.matching import StampMatcher

MS = 10**6


def fed(matcher: StampMatcher, images: list[tuple[str, float, float]]) -> list[tuple[float, list[str]]]:
    """The sets of images (camera, stamp [ms], when it came [ms]), as stamp and names."""
    found = []
    for name, stamp, came in sorted(images, key=lambda one: one[2]):
        found += matcher.add(name, round(stamp * MS), (name, stamp), came / 1e3)
    found += matcher.flush(images[-1][2] / 1e3)
    for one in found:
        assert all(item == (name, stamp / MS) for name, (stamp, item) in one.items.items())
    return [(one.stamp_ns / MS, sorted(one.items)) for one in found]


def stream(name: str, count: int, offset: float = 0.0, every: float = 33.0, late: float = 5.0):
    return [(name, offset + every * k, offset + every * k + late) for k in range(count)]


def test_cameras_that_are_triggered_together_match_every_time():
    matcher = StampMatcher(["a", "b", "c"])
    found = fed(matcher, stream("a", 20) + stream("b", 20, late=9) + stream("c", 20, late=2))
    assert found == [(33.0 * k, ["a", "b", "c"]) for k in range(20)]
    assert (matcher.complete, matcher.incomplete) == (20, 0)
    assert all((c.matched, c.alone, c.unsynced, c.late) == (20, 0, 0, 0) for c in matcher.counts.values())


def test_cameras_that_run_freely_match_within_the_window_and_every_set_has_the_leading_image():
    rng = random.Random(2)
    a = [("a", s, c + 5 * rng.random()) for _, s, c in stream("a", 60)]
    b = [("b", s, c + 5 * rng.random()) for _, s, c in stream("b", 60, offset=12.0)]
    found = fed(StampMatcher(["a", "b"]), a + b)
    assert [stamp for stamp, _ in found] == [33.0 * k for k in range(60)]
    assert sum(names == ["a", "b"] for _, names in found) >= 59


@pytest.mark.parametrize("window_ms", [0.0, 2.0])
def test_exact_takes_equal_stamps_only(window_ms):
    matcher = StampMatcher(["a", "b"], window_s=window_ms / 1e3)
    found = fed(
        matcher, stream("a", 8) + [("b", s + (1.0 if k % 2 else 0.0), c) for k, (_, s, c) in enumerate(stream("b", 8))]
    )
    assert [names for _, names in found] == [["a", "b"], ["a"] if window_ms == 0 else ["a", "b"]] * 4


def test_images_that_get_lost_leave_the_others_together_and_are_counted():
    matcher = StampMatcher(["a", "b"])
    b = [one for k, one in enumerate(stream("b", 30)) if k % 3]
    found = fed(matcher, stream("a", 30) + b)
    assert [names for _, names in found] == [["a"] if k % 3 == 0 else ["a", "b"] for k in range(30)]
    assert matcher.incomplete == 10 and matcher.counts["a"].alone == 10 and matcher.counts["b"].matched == 20


def test_a_slower_camera_joins_what_it_can_and_a_faster_one_leaves_images_over():
    matcher = StampMatcher(["a", "b"], window_s=0.01)
    found = fed(matcher, stream("a", 10, every=66.0) + stream("b", 20))
    assert [names for _, names in found] == [["a", "b"]] * 10
    assert matcher.counts["b"].unsynced in (9, 10)


def test_an_image_that_comes_after_its_set_is_late():
    matcher = StampMatcher(["a", "b"], wait_s=0.05)
    images = stream("a", 10) + [("b", s, c + (120 if k == 4 else 0)) for k, (_, s, c) in enumerate(stream("b", 10))]
    found = fed(matcher, images)
    assert [stamp for stamp, names in found if names == ["a"]] == [132.0]
    assert matcher.counts["b"].late == 1 and matcher.counts["b"].matched == 9


def test_a_camera_that_stops_is_not_waited_for_and_another_leads():
    matcher = StampMatcher(["a", "b"])
    found = fed(matcher, stream("a", 10) + stream("b", 60))
    assert [names for _, names in found[:10]] == [["a", "b"]] * 10
    assert found[-1] == (59 * 33.0, ["b"]) and len(found) > 50, "after a moment b goes on alone, with what has come"


def test_stamps_that_never_match_cost_no_time_after_a_few_sets():
    matcher = StampMatcher(["a", "b"], wait_s=0.1)
    delays = []
    for k in range(40):
        now = k * 0.033
        ready = matcher.add("b", round((k * 33 - 5000) * MS), None, now)
        ready += matcher.add("a", k * 33 * MS, None, now)
        delays += [now - one.stamp_ns * 1e-9 for one in ready]
    assert len(delays) >= 36 and max(delays[16:]) < 0.001 < max(delays[:9]) < 0.15
    assert matcher.never_matching() == ["b"]
    assert matcher.counts["b"].apart_s == pytest.approx(-5.0, abs=0.2)


def test_a_recording_that_begins_anew_goes_on():
    matcher = StampMatcher(["a", "b"])
    first = fed(matcher, stream("a", 100) + stream("b", 100))
    again = []
    for k in range(20):
        for name in ("a", "b"):
            again += matcher.add(name, k * 33 * MS, None, 4.0 + k * 0.033)
    assert len(first) == 100 and len(again) >= 19 and all(len(one.items) == 2 for one in again[1:])


def test_one_camera_alone_is_not_kept_waiting_for_those_that_never_came():
    matcher = StampMatcher(["a", "b"], wait_s=0.1)
    got = [bool(matcher.add("b", k * 33 * MS, None, k * 0.033)) for k in range(60)]
    assert all(got[-20:])
