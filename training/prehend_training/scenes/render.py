"""From a scene to a picture with labels."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.types import Box, Camera
from prehend_training.scenes.body import CLOTH_PART, PARTS, hand_face_count, hand_geometry
from prehend_training.scenes.camera_look import develop
from prehend_training.scenes.labels import hand_label, hand_points, in_camera, object_label, project
from prehend_training.scenes.patterns import Gallery, texture_bank
from prehend_training.scenes.raster import COLOUR_SCALE, VERTEX, Geometry, Picture, Rasterizer, join
from prehend_training.scenes.sample import HAND_CODE, OBJECT_CODE, OTHER_CODE, FrameId, Sample
from prehend_training.scenes.sampling import sample_scene, sample_view
from prehend_training.scenes.scene import Hand, Scene, Table, Thing, View, true_points
from prehend_training.scenes.skin import skin_colours
from prehend_training.scenes.surroundings import TEXTURES

Array = NDArray[np.floating]

NO_FRAME = FrameId("scenes", 0, 0)
"""Of pictures that nobody needs to find again."""
_TEXTURE_SEED = 5
_ATTEMPTS, _LEAST_VISIBLE = 4, 0.2
"""Scenes in which a hand is hidden nearly whole are drawn anew."""
_CREVICES_M = (0.012, 0.004)
_SOFT = np.array([0.22, 0.56, 0.22], np.float32)


class SceneRenderer:
    """Draws scenes. Make one per process; it takes hold of OpenGL when the first picture is drawn.

    Args:
        photos: folder with photographs for backgrounds and textures, None for none.
        photo_share: share of backgrounds cut from them.
    """

    def __init__(self, photos: Path | None = None, photo_share: float = 0.6):
        self.gallery = Gallery(photos, photo_share)
        self._rasterizer: Rasterizer | None = None

    @property
    def rasterizer(self) -> Rasterizer:
        """The owner of the OpenGL context, made when first needed."""
        if self._rasterizer is None:
            self._rasterizer = Rasterizer(texture_bank(self.gallery, _TEXTURE_SEED, TEXTURES))
        return self._rasterizer

    def render(self, scene: Scene, view: View, frame_id: FrameId = NO_FRAME, limits: Box | None = None) -> Sample:
        """Draw a scene and label it.

        Args:
            scene: what to draw.
            view: the camera.
            frame_id: copied into the sample.
            limits: part of the picture that the sensor saw; the rest is black and nothing there is visible.
        """
        K, width, height = view.camera.K, view.camera.width, view.camera.height
        built = build(scene, view.T_camera_world)
        if built is None:
            empty = np.zeros((height, width), np.float32)
            picture = Picture(np.zeros((height, width, 4), np.uint8), empty - 1, empty)
        else:
            picture = self.rasterizer.draw(built.geometry, K, width, height, scene.lighting, built.casters)
            picture = picture if limits is None else _limited(picture, limits)
        image = self._develop(scene, view, picture, limits)
        labels = []
        for k, hand in enumerate(scene.hands):
            assert built is not None
            outline = Box.around(project(hand_points(hand, view), K))
            share = self.rasterizer.cover(built.hand_faces[k], K, outline)
            labels.append(hand_label(hand, HAND_CODE + k, picture, view, share * outline.area))
        codes = picture.codes[:: picture.oversampling, :: picture.oversampling]
        return Sample(
            image=image,
            segmentation=np.where(codes < 0, 0, codes // PARTS).astype(np.uint8),
            camera=view.camera,
            T_camera_world=view.T_camera_world,
            hands=tuple(labels),
            objects=tuple(object_label(thing, view) for thing in scene.objects),
            maps=None,
            frame_id=frame_id,
        )

    def _develop(self, scene: Scene, view: View, picture: Picture, limits: Box | None) -> NDArray[np.uint8]:
        width, height = view.camera.width, view.camera.height
        backdrop = self.gallery.background(np.random.default_rng(scene.background_seed), height, width)
        colour = _softened(picture, width, height)
        shade = _crevices(picture, float(view.camera.K[0, 0]), scene.lighting.crevices)[..., None]
        cover = colour[..., 3:]
        mixed = colour[..., :3] * (COLOUR_SCALE * shade) + (1 - cover) * (backdrop.astype(np.float32) / 255)
        image = develop(mixed.astype(np.float32, copy=False), view.look)
        if limits is not None:
            image = image * _inside(limits, height, width)[..., None]
        return image


class Built(NamedTuple):
    """Geometry of a scene; how many faces cast shadows; where each hand's faces lie (first, count)."""

    geometry: Geometry
    casters: int
    hand_faces: list[tuple[int, int]]


