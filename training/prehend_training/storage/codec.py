"""A sample as a handful of small files, and back: what the shards hold (`prehend.shards/2`).

    image.jpg | .png | .webp      the image
    labels.json                   every label but the vertices; arrays are nested lists
    vertices.npy                  (V, 3) float32 of all hands, one after the other
    segmentation.png              as `Sample.segmentation`
    deoccluded.jpg | ...          the twin; left out where it is the image itself
    amodal.png                    one bit a pixel: the hands' masks, then the objects', one under the other
    depth.png                     16 bit, steps of `DEPTH_STEP_M`, 0 for background
    sensor_depth.png              16 bit, mm
    normals.png                   the signed bytes plus 128
    albedo.png                    as `Maps.albedo`

Labels are JSON so that any tool reads them, and because reading it is four times as fast as an .npz of forty arrays.
Every float comes back as the float32 it was (the shortest digits that name it are written); the camera's numbers, which
are float64, come back bit by bit. Vertices, most of the bytes, are binary. What only images lose: `jpg` and `webp`
change colours (`png` does not), and depth is rounded.
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.errors import AssetError, InvalidInput, one_line
from prehend.io.pixels.headers import read_header
from prehend.io.pixels.images import MAX_PIXELS
from prehend.types import Camera
from prehend_training.sample import FrameId, HandLabel, Maps, ObjectLabel, Sample

MapsKept = Literal["all", "twin", "none"]
ImageFormat = Literal["jpg", "png", "webp"]

DEPTH_STEP_M = 1e-4
"""Unit of `depth.png` [m]: a tenth of a millimetre, up to 6.55 m; farther is stored as that."""

_NORMAL_ZERO = 128
_BILEVEL = [cv2.IMWRITE_PNG_BILEVEL, 1]
_UNREADABLE = (
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    EOFError,
    OSError,
    OverflowError,
    MemoryError,
    RecursionError,
    cv2.error,
)
"""What damaged files of a sample were seen to raise."""
_HEAD_BYTES = 4096
_DTYPES: dict[str, type] = {
    "visible": np.bool_,
    "contact": np.bool_,
    "part_vertices": np.int64,
    "part_visible": np.int64,
}
"""Arrays of labels that are not float32."""


@dataclass(frozen=True)
class Packing:
    """What of a sample is written, and how.

    Attributes:
        maps: all maps; the twin and the outlines of the hands alone, which training needs to pair it; or none.
        image: format of the image and its twin. PNG loses nothing and takes about four times the space.
        quality: of JPEG and WebP, 1 to 100; JPEG keeps the full resolution of colour.
    """

    maps: MapsKept = "twin"
    image: ImageFormat = "jpg"
    quality: int = 95

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise InvalidInput(f"quality {self.quality} is not between 1 and 100")


def pack(sample: Sample, packing: Packing) -> dict[str, bytes]:
    """The files of a sample by name."""
    files = {
        f"image.{packing.image}": encode_image(sample.image, packing),
        "labels.json": _labels(sample, packing),
    }
    if sample.hands:
        files["vertices.npy"] = _npy(np.concatenate([hand.vertices_m for hand in sample.hands]).astype(np.float32))
    if sample.segmentation is not None:
        files["segmentation.png"] = _png(sample.segmentation)
    if sample.maps is not None:
        files |= _pack_maps(sample, sample.maps, packing)
    return files


def unpack(files: Mapping[str, Any], maps: MapsKept = "all", meshes: bool = True) -> Sample:
    """The sample of its files.

    Args:
        files: bytes (or a view of them) by name, from `pack`.
        maps: which maps to decode, as far as they are there.
        meshes: read the hands' vertices; otherwise they have none.

    Raises:
        AssetError: a file is missing or cannot be decoded.
    """
    try:
        labels = json.loads(bytes(files["labels.json"]))
        image = _decoded_image(files, "image")
        if image is None:
            raise AssetError("a sample without its image")
        hands, objects = _hands(labels, files, meshes), tuple(_object(entry) for entry in labels["objects"])
        camera = labels["camera"]
        return Sample(
            image=image,
            segmentation=_read_png(files["segmentation.png"]) if "segmentation.png" in files else None,
            camera=Camera(**{**camera, "K": np.array(camera["K"]), "distortion": np.array(camera["distortion"])}),
            T_camera_world=np.array(labels["T_camera_world"]),
            hands=hands,
            objects=objects,
            maps=_unpack_maps(files, image, labels, maps),
            frame_id=FrameId(**labels["frame_id"]),
        )
    except _UNREADABLE as error:
        raise AssetError(f"a sample cannot be read ({one_line(error, 200)}): render it again") from error


def unpack_labels(files: Mapping[str, Any]) -> dict[str, Any]:
    """labels.json of a sample's files.

    Raises:
        AssetError: it is missing or no object.
    """
    try:
        return dict(json.loads(bytes(files["labels.json"])))
    except _UNREADABLE as error:
        raise AssetError(f"labels of a sample cannot be read ({one_line(error, 200)}): render it again") from error


def unpack_pixels(files: Mapping[str, Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Image and segmentation of a sample's files; see `unpack`.

    Raises:
        AssetError: one of them is missing or cannot be decoded.
    """
    image = _decoded_image(files, "image")
    if image is None or "segmentation.png" not in files:
        raise AssetError("a sample without its image or its segmentation: render it again")
    return image, _read_png(files["segmentation.png"])


