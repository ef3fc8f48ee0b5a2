"""A piece of a solid: where it sits, how far points are from it, what it looks like."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend_training.objects.shapes.mesh import Patch, Surface, tidy

Array = NDArray[np.floating]

_STEP_M = 1e-4
_CORNERS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float64)


@dataclass(frozen=True, eq=False)
class Part(ABC):
    """A shape in a frame of its own, set into the frame of the object.

    A point u of the part's frame lies at `R (own_scale * u) + t_m` in the object's.

    Attributes:
        R, t_m: (3, 3) and (3,) [m].
        own_scale: (3,) stretch of the shape before it is placed (flattened bottles and handles).
        paint, label: as in `Surface`.
    """

    R: Array
    t_m: Array
    own_scale: Array
    paint: str
    label: str | None

    kind: ClassVar[str]

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> "Part":
        """From the mapping of a file: `at_m`, `turn_deg` (about x, then y, then z), `scale`, `paint`, `label`."""
        turns = np.deg2rad(np.asarray(entry.get("turn_deg", (0, 0, 0)), np.float64))
        R = np.eye(3)
        for axis, angle in enumerate(turns):
            R = cv2.Rodrigues(np.eye(3)[axis] * angle)[0] @ R
        return cls(
            R,
            np.asarray(entry.get("at_m", (0, 0, 0)), np.float64),
            np.asarray(entry.get("scale", (1, 1, 1)), np.float64),
            str(entry.get("paint", "body")),
            entry.get("label"),
            **cls._shape_of(entry),
        )

    @classmethod
    @abstractmethod
    def _shape_of(cls, entry: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the shape itself."""

    @abstractmethod
    def measure(self, points_m: Array, scale: Array, filled: bool) -> Array:
        """Signed distance (...) of points (..., 3) in the part's frame, its shape stretched by a `scale` it suits."""

    @abstractmethod
    def patches(self) -> list[Patch]:
        """The surface in the part's frame, not stretched."""

    def suits(self, scale: Array) -> bool:
        """Whether `measure` is exact for a stretch (3,); all shapes suit equal ones."""
        return bool(np.ptp(scale) < 1e-9)

    def distance(self, points_m: Array, scale: Array, filled: bool) -> Array:
        """Signed distance (...) of points (..., 3) in the frame of an object stretched by (3,) `scale`.

        Exact where the stretch is the same along all axes or the shape knows it. Else the distance of the shape that
        is not stretched is divided by the length of its gradient: right at the surface and near it.
        """
        local = points_m - scale * self.t_m
        if np.ptp(scale) < 1e-9 or np.allclose(np.abs(self.R).max(0), 1):
            own = (np.abs(self.R).T @ scale if np.ptp(scale) >= 1e-9 else scale) * self.own_scale
            if self.suits(own):
                return self.measure(local @ self.R, own, filled)
        inverse = np.linalg.inv(scale[:, None] * self.R * self.own_scale)
        unit = local @ inverse.T
        value = self.measure(unit, np.ones(3), filled)
        near = np.stack([self.measure(unit + _STEP_M * corner, np.ones(3), filled) for corner in _CORNERS], -1)
        gradient = near @ _CORNERS
        length = np.linalg.norm(gradient, axis=-1, keepdims=True)
        gradient = gradient / np.maximum(length, 1e-12)
        steepness = np.linalg.norm(gradient @ inverse, axis=-1)
        flat = np.linalg.norm(inverse, 2)  # where there is no gradient: never too far
        return value / np.where(length[..., 0] < 1e-7, flat, np.maximum(steepness, 1e-12))

    def placed(self) -> list[Patch]:
        """The surface in the object's frame."""
        placed = []
        for patch in self.patches():
            normals = (patch.normals / self.own_scale) @ self.R.T
            normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
            vertices = (patch.vertices * self.own_scale) @ self.R.T + self.t_m
            placed.append(tidy(patch._replace(vertices=vertices, normals=normals)))
        return placed

    def surface(self, size_m: tuple[float, float]) -> Surface:
        """The surface of parts that have one only."""
        return Surface(self.paint, self.label, (round(float(size_m[0]), 4), round(float(size_m[1]), 4)))
