"""A part that is no formula but triangles, as `importer` writes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_finite, check_shape
from prehend.documents import read_arrays
from prehend.errors import AssetError, InvalidInput, one_line
from prehend.files import replace_arrays
from prehend_training.objects.shapes.mesh import Faces, Patch, Surface
from prehend_training.objects.shapes.parts import Part
from prehend_training.objects.shapes.triangles import ConnectedSurface, Fill, shaded

Array = NDArray[np.floating]

_WAY_OUT = "import the mesh again with `prehend-train objects import`"


def _body_of(arrays: Mapping[str, NDArray[Any]], k: int) -> ConnectedSurface:
    """Body number k in the arrays of a file; `InvalidInput` or `KeyError` where they are none."""
    vertices, faces = arrays[f"vertices_m{k}"].astype(np.float64), arrays[f"faces{k}"].astype(np.int32)
    check_shape("vertices_m", vertices, ["V", 3])
    check_finite("vertices_m", vertices)
    check_shape("faces", faces, ["F", 3])
    if not len(faces) or faces.min() < 0 or faces.max() >= len(vertices):
        raise InvalidInput(f"faces point outside of {len(vertices)} vertices")
    if f"inside{k}" not in arrays:
        return ConnectedSurface(vertices, faces)
    bits, (x, y, z) = arrays[f"inside{k}"], (int(size) for size in arrays[f"shape{k}"])
    if min(x, y, z) < 1 or x * y * z > 8 * len(bits):
        raise InvalidInput(f"{x} x {y} x {z} cells in {len(bits)} bytes")
    low, step = arrays[f"low_m{k}"], arrays[f"step_m{k}"]
    for name, vector in (("low_m", low), ("step_m", step)):
        check_shape(name, vector, [3])
        check_finite(name, vector)
    if not (step > 0).all():
        raise InvalidInput("cells of no size")
    return ConnectedSurface(
        vertices, faces, Fill(np.unpackbits(bits, count=x * y * z).reshape(x, y, z).astype(bool), low, step)
    )


@dataclass(frozen=True, eq=False)
class Scanned(Part):
    """Bodies of triangles; hollows are never filled, since nobody knows which are meant.

    Attributes:
        bodies: each measured on its own; together they are the object.
        tones: one (F,) int array for each body: which of the paints tone0, tone1, ... a face has.
    """

    bodies: tuple[ConnectedSurface, ...]
    tones: tuple[NDArray[np.int64], ...]
    kind: ClassVar[str] = "scanned"

    @classmethod
    def _shape_of(cls, entry: Mapping[str, Any]) -> dict[str, Any]:
        path = Path(entry["folder"]) / str(entry["mesh"])
        arrays = read_arrays(path, lambda text: AssetError(f"mesh {text}: {_WAY_OUT}"))
        try:
            bodies = tuple(_body_of(arrays, k) for k in range(int(arrays["count"])))
            tones = tuple(arrays[f"tones{k}"].astype(np.int64) for k in range(len(bodies)))
            for body, tone in zip(bodies, tones, strict=True):
                check_shape("tones", tone, [len(body.faces)])
            if not bodies:
                raise InvalidInput("it holds no body")
        except (LookupError, ValueError, TypeError) as error:
            raise AssetError(f"mesh {path} is damaged ({one_line(error)}): {_WAY_OUT}") from error
        return {"bodies": bodies, "tones": tones}

    def write(self, path: Path) -> None:
        """Write the triangles beside a description; vertices are kept to 32 bits.

        Raises:
            OutputError: the file cannot be written.
        """
        arrays: dict[str, Any] = {"count": np.array(len(self.bodies))}
        for k, (body, tones) in enumerate(zip(self.bodies, self.tones, strict=True)):
            small = np.uint16 if len(body.vertices_m) < 65536 else np.int32
            arrays[f"vertices_m{k}"] = body.vertices_m.astype(np.float32)
            arrays[f"faces{k}"], arrays[f"tones{k}"] = body.faces.astype(small), tones.astype(np.uint8)
            if body.fill is not None:
                arrays[f"inside{k}"] = np.packbits(body.fill.inside)
                arrays[f"shape{k}"] = np.array(body.fill.inside.shape)
                arrays[f"low_m{k}"], arrays[f"step_m{k}"] = body.fill.low_m, body.fill.step_m
        replace_arrays(path, arrays)

    def measure(self, points_m: Array, scale: Array, filled: bool) -> Array:
        """Exact for closed bodies, see `ConnectedSurface.distance`."""
        k = float(scale[0])
        flat = np.asarray(points_m, np.float64).reshape(-1, 3) / k
        nearest = np.minimum.reduce([body.distance(flat) for body in self.bodies])
        return k * nearest.reshape(points_m.shape[:-1])

    def patches(self) -> list[Patch]:
        """The faces of each body and tone; texture coordinates lie flat over x + y and z."""
        patches = []
        for body, tones in zip(self.bodies, self.tones, strict=True):
            vertices, normals, faces = shaded(body.vertices_m, body.faces)
            uv = np.stack([vertices[:, 0] + vertices[:, 1], -vertices[:, 2]], 1)
            uv = (uv - uv.min(0)) / np.maximum(np.ptp(uv, axis=0), 1e-9)
            patches += [
                self._patch(int(tone), vertices, normals, uv, faces[tones == tone]) for tone in np.unique(tones)
            ]
        return patches

    @staticmethod
    def _patch(tone: int, vertices: Array, normals: Array, uv: Array, faces: Faces) -> Patch:
        used, number = np.unique(faces, return_inverse=True)
        surface = Surface(f"tone{tone}", None, (0.1, 0.1))
        return Patch(vertices[used], normals[used], uv[used], number.reshape(-1, 3).astype(np.int32), surface)
