import json
from pathlib import Path

import numpy as np
import pytest

from prehend.errors import InvalidInput, SourceError
from prehend.geometry.camera import project
from prehend.io.cameras.side_files import read_boxes, read_camera, read_cameras
from prehend.io.sources import Frame
from prehend.types import Box, FoundHand

K = [[500.0, 0, 320], [0, 510, 240], [0, 0, 1]]
PIXELS = np.zeros((2, 2, 3), np.uint8)
CALIBRATION = """
image_width: 640
image_height: 480
camera_matrix: {rows: 3, cols: 3, data: [500.0, 0, 320, 0, 510, 240, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, -0.05, 0, 0, 0]}
"""


def saved(tmp_path, content, name="given.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def box(x0, side="left"):
    return [{"box_px": [x0, 2, x0 + 10, 30], "side": side}]


def found(table, source, path=None):
    hands = table.find(Frame(PIXELS, source, 0, path=None if path is None else Path(path)))
    return None if hands is None else hands[0].box_px.x0


def test_keys_fit_whole_trailing_parts_of_paths(tmp_path):
    table = read_boxes(saved(tmp_path, {"images/ge/1.jpg": box(1), "2.jpg": box(2), "/data/x/3.jpg": box(3)}))
    assert found(table, "1.jpg") == found(table, "ge/1.jpg") == found(table, "/y/images/ge/1.jpg") == 1
    assert found(table, "any/where/2.jpg") == 2
    assert found(table, "x/3.jpg") == 3
    assert found(table, "11.jpg") is None and found(table, "e/1.jpg") is None


def test_the_real_path_decides_between_folders(tmp_path):
    table = read_boxes(saved(tmp_path, {"a/1.jpg": box(1), "b/1.jpg": box(2)}))
    assert found(table, "1.jpg", "/data/a/1.jpg") == 1
    assert found(table, "1.jpg", "/data/b/1.jpg") == 2
    with pytest.raises(SourceError, match=r"both 'a/1\.jpg' and 'b/1\.jpg'"):
        found(table, "1.jpg", "/data/c/1.jpg")


def test_boxes_come_as_they_are(tmp_path):
    table = read_boxes(saved(tmp_path, {"a": [*box(5, "right"), *box(7)], "b": []}))
    first, second = table.find(Frame(PIXELS, "a", 0))
    assert first.box_px == Box(5, 2, 15, 30) and (first.side, second.side) == ("right", "left")
    assert table.find(Frame(PIXELS, "b", 0)) == []


@pytest.mark.parametrize("entry", [{}, {"side": None}])
def test_a_box_without_a_side_may_be_either(tmp_path, entry):
    table = read_boxes(saved(tmp_path, {"a": [{"box_px": [1, 2, 3, 4], **entry}]}))
    (hand,) = table.find(Frame(PIXELS, "a", 0))
    assert hand == FoundHand(Box(1, 2, 3, 4), None)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"a": [{"box_px": [0, 0, float("nan"), 9], "side": "left"}]}, "box 0: box_px holds NaN"),
        ({"a": [{"box_px": [0, 0, 9], "side": "left"}]}, "not four numbers"),
        ({"a": [{"box_px": [0, 0, None, 9], "side": "left"}]}, "not four numbers"),
        ({"a": [{"box_px": [9, 0, 0, 9], "side": "left"}]}, "box_px is empty"),
        ({"a": [{"box_px": [0, 0, 9, 9], "side": "up"}]}, "side is 'up'"),
        ({"a": [[0, 0, 9, 9]]}, "expected"),
        ({"a": 5}, "expected a list"),
        ([1], "expected"),
        ("{", "neither JSON nor YAML"),
    ],
)
def test_wrong_boxes_name_file_and_entry(tmp_path, content, says):
    with pytest.raises(SourceError, match=says) as error:
        read_boxes(saved(tmp_path, content))
    assert "given.json" in str(error.value) and "\n" not in str(error.value)
    assert not isinstance(content, dict) or "'a'" in str(error.value)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (np.zeros((3, 3)).tolist(), "not calibrated"),
        ([[1, 2], [3, 4]], r"shape \(2, 2\)"),
        ([[float("nan"), 0, 1], [0, 5, 1], [0, 0, 1]], "NaN"),
        ("text", "expected a 3 x 3 K"),
        ({"distortion": [0.1]}, "expected a 3 x 3 K"),
        ({"K": K, "distortion": [0.1]}, "has 1 coefficients"),
        ({"K": K, "distortion_model": "magic"}, "'magic' is not known"),
        ({"K": K, "width": 0, "height": -1}, "not positive"),
    ],
)
def test_wrong_cameras_name_file_and_entry(tmp_path, entry, says):
    with pytest.raises(SourceError, match=says) as error:
        read_cameras(saved(tmp_path, {"a/1.jpg": entry}))
    assert "given.json: entry 'a/1.jpg'" in str(error.value)


def test_cameras_by_source_and_one_for_all(tmp_path):
    table = read_cameras(saved(tmp_path, {"1.jpg": K}))
    camera = table.find(Frame(PIXELS, "1.jpg", 0)).for_image(640, 480)
    assert np.array_equal(camera.K, K) and (camera.width, camera.height) == (640, 480) and not camera.estimated
    assert np.array_equal(read_cameras(saved(tmp_path, {"K": K})).for_image(640, 480).K, K)


def test_a_calibration_of_ros_fits_the_resized_image(tmp_path):
    given = read_camera(saved(tmp_path, CALIBRATION, "camera.yaml"))
    point = np.array([0.1, -0.05, 0.7])
    full, half = given.for_image(640, 480), given.for_image(320, 240)
    assert full.distortion.tolist() == [0.1, -0.05, 0, 0, 0]
    assert np.allclose((project(point, half) + 0.5) * 2, project(point, full) + 0.5)
    with pytest.raises(InvalidInput, match="aspect ratio"):
        given.for_image(640, 640)


def test_a_table_is_no_single_camera_and_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match="a table of 1"):
        read_camera(saved(tmp_path, {"1.jpg": K}))
    with pytest.raises(SourceError, match=r"gone\.yaml: no such file"):
        read_camera(tmp_path / "gone.yaml")


@pytest.mark.parametrize("box_px", [[0.1, 0.2, 0.5, 0.6], [0, 0, 1, 1], [100.2, 50.1, 100.9, 50.8]])
def test_boxes_as_shares_of_the_image_are_refused(tmp_path, box_px):
    """YOLO and MediaPipe have them so; such a box would be a hand of half a pixel in the corner."""
    with pytest.raises(SourceError, match="no larger than a pixel: a share of the image"):
        read_boxes(saved(tmp_path, {"a.png": [{"box_px": box_px, "side": "left"}]}))


def test_a_name_without_end_does_not_fill_the_screen(tmp_path):
    for content, read in (
        ({"x" * 10**6: [{"box_px": [1, 2, 1, 4]}]}, read_boxes),
        ({"x" * 10**6: [[1]]}, read_cameras),
    ):
        path = tmp_path / "long.json"
        path.write_text(json.dumps(content))
        with pytest.raises(SourceError) as caught:
            read(path)
        assert len(str(caught.value)) < 400 + len(str(path))
