"""Off-screen OpenGL: one draw call for a whole scene, colours and an exact map of what is seen and how deep."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.errors import MissingDependency, SourceError
from prehend.types import Box
from prehend_training.scenes.hand_atlas import ATLAS_TILES, LEVELS, tile_corner, tile_levels
from prehend_training.scenes.skin import HEIGHT_M
from prehend_training.scenes.skin_map import TILE_PX

Array = NDArray[np.floating]

VERTEX = np.dtype(
    [
        ("position", "3f4"),  # camera frame [m]
        ("normal", "3f4"),
        ("uvw", "3f4"),  # texture coordinates and layer; layer -1: no texture, -2: the hand atlas
        ("colour", "3f4"),  # linear albedo
        ("material", "3f4"),  # specular strength, gloss, how much light bleeds through the skin
        ("code", "f4"),  # what it is, see `Picture.codes`
    ]
)
COLOUR_SCALE = 1.5
"""The colour target holds `sqrt(linear) / COLOUR_SCALE`: light up to 2.25 times white before it clips."""
_NEAR, _FAR = 0.02, 30.0
_MAX_LIGHTS = 3
_SHADOW_SIZE = 320
_COVER_SIZE = 64


@dataclass(frozen=True)
class Lighting:
    """Lights of a scene, in the camera frame.

    Attributes:
        directions: (N, 3) unit vectors towards the lights, N = 1..3; the first one casts shadows.
        colours: (N, 3) linear irradiance.
        ambient: (4, 3) light from all around: constant, then along x, y, z.
        shadow: 0..1 how much of the first light its shadow takes away.
        crevices: (2,) how much darker it is between fingers, at the scale of a finger and of a crease.
    """

    directions: Array
    colours: Array
    ambient: Array
    shadow: float
    crevices: Array


@dataclass(frozen=True)
class Geometry:
    """Triangles in the camera frame: (V,) records of `VERTEX`, (F, 3) int32 faces, tiles of the hand atlas they use."""

    vertices: NDArray[Any]
    faces: NDArray[np.int32]
    tiles: tuple[int, ...] = ()


class Picture(NamedTuple):
    """What was drawn, `oversampling` times larger than asked for along each side.

    Attributes:
        colour: (H, W, 4) uint8: `sqrt(linear) / COLOUR_SCALE` and cover.
        codes: (H, W) float32 `code` of the nearest triangle, -1 where there is none.
        depth_m: (H, W) float32 depth along z, 0 where there is none.
        oversampling: how many samples lie along the side of a pixel.
    """

    colour: NDArray[np.uint8]
    codes: NDArray[np.float32]
    depth_m: NDArray[np.float32]
    oversampling: int = 1


def join(parts: Sequence[Geometry]) -> Geometry:
    """One geometry of several."""
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = [part.faces + offset for part, offset in zip(parts, offsets[:-1], strict=True)]
    tiles = tuple(sorted({tile for part in parts for tile in part.tiles}))
    return Geometry(np.concatenate([part.vertices for part in parts]), np.concatenate(faces).astype(np.int32), tiles)


def projection(K: Array, width: float, height: float) -> Array:
    """(4, 4) from the camera frame to clip space; row 0 of what is read back is the top row of the image.

    Pixel (0, 0) has its centre at 0, so its clip range begins half a pixel before.
    """
    clip = np.zeros((4, 4))
    clip[0, :3] = 2 * np.asarray(K[0]) / width
    clip[1, :3] = 2 * np.asarray(K[1]) / height
    clip[0, 2] += 1 / width - 1
    clip[1, 2] += 1 / height - 1
    clip[2, 2] = (_FAR + _NEAR) / (_FAR - _NEAR)
    clip[2, 3] = -2 * _FAR * _NEAR / (_FAR - _NEAR)
    clip[3, 2] = 1
    return clip


def shadow_projection(points: Array, direction: Array) -> Array:
    """(4, 4) parallel projection along a light that holds all (N, 3) points."""
    forward = -np.asarray(direction, np.float64)
    helper = np.eye(3)[np.abs(forward).argmin()]
    right = np.cross(helper, forward)
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(forward, right), forward])
    seen = points @ turn.T
    low, high = seen.min(0) - 0.002, seen.max(0) + 0.002
    clip = np.eye(4)
    clip[:3, :3] = 2 * turn / (high - low)[:, None]
    clip[:3, 3] = -(high + low) / (high - low)
    return clip


class Rasterizer:
    """Owns an OpenGL context, its programs and its targets.

    Args:
        textures: (N, S, S, 3) uint8 layers, square-root coded like all colours here.
        oversampling: samples along each side of a pixel.

    Raises:
        MissingDependency: moderngl is not installed.
        SourceError: no OpenGL context can be made on this machine.
    """

    def __init__(self, textures: NDArray[np.uint8], oversampling: int = 1):
        try:
            import moderngl
        except ImportError as error:
            raise MissingDependency("moderngl", "train", "drawing scenes") from error
        # one scene is too small to share between threads; training has a worker a core instead
        os.environ.setdefault("LP_NUM_THREADS", "0")
        try:
            self._context = moderngl.create_context(standalone=True, backend="egl")  # type: ignore[arg-type]
        except Exception as error:  # moderngl raises nothing narrower
            raise SourceError(f"no OpenGL context through EGL on this machine: {error}") from error
        self._flags = moderngl.DEPTH_TEST
        self.oversampling = oversampling
        self._scene = self._program("scene")
        self._shadow = self._program("shadow")
        self._vertices = self._context.buffer(reserve=VERTEX.itemsize * 60_000, dynamic=True)
        self._faces = self._context.buffer(reserve=12 * 100_000, dynamic=True)
        names = ("position", "normal", "uvw", "colour", "material", "code")
        layout = (self._vertices, "3f 3f 3f 3f 3f 1f", *(f"in_{name}" for name in names))
        self._scene_array = self._context.vertex_array(self._scene, [layout], self._faces)
        padding = VERTEX.itemsize - 12
        self._shadow_array = self._context.vertex_array(
            self._shadow, [(self._vertices, f"3f {padding}x", "in_position")], self._faces
        )
        self._shadow_map = self._context.depth_texture((_SHADOW_SIZE, _SHADOW_SIZE))
        self._shadow_map.compare_func = "<="
        self._shadow_map.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self._shadow_map.repeat_x = self._shadow_map.repeat_y = False
        self._shadow_target = self._context.framebuffer(depth_attachment=self._shadow_map)
        self._cover_target = self._context.simple_framebuffer((_COVER_SIZE, _COVER_SIZE), 1)
        count, size = textures.shape[:2]
        self._textures = self._context.texture_array((size, size, count), 3, np.ascontiguousarray(textures).tobytes())
        self._textures.build_mipmaps()
        self._textures.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        side = ATLAS_TILES * TILE_PX
        self._atlas = self._context.texture((side, side), 4)
        self._atlas.build_mipmaps(0, LEVELS - 1)
        self._atlas.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        self._painted: set[int] = set()
        self._targets: dict[tuple[int, int], Any] = {}
        self._scene["textures"] = 0
        self._scene["hand_atlas"] = 2
        self._scene["height_m"] = HEIGHT_M
        self._scene["shadow_map"] = 1

    def _program(self, name: str) -> Any:
        folder = resources.files("prehend_training.scenes") / "shaders"
        sources = [(folder / f"{name}.{stage}").read_text(encoding="utf-8") for stage in ("vert", "frag")]
        return self._context.program(vertex_shader=sources[0], fragment_shader=sources[1])

    def _target(self, size: tuple[int, int]) -> Any:
        if size not in self._targets:
            context = self._context
            attachments = [context.texture(size, 4, dtype="f1"), context.texture(size, 2, dtype="f4")]
            self._targets[size] = context.framebuffer(attachments, context.depth_renderbuffer(size))
        return self._targets[size]

    def draw(self, geometry: Geometry, K: Array, width: int, height: int, lighting: Lighting, casters: int) -> Picture:
        """Draw a scene.

        Args:
            geometry: everything in it.
            K: (3, 3) intrinsics for a `width` x `height` image [px].
            lighting: lights.
            casters: how many faces, from the first on, cast shadows.
        """
        with self._context:  # another renderer of this process may have its own
            return self._draw(geometry, K, width, height, lighting, casters)

    def _draw(self, geometry: Geometry, K: Array, width: int, height: int, lighting: Lighting, casters: int) -> Picture:
        size = (width * self.oversampling, height * self.oversampling)
        target = self._target(size)
        self._load(geometry)
        count = geometry.faces.size
        last = int(geometry.faces[:casters].max()) + 1
        sun = shadow_projection(geometry.vertices["position"][:last:2], lighting.directions[0])
        self._draw_shadow(sun, 3 * casters)
        self._set_lights(lighting, sun)
        self._scene["projection"].write(projection(K, width, height).T.astype("f4").tobytes())
        target.use()
        self._context.enable_only(self._flags)
        target.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        self._textures.use(0)
        self._shadow_map.use(1)
        self._atlas.use(2)
        self._scene_array.render(vertices=count)
        shape = (size[1], size[0], -1)
        colour = np.frombuffer(target.read(components=4, attachment=0), np.uint8).reshape(shape)
        codes = np.frombuffer(target.read(components=2, attachment=1, dtype="f4"), np.float32).reshape(shape)
        return Picture(colour, codes[..., 0] - 1, codes[..., 1], self.oversampling)

    def cover(self, faces: tuple[int, int], K: Array, window: Box) -> float:
        """Share (0..1) of a window that some faces of the geometry drawn last cover, drawn alone.

        Args:
            faces: number of the first face, and how many.
            K: (3, 3) intrinsics [px].
            window: part of the image plane, inside or outside of the image [px].
        """
        shift = np.array([[1, 0, -window.x0 - 0.5], [0, 1, -window.y0 - 0.5], [0, 0, 1]])
        with self._context:
            self._cover_target.use()
            self._context.enable_only(0)
            self._cover_target.clear()
            clip = projection(shift @ K, window.width, window.height)
            self._shadow["projection"].write(clip.T.astype("f4").tobytes())
            self._shadow_array.render(vertices=3 * faces[1], first=3 * faces[0])
            return float(np.frombuffer(self._cover_target.read(components=1), np.uint8).mean()) / 255

    def _load(self, geometry: Geometry) -> None:
        for tile in set(geometry.tiles) - self._painted:
            self._paint(tile)
        self._vertices.write(geometry.vertices.tobytes())
        self._faces.write(np.ascontiguousarray(geometry.faces, np.int32).tobytes())

    def _paint(self, tile: int) -> None:
        """Put a tile of the hand atlas in its place, with its mip levels."""
        column, row = tile_corner(tile)
        for level, picture in enumerate(tile_levels(tile)):
            size = len(picture)
            self._atlas.write(picture.tobytes(), viewport=(column * size, row * size, size, size), level=level)
        self._painted.add(tile)

    def _draw_shadow(self, sun: Array, count: int) -> None:
        self._shadow_target.use()
        self._context.enable_only(self._flags)
        self._shadow_target.clear(depth=1.0)
        self._shadow["projection"].write(sun.T.astype("f4").tobytes())
        self._shadow_array.render(vertices=count)

    def _set_lights(self, lighting: Lighting, sun: Array) -> None:
        directions, colours = np.zeros((_MAX_LIGHTS, 3), "f4"), np.zeros((_MAX_LIGHTS, 3), "f4")
        directions[: len(lighting.directions)] = lighting.directions
        colours[: len(lighting.colours)] = lighting.colours
        self._scene["light_directions"].write(directions.tobytes())
        self._scene["light_colours"].write(colours.tobytes())
        self._scene["ambient"].write(np.asarray(lighting.ambient, "f4").tobytes())
        self._scene["shadow_strength"] = float(lighting.shadow)
        self._scene["sun"].write(sun.T.astype("f4").tobytes())

    def close(self) -> None:
        """Give the context back."""
        self._context.release()
