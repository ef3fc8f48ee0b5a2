"""How much time passes between images, by stamps that are in order and others."""

import warnings

import pytest

from prehend.pipeline.cameras import CameraFrame, load_cameras
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.frames.times import FRAME_S, STILL, ImageClock
from prehend.pipeline.options import EstimatorOptions


def test_time_passes_as_stamps_say_and_at_30_hz_without_them() -> None:
    times = ImageClock()
    assert [times.step(None) for _ in range(3)] == [FRAME_S] * 3 and times.newest is None
    assert times.step(7.0) == FRAME_S and times.step(7.5) == 0.5 and times.step(7.5) == 0


def test_a_swapped_image_takes_no_time_and_the_next_counts_from_the_newest() -> None:
    times = ImageClock()
    steps = [times.step(stamp) for stamp in (1.0, 1.1, 1.3, 1.2, 1.4)]
    assert steps == pytest.approx([FRAME_S, 0.1, 0.2, 0, 0.1]) and times.newest == 1.4
    assert times.step(1.35) == 0 and times.swapped
    assert times.step(0.2) == pytest.approx(-1.2) and times.newest == 0.2 and not times.swapped


def test_stamps_that_stand_still_are_told_once(oracle, finder, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=0.0)]
    estimator = Estimator(oracle, finder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for stamp in (1.0, 1.1, *[1.2] * (STILL - 1)):
            estimator.estimate(image, camera, stamp=stamp)
        for _ in range(2 * STILL):
            estimator.estimate(image, camera)
            Estimator(oracle, finder).estimate(image, camera, stamp=3.0)
    with pytest.warns(UserWarning, match="images in a row have the stamp 0.0.*no time passes") as told:
        for _ in range(3 * STILL):
            estimator.estimate(image, camera, stamp=0.0)
    assert len(told) == 1 and told[0].filename == __file__


def test_the_warning_names_the_line_that_called_one_of_several_cameras_too(image) -> None:
    options = EstimatorOptions(threads=1)
    with load_cameras(["a", "b"], options) as several, pytest.warns(UserWarning, match="no time passes") as told:
        for _ in range(STILL):
            several.estimate({"a": CameraFrame(image, stamp=2.0)})
    assert [warning.filename for warning in told] == [__file__]
