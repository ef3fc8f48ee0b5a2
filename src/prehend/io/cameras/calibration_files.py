"""Calibrations of one camera as people have them.

Read are K as 3 x 3 or 9 numbers (JSON or YAML), the YAML of ROS's camera_info_manager, what `ros2 topic echo` prints of
a camera_info, OpenCV's FileStorage (YAML, JSON and XML), Kalibr's camchain, and the settings of VINS and ORB-SLAM.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np

from prehend.documents import read_document, read_text
from prehend.errors import InvalidInput, SourceError, one_line
from prehend.geometry.calibration import check_coefficients, check_intrinsics, check_model, checked_camera
from prehend.geometry.camera import crop_intrinsics, scale_camera
from prehend.io.cameras.camera_info import camera_from_info
from prehend.types import Camera

FORMATS = (
    "K (3 x 3 or 9 numbers), fx fy cx cy, camera_info_manager's YAML, `ros2 topic echo`, OpenCV, Kalibr, VINS "
    "or ORB-SLAM"
)

_MATRIX_KEYS = ("K", "camera_matrix", "k", "Camera_Matrix", "cameraMatrix", "intrinsic_matrix", "mtx", "M1", "K1")
_COEFFICIENT_KEYS = (
    "distortion", "distortion_coefficients", "d", "D", "Distortion_Coefficients", "dist_coeffs", "distCoeffs", "dist",
    "distortion_coeffs", "D1",
)  # fmt: skip
_WIDTH_KEYS = ("image_width", "width", "image_Width", "Camera.width", "w")
_HEIGHT_KEYS = ("image_height", "height", "image_Height", "Camera.height", "h")
_SIZE_KEYS = ("resolution", "image_size", "imageSize", "img_size", "size")
"""Of width and height in one."""
_ORB = ("Camera.fx", "Camera.fy", "Camera.cx", "Camera.cy")
_NAMED = (("fx", "fl_x"), ("fy", "fl_y"), ("cx", "ppx"), ("cy", "ppy"))
_SECOND = ("M2", "K2", "cameraMatrix2", "Camera2.fx")
"""Of the other camera of a pair, as OpenCV's stereo calibration and ORB-SLAM write them."""
CUT_SHARE = 0.5
"""How far outside of an image that was cut out the principal point may lie, as a share of its longer side."""
_LARGEST_PX = 1 << 20
_XML_BYTES = 1 << 20


@dataclass(frozen=True)
class GivenCamera:
    """A camera as a file gives it; without a size it is for whatever image it is used with."""

    K: Any
    distortion: Any = ()
    distortion_model: str = "plumb_bob"
    width: int | None = None
    height: int | None = None

    def for_image(self, width: int, height: int, stored_size: tuple[int, int] | None = None) -> Camera:
        """The camera for an image [px]; one of another size and the same shape is scaled.

        Args:
            width, height: of the image.
            stored_size: its size before its pixels were made square; a calibration of that size is stretched alike.

        Raises:
            InvalidInput: no camera, or the shapes of image and camera differ.
        """
        own_size = (self.width or width, self.height or height)
        # a file that gives no size speaks of the image itself, which may have been cut out of a larger one
        beyond = CUT_SHARE if self.width is None else 0.0
        camera = checked_camera(self.K, *own_size, self.distortion, self.distortion_model, beyond)
        if own_size == stored_size != (width, height):
            return _stretched(camera, width, height)
        return camera if own_size == (width, height) else scale_camera(camera, width, height)


def read_calibration(path: Path) -> Any:
    """The content of a calibration file, of whatever kind, as mappings, lists and numbers.

    Raises:
        SourceError: it cannot be read.
    """
    if path.suffix.lower() == ".xml":
        return _read_xml(path)
    return read_document(path)


