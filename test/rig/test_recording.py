"""Recordings of several cameras as sets: every frame in one set at most, with the frames of its time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.io.frames import Frame, Source
from prehend.rig.recording import Sets

PICTURE = np.zeros((4, 6, 3), np.uint8)


class Recording(Source):
    """Frames at some times; None for a folder, whose frames have none."""

    kind = "video"

    def __init__(self, name: str, stamps: list[float | None]) -> None:
        super().__init__(name, None)
        self._stamps = stamps

    def __iter__(self):
        for index, stamp in enumerate(self._stamps):
            yield Frame(PICTURE, self.name, index, stamp)

    def close(self) -> None:
        """Nothing is open."""


def sets(window_s=0.02, **stamps):
    found = Sets({name: Recording(name, times) for name, times in stamps.items()}, window_s)
    return [(lead, {name: frame.index for name, frame in frames.items()}) for lead, _, frames in found], found


def test_frames_of_one_time_are_one_set_and_the_first_camera_leads():
    told, _ = sets(left=[0.0, 0.033, 0.066], right=[0.005, 0.039, 0.07])
    assert told == [("left", {"left": n, "right": n}) for n in range(3)]


def test_folders_go_by_their_numbers_at_30_hz():
    told, _ = sets(folder=[None] * 3, film=[0.0, 1 / 30, 2 / 30])
    assert told == [("folder", {"folder": n, "film": n}) for n in range(3)]


def test_a_frame_that_one_camera_lost_leaves_the_others_to_go_on():
    told, found = sets(left=[0.0, 0.1, 0.2], right=[0.0, 0.2])
    assert told == [("left", {"left": 0, "right": 0}), ("left", {"left": 1}), ("left", {"left": 2, "right": 1})]
    assert found.matcher.counts["left"].alone == 1 and found.matcher.counts["right"].matched == 2


def test_neighbours_that_were_recorded_in_the_wrong_order_are_put_right():
    told, _ = sets(left=[0.0, 0.066, 0.033, 0.1], right=[0.0, 0.033, 0.066, 0.1])
    assert [frames for _, frames in told if len(frames) == 2] == [frames for _, frames in told]
    assert sorted(frames["left"] for _, frames in told) == [0, 1, 2, 3]


def test_exact_sets_have_equal_stamps_alone():
    told, _ = sets(0.0, left=[0.0, 0.1], right=[0.0, 0.1001])
    assert [sorted(frames) for _, frames in told] == [["left", "right"], ["left"]]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=25, unique=True).map(sorted),
    st.lists(st.integers(0, 400), min_size=1, max_size=25, unique=True).map(sorted),
    st.sampled_from([0.0, 0.01, 0.05]),
)
def test_no_frame_is_in_two_sets_and_no_set_is_wider_than_the_window(left, right, window_s):
    stamps = {"left": [0.01 * n for n in left], "right": [0.01 * n for n in right]}
    found = Sets({name: Recording(name, times) for name, times in stamps.items()}, window_s)
    used, last = [], -1.0
    for lead, stamp, frames in found:
        assert stamp == pytest.approx(frames[lead].stamp) and stamp >= last
        last = stamp
        assert all(abs(frame.stamp - stamp) <= window_s + 1e-9 for frame in frames.values())
        used += [(name, frame.index) for name, frame in frames.items()]
    assert len(used) == len(set(used))
    counts = found.matcher.counts
    for name, times in stamps.items():
        one = counts[name]
        assert one.matched + one.alone + one.unsynced + one.late == len(times), "every frame is accounted for"
