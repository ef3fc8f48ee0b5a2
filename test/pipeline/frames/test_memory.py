import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput, ParameterError
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.pipeline.frames.memory import FrameMemory, MemoryOptions, Remembered, most_frames, window_arrays
from prehend.pipeline.options import EstimatorOptions

FIVE_AT_30_HZ = MemoryOptions()


def frame(stamp_s: float, turn_rad: float = 0.0) -> Remembered:
    arrays = {"features": np.full((2, 3), stamp_s, np.float32)}
    return Remembered(stamp_s, arrays, matrix_from_axis_angle(np.array([0, 0, turn_rad])))


def filled(stamps, options: MemoryOptions = FIVE_AT_30_HZ) -> FrameMemory:
    memory = FrameMemory(options)
    for stamp in stamps:
        memory.add(frame(stamp))
    return memory


def stamps_of(window) -> list[float | None]:
    return [None if one is None else round(one.stamp_s, 6) for one in window]


def test_frames_are_five_apart_at_30_hz_and_nearest_at_other_rates() -> None:
    at_30 = np.arange(40) / 30
    assert stamps_of(filled(at_30).window(at_30[-1])) == [round(at_30[k], 6) for k in (39, 34, 29)]
    at_15 = np.arange(20) / 15
    window = stamps_of(filled(at_15).window(at_15[-1]))
    assert window[1] in np.round(at_15[[16, 17]], 6) and window[2] == round(at_15[14], 6)


def test_a_track_begins_with_what_there_is() -> None:
    memory = filled([10.0])
    assert stamps_of(memory.window(10.0)) == [10.0, None, None]
    memory.add(frame(10.17))
    assert stamps_of(memory.window(10.17)) == [10.17, 10.0, None]


@given(st.permutations(range(12)))
def test_the_order_of_arrival_does_not_matter(order: list[int]) -> None:
    stamps = np.arange(12) / 30
    memory = filled(stamps[order])
    assert stamps_of(memory.window(stamps[11])) == stamps_of(filled(stamps).window(stamps[11]))


@given(st.integers(0, 11), st.lists(st.floats(-0.004, 0.004), min_size=12, max_size=12))
def test_jitter_is_no_reset_and_later_frames_are_never_looked_at(now: int, jitter: list[float]) -> None:
    stamps = np.arange(12) / 30 + np.array(jitter)
    memory = filled(stamps)
    assert len(memory) == 12
    for one in memory.window(stamps[now])[1:]:
        assert one is None or one.stamp_s < stamps[now]


@pytest.mark.parametrize("next_s", [2.0, -3.0, 0.9])
def test_a_gap_and_a_loop_begin_anew(next_s: float) -> None:
    memory = filled(np.arange(12) / 30)
    memory.add(frame(next_s))
    assert len(memory) == 1 and stamps_of(memory.window(next_s)) == [next_s, None, None]


def test_time_that_stands_still_is_one_frame() -> None:
    memory = filled([1.0] * 50)
    assert len(memory) == 1
    memory.add(Remembered(1.0, {"features": np.full((2, 3), 7, np.float32)}, np.eye(3)))
    assert memory.window(1.0)[0].arrays["features"][0, 0] == 7


def test_no_more_than_a_second_is_remembered() -> None:
    memory = filled(np.arange(3000) / 100)
    assert len(memory) <= 111
    assert stamps_of(memory.window(29.99))[2] == pytest.approx(29.99 - 1 / 3, abs=0.01)


def test_nothing_of_another_track_is_left() -> None:
    memory = filled(np.arange(12) / 30)
    memory.clear()
    memory.add(frame(0.4))
    assert stamps_of(memory.window(0.4)) == [0.4, None, None]


def test_arrays_of_a_window() -> None:
    memory = FrameMemory()
    for k, stamp in enumerate((0.0, 0.17)):
        memory.add(frame(stamp, 0.3 * k))
    arrays = window_arrays(memory.window(0.17))
    assert arrays["window_features"].shape == (1, 3, 2, 3)
    assert arrays["window_features"][0, :, 0, 0].tolist() == pytest.approx([0.17, 0.0, 0.17])
    assert arrays["window_known"].tolist() == [[1, 1, 0]]
    np.testing.assert_allclose(arrays["window_turn"][0, 0], np.eye(3), atol=1e-7)
    expected = matrix_from_axis_angle(np.array([0, 0, -0.3]))
    np.testing.assert_allclose(arrays["window_turn"][0, 1], expected, atol=1e-6)
    assert all(array.dtype == np.float32 for array in arrays.values())


def test_stamps_that_are_none_and_frames_that_are_not_there_are_refused() -> None:
    memory = filled([1.0])
    with pytest.raises(InvalidInput, match="place in time"):
        memory.add(frame(float("nan")))
    with pytest.raises(InvalidInput, match="add it first"):
        memory.window(2.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"frames": 0}, "temporal_frames"),
        ({"stride_s": 0.0}, "temporal_stride_s"),
        ({"stride_s": float("nan")}, "temporal_stride_s"),
        ({"frames": 8}, "temporal_frames 8 .* reach back farther .* take 7 frames at most"),
        ({"gap_s": -1.0}, "gap"),
    ],
)
def test_options_that_contradict_are_named(options: dict[str, float], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        MemoryOptions(**options)


@pytest.mark.parametrize(
    ("stride_s", "frames"), [(0.05, 21), (0.1, 11), (0.167, 6), (0.25, 5), (0.5, 3), (0.9, 2), (1.0, 2)]
)
def test_as_many_frames_as_can_be_remembered(stride_s: float, frames: int) -> None:
    assert MemoryOptions.reaching_back(stride_s) == MemoryOptions(frames, stride_s)
    assert EstimatorOptions(temporal_frames=0, temporal_stride_s=stride_s).memory.frames == frames


def test_a_stride_that_is_longer_than_what_is_remembered_is_refused() -> None:
    for frames in (0, 2, 5):
        with pytest.raises(ParameterError, match=r"^temporal_stride_s is 1\.2, expected up to 1, the time"):
            EstimatorOptions(temporal_frames=frames, temporal_stride_s=1.2)


@settings(max_examples=200)
@given(stride_s=st.floats(0.01, 1.0))
def test_the_frames_that_are_told_to_fit_do_and_no_more(stride_s: float) -> None:
    most = most_frames(stride_s, 1.0)
    assert MemoryOptions(most, stride_s).frames == most
    with pytest.raises(ParameterError, match="reach back farther"):
        MemoryOptions(most + 1, stride_s)