def is_calibration(content: Any) -> bool:
    """Whether a file's content is one camera (and no table of several)."""
    return isinstance(content, dict) and (
        any(key in content for key in (*_MATRIX_KEYS, _ORB[0], "Camera1.fx"))
        or "intrinsics" in content
        or "projection_parameters" in content
        or _has_names(content)
    )


def only_kalibr(content: Any) -> Any:
    """The one camera of a Kalibr camchain (cam0), or the content as it is.

    Raises:
        InvalidInput: it has several.
    """
    if not isinstance(content, dict) or not content:
        return content
    cameras = [key for key, entry in content.items() if re.fullmatch(r"cam\d+", str(key)) and is_calibration(entry)]
    if len(cameras) != len(content):
        return content
    if len(cameras) > 1:
        raise InvalidInput(f"it has several cameras ({', '.join(map(str, cameras))}): keep the one that is meant")
    return content[cameras[0]]


def given_camera(entry: Any) -> GivenCamera:
    """The camera of an entry, judged as far as it can be without an image.

    Raises:
        InvalidInput: it is none; the text says why.
    """
    try:
        given = _from_mapping(entry) if isinstance(entry, dict) else GivenCamera(_numbers(entry))
    except (TypeError, ValueError, LookupError, OverflowError, AttributeError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"no camera: expected a 3 x 3 K, or one of: {FORMATS}") from error
    check_intrinsics(given.K)
    check_coefficients(given.distortion_model, given.distortion)
    check_model(given.distortion_model)
    if given.width is not None and given.height is not None:
        given.for_image(given.width, given.height)
    return given


def _has_names(entry: Mapping[str, Any]) -> bool:
    return all(any(isinstance(entry.get(key), int | float | str) for key in keys) for keys in _NAMED)


def _from_mapping(entry: Mapping[str, Any]) -> GivenCamera:
    if other := next((key for key in _SECOND if key in entry), None):
        raise InvalidInput(f"it has two cameras ({other} is of the second): give a file of the one that is meant")
    if entry.get("xi"):
        raise InvalidInput("a camera of the omnidirectional model (xi) is not read: calibrate as pinhole or fisheye")
    if "intrinsics" in entry and not any(key in entry for key in _MATRIX_KEYS):
        return _kalibr(entry)
    if "projection_parameters" in entry:
        return _vins(entry)
    if _ORB[0] in entry or "Camera1.fx" in entry:
        return _orb_slam({str(key).replace("Camera1.", "Camera."): value for key, value in entry.items()})
    if "k" in entry and "binning_x" in entry and "roi" in entry:
        return _camera_info(entry)
    key = next((key for key in _MATRIX_KEYS if key in entry), None)
    if key is None and _has_names(entry):
        return _named_numbers(entry)
    lacking = [keys[0] for keys in _NAMED if not any(name in entry for name in keys)]
    if key is None and 0 < len(lacking) < len(_NAMED):
        raise InvalidInput(f"no camera: {', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing")
    if key is None:
        raise InvalidInput(f"no camera: expected a 3 x 3 K, or one of: {FORMATS}")
    model = (
        "equidistant" if entry.get("fisheye_model") in (1, True) else str(entry.get("distortion_model") or "plumb_bob")
    )
    return GivenCamera(_numbers(entry[key]), _coefficients(entry, model), model, *_size(entry))


def _coefficients(entry: Mapping[str, Any], model: str) -> Any:
    """Those of an entry, in a list or one by one; none that are there are left out without a word."""
    listed = next((entry[name] for name in (*_COEFFICIENT_KEYS, "coeffs") if entry.get(name) is not None), None)
    if listed is not None:
        return _listed(listed)
    names = ("k1", "k2", "k3", "k4") if model == "equidistant" else ("k1", "k2", "p1", "p2", "k3")
    if any(name in entry for name in names):
        return [float(entry.get(name, 0.0)) for name in names]
    for key, value in entry.items():
        short = key == "k" and "K" in entry
        named = re.match(r"(?!.*(?:model|type)$)(dist(?!an)|radial|tangential)", str(key), re.IGNORECASE)
        if (short or named) and value:
            raise InvalidInput(
                f"'{str(key)[:40]}' is not read: call the coefficients 'distortion' (k1, k2, p1, p2, k3)"
            )
    return ()


