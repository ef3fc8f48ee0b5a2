import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput, SourceError
from prehend.io.cameras.side_files import read_boxes, read_camera, read_cameras

K = np.array([[554.25, 0, 319.5], [0, 550.5, 239.5], [0, 0, 1]])
D = [0.1, -0.2, 0.001, 0.002, 0.05]
HEAD = "header:\n  stamp: {sec: 1, nanosec: 0}\n  frame_id: cam\nheight: 480\nwidth: 640\ndistortion_model: plumb_bob\n"
TAIL = "binning_x: %d\nbinning_y: %d\nroi: {x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: false}\n"


def echo(binning=0):
    def rows(name, values):
        return f"{name}:\n" + "".join(f"- {value}\n" for value in np.ravel(values))

    p = np.hstack([K, np.zeros((3, 1))])
    return HEAD + rows("d", D) + rows("k", K) + rows("r", np.eye(3)) + rows("p", p) + TAIL % (binning, binning)


def opencv(path):
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    file.write("image_width", 640)
    file.write("image_height", 480)
    file.write("camera_matrix", K)
    file.write("distortion_coefficients", np.array([D]))
    file.release()


KALIBR = {
    "camera_model": "pinhole", "intrinsics": [554.25, 550.5, 319.5, 239.5], "distortion_model": "radtan",
    "distortion_coeffs": D[:4], "resolution": [640, 480],
}  # fmt: skip
TEXTS = {
    "echo.yaml": echo(),
    "echo_documents.yaml": f"---\n{echo()}---\n{echo()}---\n",
    "flat.json": json.dumps({"K": K.ravel().tolist(), "distortion": D, "width": 640, "height": 480}),
    "flat_only.json": json.dumps({"K": K.ravel().tolist(), "distortion": D}),
    "kalibr.yaml": json.dumps({"cam0": KALIBR}),
    "bom.yaml": "\ufeff" + echo(),
    "crlf.yaml": echo().replace("\n", "\r\n"),
    "named.json": json.dumps(
        {"fx": 554.25, "fy": 550.5, "cx": 319.5, "cy": 239.5, "distortion": D, "width": 640, "height": 480}
    ),
    "realsense.json": json.dumps(
        {
            "fx": 554.25,
            "fy": 550.5,
            "ppx": 319.5,
            "ppy": 239.5,
            "model": "Brown Conrady",
            "coeffs": D,
            "width": 640,
            "height": 480,
        }
    ),
    "nerfstudio.json": json.dumps(
        {"fl_x": 554.25, "fl_y": 550.5, "cx": 319.5, "cy": 239.5, "w": 640, "h": 480, "camera_model": "OPENCV"}
        | dict(zip(("k1", "k2", "p1", "p2", "k3"), D, strict=True))
    ),
    "euroc.yaml": json.dumps(
        {"sensor_type": "camera", "resolution": [640, 480], "camera_model": "pinhole", "distortion_coefficients": D[:4]}
        | {"intrinsics": KALIBR["intrinsics"], "distortion_model": "radial-tangential"}
    ),
    "one_by_one.json": json.dumps({"K": K.tolist()} | dict(zip(("k1", "k2", "p1", "p2", "k3"), D, strict=True))),
    "vins.yaml": "%YAML:1.0\n---\nmodel_type: PINHOLE\ncamera_name: c\nimage_width: 640\nimage_height: 480\n"
    + f"distortion_parameters: {json.dumps(dict(zip(('k1', 'k2', 'p1', 'p2', 'k3'), D, strict=True)))}\n"
    + f"projection_parameters: {json.dumps({'fx': 554.25, 'fy': 550.5, 'cx': 319.5, 'cy': 239.5})}\n",
    "named.yaml": "fx: 554.25\nfy: 550.5\ncx: 319.5\ncy: 239.5\nd: [0.1, -0.2, 0.001, 0.002, 0.05]\n",
    "orb.yaml": "%YAML:1.0\n---\nCamera.fx: 554.25\nCamera.fy: 550.5\nCamera.cx: 319.5\nCamera.cy: 239.5\n"
    + "".join(f"Camera.{name}: {value}\n" for name, value in zip(("k1", "k2", "p1", "p2", "k3"), D, strict=True)),
}


@pytest.mark.parametrize("name", [*TEXTS, "opencv.yml", "opencv.xml", "opencv.json"])
def test_a_calibration_is_read_as_people_have_it(tmp_path, name):
    path = tmp_path / name
    if name in TEXTS:
        path.write_bytes(TEXTS[name].encode())
    else:
        opencv(path)
    camera = read_camera(path).for_image(640, 480)
    assert np.array_equal(camera.K, K) and camera.distortion_model == "plumb_bob"
    short = name in ("kalibr.yaml", "euroc.yaml")
    assert camera.distortion.tolist() == (D[:4] if short else D)


