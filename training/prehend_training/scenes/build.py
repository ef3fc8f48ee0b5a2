"""From a scene to triangles in its world, in the order in which the rasteriser draws them."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prehend_training.scenes.body import CLOTH_PART, PARTS, dressed_hand, hand_face_count
from prehend_training.scenes.raster import VERTEX, Geometry, Span, Staged, join
from prehend_training.scenes.sample import HAND_CODE, OBJECT_CODE, OTHER_CODE
from prehend_training.scenes.scene import Hand, Scene, Table, Thing, true_points

Array = NDArray[np.floating]

_TABLE_CELLS = 28


def stage(scene: Scene) -> Staged:
    """Everything in a scene as triangles."""
    hands = [skin_geometry(hand, HAND_CODE + k) for k, hand in enumerate(scene.hands)]
    others = [skin_geometry(hand, OTHER_CODE) for hand in scene.strangers]
    others += [thing_geometry(thing, OTHER_CODE) for thing in scene.clutter]
    # without a table what is behind is too far away for shadows
    behind = [thing_geometry(thing, 0) for thing in scene.scenery]
    others, behind = (others, behind) if scene.table is None else ([*others, *behind], [])
    table = [] if scene.table is None else [table_geometry(scene.table)]
    objects = [thing_geometry(thing, OBJECT_CODE + k) for k, thing in enumerate(scene.objects)]
    parts = [*hands, *others, *behind, *table, *objects]
    if not parts:
        nothing = Geometry(np.zeros(0, VERTEX), np.zeros((0, 3), np.int32))
        return Staged(nothing, Span(0, 0), Span(0, 0), Span(0, 0), (), np.array([[0, 0, 1.0]]))
    firsts = np.cumsum([0, *(len(part.faces) for part in parts)]).tolist()
    rest, everything = firsts[len(parts) - len(objects)], firsts[-1]
    alone = [Span(first, hand_face_count()) for first in firsts[: len(hands)]]
    alone += [Span(first, len(part.faces)) for first, part in zip(firsts[-1 - len(objects) :], objects, strict=False)]
    return Staged(
        geometry=join(parts),
        casters=Span(0, firsts[len(hands) + len(others)]),
        rest=Span(0, rest),
        objects=Span(rest, everything - rest),
        alone=tuple(alone),
        focus_m=_focus(scene, parts),
    )


def _focus(scene: Scene, parts: list[Geometry]) -> Array:
    """(N, 3) places that shadows should show well: labelled hands without their arms, objects; else anything."""
    points = [true_points(hand, hand.model_m[::8]) for hand in scene.hands]
    points += [thing.solid.mesh().vertices[::8] @ thing.pose[:3, :3].T + thing.pose[:3, 3] for thing in scene.objects]
    return np.concatenate(points) if points else parts[0].vertices["position"][::8].astype(np.float64)


def skin_geometry(hand: Hand, entity: int) -> Geometry:
    """A hand with its arm and clothes as triangles in the true world."""
    part = dressed_hand(hand.vertices_m, hand.outfit, hand.arm, entity)
    for name in ("position", "normal"):
        part.vertices[name] = true_points(hand, part.vertices[name])
    return part


def thing_geometry(thing: Thing, entity: int) -> Geometry:
    """A thing as triangles in the world."""
    mesh = thing.solid.mesh()
    R, t = thing.pose[:3, :3], thing.pose[:3, 3]
    vertices = np.zeros(len(mesh.vertices), VERTEX)
    vertices["position"], vertices["normal"] = mesh.vertices @ R.T + t, mesh.normals @ R.T
    vertices["uvw"][:, :2], vertices["uvw"][:, 2] = mesh.uv * thing.tiling[mesh.part], thing.layers[mesh.part]
    vertices["colour"], vertices["material"][:, :2] = thing.colours[mesh.part], thing.gloss[mesh.part]
    vertices["code"] = entity * PARTS
    return Geometry(vertices, mesh.faces)


@lru_cache(maxsize=1)
def _grid() -> tuple[Array, NDArray[np.int32]]:
    """Points (N, 2) in -1..1, close together in the middle (lenses bend what lies between vertices), and faces."""
    steps = np.linspace(-1, 1, _TABLE_CELLS + 1)
    steps = np.sign(steps) * np.abs(steps) ** 2.2
    points = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    row = _TABLE_CELLS + 1
    corner = (np.arange(_TABLE_CELLS)[:, None] * row + np.arange(_TABLE_CELLS)).reshape(-1, 1)
    faces = np.concatenate([corner + np.array([0, 1, row + 1]), corner + np.array([0, row + 1, row])])
    return points, faces.astype(np.int32)


def table_geometry(table: Table) -> Geometry:
    """A table top as a grid in the world; it counts as background."""
    points, faces = _grid()
    R, t = table.pose[:3, :3], table.pose[:3, 3]
    vertices = np.zeros(len(points), VERTEX)
    vertices["position"] = (table.half_m * points) @ R[:, :2].T + t
    vertices["normal"] = R[:, 2]
    vertices["uvw"][:, :2], vertices["uvw"][:, 2] = table.half_m * points * table.tiling, table.layer
    vertices["colour"], vertices["material"] = table.colour, (0.3, 12.0, 0.0)
    vertices["code"] = CLOTH_PART  # entity 0
    return Geometry(vertices, faces)
