"""What `prehend hand` reads and writes."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from prehend.conventions import FINGERS, JOINT_NAMES, NUM_JOINTS, SIDES, Side
from prehend.documents import read_json
from prehend.errors import InvalidInput, OutputError, ParameterError, SourceError
from prehend.files import reason, replace_file, replace_text
from prehend.geometry.camera import project
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.meshes.joints import joints_of_mesh
from prehend.hand_model.model import HandModel
from prehend.io.pixels.images import Image, read_image
from prehend.pipeline.crops.crop import CropSpec, cut, region_of
from prehend.prior.conditions import Conditions
from prehend.prior.estimates import known_of_estimate
from prehend.types import Camera, FloatArray, Region

if TYPE_CHECKING:
    from prehend.prior.sampler import Hypotheses, Sampling

SCHEMA = "prehend.hypotheses/1"
_FAR_PX, _FAR_M = 40.0, 0.015
"""A hand that is this far off what is known of it is another."""
_TILE_PX, _COLUMNS, _FRAMES, _FPS = 240, 4, 48, 24.0
_KEYS = {"side", "joints_m", "joints_std_m", "keypoints_px", "keypoints_std_px", "camera", "schema"}


class HandInImage(NamedTuple):
    """A hand of an image: what is known of it, the image, and the region of its joints in it."""

    known: Conditions
    image: Image
    region: Region

    def crop(self, size: int) -> FloatArray:
        """(3, size, size) RGB in [0, 1] as crop networks see the hand."""
        height, width = self.image.shape[:2]
        spec = CropSpec.from_region(self.region, self.known.side, (width, height), size=size)
        return np.asarray(cut(self.image, spec).image, np.float64)


def read_known(path: Path) -> Conditions:
    """What a JSON file knows of a hand's joints.

    Raises:
        SourceError: it cannot be read, or is of another form.
        InvalidInput: see `Conditions`.
    """
    content = read_json(path, SourceError)
    if not isinstance(content, Mapping):
        raise SourceError(f"{path} holds no object with joints_m or keypoints_px")
    if unknown := sorted(set(map(str, content)) - _KEYS):
        raise SourceError(f"{path}: '{unknown[0]}' is not known here: choose of {', '.join(sorted(_KEYS))}")
    if content.get("side", "right") not in SIDES:
        raise SourceError(f"{path}: side {str(content['side'])[:40]!r} is neither left nor right")
    given: dict[str, Any] = {}
    for name, axes in (("joints_m", 3), ("keypoints_px", 2)):
        if content.get(name) is not None:
            given[name] = _points(path, name, content[name], axes)
    if not given:
        raise SourceError(f"{path} knows no joint: give joints_m or keypoints_px")
    for name in ("joints_std_m", "keypoints_std_px"):
        if name in content:
            given[name] = _numbers(path, name, content[name])
    camera = None if content.get("camera") is None else _camera(path, content["camera"])
    return Conditions(side=content.get("side", "right"), camera=camera, **given)


def read_own_mesh(path: Path, side: Side, model: HandModel) -> Conditions:
    """A whole mesh of the prior's own hand model, in its order of vertices.

    Raises:
        SourceError: it cannot be read.
        InvalidInput: it is of another model.
    """
    vertices = _read_obj(path)
    if len(vertices) != model.num_vertices:
        raise InvalidInput(
            f"{path} has {len(vertices)} vertices, the hand model {model.num_vertices}: for a mesh of another model "
            "take prehend hand fit --mesh --mesh-model"
        )
    return Conditions(side=side, vertices_m=vertices)


def read_foreign_mesh(path: Path, model_path: Path | None, side: Side) -> Conditions:
    """The joints of a mesh of another hand model.

    Raises:
        ParameterError: nobody said of which.
        SourceError, AssetError: mesh or model cannot be read.
        InvalidInput: they do not belong together.
    """
    if model_path is None:
        raise ParameterError("--mesh is of some hand model: say which with --mesh-model, e.g. your MANO_RIGHT.pkl")
    model = load_hand_model(model_path, side)
    vertices = _read_obj(path)
    if len(vertices) != model.num_vertices:
        raise InvalidInput(
            f"{path} has {len(vertices)} vertices, '{model.name}' {model.num_vertices}: not of that model"
        )
    return Conditions(side=side, joints_m=joints_of_mesh(model) @ vertices)


def cut_conditions(known: Conditions, fingers: tuple[str, ...], model: HandModel) -> Conditions:
    """The same without these fingers, from their first joints on."""
    if not fingers:
        return known
    changes: dict[str, Any] = {}
    joints = np.zeros(NUM_JOINTS, bool)
    for finger in fingers:
        first = 1 + 4 * FINGERS.index(finger)
        joints[first : first + 4] = True
    for name in ("joints_m", "keypoints_px"):
        value = getattr(known, name)
        changes[name] = None if value is None else np.where(joints[:, None], np.nan, value)
    if known.vertices_m is not None:
        bones = [_BONES[FINGERS.index(finger)] for finger in fingers]
        moved = model.weights[:, np.concatenate(bones)].sum(1) > 0.05
        changes["vertices_m"] = np.where(moved[:, None], np.nan, known.vertices_m)
    return replace(known, **changes)


_BONES = ((13, 14, 15), (1, 2, 3), (4, 5, 6), (10, 11, 12), (7, 8, 9))
"""MANO's joints of each of `FINGERS`."""