def test_binning_of_an_echoed_message_is_honoured(tmp_path):
    (tmp_path / "a.yaml").write_text(echo(2))
    camera = read_camera(tmp_path / "a.yaml").for_image(320, 240)
    assert camera.K[0, 0] == 554.25 / 2 and camera.K[0, 2] == 159.5


def test_fisheyes_of_opencv_and_kalibr_are_fisheyes(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"cam0": {**KALIBR, "distortion_model": "equidistant"}}))
    assert read_camera(tmp_path / "a.json").for_image(640, 480).distortion_model == "equidistant"
    content = {"camera_matrix": {"data": K.ravel().tolist()}, "dist_coeffs": D[:4], "fisheye_model": 1}
    (tmp_path / "b.json").write_text(json.dumps(content))
    assert read_camera(tmp_path / "b.json").for_image(640, 480).distortion_model == "equidistant"


def test_numbers_by_name_may_be_of_a_fisheye_and_coefficients_of_zero_are_none(tmp_path):
    named = {"fl_x": 554.25, "fl_y": 550.5, "cx": 319.5, "cy": 239.5, "w": 640, "h": 480}
    (tmp_path / "a.json").write_text(json.dumps({**named, "camera_model": "OPENCV_FISHEYE", "k1": 0.1, "k4": 0.01}))
    camera = read_camera(tmp_path / "a.json").for_image(640, 480)
    assert (camera.distortion_model, camera.distortion.tolist()) == ("equidistant", [0.1, 0.0, 0.0, 0.01])
    zeros = {**named, "model": "Inverse Brown Conrady", "coeffs": [0, 0, 0, 0, 0]}
    (tmp_path / "b.json").write_text(json.dumps(zeros))
    assert read_camera(tmp_path / "b.json").for_image(640, 480).distortion.size == 0


def test_a_fisheye_of_vins_is_one(tmp_path):
    projection = {"mu": 300.0, "mv": 301.0, "u0": 320.0, "v0": 240.0, "k2": 0.1, "k3": 0.02, "k4": 0, "k5": 0.01}
    content = {"model_type": "KANNALA_BRANDT", "image_width": 640, "image_height": 480}
    (tmp_path / "a.json").write_text(json.dumps({**content, "projection_parameters": projection}))
    camera = read_camera(tmp_path / "a.json").for_image(640, 480)
    assert (camera.distortion_model, camera.distortion.tolist()) == ("equidistant", [0.1, 0.02, 0.0, 0.01])
    assert camera.K[0].tolist() == [300.0, 0.0, 320.0]


def test_a_calibration_of_oblong_pixels_is_stretched_with_them(tmp_path):
    stored = {"K": [[277.0, 0, 159.5], [0, 554, 239.5], [0, 0, 1]], "width": 320, "height": 480}
    (tmp_path / "a.json").write_text(json.dumps(stored))
    camera = read_camera(tmp_path / "a.json").for_image(640, 480, (320, 480))
    assert np.allclose(camera.K, [[554, 0, 319.5], [0, 554, 239.5], [0, 0, 1]])
    with pytest.raises(InvalidInput, match="aspect"):
        read_camera(tmp_path / "a.json").for_image(640, 480)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"K": K.T.tolist()}, "transposed"),
        ({"K": [[1, 1, 80], [1, 1, 60], [0, 0, 1]]}, "beside its focal"),
        ({"K": K.tolist(), "width": float("-inf"), "height": 48}, "not positive"),
        ({"K": K.tolist(), "width": 10**400, "height": 48}, "no camera|size"),
        ({"K": [10**400] * 9}, "no camera"),
        ({"K": [1e-320, 0, 1, 0, 1e-320, 1, 0, 0, 1], "width": 64, "height": 48}, "no camera"),
        ({"K": K.tolist(), "width": 64, "height": 48}, "outside the image"),
        ({"cam0": KALIBR, "cam1": KALIBR}, "several cameras"),
        ({"M1": K.tolist(), "D1": D, "M2": K.tolist(), "D2": D}, "two cameras .M2 is of the second"),
        ({"fx": 554, "fy": 550, "cx": 319.5, "cy": 239.5, "model": "f-theta", "coeffs": D}, "'f-theta' is not known"),
        ({"fx": 554, "fy": "wide", "cx": 319.5, "cy": 239.5}, "no camera: expected"),
        ({"fx": 0, "fy": 0, "cx": 0, "cy": 0}, "not calibrated"),
        ({"K": K.tolist(), "dist_coefs": D}, "'dist_coefs' is not read"),
        ({"K": K.tolist(), "RadialDistortion": [0.1, 0.2]}, "'RadialDistortion' is not read"),
        ({"model_type": "MEI", "projection_parameters": {"u0": 1}}, "'MEI' is not read"),
        ({"projection_parameters": {"fx": 1}}, "no camera"),
        ({"K": "554 0 319"}, "expected a 3 x 3 K, or one of"),
        ({"camera_matrix": {"rows": 2, "cols": 2, "data": [1, 2, 3, 4]}}, "shape"),
        ([1, 2], "expected"),
    ],
)
def test_what_is_no_camera_names_the_file_and_the_reason(tmp_path, content, says):
    (tmp_path / "given.json").write_text(json.dumps(content))
    with pytest.raises(SourceError, match=says) as error:
        read_camera(tmp_path / "given.json").for_image(64, 48)
    assert "given.json" in str(error.value) and "\n" not in str(error.value)


