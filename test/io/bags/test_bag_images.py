"""Pixels and times of a bag's images: encodings, steps, stamps, the rate."""

import numpy as np
import pytest
from recorded_bags import COMPRESSED, IMAGE, IMAGES, INFO, PICTURE, TIMES, image, info, jpeg, write

from prehend.errors import SourceError
from prehend.io.sources import open_source


@pytest.mark.parametrize("encoding", ["yuyv", "uyvy", "yuv422", "yuv422_yuy2"])
def test_an_image_that_opencv_refuses_costs_that_image(tmp_path, encoding):
    odd = image(TIMES[1], np.full((24, 31, 2), 128, np.uint8), encoding)
    path = write(tmp_path / "bag", {"/c/image": (IMAGE, [IMAGES[1][0], (TIMES[1], odd), *IMAGES[1][2:]])})
    told = []
    with open_source(str(path), on_error=told.append) as source:
        assert [frame.index for frame in source] == [0, 2, 3, 4, 5]
    assert len(told) == 1 and "message 1 of /c/image" in str(told[0]) and encoding in str(told[0])


@pytest.mark.parametrize(
    ("kind", "swapped"),
    [("jpeg", False), ("rgb8; jpeg compressed bgr8", False), ("bgr8; jpeg compressed rgb8", True), ("", False)],
)
def test_the_format_of_compressed_images_is_honoured(tmp_path, kind, swapped):
    with open_source(str(write(tmp_path / "bag", {"/i/compressed": (COMPRESSED, [(1.0, jpeg(1, kind))])}))) as source:
        (frame,) = source
    expected = PICTURE[..., ::-1] if swapped else PICTURE
    assert np.abs(frame.image_rgb.astype(int) - expected).mean() < 12


@pytest.mark.parametrize("kind", ["16UC1; compressedDepth png", "h264", "32FC1; compressedDepth"])
def test_depth_and_streams_are_no_images(tmp_path, kind):
    path = write(tmp_path / "bag", {"/i/compressed": (COMPRESSED, [(1.0, jpeg(1, kind))])})
    with pytest.raises(SourceError, match=r"format '"), open_source(str(path)) as source:
        list(source)


def test_a_step_that_was_left_out_is_the_row(tmp_path):
    message = image(1)
    message.step = 0
    with open_source(str(write(tmp_path / "bag", {"/i": (IMAGE, [(1.0, message)])}))) as source:
        assert np.array_equal(next(iter(source)).image_rgb, PICTURE)


def test_a_step_of_gigabytes_takes_no_memory(tmp_path):
    message = image(1)
    message.step = 3_000_000_000
    path = write(tmp_path / "bag", {"/i": (IMAGE, [(1.0, message)])})
    with pytest.raises(SourceError, match="too few"), open_source(str(path)) as source:
        list(source)


def test_the_rate_is_that_of_the_stamps_not_of_the_recording(tmp_path):
    late = [(100.0 if n else 90.0, image(100 + n / 20)) for n in range(6)]
    other = (INFO, [(50.0, info(50)), (500.0, info(500))])
    with open_source(str(write(tmp_path / "bag", {"/c/image": (IMAGE, late), "/x/camera_info": other}))) as source:
        assert source.fps == pytest.approx(20, rel=0.01)


def stamps(tmp_path, given):
    topics = {"/a/image_raw": (IMAGE, [(1000 + n / 10, image(at)) for n, at in enumerate(given)])}
    with open_source(str(write(tmp_path / "bag", topics))) as source:
        return [frame.stamp for frame in source], source.fps, " ".join(source.notes)


def test_images_before_the_first_stamp_are_put_on_its_clock(tmp_path):
    """Simulated time that began after the recorder, a camera that had no clock yet."""
    read, fps, notes = stamps(tmp_path, [0, 0, 5.2, 5.3, 5.4, 5.5])
    assert np.allclose(read, [5.0, 5.1, 5.2, 5.3, 5.4, 5.5]) and fps == pytest.approx(10)
    assert "without a stamp" in notes


@pytest.mark.parametrize(("still", "said"), [(5.0, "stand still at 5.000"), (0.0, "without a stamp")])
def test_stamps_that_stand_still_give_way_to_the_times_of_recording(tmp_path, still, said):
    read, fps, notes = stamps(tmp_path, [still] * 6)
    assert np.allclose(read, 1000 + np.arange(6) / 10) and fps == pytest.approx(10)
    assert said in notes