def look_at(path: Path, cameras: Path | None, number: int) -> HandInImage:
    """What the shipped crop network knows of a hand in an image: the joints that are seen, each as sure as it says.

    Raises:
        SourceError: the image or the cameras cannot be read.
        InvalidInput: there is no such hand in it.
    """
    from prehend.io.cameras.side_files import read_camera
    from prehend.pipeline.load import load_estimator

    image = read_image(path)
    height, width = image.shape[:2]
    camera = None if cameras is None else read_camera(cameras).for_image(width, height)
    with load_estimator() as estimator:
        result = estimator.estimate(image, camera)
    if not 1 <= number <= len(result.hands):
        raise InvalidInput(f"{path} shows {len(result.hands)} hands: there is no hand {number}")
    hand = sorted(result.hands, key=lambda hand: -hand.score)[number - 1]
    return HandInImage(known_of_estimate(hand, result.camera), image, region_of(hand.keypoints_px))


def write_hands(
    folder: Path, found: "Hypotheses", known: Conditions, weights: str, sampling: "Sampling", image: Image | None
) -> None:
    """Write hands.json, meshes, sheet.png and turntable.mp4; the best hand comes first.

    Raises:
        OutputError: something cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {reason(error)}") from error
    _clear(folder)
    order = found.order()
    for number, row in enumerate(order):
        replace_text(folder / _mesh_name(number), obj_text(found.vertices_m[row], found.faces))
    record = _record(found, known, weights, sampling, order)
    replace_text(folder / "hands.json", json.dumps(record, indent=1, allow_nan=False) + "\n")
    replace_file(folder / "sheet.png", _png(_sheet(found, known, order, image)))
    _write_turntable(folder / "turntable.mp4", found.vertices_m[order[0]], found, known)
    sys.stdout.write(f"{folder}: {len(order)} {found.side} hands{_said(found, order)}\n")


def _clear(folder: Path) -> None:
    """Take away what an earlier command wrote: stopped half way, this one would leave its list beside our meshes."""
    try:
        for name in ("hands.json", "sheet.png", "turntable.mp4"):
            (folder / name).unlink(missing_ok=True)
        for mesh in folder.glob("hand-[0-9][0-9][0-9].obj"):
            mesh.unlink()
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {reason(error)}") from error


def _said(found: "Hypotheses", order: np.ndarray) -> str:
    parts = []
    if np.isfinite(found.error_px).any():
        parts.append(f"{found.error_px[order[0]]:.2f} px")
    if np.isfinite(found.error_m).any():
        parts.append(f"{1000 * found.error_m[order[0]]:.2f} mm")
    far = found.error_px[order[0]] > _FAR_PX or found.error_m[order[0]] > _FAR_M
    hint = f": is it of the {found.side} side, and in the order of joint_order in hands.json?" if far else ""
    return f"; the best is {' and '.join(parts)} off what is known{hint}" if parts else ""


def _record(
    found: "Hypotheses", known: Conditions, weights: str, sampling: "Sampling", order: np.ndarray
) -> dict[str, Any]:
    hands = [
        {
            "mesh": _mesh_name(number),
            "joints_m": np.round(found.joints_m[row], 6).tolist(),
            "error_px": _or_none(found.error_px[row]),
            "error_m": _or_none(found.error_m[row]),
        }
        for number, row in enumerate(order)
    ]
    spread = found.joints_m.std(0) if len(order) > 1 else None
    return {
        "schema": SCHEMA,
        "weights": weights,
        "side": found.side,
        "frame": "given" if known.places else "hand",
        "seed": sampling.seed,
        "steps": sampling.steps,
        "joint_order": list(JOINT_NAMES),
        "joints_std_m": None if spread is None else np.round(spread, 6).tolist(),
        "hands": hands,
    }


def _or_none(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def _mesh_name(number: int) -> str:
    return f"hand-{number:03d}.obj"


def _view(found: "Hypotheses", known: Conditions) -> FloatArray:
    from prehend.draw.hand_sheet import view_of_hand

    return np.eye(3) if known.camera is not None else view_of_hand(found.side)


def _sheet(found: "Hypotheses", known: Conditions, order: np.ndarray, image: Image | None) -> Image:
    from prehend.draw.hand_sheet import grid, on_picture, tile

    shown = order[:16]
    if image is None or known.camera is None:
        view = _view(found, known)
        texts = [_label(found, row) for row in shown]
        tiles = [
            tile(found.vertices_m[row], found.faces, view, _TILE_PX, text)
            for row, text in zip(shown, texts, strict=True)
        ]
        return grid(tiles, _COLUMNS)
    window = _window(project(found.vertices_m[shown], known.camera).reshape(-1, 2), image)
    tiles = [_cut(image, window)]
    for row in shown[:15]:
        mesh = found.vertices_m[row]
        tiles.append(_cut(on_picture(image, mesh, project(mesh, known.camera), found.faces), window))
    return grid(tiles, _COLUMNS)


def _label(found: "Hypotheses", row: int) -> str:
    if np.isfinite(found.error_px[row]):
        return f"{found.error_px[row]:.2f} px"
    return f"{1000 * found.error_m[row]:.2f} mm" if np.isfinite(found.error_m[row]) else ""


def _window(pixels: FloatArray, image: Image) -> tuple[int, int, int]:
    """Left, top and side of a square around what is seen [px]."""
    inside = pixels[np.isfinite(pixels).all(1)]
    low, high = inside.min(0), inside.max(0)
    side = int(min(max((high - low).max() * 1.2, 16), max(image.shape[:2])))
    left, top = ((low + high) / 2 - side / 2).astype(int)
    return int(left), int(top), side


def _cut(image: Image, window: tuple[int, int, int]) -> Image:
    import cv2

    left, top, side = window
    scale = _TILE_PX / side
    affine = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    return np.asarray(cv2.warpAffine(image, affine, (_TILE_PX, _TILE_PX)), np.uint8)


def _write_turntable(path: Path, mesh: FloatArray, found: "Hypotheses", known: Conditions) -> None:
    from prehend.draw.hand_sheet import turntable
    from prehend.io.films.writing import VideoWriter

    video = VideoWriter(path, _FPS)
    for number, picture in enumerate(turntable(mesh, found.faces, _view(found, known), 2 * _TILE_PX, _FRAMES)):
        video.write(picture, number / _FPS)
    video.close()


def obj_text(vertices_m: FloatArray, faces: np.ndarray) -> str:
    """A mesh as a Wavefront OBJ in metres."""
    points = "\n".join(f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices_m.tolist())
    triangles = "\n".join(f"f {a} {b} {c}" for a, b, c in (faces + 1).tolist())
    return f"{points}\n{triangles}\n"


def _read_obj(path: Path) -> FloatArray:
    """(V, 3) vertices of a Wavefront OBJ, in their order, which readers of scenes do not keep."""
    from prehend.documents import read_text

    vertices = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split()
        if words[:1] != ["v"]:
            continue
        try:
            vertices.append([float(word) for word in words[1:4]])
        except ValueError as error:
            raise SourceError(f"{path}, line {number}: no vertex: {line[:60]}") from error
    if not vertices or any(len(vertex) != 3 for vertex in vertices):
        raise SourceError(f"{path} holds no vertices of a Wavefront OBJ")
    return np.array(vertices)


def _points(path: Path, name: str, value: Any, axes: int) -> FloatArray:
    if not isinstance(value, list) or len(value) != NUM_JOINTS:
        raise SourceError(f"{path}: {name} is no list of {NUM_JOINTS} joints, null for what is not known")
    rows = [[np.nan] * axes if row is None else row for row in value]
    try:
        points = np.array(rows, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise SourceError(f"{path}: {name} is no list of {NUM_JOINTS} x {axes} numbers") from error
    if points.shape != (NUM_JOINTS, axes):
        raise SourceError(f"{path}: {name} is no list of {NUM_JOINTS} x {axes} numbers")
    told = np.array([row is not None for row in value])
    if not np.isfinite(points[told]).all():
        raise SourceError(f"{path}: {name} holds NaN or infinite numbers; null stands for what is not known")
    return points


def _numbers(path: Path, name: str, value: Any) -> FloatArray:
    try:
        return np.array(value, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise SourceError(f"{path}: {name} is no number, and no {NUM_JOINTS} of them") from error


def _camera(path: Path, entry: Any) -> Camera:
    from prehend.io.cameras.calibration_files import given_camera

    try:
        given = given_camera(entry)
    except (InvalidInput, SourceError) as error:
        raise SourceError(f"{path}: camera: {error}") from error
    if given.width is None or given.height is None:
        raise SourceError(f"{path}: the camera has no width and height")
    return given.for_image(given.width, given.height)


def _png(picture: Image) -> bytes:
    import cv2

    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
