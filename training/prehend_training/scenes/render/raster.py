"""Off-screen OpenGL: what is seen, how it is lit, with and without some objects, and what each covers alone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.errors import MissingDependency, SourceError
from prehend.types import Box, Camera
from prehend_training.scenes.appearance.lighting import MAX_LAMPS, Lighting, irradiance_matrices
from prehend_training.scenes.camera.lens import Lens, projection, sun_projection
from prehend_training.scenes.geometry import VERTEX, Geometry
from prehend_training.scenes.people.hand_atlas import ATLAS_TILES, LEVELS, tile_corner, tile_levels
from prehend_training.scenes.people.skin import HEIGHT_M
from prehend_training.scenes.people.skin_map import TILE_PX

Array = NDArray[np.floating]

_SHADOW_SIZE = 384
_SHADOW_MARGIN_M = 0.15
_COVER_SIZE = 64
_CHANNELS = 4
_CAMERA_PROGRAMS = ("surface", "outline")
_SURFACE_UNITS = {"textures": 0, "hand_atlas": 1}
_LIGHT_UNITS = {"places": 0, "normals": 1, "albedos": 2, "shadow_map": 3}
_BACKDROP_UNITS = {"backdrop": 4}


class Span(NamedTuple):
    """Faces of a geometry: number of the first, how many."""

    first: int
    size: int


@dataclass(frozen=True)
class StagedScene:
    """Geometry of a scene in the order in which it is drawn.

    Attributes:
        geometry: everything; first faces whose backs are never seen, then others, then the objects with labels.
        closed, open: all faces but those of the objects.
        closed_casters, open_casters: the first of them, those that cast shadows.
        objects: faces of the objects.
        alone: for each labelled hand (its skin without the arm), then each object, its faces.
        focus_m: (N, 3) world, places around which shadows are drawn.
    """

    geometry: Geometry
    closed: Span
    open: Span
    closed_casters: Span
    open_casters: Span
    objects: Span
    alone: tuple[Span, ...]
    focus_m: Array


class Picture(NamedTuple):
    """What was drawn.

    Attributes:
        light: (H, W, 3) float32 linear, with the backdrop.
        twin: light and depth, as below, without the objects; None if not asked for, or if there are none.
        codes: (H, W) float32 `code` of the nearest triangle, -1 where there is none.
        depth_m: (H, W) float32 depth along z, 0 where there is none.
        normals: (H, W, 3) float32 in the camera frame, 0 where there is none.
        albedo: (H, W, 3) uint8, square-root coded.
        shine: (H, W) float32 0 dull .. 1 mirror.
    """

    light: NDArray[np.float32]
    twin: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    codes: NDArray[np.float32]
    depth_m: NDArray[np.float32]
    normals: NDArray[np.float32]
    albedo: NDArray[np.uint8]
    shine: NDArray[np.float32]


class _Target(NamedTuple):
    """Framebuffers of one size and the textures they fill."""

    surface: Any
    light: Any
    outline: Any
    backdrop: Any
    textures: tuple[Any, ...]


class Rasterizer:
    """Owns an OpenGL context, its programs and its targets: `load` a scene, then `draw` it as often as wanted.

    Args:
        textures: (N, S, S, 3) uint8 layers, square-root coded like all colours here.

    Raises:
        MissingDependency: moderngl is not installed.
        SourceError: no OpenGL context can be made on this machine.
    """

    def __init__(self, textures: NDArray[np.uint8]):
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
        self._gl = moderngl
        self._context.depth_func = "<="
        self._open, self._closed = moderngl.DEPTH_TEST, moderngl.DEPTH_TEST | moderngl.CULL_FACE
        self._context.front_face = "cw"  # rows of images run downwards
        self._surface, self._light, self._shadow, self._outline = (
            self._program(name, name) for name in ("surface", "light", "shadow", "outline")
        )
        self._backdrop = self._program("light", "backdrop")
        self._vertices = self._context.buffer(reserve=VERTEX.itemsize * 30_000, dynamic=True)
        self._faces = self._context.buffer(reserve=12 * 50_000, dynamic=True)
        self._make_arrays()
        self._shadow_maps = [self._shadow_map() for _ in range(2)]
        self._cover_target = self._context.simple_framebuffer((_COVER_SIZE, _COVER_SIZE), 1)
        count, size = textures.shape[:2]
        self._textures = self._context.texture_array((size, size, count), 3, np.ascontiguousarray(textures).tobytes())
        self._textures.build_mipmaps()
        self._textures.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
        side = ATLAS_TILES * TILE_PX
        self._atlas = self._context.texture((side, side), 4)
        self._atlas.build_mipmaps(0, LEVELS - 1)
        self._atlas.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
        self._painted: set[int] = set()
        self._targets: dict[tuple[int, int], _Target] = {}
        units = ((self._surface, _SURFACE_UNITS), (self._light, _LIGHT_UNITS), (self._backdrop, _BACKDROP_UNITS))
        for program, numbers in units:
            for name, unit in numbers.items():
                program[name] = unit
        self._surface["height_m"] = HEIGHT_M
        self._surface["atlas_tiles"] = float(ATLAS_TILES)

    def _program(self, vertices: str, fragments: str) -> Any:
        folder = resources.files(__package__) / "shaders"
        names = (f"{vertices}.vert", f"{fragments}.frag")
        vertex, fragment = ((folder / name).read_text(encoding="utf-8") for name in names)
        lens = (folder / "lens.glsl").read_text(encoding="utf-8") if vertices in _CAMERA_PROGRAMS else ""
        version = "#version 330\n"
        return self._context.program(vertex_shader=version + lens + vertex, fragment_shader=version + fragment)

    def _make_arrays(self) -> None:
        names = ("position", "normal", "uvw", "colour", "material", "code")
        layout = (self._vertices, "3f 3f 3f 3f 3f 1f", *(f"in_{name}" for name in names))
        places = (self._vertices, f"3f {VERTEX.itemsize - 12}x", "in_position")
        self._surface_array = self._context.vertex_array(self._surface, [layout], self._faces)
        self._shadow_array = self._context.vertex_array(self._shadow, [places], self._faces)
        self._outline_array = self._context.vertex_array(self._outline, [places], self._faces)
        self._light_array = self._context.vertex_array(self._light, [])
        self._backdrop_array = self._context.vertex_array(self._backdrop, [])

    def _shadow_map(self) -> Any:
        depth = self._context.depth_texture((_SHADOW_SIZE, _SHADOW_SIZE))
        depth.compare_func, depth.filter = "<=", (self._gl.LINEAR, self._gl.LINEAR)
        depth.repeat_x = depth.repeat_y = False
        return self._context.framebuffer(depth_attachment=depth)

    def _target(self, size: tuple[int, int]) -> _Target:
        if size not in self._targets:
            context = self._context
            textures = tuple(context.texture(size, 4, dtype=kind) for kind in ("f4", "f4", "f1"))
            for texture in textures:
                texture.filter = (self._gl.NEAREST, self._gl.NEAREST)
            backdrop = context.texture(size, 3, alignment=1)
            backdrop.filter = (self._gl.NEAREST, self._gl.NEAREST)
            depth = context.depth_renderbuffer(size)
            light = context.framebuffer([context.texture(size, 4, dtype="f4")], depth)
            light.depth_mask = False
            self._targets[size] = _Target(
                context.framebuffer(list(textures), depth),
                light,
                context.simple_framebuffer(size, _CHANNELS),
                backdrop,
                textures,
            )
        return self._targets[size]

    def load(self, staged: StagedScene, lighting: Lighting, twin: bool) -> None:
        """Take a scene's triangles and draw its shadows.

        Args:
            staged: the scene.
            lighting: in the world.
            twin: also prepare the image without the objects.
        """
        with self._context:  # another renderer of this process may have its own
            for tile in set(staged.geometry.tiles) - self._painted:
                self._paint(tile)
            self._upload(staged.geometry)
            self._staged, self._twin = staged, twin and staged.objects.size > 0
            clip = sun_projection(staged.focus_m, lighting.sun, _SHADOW_MARGIN_M)
            self._draw_shadows(clip)
            self._set_lights(lighting, clip)

    def draw(self, camera: Camera, T_camera_world: Array, backdrop: NDArray[np.uint8]) -> Picture:
        """Draw what was loaded as a camera sees it.

        Args:
            camera: size, intrinsics, distortion.
            T_camera_world: (4, 4).
            backdrop: (H, W, 3) uint8, square-root coded, behind everything.
        """
        with self._context:
            target = self._target((camera.width, camera.height))
            target.backdrop.write(np.ascontiguousarray(backdrop).tobytes())
            self._set_camera(self._surface, camera, T_camera_world, projection(camera.K, camera.width, camera.height))
            self._light["world"].write(_bytes(np.linalg.inv(T_camera_world).T))
            self._light["focal"] = (float(camera.K[0, 0]), float(camera.K[1, 1]))
            target.surface.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
            self._draw_surface(target, self._staged.closed, self._closed)
            self._draw_surface(target, self._staged.open, self._open)
            twin = None
            if self._twin:
                self._draw_light(target, self._shadow_maps[1])
                twin = _read(target.light, 0, np.float32)[..., :3], _read(target.surface, 0, np.float32)[..., 2]
            self._draw_surface(target, self._staged.objects, self._open)
            self._draw_light(target, self._shadow_maps[0])
            light = _read(target.light, 0, np.float32)[..., :3]
            places, normals = (_read(target.surface, k, np.float32) for k in range(2))
            albedo = _read(target.surface, 2, np.uint8)[..., :3]
            strength, gloss = np.divmod(normals[..., 3], np.float32(1))  # as surface.frag packs them
            shine = strength * gloss * np.float32(1 / 64)
            return Picture(light, twin, places[..., 3] - 1, places[..., 2], normals[..., :3], albedo, shine)

    def outlines(self, camera: Camera, T_camera_world: Array) -> NDArray[np.bool_]:
        """(N, H, W) where each of `StagedScene.alone` would be seen if there were nothing else."""
        with self._context:
            target = self._target((camera.width, camera.height))
            self._set_camera(self._outline, camera, T_camera_world, projection(camera.K, camera.width, camera.height))
            alone = self._staged.alone
            masks = [
                self._outline_group(target.outline, alone[k : k + _CHANNELS]) for k in range(0, len(alone), _CHANNELS)
            ]
            return np.concatenate(masks) if masks else np.zeros((0, camera.height, camera.width), np.bool_)

    def _outline_group(self, target: Any, spans: Sequence[Span]) -> NDArray[np.bool_]:
        target.use()
        target.clear()
        self._context.blend_equation = (self._gl.MAX, self._gl.MAX)
        for span, channel in zip(spans, np.eye(_CHANNELS), strict=False):
            self._outline["channel"] = tuple(channel)
            self._render(self._outline_array, span, self._gl.BLEND)
        return np.moveaxis(_read(target, 0, np.uint8), 2, 0)[: len(spans)] > 127

    def cover(self, span: Span, camera: Camera, T_camera_world: Array, window: Box) -> float:
        """Share (0..1) of a window that some faces of the loaded geometry cover, drawn alone.

        Args:
            span: the faces.
            camera: intrinsics and distortion.
            T_camera_world: (4, 4).
            window: part of the image plane, inside or outside of the image [px].
        """
        shift = np.array([[1, 0, -window.x0 - 0.5], [0, 1, -window.y0 - 0.5], [0, 0, 1]])
        with self._context:
            self._cover_target.use()
            self._cover_target.clear()
            clip = projection(shift @ camera.K, window.width, window.height)
            self._set_camera(self._outline, camera, T_camera_world, clip)
            self._outline["channel"] = (1.0, 1.0, 1.0, 1.0)
            self._render(self._outline_array, span, self._gl.NOTHING)
            return float(np.frombuffer(self._cover_target.read(components=1), np.uint8).mean()) / 255

    def _upload(self, geometry: Geometry) -> None:
        for buffer, data in ((self._vertices, geometry.vertices), (self._faces, geometry.faces)):
            data = np.ascontiguousarray(data)
            if data.nbytes > buffer.size:
                buffer.orphan(2 * data.nbytes)
            buffer.write(data.tobytes())

    def _paint(self, tile: int) -> None:
        """Put a tile of the hand atlas in its place, with its mip levels."""
        column, row = tile_corner(tile)
        for level, picture in enumerate(tile_levels(tile)):
            size = len(picture)
            self._atlas.write(picture.tobytes(), viewport=(column * size, row * size, size, size), level=level)
        self._painted.add(tile)

    def _draw_shadows(self, clip: Array) -> None:
        """The shadow map of all, and that without the objects if the twin is wanted."""
        self._shadow["projection"].write(_bytes(clip.T))
        for target in self._shadow_maps[: 2 if self._twin else 1]:
            target.use()
            target.clear(depth=1.0)
            self._render(self._shadow_array, self._staged.closed_casters, self._closed)
            self._render(self._shadow_array, self._staged.open_casters, self._open)
        self._shadow_maps[0].use()
        self._render(self._shadow_array, self._staged.objects, self._open)

    def _render(self, array: Any, span: Span, flags: int) -> None:
        if span.size:
            self._context.enable_only(flags)
            array.render(vertices=3 * span.size, first=3 * span.first)

    def _draw_surface(self, target: _Target, span: Span, flags: int) -> None:
        target.surface.use()
        self._textures.use(_SURFACE_UNITS["textures"])
        self._atlas.use(_SURFACE_UNITS["hand_atlas"])
        self._render(self._surface_array, span, flags)

    def _draw_light(self, target: _Target, shadow_map: Any) -> None:
        target.light.use()
        self._context.enable_only(self._gl.DEPTH_TEST)
        for unit, texture in enumerate((*target.textures, shadow_map.depth_attachment, target.backdrop)):
            texture.use(unit)
        self._backdrop_array.render(vertices=3)
        self._context.depth_func = ">"
        self._light_array.render(vertices=3)
        self._context.depth_func = "<="

    def _set_camera(self, program: Any, camera: Camera, T_camera_world: Array, clip: Array) -> None:
        lens = Lens.of(camera)
        program["camera"].write(_bytes(T_camera_world.T))
        program["projection"].write(_bytes(clip.T))
        program["lens"] = 0 if lens.straight else 2 if lens.fisheye else 1
        program["k"].write(_bytes(lens.coefficients))
        program["reach"] = lens.reach

    def _set_lights(self, lighting: Lighting, clip: Array) -> None:
        lamps, colours = np.zeros((2, MAX_LAMPS, 3))
        lamps[: len(lighting.lamps_m)], colours[: len(lighting.lamps_m)] = lighting.lamps_m, lighting.lamp_colours
        size = 2 / np.linalg.norm(clip[:2, :3], axis=1)  # metres across the shadow map
        for name, values in {
            "sun_clip": clip.T,
            "sun": lighting.sun,
            "sun_colour": lighting.sun_colour,
            "softness": np.maximum(lighting.softness_m / size, 0.7 / _SHADOW_SIZE),
            "ambient": irradiance_matrices(lighting.ambient),
            "lamps": lamps,
            "lamp_colours": colours,
        }.items():
            self._light[name].write(_bytes(values))
        self._light["sun_texel_m"] = float(size.max()) / _SHADOW_SIZE
        self._light["crevices"] = float(lighting.crevices)
        self._light["lamp_count"] = len(lighting.lamps_m)

    def close(self) -> None:
        """Give the context back."""
        self._context.release()


def _bytes(values: Array) -> bytes:
    return np.ascontiguousarray(values, np.float32).tobytes()


def _read(target: Any, attachment: int, kind: type) -> NDArray[Any]:
    """(H, W, 4) what a target holds."""
    data = target.read(components=4, attachment=attachment, dtype="f4" if kind is np.float32 else "f1", alignment=1)
    return np.frombuffer(data, kind).reshape(target.height, target.width, 4)