def encode_image(image: NDArray[np.uint8], packing: Packing) -> bytes:
    """(H, W, 3) RGB as a file."""
    options = {
        "jpg": [
            cv2.IMWRITE_JPEG_QUALITY, packing.quality,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ],
        "png": [],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, packing.quality],
    }[packing.image]  # fmt: skip
    return cv2.imencode(f".{packing.image}", np.ascontiguousarray(image[..., ::-1]), options)[1].tobytes()


def _labels(sample: Sample, packing: Packing) -> bytes:
    camera = asdict(sample.camera)
    labels = {
        "frame_id": asdict(sample.frame_id),
        "camera": {name: _plain(value, np.float64) for name, value in camera.items()},
        "T_camera_world": _plain(sample.T_camera_world, np.float64),
        "hands": [_entry(hand) for hand in sample.hands],
        "objects": [_entry(thing) for thing in sample.objects],
        "maps": _kept(sample.maps, packing),
    }
    return json.dumps(labels, separators=(",", ":")).encode()


def _entry(label: HandLabel | ObjectLabel) -> dict[str, Any]:
    entry = {
        field.name: _plain(getattr(label, field.name), _DTYPES.get(field.name, np.float32))
        for field in fields(label)
        if field.name != "vertices_m"
    }
    if isinstance(label, HandLabel):
        entry["vertices"] = len(label.vertices_m)
        if label.side_known:
            del entry["side_known"]
    return entry


def _plain(value: Any, dtype: type) -> Any:
    """A value as JSON knows it; float32 by the shortest digits that give it back."""
    if isinstance(value, np.ndarray):
        array: NDArray[Any] = value.astype(dtype)
        return array.astype("U").astype(np.float64).tolist() if dtype is np.float32 else array.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and dtype is np.float32:
        return None if np.isnan(value) else float(str(np.float32(value)))
    return value


def _hands(labels: dict[str, Any], files: Mapping[str, Any], meshes: bool) -> tuple[HandLabel, ...]:
    if not labels["hands"]:
        return ()
    split = [np.zeros((0, 3), np.float32)] * len(labels["hands"])
    if meshes:
        vertices = _read_npy(bytes(files["vertices.npy"]))
        split = np.split(vertices, np.cumsum([entry["vertices"] for entry in labels["hands"]])[:-1])
    hands = []
    for entry, mesh in zip(labels["hands"], split, strict=True):
        values = _arrays({name: value for name, value in entry.items() if name != "vertices"})
        unknown = values["visible_ratio"] is None  # JSON has no NaN
        hands.append(HandLabel(**{**values, "visible_ratio": np.nan} if unknown else values, vertices_m=mesh))
    return tuple(hands)


def _object(entry: dict[str, Any]) -> ObjectLabel:
    return ObjectLabel(**_arrays(entry))


def _arrays(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        name: np.array(value, _DTYPES.get(name, np.float32)) if isinstance(value, list) else value
        for name, value in entry.items()
    }


def _kept(maps: Maps | None, packing: Packing) -> list[str]:
    """Names of the maps that are written."""
    if maps is None or packing.maps == "none":
        return []
    if packing.maps == "twin":
        return list(_PAIRED)
    return [field.name for field in fields(maps) if getattr(maps, field.name) is not None]


