"""A rigid object: its size, its symmetry, how far away it is, what it looks like."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from prehend.object_catalogue import Symmetry
from prehend_training.objects.shapes.mesh import Mesh, Surface, assemble, stretched
from prehend_training.objects.shapes.parts import Part
from prehend_training.objects.shapes.parts_round import Revolve

Array = NDArray[np.floating]

_FIRST_FEW = 64


@dataclass(frozen=True, eq=False)
class Form:
    """Parts with the mesh they make, shared by all stretched copies of a solid."""

    parts: tuple[Part, ...]

    @cached_property
    def _assembled(self) -> tuple[Mesh, tuple[Surface, ...]]:
        return assemble([patch for part in self.parts for patch in part.placed()])

    @property
    def mesh(self) -> Mesh:
        """The surface, not stretched."""
        return self._assembled[0]

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """What `Mesh.part` counts."""
        return self._assembled[1]


@dataclass(frozen=True)
class Paint:
    """What a part is made of.

    Attributes:
        material: one of `look.MATERIALS`.
        tints: linear albedos (3,) to choose from; none for any colour the material has.
    """

    material: str
    tints: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Range:
    """How a solid may be stretched and still be believed: limits of factors.

    Attributes:
        size: of all axes together.
        wide: of x and y together, on top of it.
        tall: of z, on top of it.
        free: of each axis on its own, on top of it (boxes).
    """

    size: tuple[float, float] = (1.0, 1.0)
    wide: tuple[float, float] = (1.0, 1.0)
    tall: tuple[float, float] = (1.0, 1.0)
    free: tuple[float, float] = (1.0, 1.0)

    def sample(self, rng: np.random.Generator) -> Array:
        """(3,) random stretch, even in the logarithm."""
        size, wide, tall, *free = (
            np.exp(rng.uniform(np.log(low), np.log(high)))
            for low, high in (self.size, self.wide, self.tall, *3 * [self.free])
        )
        return size * np.array([wide, wide, tall]) * np.array(free)


@dataclass(frozen=True)
class Solid:
    """A rigid object of the catalogue, of a family or imported, possibly stretched.

    Attributes:
        object_id, name, category: as in the catalogue.
        extents_m, center_m: (3,) axis-aligned box in the object frame.
        symmetry: turns about the centre of that box that change nothing.
        form: its parts and their mesh.
        scale: (3,) stretch of the form.
        paints: by the name that parts give.
        stretch: believable sizes.
        mass_kg: at the size of the catalogue.
        grasps: kinds of grasp that suit it, the usual one first.
    """

    object_id: str
    name: str
    category: str
    extents_m: Array
    center_m: Array
    symmetry: Symmetry
    form: Form
    scale: Array
    paints: Mapping[str, Paint] = field(default_factory=lambda: {"body": Paint("plastic")})
    stretch: Range = Range()
    mass_kg: float = 0.2
    grasps: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        """The pieces, not stretched."""
        return self.form.parts

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """What `Mesh.part` counts."""
        return self.form.surfaces

    @property
    def is_round(self) -> bool:
        """Whether the first part, the body, is turned about z."""
        body = self.parts[0]
        return isinstance(body, Revolve) and np.allclose(body.R[2], [0, 0, 1]) and bool(np.allclose(body.t_m[:2], 0))

    def stretched(self, scale: Array) -> "Solid":
        """The solid with each axis stretched by (3,) `scale` (one number for all)."""
        scale = np.broadcast_to(np.asarray(scale, np.float64), (3,))
        return replace(self, extents_m=self.extents_m * scale, center_m=self.center_m * scale, scale=self.scale * scale)

    def distance(self, points_m: Array, *, filled: bool = False) -> Array:
        """Signed distance (...) [m] of points (..., 3) in the object frame, negative inside.

        Outside it is exact for the kinds of parts whose `measure` says so; inside of several parts it is that of the
        deepest, so never too large in size. Stretched solids are measured at their stretched size (see
        `Part.distance`).

        Args:
            points_m: in the object frame.
            filled: hollows (of mugs, bowls, racks) count as inside. Else their walls are real: a few millimetres thick,
                with a thumb's room inside.
        """
        points_m = np.asarray(points_m)
        return np.minimum.reduce([part.distance(points_m, self.scale, filled) for part in self.parts])

    def nearest(self, points_m: Array, *, filled: bool = False) -> float:
        """The smallest of the distances [m] of points (N, 3), inf of none; only those that can have it are measured.

        Args:
            points_m, filled: as for `distance`.
        """
        apart = np.maximum(np.abs(points_m - self.center_m) - self.extents_m / 2, 0)
        to_box = np.sqrt((apart * apart).sum(-1))  # nothing is nearer than the box around it
        order = to_box.argsort()
        nearest, first = np.inf, 0
        while first < len(order) and to_box[order[first]] <= max(nearest, 0.0):
            rows = order[first : max(2 * first, _FIRST_FEW)]
            nearest = min(nearest, float(self.distance(points_m[rows], filled=filled).min()))
            first += len(rows)
        return nearest

    def mesh(self) -> Mesh:
        """The surface, stretched; made once."""
        return self._mesh

    @cached_property
    def _mesh(self) -> Mesh:
        return stretched(self.form.mesh, self.scale)