def test_keys_that_are_numbers_and_xml_with_entities_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("1: [[1]]")
    (tmp_path / "b.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><opencv_storage/>')
    for name in ("a.yaml", "b.xml"):
        with pytest.raises(SourceError, match=rf"{name}: "):
            read_cameras(tmp_path / name)


WORDS = (
    "K a.jpg width height distortion distortion_model box_px side k roi camera_matrix data rows cols cam0 intrinsics"
)
KEYS = [*WORDS.split(), "binning_x", "resolution"]
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(-5, 2000), st.just(10**400), st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=9),
        st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=14,
)  # fmt: skip


@settings(max_examples=250, deadline=None, derandomize=True)
@given(values)
def test_any_json_is_read_or_refused_in_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(content))
    for read in (read_cameras, read_boxes, read_camera):
        try:
            read(path)
        except SourceError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("key", ["resolution", "image_size", "imageSize", "img_size", "size"])
def test_a_size_in_one_is_a_size(tmp_path, key):
    """Left out, K would be taken for that of the image in hand."""
    (tmp_path / "c.json").write_text(json.dumps({"K": [[600, 0, 320], [0, 600, 240], [0, 0, 1]], key: [640, 480]}))
    assert read_camera(tmp_path / "c.json").for_image(1280, 960).K[0, 0] == 1200


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"K": [[600, 0, 320], [0, 600, 240], [0, 0, 1]], "xi": 1.2, "D": [0.1, 0, 0, 0]}, "omnidirectional"),
        ({"K": [[600, 0, 320], [0, 600, 240], [0, 0, 1]], "k": [0.1, 0.0]}, "'k' is not read"),
        ({"fx": 600, "cx": 320, "cy": 240}, "no camera: fy is missing"),
        ({"f": 600, "cx": 320, "cy": 240}, "fx, fy are missing"),
        ({"camera_angle_x": 0.98}, "no camera: expected"),
        ({"K": [600, 0, 0, 0, 600, 0, 320, 240, 1]}, "transposed"),
        ({"K": [[0.9375, 0, 0.5], [0, 1.25, 0.5], [0, 0, 1]], "w": 640, "h": 480}, "not in pixels"),
    ],
)
def test_what_would_be_left_out_is_refused(tmp_path, more, says):
    (tmp_path / "c.json").write_text(json.dumps(more))
    with pytest.raises(SourceError, match=says):
        read_camera(tmp_path / "c.json")


@pytest.mark.parametrize("size", [(1280, 720), (480, 480), (480, 640)])
def test_a_calibration_of_another_shape_is_not_stretched(tmp_path, size):
    (tmp_path / "c.json").write_text(json.dumps({"fx": 600, "fy": 600, "cx": 320, "cy": 240, "w": 640, "h": 480}))
    with pytest.raises(InvalidInput, match="another aspect ratio"):
        read_camera(tmp_path / "c.json").for_image(*size)


def test_coefficients_without_commas_are_read_and_those_with_decimal_ones_named(tmp_path):
    """What camera_calibration of ROS Kinetic wrote, and what a spreadsheet does to it."""
    head = json.dumps({"K": K.tolist(), "width": 640, "height": 480})[:-1]
    bare, comma = tmp_path / "bare.json", tmp_path / "comma.yaml"
    bare.write_text(f'{head}, "D": {{"rows": 1, "cols": 5, "data": ["{" ".join(map(str, D))}"]}}}}')
    assert np.allclose(np.ravel(read_camera(bare).distortion), D)
    comma.write_text(f'{head}, "D": {{"rows": 1, "cols": 5, "data": [0,1, 0,01, 0,0, 0,0, 0,0]}}}}')
    with pytest.raises(SourceError, match=r"comma\.yaml: the coefficients .* decimal commas"):
        read_camera(comma)
    comma.write_text(f'{head}, "D": {{"rows": 1, "cols": 5, "data": [.Nan, 0, 0, 0, 0]}}}}')  # as OpenCV writes it
    with pytest.raises(SourceError, match=r"the coefficients \['\.Nan'"):
        read_camera(comma)


@pytest.mark.parametrize("coding", ["utf-16", "utf-8-sig"])
def test_what_powershell_writes_is_read(tmp_path, coding):
    path = tmp_path / "camera.yaml"
    path.write_bytes(json.dumps({"K": K.tolist()}).encode(coding))
    assert np.allclose(read_camera(path).K, K)