def build(scene: Scene, T_camera_world: Array) -> Built | None:
    """Everything in a scene as triangles in the camera frame; None where there is nothing."""
    parts = [skin_geometry(hand, HAND_CODE + k) for k, hand in enumerate(scene.hands)]
    firsts = np.cumsum([0, *(len(part.faces) for part in parts)])[: len(parts)]
    hand_faces = [(int(first), hand_face_count()) for first in firsts]
    parts += [thing_geometry(thing, OBJECT_CODE + k) for k, thing in enumerate(scene.objects)]
    parts += [skin_geometry(hand, OTHER_CODE) for hand in scene.strangers]
    parts += [thing_geometry(thing, OTHER_CODE) for thing in scene.clutter]
    casters = sum(len(part.faces) for part in parts)
    if scene.table is not None:
        parts.append(table_geometry(scene.table))
    parts += [thing_geometry(thing, 0) for thing in scene.scenery]
    if not parts:
        return None
    whole = join(parts)
    whole.vertices["position"] = whole.vertices["position"] @ T_camera_world[:3, :3].T + T_camera_world[:3, 3]
    whole.vertices["normal"] = whole.vertices["normal"] @ T_camera_world[:3, :3].T
    return Built(whole, max(casters, 1), hand_faces)


def skin_geometry(hand: Hand, entity: int) -> Geometry:
    """A hand with its arm and clothes as triangles in the true camera frame."""
    colours = skin_colours(np.random.default_rng(hand.skin_seed))
    part = hand_geometry(hand.vertices_m, colours, hand.gloss, hand.arm, list(hand.cloths), entity)
    for name in ("position", "normal"):
        part.vertices[name] = true_points(hand, part.vertices[name])
    return part


def thing_geometry(thing: Thing, entity: int) -> Geometry:
    """A thing as triangles in the camera frame."""
    mesh = thing.solid.mesh()
    R, t = thing.pose[:3, :3], thing.pose[:3, 3]
    vertices = np.zeros(len(mesh.vertices), VERTEX)
    vertices["position"], vertices["normal"] = mesh.vertices @ R.T + t, mesh.normals @ R.T
    vertices["uvw"][:, :2], vertices["uvw"][:, 2] = mesh.uv * thing.tiling[mesh.part], thing.layers[mesh.part]
    vertices["colour"], vertices["material"][:, :2] = thing.colours[mesh.part], thing.gloss[mesh.part]
    vertices["code"] = entity * PARTS
    return Geometry(vertices, mesh.faces)


def table_geometry(table: Table, cells: int = 12) -> Geometry:
    """A table top as a grid in the camera frame; it counts as background."""
    steps = np.linspace(-1, 1, cells + 1)
    grid = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    R, t = table.pose[:3, :3], table.pose[:3, 3]
    vertices = np.zeros(len(grid), VERTEX)
    vertices["position"] = (table.half_m * grid) @ R[:, :2].T + t
    vertices["normal"] = R[:, 2]
    vertices["uvw"][:, :2], vertices["uvw"][:, 2] = table.half_m * grid * table.tiling, table.layer
    vertices["colour"], vertices["material"] = table.colour, (0.3, 12.0, 0.0)
    vertices["code"] = CLOTH_PART  # entity 0
    corner = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).reshape(-1, 1)
    first, second = np.array([0, 1, cells + 2]), np.array([0, cells + 2, cells + 1])
    faces = np.concatenate([corner + first, corner + second])
    return Geometry(vertices, faces.astype(np.int32))


def _softened(picture: Picture, width: int, height: int) -> NDArray[np.float32]:
    """(H, W, 4) colours and cover with soft edges: what a lens does, and cheaper than more samples."""
    if picture.oversampling > 1:
        small = cv2.resize(picture.colour, (width, height), interpolation=cv2.INTER_AREA)
    else:
        small = cv2.sepFilter2D(picture.colour, -1, _SOFT, _SOFT)
    return small.astype(np.float32) * np.float32(1 / 255)