def _listed(value: Any) -> Any:
    """A list of coefficients; the only text among them that is read is that of camera_calibration of ROS Kinetic, which
    left out the commas."""
    data = value.get("data") if isinstance(value, Mapping) else value
    try:
        if isinstance(data, list) and len(data) == 1 and isinstance(data[0], str):
            return np.array([float(number) for number in data[0].split()])
        return _numbers(value)
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise InvalidInput(
            f"the coefficients {str(data)[:60]} are not as many numbers as rows x cols says: decimal commas, or text?"
        ) from error


def _kalibr(entry: Mapping[str, Any]) -> GivenCamera:
    if str(entry.get("camera_model", "pinhole")) != "pinhole":
        raise InvalidInput(f"camera model '{entry['camera_model']}' of Kalibr is not read: calibrate as pinhole")
    numbers = _numbers(entry["intrinsics"])
    if numbers.shape != (4,):
        raise InvalidInput("intrinsics of Kalibr are fu, fv, pu, pv: expected 4 numbers")
    fx, fy, cx, cy = numbers
    width, height = (_pixels(value) for value in entry.get("resolution", (None, None)))
    model = str(entry.get("distortion_model", "none"))
    return GivenCamera(
        np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
        _coefficients(entry, model),
        model,
        width,
        height,
    )


def _vins(entry: Mapping[str, Any]) -> GivenCamera:
    """The files of VINS-Fusion and camodocal: a pinhole or a Kannala-Brandt fisheye; their other models are refused."""
    model, projection = str(entry.get("model_type", "PINHOLE")), dict(entry["projection_parameters"])
    if model == "PINHOLE":
        flat = {**_sized(entry), **projection, **dict(entry.get("distortion_parameters") or {})}
        if _has_names(flat):
            return _named_numbers(flat)
        raise InvalidInput("projection_parameters of VINS are fx, fy, cx, cy: no camera without them")
    if model == "KANNALA_BRANDT":
        fx, fy, cx, cy = (float(projection[name]) for name in ("mu", "mv", "u0", "v0"))
        coefficients = [float(projection.get(name, 0.0)) for name in ("k2", "k3", "k4", "k5")]
        return GivenCamera(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), coefficients, "equidistant", *_size(entry))
    raise InvalidInput(f"camera model '{model[:40]}' is not read: calibrate as pinhole or fisheye")


def _sized(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in (*_WIDTH_KEYS, *_HEIGHT_KEYS) if key in entry}


def _orb_slam(entry: Mapping[str, Any]) -> GivenCamera:
    fx, fy, cx, cy = (float(entry[key]) for key in _ORB)
    names = ("k1", "k2", "k3", "k4") if "fisheye" in str(entry.get("Camera.type", "")).lower() else ()
    fisheye = bool(names) or "KannalaBrandt" in str(entry.get("Camera.type", ""))
    order = ("k1", "k2", "k3", "k4") if fisheye else ("k1", "k2", "p1", "p2", "k3")
    distortion = [float(entry.get(f"Camera.{name}", 0.0)) for name in order]
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    return GivenCamera(K, distortion, "equidistant" if fisheye else "plumb_bob", *_size(entry))


def _named_numbers(entry: Mapping[str, Any]) -> GivenCamera:
    """fx, fy, cx, cy by name, as RealSense's tools, COLMAP's and nerfstudio's files and many programs have them."""
    fx, fy, cx, cy = (float(next(entry[key] for key in keys if key in entry)) for keys in _NAMED)
    said = str(entry.get("distortion_model") or entry.get("model") or entry.get("camera_model") or "plumb_bob")
    model = said.strip().lower().replace(" ", "_")
    model = {"opencv": "plumb_bob", "pinhole": "none", "opencv_fisheye": "equidistant"}.get(model, model)
    coefficients = _coefficients(entry, model)
    if not np.any(coefficients):
        coefficients, model = [], "plumb_bob"
    return GivenCamera(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), coefficients, model, *_size(entry))


