"""From a scene to triangles in its world, in the order in which the rasteriser draws them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend_training.sample import HAND_CODE, OBJECT_CODE, OTHER_CODE
from prehend_training.scenes.camera.lens import pixels
from prehend_training.scenes.geometry import VERTEX, Geometry, join
from prehend_training.scenes.layout.scene import Hand, Scene, SceneCamera, Table, Thing, true_points
from prehend_training.scenes.people.body import CLOTH_PART, PARTS, drawn_hand, dressed_hand, hand_face_count
from prehend_training.scenes.render.raster import Span, StagedScene

Array = NDArray[np.floating]

_TABLE_CELLS = 28
_SHADOWS_REACH_M = 0.3


class _Part(NamedTuple):
    """Some triangles, and how many of them, from the first on, have backs that are never seen."""

    geometry: Geometry
    closed: int


def stage(scene: Scene, views: Sequence[SceneCamera]) -> StagedScene:
    """Everything in a scene as triangles, but for objects without labels that no camera sees."""
    clutter, scenery = (
        [_thing_part(thing, code) for thing in things if _in_sight(thing, views)]
        for things, code in ((scene.clutter, OTHER_CODE), (scene.scenery, 0))
    )
    hands = [_hand_part(hand, HAND_CODE + k) for k, hand in enumerate(scene.hands)]
    strangers = [_hand_part(hand, OTHER_CODE) for hand in scene.strangers]
    table = [] if scene.table is None else [_Part(table_geometry(scene.table), 0)]
    objects = [thing_geometry(thing, OBJECT_CODE + k) for k, thing in enumerate(scene.objects)]
    parts = [*hands, *strangers, *clutter, *scenery, *table]
    focus = _focus(scene, parts)
    # what is behind casts shadows on a table alone, and only where a shadow map reaches
    near = [_is_near(part, focus) for part in scenery] if table else []
    casters = [*hands, *strangers, *clutter, *(part for part, is_near in zip(scenery, near, strict=False) if is_near)]
    far = [part for part, is_near in zip(scenery, near, strict=False) if not is_near] if table else scenery
    return _ordered([*casters, *far, *table], len(casters), len(hands), objects, focus)


def _ordered(parts: list[_Part], casters: int, hands: int, objects: list[Geometry], focus_m: Array) -> StagedScene:
    """Parts, of which the first cast shadows and are hands, in the order of `StagedScene`."""
    geometries = [*(part.geometry for part in parts), *objects]
    if not geometries:
        nothing = Geometry(np.zeros(0, VERTEX), np.zeros((0, 3), np.int32))
        return StagedScene(nothing, *5 * (Span(0, 0),), (), focus_m)
    whole = join(geometries)
    bounds = np.cumsum([0, *(len(geometry.faces) for geometry in geometries)]).tolist()
    closed = [slice(first, first + part.closed) for first, part in zip(bounds, parts, strict=False)]
    open_ = [slice(one.stop, last) for one, last in zip(closed, bounds[1:], strict=False)]
    objects_first = bounds[len(parts)]
    faces = np.concatenate(
        [*(whole.faces[k] for k in closed), *(whole.faces[k] for k in open_), whole.faces[objects_first:]]
    )
    closed_ends = np.cumsum([0, *(part.closed for part in parts)]).tolist()
    open_ends = np.cumsum([closed_ends[-1], *(k.stop - k.start for k in open_)]).tolist()
    alone = [Span(closed_ends[k], hand_face_count()) for k in range(hands)]
    alone += [Span(first, len(thing.faces)) for first, thing in zip(bounds[len(parts) :], objects, strict=False)]
    return StagedScene(
        geometry=replace(whole, faces=faces),
        closed=Span(0, closed_ends[-1]),
        open=Span(open_ends[0], open_ends[-1] - open_ends[0]),
        closed_casters=Span(0, closed_ends[casters]),
        open_casters=Span(open_ends[0], open_ends[casters] - open_ends[0]),
        objects=Span(objects_first, len(faces) - objects_first),
        alone=tuple(alone),
        focus_m=focus_m,
    )


def _is_near(part: _Part, focus_m: Array) -> bool:
    """Whether the box around a part is near the box around what shadows are drawn for."""
    places = part.geometry.vertices["position"]
    gap = np.maximum(places.min(0) - focus_m.max(0), focus_m.min(0) - places.max(0)).max()
    return bool(gap < _SHADOWS_REACH_M)


def _hand_part(hand: Hand, entity: int) -> _Part:
    return _Part(skin_geometry(hand, entity), len(drawn_hand().faces))


def _thing_part(thing: Thing, entity: int) -> _Part:
    geometry = thing_geometry(thing, entity)
    return _Part(geometry, len(geometry.faces))


def _in_sight(thing: Thing, views: Sequence[SceneCamera]) -> bool:
    """Whether a ball around an object may be in some image."""
    solid = thing.solid
    centre = thing.pose[:3, :3] @ solid.center_m + thing.pose[:3, 3]
    radius = 0.55 * float(np.linalg.norm(solid.extents_m))
    for view in views:
        place = view.T_camera_world[:3, :3] @ centre + view.T_camera_world[:3, 3]
        if place[2] < -radius:
            continue
        if place[2] < 1.5 * radius:
            return True
        x, y = pixels(place, view.camera)
        reach = 1.5 * radius * max(view.camera.K[0, 0], view.camera.K[1, 1]) / (place[2] - radius)
        if -reach < x < view.camera.width + reach and -reach < y < view.camera.height + reach:
            return True
    return False


def _focus(scene: Scene, parts: list[_Part]) -> Array:
    """(N, 3) places that shadows should show well: labelled hands without their arms, objects; else anything."""
    points = [true_points(hand, hand.model_m[::8]) for hand in scene.hands]
    points += [thing.solid.mesh().vertices[::8] @ thing.pose[:3, :3].T + thing.pose[:3, 3] for thing in scene.objects]
    points += [part.geometry.vertices["position"][::8].astype(np.float64) for part in parts[:1] if not points]
    return np.concatenate(points) if points else np.array([[0, 0, 1.0]])


def skin_geometry(hand: Hand, entity: int) -> Geometry:
    """A hand with its arm and clothes as triangles in the true world."""
    part = dressed_hand(hand.vertices_m, hand.outfit, hand.arm, entity)
    for name in ("position", "normal"):
        part.vertices[name] = true_points(hand, part.vertices[name])
    # the mirror turns faces inside out; the last corner, whose code counts, stays
    return replace(part, faces=part.faces[:, [1, 0, 2]]) if hand.side == "left" else part


def thing_geometry(thing: Thing, entity: int) -> Geometry:
    """An object as triangles in the world."""
    mesh = thing.solid.mesh()
    R, t = thing.pose[:3, :3], thing.pose[:3, 3]
    surfaces = np.zeros(len(thing.colours), VERTEX)
    surfaces["uvw"][:, :2], surfaces["uvw"][:, 2] = thing.tiling, thing.layers
    surfaces["colour"], surfaces["material"][:, :2] = thing.colours, thing.gloss
    surfaces["code"] = entity * PARTS
    vertices = surfaces.view(np.float32).reshape(-1, VERTEX.itemsize // 4)[mesh.part].reshape(-1).view(VERTEX)
    vertices["position"], vertices["normal"] = mesh.vertices @ R.T + t, mesh.normals @ R.T
    vertices["uvw"][:, :2] *= mesh.uv
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