def _crevices(picture: Picture, focal: float, strength: Array) -> NDArray[np.float32]:
    """(H, W) how much light from all around gets in: less where the picture is deeper than its surroundings."""
    step = picture.oversampling
    depth = picture.depth_m[::step, ::step]
    seen = ((depth > 0) & (picture.codes[::step, ::step] >= PARTS)).astype(np.float32)
    shade = np.ones_like(depth)
    if not seen.any():
        return shade
    pixel_m = float(np.median(depth[seen > 0])) / focal
    for radius_m, share in zip(_CREVICES_M, strength, strict=True):
        sigma = min(max(radius_m / pixel_m, 0.7), depth.shape[1] / 8)
        # beyond an outline there is only open space, which takes no light away
        open_space = 1 - cv2.GaussianBlur(seen, (0, 0), sigma)
        near = cv2.GaussianBlur(depth * seen, (0, 0), sigma) + depth * open_space
        shade *= 1 - np.float32(share) * seen * np.clip((depth - near) / (1.3 * radius_m), 0, 1)
    return shade


def _inside(limits: Box, height: int, width: int) -> NDArray[np.bool_]:
    x, y = np.arange(width), np.arange(height)[:, None]
    return (x >= limits.x0) & (x <= limits.x1) & (y >= limits.y0) & (y <= limits.y1)


def _limited(picture: Picture, limits: Box) -> Picture:
    """Forget what lies outside the sensor."""
    height, width = (n // picture.oversampling for n in picture.codes.shape)
    keep = np.repeat(np.repeat(_inside(limits, height, width), picture.oversampling, 0), picture.oversampling, 1)
    return picture._replace(
        colour=picture.colour * keep[..., None], codes=np.where(keep, picture.codes, -1), depth_m=picture.depth_m * keep
    )


def crop_view(view: View, square: Box, size_px: int) -> View:
    """The square part of an undistorted image, scaled to `size_px` (pixel centres at whole numbers)."""
    scale = size_px / square.width
    to_crop = np.array(
        [[scale, 0, scale * (0.5 - square.x0) - 0.5], [0, scale, scale * (0.5 - square.y0) - 0.5], [0, 0, 1]]
    )
    return replace(view, camera=Camera(to_crop @ view.camera.K, size_px, size_px))


def crop_sample(renderer: SceneRenderer, seed: int, index: int, size_px: int = 160) -> Sample:
    """One hand in a crop of a random camera's image, 1.6 to 2.1 times its box; the same for the same numbers."""
    for attempt in range(_ATTEMPTS):
        sample = _crop_attempt(renderer, seed, index, attempt, size_px)
        if sample.hands[0].visible_ratio > _LEAST_VISIBLE:
            break
    return sample


def _crop_attempt(renderer: SceneRenderer, seed: int, index: int, attempt: int, size_px: int) -> Sample:
    rng = np.random.default_rng([seed, index, 0, attempt])
    view = sample_view(rng)
    scene = sample_scene(rng, "crop", view)
    hand = scene.hands[0]
    box = Box.around(project(in_camera(view, true_points(hand, hand.joints_m)), view.camera.K))
    longer = max(box.width, box.height)
    side = rng.uniform(1.6, 2.1) * longer
    centre = np.array(box.center) + np.clip(rng.normal(0, 0.06, 2), -0.15, 0.15) * longer
    square = Box(*(centre - side / 2), *(centre + side / 2))
    # some crops hang over the edge of the image
    limits = _sensor_edge(rng, size_px) if rng.random() < 0.15 else None
    return renderer.render(scene, crop_view(view, square, size_px), FrameId("scenes", seed, index), limits)


def _sensor_edge(rng: np.random.Generator, size_px: int) -> Box:
    cut = np.where(rng.random(4) < rng.uniform(0.2, 1.0), rng.uniform(0, 0.22, 4), 0) * size_px
    return Box(cut[0], cut[1], size_px - 1 - cut[2], size_px - 1 - cut[3])


def frame_sample(
    renderer: SceneRenderer, seed: int, index: int, width_px: int = 320, height_px: int | None = None
) -> Sample:
    """A whole image with no, one or two hands; the same for the same numbers."""
    height_px = width_px * 3 // 4 if height_px is None else height_px
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([seed, index, 1, attempt])
        view = sample_view(rng, width_px, height_px)
        sample = renderer.render(sample_scene(rng, "frame", view), view, FrameId("scenes", seed, index))
        if all(hand.visible_ratio > _LEAST_VISIBLE for hand in sample.hands):
            break
    return sample