def _pack_maps(sample: Sample, maps: Maps, packing: Packing) -> dict[str, bytes]:
    kept = {name: getattr(maps, name) for name in _kept(maps, packing)}
    files = {}
    if "deoccluded" in kept and not np.array_equal(maps.deoccluded, sample.image):
        files[f"deoccluded.{packing.image}"] = encode_image(maps.deoccluded, packing)
    masks = [kept[name] for name in _MASKS if name in kept and len(kept[name])]
    if masks:
        flat = np.concatenate([mask.reshape(-1, mask.shape[2]) for mask in masks])
        files["amodal.png"] = cv2.imencode(".png", flat.astype(np.uint8) * np.uint8(255), _BILEVEL)[1].tobytes()
    for name, (file, to_pixels, _) in _PIXELS.items():
        if name in kept:
            files[file] = _png(to_pixels(kept[name]))
    return files


def _unpack_maps(
    files: Mapping[str, Any], image: NDArray[np.uint8], labels: dict[str, Any], wanted: MapsKept
) -> Maps | None:
    kept = [name for name in labels["maps"] if wanted == "all" or (wanted == "twin" and name in _PAIRED)]
    if not kept:
        return None
    twin = _decoded_image(files, "deoccluded")
    counts = {"hand_amodal": len(labels["hands"]), "object_amodal": len(labels["objects"])}
    masks = np.zeros((0, *image.shape[:2]), np.bool_)
    if "amodal.png" in files:
        masks = (_read_png(files["amodal.png"]) > 0).reshape(-1, *image.shape[:2])
    values: dict[str, Any] = {}
    for name in (name for name in _MASKS if name in kept):
        values[name], masks = masks[: counts[name]], masks[counts[name] :]
    for name, (file, _, from_pixels) in _PIXELS.items():
        if name in kept:
            values[name] = from_pixels(_read_png(files[file]))
    return Maps(deoccluded=image if twin is None else twin, **values)


def _depth_steps(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    steps = np.rint(depth_m / np.float32(DEPTH_STEP_M)).clip(0, np.iinfo(np.uint16).max)
    return np.maximum(steps, depth_m > 0).astype(np.uint16)  # what is there does not round to background


def _depth_m(steps: NDArray[Any]) -> NDArray[np.float32]:
    return steps.astype(np.float32) * np.float32(DEPTH_STEP_M)


def _normal_pixels(normals: NDArray[np.int8]) -> NDArray[np.uint8]:
    return (normals[..., ::-1].astype(np.int16) + _NORMAL_ZERO).astype(np.uint8)


def _normals(pixels: NDArray[Any]) -> NDArray[np.int8]:
    return (pixels[..., ::-1].astype(np.int16) - _NORMAL_ZERO).astype(np.int8)


def _same(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels


def _reversed(pixels: NDArray[Any]) -> NDArray[Any]:
    """RGB from BGR and back."""
    return np.ascontiguousarray(pixels[..., ::-1])


_PAIRED = ("deoccluded", "hand_amodal")
_MASKS = ("hand_amodal", "object_amodal")
_PIXELS: dict[str, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "depth_m": ("depth.png", _depth_steps, _depth_m),
    "sensor_depth_mm": ("sensor_depth.png", _same, _same),
    "normals": ("normals.png", _normal_pixels, _normals),
    "albedo": ("albedo.png", _reversed, _reversed),
}
"""Maps that are an image of their own: file, to its pixels and back."""


def _decoded_image(files: Mapping[str, Any], name: str) -> NDArray[np.uint8] | None:
    for ending in ("jpg", "png", "webp"):
        if f"{name}.{ending}" in files:
            bgr = _decoded(files[f"{name}.{ending}"], cv2.IMREAD_COLOR, f"{name}.{ending}")
            return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)  # ten times as fast as a reversed copy
    return None


def _png(image: NDArray[Any]) -> bytes:
    return cv2.imencode(".png", np.ascontiguousarray(image))[1].tobytes()


def _read_png(data: Any) -> NDArray[Any]:
    return _decoded(data, cv2.IMREAD_UNCHANGED, "a map")


def _decoded(data: Any, flags: int, name: str) -> NDArray[Any]:
    """An image whose header was looked at first: decoders believe the size that it names."""
    header = read_header(bytes(data[:_HEAD_BYTES]))
    if header is None or header.width * header.height > MAX_PIXELS:
        raise AssetError(f"{name} of a sample is no image, or larger than any")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise AssetError(f"{name} of a sample cannot be decoded ({error.err})") from error
    if image is None:
        raise AssetError(f"{name} of a sample cannot be decoded")
    return np.asarray(image)


def _read_npy(data: bytes) -> NDArray[Any]:
    """An array whose bytes are all there: its header is compared with them before anything is made."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"an array in format {version}")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject or int(np.prod(shape, dtype=object)) * dtype.itemsize > len(data):
        raise ValueError(f"an array of {shape} in {len(data)} bytes")
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))


def _npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()