def _camera_info(entry: Mapping[str, Any]) -> GivenCamera:
    """A message as `ros2 topic echo` prints it, with its region of interest and binning."""
    roi = SimpleNamespace(**{key: int(entry["roi"][key]) for key in ("x_offset", "y_offset", "width", "height")})
    width, height = _size(entry)
    numbers = {key: _numbers(entry.get(key, ())) for key in "kdp"}
    given = GivenCamera(numbers["k"], numbers["d"], str(entry.get("distortion_model") or ""), width, height)
    binning = {key: int(entry[key]) for key in ("binning_x", "binning_y")}
    if not width or not height or (max(binning.values()) <= 1 and not roi.width):
        return given
    message = SimpleNamespace(
        **numbers, **binning, roi=roi, width=width, height=height, distortion_model=given.distortion_model
    )
    camera = camera_from_info(message)
    if camera is None:
        return given
    return GivenCamera(camera.K, camera.distortion, camera.distortion_model, camera.width, camera.height)


def _size(entry: Mapping[str, Any]) -> tuple[int | None, int | None]:
    width, height = (
        _pixels(next((entry[key] for key in keys if entry.get(key) is not None), None))
        for keys in (_WIDTH_KEYS, _HEIGHT_KEYS)
    )
    if width or height:
        return width, height
    pair = next((entry[key] for key in _SIZE_KEYS if isinstance(entry.get(key), list | tuple)), None)
    if pair is None or len(pair) != 2:
        return None, None
    return _pixels(pair[0]), _pixels(pair[1])


def _pixels(value: Any) -> int | None:
    if value is None:
        return None
    number = float(value)
    if not 0 <= number <= _LARGEST_PX or number != int(number):
        raise InvalidInput(f"camera size {value!r} is not positive, or no size of an image")
    return int(number)


def _numbers(value: Any) -> Any:
    """An array of plain numbers; OpenCV's and camera_info_manager's matrices are unfolded."""
    if isinstance(value, Mapping):
        rows, cols, data = value.get("rows"), value.get("cols"), value["data"]
        array = _numbers(data)
        return array.reshape(int(rows), int(cols)) if rows and cols else array
    if isinstance(value, str):
        raise TypeError("text")
    array = np.asarray(value, np.float64)
    if array.dtype.kind != "f" or array.size > 1000:
        raise TypeError("no numbers")
    return array


def _read_xml(path: Path) -> dict[str, Any]:
    """OpenCV's FileStorage as XML; it has no entities, and what has some is refused."""
    text = read_text(path, limit=_XML_BYTES)
    if "<!" in text.replace("<!--", ""):
        raise SourceError(f"{path}: no XML of OpenCV: it declares entities")
    try:
        root = ElementTree.fromstring(text)
        found: dict[str, Any] = {}
        for node in root:
            if node.get("type_id") == "opencv-matrix":
                parts = {str(child.tag): (child.text or "").split() for child in node}
                found[node.tag] = {
                    "rows": int(parts["rows"][0]),
                    "cols": int(parts["cols"][0]),
                    "data": [float(number) for number in parts["data"]],
                }
            elif not len(node):
                found[node.tag] = (node.text or "").strip().strip('"')
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise SourceError(f"{path}: no XML of OpenCV ({one_line(error, 120)})") from error
    return found


def _stretched(camera: Camera, width: int, height: int) -> Camera:
    """The camera of an image whose pixels were made square."""
    x, y = width / camera.width, height / camera.height
    affine = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])
    K = crop_intrinsics(camera.K, affine)
    return Camera(K, width, height, camera.distortion, camera.distortion_model, camera.estimated)
