"""The camera of each image of a bag: over time, as drivers tell it, and where it is another's."""

import numpy as np
import pytest
from recorded_bags import HEIGHT, IMAGE, IMAGES, INFO, INFOS, TIMES, WIDTH, K, cameras, image, info, write

from prehend.errors import SourceError
from prehend.io.sources import open_source


def test_the_camera_of_each_image_is_that_of_its_time(tmp_path):
    zooms = (INFO, [(t, info(t, K * [[n + 1, 1, 1], [1, n + 1, 1], [1, 1, 1]])) for n, t in enumerate(TIMES)])
    found, _ = cameras(write(tmp_path / "bag", {"/c/image": IMAGES, "/c/camera_info": zooms}))
    assert [camera.K[0, 0] / 40 for camera in found] == [1, 2, 3, 4, 5, 6]


def test_a_camera_info_that_is_recorded_after_its_image_counts_for_it(tmp_path):
    zooms = (INFO, [(t + 0.03, info(t, K * [[n + 1, 1, 1], [1, n + 1, 1], [1, 1, 1]])) for n, t in enumerate(TIMES)])
    found, _ = cameras(write(tmp_path / "bag", {"/c/image": IMAGES, "/c/camera_info": zooms}))
    assert [camera.K[0, 0] / 40 for camera in found] == [1, 2, 3, 4, 5, 6]


def test_zeros_at_first_are_not_yet(tmp_path):
    infos = (INFO, [(t, info(t, np.zeros(9) if n < 3 else K)) for n, t in enumerate(TIMES)])
    found, _ = cameras(write(tmp_path / "bag", {"/c/image": IMAGES, "/c/camera_info": infos}))
    assert all(camera is not None for camera in found[3:])


@pytest.mark.parametrize(
    "how",
    [{"d": [-0.03, 0.03, 0, 0, -0.01, 0, 0, 0]}, {"model": "fisheye", "d": [-0.01, 0.04, -0.04, 0.01]},
     {"model": "equidistant", "d": [-0.01, 0.04, -0.04, 0.01, 0]}, {"size": (0, 0)}],
    ids=["8 of 5", "fisheye", "5 of 4", "no size"],
)  # fmt: skip
def test_camera_info_of_real_drivers_is_a_camera(tmp_path, how):
    infos = (INFO, [(t, info(t, **how)) for t in TIMES])
    found, notes = cameras(write(tmp_path / "bag", {"/c/image": IMAGES, "/c/camera_info": infos}))
    assert notes == [] and all(np.array_equal(camera.K, K) for camera in found)


@pytest.mark.parametrize(
    ("how", "says"),
    [({"k": K.T}, "transposed"), ({"d": [0.1] * 4, "model": "magic"}, "'magic' is not known"),
     ({"size": (500, 24)}, "the image is 32 x 24")],
)  # fmt: skip
def test_a_wrong_camera_info_costs_the_metres_and_not_the_images(tmp_path, how, says):
    infos = (INFO, [(t, info(t, **how)) for t in TIMES])
    bag = write(tmp_path / "bag", {"/c/image": IMAGES, "/c/camera_info": infos})
    found, notes = cameras(bag)
    assert found == [None] * 6 and len(notes) == 1 and says in notes[0] and "--cameras" in notes[0]
    assert cameras(bag, own_camera=True) == ([None] * 6, [])


def test_a_calibration_of_another_frame_is_told(tmp_path):
    infos = (INFO, [(t, info(t, frame="left_camera")) for t in TIMES])
    found, notes = cameras(write(tmp_path / "bag", {"/c/image": IMAGES, "/c/camera_info": infos}))
    assert found[0] is not None and "'left_camera'" in notes[0]


def test_a_recording_of_the_realsense_sdk_has_its_calibration(tmp_path):
    """Its names: .../Color_0/image/data and .../Color_0/info/camera_info; it calls depth mono16."""
    color, depth = "/device_0/sensor_1/Color_0", "/device_0/sensor_0/Depth_0"
    far = (IMAGE, [(t, image(t, np.full((HEIGHT, WIDTH), 900, np.uint16), "mono16")) for t in TIMES])
    near = (INFO, [(t, info(t, K * [[2], [2], [1]])) for t in TIMES])
    topics = {f"{depth}/image/data": far, f"{depth}/info/camera_info": near}
    path = write(tmp_path / "a", {**topics, f"{color}/image/data": IMAGES, f"{color}/info/camera_info": INFOS})
    found, notes = cameras(path)
    assert [camera.K[0, 0] for camera in found] == [40.0] * 6
    assert all("no /" not in note for note in notes)
    with (
        pytest.raises(SourceError, match=r"no colour or grey|Depth_0"),
        open_source(str(write(tmp_path / "b", {**topics, f"{depth}2/image/data": far}))) as source,
    ):
        list(source)


def test_calibrations_of_other_cameras_are_named_and_not_taken(tmp_path):
    found, notes = cameras(write(tmp_path / "bag", {"/a/image_raw": IMAGES, "/b/camera_info": INFOS}))
    assert found == [None] * 6
    assert any("no /a/camera_info" in note and "/b/camera_info" in note for note in notes)


def test_a_calibration_that_comes_after_the_first_images_counts_for_them(tmp_path):
    """Latched topics and slow discovery: recorded once, a second late."""
    late = (INFO, [(TIMES[-1] + 0.01, info(TIMES[-1] + 0.01))])
    found, notes = cameras(write(tmp_path / "bag", {"/a/image_raw": IMAGES, "/a/camera_info": late}))
    assert all(camera is not None for camera in found) and not notes


def test_a_principal_point_of_another_image_is_told(tmp_path):
    for name, k, said in (("near", [[40, 0, 5], [0, 41, 4], [0, 0, 1]], "for another image"), ("right", K, "")):
        topics = {"/a/image_raw": IMAGES, "/a/camera_info": (INFO, [(t, info(t, np.array(k, float))) for t in TIMES])}
        found, notes = cameras(write(tmp_path / name, topics))
        assert all(camera is not None for camera in found)
        assert bool(notes) == bool(said) and said in " ".join(notes)
